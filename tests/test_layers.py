"""Each layer by itself: the gradients of its inputs and state, its formulas, its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from darknet_py.cfg import parse_cfg
from darknet_py.dialect import UPSTREAM, Dialect
from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.layers import Layer, LossLayer
from darknet_py.layers.base import PREDICTION, ForwardContext
from darknet_py.layers.connected import FEW_STEPS
from darknet_py.layers.dropout import counted
from darknet_py.layers.masks import draw
from darknet_py.layers.norm import SMALLEST_DEVIATION
from darknet_py.network import Network
from darknet_py.rand import Rand
from tests.support.gradients import (
    STEP,
    TOLERANCE,
    check_gradient,
    random_state,
    smallest_deviation,
)
from tests.support.networks import (
    Array,
    both_dialects,
    cfg_text,
    draw_symbols,
    make_network,
    norms,
    values_of,
)

pytestmark = pytest.mark.filterwarnings("error")

TRAINING = ForwardContext(training=True)
NET = "[net] inputs=7 batch=8 time_steps=4 learning_rate=.5 momentum=.8 decay=.01"
RNN = "[rnn] output=5 hidden=4 activation=tanh"
LINEAR = "[connected] output=7 activation=linear"
END = "[softmax]"

RECURRENT = {
    "rnn": RNN,
    "shortcut": f"{RNN} shortcut=1",
    "crnn": "[crnn] output=5 hidden=4 size=1 activation=tanh",
    "crnn 3x3": "[crnn] output_filters=5 hidden_filters=4 activation=tanh shortcut=1",
    "gru": "[gru] output=5",
    "gru tanh": "[gru] output=5 tanh=1",
    "lstm": "[lstm] output=5",
}
recurrent = pytest.mark.parametrize("section", RECURRENT.values(), ids=RECURRENT)


def numeric(value: Callable[[], float], array: Array) -> Array:
    """The gradient of `value` in every entry of `array`, by central differences."""
    gradient = np.empty_like(array)
    for place in np.ndindex(*array.shape):
        kept = array[place]
        array[place] = kept + STEP
        above = value()
        array[place] = kept - STEP
        below = value()
        array[place] = kept
        gradient[place] = (above - below) / (2 * STEP)
    return gradient


def assert_close(found: Array, expected: Array) -> None:
    largest = np.abs(expected).max()
    assert largest > 1e-2
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * largest)


def second_layer(
    section: str, dialect: Dialect = UPSTREAM, **options: Any
) -> tuple[Network, Layer]:
    """A layer of 3 inputs that are numbers, not symbols, and the network that holds it."""
    below = "[connected] output=3 activation=linear"
    net = make_network(NET, below, section, dialect=dialect)
    return net, net.layers[1]


# --- the gradient in the inputs and in the state -------------------------------------------------


INPUT_LAYERS = {
    **RECURRENT,
    "connected": "[connected] output=5 activation=tanh",
    "activation": "[activation] activation=logistic",
    "batchnorm": "[batchnorm]",
    "dropout": "[dropout] probability=.4",
    "softmax": "[softmax] noloss=1 temperature=.7",
}


@norms
@pytest.mark.parametrize("section", INPUT_LAYERS.values(), ids=INPUT_LAYERS)
def test_the_deltas_of_inputs_and_state(section: str, bn: int, dialect: Dialect) -> None:
    """Of any function of the outputs and of the state after, also where the state is not 0."""
    if "connected" in section or section in RECURRENT.values():
        section += f" batch_normalize={bn}"
    net, layer = second_layer(section, dialect)
    rng = np.random.default_rng(5)
    x = rng.standard_normal((4, 8, 3))
    state = random_state(net)[1]
    weights = rng.standard_normal((4, 8, layer.outputs))

    def value() -> float:
        return float(np.sum(weights * layer.forward(x, state, TRAINING)[0]))

    expected = numeric(value, x)
    value()
    assert smallest_deviation(net, [(), state]) > SMALLEST_DEVIATION
    below = np.full_like(x, np.nan)
    layer.backward(weights.copy(), below)
    assert_close(below, expected)


def test_a_connected_layer_below_takes_the_deltas_of_every_layer() -> None:
    """Its parameters see the others' input deltas; it is the one that numbers reach last."""
    for section in INPUT_LAYERS.values():
        first = "[connected] output=6 activation=tanh"
        check_gradient(make_network(NET, first, section, LINEAR, END, seed=3))


