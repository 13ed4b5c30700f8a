"""Matrix products of few rows: the matrix packed once, its products made in the registers.

    multiply    c = a B        a (rows, depth), B (depth, columns) packed
    gradient    g += d^T x     d (rows, outputs), x (rows, inputs), g (outputs, inputs)

A packed matrix is a row of panels, each of PANEL columns: `panel[k, j]`, the last one filled up
with zeros. B is W^T for the forward pass (`pack_transposed`) and W for the delta (`pack`). A tile
of up to ROWS rows of c by one panel stays in registers for the whole depth: for each k it takes
one row of the panel and a number of each row of a. Where rows are few, a tile spans several panels,
so that its sums are under way.

Each number of c is one sum over k in order, whichever tile it is in. So its bits do not depend on
how rows and columns are shared out.

Everything here takes addresses of float32 numbers, and counts and strides in numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from darknet_py.engine.compiled.jit import (
    FLOAT,
    FLOAT_BYTES,
    VECTOR,
    WORD,
    Rows,
    compiled,
    exported,
    floats,
    function_of,
    instructions,
    numba_type,
    row_of,
    rows_from,
)
from darknet_py.engine.compiled.threads import share, thread_at, wait

# If the processor is not known, nothing of this is called, but it can be imported.
_WIDTH = VECTOR or 4
# Vectors across a panel, rows of a tile, rows where they lie apart, which takes more registers for
# addresses, and how many sums and vectors of panels the registers hold.
_VECTORS, ROWS, _ROWS_APART, _HELD = {4: (4, 6, 6, 28), 8: (2, 6, 6, 16), 16: (2, 12, 8, 28)}[
    _WIDTH
]
PANEL = _WIDTH * _VECTORS
PANEL_BYTES = PANEL * FLOAT_BYTES
# Rows of `a` whose tiles run over one panel after the other, and rows of a block of `gradient`.
CHUNK = 96
DEPTH = 256


def _panels_across(rows: int) -> int:
    """Panels that a tile of so few rows spans."""
    return next(n for n in (4, 2, 1) if (rows + 1) * _VECTORS * n <= _HELD or n == 1)


_ACROSS = np.array([0, *(_panels_across(rows) for rows in range(1, ROWS + 1))])


# The forms of a tile: rows of `a` as they lie, over one panel or over as many as go with so few,
# and a strip: ROWS numbers for each k.
_NARROW, _WIDE, _STRIP, _FORMS = range(4)
# Steps of a tile's loop over k that are written out, so that few instructions are counting.
_UNROLLED = 4


@instructions(types.void, types.intp, *[numba_type(Rows)] * 3, types.intp, types.intp)
def _tile(
    builder: ir.IRBuilder,
    variant: ir.Value,
    a: ir.Value,
    b: ir.Value,
    c: ir.Value,
    depth: ir.Value,
    keep: ir.Value,
) -> None:
    """As `_run_tile`; variant: of `rows` and `form`."""
    operands = [builder.extract_value(rows, k) for rows in (a, b, c) for k in range(2)]
    done = builder.append_basic_block("tile.done")
    variants = [
        (count, form)
        for count in range(1, ROWS + 1)
        for form in range(_FORMS)
        if form == _STRIP or count <= _ROWS_APART
        if form != _WIDE or _panels_across(count) > 1
    ]
    blocks = [builder.append_basic_block(f"tile.{count}.{form}") for count, form in variants]
    switch = builder.switch(variant, done)
    for (count, form), block in zip(variants, blocks, strict=True):
        switch.add_case(WORD(_FORMS * count + form), block)
        builder.position_at_end(block)
        _emit_tile(builder, count, form, [*operands, depth, keep])
        builder.branch(done)
    builder.position_at_end(done)


def _emit_tile(builder: ir.IRBuilder, rows: int, form: int, operands: Sequence[ir.Value]) -> None:
    """One size and form of tile: loops over k with all sums in registers."""
    a, a_row, b, b_panel, c, c_row, depth, keep = operands
    panels = _panels_across(rows) if form == _WIDE else 1
    vector = ir.VectorType(FLOAT, _WIDTH)
    fma = function_of(builder, f"llvm.fma.v{_WIDTH}f32", ir.FunctionType(vector, [vector] * 3))

    def pointer(address: ir.Value) -> ir.Value:
        return builder.inttoptr(address, FLOAT.as_pointer())

    def at(base: ir.Value, *offsets: ir.Value) -> ir.Value:
        for offset in offsets:
            base = builder.gep(base, [offset])
        return base

    def vectors_at(base: ir.Value) -> list[ir.Value]:
        places = (at(base, WORD(v * _WIDTH)) for v in range(_VECTORS))
        return [builder.bitcast(place, vector.as_pointer()) for place in places]

    across = WORD(1) if form == _STRIP else a_row
    a_rows = [at(pointer(a), builder.mul(across, WORD(i))) for i in range(rows)]
    b_panels = [at(pointer(b), builder.mul(b_panel, WORD(p))) for p in range(panels)]
    c_rows = [at(pointer(c), builder.mul(c_row, WORD(i))) for i in range(rows)]
    outs = [
        place
        for c_at in c_rows
        for p in range(panels)
        for place in vectors_at(at(c_at, WORD(p * PANEL)))
    ]
    # What is to be added to comes from memory meanwhile.
    for out in outs:
        _prefetch(builder, out)
    undefined = ir.Constant(vector, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), [0] * _WIDTH)

    def products(sums: list[ir.Value], k: ir.Value, step: int) -> list[ir.Value]:
        """The sums with those of k + step added."""
        b_offset = builder.mul(k, WORD(PANEL))
        a_offset = builder.mul(k, WORD(ROWS)) if form == _STRIP else k
        b_row = [
            builder.load(place, align=FLOAT_BYTES)
            for panel in b_panels
            for place in vectors_at(at(panel, b_offset, WORD(step * PANEL)))
        ]
        new = []
        for i in range(rows):
            place = at(a_rows[i], a_offset, WORD(step * (ROWS if form == _STRIP else 1)))
            one = builder.insert_element(undefined, builder.load(place), ir.IntType(32)(0))
            spread = builder.shuffle_vector(one, undefined, everywhere)
            for j, b_vector in enumerate(b_row):
                new.append(builder.call(fma, [spread, b_vector, sums[i * len(b_row) + j]]))
        return new

    def loop(
        name: str, k: ir.Value, sums: list[ir.Value], steps: int
    ) -> tuple[ir.Value, list[ir.Value]]:
        """So many steps of k at a time, as long as there are that many; k and sums after it."""
        head, body, end = (builder.append_basic_block(f"{name}.{n}") for n in ("k", "add", "end"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        now = builder.phi(WORD)
        now.add_incoming(k, before)
        held = [builder.phi(vector) for _ in sums]
        after = builder.add(now, WORD(steps))
        builder.cbranch(builder.icmp_signed("<=", after, depth), body, end)
        builder.position_at_end(body)
        new = held
        for step in range(steps):
            new = products(new, now, step)
        builder.branch(head)
        now.add_incoming(after, body)
        for phi, value, then in zip(held, sums, new, strict=True):
            phi.add_incoming(value, before)
            phi.add_incoming(then, body)
        builder.position_at_end(end)
        return now, held

    zero = ir.Constant(vector, [0.0] * _WIDTH)
    k, sums = loop("most", WORD(0), [zero] * len(outs), _UNROLLED)
    k, sums = loop("rest", k, sums, 1)
    end, add, store = (builder.block, *(builder.append_basic_block(n) for n in ("keep", "store")))
    builder.cbranch(builder.icmp_signed("!=", keep, WORD(0)), add, store)
    builder.position_at_end(add)
    added = [
        builder.fadd(value, builder.load(out, align=FLOAT_BYTES))
        for value, out in zip(sums, outs, strict=True)
    ]
    builder.branch(store)
    builder.position_at_end(store)
    finals = []
    for value, total in zip(sums, added, strict=True):
        final = builder.phi(vector)
        final.add_incoming(value, end)
        final.add_incoming(total, add)
        finals.append(final)
    for out, final in zip(outs, finals, strict=True):
        builder.store(final, out, align=FLOAT_BYTES)


def _prefetch(builder: ir.IRBuilder, place: ir.Value) -> None:
    """Let a cache line come that will be written."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    signature = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = function_of(builder, "llvm.prefetch.p0", signature)
    builder.call(function, [builder.bitcast(place, byte), number(1), number(3), number(1)])


