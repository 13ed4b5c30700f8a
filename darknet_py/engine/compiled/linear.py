"""A connected layer, or several side by side, in compiled code: what the walks are made of.

The twin of `layers/connected.py`, `norm.py` and `stack.py`: a product, then a bias or batch norm
with the activation, forward and backward, for all time steps or for some. Each thread computes its
own columns of each part and sees no other's, but where `forward_products` and `below` say.

A LINEAR is a record of sizes and addresses. Parts are connected layers with the same input whose
outputs stand side by side: x (time_steps, streams, inputs), y (time_steps, streams, parts *
outputs). Deltas are minus the gradient; updates are added to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled import bf16
from darknet_py.engine.compiled.bf16 import SIDE, TILE_BYTES, Tiles, round_rows, tiles_of
from darknet_py.engine.compiled.functions import ONE, ZERO, activate, times_slope
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    Record,
    Rows,
    compiled,
    exported,
    floats,
    nanoseconds,
    reader,
    row_of,
    rows_from,
    words,
)
from darknet_py.engine.compiled.product import (
    CHUNK,
    PANEL,
    ROWS,
    Sizes,
    gradient,
    multiply,
    pack,
    pack_transposed,
    panels_of,
)
from darknet_py.engine.compiled.threads import share, thread_at, wait

# What follows the product: a bias, batch norm over the streams of a step, or gains and shifts.
BIAS, BATCH_NORM, AFFINE = range(3)
PARTS = 4
# What the first thread measures: products of x, of the delta of y, of both, and packing.
PRODUCT, DELTA, GRADIENT, PACKING = range(4)
# Columns whose sums are in hand at once.
BLOCK = 128
# Numbers of scratch that each thread has: what products take, and sums of a block of columns.
_OF_PRODUCTS = max(ROWS * PANEL, bf16.SPARE)
SPARE = _OF_PRODUCTS + 4 * BLOCK

_WORD = np.int64
LINEAR = np.dtype(
    [
        *((name, _WORD) for name in ("parts", "inputs", "outputs", "time_steps", "streams")),
        *((name, _WORD) for name in ("norm", "kind", "symbols")),
        # Numbers in a row of the products, and whether they are added to what is there.
        # ready: what `pack_forward` would pack is packed.
        *((name, _WORD) for name in ("row", "add", "ready")),
        # How bf16 products are made, 0 for float32. strips: room for what they multiply, of all
        # steps, or of two in turn if a walk goes step by step.
        *((name, _WORD) for name in ("bf16", "strips", "stepwise")),
        # x, and what the forward writes: the products, which batch norm makes x_norm of, y (the
        # same array without batch norm), and the statistics (time_steps, parts * outputs).
        *((name, _WORD) for name in ("x", "products", "y", "mean", "variance")),
        # Room for a packed matrix, for a table (inputs, parts * outputs), and for `gradient`.
        *((name, _WORD) for name in ("packed", "table", "scratch")),
        *((name, _WORD, (PARTS,)) for name in ("weights", "biases", "scales", "gains", "shifts")),
        *((f"{name}_updates", _WORD, (PARTS,)) for name in ("weights", "biases", "scales")),
        *((name, np.float32) for name in ("below", "clip", "root_epsilon", "deviation_epsilon")),
        *((name, np.float32) for name in ("smallest", "unused")),
        # What each of PRODUCT ... took in all, in nanoseconds and operations.
        *((name, _WORD, (4,)) for name in ("spent", "operations")),
    ]
)

linear_at = reader(LINEAR)


class Block(NamedTuple):
    """Some columns of a part, in one time step."""

    step: int
    part: int
    column: int
    width: int


@compiled
def _rows(b: Record, address: int, row: int, block: Block) -> Rows:
    """Those of a block, of all streams, in an array (time_steps, streams, row)."""
    column = block.part * b.outputs + block.column
    return rows_from(Rows(address, row), block.step * b.streams, column)


@compiled
def _of_step(b: Record, address: int, block: Block) -> Array:
    """The numbers of a block in an array (time_steps, parts * outputs)."""
    place = (block.step * b.parts + block.part) * b.outputs + block.column
    return floats(address + place * FLOAT_BYTES, (block.width,))


@compiled
def _of_part(addresses: Array, block: Block) -> Array:
    """The numbers of a block in vectors (outputs,), one for each part."""
    return floats(addresses[block.part] + block.column * FLOAT_BYTES, (block.width,))


@compiled
def _spare_row(me: int, index: int, count: int) -> Array:
    """Scratch of a thread for `count` columns, behind that of products."""
    return floats(thread_at(me).spare + (_OF_PRODUCTS + index * BLOCK) * FLOAT_BYTES, (count,))


@compiled
def _measure(b: Record, kind: int, begun: int, operations: int, me: int) -> None:
    if thread_at(me).rank == 0:
        b.spent[kind] += nanoseconds() - begun
        b.operations[kind] += operations


@compiled
def _strips(b: Record, tiles: int, step: int) -> Tiles:
    """bf16 strips of this many tiles, from those of a step on."""
    of_step = (b.streams + SIDE - 1) // SIDE
    strip = step % 2 * of_step if b.stepwise else step * b.streams // SIDE
    return Tiles(b.strips + strip * tiles * TILE_BYTES, tiles * TILE_BYTES)


@compiled
def _bf16_panels(b: Record, tiles: int, panel: int) -> Tiles:
    """bf16 panels of this many tiles, from one on."""
    return Tiles(b.packed + panel * tiles * TILE_BYTES, tiles * TILE_BYTES)


# --- forward --------------------------------------------------------------------------------------


@compiled
def _panels(b: Record, part: int, first: int) -> Rows:
    """The packed panel of column `first` of a part, and those after it."""
    panel = part * panels_of(b.outputs) + first // PANEL
    return rows_from(Rows(b.packed, b.inputs * PANEL), panel, 0)


@exported
def pack_forward(address: int, me: int) -> None:
    """Pack a thread's own columns of W^T, all parts, or those of the table of symbols."""
    b = linear_at(address)
    if b.ready:
        return
    first, end = share(b.outputs, PANEL, me)
    begun = nanoseconds()
    for part in range(b.parts):
        if b.symbols == 0:
            matrix = Rows(b.weights[part], b.inputs)
            if b.bf16:
                panel = part * ((b.outputs + SIDE - 1) // SIDE) + first // SIDE
                panels = _bf16_panels(b, tiles_of(b.inputs), panel)
                spare = thread_at(me).spare
                bf16.pack_transposed(matrix, b.inputs, first, end, panels, spare)
            else:
                pack_transposed(matrix, b.inputs, first, end, _panels(b, part, first).at)
            continue
        table = floats(b.table, (b.inputs, b.parts * b.outputs))
        weights = floats(b.weights[part], (b.outputs, b.inputs))
        for symbol in range(b.inputs):
            row = table[symbol, part * b.outputs : (part + 1) * b.outputs]
            for j in range(first, end):
                row[j] = weights[j, symbol]
    _measure(b, PACKING, begun, 0, me)


@exported
def round_inputs(address: int, step: int, me: int) -> None:
    """Round own columns of x of a step, where products are of bf16; all are read after a wait."""
    b = linear_at(address)
    if b.bf16 and b.symbols == 0:
        first, end = share(b.inputs, PANEL, me)
        x = rows_from(Rows(b.x, b.inputs), step * b.streams, 0)
        strips = _strips(b, tiles_of(b.inputs), step)
        begun = nanoseconds()
        round_rows(x, 0, b.streams, first, end, b.inputs, strips)
        _measure(b, PACKING, begun, 0, me)


@exported
def begin_steps(address: int, me: int) -> None:
    """Before the first `forward_products` of a walk that goes step by step."""
    b = linear_at(address)
    if b.bf16:
        round_inputs(address, 0, me)
        wait(me)


@exported
def forward_products(address: int, x: int, step: int, steps: int, me: int) -> None:
    """The products of some steps, own columns. x: the address of the rows of the first of them.

    Reads all columns of x.
    """
    b = linear_at(address)
    first, end = share(b.outputs, PANEL, me)
    if first == end:
        return
    begun, rows = nanoseconds(), steps * b.streams
    for part in range(b.parts):
        column = part * b.outputs + first
        out = rows_from(Rows(b.products, b.row), step * b.streams, column)
        if b.symbols == 0:
            sizes, spare = Sizes(rows, b.inputs, end - first), thread_at(me).spare
            if b.bf16:
                tiles = tiles_of(b.inputs)
                panel = part * ((b.outputs + SIDE - 1) // SIDE) + first // SIDE
                strips, tile_panels = _strips(b, tiles, step), _bf16_panels(b, tiles, panel)
                bf16.multiply(b.bf16, strips, tile_panels, out, sizes, b.add, spare)
            else:
                panels = _panels(b, part, first)
                multiply(Rows(x, b.inputs), panels, out, sizes, b.add, spare)
            continue
        symbols = words(b.symbols, (b.time_steps * b.streams,))
        table = rows_from(Rows(b.table, b.parts * b.outputs), 0, column)
        for row in range(rows):
            source = row_of(table, symbols[step * b.streams + row], end - first)
            to = row_of(out, row, end - first)
            for j in range(len(to)):
                to[j] = source[j]
    depth = b.parts * b.inputs if b.symbols == 0 else 0
    _measure(b, PRODUCT, begun, 2 * rows * depth * (end - first), me)


@exported
def forward_norm(address: int, step: int, steps: int, me: int) -> None:
    """From the products of some steps to y of them, own columns."""
    b = linear_at(address)
    first, end = share(b.outputs, PANEL, me)
    for t in range(step, step + steps):
        for part in range(b.parts):
            for column in range(first, end, BLOCK):
                block = Block(t, part, column, min(BLOCK, end - column))
                if b.norm == BATCH_NORM:
                    _normalize(b, block, me)
                elif b.norm == AFFINE:
                    _affine(b, block)
                else:
                    _add_bias(b, block)


@exported
def forward(address: int, me: int) -> None:
    """All time steps, own columns; a few steps at a time, which are still in cache for their norm.

    Reads all columns of x.
    """
    b = linear_at(address)
    pack_forward(address, me)
    few = max(1, CHUNK // b.streams)
    if b.bf16 and b.symbols == 0:
        rows = b.time_steps * b.streams
        first_row, end_row = share(rows, SIDE, me)
        strips = _strips(b, tiles_of(b.inputs), 0)
        begun = nanoseconds()
        round_rows(Rows(b.x, b.inputs), first_row, end_row, 0, b.inputs, b.inputs, strips)
        _measure(b, PACKING, begun, 0, me)
        wait(me)
        while few * b.streams % SIDE != 0:
            few += 1
    for step in range(0, b.time_steps, few):
        steps = min(few, b.time_steps - step)
        x = b.x + step * b.streams * b.inputs * FLOAT_BYTES
        forward_products(address, x, step, steps, me)
        forward_norm(address, step, steps, me)


@compiled
def _add_bias(b: Record, block: Block) -> None:
    """y = f(product + bias) of a block, in place."""
    x, kind, below = _rows(b, b.products, b.row, block), b.kind, b.below
    shifts = _of_part(b.biases, block)
    for s in range(b.streams):
        xs = row_of(x, s, block.width)
        for j in range(block.width):
            xs[j] += shifts[j]
        activate(xs, kind, below)


@compiled
def _affine(b: Record, block: Block) -> None:
    """y = f(product gain + shift), likewise."""
    x, kind, below = _rows(b, b.products, b.row, block), b.kind, b.below
    gains, shifts = _of_part(b.gains, block), _of_part(b.shifts, block)
    for s in range(b.streams):
        xs = row_of(x, s, block.width)
        for j in range(block.width):
            xs[j] = xs[j] * gains[j] + shifts[j]
        activate(xs, kind, below)


@compiled
def _normalize(b: Record, block: Block, me: int) -> None:
    """Batch norm of a block: x becomes x_norm; y = f(x_norm scale + bias)."""
    x, y = _rows(b, b.products, b.row, block), _rows(b, b.y, b.row, block)
    count, streams = block.width, b.streams
    means, variances = _of_step(b, b.mean, block), _of_step(b, b.variance, block)
    gains, shifts = _of_part(b.scales, block), _of_part(b.biases, block)
    inverse = _spare_row(me, 0, count)
    root_epsilon, deviation_epsilon = b.root_epsilon, b.deviation_epsilon
    kind, below = b.kind, b.below
    share_of_one, unbiased = ONE / np.float32(streams), ONE / np.float32(streams - 1)
    means[:] = ZERO
    variances[:] = ZERO
    for s in range(streams):
        xs = row_of(x, s, count)
        for j in range(count):
            means[j] += xs[j]
    for j in range(count):
        means[j] *= share_of_one
    for s in range(streams):
        xs = row_of(x, s, count)
        for j in range(count):
            centered = xs[j] - means[j]
            variances[j] += centered * centered
    for j in range(count):
        variances[j] *= unbiased
        inverse[j] = ONE / (np.sqrt(variances[j] + root_epsilon) + deviation_epsilon)
    for s in range(streams):
        xs, ys = row_of(x, s, count), row_of(y, s, count)
        for j in range(count):
            normal = (xs[j] - means[j]) * inverse[j]
            xs[j] = normal
            ys[j] = normal * gains[j] + shifts[j]
        activate(ys, kind, below)


# --- backward -------------------------------------------------------------------------------------


@exported
def backward_norm(address: int, delta: int, step: int, steps: int, me: int) -> None:
    """From the delta of y of some steps to that of the products, in place, own columns.

    delta: of all steps, (time_steps, streams, parts * outputs).
    """
    b = linear_at(address)
    first, end = share(b.outputs, PANEL, me)
    for t in range(step, step + steps):
        for part in range(b.parts):
            for column in range(first, end, BLOCK):
                block = Block(t, part, column, min(BLOCK, end - column))
                d = _rows(b, delta, b.parts * b.outputs, block)
                sums = _spare_row(me, 0, block.width)
                _activate_back(b, d, block, sums)
                bias_updates = _of_part(b.biases_updates, block)
                for j in range(block.width):
                    bias_updates[j] += sums[j]
                if b.norm == BATCH_NORM:
                    _normalize_back(b, d, block, sums, me)


@compiled
def _activate_back(b: Record, delta: Rows, block: Block, sums: Array) -> None:
    """Through the activation; sums: of the deltas over the streams."""
    y, clip, kind, below = _rows(b, b.y, b.row, block), b.clip, b.kind, b.below
    count = block.width
    sums[:] = ZERO
    for s in range(b.streams):
        ds, ys = row_of(delta, s, count), row_of(y, s, count)
        if clip > ZERO:
            for j in range(count):
                d = ds[j]
                # NaN stays.
                ds[j] = clip if d > clip else -clip if d < -clip else d
        times_slope(ds, ys, kind, below)
        for j in range(count):
            sums[j] += ds[j]


@compiled
def _normalize_back(b: Record, delta: Rows, block: Block, sums: Array, me: int) -> None:
    """Through batch norm; see layers/norm.Norm.backward for the formula."""
    x_norm, count, streams = _rows(b, b.products, b.row, block), block.width, b.streams
    root_epsilon, deviation_epsilon = b.root_epsilon, b.deviation_epsilon
    smallest = b.smallest
    along, factor = _spare_row(me, 1, count), _spare_row(me, 2, count)
    variances = _of_step(b, b.variance, block)
    gains, updates = _of_part(b.scales, block), _of_part(b.scales_updates, block)
    along[:] = ZERO
    for s in range(streams):
        ds, xs = row_of(delta, s, count), row_of(x_norm, s, count)
        for j in range(count):
            along[j] += ds[j] * xs[j]
    share_of_one, unbiased = ONE / np.float32(streams), ONE / np.float32(streams - 1)
    for j in range(count):
        updates[j] += along[j]
        divisor = np.sqrt(variances[j] + root_epsilon) + deviation_epsilon
        root = np.sqrt(variances[j])
        ratio = divisor / root if deviation_epsilon > ZERO and root > ZERO else ONE
        along[j] = along[j] * unbiased * ratio
        sums[j] *= share_of_one
        factor[j] = gains[j] / max(divisor, smallest)
    for s in range(streams):
        ds, xs = row_of(delta, s, count), row_of(x_norm, s, count)
        for j in range(count):
            ds[j] = (ds[j] - xs[j] * along[j] - sums[j]) * factor[j]


@exported
def pack_backward(address: int, me: int) -> None:
    """Pack a thread's own columns of W, the parts below each other: depth parts * outputs."""
    b = linear_at(address)
    first, end = share(b.inputs, PANEL, me)
    begun = nanoseconds()
    panels = Rows(b.packed, b.parts * b.outputs * PANEL)
    for part in range(b.parts):
        matrix = Rows(b.weights[part], b.inputs)
        if b.bf16:
            tiles = tiles_of(b.outputs)
            at, apart = _bf16_panels(b, b.parts * tiles, first // SIDE)
            tile_panels = Tiles(at + part * tiles * TILE_BYTES, apart)
            bf16.pack(matrix, b.outputs, first, end, tile_panels)
        else:
            out = rows_from(panels, first // PANEL, part * b.outputs * PANEL)
            pack(matrix, b.outputs, first, end, out)
    _measure(b, PACKING, begun, 0, me)


@exported
def round_delta(address: int, delta: int, step: int, steps: int, me: int) -> None:
    """Round own columns of the delta of the products of some steps; as `round_inputs`."""
    b = linear_at(address)
    if b.bf16:
        first, end = share(b.outputs, PANEL, me)
        tiles = tiles_of(b.outputs)
        at, apart = _strips(b, b.parts * tiles, step)
        begun, rows = nanoseconds(), steps * b.streams
        for part in range(b.parts):
            d = rows_from(Rows(delta, b.parts * b.outputs), step * b.streams, part * b.outputs)
            strips = Tiles(at + part * tiles * TILE_BYTES, apart)
            round_rows(d, 0, rows, first, end, b.outputs, strips)
        _measure(b, PACKING, begun, 0, me)


@exported
def below(address: int, delta: int, step: int, steps: int, out: int, keep: int, me: int) -> None:
    """The delta of x of some steps, of that of their products, own columns of x; see `multiply`.

    delta: of all steps. out: the address of the rows of the first of these. Reads all columns.
    """
    b = linear_at(address)
    first, end = share(b.inputs, PANEL, me)
    if first >= end:
        return
    begun, rows, spare = nanoseconds(), steps * b.streams, thread_at(me).spare
    to = rows_from(Rows(out, b.inputs), 0, first)
    if b.bf16:
        tiles = b.parts * tiles_of(b.outputs)
        sizes = Sizes(rows, tiles * bf16.DEPTH, end - first)
        strips, tile_panels = _strips(b, tiles, step), _bf16_panels(b, tiles, first // SIDE)
        bf16.multiply(b.bf16, strips, tile_panels, to, sizes, keep, spare)
    else:
        depth = b.parts * b.outputs
        panels = rows_from(Rows(b.packed, depth * PANEL), first // PANEL, 0)
        d = rows_from(Rows(delta, depth), step * b.streams, 0)
        multiply(d, panels, to, Sizes(rows, depth, end - first), keep, spare)
    _measure(b, DELTA, begun, 2 * rows * b.parts * b.outputs * (end - first), me)


@exported
def add_updates(address: int, delta: int, me: int) -> None:
    """Add what all steps give to the updates of the matrices; delta: that of the products."""
    b = linear_at(address)
    begun, rows = nanoseconds(), b.time_steps * b.streams
    width = b.parts * b.outputs
    first, end = share(b.outputs, PANEL, me)
    for part in range(b.parts):
        d = rows_from(Rows(delta, width), 0, part * b.outputs)
        if b.symbols == 0:
            x, sizes = Rows(b.x, b.inputs), Sizes(b.outputs, rows, b.inputs)
            updates = b.weights_updates[part]
            if b.bf16:
                bf16.gradient(b.bf16, d, x, sizes, updates, b.scratch, me)
            else:
                gradient(d, x, sizes, updates, b.scratch, me)
            continue
        table = floats(b.table, (b.inputs, width))[:, part * b.outputs : (part + 1) * b.outputs]
        symbols = words(b.symbols, (rows,))
        for symbol in range(b.inputs):
            table[symbol, first:end] = ZERO
        for row in range(rows):
            ds, sums = row_of(d, row, b.outputs), table[symbols[row]]
            for j in range(first, end):
                sums[j] += ds[j]
        matrix = floats(b.weights_updates[part], (b.outputs, b.inputs))
        for j in range(first, end):
            row_of_matrix = matrix[j]
            for symbol in range(b.inputs):
                row_of_matrix[symbol] += table[symbol, j]
    depth = rows * b.inputs if b.symbols == 0 else 0
    _measure(b, GRADIENT, begun, 2 * depth * width // thread_at(me).threads, me)


@exported
def backward(address: int, delta: int, out: int, me: int) -> None:
    """All time steps: delta (time_steps, streams, parts * outputs) of y, own columns of it known.

    Adds to the updates, and writes the delta of x to `out`, an address or 0 if it is not wanted.
    """
    b = linear_at(address)
    backward_norm(address, delta, 0, b.time_steps, me)
    if out != 0:
        pack_backward(address, me)
        round_delta(address, delta, 0, b.time_steps, me)
        wait(me)
        below(address, delta, 0, b.time_steps, out, 0, me)
    add_updates(address, delta, me)
