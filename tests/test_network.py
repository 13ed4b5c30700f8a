"""A network as a whole: its vector, its draws, its updates and its states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.cfg import parse_cfg, read_cfg
from darknet_py.dialect import ALEXEYAB, UPSTREAM, Dialect
from darknet_py.errors import CfgError, WeightsError
from darknet_py.layers.norm import Bias, Norm
from darknet_py.network import Network
from darknet_py.rand import Rand
from tests.support.networks import Array, cfg_text, draw_symbols, make_network, summed_loss
from tests.support.recorded import RECORDED, case, cases

pytestmark = pytest.mark.filterwarnings("error")

NET = "[net] inputs=7 batch=8 time_steps=4 learning_rate=.5 momentum=.8 decay=.01"
RNN = "[rnn] output=5 hidden=4 activation=tanh"
BN = f"{RNN} batch_normalize=1"
END = ["[connected] output=7 activation=linear", "[softmax]"]

# One of each layer that remembers.
MEMORIES = {
    "rnn": RNN,
    "shortcut": f"{RNN} shortcut=1",
    "gru": "[gru] output=5 tanh=1",
    "lstm": "[lstm] output=5",
}
with_memory = pytest.mark.parametrize("section", MEMORIES.values(), ids=MEMORIES)


def states_of(net: Network) -> list[Array]:
    """The arrays of the training state and of the prediction state."""
    return [part for state in (net.trainer.state, net.prediction_state) for part in sum(state, ())]


# --- the initial weights -------------------------------------------------------------------------

INITIAL = sorted(set(cases("srand")) - set(cases("train_log")))


@pytest.mark.parametrize("folder", INITIAL)
def test_initial_weights_are_those_of_darknet_bit_for_bit(folder: str, tmp_path: Path) -> None:
    seed = case(RECORDED / folder / "case.json")["srand"]
    net = Network(read_cfg(RECORDED / folder / "test.cfg"))
    net.initialize(Rand(seed))
    net.save_weights(tmp_path / "my.weights")
    recorded = (RECORDED / folder / "model.weights").read_bytes()
    assert (tmp_path / "my.weights").read_bytes() == recorded


def test_initial_weights_of_every_kind_of_layer_are_recorded() -> None:
    assert {"init-rnn", "gru-tanh", "lstm"} <= set(INITIAL)


@pytest.mark.parametrize("dialect", [UPSTREAM, ALEXEYAB])
@pytest.mark.parametrize("section", [BN, "[gru] output=4", "[lstm] output=4 batch_normalize=1"])
def test_initial_weights_by_the_formula(section: str, dialect: Any) -> None:
    """sqrt(2/inputs) * uniform(-1, 1), row by row, in the C's order; biases 0, scales 1."""
    net = make_network(NET, section, dialect=dialect, dtype=np.float32)
    net.initialize(Rand(5))
    parts = {
        "rnn": "input self output",
        "gru": "uz wz ur wr uh wh",
        "lstm": "uf ui ug uo wf wi wg wo",
    }
    tensors = {tensor.name: tensor.values for tensor in net.tensors()}
    rand = Rand(5)
    for part in parts[net.layers[0].kind].split():
        weights = tensors.pop(f"0.{part}.weight")
        reach = np.float32(np.sqrt(2 / weights.shape[1]))
        expected = [[reach * rand.uniform(-1, 1, 1)[0] for _ in row] for row in weights]
        np.testing.assert_array_equal(weights, np.array(expected, np.float32))
    for name, values in tensors.items():
        assert (values == (1 if name.endswith(".scale") else 0)).all(), name
    assert rand.drawn == net.initial_draws


