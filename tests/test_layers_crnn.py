"""`[crnn]`: its gradient, that it is an `[rnn]`, its first weights, its files and its keys."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_py import load_network
from darknet_py.activations import ACTIVATIONS
from darknet_py.c_exact import CNetwork
from darknet_py.cfg import bundled_cfgs, parse_cfg, read_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.engine import choose, writer
from darknet_py.engine.layers import FusedCrnn
from darknet_py.errors import CfgError, DarknetWarning, WeightsError
from darknet_py.layers.crnn import Convolution, CrnnLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.loading.building import dialect_of_new, network_as_in_c, network_for_training
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.sizes import training_bytes
from tests.support.commands import invoke
from tests.support.gradients import check_gradient, random_state
from tests.support.inputs import write_cfg
from tests.support.networks import (
    both_dialects,
    cfg_text,
    draw_symbols,
    make_network,
    norms,
    values_of,
)

pytestmark = pytest.mark.filterwarnings("error")

NET = "[net] inputs=6 batch=8 time_steps=4 learning_rate=.3 momentum=.8 decay=.02"
LINEAR = "[connected] output=6 activation=linear"
END = "[softmax]"

# Keys that give 2 outputs and a state of 4, by what they are called here.
FORMS = {
    "upstream": "[crnn] output_filters=2 hidden_filters=4",
    "1x1": "[crnn] output=2 hidden=4 size=1",
    "3x3": "[crnn] output=2 hidden=4 size=3 pad=1",
    "groups": "[crnn] output=2 hidden=4 size=1 groups=2",
    "groups of 3x3": "[crnn] output=2 hidden=4 padding=1 groups=2",
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def crnn_of(net: Network, index: int = 0) -> CrnnLayer:
    layer = net.layers[index]
    assert isinstance(layer, CrnnLayer)
    return layer


def convolutions(layer: CrnnLayer) -> list[Convolution]:
    return [linear for linear in layer.linears() if isinstance(linear, Convolution)]


# --- the gradient --------------------------------------------------------------------------------


@forms
@norms
@pytest.mark.parametrize("shortcut", [0, 1])
def test_the_gradient(form: str, shortcut: int, bn: int, dialect: Dialect) -> None:
    """Of two layers, the lower one of which gets symbols as one-hot rows."""
    section = f"{form} activation=tanh batch_normalize={bn} shortcut={shortcut}"
    check_gradient(make_network(NET, section, section, LINEAR, END, dialect=dialect))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("form", ["upstream", "groups"])
def test_the_gradient_of_every_activation(form: str, activation: str) -> None:
    reach = {"plse": 4, "stair": 2, "hardtan": 1.5}.get(activation, 1)
    section = f"{FORMS[form]} activation={activation}"
    check_gradient(make_network(NET, section, LINEAR, END, reach=reach, seed=3))


@forms
@norms
def test_the_gradient_from_a_state(form: str, bn: int, dialect: Dialect) -> None:
    section = f"{form} activation=tanh batch_normalize={bn}"
    sections = ["[lstm] output=4", section, "[gru] output=4", section, LINEAR, END]
    net = make_network(NET, *sections, dialect=dialect)
    check_gradient(net, random_state(net))


def test_taps_over_nothing_only_decay() -> None:
    net = make_network(NET, FORMS["upstream"], LINEAR, END, dtype=np.float64)
    before = values_of(net)["0.self.weight"]
    net.train_batch(*draw_symbols(net))
    after = values_of(net)["0.self.weight"]
    # decay * batch * learning_rate / batch
    expected = before * (1 - 0.02 * 0.3)
    outside = np.ones((3, 3), bool)
    outside[1, 1] = False
    np.testing.assert_allclose(after[..., outside], expected[..., outside], rtol=1e-12)
    assert (np.abs(after[..., 1, 1] - expected[..., 1, 1]) > 1e-6).all()


# --- it is an [rnn] ------------------------------------------------------------------------------


def as_rnn(net: Network, *sections: str) -> Network:
    """The network of `sections`, [rnn] in place of [crnn], with the same matrices."""
    other = Network(parse_cfg(cfg_text(*sections)), net.dialect, net.dtype.type)
    for own, theirs in zip(other.layers, net.layers, strict=True):
        values = {tensor.name: tensor.values for tensor in theirs.parameters()}
        if isinstance(theirs, CrnnLayer):
            for linear in convolutions(theirs):
                values[linear.kernel.name] = linear.matrix()
        for tensor in own.parameters():
            tensor.values[...] = values[tensor.name]
    return other


RNN = "[rnn] output=2 hidden=4"


@forms
@norms
@pytest.mark.parametrize("more", ["activation=leaky", "activation=tanh shortcut=1"])
def test_it_is_an_rnn_of_its_middle_taps(form: str, more: str, bn: int, dialect: Dialect) -> None:
    """Probabilities, losses and, where there is nothing else, the parameters after training."""
    more += f" batch_normalize={bn}"
    net = make_network(NET, f"{form} {more}", LINEAR, END, dialect=dialect)
    other = as_rnn(net, NET, f"{RNN} {more}", LINEAR, END)
    net.settle_statistics(net.layers)
    other.settle_statistics(other.layers)
    inputs, targets = draw_symbols(net)
    np.testing.assert_allclose(net.predict(inputs), other.predict(inputs), rtol=1e-12)
    losses = [each.train_batch(inputs, targets) for each in (net, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for linear in convolutions(crnn_of(net)):
        for tensor in linear.parameters():
            expected = values_of(other)[tensor.name]
            if "rolling" in tensor.name:
                # They move by another share: that of [batchnorm].
                assert dialect is UPSTREAM or not np.allclose(tensor.values, expected)
            elif tensor is not linear.kernel:
                np.testing.assert_allclose(tensor.values, expected, rtol=1e-10)
            else:
                taps = expected if linear.groups == 1 else None
                if taps is not None:
                    np.testing.assert_allclose(linear.weights.values, taps, rtol=1e-10)


@both_dialects
def test_rolling_statistics_move_by_the_share_of_batchnorm(dialect: Dialect) -> None:
    section = f"{FORMS['1x1']} activation=tanh batch_normalize=1"
    net = make_network(NET.replace("steps=4", "steps=1"), section, LINEAR, END, dialect=dialect)
    net.settle_statistics(net.layers)
    (linear, *_) = convolutions(crnn_of(net))
    before = values_of(net)["0.input.rolling_mean"]
    inputs, targets = draw_symbols(net)
    products = linear.weights.values[:, inputs[0]]
    net.train_batch(inputs, targets)
    share = {"upstream": 0.01, "alexeyab": 0.1}[dialect.name]
    expected = (1 - share) * before + share * products.mean(axis=1)
    np.testing.assert_allclose(values_of(net)["0.input.rolling_mean"], expected, rtol=1e-10)


# --- first weights -------------------------------------------------------------------------------


def c_normals(rand: Rand, left: list[float], count: int) -> list[float]:
    """`rand_normal()` of upstream, whose second number waits in `left`."""
    found = []
    for _ in range(count):
        if not left:
            u, v = (rand.rand() / (2**31 - 1) for _ in range(2))
            reach, angle = math.sqrt(-2 * math.log(max(u, 1e-100))), v * 2 * math.pi
            left += [reach * math.sin(angle), reach * math.cos(angle)]
        found.append(left.pop())
    return found


def drawn(dialect: Dialect, *sections: str, seed: int = 4) -> Network:
    net = Network(parse_cfg(cfg_text(*sections)), dialect)
    net.initialize(Rand(seed))
    return net


def test_first_weights_of_upstream() -> None:
    """Normal, over 9 taps; a number left over is kept while others draw evenly."""
    odd = "[crnn] output_filters=3 hidden_filters=5"
    sections = ["[net] inputs=5", odd, "[connected] output=5", odd, END]
    net = drawn(UPSTREAM, *sections)
    rand, left = Rand(4), list[float]()
    shapes = {"input": (5, 5), "self": (5, 5), "output": (3, 5)}
    for index in (0, 2):
        for part, (outputs, inputs) in shapes.items():
            scale = np.float32(math.sqrt(2 / (9 * inputs)))
            numbers = np.array(c_normals(rand, left, 9 * outputs * inputs)).astype(np.float32)
            expected = (scale * numbers).reshape(outputs, inputs, 3, 3)
            np.testing.assert_array_equal(values_of(net)[f"{index}.{part}.weight"], expected)
        if index == 0:
            assert left
            reach = np.float32(math.sqrt(2 / 3))
            expected = (reach * rand.uniform(-1, 1, 15)).reshape(5, 3)
            np.testing.assert_array_equal(values_of(net)["1.weight"], expected)
    assert net.rand.drawn == rand.drawn == net.initial_draws


@pytest.mark.parametrize(("keys", "size"), [("size=1", 1), ("size=3 pad=1", 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_first_weights_of_alexeyab(keys: str, size: int, groups: int) -> None:
    section = f"[crnn] output=2 hidden=4 {keys} groups={groups} batch_normalize=1"
    net = drawn(ALEXEYAB, "[net] inputs=6", section, LINEAR, END)
    rand = Rand(4)
    for part, outputs, inputs in (("input", 4, 6), ("self", 4, 4), ("output", 2, 4)):
        seen = inputs // groups
        scale = np.float32(math.sqrt(2 / (size * size * seen)))
        expected = scale * rand.uniform(-1, 1, outputs * seen * size * size)
        found = values_of(net)[f"0.{part}.weight"]
        np.testing.assert_array_equal(found, expected.reshape(outputs, seen, size, size))
        assert not values_of(net)[f"0.{part}.bias"].any()
        assert (values_of(net)[f"0.{part}.scale"] == 1).all()
    reach = np.float32(math.sqrt(2 / 2))
    np.testing.assert_array_equal(
        values_of(net)["1.weight"], (reach * rand.uniform(-1, 1, 12)).reshape(6, 2)
    )
    assert net.rand.drawn == rand.drawn == net.initial_draws


@forms
def test_an_orthogonal_start(form: str) -> None:
    net = drawn(ALEXEYAB, f"{NET} init=orthogonal", form, LINEAR, END)
    (_, self_layer, _) = convolutions(crnn_of(net))
    matrix = self_layer.matrix()
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(4), atol=1e-6)


# --- files ---------------------------------------------------------------------------------------


@both_dialects
@pytest.mark.parametrize("bn", [0, 1])
def test_the_order_in_a_file(bn: int, dialect: Dialect, tmp_path: Path) -> None:
    """Per convolution: biases, then what batch norm has, and the kernel last."""
    section = f"[crnn] output=3 hidden=2 size=3 pad=1 batch_normalize={bn}"
    net = make_network(NET, section, LINEAR, END, dialect=dialect, dtype=np.float32)
    norm = ["scale", "rolling_mean", "rolling_variance"] if bn else []
    names = [
        f"0.{part}.{kind}"
        for part in ("input", "self", "output")
        for kind in ("bias", *norm, "weight")
    ]
    assert [tensor.name for tensor in net.tensors()] == [*names, "1.bias", "1.weight"]
    assert values_of(net)["0.output.weight"].shape == (3, 2, 3, 3)
    path = tmp_path / "net.weights"
    net.save_weights(path)
    header, numbers = path.read_bytes()[:20], path.read_bytes()[20:]
    assert numbers == b"".join(values_of(net)[t.name].tobytes() for t in net.tensors())
    assert struct.unpack("<iii", header[:12]) == (0, 2, dialect.revision)


def test_kernels_are_not_transposed(tmp_path: Path) -> None:
    """In the layout of a header above 1000, which transposes matrices."""
    net = make_network(NET, FORMS["1x1"], LINEAR, END, dtype=np.float32)
    values = values_of(net)
    transposed = [
        values[tensor.name].T if tensor.name == "1.weight" else values[tensor.name]
        for tensor in net.tensors()
    ]
    path = tmp_path / "net.weights"
    numbers = b"".join(np.ascontiguousarray(array).tobytes() for array in transposed)
    path.write_bytes(struct.pack("<iiii", 1001, 0, 0, 0) + numbers)
    other = Network(net.cfg)
    other.load_weights(path)
    np.testing.assert_array_equal(other.parameters, net.parameters)


def test_a_file_with_too_few_numbers(tmp_path: Path) -> None:
    """`rnn` commands read it as C does, all others refuse it."""
    sections = ["[net] inputs=128", *(s.replace("6", "128") for s in (FORMS["1x1"], LINEAR)), END]
    net = make_network(*sections, dtype=np.float32)
    path, cfg = tmp_path / "net.weights", tmp_path / "net.cfg"
    net.save_weights(path)
    write_cfg(cfg, *sections)
    path.write_bytes(path.read_bytes()[: -4 * 100])
    count = len(net.parameters)
    with pytest.warns(DarknetWarning, match=rf"holds {count - 100:,} numbers, .* the last 100 par"):
        found = network_as_in_c(net.cfg, path, 7)
    np.testing.assert_array_equal(found.parameters[:-100], net.parameters[:-100])
    fresh = drawn(UPSTREAM, *sections, seed=7)
    np.testing.assert_array_equal(found.parameters[-100:], fresh.parameters[-100:])
    assert found.rand.drawn == fresh.rand.drawn
    outcome = invoke("rnn", "generate", cfg, path, "-len", "5", "-srand", "7", "-seed", "a")
    assert outcome.status == 0
    assert "stay as they were drawn at random; check the cfg" in outcome.stderr
    told = f"holds {count - 100:,} numbers, but the network of this cfg has {count:,} parameters"
    assert told in invoke("generate", path, "--cfg", cfg, "--length", "5").error()
    assert told in invoke("rnn", "train", cfg, path, "-file", cfg).error()
    # A file that was cut within a number, or has too many, is refused in every command.
    whole = path.read_bytes()
    for content in (whole[:-2], whole + bytes(4 * 101)):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"numbers.*, but the network of this cfg has"):
            network_as_in_c(net.cfg, path, 7)


# --- C-exact --------------------------------------------------------------------------------------

SECTIONS = st.builds(
    "{} activation={} batch_normalize={} shortcut={}".format,
    st.sampled_from(sorted(FORMS.values())),
    st.sampled_from(sorted(set(ACTIVATIONS) - {"stair"})),
    st.integers(0, 1),
    st.integers(0, 1),
)


@settings(deadline=None, max_examples=40)
@given(
    sections=st.lists(SECTIONS, min_size=1, max_size=3),
    dialect=st.sampled_from(list(DIALECTS.values())),
    seed=st.integers(0, 99),
)
def test_c_exact_predicts_what_the_network_does(
    sections: list[str], dialect: Dialect, seed: int
) -> None:
    sections = ["[net] inputs=6", "[connected] output=4 activation=tanh", *sections, LINEAR, END]
    net = make_network(*sections, dialect=dialect, dtype=np.float32, seed=seed, reach=0.5)
    c_net = CNetwork(net)
    for symbol in (3, 0, 5, 5):
        expected = net.predict(np.array([[symbol]]))[0, 0]
        np.testing.assert_allclose(c_net.predict(symbol), expected, rtol=1e-3, atol=1e-4)


def test_the_c_net_of_a_layer_that_sees_symbols() -> None:
    net = make_network("[net] inputs=6", FORMS["3x3"], LINEAR, END, dtype=np.float32)
    c_net = CNetwork(net)
    for symbol in (3, 0, 5):
        expected = net.predict(np.array([[symbol]]))[0, 0]
        np.testing.assert_allclose(c_net.predict(symbol), expected, rtol=1e-5)
    zeros = c_net.predict(6)
    np.testing.assert_allclose(zeros.sum(), 1, rtol=1e-6)


def test_leaky_has_a_constant_that_is_a_double_in_convolutions() -> None:
    """Those of AlexeyAB's program, whose other layers take an f32."""
    results: list[CNetwork] = []
    sizes = "output=30 hidden=20 activation=leaky"
    for section in (f"[crnn] size=1 {sizes}", f"[rnn] {sizes}"):
        net = make_network("[net] inputs=6", section, dialect=ALEXEYAB, dtype=np.float32)
        if section.startswith("[rnn]"):
            net = as_rnn(results[0].net, "[net] inputs=6", section)
        results.append(CNetwork(net))
    convolution, connected = results
    differ = 0
    for symbol in (0, 1, 2, 3, 4, 5) * 4:
        for c_net in results:
            c_net.predict(symbol)
        x = convolution.layers[0].output[0, 0]
        np.testing.assert_allclose(x, connected.layers[0].output[0, 0], rtol=1e-3, atol=1e-3)
        differ += int((x != connected.layers[0].output[0, 0]).sum())
    assert differ > 0


