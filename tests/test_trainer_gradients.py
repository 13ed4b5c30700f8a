"""The exact gradient of each tensor against central differences in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py import arrays
from darknet_py.activations import ACTIVATIONS
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from tests.support.gradients import check_gradient, random_state
from tests.support.networks import Array, draw_symbols, make_network, norms

pytestmark = pytest.mark.filterwarnings("error")

NET = "[net] inputs=7 batch=8 time_steps=4"
END = "[softmax]"
LINEAR = "[connected] output=7 activation=linear"

# The activations that need a wider input to show all their pieces.
REACH = {"plse": 4, "stair": 2, "hardtan": 1.5}

all_activations = pytest.mark.parametrize("activation", sorted(ACTIVATIONS))


# --- one layer, each activation ------------------------------------------------------------------


@norms
@all_activations
def test_rnn(activation: str, bn: int, dialect: Dialect) -> None:
    rnn = f"[rnn] output=5 hidden=4 activation={activation} batch_normalize={bn}"
    check_gradient(
        make_network(NET, rnn, LINEAR, END, dialect=dialect, reach=REACH.get(activation, 1))
    )


@norms
@all_activations
def test_connected(activation: str, bn: int, dialect: Dialect) -> None:
    first = f"[connected] output=5 activation={activation} batch_normalize={bn}"
    second = f"[connected] output=7 activation={activation} batch_normalize={bn}"
    check_gradient(
        make_network(NET, first, second, END, dialect=dialect, reach=REACH.get(activation, 1))
    )


# --- the other keys of [rnn] ---------------------------------------------------------------------


@norms
@pytest.mark.parametrize("activation", ["tanh", "leaky"])
def test_rnn_shortcut(activation: str, bn: int, dialect: Dialect) -> None:
    rnn = f"[rnn] output=5 hidden=4 activation={activation} batch_normalize={bn} shortcut=1"
    check_gradient(make_network(NET, rnn, LINEAR, END, dialect=dialect))


@pytest.mark.parametrize("bn", [0, 1])
@pytest.mark.parametrize("logistic", [1, 2])
def test_rnn_self_activation(logistic: int, bn: int) -> None:
    rnn = f"[rnn] output=5 hidden=4 activation=leaky logistic={logistic} batch_normalize={bn}"
    net = make_network(NET, rnn, LINEAR, END, dialect=ALEXEYAB)
    assert net.layers[0].self_layer.activation.name == ("logistic", "loggy")[logistic - 1]  # type: ignore[attr-defined]
    check_gradient(net)


@norms
@pytest.mark.parametrize("shortcut", [0, 1])
def test_rnn_from_a_state(shortcut: int, bn: int, dialect: Dialect) -> None:
    """As with state=carry; the gradient does not reach beyond the datum."""
    rnn = f"[rnn] output=5 hidden=4 activation=tanh batch_normalize={bn} shortcut={shortcut}"
    net = make_network(NET, rnn, rnn, LINEAR, END, dialect=dialect)
    check_gradient(net, random_state(net))


def test_rnn_over_one_step() -> None:
    check_gradient(
        make_network("[net] inputs=7 batch=8", "[rnn] output=5 activation=tanh", LINEAR, END)
    )


def test_rnn_on_one_stream() -> None:
    check_gradient(
        make_network("[net] inputs=7 time_steps=9", "[rnn] output=5 activation=tanh", LINEAR, END)
    )


# --- gated layers --------------------------------------------------------------------------------


@norms
@pytest.mark.parametrize("section", ["[gru] tanh=1", "[gru] tanh=0", "[lstm]"])
@pytest.mark.parametrize("start", ["zeros", "state"])
def test_gated_layers(start: str, section: str, bn: int, dialect: Dialect) -> None:
    first, second = (f"{section} output={n} batch_normalize={bn}" for n in (3, 4))
    net = make_network(NET, first, second, LINEAR, END, dialect=dialect)
    check_gradient(net, None if start == "zeros" else random_state(net))


def test_gru_of_alexeyab_has_no_tanh() -> None:
    updates = []
    for tanh in (0, 1):
        net = make_network(NET, f"[gru] output=5 tanh={tanh}", LINEAR, END, dialect=ALEXEYAB)
        net.trainer.accumulate(*draw_symbols(net), net.initial_state(8))
        updates.append(net.updates)
    np.testing.assert_array_equal(updates[0], updates[1])


# --- several layers ------------------------------------------------------------------------------

STACKS = {
    "two rnn": ["[rnn] output=4 activation=leaky", "[rnn] output=5 activation=leaky"],
    "widths": [
        "[rnn] output=3 hidden=5 activation=tanh",
        "[rnn] output=5 hidden=3 activation=logistic shortcut=1",
        "[rnn] output=4 activation=loggy",
    ],
    "connected first": [
        "[connected] output=4 activation=tanh",
        "[rnn] output=5 hidden=3 activation=leaky",
    ],
    "connected between": [
        "[rnn] output=4 activation=tanh",
        "[connected] output=3 activation=elu",
        "[rnn] output=5 activation=linear",
    ],
    "mixed": [
        "[lstm] output=3",
        "[rnn] output=2 hidden=4 activation=leaky",
        "[gru] output=4 tanh=1",
    ],
}


@norms
@pytest.mark.parametrize("stack", STACKS)
def test_stack(stack: str, bn: int, dialect: Dialect) -> None:
    sections = [f"{section} batch_normalize={bn}" for section in STACKS[stack]]
    check_gradient(make_network(NET, *sections, LINEAR, END, dialect=dialect))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_batch_norm_in_some_layers(dialect: Dialect) -> None:
    check_gradient(
        make_network(
            NET,
            "[rnn] output=4 activation=leaky batch_normalize=1",
            "[rnn] output=5 activation=tanh",
            "[connected] output=4 activation=logistic batch_normalize=1",
            LINEAR,
            END,
            dialect=dialect,
        )
    )


# --- softmax -------------------------------------------------------------------------------------

RNN = "[rnn] output=5 activation=tanh"


@pytest.mark.parametrize("temperature", [0.5, 1, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_softmax(temperature: float, groups: int) -> None:
    wide = "[connected] output=8 activation=linear"
    end = f"[softmax] temperature={temperature} groups={groups}"
    check_gradient(make_network(NET.replace("inputs=7", "inputs=8"), RNN, wide, end))


def test_softmax_as_the_first_layer() -> None:
    """It takes no symbols, so they are made one-hot for it."""
    check_gradient(make_network(NET, "[softmax] temperature=.3 noloss=1", RNN, LINEAR, END))


@pytest.mark.parametrize("groups", [1, 2])
def test_softmax_in_the_middle(groups: int) -> None:
    middle = f"[softmax] temperature=.5 groups={groups} noloss=1"
    first = "[connected] output=6 activation=linear"
    check_gradient(make_network(NET, first, middle, LINEAR, END))


@pytest.mark.parametrize("middle", [END, "[logistic]", "[cost]", "[cost] type=L1 scale=3"])
def test_a_layer_with_a_loss_below_the_last(middle: str) -> None:
    """Its loss does not count, and the delta of the last one goes through it."""
    first = "[connected] output=6 activation=linear"
    check_gradient(make_network(NET, first, middle, LINEAR, END))


# --- the small layers, and other losses ----------------------------------------------------------


@pytest.mark.parametrize("activation", ["leaky", "linear", "logistic", "hardtan"])
def test_activation_layer(activation: str) -> None:
    check_gradient(make_network(NET, RNN, f"[activation] activation={activation}", LINEAR, END))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_batchnorm_layer(dialect: Dialect) -> None:
    """In AlexeyAB's dialect it has biases."""
    net = make_network(NET, RNN, "[batchnorm]", LINEAR, "[batchnorm]", END, dialect=dialect)
    assert ("1.bias" in {tensor.name for tensor in net.tensors()}) == (dialect is ALEXEYAB)
    check_gradient(net)


