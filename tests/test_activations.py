"""The fourteen activations, against the formulas of darknet's activations.c."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from darknet_py.activations import ACTIVATIONS
from tests.support.networks import Array


def stair(x: float) -> float:
    n = math.floor(x)
    return math.floor(x / 2) if n % 2 == 0 else (x - n) + math.floor(x / 2)


def plse(x: float) -> float:
    if x < -4:
        return 0.01 * (x + 4)
    return 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5


def lhtan(x: float) -> float:
    if x < 0:
        return 0.001 * x
    return 0.001 * (x - 1) + 1 if x > 1 else x


def loggy_slope(y: float) -> float:
    q = (y + 1) / 2
    return 2 * q * (1 - q)


# name: f(x), f'(x) in terms of y = f(x), and where f or its slope has a kink
FORMULAS: dict[str, tuple[Callable[[float], float], Callable[[float], float], list[float]]] = {
    "linear": (lambda x: x, lambda y: 1, []),
    "logistic": (lambda x: 1 / (1 + math.exp(-x)), lambda y: y * (1 - y), []),
    "loggy": (lambda x: 2 / (1 + math.exp(-x)) - 1, loggy_slope, []),
    "tanh": (math.tanh, lambda y: 1 - y * y, []),
    "relu": (lambda x: x if x > 0 else 0, lambda y: y > 0, [0]),
    "relie": (lambda x: x if x > 0 else 0.01 * x, lambda y: 1 if y > 0 else 0.01, [0]),
    "leaky": (lambda x: x if x > 0 else 0.1 * x, lambda y: 1 if y > 0 else 0.1, [0]),
    "ramp": (lambda x: x * (x > 0) + 0.1 * x, lambda y: (y > 0) + 0.1, [0]),
    "elu": (
        lambda x: x if x >= 0 else math.exp(x) - 1,
        lambda y: 1 if y >= 0 else y + 1,
        [0],
    ),
    "selu": (
        lambda x: 1.0507 * x if x >= 0 else 1.0507 * 1.6732 * (math.exp(x) - 1),
        lambda y: 1.0507 if y >= 0 else y + 1.0507 * 1.6732,
        [0],
    ),
    "plse": (plse, lambda y: 0.01 if y < 0 or y > 1 else 0.125, [-4, 4]),
    "stair": (stair, lambda y: 0 if y == math.floor(y) else 1, [float(n) for n in range(-9, 10)]),
    "hardtan": (lambda x: min(max(x, -1), 1), lambda y: 1 if -1 < y < 1 else 0, [-1, 1]),
    "lhtan": (lhtan, lambda y: 1 if 0 < y < 1 else 0.001, [0, 1]),
}

NAMES = sorted(FORMULAS)
NEAR = np.arange(-72, 73) / 8  # with every kink in it
FAR = np.array([-700.5, -88.25, -50.5, -30.5, 30.5, 50.5, 88.25, 700.5])
GRID = np.concatenate([NEAR, NEAR + 1 / 32, np.nextafter(NEAR, 99), np.nextafter(NEAR, -99), FAR])


def applied(name: str, x: Array) -> Array:
    y = x.copy()
    ACTIVATIONS[name].apply(y)
    return y


def sloped(name: str, y: Array) -> Array:
    """The slope at the outputs y, written into an array of its own."""
    out = np.full_like(y, np.nan)
    slope = ACTIVATIONS[name].slope
    if slope is None:
        return np.ones_like(y)
    slope(y, out)
    return out


def test_there_are_the_fourteen_of_darknet() -> None:
    assert sorted(ACTIVATIONS) == NAMES
    assert all(ACTIVATIONS[name].name == name for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_function(name: str) -> None:
    function, _, _ = FORMULAS[name]
    expected = np.array([function(float(x)) for x in GRID])
    np.testing.assert_allclose(applied(name, GRID), expected, rtol=1e-15, atol=5e-16)


def test_stair_of_infinity_is_infinity() -> None:
    """C's conversion of infinity to int is even."""
    infinities = np.array([np.inf, -np.inf])
    np.testing.assert_array_equal(applied("stair", infinities), infinities)


@pytest.mark.parametrize("name", NAMES)
def test_slope_is_a_function_of_the_output(name: str) -> None:
    function, slope, _ = FORMULAS[name]
    y = np.array([function(float(x)) for x in GRID])
    expected = np.array([float(slope(value)) for value in y])
    np.testing.assert_allclose(sloped(name, y), expected, rtol=1e-15, atol=5e-16)


@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_derivative(name: str) -> None:
    step = 1e-5
    kinks = np.array([*FORMULAS[name][2], np.inf])
    x = GRID[np.min(np.abs(GRID[:, None] - kinks), axis=1) > 2 * step]
    assert len(x) > len(NEAR)
    numeric = (applied(name, x + step) - applied(name, x - step)) / (2 * step)
    np.testing.assert_allclose(sloped(name, applied(name, x)), numeric, rtol=1e-8, atol=2e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_slope_may_overwrite_the_output(name: str, dtype: Any) -> None:
    y = applied(name, GRID.astype(dtype))
    expected = sloped(name, y)
    slope = ACTIVATIONS[name].slope
    if slope is None:
        assert name == "linear"
        return
    slope(y, y)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_stays_single_and_close(name: str) -> None:
    x = GRID.astype(np.float32)
    y = applied(name, x)
    assert y.dtype == np.float32
    exact = applied(name, x.astype(np.float64))
    np.testing.assert_allclose(y, exact, rtol=3e-7, atol=1.5e-7)
    np.testing.assert_allclose(
        sloped(name, y), sloped(name, y.astype(np.float64)), rtol=3e-7, atol=1.5e-7
    )


@pytest.mark.parametrize("name", NAMES)
def test_any_shape_and_a_view(name: str) -> None:
    x = np.linspace(-3, 3, 60).reshape(3, 4, 5)
    y = x.copy()
    ACTIVATIONS[name].apply(y[1:, :, :3])
    np.testing.assert_array_equal(y[1:, :, :3], applied(name, x[1:, :, :3]))
    np.testing.assert_array_equal(y[0], x[0])
    np.testing.assert_array_equal(y[:, :, 3:], x[:, :, 3:])


@pytest.mark.parametrize("name", NAMES)
def test_no_value_overflows(name: str) -> None:
    largest = np.array([-3e38, -1e5, 1e5, 3e38], np.float32)
    with np.errstate(all="raise", under="ignore"):
        y = applied(name, largest)
        slopes = sloped(name, y)
    assert np.isfinite(y).all()
    assert np.isfinite(slopes).all()
