"""The layers' formulas of one time step, and numpy that carries them out."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

import numpy as np
import pytest

from darknet_py.activations import tanh
from darknet_py.arrays import Steps
from darknet_py.cfg import Section
from darknet_py.dialect import ALEXEYAB, UPSTREAM, Dialect
from darknet_py.errors import CfgError
from darknet_py.inference.generation import generate
from darknet_py.layers import LAYERS, Layer
from darknet_py.layers.base import ForwardContext, Parameter, Setting, State
from darknet_py.layers.connected import Connected
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.network import Network
from darknet_py.program import Value, Values
from tests.support.networks import Array, make_network, norms

RECURRENT = [
    "[rnn] output=8 hidden=5 activation=leaky",
    "[rnn] output=8 shortcut=1 logistic=1 activation=tanh",
    "[crnn] output_filters=8 hidden_filters=5",
    "[crnn] output=9 hidden=6 size=1 groups=3 shortcut=1 activation=tanh",
    "[gru] output=8",
    "[gru] output=8 tanh=1",
    "[lstm] output=8",
]
HEAD, TAIL = "[net] inputs=9 batch=2 time_steps=3", "[connected] output=9 activation=leaky"


def states_of(net: Network, streams: int) -> tuple[State, ...]:
    """States that are not zero."""
    rng = np.random.default_rng(4)
    start = net.initial_state(streams)
    return tuple(tuple(rng.normal(0, 0.5, part.shape) for part in own) for own in start)


def assert_steps_are_the_forward(net: Network, streams: int) -> None:
    """What the output layer gets, or gives where it is no softmax, step by step and all at once."""
    symbols = np.random.default_rng(3).integers(0, net.inputs, (7, streams))
    start = states_of(net, streams)
    count = net.output_layer.index + (net.output_layer.kind != "softmax")
    expected, _ = net.forward(symbols, start, count=count)
    step = net.stepper(start, streams)
    rows = [step(row[0] if streams == 1 else row).reshape(streams, -1).copy() for row in symbols]
    np.testing.assert_allclose(rows, expected, rtol=1e-10, atol=1e-12)


@norms
@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("section", [*RECURRENT, "[connected] output=8"])
def test_a_step_is_the_forward_of_one_time_step(
    section: str, streams: int, bn: int, dialect: Dialect
) -> None:
    section = f"{section} batch_normalize={bn}"
    net = make_network(HEAD, section, section, TAIL, "[softmax]", dialect=dialect)
    assert_steps_are_the_forward(net, streams)


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("dialect", [UPSTREAM, ALEXEYAB])
@pytest.mark.parametrize(
    "sections",
    [
        ["[batchnorm]", "[dropout]", "[activation] activation=elu", "[softmax]"],
        ["[dropout]", "[gru] output=9", "[dropout]", "[activation] activation=tanh", "[logistic]"],
        ["[softmax] groups=3 temperature=.5", "[connected] output=9", "[softmax]", "[cost]"],
        ["[connected] output=9 activation=logistic", "[cost]"],
    ],
)
def test_a_step_of_the_other_layers(sections: list[str], dialect: Dialect, streams: int) -> None:
    assert_steps_are_the_forward(make_network(HEAD, *sections, dialect=dialect), streams)


@pytest.mark.parametrize("section", RECURRENT)
def test_a_recurrent_step_reads_as_a_formula(section: str) -> None:
    """It calls nothing but connected layers and activations, as PyTorch's module will."""
    layer = make_network(HEAD, section, TAIL).layers[0]
    code = type(layer).step.__code__
    own = [getattr(layer, name) for name in code.co_names if hasattr(layer, name)]
    parts = [part for part in own if callable(part)]
    assert {*parts} >= {*getattr(layer, "parts", {"": parts[0]}).values()}
    assert {*code.co_names} - {*dir(layer)} <= {"sigmoid", "tanh"}
    assert not code.co_freevars


def test_every_layer_has_a_step_of_its_own() -> None:
    for kind, layer in LAYERS.items():
        assert layer.step is not Layer.step, kind


# --- a layer that someone adds -------------------------------------------------------------------


class Late(RecurrentLayer):
    """y = the x of two steps before plus gain; states are passed on, and nothing else."""

    kind = "late"
    takes_symbols = False
    gives_state: ClassVar[bool] = True

    def __init__(self, section: Section, setting: Setting) -> None:
        n = setting.inputs
        super().__init__(section, setting, n, a=n, b=n)
        self.gain = Parameter(f"{setting.index}.gain", (setting.inputs,))

    def linears(self) -> list[Connected]:
        return []

    def parameters(self) -> list[Parameter]:
        return [self.gain]

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        a, b = state
        return b, (x, a)

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        everything = np.concatenate([state[1][None], state[0][None], x])
        return everything[: len(x)], (everything[-1], everything[-2])


class Numbers(Late):
    """Parameters and numbers on either side of a formula."""

    kind = "numbers"

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        a, b = state
        f = tanh(x)
        y = 1 - (self.gain * a - 0.5) * self.gain + (b - self.gain) * 2 + f * x
        return y, (f, a + 1)

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        (a, b), gain, y = state, self.gain.values, np.empty_like(x)
        for t, row in enumerate(x):
            y[t] = 1 - (gain * a - 0.5) * gain + (b - gain) * 2 + np.tanh(row) * row
            a, b = np.tanh(row), a + 1
        return y, (a, b)


@pytest.mark.parametrize("layer", [Late, Numbers])
@pytest.mark.parametrize("streams", [1, 3])
def test_a_formula_of_any_layer(
    layer: type[Layer], streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAYERS, layer.kind, layer)
    sections = [f"[{layer.kind}]", "[gru] output=4", f"[{layer.kind}]", TAIL, "[softmax]"]
    assert_steps_are_the_forward(make_network(HEAD, *sections), streams)


def test_a_layer_without_a_step_writes_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Late):
        kind = "mute"
        step = Layer.step

    monkeypatch.setitem(LAYERS, "mute", Mute)
    net = make_network(HEAD, "[mute]", TAIL, "[softmax]")
    with pytest.raises(CfgError, match=r"layer 0: \[mute\] has no step"):
        next(generate(net, [1], 5))


def test_the_operations_of_a_layer_in_their_order() -> None:
    net = make_network(HEAD, "[gru] output=4", TAIL, "[softmax]")
    gru, connected, softmax = net.program().parts
    assert [own.name for own in gru.operations] == [
        *["connect", "connect", "add", "activate"] * 2,
        *["multiply", "connect", "connect", "add", "activate"],
        *["subtract", "multiply", "add"],
    ]
    assert gru.after == (gru.y,)
    assert [own.name for own in connected.operations] == ["connect", "activate"]
    assert [own.by.kind for own in softmax.operations] == ["softmax"]
    widths: Any = [value.width for value in (net.program().symbols, *gru.before, connected.y)]
    assert widths == [1, 4, 9]


def test_two_steppers_of_a_network_do_not_meet() -> None:
    net = make_network(HEAD, *RECURRENT[4:], "[softmax]", "[softmax]")
    symbols = [Random(1).randrange(9) for _ in range(9)]
    alone, one, other = (net.stepper(net.initial_state(1)) for _ in range(3))
    for symbol in symbols:
        expected = alone(symbol).copy()
        y = one(symbol)
        other((symbol + 1) % 9)
        np.testing.assert_array_equal(y, expected)
