"""From probabilities to the next symbol, as darknet draws it."""

from __future__ import annotations

import numpy as np

from darknet_py.layers.base import Array

# Probabilities below .0001 are never drawn. This is the largest f32 number below it.
CUT_OFF = np.float32(0.0001)


def cut_off(p: Array) -> Array:
    """Zero what lies below the cut-off and normalise the rest, in place; p (..., symbols), f32.

    As in C the sum is taken in order and p multiplied by its inverse, each rounded to f32, so that
    the drawn symbol is the same.
    """
    keep = p > CUT_OFF
    # Where every symbol lies below, all are kept.
    np.logical_or(keep, ~keep.any(axis=-1, keepdims=True), out=keep)
    np.multiply(p, keep, out=p)
    total = np.add.accumulate(p, axis=-1)[..., -1:].astype(np.float64)
    return np.multiply(p, (1 / total).astype(np.float32), out=p)


def draw(p: Array, uniform: Array) -> Array:
    """The first index at which `uniform`, less the probabilities so far, is not above 0.

    p: (..., symbols), f32, summing to 1; uniform: (...), a draw in [0, 1] each. The last index
    where there is none.
    """
    left = np.empty((*p.shape[:-1], p.shape[-1] + 1), np.float32)
    left[..., 0] = uniform
    left[..., 1:] = p
    np.subtract.accumulate(left, axis=-1, out=left)
    reached = left[..., 1:] <= 0
    reached[..., -1] = True
    return reached.argmax(axis=-1)