def test_load_network_draws_or_loads(tmp_path: Path) -> None:
    path = tmp_path / "my.cfg"
    path.write_text(cfg_text(NET, RNN, *END))
    drawn = load_network(path, seed=3, batch=2)
    assert (drawn.options.batch, drawn.options.time_steps) == (2, 4)
    assert drawn.parameters.dtype == np.float32
    by_hand = Network(read_cfg(path))
    by_hand.initialize(Rand(3))
    np.testing.assert_array_equal(drawn.parameters, by_hand.parameters)
    drawn.seen = 70
    drawn.save_weights(tmp_path / "my.weights")
    loaded = load_network(path, tmp_path / "my.weights", seed=3)
    np.testing.assert_array_equal(loaded.parameters, drawn.parameters)
    assert loaded.seen == 70
    assert loaded.rand.drawn == drawn.rand.drawn == drawn.initial_draws
    with pytest.raises(WeightsError):
        load_network(path, tmp_path / "none.weights")


OF_ALL = "[net] inputs=7 batch=3 time_steps=4"
RECURRENT = ("[rnn] output=6", "[lstm] output=5", "[gru] output=4", "[connected] output=7", END[1])


def drawn(keys: str, *layers: str) -> Network:
    net = make_network(f"{OF_ALL} {keys}", *(layers or RECURRENT))
    net.initialize(Rand(5))
    return net


def test_orthogonal_matrices_see_the_state_and_take_as_many_draws() -> None:
    usual, orthogonal = drawn(""), drawn("init=orthogonal")
    assert usual.rand.drawn == orthogonal.rand.drawn
    changed = 0
    for tensor, other in zip(usual.tensors(), orthogonal.tensors(), strict=True):
        part = tensor.name.split(".")[1]
        if tensor.decayed and part in ("self", "wf", "wi", "wo", "wg", "wz", "wr", "wh"):
            product = other.values @ other.values.T
            np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)
            changed += 1
        else:
            np.testing.assert_array_equal(tensor.values, other.values)
    assert changed == 1 + 4 + 3


@pytest.mark.parametrize(
    ("layers", "wide"),
    [
        (RECURRENT, {"0.input.weight"}),
        (("[lstm] output=5", "[softmax]"), {f"0.u{gate}.weight" for gate in "fiog"}),
    ],
)
def test_matrices_that_see_symbols_start_wide_and_take_as_many_draws(
    layers: tuple[str, ...], wide: set[str]
) -> None:
    usual, other = (drawn(f"init_symbols={flag}", *layers) for flag in (0, 1))
    assert usual.rand.drawn == other.rand.drawn
    for narrow, tensor in zip(usual.tensors(), other.tensors(), strict=True):
        factor = np.sqrt(7) if tensor.name in wide else 1
        np.testing.assert_allclose(tensor.values, factor * narrow.values, rtol=1e-6)


def test_the_forget_gate_starts_from_its_bias() -> None:
    for tensor in drawn("forget_bias=1.5").tensors():
        if tensor.name.endswith(".bias"):
            expected = 1.5 if tensor.name == "1.uf.bias" else 0
            np.testing.assert_array_equal(tensor.values, expected)


# --- the parameter vector ------------------------------------------------------------------------


def test_parameters_are_a_live_view() -> None:
    net = make_network(NET, BN, *END)
    vector = net.parameters
    names = [tensor.name for tensor in net.tensors()]
    assert len(set(names)) == len(names)
    first = 0
    for tensor in net.tensors():
        assert tensor.span == slice(first, first + tensor.size)
        vector[tensor.span] = np.arange(tensor.size)
        np.testing.assert_array_equal(tensor.values.ravel(), np.arange(tensor.size))
        tensor.values[...] = 2
        assert (vector[tensor.span] == 2).all()
        first += tensor.size
    assert first == len(vector)
    net.train_batch(*draw_symbols(net))
    assert net.parameters is vector


@with_memory
def test_what_is_written_to_the_parameters_is_what_counts(section: str) -> None:
    """Nothing keeps a copy of the weights from one call to the next."""
    one, other = (make_network(NET, section, *END, seed=seed) for seed in (1, 2))
    inputs, targets = draw_symbols(one)
    for _ in range(2):
        one.predict(inputs)
        one.trainer.accumulate(inputs, targets, one.initial_state(8))
    one.parameters[...] = other.parameters
    one.reset_state()
    np.testing.assert_array_equal(one.predict(inputs), other.predict(inputs))
    one.trainer.accumulate(inputs, targets, one.initial_state(8))
    other.trainer.accumulate(inputs, targets, other.initial_state(8))
    np.testing.assert_array_equal(one.updates, other.updates)