def test_c_exact_does_not_train_it() -> None:
    net = make_network(NET, FORMS["1x1"], LINEAR, END, dtype=np.float32)
    with pytest.raises(CfgError, match=r"\[crnn\]: is C-exact forward only; .*darknet-py train`"):
        CNetwork(net).check_trainable()


# --- the engine ----------------------------------------------------------------------------------


@forms
@pytest.mark.parametrize("bn", [0, 1])
def test_the_engine_computes_the_same(form: str, bn: int) -> None:
    """By the walk of [rnn]; with groups by numpy."""
    pytest.importorskip("numba")
    head = "[net] inputs=6 batch=8 time_steps=9 learning_rate=.1"
    section = f"{form} activation=leaky batch_normalize={bn}"
    sections = [head, section, "[connected] output=4 activation=tanh", section, LINEAR, END]
    nets = [
        make_network(*sections, dtype=np.float32, tier=choose(name), reach=0.5)
        for name in ("numpy", "compiled")
    ]
    for seed in range(3):
        losses = [net.train_batch(*draw_symbols(net, seed)) for net in nets]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, rtol=1e-3, atol=1e-5)
    for layer in (nets[1].layers[0], nets[1].layers[2]):
        assert isinstance(layer, FusedCrnn)
        assert (layer.walk is not None) == ("groups" not in form)
    state = nets[0].initial_state(1)
    steps = [nets[0].stepper(state), writer(nets[1], state, 1) or nets[1].stepper(state)]
    for symbol in (3, 0, 5):
        logits = [np.asarray(step(symbol)) for step in steps]
        np.testing.assert_allclose(logits[1], logits[0], rtol=1e-3, atol=1e-4)


