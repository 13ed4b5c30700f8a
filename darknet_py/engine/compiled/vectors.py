"""What is done to whole vectors and rows, compiled, each thread with its share of them.

The formulas are those of `optimizer.py` and `layers/softmax.py`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled.functions import ZERO, exp
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    compiled_ordered,
    compiled_sums,
    exported,
    floats,
    reader,
    words,
)
from darknet_py.engine.compiled.threads import share

_WORD = np.int64
# A vector's four arrays, of `count` numbers, and up to eight numbers that the function takes.
PASS = np.dtype(
    [
        *((name, _WORD) for name in ("code", "count", "width")),
        *((name, _WORD) for name in ("first", "second", "third", "fourth")),
        ("numbers", np.float32, (8,)),
    ]
)
pass_at = reader(PASS)
# Shares begin at multiples of this: of a cache line, and of what loops take at once.
GRAIN = 256


@exported
def sgd(job: int, me: int) -> None:
    """values, updates, velocity; rate, momentum, decay."""
    p = pass_at(job)
    first, end = share(p.count, GRAIN, me)
    at, shape = first * FLOAT_BYTES, (end - first,)
    values, updates = floats(p.first + at, shape), floats(p.second + at, shape)
    velocity = floats(p.third + at, shape)
    rate, momentum, decay = p.numbers[0], p.numbers[1], p.numbers[2]
    for j in range(len(values)):
        v = velocity[j] * momentum + updates[j] - values[j] * decay
        velocity[j] = v
        values[j] += v * rate


@exported
def adam(job: int, me: int) -> None:
    """values, updates, first and second moment; the numbers as in `optimizers.py`."""
    p = pass_at(job)
    start, end = share(p.count, GRAIN, me)
    at, shape = start * FLOAT_BYTES, (end - start,)
    values, updates = floats(p.first + at, shape), floats(p.second + at, shape)
    first, second = floats(p.third + at, shape), floats(p.fourth + at, shape)
    unbias, unbias_root, keep_first, share_first = p.numbers[:4]
    keep_second, share_second, eps, decay = p.numbers[4:]
    for j in range(len(values)):
        d = updates[j] - values[j] * decay
        first[j] = first[j] * keep_first + d * share_first
        second[j] = second[j] * keep_second + d * d * share_second
        values[j] += unbias * first[j] / (np.sqrt(second[j]) * unbias_root + eps)


@exported
def multiply(job: int, me: int) -> None:
    """x, factor, and their product."""
    p = pass_at(job)
    first, end = share(p.count, GRAIN, me)
    at, shape = first * FLOAT_BYTES, (end - first,)
    x, factor, out = (
        floats(p.first + at, shape),
        floats(p.second + at, shape),
        floats(p.third + at, shape),
    )
    for j in range(len(x)):
        out[j] = x[j] * factor[j]


@compiled_ordered
def _peak(x: Array) -> np.float32:
    peak = x[0]
    for j in range(len(x)):
        peak = x[j] if x[j] > peak else peak
    return peak


@compiled_sums
def softmax_row(x: Array, p: Array, inverse: np.float32) -> np.float32:
    """p = softmax(x inverse); the logarithm of what it was divided by."""
    peak = _peak(x)
    total = ZERO
    for j in range(len(x)):
        e = exp((x[j] - peak) * inverse)
        p[j] = e
        total += e
    share_of_one = np.float32(1) / total
    for j in range(len(x)):
        p[j] *= share_of_one
    return np.float32(np.log(total)) + peak * inverse


@exported
def softmax(job: int, me: int) -> None:
    """x and probabilities (count, width), logarithms of the sums (count,); 1 / temperature."""
    p = pass_at(job)
    first, end = share(p.count, 1, me)
    logarithms = floats(p.third, (p.count,))
    for row in range(first, end):
        x = floats(p.first + row * p.width * FLOAT_BYTES, (p.width,))
        out = floats(p.second + row * p.width * FLOAT_BYTES, (p.width,))
        logarithms[row] = softmax_row(x, out, p.numbers[0])


@exported
def softmax_delta(job: int, me: int) -> None:
    """probabilities (count, width), which become the delta (truth - p) / T; symbols (count,)."""
    p = pass_at(job)
    first, end = share(p.count, 1, me)
    symbols, inverse = words(p.third, (p.count,)), p.numbers[0]
    for row in range(first, end):
        d = floats(p.first + row * p.width * FLOAT_BYTES, (p.width,))
        for j in range(len(d)):
            d[j] *= -inverse
        d[symbols[row]] += inverse