@pytest.mark.parametrize("seen", [0, 1, 17, 97, 1 << 20])
def test_rolling_statistics_follow_every_step_in_order(seen: int) -> None:
    """r = .99 r + .01 now per time step, .95 and .05 in AlexeyAB's; at first a plain mean."""
    for dialect, least in ((UPSTREAM, 0.01), (ALEXEYAB, 0.05)):
        net = make_network(NET, BN, *END, dialect=dialect)
        net.statistics_steps = [seen] * 3
        net.parameters[...] = make_network(NET, BN, *END, seed=4).parameters
        tensors = {tensor.name: tensor.values for tensor in net.tensors()}
        mean = tensors["0.input.rolling_mean"].copy()
        variance = tensors["0.input.rolling_variance"].copy()
        inputs, targets = draw_symbols(net)
        net.trainer.accumulate(inputs, targets, net.initial_state(8))
        for step, symbols in enumerate(inputs, seen):
            share = max(least, 1 / (step + 1))
            x = tensors["0.input.weight"].T[symbols]
            mean = (1 - share) * mean + share * x.mean(axis=0)
            variance = (1 - share) * variance + share * x.var(axis=0, ddof=1)
        np.testing.assert_allclose(tensors["0.input.rolling_mean"], mean, rtol=1e-12)
        np.testing.assert_allclose(tensors["0.input.rolling_variance"], variance, rtol=1e-12)
        assert net.statistics_steps == [min(1 << 20, seen + len(inputs))] * 3


@pytest.mark.parametrize("layer", [BN, "[gru] output=4 batch_normalize=1", "[batchnorm]"])
def test_a_weights_file_settles_the_rolling_statistics(layer: str, tmp_path: Path) -> None:
    """A new network's first steps are a plain mean; those after a file's count for darknet's."""
    text = cfg_text(NET, layer, *END)
    net = Network(parse_cfg(text))
    net.initialize(Rand(1))
    net.save_weights(tmp_path / "w")
    assert set(net.statistics_steps) == {0}
    net.load_weights(tmp_path / "w")
    assert set(net.statistics_steps) == {1 << 20}
    net.initialize(Rand(1))
    assert set(net.statistics_steps) == {0}
    if "batch_normalize" in layer:  # [batchnorm] alone would leave nothing to load
        skipping = Network(parse_cfg(cfg_text(NET, f"{layer} dontload=1", *END)))
        skipping.save_weights(tmp_path / "whole")
        skipping.initialize(Rand(1))
        rest = sum(p.size for layer in skipping.layers for p in layer.loaded())
        data = (tmp_path / "whole").read_bytes()
        (tmp_path / "rest").write_bytes(data[:20] + data[len(data) - 4 * rest :])
        skipping.load_weights(tmp_path / "rest")
        assert set(skipping.statistics_steps) == {0}


