"""The element-wise passes and small reductions, each written once, over buffers that are reused.

Matrix products are left to BLAS; what remains is bound by memory, so every function here works in
place and walks over its arrays in parts that fit in a core's cache. Arrays are time-major,
`(time_steps, streams, features)`; statistics of one step are `(time_steps, 1, features)`. The
dtype is that of the arrays given. Nothing here allocates more than a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from darknet_py.activations import ACTIVATIONS, Activation
from darknet_py.arrays import Array
from darknet_py.dialect import Dialect

# Elements in a part: with three float32 arrays in hand, well within 1 MB of cache.
PART = 1 << 16
# The backward pass of batch norm treats a standard deviation below this as if it were this:
# a column that is nearly constant over the streams would blow the gradient up.
SMALLEST_DEVIATION = 1e-5**0.5


def parts(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first axis that hold about PART elements each."""
    count = shape[0]
    size = 1
    for extent in shape[1:]:
        size *= extent
    step = max(1, PART // max(1, size))
    if step >= count:
        yield slice(0, count)
        return
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))


@lru_cache(maxsize=256)
def _row(length: int, value: float, dtype: Any) -> Array:
    """A (1, length) row; `row @ x` sums x over its rows as fast as BLAS can."""
    row = np.full((1, length), value, dtype)
    row.setflags(write=False)
    return row


# --- connected layers: the matrix product, and what follows it -----------------------------------


def product(a: Array, b: Array, out: Array) -> None:
    """out = a b, by BLAS."""
    np.matmul(a, b, out=out)


def bias_activate(x: Array, biases: Array, activation: Activation) -> None:
    """x = f(x + biases), in place."""
    for part in parts(x.shape):
        np.add(x[part], biases, out=x[part])
        activation.apply(x[part])


def activate_backward(delta: Array, y: Array, bias_sums: Array, activation: Activation) -> None:
    """Take `delta` from the output y back through f, in place; y is used up.

    bias_sums: `(time_steps, 1, features)`, the biases' updates of each step.
    """
    ones = _row(delta.shape[1], 1, delta.dtype)
    for part in parts(delta.shape):
        if activation.slope is not None:
            activation.slope(y[part], y[part])
            np.multiply(delta[part], y[part], out=delta[part])
        np.matmul(ones, delta[part], out=bias_sums[part])


def normalize_activate(
    x: Array,
    y: Array,
    mean: Array,
    variance: Array,
    scales: Array,
    biases: Array,
    activation: Activation,
    dialect: Dialect,
) -> None:
    """Batch norm over the streams of each time step, then y = f(x_norm * scales + biases).

    Overwrites x with x_norm and writes mean and variance `(time_steps, 1, features)`.
    The variance is the unbiased one, divided by streams - 1.
    """
    streams = x.shape[1]
    average = _row(streams, 1 / streams, x.dtype)
    unbiased = _row(streams, 1 / (streams - 1), x.dtype)
    for part in parts(x.shape):
        xs, ys, means, variances = x[part], y[part], mean[part], variance[part]
        np.matmul(average, xs, out=means)
        np.subtract(xs, means, out=xs)
        np.multiply(xs, xs, out=ys)
        np.matmul(unbiased, ys, out=variances)
        np.multiply(xs, 1 / deviation(variances, dialect), out=xs)
        np.multiply(xs, scales, out=ys)
        np.add(ys, biases, out=ys)
        activation.apply(ys)


def deviation(variance: Array, dialect: Dialect) -> Array:
    """The divisor of batch norm: sqrt(variance + root_epsilon) + deviation_epsilon."""
    root = np.sqrt(variance + variance.dtype.type(dialect.root_epsilon))
    return root + variance.dtype.type(dialect.deviation_epsilon)


