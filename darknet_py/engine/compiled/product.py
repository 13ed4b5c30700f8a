"""Matrix products of few rows: the matrix packed once, its products made in the registers.

    multiply    c = a B        a (rows, depth), B (depth, columns) packed
    gradient    g += d^T x     d (rows, outputs), x (rows, inputs), g (outputs, inputs)

A packed matrix is a row of panels, each of PANEL columns: `panel[k, j]`, the last one filled up
with zeros. B is W^T for the forward pass (`pack_transposed`) and W for the delta (`pack`). A tile
of up to ROWS rows of c by one panel stays in registers for the whole depth: for each k it takes
one row of the panel and a number of each row of a. Where rows are few, a tile spans several panels,
so that as many sums are under way.

Each number of c is one sum over k in order, whichever tile it is in. So its bits do not depend on
how rows and columns are shared out.

Everything here takes addresses of float32 numbers, and counts and strides in numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from darknet_py.engine.compiled.barrier import wait
from darknet_py.engine.compiled.jit import (
    FLOAT,
    FLOAT_BYTES,
    VECTOR,
    WORD,
    compiled,
    exported,
    floats,
    function_of,
    intrinsic,
)

# Where the processor is not known nothing of this is called, but it can be imported.
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
_FORMS = _NARROW, _WIDE, _STRIP = range(3)
# Steps of a tile's loop over k that are written out, so that few instructions are counting.
_UNROLLED = 4


@intrinsic
def _tile(
    context: Any,
    rows: Any,
    form: Any,
    a: Any,
    a_row: Any,
    b: Any,
    b_panel: Any,
    c: Any,
    c_row: Any,
    depth: Any,
    keep: Any,
) -> Any:
    """c[i, j] = (c[i, j] where keep) + sum over k of a[i, k] b[k PANEL + j].

    rows: 1 to ROWS. form: a[i, k] lies at i a_row + k, or in a strip at k ROWS + i; a wide tile
    goes over panels that are b_panel apart.
    """

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rows, form, *operands = values
        done = builder.append_basic_block("tile.done")
        variants = [
            (count, form)
            for count in range(1, ROWS + 1)
            for form in _FORMS
            if form == _STRIP or count <= _ROWS_APART
            if form != _WIDE or _panels_across(count) > 1
        ]
        blocks = [builder.append_basic_block(f"tile.{count}.{form}") for count, form in variants]
        choice = builder.add(builder.mul(rows, WORD(len(_FORMS))), form)
        switch = builder.switch(choice, done)
        for (count, form), block in zip(variants, blocks, strict=True):
            switch.add_case(WORD(len(_FORMS) * count + form), block)
            builder.position_at_end(block)
            _emit_tile(builder, count, form, operands)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 10), build


def _emit_tile(builder: Any, rows: int, form: int, operands: Any) -> None:
    """One size and form of tile: loops over k with all sums in registers."""
    a, a_row, b, b_panel, c, c_row, depth, keep = operands
    panels = _panels_across(rows) if form == _WIDE else 1
    vector = ir.VectorType(FLOAT, _WIDTH)
    fma = function_of(builder, f"llvm.fma.v{_WIDTH}f32", ir.FunctionType(vector, [vector] * 3))

    def pointer(address: Any) -> Any:
        return builder.inttoptr(address, FLOAT.as_pointer())

    def at(base: Any, *offsets: Any) -> Any:
        for offset in offsets:
            base = builder.gep(base, [offset])
        return base

    def vectors_at(base: Any) -> list[Any]:
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

    def products(sums: list[Any], k: Any, step: int) -> list[Any]:
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

    def loop(name: str, k: Any, sums: list[Any], steps: int) -> tuple[Any, list[Any]]:
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


def _prefetch(builder: Any, place: Any) -> None:
    """Let a cache line come that will be written."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    signature = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = function_of(builder, "llvm.prefetch.p0", signature)
    builder.call(function, [builder.bitcast(place, byte), number(1), number(3), number(1)])


@exported
def _run_tile(
    rows: int,
    form: int,
    a: int,
    a_row: int,
    b: int,
    b_panel: int,
    c: int,
    c_row: int,
    depth: int,
    keep: int,
) -> None:
    _tile(rows, form, a, a_row, b, b_panel, c, c_row, depth, keep)