@pytest.mark.parametrize("activation", ["tanh", "logistic", "loggy", "elu", "selu", "linear"])
def test_smooth_activation_layers(activation: str) -> None:
    section = f"[activation] activation={activation}"
    check_gradient(make_network(NET, RNN, section, LINEAR, END))


@norms
def test_all_kinds_in_one_stack(bn: int, dialect: Dialect) -> None:
    check_gradient(
        make_network(
            NET,
            f"[rnn] output=4 activation=tanh batch_normalize={bn}",
            "[dropout] probability=.3",
            f"[lstm] output=3 batch_normalize={bn}",
            f"[gru] output=4 batch_normalize={bn}",
            "[batchnorm]",
            "[activation] activation=loggy",
            LINEAR,
            "[softmax] noloss=1",
            "[cost] type=L1",
            dialect=dialect,
        )
    )


@both_dialects
def test_all_kinds_from_a_state(dialect: Dialect) -> None:
    sections = [NET, *RECURRENT.values(), LINEAR, END]
    net = make_network(*sections, dialect=dialect)
    check_gradient(net, random_state(net))


# --- subdivisions, stopbackward, learning_rate ---------------------------------------------------


@norms
@recurrent
def test_subdivisions_add_up_their_datums(section: str, bn: int, dialect: Dialect) -> None:
    """One update, by the sum of what each datum gives; statistics roll on from one to the next."""
    sections = [f"{section} batch_normalize={bn}", LINEAR, END]
    divided = NET.replace("batch=8", "batch=16 subdivisions=2 momentum=0")
    net = make_network(divided, *sections, dialect=dialect)
    single = make_network(NET, *sections, dialect=dialect)
    data = [draw_symbols(net, seed) for seed in (2, 3)]
    summed = np.zeros_like(net.updates)
    for inputs, targets in data:
        loss, _ = single.trainer.accumulate(inputs, targets, single.initial_state(8))
        summed += single.updates
        assert net.train_batch(inputs, targets) == loss / 32
    for tensor, own in zip(net.tensors(), single.tensors(), strict=True):
        step = summed[tensor.span].reshape(tensor.shape)
        if tensor.decayed:
            step = step - 0.01 * 64 * own.values
        expected = own.values + (0.5 / 64 * step if tensor.trained else 0)
        np.testing.assert_allclose(tensor.values, expected, rtol=1e-12, atol=1e-14)


@norms
@recurrent
def test_stopbackward_ends_training_below_and_changes_nothing_above(
    section: str, bn: int, dialect: Dialect
) -> None:
    below = [f"{section} batch_normalize={bn}", "[connected] output=4 activation=tanh"]
    above = [f"{section} batch_normalize=0", LINEAR, END]
    free = make_network(NET, *below, *above, dialect=dialect)
    stopped = make_network(NET, below[0], f"{below[1]} stopbackward=1", *above, dialect=dialect)
    before = values_of(stopped)
    inputs, targets = draw_symbols(free)
    for _ in range(3):
        stopped.train_batch(inputs, targets)
    for name, values in values_of(stopped).items():
        assert (values == before[name]).all() == (name[0] in "01"), name
    if bn:
        return  # below, the rolling statistics count then, not those of the datum
    for tensor in stopped.tensors():
        tensor.values[...] = before[tensor.name]
    losses = [
        net.trainer.accumulate(inputs, targets, net.initial_state(8))[0] for net in (free, stopped)
    ]
    assert losses[0] == losses[1]
    for tensor in free.tensors():
        if tensor.name[0] not in "01":
            place = tensor.span
            np.testing.assert_array_equal(stopped.updates[place], free.updates[place])
    assert abs(free.updates[: tensor.span.start]).max() > 1e-3