@pytest.mark.parametrize(
    ("section", "dialect", "share"),
    [
        ("[connected] output=7 batch_normalize=1", UPSTREAM, 0.01),
        ("[batchnorm]", UPSTREAM, 0.01),
        ("[batchnorm]", ALEXEYAB, 0.1),
    ],
)
def test_rolling_statistics_take_all_rows_at_once(
    section: str, dialect: Dialect, share: float
) -> None:
    net = make_network(NET, section, "[softmax]", dialect=dialect)
    tensors = {tensor.name: tensor.values for tensor in net.tensors()}
    mean, variance = (tensors[f"0.rolling_{name}"].copy() for name in ("mean", "variance"))
    net.statistics_steps = [1000]
    inputs, targets = draw_symbols(net)
    net.trainer.accumulate(inputs, targets, net.initial_state(8))
    rows = tensors.get("0.weight", np.eye(7)).T[inputs.ravel()]
    mean += share * (rows.mean(axis=0) - mean)
    variance += share * (rows.var(axis=0, ddof=1) - variance)
    np.testing.assert_allclose(tensors["0.rolling_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(tensors["0.rolling_variance"], variance, rtol=1e-12)


@pytest.mark.parametrize("dialect", [UPSTREAM, ALEXEYAB])
def test_prediction_normalizes_with_the_rolling_statistics(dialect: Dialect) -> None:
    net = make_network(NET, "[connected] output=7 batch_normalize=1", "[softmax]", dialect=dialect)
    t = {tensor.name.removeprefix("0."): tensor.values for tensor in net.tensors()}
    inputs, _ = draw_symbols(net)
    before = net.parameters.copy()
    v = t["rolling_variance"]
    deviation = np.sqrt(v) + 1e-6 if dialect is UPSTREAM else np.sqrt(v + 1e-5)
    x = (t["weight"].T[inputs] - t["rolling_mean"]) / deviation * t["scale"] + t["bias"]
    e = np.exp(1 / (1 + np.exp(-x)))
    np.testing.assert_allclose(net.predict(inputs), e / e.sum(axis=-1, keepdims=True), rtol=1e-12)
    np.testing.assert_array_equal(net.parameters, before)


# --- updates -------------------------------------------------------------------------------------


def test_train_batch_is_accumulate_and_an_update() -> None:
    net, copy = (make_network(NET, BN, *END) for _ in range(2))
    inputs, targets = draw_symbols(net)
    summed, _ = copy.trainer.accumulate(inputs, targets, copy.initial_state(8))
    assert net.train_batch(inputs, targets) == summed / 32
    np.testing.assert_array_equal(net.updates, copy.updates)
    for tensor in copy.tensors():
        if tensor.trained:
            d = tensor.updates - (0.01 * 32 * tensor.values if tensor.decayed else 0)
            tensor.values[...] += 0.5 / 32 * d
    np.testing.assert_allclose(net.parameters, copy.parameters, rtol=1e-13)
    assert net.seen == 32


def test_the_loss_is_nats_per_symbol() -> None:
    net = make_network(NET, RNN, *END)
    inputs, targets = draw_symbols(net)
    p = net.predict(inputs)
    nats = -np.log(np.take_along_axis(p, targets[..., None], -1)).mean()
    assert net.train_batch(inputs, targets) == pytest.approx(nats, rel=1e-12)


@pytest.mark.parametrize("adam", [0, 1])
@with_memory
def test_subdivisions_are_the_same_streams_in_parts(section: str, adam: int) -> None:
    whole = make_network(f"{NET} adam={adam}", section, *END)
    parts = make_network(f"{NET} adam={adam} subdivisions=2", section, *END)
    for seed in range(3):
        inputs, targets = draw_symbols(whole, seed)
        loss = whole.train_batch(inputs, targets)
        before = parts.parameters.copy()
        first = parts.train_batch(inputs[:, :4], targets[:, :4])
        np.testing.assert_array_equal(parts.parameters, before)
        second = parts.train_batch(inputs[:, 4:], targets[:, 4:])
        assert (first + second) / 2 == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(parts.parameters, whole.parameters, rtol=1e-10, atol=1e-12)
        assert parts.seen == whole.seen == 32 * (seed + 1)


def test_training_learns() -> None:
    """A text that repeats itself is predicted nearly without loss."""
    text = np.tile(np.array([0, 1, 2, 0, 3]), 100)
    places = np.arange(12)[:, None] + 7 * np.arange(8)
    section = "[net] inputs=4 batch=8 time_steps=12 learning_rate=.3 decay=0"
    net = make_network(section, BN, "[connected] output=4 activation=linear", "[softmax]")
    losses = [net.train_batch(text[places], text[places + 1]) for _ in range(100)]
    assert losses[-1] < 0.1 < 1 < losses[0]


# --- states --------------------------------------------------------------------------------------

FIXED = "[net] inputs=7 batch=8 time_steps=4 learning_rate=0 decay=0"


@with_memory
def test_carry_goes_on_from_the_last_datum(section: str) -> None:
    """Two data are then one twice as long, but for the gradient across the border."""
    net = make_network(f"{FIXED} state=carry", section, *END)
    inputs, targets = draw_symbols(net, time_steps=8)
    losses, after = net.losses(inputs, targets, net.initial_state(8))
    for half in (slice(0, 4), slice(4, 8)):
        loss = net.train_batch(inputs[half], targets[half])
        assert loss == pytest.approx(losses[half].mean(), rel=1e-12)
    for part, expected in zip(sum(net.trainer.state, ()), sum(after, ()), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)

    _, middle = net.forward(inputs[:4], net.initial_state(8))
    from_middle, _ = net.trainer.accumulate(inputs[4:], targets[4:], middle)
    assert from_middle / 32 == pytest.approx(losses[4:].mean(), rel=1e-12)


@with_memory
def test_zero_starts_every_datum_anew(section: str) -> None:
    net = make_network(f"{FIXED} state=zero", section, *END)
    inputs, targets = draw_symbols(net)
    assert net.train_batch(inputs, targets) == net.train_batch(inputs, targets)
    carried = make_network(f"{FIXED} state=carry", section, *END)
    first = carried.train_batch(inputs, targets)
    assert first == net.train_batch(inputs, targets)
    assert abs(carried.train_batch(inputs, targets) - first) > 1e-5


@with_memory
@pytest.mark.parametrize("bn", [0, 1])
def test_predict_carries_its_state(section: str, bn: int) -> None:
    """Steps one at a time, in pieces and all at once are the same."""
    net = make_network(FIXED, f"{section} batch_normalize={bn}", *END)
    inputs, _ = draw_symbols(net, time_steps=9)
    whole = net.predict(inputs)
    assert whole.shape == (9, 8, 7)
    np.testing.assert_allclose(whole.sum(axis=-1), 1)
    for size in (1, 4):
        net.reset_state()
        pieces = [net.predict(inputs[i : i + size]) for i in range(0, 9, size)]
        np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-11)
    assert not np.allclose(net.predict(inputs), whole)


@with_memory
def test_each_stream_is_a_sequence_of_its_own(section: str) -> None:
    net = make_network(FIXED, section, *END)
    alone = make_network(FIXED.replace("batch=8", "batch=1"), section, *END)
    inputs, _ = draw_symbols(net, time_steps=5)
    whole = net.predict(inputs)
    for stream in range(8):
        alone.reset_state()
        np.testing.assert_allclose(
            alone.predict(inputs[:, stream : stream + 1])[:, 0], whole[:, stream], rtol=1e-11
        )


@with_memory
def test_training_and_prediction_have_states_of_their_own(section: str) -> None:
    nets = [make_network(f"{FIXED} state=carry", section, *END) for _ in range(3)]
    both, trained, predicted = nets
    for seed in range(3):
        inputs, targets = draw_symbols(both, seed)
        loss = both.train_batch(inputs, targets)
        np.testing.assert_array_equal(both.predict(inputs), predicted.predict(inputs))
        assert loss == trained.train_batch(inputs, targets)


def test_predicting_between_subdivisions_changes_nothing() -> None:
    section = f"{NET} subdivisions=2"
    one, other = (make_network(section, RNN, *END) for _ in range(2))
    for seed in range(4):
        inputs, targets = draw_symbols(one, seed)
        one.train_batch(inputs, targets)
        other.train_batch(inputs, targets)
        other.predict(inputs[:2])
    np.testing.assert_array_equal(one.parameters, other.parameters)


@with_memory
def test_reset_state(section: str) -> None:
    net = make_network(f"{FIXED} state=carry", section, *END)
    inputs, targets = draw_symbols(net)
    net.train_batch(inputs, targets)
    net.predict(inputs)
    before = [array.copy() for array in states_of(net)]
    net.reset_state(3)
    for array, after in zip(before, states_of(net), strict=True):
        assert array[3].all()
        assert not after[3].any()
        np.testing.assert_array_equal(np.delete(after, 3, 0), np.delete(array, 3, 0))
    net.reset_state()
    for after in states_of(net):
        assert not after.any()


@with_memory
@pytest.mark.parametrize("bn", [0, 1])
def test_arrays_given_in_and_out_are_not_written_to(section: str, bn: int) -> None:
    net = make_network(NET, f"{section} batch_normalize={bn}", *END, dtype=np.float32)
    inputs, targets = draw_symbols(net)
    start = net.initial_state(8)
    _, first = net.forward(inputs, start)
    _, second = net.trainer.accumulate(inputs, targets, first)
    probabilities = net.predict(inputs)
    given = [*sum(start, ()), *sum(first, ()), *sum(second, ()), probabilities, inputs, targets]
    copies = [array.copy() for array in given]
    for seed in range(3):
        inputs, targets = draw_symbols(net, seed)
        net.train_batch(inputs, targets)
        net.predict(inputs)
        net.trainer.accumulate(inputs, targets, second)
        net.losses(inputs, targets, first)
    assert {array.dtype for array in given[:-2]} == {np.dtype(np.float32)}
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint64", ">i4"])
def test_text_symbols_may_be_any_integers(dtype: str) -> None:
    nets = [make_network(NET, RNN, *END) for _ in range(2)]
    inputs, targets = draw_symbols(nets[0])
    expected = nets[0].train_batch(inputs, targets), nets[0].predict(inputs)
    inputs, targets = inputs.astype(dtype), np.asfortranarray(targets.astype(dtype))
    assert nets[1].train_batch(inputs, targets) == expected[0]
    np.testing.assert_array_equal(nets[1].predict(inputs), expected[1])


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 7), int),
        np.zeros((3, 8), int),
        np.zeros((8, 4), int),
        np.zeros((4, 8, 1), int),
        np.zeros(32, int),
        np.zeros((4, 8)),
        np.zeros((4, 8), bool),
        np.full((4, 8), 7),
        np.full((4, 8), -1),
        np.full((4, 8), 255, np.uint8),
        np.zeros((0, 8), int),
    ],
    ids=lambda bad: f"{bad.dtype} {bad.shape} {bad.max(initial=0)}",
)
def test_wrong_arrays_are_refused(bad: Array) -> None:
    net = make_network(NET, RNN, *END)
    good = np.zeros((4, 8), int)
    before = net.parameters.copy()
    for name, arrays in (("inputs", (bad, good)), ("targets", (good, bad))):
        with pytest.raises(ValueError, match=name):
            net.train_batch(*arrays)
    if bad.shape != (3, 8):
        with pytest.raises(ValueError, match="inputs"):
            net.predict(bad)
    np.testing.assert_array_equal(net.parameters, before)
    assert net.seen == 0


