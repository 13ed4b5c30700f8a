"""darknet's activation functions, rounded where the C program rounds.

Upstream's C evaluates an expression in double from where a decimal constant or a function of
`math.h` comes in, and rounds it when it is returned. Below, x and y are f32, and whatever meets
`double(x)` or `exp(x)` is in double. Formulas: darknet's `activations.h`. AlexeyAB's functions are
in `single`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from darknet_py.arrays import Array
from darknet_py.dialect import ALEXEYAB, Dialect
from darknet_py.replay import single
from darknet_py.replay.arithmetic import double, exp


def activate(x: Array, name: str, dialect: Dialect) -> None:
    """x = f(x), in place, as the program of this dialect computes it."""
    function = _FUNCTIONS[name]
    if dialect is ALEXEYAB:
        function = single.FUNCTIONS.get(name, function)
    x[...] = function(x)


def gradient(y: Array, name: str) -> Array:
    """f'(x) in terms of the output y = f(x)."""
    return _GRADIENTS[name](y).astype(np.float32)


# --- functions of x ------------------------------------------------------------------------------


def _linear(x: Array) -> Array:
    return x


def _logistic(x: Array) -> Array:
    return 1 / (1 + exp(-x))


def _loggy(x: Array) -> Array:
    return 2 / (1 + exp(-x)) - 1


def _tanh(x: Array) -> Array:
    """NaN from x = 355 on, as in C: infinity / infinity."""
    e = exp(2 * x)
    return (e - 1) / (e + 1)


def _relu(x: Array) -> Array:
    return x * (x > 0)


def _relie(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * double(x))


def _leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.1 * double(x))


def _ramp(x: Array) -> Array:
    return x * (x > 0) + 0.1 * double(x)


def _elu(x: Array) -> Array:
    return (x >= 0) * x + (x < 0) * (exp(x) - 1)


def _selu(x: Array) -> Array:
    return (x >= 0) * 1.0507 * double(x) + (x < 0) * 1.0507 * 1.6732 * (exp(x) - 1)


def _plse(x: Array) -> Array:
    low = 0.01 * double(x + 4)
    high = 0.01 * double(x - 4) + 1
    return np.where(x < -4, low, np.where(x > 4, high, 0.125 * double(x) + 0.5))


def _stair(x: Array) -> Array:
    """Infinity is its own floor and even, as C's conversion to int has it."""
    n = np.floor(x)
    half = np.floor(double(x) / 2)
    return np.where(n == 2 * half, half, (x - n) + half)


def _hardtan(x: Array) -> Array:
    return np.where(x < -1, np.float32(-1), np.where(x > 1, np.float32(1), x))


def _lhtan(x: Array) -> Array:
    high = 0.001 * double(x - 1) + 1
    return np.where(x < 0, 0.001 * double(x), np.where(x > 1, high, x))


# --- derivatives, in terms of y = f(x) -----------------------------------------------------------


def _linear_gradient(y: Array) -> Array:
    return np.ones_like(y)


def _logistic_gradient(y: Array) -> Array:
    return (1 - y) * y


def _loggy_gradient(y: Array) -> Array:
    q = ((double(y) + 1) / 2).astype(np.float32)
    return 2 * (1 - q) * q


def _tanh_gradient(y: Array) -> Array:
    return 1 - y * y


def _relu_gradient(y: Array) -> Array:
    return y > 0


def _relie_gradient(y: Array) -> Array:
    return np.where(y > 0, 1, 0.01)


def _leaky_gradient(y: Array) -> Array:
    return np.where(y > 0, 1, 0.1)


def _ramp_gradient(y: Array) -> Array:
    return (y > 0) + 0.1


def _elu_gradient(y: Array) -> Array:
    return (y >= 0) + (y < 0) * (y + 1)


def _selu_gradient(y: Array) -> Array:
    return (y >= 0) * 1.0507 + (y < 0) * (double(y) + 1.0507 * 1.6732)


def _plse_gradient(y: Array) -> Array:
    return np.where((y < 0) | (y > 1), 0.01, 0.125)


def _stair_gradient(y: Array) -> Array:
    return np.floor(y) != y


def _hardtan_gradient(y: Array) -> Array:
    return (y > -1) & (y < 1)


def _lhtan_gradient(y: Array) -> Array:
    return np.where((y > 0) & (y < 1), 1, 0.001)


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "linear": _linear,
    "logistic": _logistic,
    "loggy": _loggy,
    "tanh": _tanh,
    "relu": _relu,
    "relie": _relie,
    "leaky": _leaky,
    "ramp": _ramp,
    "elu": _elu,
    "selu": _selu,
    "plse": _plse,
    "stair": _stair,
    "hardtan": _hardtan,
    "lhtan": _lhtan,
}
_GRADIENTS: dict[str, Callable[[Array], Array]] = {
    "linear": _linear_gradient,
    "logistic": _logistic_gradient,
    "loggy": _loggy_gradient,
    "tanh": _tanh_gradient,
    "relu": _relu_gradient,
    "relie": _relie_gradient,
    "leaky": _leaky_gradient,
    "ramp": _ramp_gradient,
    "elu": _elu_gradient,
    "selu": _selu_gradient,
    "plse": _plse_gradient,
    "stair": _stair_gradient,
    "hardtan": _hardtan_gradient,
    "lhtan": _lhtan_gradient,
}
