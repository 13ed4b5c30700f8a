"""AlexeyAB's activations, each operation written out in f32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_py.activations import ACTIVATIONS
from darknet_py.c_exact.activations import activate
from darknet_py.c_exact.expf import expf
from darknet_py.dialect import ALEXEYAB, UPSTREAM

f = np.float32
ONE, TWO = f(1), f(2)


def e(x: np.float32) -> np.float32:
    return np.float32(expf(np.array([x], f))[0])


def plse(x: np.float32) -> np.float32:
    if x < -4:
        return f(0.01) * (x + f(4))
    if x > 4:
        return f(0.01) * (x - f(4)) + ONE
    return f(0.125) * x + f(0.5)


def stair(x: np.float32) -> np.float32:
    n = f(math.floor(x)) if math.isfinite(x) else x
    half = f(np.floor(x / TWO))
    return half if n % 2 == 0 else (x - n) + half


def lhtan(x: np.float32) -> np.float32:
    if x < 0:
        return f(0.001) * x
    return f(0.001) * (x - ONE) + ONE if x > 1 else x


def selu(x: np.float32) -> np.float32:
    above, below = f(x >= 0), f(x < 0)
    return above * f(1.0507) * x + below * f(1.0507) * f(1.6732) * (e(x) - ONE)


BY_HAND: dict[str, Callable[[np.float32], np.float32]] = {
    "linear": lambda x: x,
    "logistic": lambda x: ONE / (ONE + e(-x)),
    "loggy": lambda x: TWO / (ONE + e(-x)) - ONE,
    "tanh": lambda x: TWO / (ONE + e(-TWO * x)) - ONE,
    "relu": lambda x: x * f(x > 0),
    "relie": lambda x: x if x > 0 else f(0.01) * x,
    "leaky": lambda x: x if x > 0 else f(0.1) * x,
    "ramp": lambda x: x * f(x > 0) + f(0.1) * x,
    "elu": lambda x: f(x >= 0) * x + f(x < 0) * (e(x) - ONE),
    "selu": selu,
    "plse": plse,
    "stair": stair,
    "hardtan": lambda x: f(-1) if x < -1 else ONE if x > 1 else x,
    "lhtan": lhtan,
}


def activated(name: str, *numbers: float, dialect: object = ALEXEYAB) -> np.ndarray:
    x = np.array(numbers, f)
    with np.errstate(all="ignore"):
        activate(x, name, ALEXEYAB if dialect is ALEXEYAB else UPSTREAM)
    return x


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@settings(deadline=None, max_examples=200)
@given(number=st.floats(-200, 200, width=32) | st.floats(-4, 4, width=32))
def test_every_activation_by_hand(name: str, number: float) -> None:
    with np.errstate(all="ignore"):
        expected = np.array([BY_HAND[name](f(number))], f)
    found = activated(name, number)
    if not np.isnan(expected[0]):
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
    assert np.isnan(found[0]) == np.isnan(expected[0])


@pytest.mark.parametrize("name", ["elu", "selu"])
def test_zero_meets_infinity_above_88(name: str) -> None:
    found = activated(name, 88.7, 88.8, -200)
    assert np.isfinite(found[[0, 2]]).all()
    assert np.isnan(found[1])
    assert np.isfinite(activated(name, 88.8, dialect=UPSTREAM)[0])


def test_tanh_has_no_end() -> None:
    """Upstream's is NaN from 355 on."""
    np.testing.assert_array_equal(activated("tanh", -400, 400), [-1, 1])
    assert np.isnan(activated("tanh", 400, dialect=UPSTREAM)[0])


@pytest.mark.parametrize("name", ["logistic", "loggy", "tanh", "leaky", "selu", "plse", "lhtan"])
def test_the_last_bits_are_not_upstreams(name: str) -> None:
    numbers = np.linspace(-5, 5, 1001).tolist()
    single, double = activated(name, *numbers), activated(name, *numbers, dialect=UPSTREAM)
    assert 0.01 < (single != double).mean() < 0.9
    np.testing.assert_allclose(single, double, rtol=2e-6, atol=1e-6)