LOSS = r"the last layer has no loss; end the network with \[softmax\]"
NORMED = r"cfg:\d+: .*batch norm needs at least two streams"


@pytest.mark.parametrize(
    ("head", "layers", "told"),
    [
        (NET, ["[connected] output=7", RNN], LOSS),
        (NET, ["[connected] output=7"], LOSS),
        (NET, ["[softmax] noloss=1"], LOSS),
        (NET, ["[connected] output=6", "[softmax]"], "has 6 outputs and the network 7 inputs; bo"),
        (NET, ["[connected] output=8", "[softmax]"], "has 8 outputs and the network 7 inputs; bo"),
        ("[net] inputs=7 batch=1 time_steps=4", [BN, *END], NORMED),
        (
            "[net] inputs=7 batch=4 subdivisions=4",
            ["[gru] output=5 batch_normalize=1", *END],
            NORMED,
        ),
        ("[net] inputs=7 batch=1", ["[lstm] output=5 batch_normalize=1", *END], NORMED),
        ("[net] inputs=7", ["[connected] output=7 batch_normalize=1", END[1]], "batch norm needs"),
    ],
)
def test_what_predicts_but_cannot_be_trained(head: str, layers: list[str], told: str) -> None:
    net = make_network(head, *layers)
    assert np.isfinite(net.predict(np.zeros((1, net.streams), int))).all()
    symbols = np.zeros((net.options.time_steps, net.streams), int)
    with pytest.raises(CfgError, match=told):
        net.train_batch(symbols, symbols)


