"""The layers that the engine computes: each is the layer of its kind with another forward and
backward.

float32 only. A forward that is too small to pay, or of another dtype, is that of the layer itself.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from darknet_py.arrays import Array, Steps
from darknet_py.engine import vectors
from darknet_py.engine.compiled import records
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.vectors import FusedAdam, FusedSgd, fill_mask
from darknet_py.engine.walks import AnyWalk, walk_of
from darknet_py.layers.base import ForwardContext, Layer, State, Times
from darknet_py.layers.connected import ConnectedLayer
from darknet_py.layers.crnn import CrnnLayer
from darknet_py.layers.dropout import DropoutLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.lstm import LstmLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.layers.workspace import Shapes, floats
from darknet_py.tier import Tier

# Rows, and time steps, below which a forward that does not train is not worth packing matrices for.
ROWS, STEPS = 64, 4


class Fused(Layer):
    """Forward and backward as one job each, with all time steps, products included."""

    # That of the last forward; None if numpy computed it.
    walk: AnyWalk | None = None

    @cached_property
    def whole(self) -> AnyWalk | None:
        """The walk of this layer; None if there is none for its sizes or dtype."""
        return walk_of(self, self.buffers)

    def kept_floats(self, time_steps: int, streams: int) -> int:
        if self.whole is None:
            return super().kept_floats(time_steps, streams)
        return floats(self.whole.shapes((time_steps, streams), training=True))

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        if self.whole is None:
            return super().scratch_shapes(time_steps, streams)
        return self.whole.scratch_shapes(time_steps, streams)

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        time_steps, streams = x.shape[:2]
        pays = context.training or (time_steps >= STEPS and time_steps * streams >= ROWS)
        self.walk = self.whole if pays else None
        if self.walk is None:
            return super().forward(x, state, context)
        return self.walk.forward(x, state, context.training)

    def backward(self, delta: Steps, below: Steps | None) -> None:
        if self.walk is None:
            super().backward(delta, below)
        else:
            self.walk.backward(delta, below)

    def take_times(self) -> Times:
        linears = self.walk.linears if self.walk else ()
        return {name: time for linear in linears for name, time in linear.take_times().items()}


class FusedConnected(Fused, ConnectedLayer):
    pass


class FusedRnn(Fused, RnnLayer):
    pass


class FusedCrnn(Fused, CrnnLayer):
    pass


class FusedGru(Fused, GruLayer):
    pass


class FusedLstm(Fused, LstmLayer):
    pass


class FusedDropout(DropoutLayer):
    fill_mask = staticmethod(fill_mask)
    multiply = staticmethod(vectors.multiply)


class FusedSoftmax(SoftmaxLayer):
    def _normalize(self, x: Array, temperature: float, out: Array) -> None:
        if not vectors.pays(x, out, self.log_sums):
            super()._normalize(x, temperature, out)
            return
        arrays = x, out, self.log_sums
        shape = self.log_sums.size, x.shape[-1]
        vectors.compute(records.SOFTMAX, shape, arrays, min(1 / temperature, 1e30))

    def _subtract_from_truth(self, p: Array, symbols: Array) -> None:
        if not vectors.pays(p):
            super()._subtract_from_truth(p, symbols)
            return
        arrays = p, p, np.ascontiguousarray(symbols, np.int64)
        vectors.compute(records.SOFTMAX_DELTA, p.shape, arrays, 1 / self.temperature)


_FUSED: tuple[type[Layer], ...] = (
    FusedConnected,
    FusedRnn,
    FusedCrnn,
    FusedGru,
    FusedLstm,
    FusedDropout,
    FusedSoftmax,
)
_LAYERS = {layer.kind: layer for layer in _FUSED}
COMPILED = Tier("compiled", _LAYERS, FusedSgd, FusedAdam, fill_mask, TEAM)
