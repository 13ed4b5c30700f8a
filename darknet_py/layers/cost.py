"""Losses of the difference between the truth, 1 at the next symbol and 0 elsewhere, and x.

    sse     loss d^2,                        delta d
    masked  as sse: no truth here is masked
    L1      loss |d|,                        delta sign(d)
    smooth  loss d^2 and delta d for |d| < 1, else 2|d| - 1 and sign(d)

with d = truth - x, summed over the inputs. The delta of sse and smooth is half the gradient,
darknet's habit; `scale` multiplies the delta, not the loss. darknet's `cost_layer.c` and `blas.c`,
which has the sign of smooth's delta wrong.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array, Codes, Steps
from darknet_py.cfg import Section
from darknet_py.layers.base import ForwardContext, LossLayer, Setting, State, subtract_from_truth
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values

TYPES = ("sse", "masked", "smooth", "L1")


class CostLayer(LossLayer):
    """`[cost]`: passes x (time_steps, streams, inputs) on and compares it with the truth."""

    kind = "cost"

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting)
        self.cost_type = section.choice("type", "sse", TYPES)
        self.scale = section.number("scale", 1)

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return {"d": (time_steps, streams, self.outputs)}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        self.x = x
        return x, state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return x, state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        """The delta as it is, for a loss that comes after this layer."""
        if below is not None:
            np.copyto(below, delta)

    def _difference(self, targets: Array) -> Array:
        """truth - x, in a buffer."""
        d = self.buffers.array("d", self.shapes(*self.x.shape[:2]), self.x.dtype)
        np.copyto(d, self.x)
        return subtract_from_truth(d, targets)

    def losses(self, targets: Codes) -> Array:
        d = np.abs(self._difference(targets))
        if self.cost_type == "smooth":
            d = np.where(d < 1, d * d, 2 * d - 1)
        elif self.cost_type != "L1":
            d = d * d
        return np.sum(d, axis=-1)

    def loss_delta(self, targets: Codes) -> Steps:
        d = self._difference(targets)
        if self.cost_type == "smooth":
            np.clip(d, -1, 1, out=d)
        elif self.cost_type == "L1":
            np.sign(d, out=d)
        return np.multiply(d, self.scale, out=d)
