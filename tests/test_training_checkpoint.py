"""BASE.state is not trusted: what no run writes is refused before anything large is read."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.errors import TrainingError
from darknet_py.npz import Npz
from darknet_py.training.checkpoint import PROGRESS, VALIDATION, read_checkpoint
from darknet_py.training.plan import PLAN
from tests.support.commands import invoke
from tests.support.networks import Array
from tests.support.processes import posix
from tests.support.runs import read_state, write_state

STATE = Path("backup/net.state")
LOSSES = "avg best_loss lowest whole_loss"
# Values that no run has, but in the facts that are named here.
ODD: list[tuple[Any, str]] = [
    (None, f"{LOSSES} batches plan.seconds val_every patience sample_every threads due"),
    (True, "plot"),
    (-1, LOSSES),
    (0.5, f"{LOSSES} seconds val"),
    ("", "cfg source cfg_path data val digest val_digest"),
    ("a\0b", "cfg source"),
    ("x" * 300, "cfg source"),
    (10**400, ""),
    (1 << 63, LOSSES),
    (float("nan"), ""),
    (float("inf"), ""),
    ([], "statistics_steps"),
    ([-1], ""),
    ({}, "overrides"),
    ({"a": 1}, ""),
]
COMMANDS = (
    ("report", "backup", "-q"),
    ("train", "--resume", "--batches", "9", "-q"),
    ("train", "--resume", "--batches", "9", "--accept-changes", "-q"),
)


@pytest.fixture(autouse=True)
def _begun(run_inputs: None) -> None:
    dn.train("net.cfg", "text.txt", batches=3, seed=1, val_every=2, sample_every=1)


def refusals(facts: object, arrays: dict[str, Array]) -> list[str]:
    """What each command that reads it says of such a state."""
    write_state(STATE, facts, arrays)
    errors = [invoke(*command).error() for command in COMMANDS]
    assert max(map(len, errors)) < 300
    return errors


def test_each_fact_has_a_type_and_bounds() -> None:
    facts, arrays = read_state(STATE)
    for path, names in (
        (["plan"], PLAN),
        (["progress"], PROGRESS),
        (["progress", "validation"], VALIDATION),
    ):
        for name, (odd, fine) in itertools.product(names, ODD):
            changed = group = copy.deepcopy(facts)
            for part in path:
                group = group[part]
            group[name] = odd
            write_state(STATE, changed, arrays)
            if {name, f"{path[-1]}.{name}"} & set(fine.split()):
                read_checkpoint(STATE)
                continue
            with pytest.raises(TrainingError, match=r"net\.state") as caught:
                read_checkpoint(STATE)
            assert len(str(caught.value)) < 300, (name, odd)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(more=1),
        lambda facts: facts["plan"].update(weights="x"),
        lambda facts: facts["progress"].pop("validation"),
        lambda facts: facts["progress"]["validation"].update(loss=1),
        lambda facts: facts.update(format="x" * 1000),
        lambda facts: facts.update(plan=[]),
        lambda facts: facts["progress"].update(avg=""),
    ],
)
def test_a_state_of_other_facts_is_one_line(change: Callable[[dict[str, Any]], object]) -> None:
    facts, arrays = read_state(STATE)
    change(facts)
    assert all("net.state" in error for error in refusals(facts, arrays))


@pytest.mark.parametrize("facts", [[], 5, None, "x", {}])
def test_facts_that_are_none_are_one_line(facts: object) -> None:
    _, arrays = read_state(STATE)
    assert all("net.state" in error for error in refusals(facts, arrays))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 10**6, b"1" * 10**6, b" " * (1 << 25)])
def test_facts_that_are_no_json_are_one_line(text: bytes) -> None:
    np.savez(STATE.with_suffix(".npz"), facts=np.frombuffer(text, np.uint8))
    os.replace(STATE.with_suffix(".npz"), STATE)
    for command in COMMANDS:
        assert "net.state" in invoke(*command).error()


ARRAYS: dict[str, Callable[[Array], Array]] = {
    "a number": lambda array: np.array(array[0]),
    "of another type": lambda array: array.astype(np.float64),
    "one": lambda array: array[:1],
    "more": lambda array: np.append(array, array),
    "a row": lambda array: array[None],
    "of the other order": lambda array: array.astype(array.dtype.newbyteorder()),
    "objects": lambda array: np.array([None]),
    "names": lambda array: np.array("x"),
}


def never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing but the facts be read."""
    read = Npz.read
    monkeypatch.setattr(Npz, "read", lambda npz, name: read(npz, {"facts": "facts"}[name]))


@pytest.mark.parametrize("name", ["parameters", "memory.first", "offsets", "fresh", "best"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_each_array_has_a_type_and_a_shape(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, arrays = read_state(STATE)
    changed = ARRAYS[kind](arrays[name])
    if changed.dtype == arrays[name].dtype and changed.shape == arrays[name].shape:
        pytest.skip("bools have no order of bytes")
    write_state(STATE, facts, {**arrays, name: changed})
    never_read(monkeypatch)
    error = invoke("train", "--resume", "--batches", "9", "-q").error()
    assert name in error
    assert len(error) < 300


@pytest.mark.parametrize("name", ["more", "state.7.0", "facts.1", "memory.third"])
def test_arrays_of_other_names_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, arrays = read_state(STATE)
    never_read(monkeypatch)
    for others in (arrays | {name: arrays["best"]}, dict(list(arrays.items())[1:])):
        write_state(STATE, facts, others)
        assert str(STATE) in invoke("train", "--resume", "--batches", "9", "-q").error()


def test_bools_and_offsets_are_brought_to_what_they_mean() -> None:
    facts, arrays = read_state(STATE)
    arrays["fresh"] = np.full(4, 2, np.uint8).view(bool)
    arrays["offsets"] -= 1 << 62
    write_state(STATE, facts, arrays)
    assert dn.train(resume=True, batches=5).batches == 5


# --- places that a state names


@posix
@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "other.txt", "none.txt"])
@pytest.mark.parametrize("fact", ["data", "val"])
def test_what_a_state_names_is_read_if_it_is_a_file_and_the_one_of_the_run(
    place: str, fact: str
) -> None:
    os.mkfifo("pipe")
    Path("other.txt").write_bytes(b"<script>" * 100)
    facts, arrays = read_state(STATE)
    facts["plan"][fact] = place
    write_state(STATE, facts, arrays)
    for command in COMMANDS[:2]:
        error = invoke(*command).error()
        assert place in error
        assert "text" in error
    # A file, changes of which are accepted.
    assert invoke(*COMMANDS[2]).status == (0 if place == "other.txt" else 1)
    assert not Path("backup/net.html").exists()


@posix
def test_a_cfg_that_is_no_file_is_not_there() -> None:
    """The run goes on with the one that the state has."""
    Path("net.cfg").unlink()
    os.mkfifo("net.cfg")
    assert invoke("train", "--resume", "--batches", "5", "-q").status == 0


@posix
def test_a_state_that_is_no_file_is_not_opened() -> None:
    STATE.unlink()
    os.mkfifo(STATE)
    for command in (*COMMANDS, ("valid", "backup", "text.txt", "-q")):
        assert invoke(*command).status in (0, 1)
