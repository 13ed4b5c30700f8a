"""An activation function as a layer: y = f(x). darknet's `activation_layer.c`."""

from __future__ import annotations

import numpy as np

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.layers.base import ForwardContext, Layer, Setting, State
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values


class ActivationLayer(Layer):
    """`[activation]`: x (time_steps, streams, inputs) -> f(x) of this shape."""

    kind = "activation"
    keeps_image = True

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting)
        self.activation = ACTIVATIONS[section.choice("activation", "linear", ACTIVATIONS)]

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return {"y": (time_steps, streams, self.outputs)}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        self.y = self.buffers.array("y", self.shapes(*x.shape[:2]), x.dtype)
        np.copyto(self.y, x)
        self.activation.apply(self.y)
        return self.y, state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return self.activation(x), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        if below is not None:
            np.copyto(below, delta)
            if self.activation.slope is not None:
                self.activation.slope(self.y, self.y)
                np.multiply(below, self.y, out=below)
