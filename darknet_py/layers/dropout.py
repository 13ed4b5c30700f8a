"""Dropout: in training, zero each input with a probability and enlarge the others to make up for
it.

One number per element, in element order, is drawn from the network's one source of randomness, as
in darknet's `dropout_layer.c`.
"""

from __future__ import annotations

import math

import numpy as np

from darknet_py.cfg import Section
from darknet_py.layers.base import Array, Layer, Setting, State


class DropoutLayer(Layer):
    """`[dropout]`: x -> x factor, with factor (time_steps, streams, outputs) 0 or
    1/(1-probability).

    Outside training it passes its input on.
    """

    kind = "dropout"

    def __init__(self, index: int, inputs: int, probability: float) -> None:
        super().__init__(index, inputs, inputs)
        self.probability = probability
        # Where several processes share the streams, each draws for all and takes its own.
        self.own_streams = slice(None)
        self.all_streams = 0

    @classmethod
    def make(cls, section: Section, setting: Setting) -> DropoutLayer:
        probability = section.number("probability", 0.5, minimum=0, maximum=0.999)
        return cls(setting.index, setting.inputs, probability)

    def training_floats(self, time_steps: int, streams: int) -> int:
        return 2 * time_steps * streams * self.outputs

    def forward(self, x: Array, state: State, training: bool) -> tuple[Array, State]:
        if not training:
            return x, state
        shape = (x.shape[0], self.all_streams or x.shape[1], x.shape[2])
        draws = self.rand.uniform(0, 1, math.prod(shape)).reshape(shape)[:, self.own_streams]
        self.factor = self.buffers.array("factor", x.shape, x.dtype)
        np.multiply(
            draws >= np.float32(self.probability), 1 / (1 - self.probability), out=self.factor
        )
        y = self.buffers.array("y", x.shape, x.dtype)
        return np.multiply(x, self.factor, out=y), state

    def backward(
        self, delta: Array, below: Array | None, d_after: State | None = None
    ) -> State | None:
        if below is not None:
            np.multiply(delta, self.factor, out=below)
        return d_after