# --- its keys ------------------------------------------------------------------------------------


def layer_of(section: str, dialect: Dialect = ALEXEYAB, net: str = "[net] inputs=6") -> CrnnLayer:
    return crnn_of(Network(parse_cfg(cfg_text(net, section)), dialect))


def test_defaults_are_those_of_the_two_programs() -> None:
    upstream = layer_of("[crnn] output_filters=5", UPSTREAM)
    assert (upstream.outputs, upstream.hidden) == (5, 1)
    assert [linear.size for linear in convolutions(upstream)] == [3, 3, 3]
    assert {linear.activation.name for linear in upstream.linears()} == {"logistic"}
    alexeyabs = layer_of("[crnn] output=5 pad=1")
    assert (alexeyabs.outputs, alexeyabs.hidden) == (5, 1)
    assert [linear.size for linear in convolutions(alexeyabs)] == [3, 3, 3]
    assert not upstream.shortcut
    assert not upstream.batch_normalize


@both_dialects
def test_either_keys_are_read_in_either_dialect_and_both_by_the_dialect(dialect: Dialect) -> None:
    mine, yours = FORMS["upstream"], FORMS["1x1"]
    assert convolutions(layer_of(mine, dialect))[0].size == 3
    assert convolutions(layer_of(yours, dialect))[0].size == 1
    both = "[crnn] output_filters=5 hidden_filters=2 output=4 hidden=3 size=1"
    layer = layer_of(both, dialect)
    expected = (5, 2) if dialect is UPSTREAM else (4, 3)
    assert (layer.outputs, layer.hidden) == expected


