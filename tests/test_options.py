"""Overrides of keys: where they stand, whom errors blame, and which have no effect."""

from __future__ import annotations

import pytest

from darknet_py import load_network
from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError
from darknet_py.network import Network
from darknet_py.options import NetOptions, check_effect, override
from tests.support.networks import cfg_text
from tests.support.recorded import RECORDED

SOFTMAX = "[softmax]\n"
PLAIN = "[net]\nsteps=1,2\nbatch=16\n[connected]\noutput=4\n"


def test_overrides_stand_in_the_text_and_parse_back() -> None:
    text = "# mine\n[net]\n batch = 4\nmomentum = .5\n;end\n[softmax]\nbatch=7\n"
    cfg = override(parse_cfg(text), {"batch": 8, "gamma": 0.5, "adam": True}, "--set")
    added = "gamma=0.5\nadam=1\nsubdivisions=1\n"
    assert cfg.text() == (
        f"# mine\n[net]\n{added}batch=8\nmomentum = .5\n;end\n[softmax]\nbatch=7\n"
    )
    net, softmax = parse_cfg(cfg.text()).sections
    assert {key: option.value for key, option in net.options.items()} == {
        "batch": "8",
        "momentum": ".5",
        "gamma": "0.5",
        "adam": "1",
        "subdivisions": "1",
    }
    assert softmax.options["batch"].value == "7"


def test_the_last_override_wins_and_leaves_the_original_as_it_was() -> None:
    cfg = parse_cfg(PLAIN)
    changed = override(override(cfg, {"batch": 99}, "--set"), {"batch": 98})
    assert parse_cfg(changed.text()).net.options["batch"].value == "98"
    assert cfg.net.options["batch"].value == "16"
    repeated = override(parse_cfg("[net]\ngamma=4\ngamma=5\n[softmax]\n"), {"gamma": 6})
    assert parse_cfg(repeated.text()).net.options["gamma"].value == "6"


def test_a_batch_alone_sets_subdivisions_to_1() -> None:
    cfg = parse_cfg("[net]\ninputs=2\nbatch=8\nsubdivisions=4\n[softmax]\n")
    assert NetOptions.of(override(cfg, {"batch": 2}).net).subdivisions == 1
    both = override(cfg, {"batch": 6, "subdivisions": 2})
    assert NetOptions.of(both.net).subdivisions == 2
    assert NetOptions.of(override(cfg, {"gamma": 2}).net).subdivisions == 4


def test_a_bad_override_names_where_it_came_from() -> None:
    cfg = override(parse_cfg(f"[net]\ninputs=2\n{SOFTMAX}"), {"batch": "many"}, "--set")
    with pytest.raises(CfgError, match=r"^--set: batch='many': expected a whole number"):
        NetOptions.of(cfg.net)
    path = RECORDED / "rnn-bn-leaky" / "test.cfg"
    with pytest.raises(CfgError, match=r"override: batch='-1': expected a whole number"):
        load_network(path, batch=-1)


@pytest.mark.parametrize(
    ("key", "value"), [("", "1"), ("a", ""), (" ", "1"), ("#a", "1"), ("[a", "1"), ("a=b", "1")]
)
def test_an_override_that_could_not_be_written_is_refused(key: str, value: str) -> None:
    with pytest.raises(CfgError, match="expected KEY=VALUE"):
        override(parse_cfg(PLAIN), {key: value}, "--set")


OVERRIDES = [
    ({"subdivisions": 3}, "--set subdivisions=3: batch=4 is not divisible"),
    ({"batch": 5, "subdivisions": 3}, "--set batch=5 --set subdivisions=3: "),
    ({"policy": "poly"}, "--set policy=poly: policy=poly needs max_batches"),
    ({"policy": "steps"}, "--set policy=steps: steps is missing"),
    ({"policy": "steps", "steps": "1,2", "scales": "1"}, "--set steps=1,2 --set scales=1 "),
    ({"inputs": 4}, "--set inputs=4: the last layer has 3 outputs and the network 4 inputs; "),
    ({"batch": 1}, "--set batch=1 --set subdivisions=1: my.cfg:6: [rnn]"),
    ({"batch": 2**30}, "--set batch=1073741824 --set subdivisions=1: the states of"),
]


@pytest.mark.parametrize(("overrides", "start"), OVERRIDES)
def test_an_error_that_overrides_cause_names_them(overrides: dict[str, object], start: str) -> None:
    layers = ("[rnn] output=3 batch_normalize=1", "[connected] output=3", "[softmax]")
    cfg = parse_cfg(cfg_text("[net] inputs=3 batch=4 time_steps=2", *layers), "my.cfg")
    with pytest.raises(CfgError) as caught:
        Network(override(cfg, overrides, "--set")).check_trainable()
    assert str(caught.value).startswith(start)


EFFECTS: list[tuple[dict[str, object], str]] = [
    ({"steps": "1,2"}, "policy=steps"),
    ({"scales": "1,2"}, "policy=steps"),
    ({"scale": 2}, "policy=step;"),
    ({"step": 2}, "policy=step or policy=sigmoid"),
    ({"gamma": 2}, "policy=exp or policy=sigmoid"),
    ({"power": 2}, "policy=poly or policy=random or with burn_in"),
    ({"B1": 0.5}, "adam=1"),
    ({"B2": 0.5}, "adam=1"),
    ({"eps": 0.5}, "adam=1"),
    ({"momentum": 0.5, "adam": 1}, "adam=0"),
    ({"height": 5}, "no inputs"),
    ({"power": 2, "burn_in": 5}, ""),
    ({"power": 2, "policy": "random"}, ""),
    ({"steps": "1", "scales": "2", "policy": "steps"}, ""),
    ({"step": 2, "scale": 2, "policy": "step"}, ""),
    ({"step": 2, "gamma": 2, "policy": "sigmoid"}, ""),
    ({"B1": 0.5, "adam": 1}, ""),
    ({"momentum": 0.5, "decay": 0.1, "burn_in": 3, "learning_rate": 1}, ""),
]


@pytest.mark.parametrize(("overrides", "wanted"), EFFECTS)
def test_an_override_without_effect_is_refused(overrides: dict[str, object], wanted: str) -> None:
    cfg = override(parse_cfg(f"[net]\ninputs=3\n{SOFTMAX}"), overrides, "--set")
    if not wanted:
        check_effect(cfg.net, overrides)
        return
    key, value = next(iter(overrides.items()))
    with pytest.raises(CfgError) as caught:
        check_effect(cfg.net, overrides)
    message = str(caught.value)
    assert message.startswith(f"--set {key}={value} has no effect: {key} needs ")
    assert wanted in message


def test_in_the_programs_arithmetic_adam_never_acts() -> None:
    cfg = override(
        parse_cfg(f"[net]\ninputs=3\nadam=1\n{SOFTMAX}"), {"momentum": 0.5, "B1": 0.5}, "--set"
    )
    check_effect(cfg.net, ["momentum"], adam=False)
    with pytest.raises(CfgError, match="B1 needs"):
        check_effect(cfg.net, ["B1"], adam=False)
