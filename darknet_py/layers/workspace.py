"""The buffers of layers: declared by name and shape, allocated once, handed out again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from darknet_py.arrays import Array, aligned

# Shapes of buffers by name.
Shapes = Mapping[str, tuple[int, ...]]


def floats(shapes: Shapes) -> int:
    """Numbers in all of these buffers."""
    return sum(math.prod(shape) for shape in shapes.values())


class Workspace:
    """Buffers by name that are allocated once and handed out again, whatever the shape."""

    def __init__(self) -> None:
        self.flat: dict[str, Array] = {}

    def arrays(self, shapes: Shapes, dtype: np.dtype[Any]) -> dict[str, Array]:
        """All of these buffers."""
        return {name: self.array(name, shapes, dtype) for name in shapes}

    def array(self, name: str, shapes: Shapes, dtype: np.dtype[Any]) -> Array:
        """The buffer `name`, uninitialized, of the shape that is declared; it grows if it must."""
        shape = shapes[name]
        size = math.prod(shape)
        flat = self.flat.get(name)
        if flat is None or len(flat) < size or flat.dtype != dtype:
            flat = self.flat[name] = aligned(size, dtype)
        return flat[:size].reshape(shape)
