"""The compiled twins of functions of `kernels/plain.py`, with the extra `fast` (numba): each is one
loop over memory where numpy needs a pass per operation.

Compiled when first called and kept on disk by numba, so that the next start does not compile.
Results are those of numpy's to rounding. Activations that are more than a multiplication or two are
left to numpy, whose tanh and exp are vectorized.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from darknet_py.activations import Activation
from darknet_py.arrays import Array
from darknet_py.dialect import Dialect
from darknet_py.kernels.plain import SMALLEST_DEVIATION

# Columns whose rows of one time step stay in the fastest cache.
BLOCK = 512
# Activations that are x above 0 and a multiple of it under 0.
RECTIFIERS = {"linear": 1.0, "leaky": 0.1, "relie": 0.01, "relu": 0.0}
# How a backward finds the slope: of a rectifier, or from the output, or left to numpy.
RECTIFIER, TANH, LOGISTIC, GIVEN = range(4)
SLOPES = {"tanh": TANH, "logistic": LOGISTIC}


def _compile(function: Any) -> Any:
    # Sums may be reordered, which vectors need; infinities and NaN keep their meaning.
    how = {"reassoc", "contract", "arcp", "nsz"}
    return numba.njit(function, cache=True, nogil=True, fastmath=how, error_model="numpy")


def _slope(activation: Activation) -> tuple[int, float]:
    if activation.name in RECTIFIERS:
        return RECTIFIER, RECTIFIERS[activation.name]
    return SLOPES.get(activation.name, GIVEN), 1.0


def bias_activate(x: Array, biases: Array, activation: Activation) -> None:
    """See plain.bias_activate."""
    affine_activate(x, biases[:0], biases, activation)


def affine_activate(x: Array, gains: Array, shifts: Array, activation: Activation) -> None:
    """See plain.affine_activate. Without gains, x is not multiplied."""
    below = RECTIFIERS.get(activation.name)
    _affine(x.reshape(-1, x.shape[-1]), gains, shifts, x.dtype.type(1 if below is None else below))
    if below is None:
        activation.apply(x)


@_compile
def _affine(x: Any, gains: Any, shifts: Any, below: Any) -> None:
    for row in range(x.shape[0]):
        xs = x[row]
        if len(gains) == 0:
            for j in range(len(shifts)):
                value = xs[j] + shifts[j]
                xs[j] = value if value > 0 else below * value
        else:
            for j in range(len(shifts)):
                value = xs[j] * gains[j] + shifts[j]
                xs[j] = value if value > 0 else below * value


def activate_backward(delta: Array, y: Array, bias_sums: Array, activation: Activation) -> None:
    """See plain.activate_backward."""
    kind, below = _slope(activation)
    if kind == GIVEN and activation.slope is not None:
        activation.slope(y, y)
    _activate_backward(delta, y, bias_sums, kind, delta.dtype.type(below))


@_compile
def _times_slope(ds: Any, ys: Any, kind: int, below: Any) -> None:
    """ds *= f'(ys), rows."""
    if kind == RECTIFIER:
        for j in range(len(ds)):
            ds[j] = ds[j] if ys[j] > 0 else ds[j] * below
    elif kind == TANH:
        for j in range(len(ds)):
            ds[j] -= ds[j] * ys[j] * ys[j]
    elif kind == LOGISTIC:
        for j in range(len(ds)):
            ds[j] = ds[j] * (ys[j] - ys[j] * ys[j])
    else:
        for j in range(len(ds)):
            ds[j] *= ys[j]


@_compile
def _activate_backward(delta: Any, y: Any, bias_sums: Any, kind: int, below: Any) -> None:
    for t in range(delta.shape[0]):
        sums = bias_sums[t, 0]
        sums[:] = 0
        for s in range(delta.shape[1]):
            ds = delta[t, s]
            _times_slope(ds, y[t, s], kind, below)
            for j in range(len(sums)):
                sums[j] += ds[j]


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
    """See plain.normalize_activate."""
    below = RECTIFIERS.get(activation.name)
    number = x.dtype.type
    _normalize(
        x,
        y,
        mean,
        variance,
        scales,
        biases,
        number(1 if below is None else below),
        number(1),
        number(dialect.root_epsilon),
        number(dialect.deviation_epsilon),
    )
    if below is None:
        activation.apply(y)


