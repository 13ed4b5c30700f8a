"""Products of bf16: the tiles, their sums bit for bit, and what is trained with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding, ir

from darknet_py.arrays import Array, aligned
from darknet_py.cfg import bundled_cfgs, find_cfg
from darknet_py.engine import choose
from darknet_py.engine.compiled import bf16
from darknet_py.engine.compiled.bf16 import LOOP, PAIRS, TILES, Tiles
from darknet_py.engine.compiled.jit import HAS_PAIRS, IS_X86, VECTOR, Rows, compiled
from darknet_py.engine.compiled.product import Sizes
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.compiled.threads import THREAD
from darknet_py.errors import DarknetError
from darknet_py.network import Network
from darknet_py.options import override
from darknet_py.rand import Rand
from tests.support.commands import invoke

WAYS = [LOOP, *([TILES] if bf16.has_tiles() else []), *([PAIRS] if HAS_PAIRS else [])]
# Around those of tiles, and some beyond.
SIZES = [1, 2, 5, 15, 16, 17, 31, 32, 33, 50, 64, 97, 130, 256]
TINY, INF, NAN = 1e-39, math.inf, math.nan


@compiled
def round_rows(a: Rows, rows: int, depth: int, to: Tiles) -> None:
    bf16.round_rows(a, 0, rows, 0, depth, depth, to)


@compiled
def pack_transposed(w: Rows, depth: int, columns: int, out: Tiles, spare: int) -> None:
    bf16.pack_transposed(w, depth, 0, columns, out, spare)


@compiled
def pack(w: Rows, depth: int, columns: int, out: Tiles) -> None:
    bf16.pack(w, depth, 0, columns, out)


@compiled
def multiply(how: int, a: Tiles, b: Tiles, c: Rows, sizes: Sizes, keep: int, spare: int) -> None:
    bf16.multiply(how, a, b, c, sizes, keep, spare)


@compiled
def gradient(how: int, d: Rows, x: Rows, sizes: Sizes, g: int, scratch: int, me: int) -> None:
    bf16.gradient(how, d, x, sizes, g, scratch, me)


@pytest.fixture(autouse=True, scope="module")
def engine() -> None:
    TEAM.compile()


def rows_of(array: Array) -> Rows:
    return Rows(array.ctypes.data, array.strides[0] // 4)


def tiles(rows: int, depth: int) -> tuple[Array, Tiles]:
    """Room for so many rows or columns, and what names it; what is not written is NaN."""
    room = aligned(bf16.packed_floats(depth, rows))
    room.fill(NAN)
    return room, Tiles(room.ctypes.data, -(-depth // bf16.DEPTH) * bf16.TILE_BYTES)


def rounded(x: Array) -> Array:
    """bf16 to nearest, ties to even, as float32."""
    bits = x.astype(np.float32).view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return np.where(np.isnan(x), np.float32(NAN), nearest.astype(np.uint32).view(np.float32))


def normal(x: Array) -> Array:
    """With zeros for what is too small to be normal."""
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.float32(0), x)


def exact(how: int, a: Array, b: Array, c: Array) -> Array:
    """c + a b as it is summed: a product of bf16 numbers is exact in float32."""
    depth = -(-a.shape[1] // bf16.DEPTH) * bf16.DEPTH
    a = normal(np.pad(rounded(a), ((0, 0), (0, depth - a.shape[1]))))
    b = normal(np.pad(rounded(b), ((0, depth - b.shape[0]), (0, 0))))
    for k in range(0, depth, 2) if how == PAIRS else ():
        c = normal(normal(c) + a[:, k + 1, None] * b[k + 1])
        c = normal(c + a[:, k, None] * b[k])
    for first in range(0, depth, bf16.DEPTH) if how != PAIRS else ():
        even, odd = (np.zeros_like(c) for _ in range(2))
        for k in range(first, first + bf16.DEPTH, 2):
            even = normal(even + a[:, k, None] * b[k])
            odd = normal(odd + a[:, k + 1, None] * b[k + 1])
        c = normal(normal(c) + normal(even + odd))
    return c


def product(how: int, a: Array, weights: Array, c: Array, transposed: bool, keep: int) -> None:
    """Write c = a weights^T into c, whose rows lie apart."""
    (rows, depth), columns = a.shape, len(weights)
    spare = aligned(bf16.SPARE)
    (_a, strips), (_b, panels) = tiles(rows, depth), tiles(columns, depth)
    round_rows(rows_of(a), rows, depth, strips)
    if transposed:
        pack_transposed(rows_of(weights), depth, columns, panels, spare.ctypes.data)
    else:
        turned = weights.T.copy()
        pack(rows_of(turned), depth, columns, panels)
    sizes = Sizes(rows, depth, columns)
    multiply(how, strips, panels, rows_of(c), sizes, keep, spare.ctypes.data)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("case", range(40))
def test_products_bit_for_bit(case: int, how: int) -> None:
    rng = np.random.default_rng(case)
    rows, depth, columns = (int(rng.choice(SIZES)) for _ in range(3))
    a = rng.standard_normal((rows, depth + 3)).astype(np.float32)[:, :depth]
    weights = rng.standard_normal((columns, depth)).astype(np.float32)
    wide = np.full((rows, columns + 5), 1 / 3, np.float32)
    expected = exact(how, a, weights.T, wide[:, :columns] * (case % 2))
    product(how, a, weights, wide[:, :columns], case % 4 < 2, case % 2)
    np.testing.assert_array_equal(wide[:, :columns], expected)
    assert (wide[:, columns:] == np.float32(1 / 3)).all()


@pytest.mark.parametrize("how", WAYS)
def test_numbers_that_are_not_normal(how: int) -> None:
    """Small ones are zeros, the others stay in their rows and columns."""
    a = np.full((20, 40), 2, np.float32)
    a[1:6, 3] = TINY, INF, NAN, -INF, 3.4e38
    weights = np.full((18, 40), 0.5, np.float32)
    weights[4] = 1e-38
    weights[4, ::2] = -1e-38
    c = np.full((20, 18), TINY, np.float32)
    with np.errstate(all="ignore"):
        expected = exact(how, a, weights.T, c)
    product(how, a, weights, c, True, 1)
    np.testing.assert_array_equal(c, expected)
    assert c[0, 4] == 0
    assert np.isposinf(c[2, 0])
    assert np.isnan(c[3]).all()


@pytest.mark.skipif(not IS_X86, reason="ARM keeps small numbers")
def test_the_processor_keeps_small_numbers_afterwards() -> None:
    one = np.ones((16, 32), np.float32)
    product(LOOP, one, one, np.zeros((16, 16), np.float32), True, 0)
    assert (np.full(64, 1e-38, np.float32) * np.float32(0.01) > 0).all()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("case", range(20))
def test_gradients_bit_for_bit(case: int, how: int) -> None:
    rng = np.random.default_rng(case)
    outputs, inputs = (int(rng.choice(SIZES)) for _ in range(2))
    rows = int(rng.choice([1, 7, 33, bf16.BLOCK, bf16.BLOCK + 1, 2 * bf16.BLOCK + 5]))
    d = rng.standard_normal((rows, outputs + 2)).astype(np.float32)[:, :outputs]
    x = rng.standard_normal((rows, inputs + 1)).astype(np.float32)[:, :inputs]
    g = np.ones((outputs, inputs), np.float32)
    scratch = aligned(bf16.gradient_floats(outputs, inputs))
    scratch.fill(NAN)
    spare, counters = aligned(bf16.SPARE), aligned(32, np.int64)
    me = np.array([(0, 1, counters.ctypes.data, spare.ctypes.data)], THREAD)
    places = (array.ctypes.data for array in (g, scratch, me))
    expected = exact(how, d.T, x, g.copy())
    gradient(how, rows_of(d), rows_of(x), Sizes(outputs, rows, inputs), *places)
    np.testing.assert_array_equal(g, expected)


def code_for(cpu: str, features: str, emit: Callable[..., None], shape: object) -> str:
    """Machine code of c += a b of such a shape, for another processor."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    word, pair = ir.IntType(64), ir.ArrayType(ir.IntType(64), 2)
    module = ir.Module()
    module.triple = "x86_64-unknown-linux-gnu"
    a_kind = pair if emit is bf16.emit_tiles else word
    kind = ir.FunctionType(ir.VoidType(), [a_kind, pair, pair, word, word])
    function = ir.Function(module, kind, "product")
    builder = ir.IRBuilder(function.append_basic_block())
    a, b, c, blocks, keep = function.args
    emit(builder, shape, (a, b, c), blocks, keep)
    builder.ret_void()
    machine = binding.Target.from_triple(module.triple).create_target_machine(
        cpu=cpu, features=features
    )
    return machine.emit_assembly(binding.parse_assembly(str(module)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_tiles_are_written_for_processors_that_have_them(shape: tuple[int, int]) -> None:
    code = code_for("sapphirerapids", "+amx-tile,+amx-bf16", bf16.emit_tiles, shape)
    tall, across = shape
    assert code.count("tdpbf16ps") == tall * across
    # Of c once before the loop, of the operands once in it.
    assert code.count("tileloadd") == tall * across + tall + across
    assert code.count("tilestored") == tall * across


@pytest.mark.skipif(VECTOR != 16, reason="as many rows at once as AVX-512 has registers for")
@pytest.mark.parametrize("across", [1, 2])
def test_pairs_are_written_for_processors_that_have_them(across: int) -> None:
    code = code_for("znver4", "+avx512bf16", bf16.emit_pairs, across)
    assert code.count("vdpbf16ps") == 8 * across
    # Sums stay in registers.
    assert "Spill" not in code


@pytest.mark.skipif(not IS_X86, reason="of x86")
def test_without_the_grant_of_the_system_there_are_no_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("darknet_py.engine.compiled.bf16.HAS_TILES", False)
    assert not bf16.has_tiles.__wrapped__()


# --- training


@pytest.mark.filterwarnings("ignore::darknet_py.errors.CostWarning")
@pytest.mark.parametrize("name", bundled_cfgs())
def test_gradients_of_the_bundled_cfgs(name: str) -> None:
    """Their cosine with those of float64.

    Where darknet's own cfgs have batch norm, rounding the weights alone turns the gradient of a new
    network as far.
    """
    found = []
    rng = np.random.default_rng(5)
    small = {"batch": 16, "subdivisions": 1, "time_steps": 8, "dropconnect": 0}
    symbols = rng.integers(97, 123, (9, 16))
    for tier, dtype in ((choose("compiled", "bf16"), np.float32), (choose("numpy"), np.float64)):
        cfg = override(find_cfg(name), small)
        net = Network(cfg, dtype=dtype, tier=tier)
        net.initialize(Rand(1))
        net.trainer.accumulate(symbols[:-1], symbols[1:], net.initial_state(16))
        found.append(net.updates.astype(np.float64))
    ours, theirs = found
    has_norm = name in ("rnn", "rnn.train", "crnn.train", "lstm.train")
    cosine = ours @ theirs / math.sqrt((ours @ ours) * (theirs @ theirs))
    assert cosine > (0.95 if has_norm else 0.9995)


@pytest.mark.usefixtures("run_inputs")
def test_a_run_keeps_its_precision() -> None:
    train = ("train", "net.cfg", "text.txt", "--seed", "1", "--engine", "compiled")
    begun = invoke(*train, "--batches", "3", "--precision", "bf16")
    assert begun.status == 0
    assert "precision: bf16" in begun.stderr
    more = invoke("train", "--resume", "--batches", "5")
    assert more.status == 0
    assert (bf16.way() == LOOP) == ("slow on this processor" in more.stderr)
    whole = invoke(*train, "--batches", "5", "--precision", "bf16", "--out", "whole")
    assert whole.status == 0
    name = "net_final.weights"
    assert Path("backup", name).read_bytes() == Path("whole", name).read_bytes()
    refused = invoke("train", "--resume", "--batches", "7", "--precision", "f32")
    assert refused.status == 1
    assert "the run began with --precision bf16" in refused.lines[-1]
    f32 = invoke(*train, "--batches", "1", "--precision", "f32", "--out", "f32")
    assert (bf16.way() == PAIRS) == ("--precision bf16 is faster" in f32.stderr)
    changed = invoke(
        *("train", "--resume", "--batches", "7", "--precision", "f32", "--accept-changes")
    )
    assert changed.status == 0
    assert invoke("train", "--resume", "--batches", "8").status == 0


@pytest.mark.usefixtures("run_inputs")
def test_bf16_is_of_the_engine_and_of_the_exact_gradient() -> None:
    train = ("train", "net.cfg", "text.txt", "--batches", "1", "--precision", "bf16")
    for more, word in (("--engine", "numpy"), "engine"), (("--gradient", "darknet-cpu"), "f32"):
        refused = invoke(*train, *more)
        assert refused.status == 1
        assert word in refused.lines[-1]
    with pytest.raises(DarknetError, match="--engine compiled"):
        choose("numpy", "bf16")