@pytest.mark.parametrize("keys", ["size=1 pad=1", "size=1 stride=4", "size=3 padding=1 dilation=3"])
def test_keys_that_change_nothing_on_one_pixel(keys: str) -> None:
    net = make_network("[net] inputs=6", f"[crnn] output=4 hidden=2 {keys}", LINEAR, END)
    size = int(keys[5])
    plain = f"[crnn] output=4 hidden=2 size={size} padding={size // 2}"
    other = make_network("[net] inputs=6", plain, LINEAR, END)
    np.testing.assert_array_equal(net.predict(np.array([[3]])), other.predict(np.array([[3]])))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("output=4", "size=3 with a padding of 0 does not leave"),
        ("output=4 size=2 pad=1", "size=2 with a padding of 1 does not leave"),
        ("output=4 size=1 padding=1", "size=1 with a padding of 1 does not leave"),
        ("output=4 size=5 pad=1", "size=5 with a padding of 2 does not leave"),
        ("output=4 size=1 xnor=1", "xnor=1 (weights of one bit) is not supported"),
        ("output=4 size=1 groups=4", "groups=4 does not divide the 6 inputs and 1 outputs"),
        ("output=4 hidden=4 size=1 groups=3", "groups=3 does not divide the 6 inputs and 4"),
        ("output=0 size=1", "output='0': expected a whole number from 1"),
        ("output_filters=0", "output_filters='0': expected a whole number from 1"),
        ("output=4 size=1 stride=0", "stride='0': expected a whole number from 1"),
    ],
)
def test_other_kernels_are_refused_in_one_line(keys: str, told: str) -> None:
    with pytest.raises(CfgError, match=rf"^cfg:\d+: .*{re.escape(told)}") as caught:
        layer_of(f"[crnn] {keys}")
    assert "\n" not in str(caught.value)
    if "padding of" in told:
        assert str(caught.value).endswith("supported are size=1, and size=3 with pad=1")


