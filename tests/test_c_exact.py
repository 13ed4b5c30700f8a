"""C-exact results against recordings of the C programs, and `Network` where both are exact."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.activations import ACTIVATIONS
from darknet_py.c_exact import CNetwork, arithmetic
from darknet_py.c_exact.text import (
    generate,
    generate_tactic,
    printed,
    read_token_names,
    running_average,
    valid,
    valid_tactic,
    vec,
)
from darknet_py.cfg import parse_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.errors import CfgError, CorpusError, DarknetWarning
from darknet_py.network import Network
from darknet_py.optimizer import learning_rate
from darknet_py.rand import Rand
from darknet_py.text.corpus import Streams, read_lines
from tests.support.networks import Array, cfg_text, draw_symbols, make_network
from tests.support.recorded import RECORDED, case, cases, recorded_network

pytestmark = pytest.mark.filterwarnings("error")


NET = "[net] inputs=7 batch=8 time_steps=4 learning_rate=.05 decay=.002"
LINEAR = "[connected] output=7 activation=linear"
RNN = "[rnn] output=5 activation=tanh batch_normalize=1"
END = "[softmax]"
BELOW = "[connected] output={} activation=linear"


def folder_case(folder: str) -> tuple[Path, dict[str, Any]]:
    return RECORDED / folder, case(RECORDED / folder / "case.json")


LONG = 60  # rows of a log, of which each takes a tenth of a second


def bits(values: Array) -> Array:
    """f32 numbers as integers, which tell 0 from -0."""
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


# --- recorded training ---------------------------------------------------------------------------


@pytest.mark.parametrize("folder", cases("train_log"))
def test_training_log_and_weights(folder: str) -> None:
    """Of the one long log only the start, but for `make fuzz`."""
    path, record = folder_case(folder)
    rows = record["train_log"]
    is_cut = len(rows) > LONG and "FUZZ_CASES" not in os.environ
    data = (path / record["text"]).read_bytes()
    text = np.frombuffer(data.split(b"\0")[0], np.uint8)
    if record.get("tokenized"):
        text = np.array(data.split(), np.int64)
    net = load_network(path / "train.cfg", seed=record["srand"])
    c_net = CNetwork(net)
    streams = Streams(text, net.streams, net.rand)
    average = None
    for row in rows[:LONG] if is_cut else rows:
        loss = c_net.train_datum(*streams.next_datum(net.options.time_steps))
        average = running_average(average, loss)
        numbers = [printed(number, "f") for number in (loss, average, c_net.printed_rate)]
        assert numbers == [f"{row[key]:f}" for key in ("loss", "avg", "rate")], row["batch"]
        streams.jump()
    if is_cut:
        return
    trained = load_network(path / "train.cfg", path / "model.weights")
    assert trained.seen == net.seen
    np.testing.assert_array_equal(bits(net.parameters), bits(trained.parameters))


# --- recorded texts ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", cases("generate"))
def test_generate(folder: str) -> None:
    path, record = folder_case(folder)
    for run in record["generate"]:
        net = recorded_network(folder)
        rand = Rand(run["srand"], net.initial_draws)
        prompt = run["seed"].encode("latin-1")
        symbols = list(generate(CNetwork(net), prompt, run["len"], run["temp"], rand))
        text = bytes(symbols)
        if "tokens" in run:
            names = read_token_names(str(path / run["tokens"]), net.dialect)
            text = "".join(names[symbol] + " " for symbol in symbols).encode()
        assert text + b"\n" == (path / run["stdout"]).read_bytes()


# AlexeyAB's program was built with optimization there, which sums in another order.
ALEXEYAB_FOLDERS = [folder for folder in cases("valid") if folder.startswith("alexeyab")]
SAME_BYTES = sorted({*cases("generate")} & {*cases("vec")} - {*ALEXEYAB_FOLDERS})


def valid_text(folder: str) -> tuple[str, str]:
    path, record = folder_case(folder)
    run = record["valid"]
    net = recorded_network(folder)
    text, prompt = (path / run["stdin"]).read_bytes(), run["seed"].encode()
    lines = valid(CNetwork(net), text, prompt, bpc=net.dialect is UPSTREAM)
    return "".join(line + "\n" for line in lines), (path / run["stdout"]).read_text()


def vec_text(folder: str) -> tuple[bytes, bytes]:
    path, record = folder_case(folder)
    run = record["vec"]
    read = read_lines(path / run["stdin"], as_in_c=True)
    lines = vec(CNetwork(recorded_network(folder)), read, run["seed"].encode())
    return b"".join(line + b"\n" for line in lines), (path / run["stdout"]).read_bytes()


@pytest.mark.parametrize("folder", SAME_BYTES)
def test_valid_and_vec(folder: str) -> None:
    assert valid_text(folder)[0] == valid_text(folder)[1]
    assert vec_text(folder)[0] == vec_text(folder)[1]


@pytest.mark.parametrize("folder", ALEXEYAB_FOLDERS)
def test_valid_and_vec_of_alexeyab(folder: str) -> None:
    # Six digits, of which rounding moves the last; word perplexity is a large power.
    for ours, theirs in (valid_text(folder), map(bytes.decode, vec_text(folder))):
        words = [text.replace(",", " ").split() for text in (ours, theirs)]
        assert len(words[0]) == len(words[1])
        for one, other in zip(*words, strict=True):
            if one != other:
                assert float(one) == pytest.approx(float(other), rel=1e-5, abs=1e-6)


def test_tactics() -> None:
    net = recorded_network("rnn-bn-leaky")
    text = b"no >>one.\nno.\n>>> a.\n"
    lines = list(valid_tactic(CNetwork(net), text, b"\n\n"))
    # Scored are "one." and, from the third >, ">" to the full stop before the newline.
    assert [line.split()[:2] for line in lines] == [
        [str(count), "2" if count <= 4 else "3"] for count in range(1, 9)
    ]
    drawn = bytes(generate_tactic(CNetwork(net), b"\n\n", 100, 0.3, Rand(1, net.initial_draws)))
    assert drawn.endswith(b".")
    assert b".\n" not in drawn
    with pytest.raises(CorpusError, match="prompt on stdin is empty"):
        list(generate_tactic(CNetwork(net), b"", 1, 1, Rand(0)))


def test_valid_refuses_characters() -> None:
    with pytest.raises(CorpusError, match=r"character 255 at offset 2, after 98"):
        list(valid(CNetwork(recorded_network("act-elu")), b"ab\xff", b""))
    with pytest.raises(CorpusError, match=r"below 40"):
        list(valid(CNetwork(recorded_network("tokenized")), [1, 40], []))


# --- what AlexeyAB's program has of its own -------------------------------------------------------


@pytest.mark.parametrize("below", ["[lstm] output=5", "[rnn] output=5", "[connected] output=5"])
def test_batchnorm_runs_forward_in_the_arithmetic_of_c(below: str) -> None:
    """(x - mean) / sqrt(variance + 1e-5) in double from f32 numbers, then two steps in f32."""
    net = make_network(
        NET, below, "[dropout]", "[batchnorm]", LINEAR, END, dialect=ALEXEYAB, dtype=np.float32
    )
    c_net = CNetwork(net)
    biases, scales, means, variances = (tensor.values for tensor in net.layers[2].parameters())
    for symbol in (3, 0, 6):
        c_net.predict(symbol)
        x, y = c_net.hidden(1), c_net.hidden(2)
        for j in range(5):
            root = math.sqrt(float(variances[j] + np.float32(0.00001)))
            normal = np.float32(float(x[j] - means[j]) / root)
            expected = normal * scales[j] + biases[j]
            assert y[j] == expected
            assert expected.dtype == np.float32


def test_batchnorm_predicts_what_the_network_does() -> None:
    sections = ["[net] inputs=7 height=1 width=1 channels=7", "[batchnorm]", RNN, LINEAR, END]
    net = make_network(*sections, dialect=ALEXEYAB, dtype=np.float32)
    c_net = CNetwork(net)
    for symbol in (3, 0, 6):
        expected = net.predict(np.array([[symbol]]))[0, 0]
        np.testing.assert_allclose(c_net.predict(symbol), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("below", "where"),
    [
        (["[gru] output=5"], r"after \[gru\]"),
        (["[gru] output=5", "[dropout]", "[activation]"], r"after \[gru\]"),
        ([], "at the start of a text network"),
    ],
)
def test_batchnorm_of_width_0_is_refused(below: list[str], where: str) -> None:
    net = make_network(NET, *below, "[batchnorm]", LINEAR, END, dialect=ALEXEYAB)
    with pytest.raises(CfgError, match=rf"\[batchnorm\]: AlexeyAB's .* width of 0 {where}; use"):
        CNetwork(net)


def test_batchnorm_is_not_trained() -> None:
    net = make_network(NET, RNN, "[batchnorm]", LINEAR, END, dialect=ALEXEYAB, dtype=np.float32)
    with pytest.raises(CfgError, match=r"\[batchnorm\]: is C-exact forward only"):
        CNetwork(net).check_trainable()


def test_vec_of_alexeyab_deletes_carriage_returns_too() -> None:
    for dialect, kept in ((ALEXEYAB, b"ab"), (UPSTREAM, b"a\rb\r")):
        net = make_network(
            "[net] inputs=128", "[rnn] output=3 activation=tanh", dialect=dialect, dtype=np.float32
        )
        (line,) = vec(CNetwork(net), [b"a\r b\t\r"], b"x")
        assert line.startswith(kept + b",")
        c_net = CNetwork(net)
        for symbol in b"x" + kept + b" ":
            c_net.predict(symbol)
        numbers = "".join(f",{x:g}" for x in c_net.hidden(0).tolist())
        assert line == kept + numbers.encode()


# --- where C is exact: [connected], linear [rnn] and losses, without batch norm -----------------


def both(*sections: str, dialect: Dialect = UPSTREAM, reach: float = 1) -> tuple[CNetwork, Network]:
    """A C-exact network, and the same network in double precision."""
    c_net = CNetwork(make_network(*sections, dialect=dialect, dtype=np.float32, reach=reach))
    net = Network(parse_cfg(cfg_text(*sections)), dialect, np.float64)
    net.parameters[...] = c_net.net.parameters
    return c_net, net


def check_agreement(
    *sections: str, dialect: Dialect = UPSTREAM, reach: float = 1, tolerance: float = 2e-5
) -> None:
    """The loss and gradient of a datum, and the parameters after some more."""
    c_net, net = both(*sections, dialect=dialect, reach=reach)
    inputs, targets = draw_symbols(net)
    loss, _ = net.trainer.accumulate(inputs, targets, net.initial_state(net.streams))
    cost = c_net.accumulate(inputs, targets)
    assert cost == pytest.approx(loss, rel=1e-5)
    largest = np.abs(net.updates).max()
    assert largest > 1e-2
    np.testing.assert_allclose(c_net.updates, net.updates, rtol=0, atol=tolerance * largest)

    c_net, net = both(*sections, dialect=dialect, reach=reach)
    for seed in range(4):
        inputs, targets = draw_symbols(net, seed)
        loss = net.train_batch(inputs, targets)
        assert c_net.train_datum(inputs, targets) == pytest.approx(loss, rel=1e-5)
    assert c_net.net.seen == net.seen
    assert c_net.last_rate == pytest.approx(learning_rate(net.options, net.batch_number))
    np.testing.assert_allclose(c_net.net.parameters, net.parameters, rtol=0, atol=tolerance)


REACH = {"plse": 4, "stair": 2, "hardtan": 1.5}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_exact_activations(activation: str, dialect: Dialect) -> None:
    connected = f"[connected] output=7 activation={activation}"
    reach = REACH.get(activation, 1)
    check_agreement(NET, connected, connected, END, dialect=dialect, reach=reach)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_exact_stack(dialect: Dialect) -> None:
    first, second = (
        f"[rnn] activation=linear {sizes}" for sizes in ("output=6 hidden=4", "output=4")
    )
    check_agreement(NET, first, second, LINEAR + " learning_rate=.5", END, dialect=dialect)


def test_exact_subdivisions() -> None:
    net = "[net] inputs=7 batch=16 subdivisions=2 time_steps=4 policy=exp gamma=.8"
    check_agreement(net, "[rnn] output=5 activation=linear", LINEAR, END)


def test_exact_activation_layer() -> None:
    connected = "[connected] output=5 activation=linear"
    check_agreement(NET, connected, "[activation] activation=tanh", LINEAR, END)


@pytest.mark.parametrize(
    "end",
    ["[logistic]", "[cost]", "[cost] type=masked scale=2", "[cost] type=L1", "[cost] type=smooth"],
)
def test_exact_losses(end: str) -> None:
    # All differences are below 1, where the sign of smooth's delta is right in C too.
    check_agreement(NET, BELOW.format(5), "[connected] output=7 activation=logistic", end)


# --- what is C's own -----------------------------------------------------------------------------


def c_net_of(*sections: str, reach: float = 1) -> CNetwork:
    return CNetwork(make_network(*sections, dtype=np.float32, reach=reach))


def difference(c_net: CNetwork, layer: int) -> Array:
    """One-hot targets less the outputs of a layer, after the forward of a datum."""
    inputs, targets = draw_symbols(c_net.net)
    c_net.forward(inputs, targets)
    return np.eye(7, dtype=np.float32)[targets] - c_net.layers[layer].output


def test_cost_after_softmax_doubles_the_gradient() -> None:
    plain = c_net_of(NET, RNN, LINEAR, END)
    loss = plain.accumulate(*draw_symbols(plain.net))
    with pytest.warns(
        DarknetWarning, match=r"\[cost\] after \[softmax\], which has a loss, is ignored"
    ):
        c_net = c_net_of(NET, RNN, LINEAR, END, "[cost] type=sse")
    mean = c_net.accumulate(*draw_symbols(c_net.net))
    squares = np.square(difference(c_net, 2)).sum()
    assert mean == pytest.approx((loss + squares) / 2, rel=1e-6)
    np.testing.assert_array_equal(c_net.updates, 2 * plain.updates)


def test_softmax_without_loss_counts_as_a_loss_of_0() -> None:
    plain = c_net_of(NET, RNN, LINEAR, END)
    plain.accumulate(*draw_symbols(plain.net))
    c_net = c_net_of(NET, RNN, LINEAR, "[softmax] noloss=1", "[cost]")
    mean = c_net.accumulate(*draw_symbols(c_net.net))
    assert mean == pytest.approx(np.square(difference(c_net, 2)).sum() / 2, rel=1e-6)
    # The delta of [cost], truth - p, goes through the softmax as it is.
    np.testing.assert_array_equal(c_net.updates, plain.updates)


def truth_below(c_net: CNetwork, layer: int) -> tuple[Array, Array]:
    """What a layer below the last gets as its truth, written out, and its output: both flat."""
    inputs, targets = draw_symbols(c_net.net)
    c_net.forward(inputs, targets)
    output = c_net.layers[layer].output.ravel()
    truth = [0.0] * (7 * targets.size)
    for row, target in enumerate(targets.ravel().tolist()):
        truth[7 * row + target] = 1
    return np.array(truth[: output.size], np.float32), output


@pytest.mark.parametrize("width", [1, 4, 7])
def test_a_softmax_below_the_last_layer_gets_the_start_of_the_flat_truth(width: int) -> None:
    c_net = c_net_of(NET, BELOW.format(width), END, LINEAR, END)
    truth, p = truth_below(c_net, 1)
    np.testing.assert_array_equal(c_net.layers[1].delta.ravel(), truth - p)
    loss = float(-np.log(p[truth == 1]).sum())
    assert c_net.layers[1].cost == pytest.approx(loss, rel=1e-5)
    mean = c_net.accumulate(*draw_symbols(c_net.net))
    last = c_net.layers[3].cost
    assert last is not None
    assert mean == pytest.approx((loss + last) / 2, rel=1e-5)


def test_other_losses_below_the_last_layer_get_it_too() -> None:
    for section in ("[cost]", "[logistic]"):
        c_net = c_net_of(NET, BELOW.format(4), section, LINEAR, END)
        truth, p = truth_below(c_net, 0 if section == "[cost]" else 1)
        np.testing.assert_array_equal(c_net.layers[1].delta.ravel(), truth - p)
        losses = np.square(truth - p)
        if section == "[cost]":
            np.testing.assert_array_equal(c_net.layers[1].output.ravel(), losses)
        else:
            losses = -np.log(np.where(truth == 1, p, 1 - p))
        assert c_net.layers[1].cost == pytest.approx(float(losses.sum()), rel=1e-5)


def test_a_loss_that_is_wider_than_the_truth_is_refused() -> None:
    """C reads what lies behind it. Without a loss nothing is read."""
    wide = c_net_of(NET, BELOW.format(8), END, LINEAR, END)
    with pytest.raises(CfgError, match=r"cfg:\d+: \[softmax\]: has 8 outputs and the last layer 7"):
        wide.check_trainable()
    c_net_of(NET, BELOW.format(8), "[softmax] noloss=1", LINEAR, END).check_trainable()


def test_dropout_clears_the_delta_of_the_loss_below_it() -> None:
    """They are one array in C, and each layer's is cleared before its forward."""
    c_net = c_net_of(NET, BELOW.format(4), END, "[dropout]", LINEAR, END)
    truth_below(c_net, 1)
    cost = c_net.layers[1].cost
    assert cost is not None
    assert cost > 0
    assert not c_net.layers[1].delta.any()


