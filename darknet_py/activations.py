"""darknet's fourteen activation functions and their derivatives.

Formulas: darknet's `activations.c`. A derivative is a function of the output `y = f(x)`, never of
`x`, so a layer keeps its output and forgets its input. Both kinds of function work on arrays of
any shape: `apply(x)` writes f(x) over x, `slope(y, out)` writes f'(x) into `out`, which may be y
itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darknet_py.program import Value

Array = NDArray[Any]


@dataclass(frozen=True)
class Activation:
    """A named function `f` and its derivative in terms of the output; no `slope` means 1."""

    name: str
    apply: Callable[[Array], Any]
    slope: Callable[[Array, Array], Any] | None

    def __call__(self, x: Value) -> Value:
        """f(x) in the formula of a layer's `step`."""
        return x if self.slope is None else x.program.write("activate", x, by=self)

    def __reduce__(self) -> tuple[Callable[[str], Activation], tuple[str]]:
        """By its name, since its functions may have none."""
        return _named, (self.name,)


def _named(name: str) -> Activation:
    return ACTIVATIONS[name]


def _logistic(x: Array) -> None:
    """1 / (1 + e^-x), as (1 + tanh(x/2)) / 2, which cannot overflow."""
    np.multiply(x, 0.5, out=x)
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def _logistic_slope(y: Array, out: Array) -> None:
    """y (1 - y), as 1/4 - (y - 1/2)^2, which needs no second array."""
    np.subtract(y, 0.5, out=out)
    np.multiply(out, out, out=out)
    np.subtract(0.25, out, out=out)


def _loggy(x: Array) -> None:
    """2 / (1 + e^-x) - 1, which is tanh(x/2)."""
    np.multiply(x, 0.5, out=x)
    np.tanh(x, out=x)


def _loggy_slope(y: Array, out: Array) -> None:
    """2q(1-q) with q = (y+1)/2, which is (1-y^2)/2."""
    _tanh_slope(y, out)
    np.multiply(out, 0.5, out=out)


def _tanh_slope(y: Array, out: Array) -> None:
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)


def _rectifier(below: float) -> tuple[Callable[[Array], Any], Callable[[Array, Array], Any]]:
    """x above 0, `below` * x under it."""

    def apply(x: Array) -> None:
        np.maximum(x, below * x, out=x)

    def slope(y: Array, out: Array) -> None:
        np.copyto(out, y > 0)
        np.maximum(out, below, out=out)

    return apply, slope


_SCALE, _ALPHA = 1.0507, 1.6732  # of selu


def _selu(x: Array) -> None:
    negative = _SCALE * _ALPHA * np.expm1(np.minimum(x, 0))
    np.copyto(x, np.where(x >= 0, _SCALE * x, negative))


def _plse(x: Array) -> None:
    """A logistic of three straight pieces."""
    low, high = 0.01 * (x + 4), 0.01 * (x - 4) + 1
    np.copyto(x, np.where(x < -4, low, np.where(x > 4, high, 0.125 * x + 0.5)))


def _stair(x: Array) -> None:
    """Flat on even intervals [n, n+1), rising by 1 on odd ones; infinite at infinity."""
    floor = np.floor(x)
    steps = np.floor(x / 2)
    rise = np.subtract(x, floor, where=floor != 2 * steps, out=np.zeros_like(x))
    np.add(rise, steps, out=x)


def _lhtan(x: Array) -> None:
    """x on [0, 1], slope .001 outside."""
    low, high = 0.001 * x, 0.001 * (x - 1) + 1
    np.copyto(x, np.where(x < 0, low, np.where(x > 1, high, x)))


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("logistic", _logistic, _logistic_slope),
        Activation("loggy", _loggy, _loggy_slope),
        Activation("relu", lambda x: np.maximum(x, 0, out=x), lambda y, out: np.copyto(out, y > 0)),
        Activation(
            "elu",
            lambda x: np.copyto(x, np.where(x >= 0, x, np.expm1(np.minimum(x, 0)))),
            lambda y, out: np.copyto(out, np.where(y >= 0, 1, y + 1)),
        ),
        Activation(
            "selu",
            _selu,
            lambda y, out: np.copyto(out, np.where(y >= 0, _SCALE, y + _SCALE * _ALPHA)),
        ),
        Activation("relie", *_rectifier(0.01)),
        Activation(
            "ramp",  # x [x>0] + .1 x
            lambda x: np.add(np.maximum(x, 0), 0.1 * x, out=x),
            lambda y, out: np.add(y > 0, out.dtype.type(0.1), out=out),
        ),
        Activation("linear", lambda x: None, None),
        Activation("tanh", lambda x: np.tanh(x, out=x), _tanh_slope),
        Activation(
            "plse", _plse, lambda y, out: np.copyto(out, np.where((y < 0) | (y > 1), 0.01, 0.125))
        ),
        Activation("leaky", *_rectifier(0.1)),
        Activation("stair", _stair, lambda y, out: np.copyto(out, np.floor(y) != y)),
        Activation(
            "hardtan",
            lambda x: np.clip(x, -1, 1, out=x),
            lambda y, out: np.copyto(out, (y > -1) & (y < 1)),
        ),
        Activation(
            "lhtan", _lhtan, lambda y, out: np.copyto(out, np.where((y > 0) & (y < 1), 1, 0.001))
        ),
    )
}

# As formulas name them.
sigmoid, tanh = ACTIVATIONS["logistic"], ACTIVATIONS["tanh"]
