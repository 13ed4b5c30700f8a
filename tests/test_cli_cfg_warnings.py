"""Which commands tell what has no effect in a cfg: those that begin with one, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Outcome, invoke
from tests.support.inputs import CONNECTED, NET, SOFTMAX, write_cfg

UNUSED = "Unused field: hiden='3' in [rnn]"
IGNORED = "[cost] after [softmax] is ignored"
PLAIN = "[net] inputs=256 batch=4 time_steps=8 learning_rate=.01 max_batches=2"
STRANGE = ("[rnn] output=8 activation=tanh hiden=3", CONNECTED, SOFTMAX, "[cost]")


@pytest.fixture(autouse=True)
def _cfgs(run_inputs: None) -> None:
    write_cfg(Path("net.cfg"), NET, *STRANGE)
    write_cfg(Path("plain.cfg"), PLAIN, *STRANGE)


def done(*args: str, stdin: bytes = b"") -> Outcome:
    outcome = invoke(*args, stdin=stdin)
    assert outcome.status == 0, outcome.stderr
    return outcome


def trained() -> Outcome:
    return done("train", "net.cfg", "text.txt", "--batches", "2", "--seed", "1")


def test_train_warns_once_of_each() -> None:
    said = trained().stderr
    assert said.count(UNUSED) == 1
    assert said.count(IGNORED) == 1


def test_a_cost_that_counts_is_not_called_ignored() -> None:
    args = ("--gradient", "darknet-cpu", "--batches", "2", "--seed", "1")
    for said in (
        done("train", "plain.cfg", "text.txt", *args).stderr,
        done("rnn", "train", "plain.cfg", "-file", "text.txt", "-srand", "1").stderr,
    ):
        assert "[cost]" not in said
        assert said.count(UNUSED) == 1
    exact = ("-file", "text.txt", "-srand", "1", "--gradient", "exact")
    assert IGNORED in done("rnn", "train", "plain.cfg", *exact).stderr


@pytest.mark.parametrize(
    "args",
    [
        ("generate", "backup", "--length", "3"),
        ("valid", "backup", "text.txt"),
        ("vec", "backup", "text.txt"),
        ("report", "backup"),
        ("export", "backup", "out.npz"),
        ("train", "--resume", "--batches", "4"),
        ("rnn", "generate", "net.cfg", "backup/net_final.weights", "-len", "3"),
    ],
    ids=lambda args: " ".join(args[:2]),
)
def test_commands_that_only_use_a_network_do_not_repeat_them(args: tuple[str, ...]) -> None:
    trained()
    for quiet in ((), ("-q",)):
        said = done(*quiet, *args).stderr
        assert "Unused" not in said
        assert "[cost]" not in said
        args = (*args[:3], "6") if args[1] == "--resume" else args


def test_with_v_they_are_shown_once() -> None:
    trained()
    said = done("-v", "generate", "backup", "--length", "3").stderr
    assert said.count(UNUSED) == 1
    assert said.count(IGNORED) == 1


def test_info_shows_them() -> None:
    trained()
    for source in ("net.cfg", "backup"):
        said = done("info", source).stderr
        assert said.count(UNUSED) == 1
        assert said.count(IGNORED) == 1


def test_those_of_a_network_that_only_gives_layers_are_not_shown() -> None:
    trained()
    write_cfg(Path("new.cfg"), NET, "[rnn] output=8 activation=tanh", CONNECTED, SOFTMAX)
    args = ("--weights", "backup", "--weights-layers", "0", "--batches", "1", "--out", "new")
    assert "Unused" not in done("train", "new.cfg", "text.txt", *args).stderr