@both_dialects
@pytest.mark.parametrize("form", ["upstream", "1x1"])
def test_an_image_that_is_not_one_pixel_is_refused(form: str, dialect: Dialect) -> None:
    told = (
        r"^cfg:\d+: \[crnn\]: stands on an image of 2 x 3 x 4 \(height x width x channels\); "
        r"supported is text, an image of 1 x 1 x 24: give inputs=24 instead$"
    )
    image = "[net] height=2 width=3 channels=4"
    for below in ([], ["[dropout]"], ["[activation]"], ["[batchnorm]"]):
        with pytest.raises(CfgError, match=told):
            make_network(image, *below, FORMS[form], dialect=dialect)
    for below in (["[connected] output=4"], ["[gru] output=4", "[dropout]"]):
        make_network(image, *below, FORMS[form], dialect=dialect)
    for fine in ("height=1 width=1 channels=6", "inputs=6 height=1", "inputs=6"):
        layer_of(FORMS[form], dialect, f"[net] {fine}")


def test_the_line_of_a_command(tmp_path: Path) -> None:
    write_cfg(tmp_path / "my.cfg", "[net] height=28 width=28 channels=1", FORMS["1x1"], END)
    for command in (["info"], ["rnn", "generate"]):
        outcome = invoke(*command, tmp_path / "my.cfg")
        assert (outcome.status, outcome.stdout) == (1, b"")
        line = outcome.lines[-1]
        assert "my.cfg:6: [crnn]: stands on an image of 28 x 28 x 1" in line
        assert "supported is text" in line