@_compile
def _normalize(
    x: Any,
    y: Any,
    mean: Any,
    variance: Any,
    scales: Any,
    biases: Any,
    below: Any,
    one: Any,
    root_epsilon: Any,
    deviation_epsilon: Any,
) -> None:
    steps, streams, features = x.shape
    share, unbiased = one / streams, one / (streams - 1)
    total, inverse = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    for t in range(steps):
        for first in range(0, features, BLOCK):
            width = min(BLOCK, features - first)
            total[:] = 0
            end = first + width
            gains, shifts = scales[first:end], biases[first:end]
            means, variances = mean[t, 0, first:end], variance[t, 0, first:end]
            for s in range(streams):
                xs = x[t, s, first:end]
                for j in range(width):
                    total[j] += xs[j]
            for j in range(width):
                total[j] *= share
                means[j] = total[j]
                inverse[j] = 0
            for s in range(streams):
                xs = x[t, s, first:end]
                for j in range(width):
                    centered = xs[j] - total[j]
                    inverse[j] += centered * centered
            for j in range(width):
                var = inverse[j] * unbiased
                variances[j] = var
                inverse[j] = one / (np.sqrt(var + root_epsilon) + deviation_epsilon)
            for s in range(streams):
                xs, ys = x[t, s, first:end], y[t, s, first:end]
                for j in range(width):
                    normal = (xs[j] - total[j]) * inverse[j]
                    value = normal * gains[j] + shifts[j]
                    xs[j] = normal
                    ys[j] = value if value > 0 else below * value


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
    """See plain.normalize_activate_backward."""
    kind, below = _slope(activation)
    number = delta.dtype.type
    if kind == GIVEN and activation.slope is not None:
        activation.slope(y, y)
    _normalize_backward(
        delta,
        y,
        x_norm,
        variance,
        scales,
        scale_sums,
        bias_sums,
        kind,
        number(below),
        number(1),
        number(dialect.root_epsilon),
        number(dialect.deviation_epsilon),
        number(SMALLEST_DEVIATION),
    )


@_compile
def _normalize_backward(
    delta: Any,
    y: Any,
    x_norm: Any,
    variance: Any,
    scales: Any,
    scale_sums: Any,
    bias_sums: Any,
    kind: int,
    below: Any,
    one: Any,
    root_epsilon: Any,
    deviation_epsilon: Any,
    smallest: Any,
) -> None:
    steps, streams, features = delta.shape
    sums, along = np.empty(BLOCK, delta.dtype), np.empty(BLOCK, delta.dtype)
    factor = np.empty(BLOCK, delta.dtype)
    for t in range(steps):
        for first in range(0, features, BLOCK):
            width = min(BLOCK, features - first)
            sums[:] = 0
            along[:] = 0
            end = first + width
            gains, variances = scales[first:end], variance[t, 0, first:end]
            bias_row, scale_row = bias_sums[t, 0, first:end], scale_sums[t, 0, first:end]
            for s in range(streams):
                ds, xs = delta[t, s, first:end], x_norm[t, s, first:end]
                _times_slope(ds, y[t, s, first:end], kind, below)
                for j in range(width):
                    sums[j] += ds[j]
                    along[j] += ds[j] * xs[j]
            for j in range(width):
                bias_row[j] = sums[j]
                scale_row[j] = along[j]
                var = variances[j]
                divisor = np.sqrt(var + root_epsilon) + deviation_epsilon
                root = np.sqrt(var)
                ratio = divisor / root if deviation_epsilon > 0 and root > 0 else one
                along[j] = along[j] * (one / (streams - 1)) * ratio
                sums[j] = sums[j] * (one / streams)
                factor[j] = gains[j] / max(divisor, smallest)
            for s in range(streams):
                ds, xs = delta[t, s, first:end], x_norm[t, s, first:end]
                for j in range(width):
                    ds[j] = (ds[j] - xs[j] * along[j] - sums[j]) * factor[j]


def add_by_symbol(delta: Array, symbols: Array, out: Array) -> None:
    """See plain.add_by_symbol."""
    _add_by_symbol(delta.reshape(-1, delta.shape[-1]), symbols.reshape(-1), out)


