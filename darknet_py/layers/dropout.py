"""Dropout: in training, zero each input with a probability and enlarge the others to make up for
it, as darknet's `dropout_layer.c` does.

Which are zeroed is decided by random numbers that are counted, not drawn one after the other: the
number of an element is a function of the run's seed, the layer, the datum, the time step, the
stream and the feature. So any part of a datum has its numbers without those of the rest, whichever
process computes it and in whatever order.

The function is Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
numpy's. Its key is (seed, layer) and its counter (block, datum, 0, 0); a block is 16 numbers of 16
bits, and each stream has as many blocks of its own in each time step as its features need:

    block = (step * all_streams + stream) * blocks_per_stream + feature / 16
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.layers.base import ForwardContext, Layer, Setting, State
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values

# Numbers in a block, bits in a number.
BLOCK = 16
BITS = 16


def draw(context: ForwardContext, layer: int, shape: tuple[int, int, int]) -> Array:
    """The random numbers of a part of a datum, (time_steps, streams, features), from 0 to 65,535.

    context: has the datum and its first stream.
    """
    time_steps, streams, features = shape
    all_streams = context.all_streams or streams
    if streams < all_streams:
        # The streams of a time step are next to each other, but not those of the next time step.
        firsts = range(0, time_steps * all_streams, all_streams)
        rows = [_draw_rows(context, layer, first, streams, features) for first in firsts]
        return np.stack(rows)
    return _draw_rows(context, layer, 0, time_steps * streams, features).reshape(shape)


def _draw_rows(context: ForwardContext, layer: int, first: int, rows: int, features: int) -> Array:
    """Numbers (rows, features); a row is a stream in a time step. first: the row of stream 0."""
    blocks = -(-features // BLOCK)
    counter = ((first + context.first_stream) * blocks, context.datum, 0, 0)
    drawn = numbers((context.seed, layer), counter, rows * blocks * BLOCK)
    return drawn.reshape(rows, blocks * BLOCK)[:, :features]


def numbers(key: tuple[int, int], counter: tuple[int, int, int, int], count: int) -> Array:
    """Philox's random numbers (count,) of this key from this counter on, from 0 to 65,535."""
    philox = np.random.Philox(key=np.array(key, np.uint64), counter=np.array(counter, np.uint64))
    # Little endian on every machine, so that the numbers are the same.
    words = philox.random_raw(-(-count * BITS // 64)).astype("<u8", copy=False)
    return words.view("<u2")[:count]


def least_kept(probability: float) -> np.uint16:
    """The smallest random number of what is not zeroed with this probability."""
    return np.uint16(round(probability * 2**BITS))


class DropoutLayer(Layer):
    """`[dropout]`: x -> x factor, with factor (time_steps, streams, outputs) 0 or
    1/(1-probability).

    Outside training it passes its input on. The probability acts in steps of 1/65,536.
    """

    kind = "dropout"
    keeps_image = True

    def __init__(self, setting: Setting, probability: float) -> None:
        super().__init__(setting)
        self.probability = probability

    @classmethod
    def make(cls, section: Section, setting: Setting) -> DropoutLayer:
        probability = section.number("probability", 0.5, minimum=0, maximum=0.999)
        return cls(setting, probability)

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return dict.fromkeys(("factor", "y"), (time_steps, streams, self.outputs))

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        if not context.training:
            return x, state
        self.factor, y = self.buffers.arrays(self.shapes(*x.shape[:2]), x.dtype).values()
        time_steps, streams, features = x.shape
        drawn = draw(context, self.index, (time_steps, streams, features))
        kept = drawn >= least_kept(self.probability)
        np.multiply(kept, 1 / (1 - self.probability), out=self.factor)
        return np.multiply(x, self.factor, out=y), state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return x.program.write("dropout", x, by=self), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        if below is not None:
            np.multiply(delta, self.factor, out=below)