def test_batch_norm_of_connected_takes_several_symbols_of_one_stream() -> None:
    bn = "[connected] output=7 batch_normalize=1"
    steps = make_network("[net] inputs=7 time_steps=4", bn, "[softmax]")
    assert np.isfinite(steps.train_batch(*draw_symbols(steps)))


def test_a_network_too_large_for_any_memory_is_refused() -> None:
    wide = "[connected] output=2147483647"
    with pytest.raises(CfgError, match=r"parameters take [0-9,.]+ GB"):
        Network(parse_cfg(cfg_text("[net] inputs=7", wide, wide, "[softmax]")))


def test_a_softmax_alone_can_be_all() -> None:
    net = make_network("[net] inputs=3 batch=2", "[softmax]")
    p = net.predict(np.array([[0, 1]]))[0]
    e = np.exp(np.eye(3)[:2])
    np.testing.assert_allclose(p, e / e.sum(axis=-1, keepdims=True))


def test_saturated_logits_have_a_finite_loss() -> None:
    """log(sum exp(x)) - x[truth]: -log p would be infinite."""
    net = make_network(
        "[net] inputs=3", "[connected] output=3 activation=linear", "[softmax]", dtype=np.float32
    )
    net.parameters[:3] = [0, 3000, -3000]
    net.parameters[3:] = 0
    state = net.initial_state(1)
    with np.errstate(all="raise", under="ignore"):
        for target, loss in ((0, 3000), (1, 0), (2, 6000)):
            datum = np.array([[0]]), np.array([[target]]), state
            assert summed_loss(net, *datum) == pytest.approx(loss)
            net.trainer.accumulate(*datum)
            assert np.isfinite(net.updates).all()


