"""What a network computes with: numpy, or the engine (`engine`). Chosen once, when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from darknet_py.arrays import Array
from darknet_py.layers import Layer
from darknet_py.layers.masks import FillMask, fill_mask
from darknet_py.optimizer import Adam, Optimizer, Sgd
from darknet_py.options import NetOptions


class Team(Protocol):
    """Threads of this process that share the work of the engine; their number changes no bits."""

    threads: int

    def compile(self) -> None:
        """Do what takes time once, so that it is not counted as work."""


@dataclass(frozen=True)
class Tier:
    """name: "numpy" or "compiled". layers: by kind, those that replace the ones of `layers.LAYERS`.

    team: that shares the work; without one it is for BLAS to share its products. precision: of
    what products multiply in training, "f32" or "bf16"; sums and all else are float32.
    """

    name: str
    layers: Mapping[str, type[Layer]]
    sgd: type[Sgd]
    adam: type[Adam]
    fill_mask: FillMask
    team: Team | None = None
    precision: str = "f32"

    def optimizer(self, like: Array, options: NetOptions) -> Optimizer:
        """The optimizer that `[net]` asks for, over vectors shaped like `like`."""
        return (self.adam if options.adam else self.sgd)(like, options)


NUMPY = Tier("numpy", {}, Sgd, Adam, fill_mask)
