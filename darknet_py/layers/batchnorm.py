"""Batch norm as a layer, over all symbols of a datum at once.

    y = (x - mean) / deviation * scales + biases

AlexeyAB's files have room for the biases; upstream's have not, and there is no bias then.
Formulas: darknet's `batchnorm_layer.c`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.dialect import ALEXEYAB
from darknet_py.layers.base import (
    ForwardContext,
    Layer,
    Parameter,
    RollingStatistics,
    Setting,
    State,
)
from darknet_py.layers.norm import Norm
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values
from darknet_py.rand import Rand


class BatchnormLayer(Layer):
    """`[batchnorm]`: x (time_steps, streams, inputs) -> y of this shape."""

    kind = "batchnorm"
    keeps_image = True

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting)
        name, linear = str(setting.index), ACTIVATIONS["linear"]
        self.norm = Norm(name, self.outputs, linear, self.buffers, setting)
        self.norm.rolling.share = setting.dialect.rolling_batchnorm
        self.has_biases = setting.dialect == ALEXEYAB
        if not self.has_biases:  # Then they stay zeros.
            zeros = np.zeros((2, self.outputs), np.float32)
            self.norm.biases.bind(slice(None), *zeros)

    def parameters(self) -> list[Parameter]:
        return [self.norm.biases] * self.has_biases + self.norm.after_weights()

    def statistics(self) -> list[RollingStatistics]:
        return self.norm.statistics()

    def initialize(self, rand: Rand) -> None:
        self.norm.initialize()

    def operations(self) -> int:
        return 2 * self.outputs

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        rows = self.rows(time_steps, streams)
        return {"x": (*rows, self.inputs), **self.norm.shapes(*rows)}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        copy = self.buffers.array("x", self.shapes(*x.shape[:2]), x.dtype)
        np.copyto(copy, x.reshape(copy.shape))
        self.norm.begin(copy, context.training)
        y = self.norm.forward(slice(0, 1))
        self.norm.end()
        return y.reshape(x.shape), state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return x.program.write("normalize", x, by=self), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        self.norm.begin_backward()
        self.norm.backward(delta.reshape(1, -1, self.outputs), slice(0, 1))
        self.norm.end_backward()
        if below is not None:
            np.copyto(below, delta)