@pytest.mark.parametrize("batch_normalize", [0, 1])
def test_delta_clip_bounds_what_comes_into_every_connected_layer(
    batch_normalize: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    norm = Norm if batch_normalize else Bias
    real = norm.backward

    def note(self: Bias, delta: np.ndarray, steps: slice) -> None:
        seen.append(float(np.abs(delta).max()))
        real(self, delta, steps)

    monkeypatch.setattr(norm, "backward", note)
    bounded = [
        layer.replace("]", f"] batch_normalize={batch_normalize}") for layer in RECURRENT[:4]
    ]
    for clip, least in (("0", 0.02), ("0.02", 0)):
        seen.clear()
        net = make_network(f"{OF_ALL} delta_clip={clip}", *bounded, "[softmax]")
        net.initialize(Rand(5))
        for tensor in net.tensors():
            if tensor.name.endswith("weight"):
                tensor.values *= 3
        net.train_batch(*draw_symbols(net))
        assert seen
        assert max(seen) > least
        if float(clip):
            assert max(seen) <= float(clip)


# --- layers that are not trained -----------------------------------------------------------------


@pytest.mark.parametrize("adam", [0, 1])
def test_layers_up_to_stopbackward_stay_as_they_are(adam: int) -> None:
    """Their rolling statistics too; those above learn."""
    stop = f"{BN} stopbackward=1"
    net = make_network(f"{NET} adam={adam}", BN, stop, BN, *END)
    before = {tensor.name: tensor.values.copy() for tensor in net.tensors()}
    net.train_batch(*draw_symbols(net))
    for tensor in net.tensors():
        changed = (tensor.values != before[tensor.name]).any()
        assert changed == (int(tensor.name.split(".")[0]) > 1), tensor.name
