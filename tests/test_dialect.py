"""Files of both C programs, files with and without parts, and the cfgs that people hold."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from darknet_py import generate, load_network
from darknet_py.cfg import Cfg, bundled_cfgs, parse_cfg, read_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.errors import CfgError, DarknetWarning, WeightsError
from darknet_py.loading.building import network_for_training, network_of_weights, settle_hidden
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.weights import read_header
from tests.support.commands import invoke, run
from tests.support.inputs import write_cfg
from tests.support.networks import both_dialects, cfg_text, make_network, values_of

pytestmark = pytest.mark.filterwarnings("error")

NET = "[net] inputs=3 batch=4 time_steps=2"
INPUTS, OUTPUTS = 3, 2
SHORT = struct.pack("<iiii", 0, 1, 0, 7)
LONG = {UPSTREAM: struct.pack("<iiiQ", 0, 2, 0, 7), ALEXEYAB: struct.pack("<iiiQ", 0, 2, 5, 7)}

# In the order of the file.
PARTS = {
    ("rnn", UPSTREAM): "input self output",
    ("rnn", ALEXEYAB): "input self output",
    ("lstm", UPSTREAM): "wi wf wo wg ui uf uo ug",
    ("lstm", ALEXEYAB): "wf wi wg wo uf ui ug uo",
    ("gru", UPSTREAM): "wz wr wh uz ur uh",
    ("gru", ALEXEYAB): "uz ur uh wz wr wh",
}


def pieces(kind: str, bn: int, dialect: Dialect) -> list[tuple[str, tuple[int, ...]]]:
    """The name and shape of each tensor of layer 0 in the file."""
    if kind == "batchnorm":
        names = ["scale", "rolling_mean", "rolling_variance"]
        return [(name, (INPUTS,)) for name in ["bias"] * (dialect is ALEXEYAB) + names]
    found: list[tuple[str, tuple[int, ...]]] = []
    for part in PARTS[kind, dialect].split():
        width = INPUTS if part == "input" or part[0] == "u" else OUTPUTS
        found += [(f"{part}.bias", (OUTPUTS,)), (f"{part}.weight", (OUTPUTS, width))]
        if bn:
            norm = ("scale", "rolling_mean", "rolling_variance")
            found += [(f"{part}.{name}", (OUTPUTS,)) for name in norm]
    return found


def sections_of(kind: str, bn: int) -> list[str]:
    if kind == "batchnorm":
        return [NET, "[batchnorm]", "[softmax]"]
    return [NET, f"[{kind}] output={OUTPUTS} batch_normalize={bn}", "[softmax] noloss=1"]


def empty(*sections: str, dialect: Dialect = UPSTREAM) -> Network:
    return Network(parse_cfg(cfg_text(*sections)), dialect)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my.weights"


KINDS = [
    *((kind, bn) for kind in ("rnn", "gru", "lstm") for bn in (0, 1)),
    ("batchnorm", 1),
]
kinds = pytest.mark.parametrize(("kind", "bn"), KINDS)
permuted = pytest.mark.parametrize(("kind", "bn"), KINDS[:-1])


# --- the order of the file -----------------------------------------------------------------------


@both_dialects
@kinds
def test_the_order_of_the_file(kind: str, bn: int, dialect: Dialect, path: Path) -> None:
    """Numbers 1, 2, 3, ..., cut into the tensors of this dialect."""
    expected, first = {}, 1
    for name, shape in pieces(kind, bn, dialect):
        count = int(np.prod(shape))
        expected[f"0.{name}"] = np.arange(first, first + count).reshape(shape)
        first += count
    content = LONG[dialect] + struct.pack(f"<{first - 1}f", *range(1, first))
    path.write_bytes(content)
    net = empty(*sections_of(kind, bn), dialect=dialect)
    net.load_weights(path)
    found = values_of(net)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert net.seen == 7
    net.save_weights(path)
    assert path.read_bytes() == content


@both_dialects
@permuted
def test_a_file_of_the_other_dialect_is_permuted_by_name(
    kind: str, bn: int, dialect: Dialect, path: Path
) -> None:
    """And comes back to the same bytes."""
    other = ALEXEYAB if dialect is UPSTREAM else UPSTREAM
    saved = make_network(*sections_of(kind, bn), dialect=dialect, dtype=np.float32)
    saved.seen = 7
    saved.save_weights(path)
    content = path.read_bytes()
    assert content[:20] == LONG[dialect]

    net = empty(*sections_of(kind, bn), dialect=other)
    net.load_weights(path)
    for name, values in values_of(saved).items():
        np.testing.assert_array_equal(values_of(net)[name], values, err_msg=name)
    net.save_weights(path)
    swapped = path.read_bytes()
    assert swapped[:20] == LONG[other]
    assert (swapped[20:] != content[20:]) == (kind != "rnn")

    back = empty(*sections_of(kind, bn), dialect=dialect)
    back.load_weights(path)
    back.save_weights(path)
    assert path.read_bytes() == content


def test_batchnorm_has_no_bias_in_upstreams_file(path: Path) -> None:
    """In AlexeyAB's network it stays as it was, 0 in a new one."""
    saved = make_network(*sections_of("batchnorm", 1), dtype=np.float32)
    saved.save_weights(path)
    net = empty(*sections_of("batchnorm", 1), dialect=ALEXEYAB)
    net.initialize(Rand(1))
    net.load_weights(path)
    found = values_of(net)
    assert not found.pop("0.bias").any()
    for name, values in found.items():
        np.testing.assert_array_equal(values, values_of(saved)[name], err_msg=name)


