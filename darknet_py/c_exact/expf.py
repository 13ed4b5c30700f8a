"""`expf` of glibc, the C library of Linux, to the bit.

AlexeyAB's program takes it in its activations. Since version 2.27 glibc works in double and rounds
once at the end, which is nearly but not always the f32 nearest to e^x.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from darknet_py.arrays import Array

_PARTS = 32  # of a doubling, each with its power of 2 in a table
# 2^(i/32), each the nearest double.
_ROOTS = np.array([float(Decimal(2) ** (Decimal(i) / _PARTS)) for i in range(_PARTS)])
# 32 / log(2), and its upper part, whose product with an f32 is exact in double.
_INVERSE = float.fromhex("0x1.71547652b82fep+5")
_UPPER = float.fromhex("0x1.7154765p+5")
_LOWER = _INVERSE - _UPPER
# 2^(r/32) for r from -1/2 to 1/2 is about 1 + r (_FIRST + r (_SECOND + r _THIRD)).
_FIRST = float.fromhex("0x1.62e42ff0c52d6p-6")
_SECOND = float.fromhex("0x1.ebfce50fac4f3p-13")
_THIRD = float.fromhex("0x1.c6af84b912394p-20")
# Outside of these bounds the result is 0 or infinity.
_LOWEST, _HIGHEST = -104.0, 89.0


def expf(x: Array) -> Array:
    """e^x of each element of x, f32.

    e^x = 2^(z/32) with z = 32 x / log(2), which is split into a whole number k and a rest r. glibc
    rounds r once, by a fused multiplication; here the product has two exact halves instead.
    """
    is_number = ~np.isnan(x)
    wide = np.clip(np.where(is_number, x, np.float32(0)), _LOWEST, _HIGHEST).astype(np.float64)
    upper, lower = _UPPER * wide, _LOWER * wide
    z = upper + lower
    rest = lower - (z - upper)
    k = np.rint(z)
    # z + rest is the product. Where z lies in the middle of two whole numbers, rest decides.
    k += ((z - k == 0.5) & (rest > 0)).astype(np.float64)
    k -= ((z - k == -0.5) & (rest < 0)).astype(np.float64)
    r = (z - k) + rest
    power = (_THIRD * r + _SECOND) * (r * r) + (_FIRST * r + 1)
    whole = k.astype(np.int64)
    scale = np.ldexp(_ROOTS[whole % _PARTS], whole // _PARTS)
    with np.errstate(over="ignore", under="ignore"):
        y = (power * scale).astype(np.float32)
    return np.where(is_number, y, x)
