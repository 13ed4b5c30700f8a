"""`expf` against that of glibc, bit for bit."""

from __future__ import annotations

import ctypes
import math
import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_py.c_exact.expf import expf
from tests.support.networks import Array

pytestmark = pytest.mark.filterwarnings("error")

SPECIAL = [0.0, -0.0, math.inf, -math.inf, 88.722839, 88.722847, -103.97207, -103.97209, 1e-45]
# Those at which a rest that is rounded once more gives another last bit.
HARDEST = ["0x1.04845ep+5", "-0x1.f8cbb2p+5"]


def assert_same_bits(x: Array) -> None:
    """As the C library's, but for the bits of a NaN."""
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) < (2, 27):
        pytest.skip("the C library is not glibc 2.27 or newer")
    library = ctypes.CDLL("libm.so.6").expf
    library.argtypes, library.restype = [ctypes.c_float], ctypes.c_float
    with np.errstate(all="ignore"):
        expected, found = np.fromiter(map(library, x.tolist()), np.float32), expf(x)
    assert found.dtype == np.float32
    same = (expected.view(np.uint32) == found.view(np.uint32)) | np.isnan(x)
    assert same.all(), x[~same][:5]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))


def test_all_exponents() -> None:
    """Both signs, the smallest numbers included, with a few thousand fractions each."""
    fractions = np.random.default_rng(1).integers(0, 1 << 23, 2000, dtype=np.uint32)
    fractions = np.concatenate([fractions, np.array([0, 1, (1 << 23) - 1], np.uint32)])
    exponents = np.arange(256, dtype=np.uint32) << 23
    bits = (exponents[:, None] | fractions).ravel()
    assert_same_bits(np.concatenate([bits, bits | np.uint32(1 << 31)]).view(np.float32))


def test_a_million_random_numbers() -> None:
    rng = np.random.default_rng(2)
    assert_same_bits(rng.uniform(-105, 90, 500_000).astype(np.float32))
    assert_same_bits((4 * rng.standard_normal(500_000)).astype(np.float32))


def test_special_numbers() -> None:
    hardest = [float.fromhex(number) for number in HARDEST]
    assert_same_bits(np.array(SPECIAL + hardest + [math.nan], np.float32))


@settings(deadline=None)
@given(st.floats(width=32))
def test_it_is_within_half_a_bit_and_a_little(number: float) -> None:
    """Whatever the C library is: e^x in double, rounded, or its neighbor."""
    x = np.array([number], np.float32)
    with np.errstate(all="ignore"):
        (found,) = expf(x)
        exact = np.exp(x.astype(np.float64))[0]
        nearest = exact.astype(np.float32)
    if math.isnan(number):
        assert np.isnan(found)
    elif found != nearest:
        both = found.astype(np.float64), nearest.astype(np.float64)
        assert abs(both[0] - exact) < 0.51 * abs(np.spacing(nearest)), both


def test_the_shape_stays() -> None:
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    assert expf(x).shape == (2, 3, 4)
    assert expf(x[:0]).shape == (0, 3, 4)