@pytest.mark.parametrize(
    ("section", "dialect"),
    [
        (FORMS["upstream"], UPSTREAM),
        (FORMS["1x1"], ALEXEYAB),
        ("[crnn] output=4 pad=1", ALEXEYAB),
        ("[crnn] activation=leaky pad=1", ALEXEYAB),
        ("[crnn] output=4 output_filters=4 size=1", UPSTREAM),
    ],
)
def test_a_new_network_is_of_the_program_whose_keys_it_has(
    section: str, dialect: Dialect, tmp_path: Path
) -> None:
    cfg = parse_cfg(cfg_text("[net] inputs=6 batch=2", section, LINEAR, END))
    assert dialect_of_new(cfg) is dialect
    assert network_for_training(cfg, None, Rand(1)).dialect is dialect
    assert network_for_training(cfg, None, Rand(1), "alexeyab").dialect is ALEXEYAB


def test_hidden_of_a_crnn_is_not_settled_by_the_size_of_a_file(tmp_path: Path) -> None:
    """It is that of [rnn] that upstream reads and ignores."""
    sections = ["[net] inputs=6", FORMS["1x1"], "[rnn] output=3 hidden=2", LINEAR, END]
    plain = [section.replace("[rnn] output=3 hidden=2", "[rnn] output=3") for section in sections]
    saved = make_network(*plain, dtype=np.float32)
    saved.save_weights(tmp_path / "net.weights")
    write_cfg(tmp_path / "net.cfg", *sections)
    net = load_network(tmp_path / "net.cfg", tmp_path / "net.weights")
    assert isinstance(net.layers[1], RnnLayer)
    assert (crnn_of(net).hidden, net.layers[1].hidden) == (4, 3)
    np.testing.assert_array_equal(net.parameters, saved.parameters)


