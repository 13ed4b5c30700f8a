"""Matrix products of bf16 numbers with float32 sums: the twin of product.py.

    multiply    c = a B        a (rows, depth), B (depth, columns)
    gradient    g += d^T x     d (rows, outputs), x (rows, inputs), g (outputs, inputs)

bf16 is the upper half of a float32, here rounded to nearest, ties to even. Operands are made of
tiles of 1 KB, 16 rows of 16 pairs, as Intel's AMX multiplies them (Intel 64 manual, TDPBF16PS):
    of `a`, a strip of 16 rows, tiles of DEPTH one after the other: row i, pair p has k = 2p, 2p + 1
    of B, a panel of 16 columns, likewise: row p, pair j has k = 2p, 2p + 1 of column j
What is missing at the end of the depth is zeros.

A tile of c is made in one of three ways:
    TILES   by that instruction: for each DEPTH the even k and the odd k are summed apart, in order,
            and their sum is added to c
    PAIRS   by AVX-512's for pairs (VDPBF16PS), which adds to c the products of each pair, first the
            odd k: other sums, with the same rounding of what is multiplied
    LOOP    by neither, with the sums of TILES
Numbers too small to be normal are zeros. The bits are those of any number of threads.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import NamedTuple

from llvmlite import ir
from numba import types

from darknet_py.engine.compiled.jit import (
    FLOAT,
    FLOAT_BYTES,
    HAS_PAIRS,
    HAS_TILES,
    IS_X86,
    VECTOR,
    WORD,
    Rows,
    compiled,
    exported,
    floats,
    function_of,
    halves,
    instructions,
    numba_type,
    row_of,
    rows_from,
    words,
)
from darknet_py.engine.compiled.product import PANEL, Sizes
from darknet_py.engine.compiled.threads import share, thread_at, wait

# How products are made; 0 is float32.
LOOP, TILES, PAIRS = 1, 2, 3
WAYS = {LOOP: "loop", TILES: "tiles", PAIRS: "pairs"}
SIDE, DEPTH, TILE_BYTES = 16, 32, 1024
# Rows of c that a loop makes at once, as the registers allow.
_AT_ONCE = 8 if VECTOR == 16 else 2
# Rows of a block of `gradient`; rows of `a` that run over one panel after the other.
BLOCK, _CHUNK = 512, 128
# Numbers of each thread's scratch: a tile of c with its neighbors, and a tile of an operand.
_ROOM = 4 * SIDE * SIDE
SPARE = _ROOM + TILE_BYTES // FLOAT_BYTES
_BYTE, _INT, _HALF = ir.IntType(8), ir.IntType(32), ir.IntType(16)


class Tiles(NamedTuple):
    """Strips or panels: the address of the first, and bytes from one to the next."""

    at: int
    apart: int


@lru_cache(maxsize=1)
def has_tiles() -> bool:
    """Whether the processor multiplies tiles and the system lets this process use them.

    Linux is asked once; threads that begin later may use them too.
    """
    if not HAS_TILES or not sys.platform.startswith("linux"):
        return False
    # arch_prctl with ARCH_REQ_XCOMP_PERM and ARCH_GET_XCOMP_PERM, of the tiles' data.
    system, allowed = ctypes.CDLL(None).syscall, ctypes.c_uint64()
    if system(158, 0x1023, 18) != 0 or system(158, 0x1022, ctypes.byref(allowed)) != 0:
        return False
    return bool(allowed.value >> 18 & 1)


def way() -> int:
    """The fastest way to make products here."""
    return TILES if has_tiles() else PAIRS if HAS_PAIRS else LOOP


# --- rounding -------------------------------------------------------------------------------------


def _rounded(builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
    """bf16 of the bits of float32 numbers, in the lower halves. NaN stays NaN."""

    def number(value: int) -> ir.Value:
        count = getattr(bits.type, "count", 0)
        return ir.Constant(bits.type, [value] * count if count else value)

    upper = builder.lshr(bits, number(16))
    last = builder.and_(upper, number(1))
    nearest = builder.lshr(builder.add(bits, builder.add(last, number(0x7FFF))), number(16))
    size = builder.and_(bits, number(0x7FFFFFFF))
    is_nan = builder.icmp_unsigned(">", size, number(0x7F800000))
    return builder.select(is_nan, builder.or_(upper, number(0x40)), nearest)


def _vector(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """16 words of 32 bits."""
    place = builder.inttoptr(address, ir.VectorType(_INT, SIDE).as_pointer())
    return builder.load(place, align=FLOAT_BYTES)


def _store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=2)


@instructions(types.intp, types.float32)
def _round_one(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    return builder.zext(_rounded(builder, builder.bitcast(number, _INT)), WORD)


@instructions(types.void, types.intp, types.intp)
def _round_16(builder: ir.IRBuilder, source: ir.Value, to: ir.Value) -> None:
    """16 numbers, one after the other."""
    rounded = _rounded(builder, _vector(builder, source))
    _store(builder, builder.trunc(rounded, ir.VectorType(_HALF, SIDE)), to)


@instructions(types.void, types.intp, types.intp, types.intp)
def _round_pairs(builder: ir.IRBuilder, even: ir.Value, odd: ir.Value, to: ir.Value) -> None:
    """A row of a panel's tile, of 16 numbers of two rows."""
    low, high = (_rounded(builder, _vector(builder, row)) for row in (even, odd))
    upper = builder.shl(high, ir.Constant(high.type, [16] * SIDE))
    _store(builder, builder.or_(low, upper), to)