def normalize_activate_backward(
    delta: Array,
    y: Array,
    x_norm: Array,
    variance: Array,
    scales: Array,
    scale_sums: Array,
    bias_sums: Array,
    activation: Activation,
    dialect: Dialect,
) -> None:
    """Take `delta` from y back through f and batch norm to the product x, in place; y is used up.

    With q = 1/(s + e), s the standard deviation over n streams, and d the delta of x_norm:
    `q (d - mean(d) - x_norm sum(d x_norm)/(n-1) (s + e)/s)`; without the last factor where e stands
    under the root. q is bounded by 1/SMALLEST_DEVIATION.
    scale_sums, bias_sums: `(time_steps, 1, features)`, the parameters' updates of each step.
    """
    streams = delta.shape[1]
    ones = _row(streams, 1, delta.dtype)
    for part in parts(delta.shape):
        d, ys, xs = delta[part], y[part], x_norm[part]
        if activation.slope is not None:
            activation.slope(ys, ys)
            np.multiply(d, ys, out=d)
        np.matmul(ones, d, out=bias_sums[part])
        np.multiply(d, xs, out=ys)
        np.matmul(ones, ys, out=scale_sums[part])
        divisor = deviation(variance[part], dialect)
        along = scale_sums[part] / (streams - 1)
        if dialect.deviation_epsilon:
            root = np.sqrt(variance[part])
            along *= np.divide(divisor, root, out=np.ones_like(root), where=root > 0)
        np.multiply(xs, along, out=ys)
        np.subtract(d, ys, out=d)
        np.subtract(d, bias_sums[part] / streams, out=d)
        np.multiply(d, scales / np.maximum(divisor, SMALLEST_DEVIATION), out=d)


def roll(rolling: Array, now: Array, kept: float, weights: Array) -> None:
    """rolling = kept rolling + weights now, with now (time_steps, 1, features)."""
    np.multiply(rolling, kept, out=rolling)
    np.add(rolling, weights @ now.reshape(len(now), -1), out=rolling)


def affine_activate(x: Array, gains: Array, shifts: Array, activation: Activation) -> None:
    """x = f(x * gains + shifts), in place: batch norm with rolling statistics."""
    for part in parts(x.shape):
        np.multiply(x[part], gains, out=x[part])
        np.add(x[part], shifts, out=x[part])
        activation.apply(x[part])


# --- gates: one time step of the gated layers, arrays (streams, features) -------------------------


def logistic(x: Array) -> None:
    """1 / (1 + e^-x), in place."""
    ACTIVATIONS["logistic"].apply(x)