@pytest.mark.parametrize(
    "below",
    [
        "[rnn] output=5",
        "[crnn] output=5 size=1",
        "[gru] output=5",
        "[lstm] output=5",
        "[connected] output=5",
        "[softmax]",
        "[logistic]",
        "[cost]",
        "[activation]",
    ],
)
def test_any_layer_below_dropout_predicts_as_without_it(below: str) -> None:
    plain = c_net_of(NET, below, LINEAR, END)
    dropped = c_net_of(NET, below, "[dropout] probability=.9", LINEAR, END)
    for symbol in (3, 0, 6):
        expected = plain.predict(symbol)
        np.testing.assert_array_equal(dropped.predict(symbol), expected)
        assert 0 < expected[0] < 1


def test_a_symbol_that_the_network_does_not_know_is_zeros() -> None:
    """C sets what lies behind the end of its input."""
    weights = LINEAR.replace("7 ", "7 batch_normalize=0 ")
    c_net = c_net_of(NET, weights, END)
    bias = c_net.net.tensors()[0].values
    expected = np.exp(bias) / np.exp(bias).sum()
    np.testing.assert_allclose(c_net.predict(7), expected, rtol=1e-6)
    np.testing.assert_array_equal(c_net.predict(255), c_net.predict(7))


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_any_temperature_gives_what_c_gives(temperature: float) -> None:
    """A division by 0 ends in NaN, of which the last symbol is drawn."""
    c_net = c_net_of(NET, LINEAR, END)
    symbols = list(generate(c_net, [1, 2], 6, temperature, Rand(3)))
    if temperature == -1:
        assert len(set(symbols)) > 2
    else:
        assert symbols == [1, 2] + 6 * [6]


