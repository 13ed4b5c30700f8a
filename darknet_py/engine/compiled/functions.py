"""darknet's activation functions in compiled code: of a row, in place, and their slopes.

The twins of `activations.py`, which has the formulas. exp and tanh are polynomials, so that a loop
over them becomes vector code, which calls of the system's functions would not.
"""

from __future__ import annotations

import numpy as np

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array
from darknet_py.engine.compiled.jit import bits_of_float, compiled, float_of_bits

f32 = np.float32
ZERO, ONE, TWO, HALF = f32(0), f32(1), f32(2), f32(0.5)
LOG2_E = f32(1.4426950408889634)
# ln 2 in two parts, the first with so few bits that its multiples are exact.
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)
# (e^r - 1 - r) / r^2 as a polynomial, fitted at Chebyshev's points of |r| <= ln 2 / 2: e^r has a
# relative error below 1e-8.
E2, E3, E4 = f32(0.500000001), f32(0.16666577), f32(0.041666465)
E5, E6 = f32(0.00836317557), f32(0.00139336435)
# A float32 of this size has no fraction: adding it rounds, and leaves the whole number in its last
# bits.
ROUNDER = f32(3 << 22)
LOWEST, HIGHEST = f32(-87.3), f32(88.3)
BITS_OF_ONE = np.int32(127 << 23)
# tanh(x) is 1 to the last bit from here on.
SATURATED = f32(10)

# The rectifiers first: x above 0, a multiple of it under 0.
RECTIFIER, LOGISTIC, TANH, LOGGY, ELU, SELU, RAMP, PLSE, STAIR, HARDTAN, LHTAN = range(11)
_BELOW = {"linear": 1.0, "leaky": 0.1, "relie": 0.01, "relu": 0.0}
CODES = {
    name: (RECTIFIER, _BELOW[name]) if name in _BELOW else (globals()[name.upper()], 1.0)
    for name in ACTIVATIONS
}
SELU_SCALE, SELU_ALPHA = f32(1.0507), f32(1.6732)
SELU_BOTH = f32(1.0507 * 1.6732)
TENTH, HUNDREDTH, THOUSANDTH, EIGHTH, FOUR = f32(0.1), f32(0.01), f32(0.001), f32(0.125), f32(4)


@compiled
def _clamped(x: np.float32, low: np.float32, high: np.float32) -> np.float32:
    """x, but no less than `low` and no more than `high`; NaN stays."""
    x = low if x < low else x
    return high if x > high else x


@compiled
def _reduced(x: np.float32) -> tuple[np.int32, np.float32]:
    """n 2^23 and e^r - 1, where x = n ln 2 + r and |r| <= ln 2 / 2."""
    rounded = x * LOG2_E + ROUNDER
    n = rounded - ROUNDER
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))
    return bits_of_float(rounded) << np.int32(23), r + r * r * p


@compiled
def exp(x: np.float32) -> np.float32:
    """e^x of a float32 to a unit in its last place or two; 0 and infinity are not reached."""
    exponent, p = _reduced(_clamped(x, LOWEST, HIGHEST))
    return float_of_bits(bits_of_float(ONE + p) + exponent)


@compiled
def expm1(x: np.float32) -> np.float32:
    """e^x - 1, x up to 88."""
    exponent, p = _reduced(_clamped(x, LOWEST, HIGHEST))
    scale = float_of_bits(exponent + BITS_OF_ONE)
    return scale * p + (scale - ONE)


@compiled
def tanh(x: np.float32) -> np.float32:
    """(e^2x - 1) / (e^2x + 1)"""
    exponent, p = _reduced(TWO * _clamped(x, -SATURATED, SATURATED))
    scale = float_of_bits(exponent + BITS_OF_ONE)
    z = scale * p + (scale - ONE)
    return z / (z + TWO)


@compiled
def logistic(x: np.float32) -> np.float32:
    """1 / (1 + e^-x)"""
    return ONE / (ONE + exp(-x))


@compiled
def activate(x: Array, kind: int, below: np.float32) -> None:
    """x = f(x), a row."""
    if kind == RECTIFIER:
        if below == ZERO:
            for j in range(len(x)):
                x[j] = ZERO if x[j] < ZERO else x[j]
        elif below != ONE:
            for j in range(len(x)):
                x[j] = x[j] if x[j] > ZERO else below * x[j]
    elif kind == LOGISTIC:
        for j in range(len(x)):
            x[j] = logistic(x[j])
    elif kind == TANH:
        for j in range(len(x)):
            x[j] = tanh(x[j])
    elif kind == LOGGY:
        for j in range(len(x)):
            x[j] = tanh(HALF * x[j])
    else:
        _activate_rarely(x, kind)


@compiled
def _activate_rarely(x: Array, kind: int) -> None:
    for j in range(len(x)):
        v = x[j]
        if kind == ELU:
            x[j] = v if v >= ZERO else expm1(v)
        elif kind == SELU:
            x[j] = SELU_SCALE * v if v >= ZERO else SELU_BOTH * expm1(v)
        elif kind == RAMP:
            x[j] = max(v, ZERO) + TENTH * v
        elif kind == PLSE:
            if v < -FOUR:
                x[j] = HUNDREDTH * (v + FOUR)
            elif v > FOUR:
                x[j] = HUNDREDTH * (v - FOUR) + ONE
            else:
                x[j] = EIGHTH * v + HALF
        elif kind == STAIR:
            floor, steps = np.floor(v), np.floor(v * HALF)
            x[j] = steps if floor == TWO * steps else (v - floor) + steps
        elif kind == HARDTAN:
            x[j] = min(max(v, -ONE), ONE) if v == v else v
        elif v < ZERO:
            x[j] = THOUSANDTH * v
        elif v > ONE:
            x[j] = THOUSANDTH * (v - ONE) + ONE


@compiled
def times_slope(d: Array, y: Array, kind: int, below: np.float32) -> None:
    """d *= f'(x), rows, where y = f(x)."""
    if kind == RECTIFIER:
        if below != ONE:
            for j in range(len(d)):
                d[j] = d[j] if y[j] > ZERO else d[j] * below
    elif kind == TANH:
        for j in range(len(d)):
            d[j] = d[j] * (ONE - y[j] * y[j])
    elif kind == LOGISTIC:
        for j in range(len(d)):
            d[j] = d[j] * (y[j] - y[j] * y[j])
    elif kind == LOGGY:
        for j in range(len(d)):
            d[j] = d[j] * (HALF - HALF * y[j] * y[j])
    else:
        _times_rare_slope(d, y, kind)


@compiled
def _times_rare_slope(d: Array, y: Array, kind: int) -> None:
    for j in range(len(d)):
        v = y[j]
        if kind == ELU:
            slope = ONE if v >= ZERO else v + ONE
        elif kind == SELU:
            slope = SELU_SCALE if v >= ZERO else v + SELU_BOTH
        elif kind == RAMP:
            slope = (ONE if v > ZERO else ZERO) + TENTH
        elif kind == PLSE:
            slope = HUNDREDTH if v < ZERO or v > ONE else EIGHTH
        elif kind == STAIR:
            slope = ONE if np.floor(v) != v else ZERO
        elif kind == HARDTAN:
            slope = ONE if -ONE < v < ONE else ZERO
        else:
            slope = ONE if ZERO < v < ONE else THOUSANDTH
        d[j] *= slope