class Sizes(NamedTuple):
    """Of a product c = a B: of a (rows, depth) and c (rows, columns)."""

    rows: int
    depth: int
    columns: int


@exported
def _run_tile(rows: int, form: int, a: Rows, b: Rows, c: Rows, depth: int, keep: int) -> None:
    """c[i, j] = (c[i, j] where keep) + sum over k of a[i, k] b[k PANEL + j].

    rows: 1 to ROWS. form: a[i, k] lies in row i, or in a strip at k ROWS + i; a wide tile goes over
    several panels, the rows of b.
    """
    _tile(rows * _FORMS + form, a, b, c, depth, keep)


@compiled
def panels_of(columns: int) -> int:
    """The number of panels that columns take."""
    return (columns + PANEL - 1) // PANEL


def packed_floats(depth: int, columns: int) -> int:
    """Numbers that a packed matrix (depth, columns) takes."""
    return -(-columns // PANEL) * PANEL * depth


@exported
def pack_transposed(w: Rows, depth: int, first: int, end: int, out: int) -> None:
    """Pack columns first to end of W^T, which are rows of W, `depth` long.

    first: the start of a panel. out: where the panel of column `first` begins.
    """
    while first < end:
        count = min(PANEL, end - first)
        panel = floats(out, (depth, PANEL))
        for begin in range(0, depth, 64):
            stop = min(depth, begin + 64)
            for j in range(count):
                row = row_of(w, first + j, depth)
                for k in range(begin, stop):
                    panel[k, j] = row[k]
        if count < PANEL:
            for k in range(depth):
                for j in range(count, PANEL):
                    panel[k, j] = 0
        first += PANEL
        out += depth * PANEL_BYTES


@exported
def pack(w: Rows, depth: int, first: int, end: int, out: Rows) -> None:
    """Pack columns first to end of W, (depth, columns).

    first: the start of a panel. out: the panel of column `first`, and those after it.
    """
    for begin in range(0, depth, 32):
        stop = min(depth, begin + 32)
        for column in range(first, end, PANEL):
            count = min(PANEL, end - column)
            for k in range(begin, stop):
                row = row_of(rows_from(w, k, column), 0, count)
                panel = row_of(rows_from(out, (column - first) // PANEL, k * PANEL), 0, PANEL)
                if count == PANEL:
                    for j in range(PANEL):
                        panel[j] = row[j]
                else:
                    for j in range(count):
                        panel[j] = row[j]
                    for j in range(count, PANEL):
                        panel[j] = 0


@exported
def multiply(a: Rows, packed: Rows, c: Rows, sizes: Sizes, keep: int, spare: int) -> None:
    """c (rows, columns) = a (rows, depth) times packed columns; added to c where `keep`.

    packed: the panels. spare: ROWS * PANEL numbers of the calling thread's own.
    """
    rows, depth, columns = sizes
    whole = columns // PANEL
    for chunk in range(0, rows, CHUNK):
        height = min(CHUNK, rows - chunk)
        tiles = (height + _ROWS_APART - 1) // _ROWS_APART
        p = 0
        while p * PANEL < columns:
            b = rows_from(packed, p, 0)
            across = 1
            for tile in range(tiles):
                first, end = height * tile // tiles, height * (tile + 1) // tiles
                count = end - first
                source = rows_from(a, chunk + first, 0)
                to = rows_from(c, chunk + first, p * PANEL)
                if p >= whole:
                    left = Sizes(count, depth, columns - p * PANEL)
                    _ragged(_NARROW, source, b, to, left, keep, spare)
                    continue
                form = _NARROW
                if tiles == 1 and _ACROSS[count] > 1 and p + _ACROSS[count] <= whole:
                    form, across = _WIDE, _ACROSS[count]
                _run_tile(count, form, source, b, to, depth, keep)
            p += across


@compiled
def _ragged(form: int, a: Rows, b: Rows, c: Rows, sizes: Sizes, keep: int, spare: int) -> None:
    """A tile with fewer columns than its panel: made in `spare` and copied."""
    rows, depth, columns = sizes
    tile = floats(spare, (ROWS, PANEL))
    if keep:
        for i in range(rows):
            out = row_of(c, i, columns)
            for j in range(columns):
                tile[i, j] = out[j]
    _run_tile(rows, form, a, b, Rows(spare, PANEL), depth, keep)
    for i in range(rows):
        out = row_of(c, i, columns)
        for j in range(columns):
            out[j] = tile[i, j]


def gradient_floats(outputs: int, inputs: int) -> int:
    """Numbers of scratch that `gradient` takes: two blocks of x, and of d one for each thread."""
    return 2 * packed_floats(DEPTH, inputs) + DEPTH * 2 * (outputs + PANEL)


@exported
def gradient(d: Rows, x: Rows, sizes: Sizes, g: int, scratch: int, me: int) -> None:
    """g (outputs, inputs) += d^T x, each thread its share of the outputs.

    sizes: of g, with the rows of d (rows, outputs) and x (rows, inputs) as its depth. A block of
    rows of x is packed by all threads together, in two buffers in turn, so that they wait once a
    block. scratch: `gradient_floats` numbers for all threads.
    """
    outputs, rows, inputs = sizes
    first, end = share(outputs, PANEL, me)
    mine = end - first
    tiles = (mine + ROWS - 1) // ROWS
    x_first, x_end = share(inputs, PANEL, me)
    whole = inputs // PANEL
    block = panels_of(inputs) * PANEL * DEPTH * FLOAT_BYTES
    # Strips of a tile's rows of d^T each, ROWS numbers for each k. A thread's share of PANELs has
    # at most twice its columns in strips, so that shares do not overlap.
    strips = Rows(scratch + 2 * block + 2 * first * DEPTH * FLOAT_BYTES, ROWS * DEPTH)
    of_g = rows_from(Rows(g, inputs), first, 0)
    for begin in range(0, rows, DEPTH):
        depth = min(DEPTH, rows - begin)
        packed = Rows(scratch + (begin // DEPTH % 2) * block, DEPTH * PANEL)
        mine_of_x = rows_from(packed, x_first // PANEL, 0)
        pack(rows_from(x, begin, 0), depth, x_first, x_end, mine_of_x)
        for tile in range(tiles):
            top, bottom = mine * tile // tiles, mine * (tile + 1) // tiles
            source = rows_from(d, begin, first + top)
            strip = Rows(rows_from(strips, tile, 0).at, ROWS)
            # Always ROWS numbers, which takes a few moves, but for the last of a row.
            safe = depth if first + top + ROWS <= outputs else 0
            for k in range(safe):
                row, to = row_of(source, k, ROWS), row_of(strip, k, ROWS)
                for i in range(ROWS):
                    to[i] = row[i]
            for k in range(safe, depth):
                row, to = row_of(source, k, bottom - top), row_of(strip, k, ROWS)
                for i in range(bottom - top):
                    to[i] = row[i]
        wait(me)
        for p in range(panels_of(inputs)):
            b = rows_from(packed, p, 0)
            for tile in range(tiles):
                top, bottom = mine * tile // tiles, mine * (tile + 1) // tiles
                a, c = rows_from(strips, tile, 0), rows_from(of_g, top, p * PANEL)
                if p < whole:
                    _run_tile(bottom - top, _STRIP, a, b, c, depth, 1)
                else:
                    left = Sizes(bottom - top, depth, inputs - p * PANEL)
                    _ragged(_STRIP, a, b, c, left, 1, thread_at(me).spare)
    # The blocks may be written again.
    wait(me)