def test_a_bias_of_batchnorm_is_not_dropped_in_silence(path: Path) -> None:
    """Upstream's network has no place for it: it would compute something else."""
    saved = make_network(*sections_of("batchnorm", 1), dialect=ALEXEYAB, dtype=np.float32)
    assert values_of(saved)["0.bias"].all()
    saved.save_weights(path)
    net = empty(*sections_of("batchnorm", 1))
    with pytest.raises((WeightsError, DarknetWarning)):
        net.load_weights(path)


@both_dialects
@permuted
def test_a_dialect_that_is_named_overrules_the_header(
    kind: str, bn: int, dialect: Dialect, path: Path
) -> None:
    """The numbers are in this dialect's order, under the other's header."""
    other = ALEXEYAB if dialect is UPSTREAM else UPSTREAM
    saved = make_network(*sections_of(kind, bn), dialect=dialect, dtype=np.float32)
    saved.save_weights(path)
    path.write_bytes(LONG[other] + path.read_bytes()[20:])
    cfg = parse_cfg(cfg_text(*sections_of(kind, bn)))
    named = network_of_weights(cfg, path, dialect.name)
    assert named.dialect is dialect
    assert network_of_weights(cfg, path).dialect is other
    for name, values in values_of(saved).items():
        np.testing.assert_array_equal(values_of(named)[name], values, err_msg=name)


@pytest.mark.parametrize(
    ("version", "dialect"),
    [
        ((0, 1, 0), UPSTREAM),
        ((0, 2, 0), UPSTREAM),
        ((0, 2, 4), UPSTREAM),
        ((0, 2, 5), ALEXEYAB),
        ((0, 1, 5), ALEXEYAB),
    ],
)
def test_revision_5_means_alexeyab(
    version: tuple[int, int, int], dialect: Dialect, path: Path
) -> None:
    header = struct.pack("<iii", *version) + bytes(8 if version[1] == 2 else 4)
    saved = make_network(*sections_of("lstm", 1), dialect=dialect, dtype=np.float32)
    path.write_bytes(header + saved.parameters.tobytes())
    net = network_of_weights(parse_cfg(cfg_text(*sections_of("lstm", 1))), path)
    assert net.dialect is dialect
    np.testing.assert_array_equal(net.parameters, saved.parameters)


LSTM = [
    "[net] inputs=256",
    "[lstm] output=6",
    "[connected] output=256 activation=linear",
    "[softmax]",
]


