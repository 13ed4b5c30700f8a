"""The activation functions of AlexeyAB's program, each operation rounded to f32.

Its constants are f32, and e^x is the C library's `expf`. Those functions that have neither are as
in upstream: see `activations`, which chooses. Formulas: AlexeyAB's `activations.h`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from darknet_py.arrays import Array
from darknet_py.replay.expf import expf


def _where(condition: Array) -> Array:
    """1 where it holds, else 0, as a factor in f32."""
    return condition.astype(np.float32)


def _times(factor: float, x: Array) -> Array:
    return np.float32(factor) * x


def _logistic(x: Array) -> Array:
    return 1 / (1 + expf(-x))


def _loggy(x: Array) -> Array:
    return 2 / (1 + expf(-x)) - 1


def _tanh(x: Array) -> Array:
    return 2 / (1 + expf(-2 * x)) - 1


def _relie(x: Array) -> Array:
    return np.where(x > 0, x, _times(0.01, x))


def _leaky(x: Array) -> Array:
    return np.where(x > 0, x, _times(0.1, x))


def _ramp(x: Array) -> Array:
    return x * _where(x > 0) + _times(0.1, x)


def _elu(x: Array) -> Array:
    """NaN above 88.7, where e^x is infinite: 0 times infinity."""
    return _where(x >= 0) * x + _where(x < 0) * (expf(x) - 1)


def _selu(x: Array) -> Array:
    """NaN above 88.7, too."""
    above = _times(1.0507, _where(x >= 0)) * x
    below = _times(1.6732, _times(1.0507, _where(x < 0))) * (expf(x) - 1)
    return above + below


def _plse(x: Array) -> Array:
    low = _times(0.01, x + 4)
    high = _times(0.01, x - 4) + 1
    return np.where(x < -4, low, np.where(x > 4, high, _times(0.125, x) + np.float32(0.5)))


def _stair(x: Array) -> Array:
    n, half = np.floor(x), np.floor(x / 2)
    return np.where(n == 2 * half, half, (x - n) + half)


def _lhtan(x: Array) -> Array:
    high = _times(0.001, x - 1) + 1
    return np.where(x < 0, _times(0.001, x), np.where(x > 1, high, x))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "logistic": _logistic,
    "loggy": _loggy,
    "tanh": _tanh,
    "relie": _relie,
    "leaky": _leaky,
    "ramp": _ramp,
    "elu": _elu,
    "selu": _selu,
    "plse": _plse,
    "stair": _stair,
    "lhtan": _lhtan,
}
