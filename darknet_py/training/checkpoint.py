"""BASE.state: what a run was asked to do and where it stands, all that going on exactly needs.

The file is an .npz archive: `facts`, a JSON text as bytes, and arrays by name. It holds the
parameters too, so that one rename replaces a whole checkpoint by the next.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any

import numpy as np

from darknet_py.dialect import DIALECTS
from darknet_py.errors import TrainingError
from darknet_py.files import writing_whole
from darknet_py.layers.base import Array

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What a run was asked to do, with names as in `train`.

    cfg: the text in use, with `overrides` applied; source: that of the file at `cfg_path` as it
    was. digest, val_digest: of the symbols of `data` and of the held-out file.
    """

    cfg: str
    source: str
    cfg_path: str
    overrides: dict[str, str]
    data: str
    digest: str
    val: float | str
    val_digest: str
    seed: int
    dialect: str
    gradient: str
    batches: int | None
    seconds: float | None
    val_every: int | None
    patience: int | None
    save_every: int
    sample_every: int
    plot: bool
    threads: int | None
    kernels: str
    segment_steps: int
    processes: int = 1
    memory: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A plan, what has been counted and measured, and arrays, all by name."""

    plan: Plan
    progress: dict[str, Any]
    arrays: dict[str, Array]


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write BASE.state whole or not at all. Raises OSError."""
    facts = {
        "format": FORMAT,
        "plan": asdict(checkpoint.plan),
        "progress": checkpoint.progress,
    }
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with writing_whole(path) as file:
        arrays: dict[str, Any] = {"facts": text, **checkpoint.arrays}
        np.savez(file, **arrays)


def _check(plan: Plan, progress: dict[str, Any]) -> None:
    """Raise ValueError for values that no run has."""
    texts = ("cfg", "source", "cfg_path", "data", "digest", "val_digest", "dialect", "kernels")
    counts = ("seed", "save_every", "sample_every", "segment_steps", "processes")
    positive = ("save_every", "segment_steps", "processes")
    optional = ("batches", "val_every", "patience", "threads", "memory")
    is_sound = (
        all(isinstance(getattr(plan, name), str) for name in texts)
        and all(_is_count(getattr(plan, name), 0) for name in counts)
        and all(_is_count(getattr(plan, name), 1) for name in positive)
        and all(
            getattr(plan, name) is None or _is_count(getattr(plan, name), 1) for name in optional
        )
        and plan.dialect in DIALECTS
        and isinstance(plan.val, (str, int, float))
        and isinstance(plan.seconds, (int, float, NoneType))
        and all(isinstance(text, str) for pair in plan.overrides.items() for text in pair)
        and all(_is_count(progress[name], 0) for name in ("seen", "first_seen", "drawn", "updates"))
    )
    if not is_sound:
        raise ValueError("a value that no run has")


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and least <= value < 1 << 62


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read BASE.state. Raises TrainingError where it is missing, damaged or of another kind."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        facts = json.loads(arrays.pop("facts").tobytes())
        if facts["format"] != FORMAT:
            raise TrainingError(
                f"{path}: format {facts['format']}: expected {FORMAT}, which this version writes"
            )
        known = {field.name for field in fields(Plan)} & facts["plan"].keys()
        plan = Plan(**{name: facts["plan"][name] for name in known})
        _check(plan, facts["progress"])
        return Checkpoint(plan, facts["progress"], arrays)
    except FileNotFoundError as error:
        raise TrainingError(f"{path}: no such file: expected the state of a run") from error
    except OSError as error:
        raise TrainingError(f"{path}: cannot read the state: {error.strerror}") from error
    except TrainingError:
        raise
    except Exception as error:  # A damaged archive makes its readers raise anything.
        raise TrainingError(
            f"{path}: damaged ({type(error).__name__}): expected the state of a run"
        ) from error