@both_dialects
def test_layers_below_stopbackward_normalize_as_when_predicting(dialect: Dialect) -> None:
    """And drop nothing."""
    bn = "[connected] output=5 activation=tanh batch_normalize=1"
    stop = "[activation] activation=linear stopbackward=1"
    net = make_network(NET, bn, "[batchnorm]", "[dropout]", stop, LINEAR, END, dialect=dialect)
    inputs, targets = draw_symbols(net)
    losses, _ = net.losses(inputs, targets, net.initial_state(8))
    before = values_of(net)
    assert net.train_batch(inputs, targets) == pytest.approx(losses.mean(), rel=1e-13)
    for name, values in values_of(net).items():
        assert (values == before[name]).all() == (name[0] in "01"), name


@pytest.mark.parametrize("adam", [0, 1])
@pytest.mark.parametrize(
    "section", [RNN, "[gru] output=5", "[lstm] output=5", "[connected] output=5", "[batchnorm]"]
)
def test_learning_rate_of_a_layer_multiplies_its_steps_only(section: str, adam: int) -> None:
    options = f"{NET} adam={adam}"
    first = "[connected] output=5 activation=tanh"
    plain = make_network(options, first, section, LINEAR, END)
    slow = make_network(options, first, f"{section} learning_rate=.25", LINEAR, END)
    before = values_of(plain)
    for net in (plain, slow):
        net.train_batch(*draw_symbols(net))
    for tensor, own in zip(slow.tensors(), plain.tensors(), strict=True):
        share = 0.25 if tensor.name[0] == "1" and tensor.trained else 1
        expected = share * (own.values - before[own.name])
        np.testing.assert_allclose(
            tensor.values - before[own.name], expected, rtol=1e-9, atol=1e-15, err_msg=own.name
        )
        assert expected.any()


# --- formulas, step by step ----------------------------------------------------------------------


def sigma(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def stepwise(net: Network, name: str, x: Array) -> Array:
    """y = x W^T, then the bias or batch norm of these rows, of the part `name` of layer 1."""
    t = {tensor.name.removeprefix(f"1.{name}."): tensor.values for tensor in net.tensors()}
    weight = t["weight"]
    if weight.ndim == 4:  # a kernel, whose middle tap alone sees the one pixel
        weight = weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2]
    product = x @ weight.T
    if "scale" in t:
        mean = product.mean(axis=0)
        variance = np.square(product - mean).sum(axis=0) / (len(x) - 1)
        if net.dialect is UPSTREAM:
            product = (product - mean) / (np.sqrt(variance) + 1e-6)
        else:
            product = (product - mean) / np.sqrt(variance + 1e-5)
        product = product * t["scale"]
    return np.asarray(product + t["bias"])


@norms
@recurrent
def test_recurrent_layers_by_the_formula(section: str, bn: int, dialect: Dialect) -> None:
    net, layer = second_layer(f"{section} batch_normalize={bn}", dialect)
    x = np.random.default_rng(6).standard_normal((4, 8, 3))
    state = random_state(net)[1]
    y, after = layer.forward(x, state, TRAINING)

    def part(name: str, x: Array) -> Array:
        return stepwise(net, name, x)

    s = [array.copy() for array in state]
    for t in range(4):
        if layer.kind in ("rnn", "crnn"):
            kept = s[0] if "shortcut" in section else 0
            s = [np.tanh(part("input", x[t])) + np.tanh(part("self", s[0])) + kept]
            expected = np.tanh(part("output", s[0]))
        elif layer.kind == "gru":
            z = sigma(part("wz", s[0]) + part("uz", x[t]))
            r = sigma(part("wr", s[0]) + part("ur", x[t]))
            is_tanh = "tanh=1" in section and dialect is UPSTREAM
            h = (np.tanh if is_tanh else sigma)(part("wh", r * s[0]) + part("uh", x[t]))
            s = [z * s[0] + (1 - z) * h]
            expected = s[0]
        else:
            f, i, o = (sigma(part(f"w{k}", s[0]) + part(f"u{k}", x[t])) for k in "fio")
            g = np.tanh(part("wg", s[0]) + part("ug", x[t]))
            c = f * s[1] + i * g
            s = [o * np.tanh(c), c]
            expected = s[0]
        np.testing.assert_allclose(y[t], expected, rtol=1e-9, atol=1e-12)
    for found, own in zip(after, s, strict=True):
        np.testing.assert_allclose(found, own, rtol=1e-9, atol=1e-12)


