"""From probabilities to the next symbol, as darknet draws it."""

from __future__ import annotations

import numpy as np

from darknet_py.layers.base import Array

# Probabilities below .0001 are never drawn. This is the largest f32 number below it.
CUT_OFF = np.float32(0.0001)


def cut_off(p: Array) -> Array:
    """Zero what lies below the cut-off and normalise the rest, in place; p is flat, f32.

    As in C the sum is taken in order and p multiplied by its inverse, each rounded to f32, so that
    the drawn symbol is the same.
    """
    keep = p > CUT_OFF
    if keep.any():
        np.multiply(p, keep, out=p)
    total = float(np.add.accumulate(p)[-1])
    return np.multiply(p, np.float32(1 / total), out=p)


def draw(p: Array, uniform: np.float32) -> int:
    """The first index at which `uniform`, less the probabilities so far, is not above 0.

    p: flat, f32, summing to 1; uniform: one draw in [0, 1]. The last index if there is none.
    """
    left = np.empty(len(p) + 1, np.float32)
    left[0] = uniform
    left[1:] = p
    np.subtract.accumulate(left, out=left)
    reached = left[1:] <= 0
    index = int(reached.argmax())
    return index if reached[index] else len(p) - 1