def test_dropout_layer() -> None:
    drop = "[dropout] probability=.4"
    check_gradient(make_network(NET, RNN, drop, RNN, drop, LINEAR, END))


def test_logistic_layer() -> None:
    check_gradient(make_network(NET, RNN, LINEAR, "[logistic]"))


@pytest.mark.parametrize("kind", ["sse", "masked", "smooth", "L1"])
@pytest.mark.parametrize("above", [LINEAR, "[softmax] noloss=1 temperature=.5"])
def test_cost_layer(above: str, kind: str) -> None:
    """darknet's delta of a square is the difference, half the gradient."""
    net = make_network(NET, RNN, LINEAR, above, f"[cost] type={kind} scale=3", reach=2)
    check_gradient(net, share=3 if kind == "L1" else 1.5)


def test_softmax_groups_of_more_than_a_byte() -> None:
    """Targets may come as bytes, whose arithmetic ends at 255."""
    wide = "[connected] output=600 activation=linear"
    net = make_network(NET.replace("inputs=7", "inputs=600"), wide, "[softmax] groups=2")
    inputs, targets = (symbols % 256 for symbols in draw_symbols(net))
    net.trainer.accumulate(inputs, targets, net.initial_state(8))
    expected = net.updates.copy()
    net.trainer.accumulate(inputs.astype(np.uint8), targets.astype(np.uint8), net.initial_state(8))
    np.testing.assert_array_equal(net.updates, expected)


