"""The options of a run: one list, from which the command, `train` and BASE.state come."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import darknet_py as dn
from darknet_py import checks
from darknet_py.checks import FLAG
from darknet_py.cli.train import command
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.settings import OPTIONS, OnResume, Option, Settings
from tests.support.commands import invoke
from tests.support.runs import read_state

TOO_LARGE = 1 << 70
# Of each kind of value, by its name in a usage line, some that it cannot have.
WRONG: dict[str, list[Any]] = {
    "N": [-1, 2.5, 3.0, math.nan, True, np.True_, "3", [3], TOO_LARGE, object()],
    "DURATION": [-1, 0, math.nan, math.inf, True, "90s", 1e9, [1]],
    "TEXT": ["x", "", 1, ["exact"], b"exact"],
    "DIR": [5, 2.5, b"name", ["name"], True, "some\nlines", "x" * 300],
    "FRACTION|FILE": [1.5, 1, -0.1, math.nan, True, b"name", [0.1]],
    "KEY=VALUE": ["learning_rate=.1", [("a", 1)], {1: 2}, 5],
    "LAYERS": ["0-1", {}, {0: -1}, {0.5: 1}, {0: True}, [0]],
}
PATHS = ("FILE", "DIR", "CFG")
WRONG |= dict.fromkeys(PATHS, WRONG["DIR"])
BY_NAME = {option.name: option for option in OPTIONS}
CASES = [(option, wrong) for option in OPTIONS for wrong in WRONG[option.check.metavar]]


# --- the three together


def test_train_has_an_argument_for_each_option() -> None:
    arguments = inspect.signature(dn.train).parameters
    others = {"cfg", "data", "callback", "stop", "scoring", "progress"}
    assert arguments.keys() - others == BY_NAME.keys()
    for name, option in BY_NAME.items():
        expected = False if option.check is FLAG else None
        assert arguments[name].default == expected, name


def test_the_command_has_each_option_with_its_bounds() -> None:
    known = {own.name: own for own in command.params if isinstance(own, click.Option)}
    assert known.keys() - {"quiet", "verbose"} == BY_NAME.keys()
    for name, option in BY_NAME.items():
        made = known[name]
        assert made.opts == [option.flag]
        assert made.help is not None
        assert made.help.startswith(option.help)
        assert made.is_flag == (option.check is FLAG)
        if option.check.choices:
            assert isinstance(made.type, click.Choice)
            assert tuple(made.type.choices) == option.check.choices
        elif not made.is_flag:
            assert made.type.check is option.check  # type: ignore[attr-defined]


@pytest.mark.usefixtures("run_inputs")
def test_the_state_has_what_a_run_remembers_under_the_names_it_always_had() -> None:
    dn.train("net.cfg", "text.txt", batches=2, seed=1)
    facts, _ = read_state(Path("backup/net.state"))
    names = """cfg source cfg_path overrides data digest val val_from val_digest seed dialect
    gradient batches seconds val_every patience save_every sample_every plot threads engine
    precision"""
    assert sorted(facts["plan"]) == sorted(names.split())
    kept = {option.name for option in OPTIONS if option.is_kept}
    assert kept == set(names.split()) - {
        *("cfg", "source", "cfg_path", "data", "digest", "val_digest")
    }
    assert facts["plan"] == read_checkpoint("backup/net.state").plan.kept()


# --- values


@pytest.mark.parametrize(
    ("option", "wrong"), CASES, ids=[f"{option.name}={wrong!r:.20}" for option, wrong in CASES]
)
def test_train_refuses_what_an_option_cannot_be(option: Option, wrong: Any) -> None:
    """Before it reads or writes anything."""
    given: dict[str, Any] = {option.name: wrong}
    words = f"must be {option.check.words}, not "
    if wrong is TOO_LARGE and "at least" in words:  # Which it is.
        words = "is too large: "
    with pytest.raises(ValueError, match=re.escape(f"{option.name} {words}")):
        dn.train("no such cfg", "no such text", **given)


@pytest.mark.parametrize("name", ["batches", "val_every", "save_every", "threads"])
def test_none_at_all_is_refused_where_a_run_could_not_go_on(name: str) -> None:
    given: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=f"^{name} must be a whole number (of at least|from) 1"):
        dn.train("no such cfg", "no such text", **given)


@pytest.mark.parametrize("wrong", [b"text", 5, ["text"], True])
def test_train_refuses_a_cfg_that_is_no_path(wrong: Any) -> None:
    with pytest.raises(ValueError, match="cfg must be a path, not "):
        dn.train(wrong, "text.txt")


@pytest.mark.parametrize("wrong", [bytearray(b"text"), 5, ["text"], True])
def test_train_refuses_a_text_that_is_neither_a_path_nor_bytes(wrong: Any) -> None:
    with pytest.raises(ValueError, match="data must be a path, or a text as bytes"):
        dn.train("tiny", wrong)


@pytest.mark.parametrize(
    "option",
    [own for own in OPTIONS if own.check is not FLAG and own.check.metavar not in PATHS],
    ids=lambda option: option.name,
)
def test_the_command_refuses_what_an_option_cannot_be(option: Option) -> None:
    wrong = "1.5" if option.check is checks.FRACTION_OR_FILE else "x"
    outcome = invoke("train", "tiny", "no such text", option.flag, wrong)
    assert outcome.status == 2
    assert option.flag in outcome.stderr


def test_values_are_taken_as_numbers_and_paths_of_any_kind() -> None:
    given: dict[str, Any] = {
        "batches": np.int64(5),
        "seconds": np.float32(2),
        "out": Path("there"),
        "val": Path("held.txt"),
        "overrides": {"adam": True, "batch": 4},
        "state": "carry",
        "tokenized": True,
    }
    settings = Settings(**given)
    assert type(settings.batches) is int
    assert (settings.batches, settings.seconds) == (5, 2.0)
    assert (settings.out, settings.val) == ("there", "held.txt")
    assert settings.net_keys() == {"adam": "1", "batch": "4", "state": "carry", "tokenized": "1"}
    assert settings.given("batches", "seed", "plot") == {"batches": 5}


# --- going on


@pytest.mark.usefixtures("run_inputs")
def test_what_is_not_given_stays_as_it_was() -> None:
    free: dict[str, Any] = {
        "seconds": 1000.0,
        "val_every": 3,
        "patience": 40,
        "save_every": 4,
        "sample_every": 2,
        "threads": 1,
        "engine": "numpy",
    }
    dn.train("net.cfg", "text.txt", batches=2, seed=1, gradient="exact", **free)
    before = read_checkpoint("backup/net.state").plan
    assert {name: getattr(before, name) for name in free} == free
    dn.train(resume=True, batches=3)
    after = read_checkpoint("backup/net.state").plan
    assert after.kept() == {**before.kept(), "batches": 3}


@pytest.mark.usefixtures("run_inputs")
@pytest.mark.parametrize(
    ("name", "now"), [("seed", 2), ("dialect", "alexeyab"), ("gradient", "darknet-cpu")]
)
def test_what_must_stay_the_same_is_refused(name: str, now: Any) -> None:
    assert BY_NAME[name].resume is OnResume.SAME
    dn.train("net.cfg", "text.txt", batches=2, seed=1)
    given: dict[str, Any] = {name: now}
    with pytest.raises(dn.TrainingError, match=f"--{name}"):
        dn.train(resume=True, batches=3, **given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("weights", "some.weights"), ("clear", True)],
)
def test_what_is_for_a_new_run_is_refused_on_resume(name: str, value: Any) -> None:
    assert BY_NAME[name].resume is OnResume.NEW
    given: dict[str, Any] = {name: value}
    with pytest.raises(dn.TrainingError, match=f"leave out --{name}$"):
        dn.train(resume=True, **given)


@pytest.mark.usefixtures("run_inputs")
@pytest.mark.parametrize("setting", ["connected.output", "1.output"])
def test_a_width_that_cannot_be_is_blamed_on_the_setting(setting: str) -> None:
    error = invoke("train", "net.cfg", "text.txt", "--set", f"{setting}=100").error()
    assert error.startswith(f"Error: --set {setting}=100: the last layer has 100 outputs")