def test_dialect_on_the_command_line(tmp_path: Path) -> None:
    """The same numbers under both headers: --dialect decides, auto goes by the header."""
    write_cfg(tmp_path / "net.cfg", *LSTM)
    net = make_network(*LSTM, dtype=np.float32, reach=3)
    texts = {}
    for header in DIALECTS.values():
        file = tmp_path / f"{header.name}.weights"
        file.write_bytes(LONG[header] + net.parameters.tobytes())
        for dialect in (*DIALECTS, "auto"):
            outcome = invoke(
                *("-q", "generate", file, "--cfg", tmp_path / "net.cfg"),
                *("--dialect", dialect, "--seed", "1", "--length", "40"),
            )
            assert (outcome.status, outcome.stderr) == (0, "")
            texts[header.name, dialect] = outcome.stdout
    for dialect in DIALECTS:
        assert texts["upstream", dialect] == texts["alexeyab", dialect]
        assert texts[dialect, "auto"] == texts[dialect, dialect]
    assert texts["upstream", "auto"] != texts["alexeyab", "auto"]


@pytest.mark.parametrize("chosen", [None, *DIALECTS])
@both_dialects
def test_training_writes_the_dialect_of_its_weights_or_the_chosen_one(
    dialect: Dialect, chosen: str | None, path: Path
) -> None:
    saved = make_network(*LSTM, dialect=dialect, dtype=np.float32)
    saved.save_weights(path)
    net = network_for_training(parse_cfg(cfg_text(*LSTM)), path, Rand(1), chosen)
    assert net.dialect is (DIALECTS[chosen] if chosen else dialect)
    for name, values in values_of(saved).items():
        np.testing.assert_array_equal(values_of(net)[name], values, err_msg=name)
    net.save_weights(path)
    assert read_header(path).dialect is net.dialect


# --- hidden unlike output ------------------------------------------------------------------------

NARROW = [
    "[net] inputs=5 batch=4 time_steps=2",
    "[rnn] output=4 hidden=3 activation=tanh",
    "[rnn] output=2 hidden=6 batch_normalize=1",
    "[connected] output=5 activation=linear",
    "[softmax]",
]
WIDE = [section.replace(" hidden=3", "").replace(" hidden=6", "") for section in NARROW]


@pytest.mark.parametrize("header", [SHORT, *LONG.values()], ids=["0.1.0", "0.2.0", "0.2.5"])
@pytest.mark.parametrize("honoured", [True, False])
def test_the_number_of_floats_settles_hidden(honoured: bool, header: bytes, path: Path) -> None:
    """Upstream of today takes `output` for both; AlexeyAB's and old upstream read `hidden`."""
    dialect = ALEXEYAB if header == LONG[ALEXEYAB] else UPSTREAM
    sections = NARROW if honoured else WIDE
    saved = make_network(*sections, dialect=dialect, dtype=np.float32)
    path.write_bytes(header + saved.parameters.tobytes())
    cfg = parse_cfg(cfg_text(*NARROW))
    for net in (network_of_weights(cfg, path), network_for_training(cfg, path, Rand(1))):
        assert net.dialect is dialect
        assert [s.shape for s in sum(net.initial_state(1), ())] == (
            [(1, 3), (1, 6)] if honoured else [(1, 4), (1, 2)]
        )
        np.testing.assert_array_equal(net.parameters, saved.parameters)
        symbols = np.array([[1, 2, 3, 4]])
        saved.reset_state()
        np.testing.assert_array_equal(net.predict(symbols), saved.predict(symbols))


def test_a_file_that_fits_neither_width_is_refused_by_the_cfg_as_it_is(path: Path) -> None:
    saved = make_network(*NARROW, dtype=np.float32)
    path.write_bytes(LONG[UPSTREAM] + saved.parameters.tobytes() + bytes(4))
    cfg = parse_cfg(cfg_text(*NARROW))
    assert settle_hidden(cfg, path, UPSTREAM) is cfg
    with pytest.raises(WeightsError, match=f"has {len(saved.parameters)} parameters"):
        network_of_weights(cfg, path)