# --- where the gradient is bounded, and how it is computed ---------------------------------------


def bounded_backward(delta: Array, x: Array, scales: Array, dialect: Dialect) -> Array:
    """DARKNET's formula with q bounded, one column after the other; x (streams, features)."""
    below = np.empty_like(delta)
    n = len(x)
    for j in range(x.shape[1]):
        m = x[:, j].sum() / n
        v = ((x[:, j] - m) ** 2).sum() / (n - 1)
        d = delta[:, j] * scales[j]
        if dialect is UPSTREAM:
            root, divisor = np.sqrt(v), np.sqrt(v) + 1e-6
            factor = divisor / root if root > 0 else 1
        else:
            divisor, factor = np.sqrt(v + 1e-5), 1
        x_norm = (x[:, j] - m) / divisor
        q = min(1 / divisor, 1 / np.sqrt(1e-5))
        below[:, j] = q * (d - d.mean() - x_norm * (d * x_norm).sum() / (n - 1) * factor)
    return below


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_batch_norm_gradient_is_bounded_where_a_column_is_nearly_constant(dialect: Dialect) -> None:
    rng = np.random.default_rng(3)
    deviations = np.array([0, 1e-7, 1e-5, 1e-3, 3e-3, 3.5e-3, 1e-2, 1])
    streams, features = 16, len(deviations)
    shape = (1, streams, features)
    x = 2 + deviations * rng.standard_normal(shape)
    scales = rng.uniform(0.5, 2, features)
    delta = rng.standard_normal(shape)
    expected = bounded_backward(delta[0], x[0], scales, dialect)

    net = make_network("[net] inputs=8", "[batchnorm]", END, dialect=dialect)
    norm = net.layers[0].norm  # type: ignore[attr-defined]
    norm.scales.values[...] = scales
    norm.begin(x, training=True)
    norm.forward(slice(0, 1))
    norm.begin_backward()
    norm.backward(delta, slice(0, 1))
    # The two passes round differently, and a flat column magnifies that.
    np.testing.assert_allclose(delta[0], expected, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("bn", [0, 1])
def test_passes_in_pieces_of_any_size_are_the_same(
    bn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Element-wise passes walk over their arrays in pieces that fit in cache."""
    rnn = f"[rnn] output=5 hidden=4 activation=leaky batch_normalize={bn}"
    results = []
    for size in (1 << 16, 100, 1):
        monkeypatch.setattr(arrays, "PART", size)
        net = make_network(NET, rnn, LINEAR, END)
        loss = net.train_batch(*draw_symbols(net))
        results.append([loss, *net.updates, *net.parameters])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(results[2], results[0], rtol=1e-12, atol=1e-14)


@norms
def test_single_precision_agrees_with_double(bn: int, dialect: Dialect) -> None:
    sections = [f"{section} batch_normalize={bn}" for section in STACKS["two rnn"]]
    updates = []
    for dtype in (np.float32, np.float64):
        net = make_network(NET, *sections, LINEAR, END, dialect=dialect, dtype=dtype)
        net.trainer.accumulate(*draw_symbols(net), net.initial_state(8))
        assert net.updates.dtype == dtype
        updates.append(net.updates.astype(np.float64))
    single, double = updates
    np.testing.assert_allclose(single, double, rtol=0, atol=2e-5 * np.abs(double).max())
