"""A run by the command, what it leaves in its folder, and what two runs have in common."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py.loading.finding import open_network
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.folder import LOCK
from darknet_py.weights import read_header
from tests.support.commands import BATCH_LINE, Outcome, invoke
from tests.support.networks import Array

# The files of a run without validation.
FILES = ["net.cfg", "net.csv", "net.state", "net_final.weights"]


def same_files(one: Path, other: Path, but: tuple[str, ...] = ()) -> None:
    """Two folders hold the same run: every byte, but for times."""
    names = [name for name in files_in(one) if not name.endswith(but)]
    assert names == [name for name in files_in(other) if not name.endswith(but)]
    for name in names:
        if name.endswith(".csv"):
            assert without_times(one / name) == without_times(other / name)
        elif name.endswith(".state"):
            (ours, own), (theirs, other_arrays) = read_state(one / name), read_state(other / name)
            assert own.keys() == other_arrays.keys()
            for key, array in own.items():
                assert array.tobytes() == other_arrays[key].tobytes(), key
            for facts in (ours, theirs):
                facts["progress"]["seconds"] = 0
            assert ours == theirs
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


def train(*args: str | Path, cfg: str = "net.cfg", text: str = "text.txt") -> Outcome:
    """`train` within this process, which must succeed."""
    outcome = invoke("train", cfg, text, *args)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b""
    return outcome


def lines_of_batches(outcome: Outcome) -> list[re.Match[str]]:
    return [match for line in outcome.lines if (match := BATCH_LINE.fullmatch(line))]


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The facts of a BASE.state and its other arrays, as numpy reads them."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("facts").tobytes()), arrays


def write_state(
    path: Path, facts: object, arrays: dict[str, Array], compressed: bool = False
) -> None:
    """Write a state of whatever facts and arrays."""
    text: dict[str, Any] = {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
    with open(path, "wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **(text | arrays))


def rows(folder: str | Path = "backup", base: str = "net") -> list[dict[str, str]]:
    """Those of BASE.csv."""
    with open(Path(folder, f"{base}.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_times(table: Path) -> list[dict[str, str]]:
    return [{**row, "seconds": ""} for row in rows(table.parent, table.stem)]


def all_files_are_readable(folder: Path) -> None:
    for name in files_in(folder):
        path = folder / name
        if path.suffix in (".weights", ".backup"):
            open_network(path)
        elif path.suffix == ".state":
            read_checkpoint(path)
            read_state(path)


def files_in(folder: Path) -> list[str]:
    """The names of all files below `folder` but a lock; none where it does not exist."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != LOCK)
    return sorted(str(p.relative_to(folder)) for p in files)


def floats(path: str | Path) -> Array:
    """The numbers of a weights file."""
    return np.fromfile(path, "<f4", offset=read_header(path).length)


def assert_same_run(folder: str, alone: str) -> None:
    """The same files, and parameters to 1e-6, which are about 1; all else to rounding."""
    assert files_in(Path(folder)) == files_in(Path(alone))
    np.testing.assert_allclose(
        floats(f"{folder}/net_final.weights"), floats(f"{alone}/net_final.weights"), atol=1e-6
    )
    (_, own), (_, shared) = (read_state(Path(name, "net.state")) for name in (alone, folder))
    for name, array in own.items():
        np.testing.assert_allclose(shared[name], array, atol=2e-5, err_msg=name)