LOSSES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sse": (np.square, lambda d: d),
    "masked": (np.square, lambda d: d),
    "L1": (np.abs, np.sign),
    "smooth": (
        lambda d: np.where(abs(d) < 1, d * d, 2 * abs(d) - 1),
        lambda d: np.where(abs(d) < 1, d, np.sign(d)),
    ),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_cost_by_the_formula(kind: str) -> None:
    """`scale` multiplies the delta, not the loss."""
    layer = make_network(NET, f"[cost] type={kind} scale=3").layers[0]
    assert isinstance(layer, LossLayer)
    x = 2 * np.random.default_rng(4).standard_normal((4, 8, 7))
    targets = np.random.default_rng(5).integers(0, 7, (4, 8))
    y, _ = layer.forward(x.copy(), (), TRAINING)
    np.testing.assert_array_equal(y, x)
    d = np.eye(7)[targets] - x
    assert (abs(d) < 1).any()
    assert (abs(d) > 1).any()
    loss, delta = LOSSES[kind]
    np.testing.assert_allclose(layer.losses(targets), loss(d).sum(axis=-1), rtol=1e-13)
    np.testing.assert_allclose(layer.loss_delta(targets), 3 * delta(d), rtol=1e-13)


def test_logistic_by_the_formula() -> None:
    layer = make_network(NET, "[logistic]").layers[0]
    assert isinstance(layer, LossLayer)
    x = 2 * np.random.default_rng(4).standard_normal((4, 8, 7))
    targets = np.random.default_rng(5).integers(0, 7, (4, 8))
    p, truth = sigma(x), np.eye(7)[targets]
    y, _ = layer.forward(x, (), TRAINING)
    np.testing.assert_allclose(y, p, rtol=1e-13)
    losses = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).sum(axis=-1)
    np.testing.assert_allclose(layer.losses(targets), losses, rtol=1e-12)
    np.testing.assert_allclose(layer.loss_delta(targets), truth - p, atol=1e-14)


def test_logistic_is_finite_where_it_is_sure_and_wrong() -> None:
    net = make_network("[net] inputs=2", "[logistic]", dtype=np.float32)
    layer = net.layers[0]
    assert isinstance(layer, LossLayer)
    with np.errstate(all="raise", under="ignore"):
        layer.forward(np.array([[[-2000, 3000]]], np.float32), (), TRAINING)
        assert layer.losses(np.array([[0]])) == 5000
        np.testing.assert_array_equal(layer.loss_delta(np.array([[0]])), [[[1, -1]]])


def test_a_cost_after_a_softmax_with_a_loss_is_ignored_with_a_warning() -> None:
    plain = make_network(NET, RNN, LINEAR, END)
    text = cfg_text(NET, RNN, LINEAR, END, "[cost] type=sse")
    told = r"^my.cfg:\d+: \[cost\] after \[softmax\], which has a loss, is ignored"
    with pytest.warns(DarknetWarning, match=told):
        net = Network(parse_cfg(text, "my.cfg"), dtype=np.float64)
    net.parameters[...] = plain.parameters
    inputs, targets = draw_symbols(net)
    assert net.train_batch(inputs, targets) == plain.train_batch(inputs, targets)
    np.testing.assert_array_equal(net.parameters, plain.parameters)


# --- dropout -------------------------------------------------------------------------------------


def numbers(context: ForwardContext, layer: int, shape: tuple[int, int, int]) -> Array:
    """Those of a part of a datum, (time_steps, streams, features)."""
    time_steps, streams, features = shape
    where = counted(context, layer, streams, features)
    return draw(where, time_steps * streams, features).reshape(shape)