def test_nan_is_printed_with_its_sign() -> None:
    assert printed(math.nan, "f") == "nan"
    assert printed(-math.nan, "f") == "-nan"
    assert printed(math.nan, "4.4f") == " nan"
    assert printed(-math.nan, "4.4f") == "-nan"
    assert printed(-math.inf, "4.4f") == "-inf"
    assert printed(2.5, "4.4f") == "2.5000"
    assert printed(1e-7, "g") == "1e-07"
    logs = arithmetic.log(np.array([-math.nan, math.nan, -1.0]))
    assert [printed(x, "g") for x in logs.tolist()] == ["-nan", "nan", "-nan"]


def test_temperature_is_missing_in_the_delta() -> None:
    c_net = c_net_of(NET, RNN, LINEAR, "[softmax] temperature=2")
    np.testing.assert_array_equal(difference(c_net, 2), c_net.layers[2].delta)


def test_smooth_has_the_wrong_sign_above_1() -> None:
    c_net = c_net_of(NET, RNN, LINEAR, "[cost] type=smooth scale=3", reach=4)
    d = difference(c_net, 1)
    assert (np.abs(d) > 1).any()
    expected = np.where(np.abs(d) < 1, d, -np.sign(d))
    np.testing.assert_array_equal(c_net.layers[2].delta, expected)