@instructions(types.void, types.intp, types.intp)
def _transpose(builder: ir.IRBuilder, tile: ir.Value, to: ir.Value) -> None:
    """A tile with rows and pairs exchanged: that of a strip becomes that of a panel, and back."""
    rows = [_vector(builder, builder.add(tile, WORD(64 * i))) for i in range(SIDE)]
    step = SIDE // 2
    while step:
        # Exchange the blocks of `step` beside the diagonal of each block of 2 step.
        lower = [j if not j & step else SIDE + j - step for j in range(SIDE)]
        upper = [j + step if not j & step else SIDE + j for j in range(SIDE)]
        masks = [ir.Constant(ir.VectorType(_INT, SIDE), mask) for mask in (lower, upper)]
        for i in range(SIDE):
            if not i & step:
                pair = rows[i], rows[i + step]
                rows[i], rows[i + step] = (builder.shuffle_vector(*pair, m) for m in masks)
        step //= 2
    for i, row in enumerate(rows):
        _store(builder, row, builder.add(to, WORD(64 * i)))


@compiled
def tiles_of(depth: int) -> int:
    """Tiles that a strip or panel of this depth has."""
    return (depth + DEPTH - 1) // DEPTH


@compiled
def _clear(tile: int) -> None:
    zeros = words(tile, (TILE_BYTES // 8,))
    for j in range(len(zeros)):
        zeros[j] = 0


@compiled
def _round_row(source: int, count: int, k: int, to: int) -> None:
    """Numbers from k on of the row of a strip that begins at `to`."""
    done = 0
    while done < count:
        place = to + (k + done) // DEPTH * TILE_BYTES + (k + done) % DEPTH * 2
        at = source + done * FLOAT_BYTES
        if (k + done) % SIDE == 0 and done + SIDE <= count:
            _round_16(at, place)
            done += SIDE
        else:
            halves(place, (1,))[0] = _round_one(floats(at, (1,))[0])
            done += 1


@exported
def round_rows(a: Rows, first: int, end: int, k: int, stop: int, depth: int, to: Tiles) -> None:
    """Write numbers k to stop of rows first to end of `a` (rows, depth) to its strips.

    With those at the end of the depth come the zeros up to a whole tile.
    """
    if k >= stop:
        return
    zeros = tiles_of(depth) * DEPTH - depth if stop == depth else 0
    for i in range(first, end):
        row = to.at + i // SIDE * to.apart + i % SIDE * 64
        _round_row(rows_from(a, i, k).at, stop - k, k, row)
        if zeros:
            last = halves(row + depth // DEPTH * TILE_BYTES + depth % DEPTH * 2, (zeros,))
            for j in range(zeros):
                last[j] = 0


# --- operands -------------------------------------------------------------------------------------


@compiled
def _pair_tile(x: Rows, k: int, depth: int, column: int, end: int, to: int) -> None:
    """A tile of a panel of x: from row k to at most `depth`, from this column to at most `end`."""
    count = min(SIDE, end - column)
    if k + DEPTH <= depth and count == SIDE:
        for pair in range(SIDE):
            even, odd = rows_from(x, k + 2 * pair, column), rows_from(x, k + 2 * pair + 1, column)
            _round_pairs(even.at, odd.at, to + pair * 64)
        return
    _clear(to)
    for i in range(min(DEPTH, depth - k)):
        row = row_of(rows_from(x, k + i, column), 0, count)
        pairs = halves(to + i // 2 * 64, (DEPTH,))
        for j in range(count):
            pairs[2 * j + i % 2] = _round_one(row[j])


@exported
def pack_transposed(w: Rows, depth: int, first: int, end: int, out: Tiles, spare: int) -> None:
    """Panels of columns first to end of W^T, which are rows of W, `depth` long.

    first: the start of a panel. out: that panel and those after it.
    """
    tile = spare + _ROOM * FLOAT_BYTES
    for column in range(first, end, SIDE):
        panel = out.at + (column - first) // SIDE * out.apart
        count = min(SIDE, end - column)
        for k in range(0, depth, DEPTH):
            wide = min(DEPTH, depth - k)
            if count < SIDE or wide < DEPTH:
                _clear(tile)
            for j in range(count):
                _round_row(rows_from(w, column + j, k).at, wide, 0, tile + j * 64)
            _transpose(tile, panel + k // DEPTH * TILE_BYTES)


@exported
def pack(w: Rows, depth: int, first: int, end: int, out: Tiles) -> None:
    """Panels of columns first to end of W, (depth, columns). first, out: likewise."""
    for k in range(0, depth, DEPTH):
        for column in range(first, end, SIDE):
            panel = out.at + (column - first) // SIDE * out.apart
            _pair_tile(w, k, depth, column, end, panel + k // DEPTH * TILE_BYTES)


# --- a tile of c ----------------------------------------------------------------------------------


def _counted(builder: ir.IRBuilder, name: str) -> tuple[ir.Value, ir.Block]:
    """Begin a loop; its counter, from 0 on, and the block before it."""
    before = builder.block
    body = builder.append_basic_block(name)
    builder.branch(body)
    builder.position_at_end(body)
    counter = builder.phi(WORD)
    counter.add_incoming(WORD(0), before)
    return counter, before


def _again(builder: ir.IRBuilder, counter: ir.Value, end: ir.Value) -> ir.Block:
    """End that loop before `end`, 1 at least; the block in which its body ended."""
    block, done = builder.block, builder.append_basic_block("done")
    following = builder.add(counter, WORD(1))
    counter.add_incoming(following, block)
    builder.cbranch(builder.icmp_signed("<", following, end), counter.parent, done)
    builder.position_at_end(done)
    return block


_VECTOR, _INTS = ir.VectorType(FLOAT, SIDE), ir.VectorType(_INT, SIDE)
_ZEROS = ir.Constant(_VECTOR, [0.0] * SIDE)


def _fields(builder: ir.IRBuilder, record: ir.Value) -> tuple[ir.Value, ir.Value]:
    return builder.extract_value(record, 0), builder.extract_value(record, 1)


def _rows_of_c(
    builder: ir.IRBuilder, c: ir.Value, count: int, across: int, keep: ir.Value
) -> tuple[list[ir.Value], list[ir.Value]]:
    """The places of `count` rows of one or two tiles, and what they begin with."""
    at, apart = _fields(builder, c)
    rows = [builder.add(at, builder.mul(apart, WORD(i * FLOAT_BYTES))) for i in range(count)]
    places = [
        builder.inttoptr(builder.add(row, WORD(64 * j)), _VECTOR.as_pointer())
        for row in rows
        for j in range(across)
    ]
    is_kept = builder.icmp_signed("!=", keep, WORD(0))
    return places, [builder.select(is_kept, builder.load(at, align=4), _ZEROS) for at in places]


def _carried(builder: ir.IRBuilder, values: list[ir.Value], before: ir.Block) -> list[ir.PhiInstr]:
    """Sums of a loop, and what each is before it."""
    phis = [builder.phi(_VECTOR) for _ in values]
    for phi, value in zip(phis, values, strict=True):
        phi.add_incoming(value, before)
    return phis


def _carry(phis: list[ir.PhiInstr], values: list[ir.Value], end: ir.Block) -> None:
    for phi, value in zip(phis, values, strict=True):
        phi.add_incoming(value, end)


def _pair_of(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """16 times the pair there."""
    word = builder.load(builder.inttoptr(address, _INT.as_pointer()), align=4)
    one = builder.insert_element(ir.Constant(_INTS, ir.Undefined), word, _INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(_INTS, [0] * SIDE))


@instructions(types.void, types.intp, types.intp, numba_type(Rows), types.intp, types.intp)
def _loop_rows(
    builder: ir.IRBuilder,
    a: ir.Value,
    b: ir.Value,
    c: ir.Value,
    blocks: ir.Value,
    keep: ir.Value,
) -> None:
    """_AT_ONCE rows of a tile of c, as the tiles' instruction computes them."""
    shift, upper = (ir.Constant(_INTS, [n] * SIDE) for n in (16, 0xFFFF0000))
    fma = function_of(builder, f"llvm.fma.v{SIDE}f32", ir.FunctionType(_VECTOR, [_VECTOR] * 3))

    def parts(pairs: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The even and the odd numbers."""
        even, odd = builder.shl(pairs, shift), builder.and_(pairs, upper)
        return builder.bitcast(even, _VECTOR), builder.bitcast(odd, _VECTOR)

    places, held = _rows_of_c(builder, c, _AT_ONCE, 1, keep)
    block, before = _counted(builder, "block")
    sums = _carried(builder, held, before)
    offset = builder.mul(block, WORD(TILE_BYTES))
    pair, before = _counted(builder, "pair")
    apart_sums = _carried(builder, [_ZEROS] * (2 * _AT_ONCE), before)
    place = builder.add(offset, builder.mul(pair, WORD(64)))
    b_parts = parts(_vector(builder, builder.add(b, place)))
    new = []
    for i in range(_AT_ONCE):
        at = builder.add(offset, builder.mul(pair, WORD(FLOAT_BYTES)))
        a_parts = parts(_pair_of(builder, builder.add(builder.add(a, at), WORD(64 * i))))
        for n, total in enumerate(apart_sums[2 * i : 2 * i + 2]):
            new += [builder.call(fma, [a_parts[n], b_parts[n], total])]
    _carry(apart_sums, new, _again(builder, pair, WORD(SIDE)))
    totals = [
        builder.fadd(sums[i], builder.fadd(new[2 * i], new[2 * i + 1])) for i in range(_AT_ONCE)
    ]
    _carry(sums, totals, _again(builder, block, blocks))
    for place, value in zip(places, totals, strict=True):
        builder.store(value, place, align=4)


@instructions(types.void, types.intp, numba_type(Tiles), numba_type(Rows), *[types.intp] * 3)
def _pair_rows(
    builder: ir.IRBuilder,
    a: ir.Value,
    b: ir.Value,
    c: ir.Value,
    across: ir.Value,
    blocks: ir.Value,
    keep: ir.Value,
) -> None:
    """_AT_ONCE rows of one or two tiles of c by the instruction for pairs, if there is one."""
    if not HAS_PAIRS:
        return
    with builder.if_else(builder.icmp_signed("==", across, WORD(2))) as (two, one):
        with two:
            emit_pairs(builder, 2, (a, b, c), blocks, keep)
        with one:
            emit_pairs(builder, 1, (a, b, c), blocks, keep)


def emit_pairs(
    builder: ir.IRBuilder,
    across: int,
    operands: tuple[ir.Value, ir.Value, ir.Value],
    blocks: ir.Value,
    keep: ir.Value,
) -> None:
    a, b, c = operands
    b_at, b_apart = _fields(builder, b)
    # llvmlite has no type for bf16, which the function of LLVM for this instruction takes.
    kind = ir.FunctionType(_VECTOR, [_VECTOR, _INTS, _INTS])
    add_pairs = ir.InlineAsm(kind, "vdpbf16ps $3, $2, $0", "=v,0,v,v")
    places, held = _rows_of_c(builder, c, _AT_ONCE, across, keep)
    pair, before = _counted(builder, "pair")
    sums = _carried(builder, held, before)
    tile = builder.mul(builder.sdiv(pair, WORD(SIDE)), WORD(TILE_BYTES))
    strip = builder.add(tile, builder.mul(builder.srem(pair, WORD(SIDE)), WORD(FLOAT_BYTES)))
    panel = builder.add(b_at, builder.mul(pair, WORD(64)))
    columns = [
        _vector(builder, builder.add(panel, builder.mul(b_apart, WORD(j)))) for j in range(across)
    ]
    new = []
    for i in range(_AT_ONCE):
        row = _pair_of(builder, builder.add(builder.add(a, strip), WORD(64 * i)))
        for j, column in enumerate(columns):
            new += [builder.call(add_pairs, [sums[i * across + j], column, row])]
    _carry(sums, new, _again(builder, pair, builder.mul(blocks, WORD(SIDE))))
    for place, value in zip(places, new, strict=True):
        builder.store(value, place, align=4)


_SHAPES = [(tall, across) for tall in (1, 2) for across in (1, 2)]


@instructions(types.void, types.intp, *[numba_type(Tiles)] * 2, numba_type(Rows), *[types.intp] * 2)
def _multiply_tiles(
    builder: ir.IRBuilder,
    form: ir.Value,
    a: ir.Value,
    b: ir.Value,
    c: ir.Value,
    blocks: ir.Value,
    keep: ir.Value,
) -> None:
    """Up to 2 x 2 tiles of c by the instruction. Nothing if the processor has none."""
    if not HAS_TILES:
        return
    done = builder.append_basic_block("tiles.done")
    forms = [builder.append_basic_block(f"tiles.{n}") for n in range(len(_SHAPES))]
    switch = builder.switch(form, done)
    for n, block in enumerate(forms):
        switch.add_case(WORD(n), block)
        builder.position_at_end(block)
        emit_tiles(builder, _SHAPES[n], (a, b, c), blocks, keep)
        builder.branch(done)
    builder.position_at_end(done)


def emit_tiles(
    builder: ir.IRBuilder,
    shape: tuple[int, int],
    operands: tuple[ir.Value, ir.Value, ir.Value],
    blocks: ir.Value,
    keep: ir.Value,
) -> None:
    """Tiles 0 to 3 are of c, 4 and 5 of a, 6 and 7 of b."""
    tall, across = shape
    (a, a_apart), (b, b_apart), (c, c_apart) = (_fields(builder, one) for one in operands)

    def call(name: str, *arguments: ir.Value) -> None:
        kinds = [argument.type for argument in arguments]
        signature = ir.FunctionType(ir.VoidType(), kinds)
        builder.call(function_of(builder, f"llvm.x86.{name}", signature), arguments)

    def pointer(address: ir.Value) -> ir.Value:
        return builder.inttoptr(address, _BYTE.as_pointer())

    row = builder.mul(c_apart, WORD(FLOAT_BYTES))
    tiles = [(i, j, _BYTE(2 * i + j)) for i in range(tall) for j in range(across)]
    outs = [
        pointer(builder.add(builder.add(c, builder.mul(row, WORD(SIDE * i))), WORD(64 * j)))
        for i, j, _ in tiles
    ]
    load, zero, ready = (builder.append_basic_block(n) for n in ("load", "zero", "ready"))
    builder.cbranch(builder.icmp_signed("!=", keep, WORD(0)), load, zero)
    builder.position_at_end(load)
    for (_, _, tile), out in zip(tiles, outs, strict=True):
        call("tileloadd64", tile, out, row)
    builder.branch(ready)
    builder.position_at_end(zero)
    for _, _, tile in tiles:
        call("tilezero", tile)
    builder.branch(ready)
    builder.position_at_end(ready)
    block, _ = _counted(builder, "block")
    offset = builder.mul(block, WORD(TILE_BYTES))
    for first, count, (at, apart) in ((4, tall, (a, a_apart)), (6, across, (b, b_apart))):
        for n in range(count):
            place = builder.add(builder.add(at, builder.mul(apart, WORD(n))), offset)
            call("tileloadd64", _BYTE(first + n), pointer(place), WORD(64))
    for i, j, tile in tiles:
        call("tdpbf16ps", tile, _BYTE(4 + i), _BYTE(6 + j))
    _again(builder, block, blocks)
    for (_, _, tile), out in zip(tiles, outs, strict=True):
        call("tilestored64", tile, out, row)


@exported
def _run_tiles(how: int, form: int, a: Tiles, b: Tiles, c: Rows, blocks: int, keep: int) -> None:
    """c = (c where keep) + a B, of so many tiles of depth, one at least.

    form: place in _SHAPES of how many strips and panels there are.
    """
    if how == TILES:
        _multiply_tiles(form, a, b, c, blocks, keep)
        return
    if how == PAIRS:
        for i in range(form // 2 + 1):
            for row in range(0, SIDE, _AT_ONCE):
                out = rows_from(c, i * SIDE + row, 0)
                _pair_rows(a.at + i * a.apart + row * 64, b, out, form % 2 + 1, blocks, keep)
        return
    for i in range(form // 2 + 1):
        for j in range(form % 2 + 1):
            for row in range(0, SIDE, _AT_ONCE):
                strip = a.at + i * a.apart + row * 64
                out = rows_from(c, i * SIDE + row, j * SIDE)
                _loop_rows(strip, b.at + j * b.apart, out, blocks, keep)


@instructions(types.intp, types.intp)
def _begin(builder: ir.IRBuilder, how: ir.Value) -> ir.Value:
    """Make the tiles ready, or let the loop's numbers that are not normal be zeros.

    Returns what `_end` is given. ARM keeps such numbers.
    """
    if not IS_X86:
        return WORD(0)
    before = _control(builder, "stmxcsr", None)
    is_loop = builder.icmp_signed("==", how, WORD(LOOP))
    # Bits 6 and 15 of MXCSR: operands, results.
    small = builder.select(is_loop, _INT(0x8040), _INT(0))
    _control(builder, "ldmxcsr", builder.or_(before, small))
    if HAS_TILES:
        with builder.if_then(builder.icmp_signed("==", how, WORD(TILES))):
            # Palette 1: eight tiles of 16 rows of 64 bytes.
            shape = bytearray([1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8])
            kind = ir.ArrayType(_BYTE, len(shape))
            place = builder.alloca(kind)
            builder.store(ir.Constant(kind, shape), place)
            signature = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer()])
            configure = function_of(builder, "llvm.x86.ldtilecfg", signature)
            builder.call(configure, [builder.bitcast(place, _BYTE.as_pointer())])
    return builder.zext(before, WORD)


@instructions(types.void, types.intp, types.intp)
def _end(builder: ir.IRBuilder, how: ir.Value, before: ir.Value) -> None:
    if not IS_X86:
        return
    _control(builder, "ldmxcsr", builder.trunc(before, _INT))
    if HAS_TILES:
        with builder.if_then(builder.icmp_signed("==", how, WORD(TILES))):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(function_of(builder, "llvm.x86.tilerelease", nothing), [])


def _control(builder: ir.IRBuilder, name: str, value: ir.Value | None) -> ir.Value:
    """Read or write MXCSR, which says how x86 rounds."""
    place = builder.alloca(_INT)
    if value is not None:
        builder.store(value, place)
    signature = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer()])
    function = function_of(builder, f"llvm.x86.sse.{name}", signature)
    builder.call(function, [builder.bitcast(place, _BYTE.as_pointer())])
    return builder.load(place)


# --- products -------------------------------------------------------------------------------------


@compiled
def _tiles(how: int, a: Tiles, b: Tiles, c: Rows, sizes: Sizes, keep: int, spare: int) -> None:
    """c of some strips by some panels, 2 x 2 tiles at a time."""
    rows, depth, columns = sizes
    blocks = tiles_of(depth)
    room = Rows(spare, 2 * SIDE)
    for column in range(0, columns, 2 * SIDE):
        panels = Tiles(b.at + column // SIDE * b.apart, b.apart)
        wide = min(2 * SIDE, columns - column)
        for top in range(0, rows, 2 * SIDE):
            strips = Tiles(a.at + top // SIDE * a.apart, a.apart)
            tall = min(2 * SIDE, rows - top)
            form = (tall - 1) // SIDE * 2 + (wide - 1) // SIDE
            to = rows_from(c, top, column)
            if tall % SIDE == 0 and wide % SIDE == 0:
                _run_tiles(how, form, strips, panels, to, blocks, keep)
                continue
            # Made aside, and what there is of it is copied.
            if keep:
                for i in range(tall):
                    made, out = row_of(room, i, wide), row_of(to, i, wide)
                    for j in range(wide):
                        made[j] = out[j]
            _run_tiles(how, form, strips, panels, room, blocks, keep)
            for i in range(tall):
                made, out = row_of(room, i, wide), row_of(to, i, wide)
                for j in range(wide):
                    out[j] = made[j]


@exported
def multiply(how: int, a: Tiles, b: Tiles, c: Rows, sizes: Sizes, keep: int, spare: int) -> None:
    """c (rows, columns) = strips (rows, depth) times panels; added to c where `keep`.

    spare: SPARE numbers of the calling thread's own.
    """
    rows, depth, columns = sizes
    before = _begin(how)
    for chunk in range(0, rows, _CHUNK):
        strips = Tiles(a.at + chunk // SIDE * a.apart, a.apart)
        some = Sizes(min(_CHUNK, rows - chunk), depth, columns)
        _tiles(how, strips, b, rows_from(c, chunk, 0), some, keep, spare)
    _end(how, before)


def packed_floats(depth: int, columns: int) -> int:
    """float32 numbers that take as much room as strips or panels of so many rows or columns."""
    return -(-columns // SIDE) * -(-depth // DEPTH) * (TILE_BYTES // FLOAT_BYTES)


def gradient_floats(outputs: int, inputs: int) -> int:
    """Likewise of the scratch of `gradient`: two blocks of x, and of d one for each thread."""
    return 2 * packed_floats(BLOCK, inputs) + packed_floats(BLOCK, outputs + PANEL)


@exported
def gradient(how: int, d: Rows, x: Rows, sizes: Sizes, g: int, scratch: int, me: int) -> None:
    """g (outputs, inputs) += d^T x; as in product.py."""
    outputs, rows, inputs = sizes
    spare = thread_at(me).spare
    tile = spare + _ROOM * FLOAT_BYTES
    first, end = share(outputs, PANEL, me)
    x_first, x_end = share(inputs, PANEL, me)
    apart = tiles_of(BLOCK) * TILE_BYTES
    block = (inputs + SIDE - 1) // SIDE * apart
    strips = Tiles(scratch + 2 * block + first // SIDE * apart, apart)
    to = rows_from(Rows(g, inputs), first, 0)
    before = _begin(how)
    for begin in range(0, rows, BLOCK):
        depth = min(BLOCK, rows - begin)
        panels = Tiles(scratch + begin // BLOCK % 2 * block, apart)
        mine = Tiles(panels.at + x_first // SIDE * apart, apart)
        pack(rows_from(x, begin, 0), depth, x_first, x_end, mine)
        source = rows_from(d, begin, 0)
        for column in range(first, end, SIDE):
            strip = strips.at + (column - first) // SIDE * apart
            for k in range(0, depth, DEPTH):
                _pair_tile(source, k, depth, column, end, tile)
                _transpose(tile, strip + k // DEPTH * TILE_BYTES)
        wait(me)
        _tiles(how, strips, panels, to, Sizes(end - first, depth, inputs), 1, spare)
    _end(how, before)
    # The blocks may be written again.
    wait(me)
