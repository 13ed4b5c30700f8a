"""`train auto`: the network that it chooses, and the run of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import darknet_py as dn
from darknet_py.cfg import Cfg
from darknet_py.network import Network
from darknet_py.options import NetOptions
from darknet_py.parallel import ALONE
from darknet_py.training import automatic
from darknet_py.training.settings import Settings
from tests.support.commands import invoke

pytestmark = pytest.mark.usefixtures("run_inputs")


def chosen(size: int, monkeypatch: pytest.MonkeyPatch, speed: float = 6e10, **asked: Any) -> Cfg:
    """For a text of so many bytes. speed: operations per second."""
    monkeypatch.setattr(automatic, "_speed", lambda asked: speed)
    return automatic.choose_network(bytes(size), Settings(**asked), ALONE)


def width(cfg: Cfg) -> int:
    return Network(cfg).layers[0].outputs


def test_the_network_grows_with_the_time_the_speed_and_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minute, hour = (width(chosen(10**6, monkeypatch, seconds=s)) for s in (60.0, 3600.0))
    assert 128 <= minute <= 224
    assert 448 <= hour <= 640
    assert width(chosen(10**6, monkeypatch, seconds=60.0, speed=6e9)) < minute
    assert width(chosen(5 * 10**4, monkeypatch, seconds=3600.0)) <= 128
    assert width(chosen(10**8, monkeypatch, seconds=3600.0)) >= hour
    assert width(chosen(1, monkeypatch, seconds=0.001)) == automatic.WIDTHS[0]


def test_what_is_read_often_is_kept_from_being_memorized(monkeypatch: pytest.MonkeyPatch) -> None:
    once, often = (chosen(size, monkeypatch, seconds=240.0) for size in (10**8, 10**5))
    for cfg, dropout in ((once, 0.0), (often, 0.3)):
        layers = [section for section in cfg.layers if section.name == "dropout"]
        assert [layer.number("probability", 0.5) for layer in layers] == [dropout] * 2
    assert NetOptions.of(once.net).weight_decay < NetOptions.of(often.net).weight_decay
    assert NetOptions.of(often.net).dropconnect > 0


def test_a_run_of_it_says_what_was_chosen_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "SECONDS", 0.01)
    monkeypatch.setattr(automatic, "TRIAL", 16)
    args = ("train", "auto", "text.txt", "--seed", "1", "--engine", "numpy")
    outcome = invoke(*args, "--batches", "2", "--set", "batch=2", "--set", "time_steps=4")
    assert outcome.status == 0, outcome.stderr
    (line,) = [line for line in outcome.lines if line.startswith("auto: ")]
    assert "two [gru] of 64" in line
    assert "batch=2" in Path("backup/auto.cfg").read_text()
    assert invoke("train", "--resume", "--batches", "4").status == 0
    assert invoke("generate", "backup", "--length", "5").status == 0
    assert dn.train(Path("backup/auto.cfg"), "text.txt", batches=2, seed=1, out="b").batches == 2


@pytest.mark.parametrize(
    ("data", "more", "word"),
    [("-", (), "text file"), ("missing", (), "missing"), ("text.txt", ("--tokenized",), "tokens")],
)
def test_what_auto_cannot_choose_for(data: str, more: tuple[str, ...], word: str) -> None:
    assert word in invoke("train", "auto", data, *more).error()


def test_a_file_of_that_name_comes_first() -> None:
    Path("net.cfg").rename("auto")
    outcome = invoke("train", "auto", "text.txt", "--batches", "2")
    assert outcome.status == 0
    assert "auto: two" not in outcome.stderr