def test_the_width_is_settled_also_where_a_last_layer_is_not_loaded(path: Path) -> None:
    """Its numbers may be in the file."""
    saved = make_network(*WIDE, dtype=np.float32)
    saved.save_weights(path)
    whole = path.read_bytes()
    cfg = parse_cfg(cfg_text(*NARROW[:3], f"{NARROW[3]} dontload=1", NARROW[4]))
    last = 2 * 5 + 5
    for content in (whole[: -4 * last], whole):
        path.write_bytes(content)
        net = network_of_weights(cfg, path)
        np.testing.assert_array_equal(net.parameters[:-last], saved.parameters[:-last])


@pytest.mark.parametrize(
    ("sections", "chosen", "dialect"),
    [
        (NARROW, None, ALEXEYAB),
        (NARROW, "upstream", UPSTREAM),
        (WIDE, None, UPSTREAM),
        (WIDE, "alexeyab", ALEXEYAB),
        ([NARROW[0], "[rnn] output=4 hidden=4", *NARROW[3:]], None, UPSTREAM),
        ([NARROW[0], "[rnn] hidden=3", *NARROW[3:]], None, ALEXEYAB),
    ],
    ids=["unlike", "unlike, upstream", "absent", "absent, alexeyab", "same", "output 1"],
)
def test_a_new_network_is_alexeyabs_where_hidden_differs(
    sections: list[str], chosen: str | None, dialect: Dialect, path: Path
) -> None:
    net = network_for_training(parse_cfg(cfg_text(*sections)), None, Rand(1), chosen)
    assert net.dialect is dialect
    net.save_weights(path)
    assert read_header(path).revision == dialect.revision


def test_load_network_makes_it_alexeyabs_too(tmp_path: Path) -> None:
    """Today's upstream could not load its file."""
    write_cfg(tmp_path / "net.cfg", *NARROW)
    assert load_network(tmp_path / "net.cfg", seed=1).dialect is ALEXEYAB
    assert load_network(tmp_path / "net.cfg", dialect="upstream").dialect is UPSTREAM


BYTES = [
    "[net] inputs=128 batch=4 time_steps=8 learning_rate=.1 max_batches=2",
    "[rnn] output=4 hidden=3 activation=tanh",
    "[connected] output=128 activation=linear",
    "[softmax]",
]


def test_training_with_hidden_on_the_command_line(tmp_path: Path) -> None:
    """The cfg beside the file describes the file: with `hidden` or, from upstream's, without."""
    write_cfg(tmp_path / "net.cfg", *BYTES)
    (tmp_path / "text.txt").write_bytes(b"an ordinary text. " * 60)
    train = ("train", "net.cfg", "text.txt", "--seed", "1")
    assert run(*train, "--out", "new", cwd=tmp_path).status == 0
    assert read_header(tmp_path / "new" / "net_final.weights").revision == 5
    assert "hidden=3" in (tmp_path / "new" / "net.cfg").read_text()

    wide = [section.replace(" hidden=3", "") for section in BYTES]
    make_network(*wide, dtype=np.float32).save_weights(tmp_path / "wide.weights")
    assert run(*train, "--out", "old", "--weights", "wide.weights", cwd=tmp_path).status == 0
    header = read_header(tmp_path / "old" / "net_final.weights")
    assert header.revision == 0
    assert header.floats == empty(*wide).parameters.size
    for folder in ("new", "old"):
        made = run("generate", folder, "--length", "5", "--seed", "1", cwd=tmp_path)
        assert made.status == 0, made.stderr
        assert len(made.stdout) == 2 + 5 + 1


# --- parts that are not loaded or not saved ------------------------------------------------------

STACK = [
    "[net] inputs=5 batch=4",
    "[lstm] output=4 batch_normalize=1",
    "[gru] output=3",
    "[rnn] output=4 batch_normalize=1",
    "[batchnorm]",
    "[connected] output=5 activation=linear batch_normalize=1",
    "[softmax]",
]


def with_key(key: str, *layers: int) -> list[str]:
    """STACK in which these layers have `key`=1."""
    return [f"{s} {key}=1" if i - 1 in layers else s for i, s in enumerate(STACK)]


def content_of(net: Network, *left_out: str) -> bytes:
    """The floats of a network but those of the tensors whose name starts so."""
    kept = [t.values for t in net.tensors() if not t.name.startswith(left_out or ("no",))]
    return b"".join(np.ascontiguousarray(values).tobytes() for values in kept)


