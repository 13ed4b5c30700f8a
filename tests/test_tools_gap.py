"""What a network's loss on tales is made of."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import darknet_py as dn
from tests.support.inputs import write_cfg
from tools import gap
from tools.grammar import negative_log_probability, write


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write(Path("tales.txt"), seed=3, size=20_000)
    return Path("tales.txt").read_text()


def test_the_grammar_knows_the_probability_of_each_character(text: str) -> None:
    each = gap.surprisals(text)
    assert len(each) == len(text)
    assert (each >= 0).all()
    for start in (0, 1, 777, len(text) - 5):
        assert each[start:].sum() == pytest.approx(negative_log_probability(text, start))


def test_each_character_after_the_first_has_one_place(text: str) -> None:
    places = gap.places(text)
    assert (np.sum(list(places.values()), axis=0) == 1).all()
    own = gap.places("an ox, (5")
    assert {name: np.flatnonzero(where).tolist() for name, where in own.items()} == {
        "first letters of words": [2],
        "further letters": [0, 3],
        "what follows a word": [1, 4],
        "all else": [5, 6, 7],
    }


def test_the_losses_are_those_of_valid_and_the_table_is_their_mean(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = dn.load_network(write_cfg(Path("net.cfg")), seed=1, batch=1, time_steps=1)
    symbols = np.frombuffer(text.encode(), np.uint8)
    nats = dn.evaluate(net, text).nats
    assert gap.losses(net, symbols).mean() == pytest.approx(nats, rel=1e-5)
    net.save_weights("net.weights")
    monkeypatch.setattr(sys, "argv", ["gap", "net.weights", "tales.txt"])
    gap.main()
    *_, last = capsys.readouterr().out.splitlines()
    held_out = symbols[len(symbols) - int(len(symbols) * 0.1) :].tobytes()
    expected = dn.evaluate(net, held_out).nats
    assert last.split(" | ")[:2] == ["| all", "100.0%"]
    assert float(last.split(" | ")[2]) == pytest.approx(expected, abs=1e-4)
    assert last.endswith(" 100% |")
