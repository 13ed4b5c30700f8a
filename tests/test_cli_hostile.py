"""What a stranger tries: closed streams, devices, links, endless input, signals at odd moments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py.errors import CorpusError
from darknet_py.network import Network
from darknet_py.terminal import messages as terminal
from darknet_py.text import corpus
from tests.support.commands import COMMAND, ENVIRONMENT, invoke
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, write_cfg
from tests.support.processes import posix, start, wait_for_batch, wait_for_import
from tests.support.runs import files_in, read_state, write_state

pytestmark = pytest.mark.usefixtures("run_inputs")


@pytest.fixture
def trained(run_inputs: None) -> str:
    assert invoke("train", "net.cfg", "text.txt", "--batches", "3", "-q").status == 0
    return "backup"


def shell(line: str, **named: Any) -> subprocess.CompletedProcess[bytes]:
    """A line of sh in which $D is the program."""
    environment = {**ENVIRONMENT, "D": " ".join(COMMAND)}
    return subprocess.run(["sh", "-c", line], env=environment, capture_output=True, **named)


# --- streams -------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("ending", ["2>&-", "2>/dev/full", "2>&1 | head -c 10"])
def test_training_goes_on_when_nobody_reads_what_it_says(ending: str) -> None:
    if "full" in ending and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    shell(f"$D train net.cfg text.txt --batches 40 --engine numpy {ending}")
    assert "net_final.weights" in files_in(Path("backup"))


@posix
@pytest.mark.parametrize(
    "line",
    [
        "$D valid backup - <&-",
        "$D vec backup - <&-",
        "$D train net.cfg - --batches 2 <&-",
        "$D generate backup --length 5 >&-",
        "$D vec backup text.txt >&-",
        "$D info backup >&-",
        "$D valid backup text.txt >&-",
        "$D info backup >/dev/full",
        "$D --help >/dev/full",
    ],
)
@pytest.mark.usefixtures("trained")
def test_closed_and_full_streams_are_no_traceback(line: str) -> None:
    if "full" in line and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(line)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    assert (done.returncode == 0) == ("vec backup - <&-" in line), done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith(b"Error: ")


def test_what_is_said_is_visible(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("a\x1b[31mb\nc\udcff")
    assert capsys.readouterr().err == "a␛[31mb\nc\\udcff\n"


def test_an_argument_that_a_usage_error_repeats_is_visible() -> None:
    outcome = invoke("train", "net.cfg", "text.txt", "x\x1b[31m")
    assert outcome.status == 2
    assert "\x1b" not in outcome.stderr


# --- places --------------------------------------------------------------------------------------


@posix
@pytest.mark.usefixtures("trained")
def test_an_array_goes_into_a_file_and_nowhere_else() -> None:
    os.mkfifo("pipe")
    for place in ("pipe", "", "no/where.npy", "backup"):
        error = invoke("vec", "backup", "text.txt", "--npy", place).error()
        assert f"{place}: " in error
        assert "part" not in error
    Path("link.npy").symlink_to("target.npy")
    assert invoke("vec", "backup", "text.txt", "--npy", "link.npy", "-q").status == 0
    assert Path("link.npy").is_symlink()
    assert len(np.load("target.npy")) == len(Path("text.txt").read_bytes().splitlines())


def test_a_folder_in_the_way_of_a_file_is_found_before_training() -> None:
    Path("backup/net_best.weights").mkdir(parents=True)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "3", "-q").error()
    assert "net_best.weights" in error
    assert files_in(Path("backup")) == []


@posix
@pytest.mark.parametrize("command", ["generate", "info"])
def test_a_pipe_is_no_weights_file(command: str) -> None:
    os.mkfifo("pipe.weights")
    assert "pipe.weights" in invoke(command, "pipe.weights").error()


# --- endless and huge ----------------------------------------------------------------------------


@posix
def test_a_text_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "memory", lambda: 1 << 24)
    with pytest.raises(CorpusError, match="/dev/zero has more than"):
        corpus.read_text("/dev/zero")
    monkeypatch.setattr(corpus, "LONGEST_LINE", 1000)
    with pytest.raises(CorpusError, match="line 1 is longer than 1,000 bytes"):
        list(corpus.read_lines("/dev/zero"))


def test_what_is_too_large_is_refused_before_anything_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Network, "initialize", lambda *_: pytest.fail("drawn"))
    write_cfg(Path("net.cfg"), NET, RNN.replace("8", "4000"), CONNECTED, SOFTMAX)
    monkeypatch.setattr("darknet_py.training.build.trainable_memory", lambda: 500_000_000)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "1").error()
    assert "has 500,000,000 for it; make the network smaller" in error
    write_cfg(Path("net.cfg"), NET.replace("time_steps=8", "time_steps=2147483647"), RNN, SOFTMAX)
    assert "training takes" in invoke("train", "net.cfg", "text.txt", "--batches", "1").error()
    write_cfg(Path("net.cfg"), NET.replace("batch=4", "batch=2147483647"), RNN, SOFTMAX)
    assert "2,147,483,647 streams" in invoke("info", "net.cfg").error()


@pytest.mark.usefixtures("trained")
def test_many_samples_come_in_groups_and_long_ones_are_refused() -> None:
    outcome = invoke("generate", "backup", "--samples", "70", "--length", "3", "--seed", "1")
    seeds = [line for line in outcome.lines if line.startswith("seed ")]
    assert seeds == [f"seed {1 + number}" for number in range(70)]
    assert invoke("generate", "backup", "--samples", "2", "--length", "100000000").status == 2


def test_adam_without_an_average_is_refused() -> None:
    write_cfg(Path("net.cfg"), NET + " B1=1", RNN, CONNECTED, SOFTMAX)
    assert "B1='1'" in invoke("train", "net.cfg", "text.txt", "--batches", "2").error()


# --- states that were meddled with ---------------------------------------------------------------


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    "change",
    [
        {"dialect": "foo"},
        {"save_every": 0},
        {"val_every": 0},
        {"seed": "x"},
        {"data": 5},
        {"overrides": {"a": 1}},
        {"batches": -1},
        {"cfg_path": "other.cfg"},
        {"cfg": "nonsense"},
    ],
)
def test_a_plan_that_no_run_has_is_one_line(change: dict[str, Any]) -> None:
    state = Path("backup/net.state")
    facts, arrays = read_state(state)
    facts["plan"] |= change
    write_state(state, facts, arrays)
    assert "net.state" in invoke("train", "--resume", "--batches", "9").error().replace(
        "net.cfg:1", "net.state"
    )


@pytest.mark.usefixtures("trained")
def test_progress_that_no_run_has_is_one_line() -> None:
    state = Path("backup/net.state")
    facts, arrays = read_state(state)
    for change in ({"seen": -40}, {"drawn": "x"}, {"updates": 1 << 70}, {"avg": "x"}):
        write_state(state, {**facts, "progress": facts["progress"] | change}, arrays)
        assert "net.state" in invoke("train", "--resume", "--batches", "9").error()


# --- signals -------------------------------------------------------------------------------------


@posix
def test_ctrl_c_at_any_moment_is_no_traceback_and_status_130() -> None:
    """From the moment at which Python itself is up."""
    args = ("train", "net.cfg", "text.txt", "--batches", "1000000", "--engine", "numpy")
    watched = (sys.executable, "-X", "importtime", "-m", "darknet_py")
    for moment in ("darknet_py.cli.console", "click", "numpy", "threadpoolctl", 1, 2, 30):
        if isinstance(moment, str):
            process = start(*args, "-q", command=watched)
            wait_for_import(process, moment)
        else:
            process = start(*args, "-v")
            wait_for_batch(process, moment)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        # Python ends by the signal itself where it came into a text that was being executed.
        assert process.returncode in (130, -signal.SIGINT), said
        assert b"Traceback" not in said


@posix
def test_ctrl_c_while_the_text_is_read_acts_at_once() -> None:
    os.mkfifo("pipe.txt")
    process = start("train", "net.cfg", "pipe.txt", "--batches", "3")
    with open("pipe.txt", "wb"):  # Once the program has opened it.
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, said
    assert said.splitlines()[-1] == b"interrupted"


def test_ctrl_c_after_the_last_batch_changes_nothing() -> None:
    """All that remains is the score at the end, which it shortens."""
    import darknet_py as dn

    whole = dn.train("net.cfg", "text.txt", out="whole", batches=5, seed=1, val_every=2)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5  # before each of five batches

    result = dn.train("net.cfg", "text.txt", out="cut", batches=5, seed=1, val_every=2, stop=stop)
    assert asked == 5
    assert not result.interrupted
    assert result.best_val == whole.best_val
    for name in ("net_final.weights", "net_best.weights"):
        assert Path("cut", name).read_bytes() == Path("whole", name).read_bytes()


@posix
def test_a_terminal_that_goes_away_stops_a_run_with_everything_saved() -> None:
    process = start("train", "net.cfg", "text.txt", "--batches", "1000000", "-v")
    wait_for_batch(process, 5)
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 128 + signal.SIGHUP
    assert "net.state" in files_in(Path("backup"))