@both_dialects
@pytest.mark.parametrize("layer", range(5))
def test_dontload_keeps_the_initial_values(layer: int, dialect: Dialect, path: Path) -> None:
    """The layer takes no numbers; in the middle of a file there must be none for it."""
    saved = make_network(*STACK, dialect=dialect, dtype=np.float32)
    cfg = parse_cfg(cfg_text(*with_key("dontload", layer)))
    drawn = Network(cfg, dialect)
    drawn.initialize(Rand(3))
    path.write_bytes(LONG[dialect] + content_of(saved, f"{layer}."))
    loaded = network_for_training(cfg, path, Rand(3))
    also = network_of_weights(cfg, path, rand=Rand(3))
    for net in (loaded, also):
        for name, values in values_of(net).items():
            source = drawn if name.startswith(f"{layer}.") else saved
            np.testing.assert_array_equal(values, values_of(source)[name], err_msg=name)
    path.write_bytes(LONG[dialect] + content_of(saved))
    if layer < 4:
        with pytest.raises(WeightsError, match="numbers, but the network of this cfg has"):
            network_for_training(cfg, path, Rand(3))
    else:
        whole = network_for_training(cfg, path, Rand(3))
        np.testing.assert_array_equal(whole.parameters, loaded.parameters)


@pytest.mark.parametrize("into", [UPSTREAM, ALEXEYAB])
def test_the_numbers_of_last_layers_with_dontload_may_be_in_the_file(
    into: Dialect, path: Path
) -> None:
    """All of them or none; also in a file of the other dialect."""
    sections = [s for s in with_key("dontload", 2, 3, 4) if "[batchnorm]" not in s]
    saved = make_network(
        *(s for s in STACK if s != "[batchnorm]"), dialect=ALEXEYAB, dtype=np.float32
    )
    cfg = parse_cfg(cfg_text(*sections))
    whole, without = content_of(saved), content_of(saved, "2.", "3.")
    for content in (whole, without):
        path.write_bytes(LONG[ALEXEYAB] + content)
        net = network_for_training(cfg, path, Rand(3), into.name)
        assert net.dialect is into
        drawn = Network(cfg, into)
        drawn.initialize(Rand(3))
        for name, values in values_of(net).items():
            source = drawn if name[0] in "23" else saved
            np.testing.assert_array_equal(values, values_of(source)[name], err_msg=name)
    for content in (content_of(saved, "3."), content_of(saved, "2."), whole + bytes(4)):
        path.write_bytes(LONG[ALEXEYAB] + content)
        with pytest.raises(WeightsError, match="numbers, but the network of this cfg has"):
            network_for_training(cfg, path, Rand(3))


def test_dontloadscales_acts_in_connected_only(path: Path) -> None:
    """Neither scales nor rolling statistics are in the file that is loaded; all are written."""
    saved = make_network(*STACK, dtype=np.float32)
    cfg = parse_cfg(cfg_text(*with_key("dontloadscales", 0, 1, 2, 3, 4)))
    path.write_bytes(LONG[UPSTREAM] + content_of(saved, "4.scale", "4.rolling"))
    net = network_for_training(cfg, path, Rand(3))
    expected = values_of(saved)
    expected["4.scale"] = np.ones(5, np.float32)
    expected["4.rolling_mean"] = expected["4.rolling_variance"] = np.zeros(5, np.float32)
    for name, values in values_of(net).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    net.save_weights(path)
    assert path.stat().st_size == 20 + 4 * len(saved.parameters)
    with pytest.raises(WeightsError):
        network_for_training(cfg, path, Rand(3))


