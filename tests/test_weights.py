"""Weights files: their bytes, what is refused, and that an old file outlives a failed save."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.errors import DarknetWarning, WeightsError
from darknet_py.network import Network
from darknet_py.weights import read_header
from tests.support.networks import Array, make_network

pytestmark = pytest.mark.filterwarnings("error")

SECTIONS = [
    "[net] inputs=3 batch=4",
    "[rnn] output=2 hidden=4 activation=tanh batch_normalize=1",
    "[connected] output=3 activation=linear",
    "[softmax]",
]
# (outputs, inputs, batch norm) of the connected layers in it, in the order of the file
BRICKS = [(4, 3, True), (4, 4, True), (2, 4, True), (3, 2, False)]
COUNT = sum(out * (into + (4 if bn else 1)) for out, into, bn in BRICKS)
LONG = struct.pack("<iiiQ", 0, 2, 0, 7)


def network(seed: int = 1) -> Network:
    return make_network(*SECTIONS, dtype=np.float32, seed=seed)


def tensor(net: Network, name: str) -> Array:
    return next(t.values for t in net.tensors() if t.name == name)


def packed(values: Any) -> bytes:
    flat = [float(value) for value in np.asarray(values).ravel()]
    return struct.pack(f"<{len(flat)}f", *flat)


def file_of(net: Network, header: bytes, transposed: bool = False) -> bytes:
    """The file, piece by piece: bias, matrix row by row, scales and rolling statistics."""
    content = header
    for name in ("0.input", "0.self", "0.output", "1"):
        content += packed(tensor(net, f"{name}.bias"))
        matrix = tensor(net, f"{name}.weight")
        content += packed(matrix.T if transposed else matrix)
        if name != "1":
            for kind in ("scale", "rolling_mean", "rolling_variance"):
                content += packed(tensor(net, f"{name}.{kind}"))
    return content


def error_of(path: Path, net: Network | None = None) -> str:
    """The message of the refusal, after which the network is as it was."""
    net = net or network()
    before = net.parameters.copy()
    with pytest.raises(WeightsError) as caught:
        net.load_weights(path)
    np.testing.assert_array_equal(net.parameters, before)
    assert net.seen == 0
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my.weights"


# --- layout --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "revision"), [(UPSTREAM, 0), (ALEXEYAB, 5)])
def test_a_saved_file_is_header_seen_and_floats(
    dialect: Dialect, revision: int, path: Path
) -> None:
    net = make_network(*SECTIONS, dtype=np.float32, dialect=dialect)
    net.seen = 123_456_789_012
    net.save_weights(path)
    header = struct.pack("<iiiQ", 0, 2, revision, 123_456_789_012)
    assert path.read_bytes() == file_of(net, header)
    assert path.stat().st_size == 20 + 4 * COUNT
    assert os.listdir(path.parent) == [path.name]


def test_gated_layers_have_the_order_of_their_dialect(path: Path) -> None:
    orders = {
        ("lstm", UPSTREAM): "wi wf wo wg ui uf uo ug",
        ("lstm", ALEXEYAB): "wf wi wg wo uf ui ug uo",
        ("gru", UPSTREAM): "wz wr wh uz ur uh",
        ("gru", ALEXEYAB): "uz ur uh wz wr wh",
    }
    for (kind, dialect), order in orders.items():
        net = make_network(
            "[net] inputs=3 batch=4",
            f"[{kind}] output=2 batch_normalize=1",
            "[softmax] noloss=1",
            dtype=np.float32,
            dialect=dialect,
        )
        net.save_weights(path)
        content = b"".join(
            packed(tensor(net, f"0.{part}.{name}"))
            for part in order.split()
            for name in ("bias", "weight", "scale", "rolling_mean", "rolling_variance")
        )
        assert path.read_bytes()[20:] == content


HEADERS = [
    pytest.param(struct.pack("<iiii", 0, 1, 0, 7), False, id="0.1.0"),
    pytest.param(struct.pack("<iiii", 0, 0, 9, 7), False, id="0.0.9"),
    pytest.param(LONG, False, id="0.2.0"),
    pytest.param(struct.pack("<iiiQ", 0, 2, 5, 7), False, id="0.2.5"),
    pytest.param(struct.pack("<iiiQ", 1, 0, 0, 7), False, id="1.0.0"),
    pytest.param(struct.pack("<iiiQ", 999, 999, 0, 7), False, id="999.999.0"),
    pytest.param(struct.pack("<iiii", 1000, 0, 0, 7), False, id="1000.0.0"),
    pytest.param(struct.pack("<iiii", 0, 1000, 0, 7), False, id="0.1000.0"),
    pytest.param(struct.pack("<iiii", 1001, 0, 0, 7), True, id="1001.0.0"),
    pytest.param(struct.pack("<iiii", 0, 1001, 0, 7), True, id="0.1001.0"),
]


@pytest.mark.parametrize(("header", "transposed"), HEADERS)
def test_every_header_of_darknet_is_read(header: bytes, transposed: bool, path: Path) -> None:
    """Matrices are stored transposed where major or minor is above 1000."""
    saved, loaded = network(seed=1), network(seed=2)
    path.write_bytes(file_of(saved, header, transposed))
    loaded.load_weights(path)
    np.testing.assert_array_equal(loaded.parameters, saved.parameters)
    assert loaded.seen == 7


def test_seen_has_64_bits_in_the_long_header(path: Path) -> None:
    net = network()
    path.write_bytes(file_of(net, struct.pack("<iiiQ", 0, 2, 0, 2**40 + 3)))
    net.load_weights(path)
    assert net.seen == 2**40 + 3


def test_a_negative_count_is_one_from_2_31_on(path: Path) -> None:
    """In the short header, where the C program takes it for an i32."""
    net = network()
    path.write_bytes(file_of(net, struct.pack("<iiii", 0, 1, 0, -3)))
    net.load_weights(path)
    assert net.seen == 2**32 - 3


NORMED = (
    "[net] inputs=3",
    "[rnn] output=2 batch_normalize=1",
    "[gru] output=2 batch_normalize=1",
    "[connected] output=3 batch_normalize=1",
    "[batchnorm]",
    "[softmax]",
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rolling_variances_may_be_infinite(dialect: str, path: Path) -> None:
    """With one warning: what they divide becomes 0. All other numbers must be finite."""
    saved = make_network(*NORMED, dialect=DIALECTS[dialect], dtype=np.float32)
    variances = [t for t in saved.tensors() if t.name.endswith("rolling_variance")]
    assert len(variances) == 3 + 6 + 1 + 1
    for tensor in variances:
        tensor.values[0] = np.inf
    saved.save_weights(path)
    net = make_network(*NORMED, dialect=DIALECTS[dialect], dtype=np.float32, seed=5)
    with pytest.warns(DarknetWarning, match="11 rolling variances are infinite") as caught:
        net.load_weights(path)
    assert len(caught) == 1
    np.testing.assert_array_equal(net.parameters, saved.parameters)
    assert np.isfinite(net.predict(np.array([[0], [1], [2]]))).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_other_numbers_of_batch_norm_may_not(value: float, path: Path) -> None:
    for tensor in make_network(*NORMED, dtype=np.float32).tensors():
        if tensor.name.endswith("rolling_variance") and value == np.inf:
            continue
        saved = make_network(*NORMED, dtype=np.float32)
        found = next(t for t in saved.tensors() if t.name == tensor.name)
        found.values.ravel()[-1] = value
        saved.save_weights(path)
        net = make_network(*NORMED, dtype=np.float32, seed=5)
        before = net.parameters.copy()
        offset = 20 + 4 * (found.span.stop - 1)
        with pytest.raises(WeightsError, match=f"{value} at offset {offset} is not a finite"):
            net.load_weights(path)
        np.testing.assert_array_equal(net.parameters, before)


@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=COUNT, max_size=COUNT))
def test_any_finite_floats_survive_a_round_trip_bit_for_bit(
    bits: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    floats = np.array(bits, np.uint32)
    floats[(floats & 0x7F800000) == 0x7F800000] &= 0x807FFFFF  # no NaN, no infinity
    path = tmp_path_factory.getbasetemp() / "round.weights"
    saved, loaded = network(), network()
    saved.parameters[...] = floats.view(np.float32)
    saved.save_weights(path)
    loaded.load_weights(path)
    np.testing.assert_array_equal(loaded.parameters.view(np.uint32), floats)


def test_loading_fills_the_vector_in_place(path: Path) -> None:
    network(seed=3).save_weights(path)
    net = network()
    view, matrix = net.parameters, tensor(net, "0.self.weight")
    net.load_weights(path)
    assert view is net.parameters
    assert np.shares_memory(matrix, view)
    np.testing.assert_array_equal(matrix, tensor(network(seed=3), "0.self.weight"))


# --- what is refused -----------------------------------------------------------------------------


def numbers_in(message: str, path: Path) -> set[int]:
    found = re.findall(r"[\d,]*\d", message.removeprefix(f"{path}: "))
    return {int(number.replace(",", "")) for number in found}


@pytest.mark.parametrize("header", [LONG, struct.pack("<iiii", 0, 1, 0, 7)], ids=["long", "short"])
def test_every_truncation_is_refused_with_both_counts(header: bytes, path: Path) -> None:
    whole = file_of(network(), header)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        numbers = numbers_in(error_of(path), path)
        if size < len(header):
            assert size in numbers
        else:
            assert COUNT in numbers, size
            assert {size, (size - len(header)) // 4} & numbers, size


@pytest.mark.parametrize("more", [1, 2, 3, 4, 8, 400])
def test_more_than_the_network_has_is_refused_with_both_counts(more: int, path: Path) -> None:
    whole = file_of(network(), LONG)
    path.write_bytes(whole + bytes(more))
    numbers = numbers_in(error_of(path), path)
    assert COUNT in numbers
    assert {len(whole) + more, COUNT + more // 4} & numbers


def test_weights_of_another_network_are_refused_with_both_counts(path: Path) -> None:
    other = make_network("[net] inputs=999", "[connected] output=3", "[softmax]")
    other.save_weights(path)
    assert {3000, COUNT} <= numbers_in(error_of(path), path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 5, COUNT - 1])
def test_a_number_that_is_not_finite_is_named_with_its_offset(
    value: float, index: int, path: Path
) -> None:
    content = bytearray(file_of(network(), LONG))
    struct.pack_into("<f", content, 20 + 4 * index, value)
    path.write_bytes(content)
    message = error_of(path)
    assert f"{value} at offset {20 + 4 * index} is not a finite number" in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[net]\nbatch=1\ninputs=256\n\n[softmax]\n", "is not a weights file: it starts with"),
        ("Über allen Gipfeln ist Ruh".encode(), "is not a weights file: it starts with"),
        (b"\x1b[31m" * 9, "is not a weights file: it starts with"),
        (struct.pack("<iiiQ", -1, 2, 0, 7) + bytes(4 * COUNT), "is not a weights file"),
        (struct.pack("<iiiQ", 0, 2, 0, 2**63) + bytes(4 * COUNT), "is not a count of symbols"),
        (b"", "has 0 bytes; a weights file has at least 16"),
    ],
    ids=["cfg", "text", "escapes", "version", "seen", "empty"],
)
def test_what_is_no_weights_file_is_refused(content: bytes, told: str, path: Path) -> None:
    path.write_bytes(content)
    assert told in error_of(path)


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    assert "No such file" in error_of(path)
    assert "folder" in error_of(path.parent)


@given(
    version=st.tuples(*[st.integers(-(2**31), 2**31 - 1) | st.integers(0, 1002)] * 3),
    rest=st.binary(max_size=8)
    | st.integers(0, 2**64 - 1).map(lambda seen: struct.pack("<Q", seen)),
    floats=st.integers(COUNT - 1, COUNT + 1),
)
def test_any_header_is_read_or_refused(
    version: tuple[int, int, int],
    rest: bytes,
    floats: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.weights"
    path.write_bytes(struct.pack("<iii", *version) + rest + bytes(4 * floats))
    net = network()
    try:
        net.load_weights(path)
    except WeightsError:
        np.testing.assert_array_equal(net.parameters, network().parameters)
    else:
        major, minor, _ = version
        start = 20 if 10 * major + minor >= 2 and major < 1000 and minor < 1000 else 16
        content = path.read_bytes()
        assert net.seen == int.from_bytes(content[12:start], "little")
        assert len(content) == start + 4 * COUNT
        if max(major, minor) <= 1000:
            assert packed(net.parameters) == content[start:]


@given(content=st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.weights"
    path.write_bytes(content)
    try:
        header = read_header(path)
    except WeightsError:
        return
    assert header.length + 4 * header.floats == len(content)
    assert struct.pack("<3i", header.major, header.minor, header.revision) == content[:12]


# --- saving --------------------------------------------------------------------------------------


def fail(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    function: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(seed=1).save_weights(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left"):
        network(seed=2).save_weights(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(
    error: Callable[[], BaseException], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(seed=1).save_weights(path)
    before = path.read_bytes()

    def interrupt(_: int) -> None:
        raise error()

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(BaseException):  # noqa: B017, PT011
        network(seed=2).save_weights(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_save_is_synced_before_it_takes_the_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(file: int) -> None:
        calls.append(("fsync", os.fstat(file).st_size, path.exists()))
        fsync(file)

    def watched_replace(source: Any, target: Any) -> None:
        calls.append(("replace", os.stat(source).st_size, path.exists()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    network().save_weights(path)
    size = 20 + 4 * COUNT
    assert calls[:2] == [("fsync", size, False), ("replace", size, False)]


def test_a_place_that_cannot_be_written_to_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        network().save_weights(tmp_path / "none" / "my.weights")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        network().save_weights(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_double_precision_is_saved_as_single(path: Path) -> None:
    net = make_network(*SECTIONS)
    net.save_weights(path)
    loaded = network(seed=5)
    loaded.load_weights(path)
    np.testing.assert_array_equal(loaded.parameters, net.parameters.astype(np.float32))


# --- dialects, and layers that are left out ------------------------------------------------------

MIXED = ["[net] inputs=3 batch=4", "[lstm] output=2", "[gru] output=4 batch_normalize=1"]


def test_a_file_of_the_other_dialect_is_put_in_the_networks_order(path: Path) -> None:
    for dialect, other in ((UPSTREAM, ALEXEYAB), (ALEXEYAB, UPSTREAM)):
        saved = make_network(*MIXED, dtype=np.float32, dialect=other, seed=3)
        saved.seen = 9
        saved.save_weights(path)
        net = make_network(*MIXED, dtype=np.float32, dialect=dialect)
        net.load_weights(path)
        assert net.dialect is dialect
        assert net.seen == 9
        for t in net.tensors():
            np.testing.assert_array_equal(t.values, tensor(saved, t.name))
        assert (net.parameters != saved.parameters).any()


def test_a_dialect_that_is_named_overrules_the_header(path: Path) -> None:
    saved = make_network(*MIXED, dtype=np.float32, dialect=ALEXEYAB)
    saved.save_weights(path)
    net = make_network(*MIXED, dtype=np.float32, dialect=UPSTREAM)
    net.load_weights(path, "upstream")
    np.testing.assert_array_equal(net.parameters, saved.parameters)


def test_dontsave_leaves_a_layer_out_of_the_file(path: Path) -> None:
    sections = [SECTIONS[0], f"{SECTIONS[1]} dontsave=1", *SECTIONS[2:]]
    net = make_network(*sections, dtype=np.float32)
    net.save_weights(path)
    last = packed(tensor(net, "1.bias")) + packed(tensor(net, "1.weight"))
    assert path.read_bytes()[20:] == last


def test_dontload_leaves_a_layer_as_it_is(path: Path) -> None:
    """Its numbers may be missing from the file, or stand at its end."""
    sections = [*SECTIONS[:2], f"{SECTIONS[2]} dontload=1", SECTIONS[3]]
    saved = network(seed=3)
    whole = file_of(saved, LONG)
    for content in (whole, whole[: -4 * 9]):
        net = make_network(*sections, dtype=np.float32)
        last = tensor(net, "1.weight").copy()
        path.write_bytes(content)
        net.load_weights(path)
        np.testing.assert_array_equal(tensor(net, "1.weight"), last)
        np.testing.assert_array_equal(net.parameters[:-9], saved.parameters[:-9])
    for content in (whole[:-4], whole + bytes(4), whole[: -4 * 10]):
        path.write_bytes(content)
        with pytest.raises(WeightsError):
            net.load_weights(path)


def test_dontloadscales_takes_neither_scales_nor_statistics(path: Path) -> None:
    sections = ["[net] inputs=3 batch=4", "[connected] output=3 batch_normalize=1", "[softmax]"]
    saved = make_network(*sections, dtype=np.float32, seed=3)
    sections[1] += " dontloadscales=1"
    net = make_network(*sections, dtype=np.float32)
    scales = tensor(net, "0.scale").copy()
    path.write_bytes(LONG + packed(tensor(saved, "0.bias")) + packed(tensor(saved, "0.weight")))
    net.load_weights(path)
    np.testing.assert_array_equal(tensor(net, "0.weight"), tensor(saved, "0.weight"))
    np.testing.assert_array_equal(tensor(net, "0.scale"), scales)
    net.save_weights(path)
    assert path.stat().st_size == 20 + 4 * (3 + 9 + 9)