def test_dropout_takes_the_derivative_of_the_scaled_outputs() -> None:
    connected = LINEAR.replace("linear", "tanh")
    c_net = c_net_of(NET, connected, "[dropout] probability=.3", LINEAR, END)
    c_net.accumulate(*draw_symbols(c_net.net))
    below, _, above, _ = c_net.layers
    kept = below.output != 0
    assert 0.6 < kept.mean() < 0.8
    weights = c_net.net.layers[2].parameters()[1].values
    expected = above.delta @ weights * kept / 0.7 * (1 - below.output**2)
    np.testing.assert_allclose(below.delta, expected, rtol=0, atol=1e-6)


def test_learning_rate_of_a_layer_acts_in_connected_only() -> None:
    def trained(rnn: str, connected: str) -> Array:
        c_net = c_net_of(NET, rnn, connected, END)
        c_net.train_datum(*draw_symbols(c_net.net))
        return c_net.net.parameters

    plain = trained(RNN, LINEAR)
    np.testing.assert_array_equal(trained(RNN + " learning_rate=5", LINEAR), plain)
    changed = trained(RNN, LINEAR + " learning_rate=5") != plain
    assert changed[-42:].all()
    assert not changed[:-42].any()


def test_stopbackward_leaves_decay_and_momentum() -> None:
    sections = (NET, RNN, LINEAR.replace("7 ", "7 stopbackward=1 "), LINEAR, END)
    c_net = c_net_of(*sections)
    before = c_net.net.parameters.copy()
    c_net.accumulate(*draw_symbols(c_net.net))
    assert not c_net.updates[:-56].any()
    assert c_net.updates[-56:].all()
    c_net.update_network()
    for tensor in c_net.net.layers[1].parameters():
        change = tensor.values - before[tensor.span].reshape(tensor.shape)
        assert change.any() == tensor.decayed


