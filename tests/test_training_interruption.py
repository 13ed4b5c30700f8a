"""Runs that are stopped, by Ctrl-C or by a function, and the commands that go on with them."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import darknet_py as dn
from darknet_py.loading.finding import open_network
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.interruption import Interruption
from darknet_py.training.run import Row
from darknet_py.weights import read_header
from tests.support.commands import COMMAND, ENVIRONMENT, Outcome, invoke
from tests.support.inputs import (
    CONNECTED,
    NET,
    RNN,
    SOFTMAX,
    SYMBOLS,
    write_cfg,
)
from tests.support.processes import posix
from tests.support.runs import files_in, rows, train
from tests.support.terminals import Terminal

pytestmark = pytest.mark.usefixtures("run_inputs")


def test_stop_ends_the_run_with_everything_saved() -> None:
    answers = iter([False, True])  # before the first batch, after it
    result = dn.train("net.cfg", "text.txt", batches=50, seed=1, stop=lambda: next(answers))
    assert result.interrupted
    assert result.batches == 1
    assert result.weights == Path("backup/net.backup")
    assert files_in(Path("backup")) == ["net.backup", "net.cfg", "net.csv", "net.state"]
    assert open_network("backup").parameters.tobytes() == result.net.parameters.tobytes()
    assert len(rows()) == 1


@pytest.mark.parametrize("val_every", [None, 10])
def test_a_stopped_run_leaves_its_network_as_the_best_one(val_every: int | None) -> None:
    """Else that of the first validation would be taken; but not where its batches were given."""
    answers = iter([False] * 35 + [True])
    dn.train(
        *("net.cfg", "text.txt"),
        batches=60,
        seed=1,
        val_every=val_every,
        stop=lambda: next(answers),
    )
    best = read_header("backup/net_best.weights").seen // SYMBOLS
    assert best in ((35,) if val_every is None else (10, 20, 30))
    whole = dn.train(resume=True)
    dn.train("net.cfg", "text.txt", batches=60, seed=1, val_every=val_every, out="whole")
    expected = Path("whole/net_final.weights").read_bytes()
    assert whole.weights.read_bytes() == expected


@posix
def test_what_a_terminal_writes_at_ctrl_c_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((60, 24)))
    with Interruption() as interruption:
        interruption.asked()
        terminal.write("batch 3^C")
        signal.raise_signal(signal.SIGINT)
    assert f"^C\r{' ' * 59}\rstopping after this batch" in terminal.getvalue()


def test_the_first_interruption_is_remembered_and_the_second_acts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        assert not interruption.asked()
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked()
        assert "press Ctrl-C again to quit now without saving" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def interrupted(*args: str, after: str = "12: ", number: int = 2) -> Outcome:
    """A command in a process that gets a signal when a line of stderr starts with `after`."""
    with subprocess.Popen(
        [*COMMAND, *args, "-v"], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith(after):
                process.send_signal(number)
                break
        lines += list(process.stderr)
        return Outcome(process.wait(), b"", "".join(lines))


def way_on(outcome: Outcome) -> list[str]:
    """The arguments of the command that an interrupted run names, without the program."""
    found = re.search(r"^to continue: darknet-py (.*)$", outcome.stderr, re.MULTILINE)
    assert found, outcome.stderr
    return shlex.split(found[1])


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_the_command_that_it_names_goes_on(
    tmp_path: Path, number: int
) -> None:
    args = ("train", "net.cfg", "text.txt", "--batches", "1000000", "--out", "my run")
    outcome = interrupted(*args, number=number)
    assert outcome.status == 128 + number
    assert "Traceback" not in outcome.stderr
    assert "stopping after this batch, then saving" in outcome.stderr
    header = read_header("my run/net.backup")
    assert header.seen // SYMBOLS == len(rows("my run"))
    assert open_network("my run/net.backup").seen == header.seen
    assert not list(tmp_path.rglob("*.part"))
    limit = header.seen // SYMBOLS + 3
    again = invoke(*way_on(outcome), "--batches", str(limit))
    assert again.status == 0, again.stderr
    assert [row["batch"] for row in rows("my run")] == [str(i + 1) for i in range(limit)]


def quit_at(batch: int, *args: str) -> Outcome:
    """`train ARGS` with Ctrl-C pressed twice before a batch, counted from 1."""
    asked, count = Interruption.asked, 0

    def twice(self: Interruption) -> bool:
        nonlocal count
        count += 1
        if count == batch:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return asked(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interruption, "asked", twice)
        outcome = invoke("train", *args)
    assert outcome.status == 130
    return outcome


@pytest.mark.parametrize("other", [False, True], ids=["", "next to another run"])
def test_a_run_that_is_quit_says_what_is_left(other: bool) -> None:
    """By a second Ctrl-C, before its first checkpoint and after it."""
    name = ("other",) if other else ()
    if other:
        train("--batches", "2", "--seed", "1", "--out", "run")
        write_cfg(Path("other.cfg"), NET, RNN, CONNECTED, SOFTMAX)
    cfg = "other.cfg" if other else "net.cfg"
    args = (cfg, "text.txt", "--batches", "20", "--save-every", "5", "--out", "run")
    words = "nothing was saved that a run can continue from"
    assert quit_at(3, *args).lines[-2:] == [words, "interrupted"]
    resumed = invoke("train", "--resume", "--out", "run", *name).error()
    assert "start it again" in resumed or other
    words = "the last checkpoint in run is whole; to continue from it: darknet-py train --resume"
    way = shlex.join(["--out", "run", *name])
    assert quit_at(8, *args).lines[-2:] == [f"{words} {way}", "interrupted"]
    assert invoke("train", "--resume", "--out", "run", *name).status == 0


@posix
def test_the_command_that_goes_on_has_the_options_of_the_run() -> None:
    """A run that goes on with other settings, another text or without its end is another run."""
    Path("tokens.txt").write_text(" ".join(str(n * n % 200) for n in range(900)))
    outcome = interrupted(
        *("train", "net.cfg", "tokens.txt", "--tokenized", "--batches", "1000000", "--val", "0"),
        *("--set", "learning_rate=.003", "--save-every", "7", "--dialect", "alexeyab"),
    )
    assert outcome.status == 130
    assert way_on(outcome) == ["train", "--resume"]
    before = read_checkpoint("backup/net.state").plan
    limit = read_header("backup/net.backup").seen // SYMBOLS + 1
    again = invoke(*way_on(outcome), "--batches", str(limit))
    assert again.status == 0, again.stderr
    after = read_checkpoint("backup/net.state").plan
    assert after == dataclasses.replace(before, batches=limit)
    assert (after.val, after.save_every, after.dialect) == (0, 7, "alexeyab")
    assert after.overrides == {"learning_rate": ".003", "tokenized": "1"}


@posix
def test_the_command_that_goes_on_with_rnn_train_by_the_exact_gradient_works() -> None:
    write_cfg(Path("net.cfg"), NET + " max_batches=1000000", RNN, CONNECTED, SOFTMAX)
    args = ("net.cfg", "-file", "text.txt", "-srand", "3", "--gradient", "exact")
    outcome = interrupted("rnn", "train", *args)
    assert outcome.status == 130
    limit = read_header("backup/net.backup").seen // SYMBOLS + 1
    resumed = invoke(*way_on(outcome), "--batches", str(limit))
    assert resumed.status == 0, resumed.stderr
    assert [row["batch"] for row in rows()] == [str(i + 1) for i in range(limit)]
    assert rows()[-1]["val"] == ""


def test_ctrl_c_in_python_saves_the_run_before_it_is_raised(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def press(row: Row) -> None:
        if row.batch == 3:
            signal.raise_signal(signal.SIGINT)

    args: dict[str, Any] = {"out": "run", "batches": 6, "seed": 1}
    with pytest.raises(KeyboardInterrupt) as error:
        dn.train("net.cfg", "text.txt", progress=True, callback=press, **args)
    saved = f"interrupted; saved {Path('run/net.backup')}"
    assert str(error.value) == f"{saved}: train(resume=True, out='run') continues"
    assert "stopping after this batch" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert dn.train(resume=True, out="run").batches == 6
    dn.train("net.cfg", "text.txt", **{**args, "out": "whole"})
    assert Path("run/net_final.weights").read_bytes() == (
        Path("whole/net_final.weights").read_bytes()
    )


def test_a_handler_of_ones_own_and_a_thread_are_left_alone() -> None:
    presses: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: presses.append(number))
    try:
        with Interruption(only_keys=True) as interruption:
            signal.raise_signal(signal.SIGINT)
            assert presses == [signal.SIGINT]
            assert not interruption.is_asked
    finally:
        signal.signal(signal.SIGINT, before)
    with ThreadPoolExecutor() as pool:
        args: dict[str, Any] = {"out": "run", "batches": 2, "progress": True}
        assert pool.submit(dn.train, "net.cfg", "text.txt", **args).result().batches == 2
