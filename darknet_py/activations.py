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


def _linear(x: Array) -> None:
    pass


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


def _tanh(x: Array) -> None:
    np.tanh(x, out=x)


def _tanh_slope(y: Array, out: Array) -> None:
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)


def _relu(x: Array) -> None:
    np.maximum(x, 0, out=x)


def _relu_slope(y: Array, out: Array) -> None:
    np.copyto(out, y > 0)


def _rectifier(below: float) -> tuple[Callable[[Array], Any], Callable[[Array, Array], Any]]:
    """x above 0, `below` * x under it."""

    def apply(x: Array) -> None:
        np.maximum(x, below * x, out=x)

    def slope(y: Array, out: Array) -> None:
        np.copyto(out, y > 0)
        np.maximum(out, below, out=out)

    return apply, slope


def _ramp(x: Array) -> None:
    """x [x>0] + .1 x"""
    np.add(np.maximum(x, 0), 0.1 * x, out=x)


def _ramp_slope(y: Array, out: Array) -> None:
    np.add(y > 0, out.dtype.type(0.1), out=out)


def _elu(x: Array) -> None:
    np.copyto(x, np.where(x >= 0, x, np.expm1(np.minimum(x, 0))))


def _elu_slope(y: Array, out: Array) -> None:
    np.copyto(out, np.where(y >= 0, 1, y + 1))


_SELU_SCALE, _SELU_ALPHA = 1.0507, 1.6732


def _selu(x: Array) -> None:
    negative = _SELU_SCALE * _SELU_ALPHA * np.expm1(np.minimum(x, 0))
    np.copyto(x, np.where(x >= 0, _SELU_SCALE * x, negative))


def _selu_slope(y: Array, out: Array) -> None:
    np.copyto(out, np.where(y >= 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA))


def _plse(x: Array) -> None:
    """A logistic of three straight pieces."""
    low, high = 0.01 * (x + 4), 0.01 * (x - 4) + 1
    np.copyto(x, np.where(x < -4, low, np.where(x > 4, high, 0.125 * x + 0.5)))


def _plse_slope(y: Array, out: Array) -> None:
    np.copyto(out, np.where((y < 0) | (y > 1), 0.01, 0.125))


def _stair(x: Array) -> None:
    """Flat on even intervals [n, n+1), rising by 1 on odd ones; infinite at infinity."""
    floor = np.floor(x)
    steps = np.floor(x / 2)
    rise = np.subtract(x, floor, where=floor != 2 * steps, out=np.zeros_like(x))
    np.add(rise, steps, out=x)


def _stair_slope(y: Array, out: Array) -> None:
    np.copyto(out, np.floor(y) != y)


def _hardtan(x: Array) -> None:
    np.clip(x, -1, 1, out=x)


def _hardtan_slope(y: Array, out: Array) -> None:
    np.copyto(out, (y > -1) & (y < 1))


def _lhtan(x: Array) -> None:
    """x on [0, 1], slope .001 outside."""
    low, high = 0.001 * x, 0.001 * (x - 1) + 1
    np.copyto(x, np.where(x < 0, low, np.where(x > 1, high, x)))


def _lhtan_slope(y: Array, out: Array) -> None:
    np.copyto(out, np.where((y > 0) & (y < 1), 1, 0.001))


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("logistic", _logistic, _logistic_slope),
        Activation("loggy", _loggy, _loggy_slope),
        Activation("relu", _relu, _relu_slope),
        Activation("elu", _elu, _elu_slope),
        Activation("selu", _selu, _selu_slope),
        Activation("relie", *_rectifier(0.01)),
        Activation("ramp", _ramp, _ramp_slope),
        Activation("linear", _linear, None),
        Activation("tanh", _tanh, _tanh_slope),
        Activation("plse", _plse, _plse_slope),
        Activation("leaky", *_rectifier(0.1)),
        Activation("stair", _stair, _stair_slope),
        Activation("hardtan", _hardtan, _hardtan_slope),
        Activation("lhtan", _lhtan, _lhtan_slope),
    )
}

# As formulas name them.
sigmoid, tanh = ACTIVATIONS["logistic"], ACTIVATIONS["tanh"]