@both_dialects
@pytest.mark.parametrize("layers", [(0,), (3,), (4,), (1, 4)])
def test_the_cfg_of_saved_weights_describes_the_file(
    layers: tuple[int, ...], dialect: Dialect, path: Path
) -> None:
    """Whatever was left out on loading; layers with dontsave=1 keep their initial values."""
    sections = with_key("dontsave", *layers)
    sections[3] += " dontload=1"
    sections[5] += " dontloadscales=1"
    net = make_network(*sections, dialect=dialect, dtype=np.float32)
    net.save_weights(path)
    prefixes = tuple(f"{layer}." for layer in layers)
    assert path.read_bytes()[20:] == content_of(net, *prefixes)
    described = parse_cfg(net.cfg.of_saved_weights().text())
    for section in described.layers:
        assert "dontloadscales" not in section.options
    loaded = network_of_weights(described, path, rand=Rand(3))
    drawn = Network(described, dialect)
    drawn.initialize(Rand(3))
    for name, values in values_of(loaded).items():
        source = drawn if name.startswith(prefixes) else net
        np.testing.assert_array_equal(values, values_of(source)[name], err_msg=name)
    # Written again, the file is the same: dontsave is still there.
    again = path.with_name("again.weights")
    loaded.save_weights(again)
    assert again.read_bytes() == path.read_bytes()


# --- the cfgs that come with the package ---------------------------------------------------------


def built(path: Path) -> tuple[Cfg, Network, list[str]]:
    """The cfg, its network, and what was said on the way."""
    cfg = read_cfg(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = Network(cfg)
    return cfg, net, [str(each.message) for each in caught]


@pytest.mark.parametrize("name", bundled_cfgs())
def test_every_bundled_cfg_builds(name: str) -> None:
    """And says nothing but that a [cost] after [softmax] is ignored."""
    cfg, net, said = built(bundled_cfgs()[name])
    ignored = [message for message in said if "[cost] after [softmax], which" in message]
    assert said == ignored
    assert len(ignored) == sum(section.name == "cost" for section in cfg.layers)
    assert net.loaded_count == len(net.parameters)
    net.check_symbols_match()
    assert net.loss_layer is net.layers[-1]
    if net.streams > 1:
        net.check_trainable()


def test_the_bundled_cfgs_that_people_hold() -> None:
    """Kinds, widths and numbers of parameters."""
    connected, softmax = ("connected", 256), ("softmax", 256)
    expected = {
        "rnn": ([("rnn", 1024)] * 3, 8_950_016),
        "rnn.train": ([("rnn", 1024)] * 3, 8_950_016),
        "gru": ([("gru", 256)] * 3, 3 * (6 * 256 * 256 + 6 * 256) + 256 * 257),
        "gru.alexeyab": (
            [("gru", 1024)] * 3,
            3 * 256 * 1024 + 15 * 1024**2 + 18 * 4 * 1024 + 256 * 1025,
        ),
        "lstm.train": (
            [("lstm", 1024)] * 3,
            4 * 256 * 1024 + 20 * 1024**2 + 24 * 4 * 1024 + 256 * 1025,
        ),
    }
    for name, (layers, count) in expected.items():
        _, net, _ = built(bundled_cfgs()[name])
        assert [(each.kind, each.outputs) for each in net.layers] == [*layers, connected, softmax]
        assert len(net.parameters) == count, name


def test_rnn_cfg_needs_streams_to_train() -> None:
    _, net, _ = built(bundled_cfgs()["rnn"])
    with pytest.raises(CfgError, match="give a larger batch, like --set batch=16"):
        net.check_trainable()


def test_a_published_file_generates_by_itself(tmp_path: Path) -> None:
    """36 MB with the short header: the cfg is found by the number of floats, and named."""
    net = load_network("rnn", seed=1, batch=1, time_steps=1)
    for tensor in net.tensors():
        if tensor.name.endswith("rolling_variance"):
            tensor.values.fill(1)
    path = tmp_path / "grrm.weights"
    path.write_bytes(struct.pack("<iiii", 0, 1, 0, 1000) + net.parameters.tobytes())
    assert path.stat().st_size == 35_800_080
    outcome = invoke("generate", path, "--length", "3", "--seed", "1", "--prompt", "ab")
    assert outcome.status == 0, outcome.stderr
    text = bytes(generate(net, prompt=b"ab", length=3, temperature=0.7, seed=1))
    assert outcome.stdout == b"ab" + text + b"\n"
    (line,) = outcome.lines
    assert "using rnn, which comes with darknet-py" in line
    assert "--cfg" in line