def test_the_numbers_are_those_of_philox_by_seed_layer_and_datum() -> None:
    """By its own authors' definition: a key of (seed, layer), a counter of (block, datum)."""
    context = ForwardContext(training=True, first_stream=1, all_streams=4, seed=9, datum=6)
    found = numbers(context, 3, (2, 2, 20))
    for step, stream, feature in np.ndindex(found.shape):
        block = (step * 4 + 1 + stream) * 2 + feature // 16
        # numpy counts one further before each block.
        words = philox([block + 1, 6, 0, 0], [9, 3])
        number = words[feature % 16 // 4] >> 16 * (feature % 4) & 0xFFFF
        assert found[step, stream, feature] == number


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 in plain integers, as in the paper."""
    mask = 2**64 - 1
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [
            (second >> 64) ^ counter[1] ^ key[0],
            second & mask,
            (first >> 64) ^ counter[3] ^ key[1],
            first & mask,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) & mask, (key[1] + 0xBB67AE8584CAA73B) & mask]
    return counter


@pytest.mark.parametrize("features", [1, 15, 16, 17, 48])
def test_any_part_of_a_datum_has_its_numbers_without_the_rest(features: int) -> None:
    whole = numbers(ForwardContext(seed=1, datum=5), 2, (6, 5, features))
    for steps, first_stream, streams in [(6, 0, 5), (3, 0, 5), (4, 3, 2)]:
        context = ForwardContext(True, first_stream, 5, 1, 5)
        part = whole[:steps, first_stream : first_stream + streams]
        np.testing.assert_array_equal(numbers(context, 2, (steps, streams, features)), part)


def test_every_seed_datum_layer_step_stream_and_feature_has_other_numbers() -> None:
    shape = (4, 4, 64)
    keys = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
    draws = [numbers(ForwardContext(seed=a, datum=b), layer, shape) for a, b, layer in keys]
    drawn = np.stack(draws).astype(float)
    rows = np.corrcoef(drawn.reshape(-1, 64))
    assert abs(rows - np.eye(len(rows))).max() < 0.6
    assert abs(drawn.mean() / 2**15 - 1) < 0.03
    assert len(np.unique(drawn)) > drawn.size * 0.96


def test_dropout_zeroes_its_share_and_enlarges_the_rest() -> None:
    for probability in (0.25, 0.9):
        section = f"[dropout] probability={probability}"
        net = make_network("[net] inputs=400 batch=9 time_steps=8", section, seed=3)
        drop = net.layers[0]
        x = 1 + np.random.default_rng(1).random((8, 9, 400))
        y, _ = drop.forward(x, (), TRAINING)
        kept = y != 0
        assert kept.mean() == pytest.approx(1 - probability, abs=0.015)
        np.testing.assert_allclose(y[kept], x[kept] / (1 - probability), rtol=1e-12)
        np.testing.assert_array_equal(drop.forward(x, (), PREDICTION)[0], x)


def test_each_datum_has_a_mask_of_its_own_which_the_seed_and_seen_tell() -> None:
    net = make_network(NET, LINEAR, "[dropout]", LINEAR, "[dropout]", "[cost]")
    inputs, _ = draw_symbols(net)

    def outputs(seed: int, seen: int) -> Array:
        net.use_rand(Rand(seed))
        net.seen = seen
        return net.forward(inputs, net.initial_state(8), context=net.trainer.training_context())[
            0
        ].copy()

    first = outputs(5, 0)
    assert (first == outputs(5, 31)).all()
    for seed, seen in [(6, 0), (5, 32), (5, 64)]:
        assert 0.2 < ((outputs(seed, seen) != 0) != (first != 0)).mean() < 0.8
    assert (first == outputs(5, 0)).all()
    assert net.rand.drawn == 0


def test_dropout_is_off_outside_training() -> None:
    net = make_network(NET, RNN, "[dropout] probability=.9", LINEAR, END)
    plain = make_network(NET, RNN, LINEAR, END)
    inputs, targets = draw_symbols(net)
    np.testing.assert_array_equal(net.predict(inputs), plain.predict(inputs))
    losses = [n.losses(inputs, targets, n.initial_state(8))[0] for n in (net, plain)]
    np.testing.assert_array_equal(losses[0], losses[1])


def test_dropout_of_probability_0_drops_nothing() -> None:
    net = make_network(NET, RNN, "[dropout] probability=0", LINEAR, END)
    plain = make_network(NET, RNN, LINEAR, END)
    inputs, targets = draw_symbols(net)
    assert net.train_batch(inputs, targets) == plain.train_batch(inputs, targets)
    np.testing.assert_array_equal(net.parameters, plain.parameters)


@pytest.mark.parametrize("probability", ["1", "1.5", "-.1"])
def test_other_probabilities_are_refused(probability: str) -> None:
    with pytest.raises(CfgError, match=rf"cfg:\d+: probability='{probability}': expected a number"):
        make_network(NET, RNN, f"[dropout] probability={probability}")


# --- one step at a time --------------------------------------------------------------------------


@norms
@recurrent
@pytest.mark.parametrize("streams", [1, FEW_STEPS])
def test_text_symbols_one_at_a_time_are_the_whole_sequence(
    streams: int, section: str, bn: int, dialect: Dialect
) -> None:
    """Also where so few rows take another path than many."""
    sections = [f"{section} batch_normalize={bn}", f"{section} batch_normalize={bn}", LINEAR, END]
    net = make_network(NET.replace("batch=8", f"batch={streams}"), *sections, dialect=dialect)
    inputs, _ = draw_symbols(net, time_steps=12)
    whole = net.predict(inputs)
    state = net.prediction_state
    net.reset_state()
    single = np.concatenate([net.predict(row[None]) for row in inputs])
    np.testing.assert_allclose(single, whole, rtol=1e-12, atol=1e-15)
    for found, expected in zip(sum(net.prediction_state, ()), sum(state, ()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@recurrent
def test_prediction_after_training_on_many_rows_sees_the_new_weights(section: str) -> None:
    """What a stack has copied together for many rows is not used for few."""
    net = make_network(NET.replace("batch=8", "batch=1"), section, LINEAR, END)
    inputs, targets = draw_symbols(net, time_steps=9)
    fresh = make_network(NET.replace("batch=8", "batch=1"), section, LINEAR, END)
    net.predict(inputs)
    net.train_batch(inputs[:4], targets[:4])
    net.reset_state()
    fresh.parameters[...] = net.parameters
    np.testing.assert_array_equal(net.predict(inputs[:1]), fresh.predict(inputs[:1]))
    np.testing.assert_array_equal(net.predict(inputs), fresh.predict(inputs))


# --- state=carry ---------------------------------------------------------------------------------

CARRY = "[net] inputs=7 batch=8 time_steps=4 learning_rate=0 decay=0 state=carry"


@norms
@recurrent
def test_two_data_carried_over_are_one_twice_as_long(
    section: str, bn: int, dialect: Dialect
) -> None:
    """Losses, state and rolling statistics, normalized by the datum's own figures."""
    sections = [f"{section} batch_normalize={bn}", f"{section} batch_normalize={bn}", LINEAR, END]
    net = make_network(CARRY, *sections, dialect=dialect)
    long = make_network(CARRY.replace("=4", "=8"), *sections, dialect=dialect)
    inputs, targets = draw_symbols(long)
    halves = [net.train_batch(inputs[k : k + 4], targets[k : k + 4]) for k in (0, 4)]
    assert sum(halves) / 2 == pytest.approx(long.train_batch(inputs, targets), rel=1e-12)
    for one, other in zip(sum(net.trainer.state, ()), sum(long.trainer.state, ()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)
    np.testing.assert_allclose(net.parameters, long.parameters, rtol=1e-11, atol=1e-14)


@recurrent
def test_a_stream_that_is_reset_starts_anew_and_the_others_go_on(section: str) -> None:
    net, fresh, carried = (make_network(CARRY, section, LINEAR, END) for _ in range(3))
    inputs, targets = draw_symbols(net, time_steps=8)
    for each in (net, carried):
        each.train_batch(inputs[:4], targets[:4])
    net.reset_state(5)
    for each in (net, fresh, carried):
        each.train_batch(inputs[4:], targets[4:])
    for own, new, old in zip(
        *(sum(each.trainer.state, ()) for each in (net, fresh, carried)), strict=True
    ):
        np.testing.assert_allclose(own[5], new[5], rtol=1e-13)
        others = np.arange(8) != 5
        np.testing.assert_allclose(own[others], old[others], rtol=1e-13)
        assert not np.allclose(new, old)
