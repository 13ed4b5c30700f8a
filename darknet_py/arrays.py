"""Names for the shapes of arrays, to a type checker all of any dtype; and arrays in parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

# (time_steps, streams), integers: the number of a symbol in each.
Codes: TypeAlias = NDArray[Any]
# (time_steps, streams, features), floats.
Steps: TypeAlias = NDArray[Any]
# (rows, features), floats; a row is one stream in one time step.
Rows: TypeAlias = NDArray[Any]
# All numbers of a network, one after another in the order of the weights file.
Flat: TypeAlias = NDArray[Any]


class Datum(NamedTuple):
    """What is read at a time: the symbols and those after them, (time_steps, streams) each.

    fresh: streams that do not continue from the last datum, bool (streams,).
    """

    inputs: Codes
    targets: Codes
    fresh: Array


# Bytes that two threads should not write in turn: a cache line and its neighbor.
LINE = 128


def aligned(count: int, dtype: Any = np.float32) -> Array:
    """A vector of `count` numbers, zeros, that begins at the start of a cache line."""
    size = np.dtype(dtype).itemsize
    flat = np.zeros(count + LINE // size, dtype)
    first = -flat.ctypes.data % LINE // size
    return flat[first : first + count]


# Numbers in a part of an array: three float32 parts fit in 1 MB of cache.
PART = 1 << 16


def parts(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first axis that contain about PART numbers each.

    Element-wise arithmetic is bound by memory, so it walks over large arrays part by part.
    """
    step = max(1, PART // max(1, math.prod(shape[1:])))
    for first in range(0, shape[0], step):
        yield slice(first, min(first + step, shape[0]))


def swap(one: Flat, other: Flat) -> None:
    """Exchange the contents of two vectors, without room for a third."""
    for part in parts(one.shape):
        kept = one[part].copy()
        one[part] = other[part]
        other[part] = kept