# --- the bundled cfg, and a run ------------------------------------------------------------------


def test_the_bundled_network() -> None:
    cfg = read_cfg(bundled_cfgs()["crnn.train"])
    with pytest.warns(DarknetWarning, match=r"\[cost\] after \[softmax\]"):
        net = Network(cfg, dialect_of_new(cfg))
    assert len(net.parameters) == 9_015_808
    assert net.dialect is ALEXEYAB
    assert (net.streams, net.options.time_steps, net.options.subdivisions) == (16, 576, 8)
    net.check_trainable()


@forms
def test_memory_to_train_grows_with_what_is_kept(form: str) -> None:
    """A kernel of 3 x 3 counts whole among the parameters; its tap is copied."""

    def needed(section: str, **options: int) -> int:
        more = "".join(f" {key}={value}" for key, value in options.items())
        return training_bytes(make_network(f"{NET}{more}", section, LINEAR, END))

    wide = form.replace("output=2", "output=40").replace("output_filters=2", "output_filters=40")
    assert needed(wide) > needed(form)
    normed = f"{form} batch_normalize=1"
    assert needed(normed) > needed(form)
    counts = [len(make_network(NET, s, LINEAR, END).parameters) for s in (wide, form)]
    assert needed(wide) - needed(form) > 8 * 4 * (counts[0] - counts[1])


@pytest.mark.parametrize("form", ["upstream", "1x1"])
def test_a_run_from_text_to_text(form: str, tmp_path: Path) -> None:
    """Trained, resumed, scored, written, exported and read again, by the commands."""
    sections = [
        "[net] inputs=128 batch=4 time_steps=8 learning_rate=.03 momentum=.9 max_batches=6",
        "[connected] output=12 activation=leaky",
        f"{FORMS[form]} activation=leaky batch_normalize=1",
        "[connected] output=128 activation=linear",
        END,
    ]
    write_cfg(tmp_path / "net.cfg", *sections)
    (tmp_path / "text.txt").write_bytes(b"as long as it is long. " * 40)
    out = tmp_path / "out"
    train = ("train", tmp_path / "net.cfg", tmp_path / "text.txt", "--seed", "1", "--out", out)
    assert invoke(*train, "--batches", "3").status == 0
    resumed = invoke("train", "--resume", "--out", out, "--batches", "6")
    assert resumed.status == 0, resumed.stderr
    whole = tmp_path / "whole"
    assert invoke(*train[:-1], whole).status == 0
    files = [folder / "net_final.weights" for folder in (out, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert invoke("generate", out, "--length", "9").status == 0
    assert invoke("valid", out, tmp_path / "text.txt").status == 0
    shown = invoke("info", files[0])
    assert shown.status == 0
    assert re.search(rb"\d  crnn +12 +2 ", shown.stdout)
    assert invoke("export", files[0], tmp_path / "net.npz").status == 0
    assert invoke("import", tmp_path / "net.npz", tmp_path / "back.weights").status == 0
    assert (tmp_path / "back.weights").read_bytes() == files[0].read_bytes()
    folded = tmp_path / "folded.weights"
    assert invoke("export", files[0], folded, "--fold-batchnorm").status == 0
    text = [
        invoke("generate", path, "--seed", "1", "--length", "30", "--temperature", ".3").stdout
        for path in (files[0], folded)
    ]
    assert text[0] == text[1]
