"""What cannot be trained, or not to its end, is refused in one line; the rest goes on."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.inference.scoring import PiecesScore
from darknet_py.loading.finding import open_network
from darknet_py.training.validation import Validation
from darknet_py.weights import read_header
from tests.support.commands import invoke, run
from tests.support.inputs import (
    CONNECTED,
    NET,
    RNN,
    SOFTMAX,
    SYMBOLS,
    write_cfg,
)
from tests.support.runs import FILES, files_in, floats, rows, train

pytestmark = pytest.mark.usefixtures("run_inputs")


WILD = (
    "[net] inputs=256 batch=4 time_steps=8 learning_rate=1e9",
    "[rnn] output=8 activation=linear",
    CONNECTED,
    SOFTMAX,
)


def test_a_run_that_diverges_ends_with_one_line_and_whole_files(tmp_path: Path) -> None:
    write_cfg(Path("net.cfg"), *WILD)
    args = ("train", "net.cfg", "text.txt", "--batches", "500", "--save-every", "1")
    outcome = run(*args, "--val-every", "1", "-q", cwd=tmp_path)
    assert outcome.status == 1
    *warnings, error = outcome.lines
    assert all("the held-out loss" in line for line in warnings)
    assert len(warnings) <= 1
    assert error.startswith("Error: ")
    assert "diverged at batch" in error
    assert "learning_rate" in error
    assert not list(tmp_path.rglob("*.part"))
    assert not Path("backup/net_final.weights").exists()
    for name in ("net.backup", "net_best.weights"):
        if (Path("backup") / name).exists():
            assert np.isfinite(floats(Path("backup") / name)).all()
    assert all(None not in row and None not in row.values() for row in rows())


def test_a_network_that_is_destroyed_but_finite_replaces_no_good_one() -> None:
    args = ("train", "net.cfg", "text.txt", "--val", "0", "--save-every", "20", "--set", "adam=0")
    assert invoke(*args, "--seed", "1", "--batches", "20", "-q").status == 0
    wild = ("--set", "learning_rate=20", "--accept-changes", "--batches", "200")
    error = invoke("train", "--resume", *wild, "-q").error()
    assert "diverged at batch 100" in error
    assert "still usable: backup/net.backup" in error
    assert read_header("backup/net.backup").seen == 20 * SYMBOLS
    assert read_header("backup/net_final.weights").seen == 20 * SYMBOLS


def test_a_run_that_diverges_names_the_checkpoint_that_is_good() -> None:
    train("--batches", "5", "--out", "good")
    write_cfg(Path("net.cfg"), *WILD)
    steps = ("--set", "policy=steps", "--set", "steps=10", "--set", "scales=1e9")
    rate = ("--set", "learning_rate=.01")
    args = ("--batches", "500", "--save-every", "4", "--val", "0", *rate, *steps, "-q")
    outcome = invoke("train", "net.cfg", "text.txt", *args)
    assert "still usable: " in outcome.error()
    assert str(Path("backup/net.backup")) in outcome.error()
    assert np.isfinite(floats("backup/net.backup")).all()
    assert math.isfinite(open_network("backup/net.backup").parameters.sum())


def put(name: str, data: bytes | None) -> Any:
    """What puts this into a file, or an empty folder in its place."""

    def make() -> None:
        Path(name).unlink()
        Path(name).mkdir() if data is None else Path(name).write_bytes(data)

    return make


def text(data: bytes) -> Any:
    return put("text.txt", data)


def cfg(*sections: str) -> Any:
    return lambda: write_cfg(Path("net.cfg"), *sections)


def other_weights() -> None:
    write_cfg(Path("wide.cfg"), NET, "[rnn] output=9 activation=tanh", CONNECTED, SOFTMAX)
    dn.load_network("wide.cfg").save_weights("some.weights")


FROM_WEIGHTS = ("--weights", "some.weights")
REFUSED: list[tuple[str, Any, tuple[str, ...], tuple[str, ...]]] = [
    ("an empty text", text(b""), (), ("text.txt", "empty")),
    ("a missing text", Path("text.txt").unlink, (), ("text.txt", "No such file")),
    ("one character", text(b"a"), (), ("text.txt", "time_steps=8")),
    ("a text as long as time_steps", text(b"abcdefgh"), (), ("text.txt", "8 bytes")),
    ("a NUL byte", text(b"ab\0cdefghijk"), (), ("text.txt", "NUL", "2")),
    ("UTF-16", text("\ufeffabcdefghijk".encode("utf-16-le")), (), ("text.txt", "UTF-16")),
    ("an empty folder", put("text.txt", None), (), ("text.txt", "no text files")),
    (
        "too few inputs",
        cfg("[net] inputs=100", RNN, "[connected] output=100 activation=linear", SOFTMAX),
        (),
        ("text.txt", "0 to 99", "offset", "inputs="),
    ),
    ("no tokens", text(b"12 x"), ("--tokenized",), ("text.txt", "token 2")),
    ("a missing cfg", Path("net.cfg").unlink, (), ("net.cfg", "tiny")),
    ("a folder as cfg", put("net.cfg", None), (), ("net.cfg",)),
    ("an empty cfg", put("net.cfg", b""), (), ("net.cfg",)),
    ("no cfg", put("net.cfg", bytes(range(256))), (), ("net.cfg",)),
    ("only [net]", cfg(NET), (), ("net.cfg",)),
    ("an unknown layer", cfg(NET, "[crnn] output=3"), (), ("net.cfg:", "crnn")),
    ("a bad value", cfg(NET, "[rnn] output=x", SOFTMAX), (), ("net.cfg:", "output='x'")),
    ("no loss", cfg(NET, RNN, CONNECTED), (), ("net.cfg", "[softmax]")),
    ("other outputs", cfg(NET, RNN, SOFTMAX), (), ("net.cfg", "8 outputs", "256")),
    ("a bad setting", lambda: None, ("--set", "batch=x"), ("--set", "batch='x'")),
    ("a missing validation text", lambda: None, ("--val", "nowhere"), ("nowhere",)),
    ("missing weights", lambda: None, FROM_WEIGHTS, ("some.weights", "No such file")),
    ("weights of another network", other_weights, FROM_WEIGHTS, ("some.weights", "4,504")),
    (
        "weights that are none",
        lambda: Path("some.weights").write_text("no weights, but some text"),
        FROM_WEIGHTS,
        ("some.weights", "version"),
    ),
]


@pytest.mark.parametrize(
    ("make", "args", "named"), [pytest.param(*case, id=name) for name, *case in REFUSED]
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    tmp_path: Path, make: Any, args: tuple[str, ...], named: tuple[str, ...]
) -> None:
    make()
    before = files_in(tmp_path)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "2", *args).error()
    for word in named:
        assert word in error
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    "args",
    [
        ("--batches", "0"),
        ("--batches", "x"),
        ("--time", "soon"),
        ("--time", "0"),
        ("--time", "1..5s"),
        ("--set", "learning_rate"),
        ("--set", "=1"),
        ("--seed", "-1"),
        ("--seed", str(2**32)),
        ("--val", "1"),
        ("--val", "-0.1"),
        ("--val", "nan"),
        ("--val-every", "0"),
        ("--save-every", "0"),
        ("--state", "keep"),
        ("--dialect", "auto"),
        ("--gradient", "other"),
        ("--threads", "0"),
        ("--no-such-option",),
        ("one-more",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(tmp_path: Path, args: tuple[str, ...]) -> None:
    outcome = invoke("train", "net.cfg", "text.txt", *args)
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert outcome.lines[-1].startswith("Error: ")
    assert files_in(tmp_path) == ["net.cfg", "text.txt"]


def test_an_error_in_a_process_of_its_own(tmp_path: Path) -> None:
    Path("text.txt").write_bytes(b"ab\0c")
    args = ("train", "net.cfg", "text.txt", "--batches", "2")
    assert "NUL" in run(*args, cwd=tmp_path).error()
    verbose = run(*args, "-v", cwd=tmp_path)
    assert verbose.status == 1
    assert "Traceback" in verbose.stderr
    assert "NUL" in verbose.lines[-1]


def test_a_run_that_is_too_short_to_hold_text_out_trains_without() -> None:
    Path("text.txt").write_bytes(b"abcdefghijkl")
    outcome = train("--batches", "2")
    assert "without validation" in outcome.stderr
    assert files_in(Path("backup")) == FILES


def test_a_run_that_ends_worse_than_guessing_says_so() -> None:
    outcome = train("--batches", "20", "--seed", "1", "--set", "learning_rate=50")
    assert "worse than guessing (5.55)" in outcome.stderr
    assert "worse than" not in train("--batches", "20", "--seed", "1").stderr


def test_without_matplotlib_a_plot_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "2", "--plot").error()
    assert "a plot needs matplotlib (" in error
    assert error.endswith(": pip install matplotlib")
    assert "net_final.weights" not in files_in(Path("backup"))


def test_a_held_out_loss_that_is_not_finite_stops_nothing_and_is_never_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is recorded, and its meaning is told once; the best network stays the finite one."""
    score = Validation._score
    bad = iter([False, False, True, True, True])

    def scored(self: Validation, *args: Any, **named: Any) -> PiecesScore:
        found = score(self, *args, **named)
        return PiecesScore(math.nan if next(bad, False) else found.nats, found.symbols)

    monkeypatch.setattr(Validation, "_score", scored)
    # The first is what gets the compiled loops ready.
    outcome = train("--batches", "8", "--val-every", "2", "--seed", "1")
    assert outcome.status == 0
    assert [row["val"] for row in rows() if row["val"]][1:] == ["nan"] * 3
    assert read_header("backup/net_best.weights").seen == 2 * SYMBOLS
    assert sum("the held-out loss at batch 4 is nan" in line for line in outcome.lines) == 1
    assert sum("training continues" in line for line in outcome.lines) == 1


def test_a_run_whose_held_out_loss_was_never_finite_ends_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Validation, "_score", lambda *_, **__: PiecesScore(math.inf, 10))
    outcome = train("--batches", "4", "--val-every", "2", "--seed", "1")
    assert outcome.status == 0
    assert "net_best.weights" not in files_in(Path("backup"))
    assert any(line.endswith(str(Path("backup/net_final.weights"))) for line in outcome.lines)
    resumed = train("--resume", "--batches", "6")
    assert resumed.status == 0