@compiled
def panels_of(columns: int) -> int:
    """How many panels so many columns take."""
    return (columns + PANEL - 1) // PANEL


@compiled
def share(columns: int, rank: int, threads: int) -> Any:
    """The columns first to end of one of the threads: whole panels, about as many for each."""
    panels = panels_of(columns)
    first, end = panels * rank // threads, panels * (rank + 1) // threads
    return first * PANEL, min(columns, end * PANEL)


def packed_floats(depth: int, columns: int) -> int:
    """Numbers that a packed matrix (depth, columns) takes."""
    return -(-columns // PANEL) * PANEL * depth


@exported
def pack_transposed(w: int, w_row: int, depth: int, first: int, end: int, out: int) -> None:
    """Pack columns first to end of W^T, which are rows of W, `w_row` apart and `depth` long.

    first: the start of a panel. out: where the panel of column `first` begins.
    """
    while first < end:
        count = min(PANEL, end - first)
        panel = floats(out, (depth, PANEL))
        for begin in range(0, depth, 64):
            stop = min(depth, begin + 64)
            for j in range(count):
                row = floats(w + (first + j) * w_row * FLOAT_BYTES, (depth,))
                for k in range(begin, stop):
                    panel[k, j] = row[k]
        if count < PANEL:
            for k in range(depth):
                for j in range(count, PANEL):
                    panel[k, j] = 0
        first += PANEL
        out += depth * PANEL_BYTES


@exported
def pack(w: int, w_row: int, depth: int, first: int, end: int, out: int, out_panel: int) -> None:
    """Pack columns first to end of W (depth, columns), rows `w_row` apart.

    first: the start of a panel. out: where the panel of column `first` begins, the next one
    `out_panel` numbers after it.
    """
    for begin in range(0, depth, 32):
        stop = min(depth, begin + 32)
        to = out
        for column in range(first, end, PANEL):
            count = min(PANEL, end - column)
            for k in range(begin, stop):
                row = floats(w + (k * w_row + column) * FLOAT_BYTES, (count,))
                panel = floats(to + k * PANEL_BYTES, (PANEL,))
                if count == PANEL:
                    for j in range(PANEL):
                        panel[j] = row[j]
                else:
                    for j in range(count):
                        panel[j] = row[j]
                    for j in range(count, PANEL):
                        panel[j] = 0
            to += out_panel * FLOAT_BYTES


@exported
def multiply(
    a: int,
    a_row: int,
    rows: int,
    depth: int,
    packed: int,
    panel: int,
    columns: int,
    c: int,
    c_row: int,
    keep: int,
    spare: int,
) -> None:
    """c (rows, columns) = a (rows, depth) times packed columns; added to c where `keep`.

    a[i, k] lies at i a_row + k. packed: the first panel, the next `panel` numbers after it.
    spare: ROWS * PANEL numbers of the calling thread's own.
    """
    whole = columns // PANEL
    for chunk in range(0, rows, CHUNK):
        height = min(CHUNK, rows - chunk)
        tiles = (height + _ROWS_APART - 1) // _ROWS_APART
        p = 0
        while p * PANEL < columns:
            b = packed + p * panel * FLOAT_BYTES
            across = 1
            for tile in range(tiles):
                first, end = height * tile // tiles, height * (tile + 1) // tiles
                count = end - first
                from_a = a + (chunk + first) * a_row * FLOAT_BYTES
                to = c + ((chunk + first) * c_row + p * PANEL) * FLOAT_BYTES
                if p >= whole:
                    _ragged(
                        *(_NARROW, from_a, a_row, count, depth, b, columns - p * PANEL),
                        *(to, c_row, keep, spare),
                    )
                    continue
                form = _NARROW
                if tiles == 1 and _ACROSS[count] > 1 and p + _ACROSS[count] <= whole:
                    form, across = _WIDE, _ACROSS[count]
                _run_tile(count, form, from_a, a_row, b, panel, to, c_row, depth, keep)
            p += across


@compiled
def _ragged(
    form: int,
    a: int,
    a_row: int,
    rows: int,
    depth: int,
    b: int,
    columns: int,
    c: int,
    c_row: int,
    keep: int,
    spare: int,
) -> None:
    """A tile with fewer columns than its panel: made in `spare` and copied."""
    tile = floats(spare, (ROWS, PANEL))
    if keep:
        for i in range(rows):
            out = floats(c + i * c_row * FLOAT_BYTES, (columns,))
            for j in range(columns):
                tile[i, j] = out[j]
    _run_tile(rows, form, a, a_row, b, 0, spare, PANEL, depth, keep)
    for i in range(rows):
        out = floats(c + i * c_row * FLOAT_BYTES, (columns,))
        for j in range(columns):
            out[j] = tile[i, j]


def gradient_floats(outputs: int, inputs: int) -> int:
    """Numbers of scratch that `gradient` takes: two blocks of x, and of d one for each thread."""
    return 2 * packed_floats(DEPTH, inputs) + DEPTH * 2 * (outputs + PANEL)


@exported
def gradient(
    d: int,
    d_row: int,
    rows: int,
    outputs: int,
    x: int,
    x_row: int,
    inputs: int,
    g: int,
    scratch: int,
    spare: int,
    counters: int,
    rank: int,
    threads: int,
) -> None:
    """g (outputs, inputs) += d^T x, each thread its share of the outputs.

    d (rows, outputs) and x (rows, inputs) may have rows further apart. A block of rows of x is
    packed by all threads together, in two buffers in turn, so that they wait once a block.
    scratch: `gradient_floats` numbers for all threads. spare: as in `multiply`.
    """
    first, end = share(outputs, rank, threads)
    mine = end - first
    tiles = (mine + ROWS - 1) // ROWS
    x_first, x_end = share(inputs, rank, threads)
    whole = inputs // PANEL
    block = panels_of(inputs) * PANEL * DEPTH * FLOAT_BYTES
    # Strips of a tile's rows of d^T each, ROWS numbers for each k. A thread's share of PANELs has
    # at most twice its columns in strips, so that shares do not overlap.
    strips = scratch + 2 * block + 2 * first * DEPTH * FLOAT_BYTES
    for begin in range(0, rows, DEPTH):
        depth = min(DEPTH, rows - begin)
        packed = scratch + (begin // DEPTH % 2) * block
        pack(
            *(x + begin * x_row * FLOAT_BYTES, x_row, depth, x_first, x_end),
            *(packed + x_first * DEPTH * FLOAT_BYTES, DEPTH * PANEL),
        )
        for tile in range(tiles):
            top, bottom = mine * tile // tiles, mine * (tile + 1) // tiles
            strip = strips + tile * ROWS * DEPTH * FLOAT_BYTES
            source = d + (begin * d_row + first + top) * FLOAT_BYTES
            # Always ROWS numbers, which takes a few moves, but for the last of a row.
            safe = depth if first + top + ROWS <= outputs else 0
            for k in range(safe):
                row = floats(source + k * d_row * FLOAT_BYTES, (ROWS,))
                to = floats(strip + k * ROWS * FLOAT_BYTES, (ROWS,))
                for i in range(ROWS):
                    to[i] = row[i]
            for k in range(safe, depth):
                row = floats(source + k * d_row * FLOAT_BYTES, (bottom - top,))
                to = floats(strip + k * ROWS * FLOAT_BYTES, (ROWS,))
                for i in range(bottom - top):
                    to[i] = row[i]
        wait(counters, rank, threads)
        for p in range(panels_of(inputs)):
            b = packed + p * DEPTH * PANEL_BYTES
            for tile in range(tiles):
                top, bottom = mine * tile // tiles, mine * (tile + 1) // tiles
                a = strips + tile * ROWS * DEPTH * FLOAT_BYTES
                c = g + ((first + top) * inputs + p * PANEL) * FLOAT_BYTES
                if p < whole:
                    _run_tile(bottom - top, _STRIP, a, 0, b, 0, c, inputs, depth, 1)
                else:
                    _ragged(
                        *(_STRIP, a, 0, bottom - top, depth, b, inputs - p * PANEL),
                        *(c, inputs, 1, spare),
                    )
    # The blocks may be written again.
    wait(counters, rank, threads)
