"""f32 sums and products as the unoptimized C computes them.

C rounds every f32 operation on its own and adds the terms of a sum one after the other. Addition
is not associative in f32, so the order is part of the result; everything else vectorizes. Here the
terms of a sum are laid out along the first axis of an array, and `np.add.reduce` over it adds one
whole row after the other. (Along a row, or if there is only one column, it would add in pairs;
and a matrix product of BLAS would fuse multiplications with additions.)

An expression with a function of `math.h` or a decimal constant is one in double in C, rounded when
it is stored. `exp`, `log` and `power` are therefore those of the C library. numpy's own differ from
them in the last bit of a few doubles in a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Callable[[float], float]

# How many products are laid out at a time: few enough to stay in a core's cache.
TERMS = 1 << 16


# --- sums ----------------------------------------------------------------------------------------


def sum_rows(rows: Array) -> Array:
    """The sum of the rows of an array (count, ...), one after the other."""
    if rows[0].size == 1:  # numpy would add a single column in pairs
        return np.add.accumulate(rows, axis=0)[-1]
    return np.add.reduce(np.ascontiguousarray(rows), axis=0)


def add_rows(total: Array, rows: Array) -> None:
    """total (n,) += each row of `rows` (count, n), one after the other."""
    total[...] = sum_rows(np.concatenate([total[None], rows]))


def sum_squares(rows: Array) -> Array:
    """The sum over the rows of their squares, as `sum += pow(x, 2)` does it: (count, n) -> (n,).

    Square and addition are in double, and each sum is rounded to f32 before the next.
    """
    total = np.zeros(rows.shape[1], np.float32)
    for square in np.square(rows, dtype=np.float64):
        total[...] = total + square
    return total


# --- matrix products -----------------------------------------------------------------------------


def add_product(total: Array, a: Array, b: Array) -> None:
    """total (m, n) += a^T b, for a (count, m) and b (count, n), term after term over `count`.

    That is darknet's `gemm` in all three of its uses.
    """
    m, n = total.shape
    block = max(1, min(m, TERMS // (8 * n)))
    depth = max(1, min(len(a), TERMS // (block * n)))
    terms = np.empty((depth + 1, block, n), np.float32)
    for rows in _pieces(m, block):
        for part in _pieces(len(a), depth):
            here = terms[: part.stop - part.start + 1, : rows.stop - rows.start]
            here[0] = total[rows]
            np.multiply(a[part, rows, None], b[part, None, :], out=here[1:])
            total[rows] = sum_rows(here)


def _pieces(count: int, size: int) -> Iterator[slice]:
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def forward_product(x: Array, weights: Array) -> Array:
    """x W^T (batch, outputs), over the inputs in order, for W (outputs, inputs).

    x: f32 (batch, inputs), or symbols (batch,). A symbol stands for a one-hot row, of whose terms
    all but one are zeros.
    """
    if x.dtype.kind in "iu":
        return weights.T[x] + np.float32(0)  # C's sum starts from 0, so there is no -0
    total = np.zeros((len(x), len(weights)), np.float32)
    if len(x) == 1:  # the same, without a transposed copy of a large matrix
        for part in _pieces(len(weights), 64):
            total[0, part] += sum_rows((weights[part] * x).T)
        return total
    add_product(total, x.T, np.ascontiguousarray(weights.T))
    return total


def add_weight_updates(updates: Array, delta: Array, x: Array) -> None:
    """updates (outputs, inputs) += d^T x, over the rows of d (batch, outputs) in order.

    x: f32 (batch, inputs), or symbols (batch,).
    """
    if x.dtype.kind in "iu":
        for row, symbol in zip(delta, x.tolist(), strict=True):
            updates[:, symbol] += row
    else:
        add_product(updates, delta, x)


# --- double --------------------------------------------------------------------------------------


def double(x: Array) -> Array:
    return x.astype(np.float64)


def exp(x: Array) -> Array:
    return _each(math.exp, c_exp, x)


def log(x: Array) -> Array:
    return _each(math.log, c_log, x)


def power(x: Array, exponent: float) -> Array:
    return _each(lambda base: math.pow(base, exponent), lambda base: c_pow(base, exponent), x)


def _each(python: Scalar, c: Scalar, x: Array) -> Array:
    """`python` of each element of x, in double, or `c` if one of them raises."""
    numbers = x.ravel().tolist()
    try:
        return np.fromiter(map(python, numbers), np.float64, x.size).reshape(x.shape)
    except (OverflowError, ValueError):
        return np.fromiter(map(c, numbers), np.float64, x.size).reshape(x.shape)


# Python's `math` calls the C library, but raises if that returns an infinity or NaN.


def c_exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def c_log(x: float) -> float:
    if x == 0:
        return -math.inf
    if x < 0:
        return -math.nan
    return math.log(x)


def c_pow(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):
        with np.errstate(all="ignore"):
            return float(np.power(np.float64(base), exponent))
