"""darknet's activation functions, rounded where the C programs round.

Upstream's C evaluates an expression in double from where a decimal constant or a function of
`math.h` comes in, and rounds it when it is returned. In AlexeyAB's program each operation is
rounded to f32: its constants are f32, and e^x is the C library's `expf`. Formulas: `activations.h`
of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.arithmetic import double, exp
from darknet_py.c_exact.expf import expf
from darknet_py.dialect import ALEXEYAB, Dialect


@dataclass(frozen=True)
class Program:
    """How a C program computes. wide: x in the type of its constants. exp: its e^x."""

    wide: Callable[[Array], Array]
    exp: Callable[[Array], Array]


_UPSTREAM = Program(double, exp)
_ALEXEYAB = Program(lambda x: x.astype(np.float32), expf)


def activate(x: Array, name: str, dialect: Dialect) -> None:
    """x = f(x), in place, as the program of this dialect computes it."""
    if dialect == ALEXEYAB:
        x[...] = _tanh_of_alexeyab(x) if name == "tanh" else _FUNCTIONS[name](x, _ALEXEYAB)
    else:
        x[...] = _FUNCTIONS[name](x, _UPSTREAM)


def gradient(y: Array, name: str) -> Array:
    """f'(x) in terms of the output y = f(x)."""
    return _GRADIENTS[name](y).astype(np.float32)


def _tanh(x: Array, c: Program) -> Array:
    """NaN from x = 355 on, as in C: infinity / infinity."""
    e = c.exp(2 * x)
    return (e - 1) / (e + 1)


def _tanh_of_alexeyab(x: Array) -> Array:
    return 2 / (1 + expf(-2 * x)) - 1


def _selu(x: Array, c: Program) -> Array:
    """NaN above 88.7 in AlexeyAB's program, where e^x is infinite: 0 times infinity. So is that of
    elu.
    """
    above = c.wide(x >= 0) * 1.0507 * c.wide(x)
    return above + c.wide(x < 0) * 1.0507 * 1.6732 * (c.exp(x) - 1)


def _plse(x: Array, c: Program) -> Array:
    low, high = 0.01 * c.wide(x + 4), 0.01 * c.wide(x - 4) + 1
    return np.where(x < -4, low, np.where(x > 4, high, 0.125 * c.wide(x) + 0.5))


def _stair(x: Array, c: Program) -> Array:
    """Infinity is its own floor and even, as C's conversion to int has it."""
    n, half = np.floor(x), np.floor(c.wide(x) / 2)
    return np.where(n == 2 * half, half, (x - n) + half)


def _lhtan(x: Array, c: Program) -> Array:
    high = 0.001 * c.wide(x - 1) + 1
    return np.where(x < 0, 0.001 * c.wide(x), np.where(x > 1, high, x))


# x is f32; what meets `wide` or `exp` has the type of the constants.
_FUNCTIONS: dict[str, Callable[[Array, Program], Array]] = {
    "linear": lambda x, c: x,
    "logistic": lambda x, c: 1 / (1 + c.exp(-x)),
    "loggy": lambda x, c: 2 / (1 + c.exp(-x)) - 1,
    "tanh": _tanh,
    "relu": lambda x, c: x * (x > 0),
    "relie": lambda x, c: np.where(x > 0, x, 0.01 * c.wide(x)),
    "leaky": lambda x, c: np.where(x > 0, x, 0.1 * c.wide(x)),
    "ramp": lambda x, c: x * (x > 0) + 0.1 * c.wide(x),
    "elu": lambda x, c: (x >= 0) * x + (x < 0) * (c.exp(x) - 1),
    "selu": _selu,
    "plse": _plse,
    "stair": _stair,
    "hardtan": lambda x, c: np.where(x < -1, np.float32(-1), np.where(x > 1, np.float32(1), x)),
    "lhtan": _lhtan,
}


def _loggy_gradient(y: Array) -> Array:
    q = ((double(y) + 1) / 2).astype(np.float32)
    return 2 * (1 - q) * q


# In terms of y = f(x).
_GRADIENTS: dict[str, Callable[[Array], Array]] = {
    "linear": np.ones_like,
    "logistic": lambda y: (1 - y) * y,
    "loggy": _loggy_gradient,
    "tanh": lambda y: 1 - y * y,
    "relu": lambda y: y > 0,
    "relie": lambda y: np.where(y > 0, 1, 0.01),
    "leaky": lambda y: np.where(y > 0, 1, 0.1),
    "ramp": lambda y: (y > 0) + 0.1,
    "elu": lambda y: (y >= 0) + (y < 0) * (y + 1),
    "selu": lambda y: (y >= 0) * 1.0507 + (y < 0) * (double(y) + 1.0507 * 1.6732),
    "plse": lambda y: np.where((y < 0) | (y > 1), 0.01, 0.125),
    "stair": lambda y: np.floor(y) != y,
    "hardtan": lambda y: (y > -1) & (y < 1),
    "lhtan": lambda y: np.where((y > 0) & (y < 1), 1, 0.001),
}