@_compile
def _add_by_symbol(rows: Any, symbols: Any, out: Any) -> None:
    for row in range(rows.shape[0]):
        sums, ds = out[symbols[row]], rows[row]
        for j in range(len(ds)):
            sums[j] += ds[j]


@_compile
def lstm_step_backward(
    d_h: Any, d_c: Any, gates: Any, c_before: Any, tanh_c: Any, d_gates: Any
) -> None:
    """See plain.lstm_step_backward."""
    n = d_c.shape[1]
    for s in range(d_c.shape[0]):
        f, i, o, g = gates[s, :n], gates[s, n : 2 * n], gates[s, 2 * n : 3 * n], gates[s, 3 * n :]
        d_f, d_i = d_gates[s, :n], d_gates[s, n : 2 * n]
        d_o, d_g = d_gates[s, 2 * n : 3 * n], d_gates[s, 3 * n :]
        dh, dc, before, bent = d_h[s], d_c[s], c_before[s], tanh_c[s]
        for j in range(n):
            d = dc[j] + dh[j] * o[j] * (1 - bent[j] * bent[j])
            d_f[j] = d * before[j] * (f[j] - f[j] * f[j])
            d_i[j] = d * g[j] * (i[j] - i[j] * i[j])
            d_o[j] = dh[j] * bent[j] * (o[j] - o[j] * o[j])
            d_g[j] = d * (i[j] - i[j] * g[j] * g[j])
            dc[j] = d * f[j]


@_compile
def gru_mix(z: Any, s_before: Any, h: Any, s: Any) -> None:
    """See plain.gru_mix."""
    for row in range(s.shape[0]):
        zs, before, hs, out = z[row], s_before[row], h[row], s[row]
        for j in range(len(out)):
            out[j] = (before[j] - hs[j]) * zs[j] + hs[j]


@_compile
def gru_mix_backward(d_s: Any, z: Any, s_before: Any, h: Any, d_z: Any, d_h: Any) -> None:
    """See plain.gru_mix_backward."""
    for row in range(d_s.shape[0]):
        ds, zs, before, hs = d_s[row], z[row], s_before[row], h[row]
        dz, dh = d_z[row], d_h[row]
        for j in range(len(ds)):
            d = ds[j] - ds[j] * zs[j]
            dz[j] = d * (before[j] - hs[j]) * zs[j]
            dh[j] = d


def sgd(
    values: Array, updates: Array, velocity: Array, rate: float, momentum: float, decay: float
) -> None:
    """See plain.sgd."""
    number = values.dtype.type
    _sgd(values, updates, velocity, number(rate), number(momentum), number(decay))


@_compile
def _sgd(values: Any, updates: Any, velocity: Any, rate: Any, momentum: Any, decay: Any) -> None:
    for j in range(len(values)):
        v = velocity[j] * momentum + updates[j] - values[j] * decay
        velocity[j] = v
        values[j] += v * rate


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
    """See plain.adam."""
    numbers = adam_numbers(rate, B1, B2, eps, decay, count)
    _adam(values, updates, first, second, *map(values.dtype.type, numbers))


def adam_numbers(
    rate: float, B1: float, B2: float, eps: float, decay: float, count: int
) -> tuple[float, ...]:
    """What Adam's loop multiplies by, in the order of `_adam`."""
    unbias, unbias_root = rate / (1 - B1**count), (1 - B2**count) ** -0.5
    return unbias, unbias_root, B1, 1 - B1, B2, 1 - B2, eps, decay


@_compile
def _adam(
    values: Any,
    updates: Any,
    first: Any,
    second: Any,
    unbias: Any,
    unbias_root: Any,
    keep_first: Any,
    share_first: Any,
    keep_second: Any,
    share_second: Any,
    eps: Any,
    decay: Any,
) -> None:
    for j in range(len(values)):
        d = updates[j] - values[j] * decay
        first[j] = first[j] * keep_first + d * share_first
        second[j] = second[j] * keep_second + d * d * share_second
        values[j] += unbias * first[j] / (np.sqrt(second[j]) * unbias_root + eps)
