"""How long a run is: by batches, by time, and by what its cfg says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import darknet_py as dn
from darknet_py import engine
from darknet_py.cfg import find_cfg
from darknet_py.options import NetOptions
from darknet_py.tier import NUMPY
from darknet_py.weights import read_header
from tests.support.clock import Clock
from tests.support.commands import Outcome, invoke
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, SYMBOLS, write_cfg
from tests.support.runs import rows

pytestmark = pytest.mark.usefixtures("run_inputs")

LAYERS = (RNN, CONNECTED, SOFTMAX)


def run(*args: str) -> Outcome:
    """`train` within this process, which must succeed."""
    outcome = invoke("train", "net.cfg", "text.txt", *args)
    assert outcome.status == 0, outcome.stderr
    return outcome


def test_batches_overrides_max_batches() -> None:
    write_cfg(Path("net.cfg"), NET + " max_batches=4", RNN, CONNECTED, SOFTMAX)
    run()
    assert len(rows(Path("backup"))) == 4
    run("--batches", "6")
    assert len(rows(Path("backup"))) == 6


def test_time_ends_a_run_that_has_no_other_limit(clock: Clock) -> None:
    elapsed: list[float] = []

    def note(row: dn.Row) -> None:
        elapsed.append(row.seconds)

    clock.batch, clock.validation = 0.0625, 0.0
    result = dn.train("net.cfg", "text.txt", seconds=0.5, callback=note)
    assert result.seconds == 0.5
    assert elapsed == [0.0625 * number for number in range(1, 9)]
    assert not result.interrupted
    assert read_header("backup/net_final.weights").seen == 8 * SYMBOLS


def test_the_command_ends_after_its_time(clock: Clock) -> None:
    clock.batch, clock.validation = 1.0, 0.0
    run("--time", "5s")
    assert [row["seconds"] for row in rows(Path("backup"))] == [f"{n}.000" for n in range(1, 6)]
    assert read_header("backup/net_final.weights").seen == 5 * SYMBOLS


def test_compiling_is_not_counted_as_training(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowTeam:
        threads = 1

        def compile(self) -> None:
            clock.now += 100

    monkeypatch.setattr(engine, "NUMPY", dataclasses.replace(NUMPY, team=SlowTeam()))
    clock.batch, clock.validation = 1.0, 0.0
    result = dn.train("net.cfg", "text.txt", seconds=5, engine="numpy")
    assert result.batches == 5
    assert result.seconds == 5


def test_a_run_cools_down_to_its_end(clock: Clock) -> None:
    write_cfg(Path("net.cfg"), NET + " cooldown=.5 max_batches=8", RNN, CONNECTED, SOFTMAX)
    given: list[dn.Row] = []
    dn.train("net.cfg", "text.txt", seed=1, callback=given.append)
    rates = [row.rate / 0.01 for row in given]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    given.clear()
    clock.batch, clock.validation = 1.0, 0.0
    dn.train("net.cfg", "text.txt", seed=1, batches=10**9, seconds=8, callback=given.append)
    assert [row.rate / 0.01 for row in given] == pytest.approx(rates)
    write_cfg(Path("net.cfg"), NET + " cooldown=.5 max_time=8s", RNN, CONNECTED, SOFTMAX)
    given.clear()
    dn.train("net.cfg", "text.txt", seed=1, callback=given.append)
    assert [row.rate / 0.01 for row in given] == pytest.approx(rates)


def test_batches_end_a_run_before_its_time(clock: Clock) -> None:
    run("--time", "1h", "--batches", "3")
    assert len(rows(Path("backup"))) == 3


@pytest.fixture
def timed(run_inputs: None, clock: Clock) -> Clock:
    """A cfg of five seconds, whose batches take one each."""
    clock.batch, clock.validation = 1.0, 0.0
    write_cfg(Path("net.cfg"), NET + " max_time=5s", *LAYERS)
    return clock


@pytest.mark.usefixtures("timed")
def test_a_cfg_has_the_time_that_it_is_made_for() -> None:
    said = run().stderr
    assert len(rows(Path("backup"))) == 5
    assert "end: after 5 seconds of training (max_time" in said
    assert "--time" in said
    assert dn.train("net.cfg", "text.txt").batches == 5


@pytest.mark.parametrize(
    ("given", "batches"),
    [
        ("--batches 8", 8),
        ("--time 3s", 3),
        ("--time 7s", 7),
        ("--time 9s --batches 6", 6),
        ("--set max_time=1m --set max_batches=7", 7),
        ("--set max_batches=7", 5),
        ("--set max_time=0 --set max_batches=7", 7),
        ("--set max_batches=3 --time 4s", 3),
    ],
)
@pytest.mark.usefixtures("timed")
def test_what_is_given_comes_before_the_time_of_the_cfg(given: str, batches: int) -> None:
    run(*given.split())
    assert len(rows(Path("backup"))) == batches


@pytest.mark.usefixtures("timed")
def test_a_complete_run_names_what_continues_it() -> None:
    run("--seed", "1")
    error = invoke("train", "--resume").error()
    assert "complete" in error
    assert "--time" in error
    assert invoke("train", "--resume", "--time", "7s").status == 0
    assert len(rows(Path("backup"))) == 7
    assert invoke("train", "--resume", "--batches", "9", "--time", "20s").status == 0
    assert len(rows(Path("backup"))) == 9


@pytest.mark.usefixtures("timed")
def test_a_run_goes_on_to_the_time_of_its_cfg() -> None:
    seen: list[dn.Row] = []
    dn.train("net.cfg", "text.txt", callback=seen.append, stop=lambda: len(seen) == 2)
    dn.train(resume=True)
    assert len(rows(Path("backup"))) == 5
    dn.train(resume=True, batches=8)
    assert len(rows(Path("backup"))) == 8


@pytest.mark.parametrize("value", ["soon", "-5s", "1e9", "5x", "1.2.3"])
def test_a_time_that_is_none_is_refused(value: str) -> None:
    write_cfg(Path("net.cfg"), f"{NET} max_time={value}", *LAYERS)
    error = invoke("train", "net.cfg", "text.txt").error()
    assert f"max_time='{value}': expected a time like 90s" in error


@pytest.mark.parametrize(
    ("name", "seconds"),
    {"tiny": 60, "tiny-gru": 60, "tiny-lstm": 60, "shakespeare": 240, "large": 3600}.items(),
)
def test_bundled_networks_have_their_times(name: str, seconds: float) -> None:
    def limit(cfg: str) -> float:
        return NetOptions.of(find_cfg(cfg).net).max_time

    assert limit(name) == seconds
    for unlimited in ("rnn", "rnn.train"):
        assert limit(unlimited) == 0