def lstm_step(gates: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
    """c = f c_before + i g, h = o tanh(c), with the gates f, i, o, g side by side.

    gates (streams, 4 outputs): what comes into the gates, overwritten with the gates.
    """
    n = c.shape[-1]
    logistic(gates[:, : 3 * n])
    np.tanh(gates[:, 3 * n :], out=gates[:, 3 * n :])
    f, i, o, g = (gates[:, k * n : (k + 1) * n] for k in range(4))
    np.multiply(f, c_before, out=c)
    np.add(c, i * g, out=c)
    np.tanh(c, out=tanh_c)
    np.multiply(o, tanh_c, out=h)


def lstm_step_backward(
    d_h: Array, d_c: Array, gates: Array, c_before: Array, tanh_c: Array, d_gates: Array
) -> None:
    """The deltas of h and c after a step -> of what came into the gates, and of c before, in place.

    d_gates: (streams, 4 outputs), written.
    """
    n = d_c.shape[-1]
    f, i, o, g = (gates[:, k * n : (k + 1) * n] for k in range(4))
    d_f, d_i, d_o, d_g = (d_gates[:, k * n : (k + 1) * n] for k in range(4))
    np.add(d_c, d_h * o * (1 - tanh_c * tanh_c), out=d_c)
    np.multiply(d_c, c_before, out=d_f)
    np.multiply(d_c, g, out=d_i)
    np.multiply(d_h, tanh_c, out=d_o)
    np.multiply(d_c, i, out=d_g)
    rises = gates[:, : 3 * n]
    np.multiply(d_gates[:, : 3 * n], rises * (1 - rises), out=d_gates[:, : 3 * n])
    np.multiply(d_g, 1 - g * g, out=d_g)
    np.multiply(d_c, f, out=d_c)


def gru_mix(z: Array, s_before: Array, h: Array, s: Array) -> None:
    """s = z s_before + (1 - z) h."""
    np.subtract(s_before, h, out=s)
    np.multiply(s, z, out=s)
    np.add(s, h, out=s)


def gru_mix_backward(
    d_s: Array, z: Array, s_before: Array, h: Array, d_z: Array, d_h: Array
) -> None:
    """The delta of s -> d_z, of what came into the gate z = logistic(...), and d_h, of h."""
    np.multiply(d_s, 1 - z, out=d_h)
    np.multiply(d_h, (s_before - h) * z, out=d_z)


# --- symbols: the product with a one-hot row is a row of the matrix ------------------------------


def gather(table: Array, symbols: Array, out: Array) -> None:
    """out[t, s] = table[symbols[t, s]]: (inputs, features) -> (time_steps, streams, features)."""
    np.take(table, symbols, axis=0, out=out, mode="clip")


def add_by_symbol(delta: Array, symbols: Array, out: Array) -> None:
    """out[c] += sum of delta[t, s] where symbols[t, s] == c: (inputs, features)."""
    rows = delta.reshape(-1, delta.shape[-1])
    order = np.argsort(symbols, axis=None, kind="stable")
    found, firsts = np.unique(symbols.reshape(-1)[order], return_index=True)
    ends = np.append(firsts[1:], len(order))
    for symbol, first, end in zip(found, firsts, ends, strict=True):
        out[symbol] += np.add.reduce(rows[order[first:end]], axis=0)


# --- softmax -------------------------------------------------------------------------------------


def softmax(x: Array, temperature: float, out: Array, log_sums: Array) -> None:
    """Probabilities exp(x/T) / sum over the last axis; log_sums (..., 1) = log(sum exp(x/T))."""
    # Bounded, so that the largest x, at 0 after the subtraction, does not become 0 times infinity.
    inverse = x.dtype.type(min(1 / temperature, 1e30))
    for part in parts(x.shape):
        p = out[part]
        peak = np.max(x[part], axis=-1, keepdims=True)
        np.subtract(x[part], peak, out=p)
        if temperature != 1:
            np.multiply(p, inverse, out=p)
        np.exp(p, out=p)
        total = np.sum(p, axis=-1, keepdims=True)
        np.divide(p, total, out=p)
        np.add(np.log(total), peak * inverse, out=log_sums[part])


def softmax_delta(p: Array, symbols: Array, temperature: float) -> None:
    """p = (truth - p) / T, in place: p (rows, inputs), symbols (rows,), the truth's."""
    np.negative(p, out=p)
    p[np.arange(len(p)), symbols] += 1
    if temperature != 1:
        np.divide(p, temperature, out=p)


# --- updates of parameters, over flat vectors ----------------------------------------------------


def sgd(
    values: Array, updates: Array, velocity: Array, rate: float, momentum: float, decay: float
) -> None:
    """velocity = momentum velocity + updates - decay values; values += rate velocity."""
    for part in parts(values.shape):
        v = velocity[part]
        np.multiply(v, momentum, out=v)
        np.add(v, updates[part], out=v)
        if decay:
            np.subtract(v, values[part] * values.dtype.type(decay), out=v)
        np.add(values[part], v * values.dtype.type(rate), out=values[part])


def adam(
    values: Array,
    updates: Array,
    first: Array,
    second: Array,
    rate: float,
    B1: float,
    B2: float,
    eps: float,
    decay: float,
    count: int,
) -> None:
    """Adam on the direction d = updates - decay values; `count` numbers the updates from 1.

    first = B1 first + (1-B1) d; second = B2 second + (1-B2) d^2;
    values += rate (first/(1-B1^count)) / (sqrt(second/(1-B2^count)) + eps).
    """
    number = values.dtype.type
    unbias = number(rate / (1 - B1**count))
    unbias_root = number((1 - B2**count) ** -0.5)
    for part in parts(values.shape):
        m, v = first[part], second[part]
        d = updates[part] - values[part] * number(decay) if decay else updates[part].copy()
        np.multiply(m, number(B1), out=m)
        np.add(m, d * number(1 - B1), out=m)
        np.multiply(d, d, out=d)
        np.multiply(d, number(1 - B2), out=d)
        np.multiply(v, number(B2), out=v)
        np.add(v, d, out=v)
        np.sqrt(v, out=d)
        np.multiply(d, unbias_root, out=d)
        np.add(d, number(eps), out=d)
        np.divide(m, d, out=d)
        np.multiply(d, unbias, out=d)
        np.add(values[part], d, out=values[part])