def test_random_rates_are_drawn_on_every_call() -> None:
    net = make_network(NET + " policy=random power=1", RNN, LINEAR, END, dtype=np.float32)
    c_net = CNetwork(net)
    uniform = Rand(0).uniform(0, 1, 3)
    c_net.train_datum(*draw_symbols(net))
    rates = [c_net.last_rate, c_net.printed_rate, c_net.current_rate()]
    assert rates == [float(np.float32(0.05) * u) for u in uniform]


def test_steps_end_at_the_first_to_come() -> None:
    policy = NET + " policy=steps steps=0,9,0 scales=.5,.1,10"
    assert CNetwork(make_network(policy, RNN, LINEAR, END)).current_rate() == np.float32(0.05) / 2


def test_adam_is_ignored() -> None:
    sections = (NET, RNN, LINEAR, END)
    plain = c_net_of(*sections)
    adam = c_net_of(NET + " adam=1", *sections[1:])
    with pytest.warns(DarknetWarning, match=r"cfg:1: .*adam=1.*SGD"):
        adam.check_trainable()
    losses = [c_net.train_datum(*draw_symbols(c_net.net)) for c_net in (plain, adam)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(plain.net.parameters, adam.net.parameters)


@pytest.mark.parametrize("layer", ["[gru] output=7", "[lstm] output=7", "[batchnorm]"])
def test_refuses_what_c_cannot_train(layer: str) -> None:
    net = make_network(NET, layer, LINEAR, END, dtype=np.float32)
    message = r"^cfg:8: \[\w+\]: (is C-exact|the C program cannot) .*`darknet-py train`"
    with pytest.raises(CfgError, match=message):
        CNetwork(net).check_trainable()


def test_refuses_what_cannot_be_trained() -> None:
    def check(message: str, *sections: str) -> None:
        c_net = c_net_of(*sections)
        with pytest.raises(CfgError, match=message):
            c_net.train_datum(*draw_symbols(c_net.net))

    one = NET.replace("batch=8", "batch=1")
    check("at least two streams", one, RNN, LINEAR, END)
    norm = LINEAR + " batch_normalize=1"
    check("at least two streams", one.replace("steps=4", "steps=1"), norm, END)
    check("no loss", NET, RNN, LINEAR)
    check("5 outputs for 7 symbols", NET, RNN, END)


def test_prediction_leaves_training_alone() -> None:
    """And its state runs on until it is reset."""
    c_nets = [c_net_of(NET, RNN, LINEAR, END) for _ in range(2)]
    inputs, targets = draw_symbols(c_nets[0].net)
    first, second = c_nets[1].predict(3), c_nets[1].predict(3)
    assert (first != second).any()
    c_nets[1].reset_state()
    np.testing.assert_array_equal(c_nets[1].predict(3), first)
    for c_net in c_nets:
        c_net.train_datum(inputs, targets)
    np.testing.assert_array_equal(c_nets[0].net.parameters, c_nets[1].net.parameters)
