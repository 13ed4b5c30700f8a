"""C's sums, added term after term, and the functions of its library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_py.c_exact import arithmetic
from darknet_py.c_exact.activations import activate
from darknet_py.dialect import UPSTREAM
from tests.support.networks import Array

SIZES = st.integers(1, 40)


def bits(values: Array) -> Array:
    """f32 numbers as integers, which tell 0 from -0."""
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def random_array(seed: int, *shape: int) -> Array:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 10 ** rng.uniform(-3, 3, shape)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(count=SIZES, rows=SIZES, columns=SIZES, seed=st.integers(0, 99))
def test_products_add_term_after_term(count: int, rows: int, columns: int, seed: int) -> None:
    a, b = random_array(seed, count, rows), random_array(seed + 1, count, columns)
    total = random_array(seed + 2, rows, columns)
    expected = total.copy()
    for k in range(count):
        for i in range(rows):
            expected[i] += a[k, i] * b[k]
    arithmetic.add_product(total, a, b)
    np.testing.assert_array_equal(bits(total), bits(expected))

    product = np.zeros((rows, columns), np.float32)
    for k in range(count):
        product += a[k][:, None] * b[k]
    x, weights = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    np.testing.assert_array_equal(bits(arithmetic.forward_product(x, weights)), bits(product))


@pytest.mark.parametrize(("count", "rows", "columns"), [(3, 300, 400), (700, 30, 40), (900, 1, 1)])
def test_large_products(count: int, rows: int, columns: int) -> None:
    """More than one piece in each direction."""
    a, b = random_array(1, count, rows), random_array(2, count, columns)
    total = np.zeros((rows, columns), np.float32)
    expected = total.copy()
    for k in range(count):
        expected += a[k][:, None] * b[k]
    arithmetic.add_product(total, a, b)
    np.testing.assert_array_equal(bits(total), bits(expected))


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, 300), columns=st.integers(1, 9), seed=st.integers(0, 99))
def test_sums_add_row_after_row(count: int, columns: int, seed: int) -> None:
    rows = random_array(seed, count, columns)
    plain, on_top = np.zeros(columns, np.float32), random_array(seed + 1, columns)
    total, squares = on_top.copy(), [np.float32(0)] * columns
    for row in rows:
        plain += row
        on_top += row
        squares = [np.float32(float(s) + float(x) ** 2) for s, x in zip(squares, row, strict=True)]
    arithmetic.add_rows(total, rows)
    np.testing.assert_array_equal(bits(arithmetic.sum_rows(rows)), bits(plain))
    np.testing.assert_array_equal(bits(total), bits(on_top))
    np.testing.assert_array_equal(bits(arithmetic.sum_squares(rows)), bits(np.array(squares)))


def test_text_symbols_are_one_hot_rows() -> None:
    weights, delta = random_array(1, 6, 9), random_array(2, 12, 6)
    symbols = np.random.default_rng(3).integers(0, 9, 12)
    rows = np.eye(9, dtype=np.float32)[symbols]
    inputs: list[Array] = [symbols, rows]
    products = [arithmetic.forward_product(x, weights) for x in inputs]
    np.testing.assert_array_equal(bits(products[0]), bits(products[1]))
    updates = [random_array(4, 6, 9) for _ in range(2)]
    for x, update in zip(inputs, updates, strict=True):
        arithmetic.add_weight_updates(update, delta, x)
    np.testing.assert_array_equal(bits(updates[0]), bits(updates[1]))


def test_functions_of_the_c_library() -> None:
    def infinite_or_nan(function: Any, *numbers: float) -> list[float]:
        return list(function(np.array(numbers)))

    assert infinite_or_nan(arithmetic.exp, 1, 710, -800) == [math.exp(1), math.inf, 0]
    logs = infinite_or_nan(arithmetic.log, 2, 0, -1)
    assert logs[:2] == [math.log(2), -math.inf]
    assert math.isnan(logs[2])
    powers = infinite_or_nan(lambda x: arithmetic.power(x, -1.5), 4, 0, math.inf)
    assert powers == [0.125, math.inf, 0]
    assert math.isnan(arithmetic.c_pow(-1, 0.5))
    assert arithmetic.c_pow(10, 400) == math.inf


def test_tanh_of_c_is_nan_above_355() -> None:
    x = np.array([-400, 0.5, 400], np.float32)
    with np.errstate(invalid="ignore"):
        activate(x, "tanh", UPSTREAM)
    assert list(x[:2]) == [-1, np.float32(math.tanh(0.5))]
    assert math.isnan(x[2])
