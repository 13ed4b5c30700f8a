"""Batch norm as a layer of its own, over all symbols of a datum at once.

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
from darknet_py.layers.norm import BatchNorm, affine_activate, deviation
from darknet_py.layers.workspace import Shapes
from darknet_py.options import NetOptions
from darknet_py.program import Value, Values
from darknet_py.rand import Rand

LINEAR = ACTIVATIONS["linear"]


class BatchnormLayer(Layer):
    """`[batchnorm]`: x (time_steps, streams, inputs) -> y of the same shape."""

    kind = "batchnorm"
    keeps_image = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        index, inputs = setting.index, setting.inputs
        self.dialect = setting.dialect
        self.biases = Parameter(f"{index}.bias", (inputs,))
        self.scales = Parameter(f"{index}.scale", (inputs,), normal=True)
        self.rolling = RollingStatistics(str(index), inputs, self.dialect.rolling_batchnorm)

    @property
    def has_biases(self) -> bool:
        return self.dialect == ALEXEYAB

    def parameters(self) -> list[Parameter]:
        norm = [self.scales, *self.rolling.parameters]
        return [self.biases, *norm] if self.has_biases else norm

    def statistics(self) -> list[RollingStatistics]:
        return [self.rolling]

    def initialize(self, rand: Rand) -> None:
        self.biases.values.fill(0)
        self.scales.values.fill(1)
        self.rolling.clear()

    def check_trainable(self, section: Section, options: NetOptions) -> None:
        if options.streams * options.time_steps == 1:
            raise section.error("cannot train on one symbol at a time")

    def affine(self) -> tuple[Array, Array]:
        """What it does when it does not train: x gains + shifts."""
        gains = self.scales.values / deviation(self.rolling.variance.values, self.dialect)
        biases = self.biases.values if self.has_biases else 0
        return gains, biases - self.rolling.mean.values * gains

    def operations(self) -> int:
        return 2 * self.outputs

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        sums = dict.fromkeys(("mean", "variance", "scale_sums", "bias_sums"), (1, 1, self.inputs))
        # One batch of all rows.
        rows = (1, time_steps * streams, self.inputs)
        return {"x_norm": rows, "y": rows, **sums}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        shapes = self.shapes(*x.shape[:2])
        x_norm = self.buffers.array("x_norm", shapes, x.dtype)
        np.copyto(x_norm, x.reshape(x_norm.shape))
        if not context.training:
            affine_activate(x_norm, *self.affine(), LINEAR)
            return x_norm.reshape(x.shape), state
        self.kept = kept = self.buffers.arrays(shapes, x.dtype)
        biases = self.biases.values if self.has_biases else np.zeros(self.inputs, x.dtype)
        self.formula = BatchNorm(self.scales.values, biases, LINEAR, self.dialect)
        self.formula.forward(x_norm, kept["y"], kept["mean"], kept["variance"])
        self.rolling.add(kept["mean"], kept["variance"])
        return kept["y"].reshape(x.shape), state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return x.program.write("normalize", x, by=self), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        kept, scale_sums, bias_sums = self.kept, self.kept["scale_sums"], self.kept["bias_sums"]
        self.formula.backward(
            delta.reshape(kept["y"].shape),
            kept["y"],
            kept["x_norm"],
            kept["variance"],
            scale_sums,
            bias_sums,
        )
        self.scales.updates += scale_sums[0, 0]
        if self.has_biases:
            self.biases.updates += bias_sums[0, 0]
        if below is not None:
            np.copyto(below, delta)
