"""A connected layer, or several side by side, in compiled code: what the walks are made of.

The twin of `layers/connected.py`, `norm.py` and `stack.py`: a product, then a bias or batch norm
with the activation, forward and backward, for all time steps or for some. Each thread computes its
own columns of each part and sees no other's, but where `forward_products` and `below` say.

A LINEAR is a record of sizes and addresses. Parts are connected layers with the same input whose
outputs stand side by side: x (time_steps, streams, inputs), y (time_steps, streams, parts *
outputs). Deltas are minus the gradient; updates are added to.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled.barrier import wait
from darknet_py.engine.compiled.functions import ONE, ZERO, activate, times_slope
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    Record,
    compiled,
    exported,
    floats,
    reader,
    words,
)
from darknet_py.engine.compiled.product import (
    CHUNK,
    PANEL,
    PANEL_BYTES,
    ROWS,
    gradient,
    multiply,
    pack,
    pack_transposed,
    panels_of,
    share,
)

# What follows the product: a bias, batch norm over the streams of a step, or gains and shifts.
BIAS, BATCH_NORM, AFFINE = range(3)
PARTS = 4
# Columns whose sums are in hand at once.
BLOCK = 128
# Numbers of scratch that each thread has: a tile, and sums of a block of columns.
SPARE = ROWS * PANEL + 4 * BLOCK

_WORD = np.int64
LINEAR = np.dtype(
    [
        *((name, _WORD) for name in ("parts", "inputs", "outputs", "time_steps", "streams")),
        *((name, _WORD) for name in ("norm", "kind", "symbols")),
        # Numbers in a row of the products, and whether they are added to what is there.
        # ready: what `pack_forward` would pack is packed.
        *((name, _WORD) for name in ("row", "add", "ready")),
        # x, and what the forward writes: the products, which batch norm makes x_norm of, y (the
        # same array without batch norm), and the statistics (time_steps, parts * outputs).
        *((name, _WORD) for name in ("x", "products", "y", "mean", "variance")),
        # Room for a packed matrix, for a table (inputs, parts * outputs), and for `gradient`.
        *((name, _WORD) for name in ("packed", "table", "scratch")),
        *((name, _WORD, (PARTS,)) for name in ("weights", "biases", "scales", "gains", "shifts")),
        *((f"{name}_updates", _WORD, (PARTS,)) for name in ("weights", "biases", "scales")),
        *((name, np.float32) for name in ("below", "clip", "root_epsilon", "deviation_epsilon")),
        *((name, np.float32) for name in ("smallest", "unused")),
    ]
)

linear_at = reader(LINEAR)


# --- forward --------------------------------------------------------------------------------------


@exported
def pack_forward(address: int, rank: int, threads: int) -> None:
    """Pack a thread's own columns of W^T, all parts, or those of the table of symbols."""
    b = linear_at(address)
    if b.ready:
        return
    first, end = share(b.outputs, rank, threads)
    panels = panels_of(b.outputs)
    for part in range(b.parts):
        if b.symbols == 0:
            to = b.packed + (part * panels + first // PANEL) * b.inputs * PANEL_BYTES
            pack_transposed(b.weights[part], b.inputs, b.inputs, first, end, to)
            continue
        width = b.parts * b.outputs
        table = floats(b.table, (b.inputs, width))
        weights = floats(b.weights[part], (b.outputs, b.inputs))
        for symbol in range(b.inputs):
            row = table[symbol, part * b.outputs : (part + 1) * b.outputs]
            for j in range(first, end):
                row[j] = weights[j, symbol]


@exported
def forward_products(
    address: int, x: int, step: int, steps: int, rank: int, threads: int, spare: int
) -> None:
    """The products of some steps, own columns. x: the address of the rows of the first of them.

    Reads all columns of x.
    """
    b = linear_at(address)
    first, end = share(b.outputs, rank, threads)
    if first == end:
        return
    width = b.parts * b.outputs
    rows = steps * b.streams
    panels = panels_of(b.outputs)
    for part in range(b.parts):
        begin = step * b.streams * b.row + part * b.outputs + first
        out = b.products + begin * FLOAT_BYTES
        if b.symbols == 0:
            packed = b.packed + (part * panels + first // PANEL) * b.inputs * PANEL_BYTES
            multiply(
                *(x, b.inputs, rows, b.inputs, packed, b.inputs * PANEL, end - first),
                *(out, b.row, b.add, spare),
            )
            continue
        symbols = words(b.symbols, (b.time_steps * b.streams,))
        for row in range(rows):
            place = symbols[step * b.streams + row] * width + part * b.outputs + first
            source = floats(b.table + place * FLOAT_BYTES, (end - first,))
            to = floats(out + row * b.row * FLOAT_BYTES, (end - first,))
            for j in range(len(to)):
                to[j] = source[j]


@exported
def forward_norm(address: int, step: int, steps: int, rank: int, threads: int, spare: int) -> None:
    """From the products of some steps to y of them, own columns."""
    b = linear_at(address)
    first, end = share(b.outputs, rank, threads)
    for t in range(step, step + steps):
        for part in range(b.parts):
            for column in range(first, end, BLOCK):
                count = min(BLOCK, end - column)
                if b.norm == BATCH_NORM:
                    _normalize(b, t, part, column, count, spare)
                elif b.norm == AFFINE:
                    _affine(b, t, part, column, count)
                else:
                    _add_bias(b, t, part, column, count)


@exported
def forward(address: int, rank: int, threads: int, spare: int) -> None:
    """All time steps, own columns; a few steps at a time, which are still in cache for their norm.

    Reads all columns of x.
    """
    b = linear_at(address)
    pack_forward(address, rank, threads)
    few = max(1, CHUNK // b.streams)
    for step in range(0, b.time_steps, few):
        steps = min(few, b.time_steps - step)
        x = b.x + step * b.streams * b.inputs * FLOAT_BYTES
        forward_products(address, x, step, steps, rank, threads, spare)
        forward_norm(address, step, steps, rank, threads, spare)


@compiled
def _place(b: Record, t: int, part: int, column: int, row: int) -> int:
    """Of a column of a part at step t, in bytes from the beginning of an array with such rows."""
    return (t * b.streams * row + part * b.outputs + column) * FLOAT_BYTES


@compiled
def _statistics_place(b: Record, t: int, part: int, column: int) -> int:
    """The same in the arrays (time_steps, parts * outputs)."""
    return ((t * b.parts + part) * b.outputs + column) * FLOAT_BYTES


@compiled
def _add_bias(b: Record, t: int, part: int, column: int, count: int) -> None:
    """y = f(product + bias) of one step and block of columns, in place."""
    x, row, kind, below = b.products + _place(b, t, part, column, b.row), b.row, b.kind, b.below
    shifts = floats(b.biases[part] + column * FLOAT_BYTES, (count,))
    for s in range(b.streams):
        xs = floats(x + s * row * FLOAT_BYTES, (count,))
        for j in range(count):
            xs[j] += shifts[j]
        activate(xs, kind, below)


@compiled
def _affine(b: Record, t: int, part: int, column: int, count: int) -> None:
    """y = f(product gain + shift), likewise."""
    x, row, kind, below = b.products + _place(b, t, part, column, b.row), b.row, b.kind, b.below
    times = floats(b.gains[part] + column * FLOAT_BYTES, (count,))
    plus = floats(b.shifts[part] + column * FLOAT_BYTES, (count,))
    for s in range(b.streams):
        xs = floats(x + s * row * FLOAT_BYTES, (count,))
        for j in range(count):
            xs[j] = xs[j] * times[j] + plus[j]
        activate(xs, kind, below)


@compiled
def _normalize(b: Record, t: int, part: int, column: int, count: int, spare: int) -> None:
    """Batch norm of one step and block of columns: x becomes x_norm; y = f(x_norm scale + bias)."""
    place, row, streams = _place(b, t, part, column, b.row), b.row, b.streams
    x, y = b.products + place, b.y + place
    of_step, of_part = _statistics_place(b, t, part, column), column * FLOAT_BYTES
    means, variances = floats(b.mean + of_step, (count,)), floats(b.variance + of_step, (count,))
    gains = floats(b.scales[part] + of_part, (count,))
    shifts = floats(b.biases[part] + of_part, (count,))
    inverse = floats(spare + ROWS * PANEL_BYTES, (count,))
    root_epsilon, deviation_epsilon = b.root_epsilon, b.deviation_epsilon
    kind, below = b.kind, b.below
    share_of_one, unbiased = ONE / np.float32(streams), ONE / np.float32(streams - 1)
    means[:] = ZERO
    variances[:] = ZERO
    for s in range(streams):
        xs = floats(x + s * row * FLOAT_BYTES, (count,))
        for j in range(count):
            means[j] += xs[j]
    for j in range(count):
        means[j] *= share_of_one
    for s in range(streams):
        xs = floats(x + s * row * FLOAT_BYTES, (count,))
        for j in range(count):
            centered = xs[j] - means[j]
            variances[j] += centered * centered
    for j in range(count):
        variances[j] *= unbiased
        inverse[j] = ONE / (np.sqrt(variances[j] + root_epsilon) + deviation_epsilon)
    for s in range(streams):
        xs = floats(x + s * row * FLOAT_BYTES, (count,))
        ys = floats(y + s * row * FLOAT_BYTES, (count,))
        for j in range(count):
            normal = (xs[j] - means[j]) * inverse[j]
            xs[j] = normal
            ys[j] = normal * gains[j] + shifts[j]
        activate(ys, kind, below)


# --- backward -------------------------------------------------------------------------------------


@exported
def backward_norm(
    address: int, delta: int, step: int, steps: int, rank: int, threads: int, spare: int
) -> None:
    """From the delta of y of some steps to that of the products, in place, own columns.

    delta: of all steps, (time_steps, streams, parts * outputs).
    """
    b = linear_at(address)
    first, end = share(b.outputs, rank, threads)
    for t in range(step, step + steps):
        for part in range(b.parts):
            for column in range(first, end, BLOCK):
                count = min(BLOCK, end - column)
                sums = floats(spare + ROWS * PANEL_BYTES, (count,))
                _activate_back(b, delta, t, part, column, sums)
                bias_updates = floats(b.biases_updates[part] + column * FLOAT_BYTES, (count,))
                for j in range(count):
                    bias_updates[j] += sums[j]
                if b.norm == BATCH_NORM:
                    _normalize_back(b, delta, t, part, column, sums, spare)


@compiled
def _activate_back(b: Record, delta: int, t: int, part: int, column: int, sums: Array) -> None:
    """Through the activation; sums: of the deltas over the streams."""
    row, y_row, streams, clip = b.parts * b.outputs, b.row, b.streams, b.clip
    kind, below = b.kind, b.below
    delta += _place(b, t, part, column, row)
    y = b.y + _place(b, t, part, column, y_row)
    count = len(sums)
    sums[:] = ZERO
    for s in range(streams):
        ds = floats(delta + s * row * FLOAT_BYTES, (count,))
        ys = floats(y + s * y_row * FLOAT_BYTES, (count,))
        if clip > ZERO:
            for j in range(count):
                d = ds[j]
                # NaN stays.
                ds[j] = clip if d > clip else -clip if d < -clip else d
        times_slope(ds, ys, kind, below)
        for j in range(count):
            sums[j] += ds[j]


@compiled
def _normalize_back(
    b: Record, delta: int, t: int, part: int, column: int, sums: Array, spare: int
) -> None:
    """Through batch norm; see layers/norm.BatchNorm.backward for the formula."""
    row, x_row, streams = b.parts * b.outputs, b.row, b.streams
    root_epsilon, deviation_epsilon = b.root_epsilon, b.deviation_epsilon
    smallest = b.smallest
    delta += _place(b, t, part, column, row)
    x_norm = b.products + _place(b, t, part, column, x_row)
    count = len(sums)
    along = floats(spare + ROWS * PANEL_BYTES + BLOCK * FLOAT_BYTES, (count,))
    factor = floats(spare + ROWS * PANEL_BYTES + 2 * BLOCK * FLOAT_BYTES, (count,))
    of_part = column * FLOAT_BYTES
    variances = floats(b.variance + _statistics_place(b, t, part, column), (count,))
    gains = floats(b.scales[part] + of_part, (count,))
    updates = floats(b.scales_updates[part] + of_part, (count,))
    along[:] = ZERO
    for s in range(streams):
        ds = floats(delta + s * row * FLOAT_BYTES, (count,))
        xs = floats(x_norm + s * x_row * FLOAT_BYTES, (count,))
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
        ds = floats(delta + s * row * FLOAT_BYTES, (count,))
        xs = floats(x_norm + s * x_row * FLOAT_BYTES, (count,))
        for j in range(count):
            ds[j] = (ds[j] - xs[j] * along[j] - sums[j]) * factor[j]


@exported
def pack_backward(address: int, rank: int, threads: int) -> None:
    """Pack a thread's own columns of W, the parts below each other: depth parts * outputs."""
    b = linear_at(address)
    first, end = share(b.inputs, rank, threads)
    depth = b.parts * b.outputs
    for part in range(b.parts):
        to = b.packed + (first * depth + part * b.outputs * PANEL) * FLOAT_BYTES
        pack(b.weights[part], b.inputs, b.outputs, first, end, to, depth * PANEL)


@exported
def below(
    address: int, delta: int, rows: int, out: int, keep: int, rank: int, threads: int, spare: int
) -> None:
    """The delta of x of some rows, of that of their products, own columns of x; see `multiply`.

    Reads all columns of delta.
    """
    b = linear_at(address)
    first, end = share(b.inputs, rank, threads)
    if first < end:
        depth = b.parts * b.outputs
        multiply(
            *(delta, depth, rows, depth, b.packed + first * depth * FLOAT_BYTES, depth * PANEL),
            *(end - first, out + first * FLOAT_BYTES, b.inputs, keep, spare),
        )


@exported
def add_updates(
    address: int, delta: int, counters: int, rank: int, threads: int, spare: int
) -> None:
    """Add what all steps give to the updates of the matrices; delta: that of the products."""
    b = linear_at(address)
    rows = b.time_steps * b.streams
    width = b.parts * b.outputs
    first, end = share(b.outputs, rank, threads)
    for part in range(b.parts):
        of_part = delta + part * b.outputs * FLOAT_BYTES
        if b.symbols == 0:
            gradient(
                *(
                    of_part,
                    width,
                    rows,
                    b.outputs,
                    b.x,
                    b.inputs,
                    b.inputs,
                    b.weights_updates[part],
                ),
                *(b.scratch, spare, counters, rank, threads),
            )
            continue
        table = floats(b.table, (b.inputs, width))[:, part * b.outputs : (part + 1) * b.outputs]
        symbols = words(b.symbols, (rows,))
        for symbol in range(b.inputs):
            table[symbol, first:end] = ZERO
        for row in range(rows):
            ds = floats(of_part + row * width * FLOAT_BYTES, (b.outputs,))
            sums = table[symbols[row]]
            for j in range(first, end):
                sums[j] += ds[j]
        updates = floats(b.weights_updates[part], (b.outputs, b.inputs))
        for j in range(first, end):
            row_of = updates[j]
            for symbol in range(b.inputs):
                row_of[symbol] += table[symbol, j]


@exported
def backward(
    address: int, delta: int, out: int, counters: int, rank: int, threads: int, spare: int
) -> None:
    """All time steps: delta (time_steps, streams, parts * outputs) of y, own columns of it known.

    Adds to the updates, and writes the delta of x to `out`, an address or 0 where it is not wanted.
    """
    b = linear_at(address)
    backward_norm(address, delta, 0, b.time_steps, rank, threads, spare)
    if out != 0:
        pack_backward(address, rank, threads)
        wait(counters, rank, threads)
        below(address, delta, b.time_steps * b.streams, out, 0, rank, threads, spare)
    add_updates(address, delta, counters, rank, threads, spare)
