"""The logistic loss: each output alone is the probability of its symbol.

    p = 1 / (1 + e^-x),  loss = sum over outputs of -t log p - (1 - t) log(1 - p),  delta = t - p

with t = 1 at the truth and 0 elsewhere. darknet's `logistic_layer.c`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.activations import sigmoid
from darknet_py.arrays import Array, Codes, Steps
from darknet_py.layers.base import ForwardContext, LossLayer, State, subtract_from_truth
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values


class LogisticLayer(LossLayer):
    """`[logistic]`: x (time_steps, streams, inputs) -> p of this shape."""

    kind = "logistic"

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return {"p": (time_steps, streams, self.outputs)}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        self.x = x
        self.p = self.buffers.array("p", self.shapes(*x.shape[:2]), x.dtype)
        np.copyto(self.p, x)
        sigmoid.apply(self.p)
        return self.p, state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return sigmoid(x), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        """delta of p -> p (1 - p) d, for a loss that comes after this layer."""
        if below is not None:
            np.multiply(delta, self.p * (1 - self.p), out=below)

    def losses(self, targets: Codes) -> Array:
        """log(1 + e^x), summed over the outputs, less x at the truth: the same, never infinite."""
        truth = np.take_along_axis(self.x, targets[..., None].astype(np.intp), axis=-1)
        return np.sum(np.logaddexp(0, self.x), axis=-1) - truth[..., 0]

    def loss_delta(self, targets: Codes) -> Steps:
        return subtract_from_truth(self.p, targets)
