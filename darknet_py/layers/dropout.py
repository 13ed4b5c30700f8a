"""Dropout: in training, zero each input with a probability and enlarge the others to make up for
it, as darknet's `dropout_layer.c` does.

Which are zeroed depends on the run's seed, the layer, the datum, the time step, the stream and the
feature alone (masks.py). The key is (seed, layer) and the counter (block, datum, 0), with

    block = (step * all_streams + stream) * blocks_per_stream + feature / 16
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.layers.base import ForwardContext, Layer, Setting, State
from darknet_py.layers.masks import Counted, blocks_of, fill_mask
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values


def counted(context: ForwardContext, layer: int, streams: int, features: int) -> Counted:
    """Where the random numbers of a part of a datum are; a row is a stream in a time step.

    context: has the datum and its first stream.
    """
    blocks = blocks_of(features)
    counter = (context.first_stream * blocks, context.datum, 0)
    apart = (context.all_streams or streams) * blocks
    return Counted((context.seed, layer), counter, streams, apart)


def multiply(x: Array, factor: Array, out: Array) -> None:
    np.multiply(x, factor, out=out)


class DropoutLayer(Layer):
    """`[dropout]`: x -> x factor, with factor (time_steps, streams, outputs) 0 or
    1/(1-probability).

    Outside training it passes its input on. The probability acts in steps of 1/65,536.
    """

    kind = "dropout"
    keeps_image = True
    # How they are computed.
    fill_mask = staticmethod(fill_mask)
    multiply = staticmethod(multiply)

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting)
        self.probability = section.number("probability", 0.5, minimum=0, maximum=0.999)

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return dict.fromkeys(("factor", "y"), (time_steps, streams, self.outputs))

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        if not context.training:
            return x, state
        self.factor, y = self.buffers.arrays(self.shapes(*x.shape[:2]), x.dtype).values()
        where = counted(context, self.index, x.shape[1], self.outputs)
        self.fill_mask(self.factor.reshape(-1, self.outputs), where, self.probability)
        self.multiply(x, self.factor, y)
        return y, state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return x.program.write("dropout", x, by=self), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        if below is not None:
            self.multiply(delta, self.factor, below)
