"""`darknet-py rnn ...`, run on what was recorded of the C program and on small networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import BATCH_LINE, Outcome, invoke
from tests.support.inputs import write_cfg
from tests.support.networks import make_network
from tests.support.recorded import RECORDED, case

NOTE = "training C-exactly"
COMMANDS = ["generate", "generatetactic", "valid", "validtactic", "vec"]
TOKENS = "[net] inputs=5 batch=2 time_steps=3 learning_rate=.1 max_batches={}"
SMALL = ["[rnn] output=4 activation=tanh", "[connected] output=5 activation=linear", "[softmax]"]


def recorded(name: str) -> tuple[Path, dict[str, Any]]:
    return RECORDED / name, case(RECORDED / name / "case.json")


def train_recorded(name: str, *more: str | Path) -> Outcome:
    path, record = recorded(name)
    options = [] if not record.get("tokenized") else ["-tokenized"]
    text = path / record["text"]
    return invoke(
        *("rnn", "train", path / "train.cfg", *more, *options),
        *("-file", text, "-srand", record["srand"]),
    )


def log_of(outcome: Outcome) -> list[tuple[str, ...]]:
    """Number, loss, average, rate and epochs of each line, as printed."""
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b""
    assert NOTE in outcome.lines[0]
    assert outcome.lines[1].startswith("files: backup/")
    assert re.match(r"saved \S+\.weights; next: darknet-py rnn generate ", outcome.lines[-1])
    found = [BATCH_LINE.fullmatch(line) for line in outcome.lines[2:-1]]
    return [match.groups() for match in found if match is not None or pytest.fail(outcome.stderr)]


def train_small(batches: int, name: str, text: bytes = b"0 1 2 3 4 3 2 1", *more: str) -> Outcome:
    write_cfg(Path(name), TOKENS.format(batches), *SMALL)
    Path("tokens.txt").write_bytes(text)
    return invoke("rnn", "train", name, "-file", "tokens.txt", "-tokenized", *more, "-srand", "3")


def generate_args(name: str, run_: dict[str, Any]) -> list[str | Path]:
    args: list[str | Path] = ["-srand", str(run_["srand"]), "-temp", str(run_["temp"])]
    args += ["-len", str(run_["len"]), "-seed", run_["seed"]]
    if "tokens" in run_:
        args += ["-tokens", RECORDED / name / run_["tokens"]]
    return args


def write_chain(folder: Path, follows: dict[str, str]) -> list[str | Path]:
    """A network in which each symbol is followed by one other; its cfg and weights."""
    sections = ["[net] inputs=128", "[connected] output=128 activation=linear", "[softmax]"]
    net = make_network(*sections, dtype=np.float32)
    net.parameters[...] = 0
    weight = next(tensor.values for tensor in net.tensors() if tensor.name == "0.weight")
    for symbol, following in follows.items():
        weight[ord(following), ord(symbol)] = 50
    write_cfg(folder / "chain.cfg", *sections)
    net.save_weights(folder / "chain.weights")
    return ["chain.cfg", "chain.weights"]


def refusal(*args: str | Path, stdin: bytes = b"") -> str:
    """The one line that `rnn ARGS` fails with, after the note of `rnn train`."""
    outcome = invoke("rnn", *args, stdin=stdin)
    assert outcome.status == 1
    assert outcome.stdout == b""
    *notes, line = outcome.lines
    assert all(NOTE in note for note in notes)
    assert line.startswith("Error: ")
    assert not Path("backup").exists()
    return line


def write_inputs(net: str) -> None:
    """`my.cfg` of a small network with these keys of [net], and `text.txt`."""
    Path("text.txt").write_bytes(b"a text of a few words\n" * 20)
    layers = ("[rnn] output=4", "[connected] output=256 activation=linear", "[softmax]")
    write_cfg(Path("my.cfg"), f"[net] inputs=256 batch=2 time_steps=3 {net}", *layers)
