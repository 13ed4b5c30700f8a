"""The optimizers' steps in compiled code."""

from __future__ import annotations

from darknet_py.arrays import Array
from darknet_py.engine import vectors
from darknet_py.engine.compiled import records
from darknet_py.optimizer import Adam, Sgd


class FusedSgd(Sgd):
    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        arrays = values[span], updates[span], self.memory["velocity"][span]
        if not vectors.pays(*arrays):
            super().step(values, updates, span, rate, decay)
            return
        numbers = rate / self.options.symbols, self.options.momentum, decay
        vectors.compute(records.SGD, (arrays[0].size, 0), arrays, *numbers)


class FusedAdam(Adam):
    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        memory = (vector[span] for vector in self.memory.values())
        arrays = values[span], updates[span], *memory
        if not vectors.pays(*arrays):
            super().step(values, updates, span, rate, decay)
            return
        B1, B2 = self.options.B1, self.options.B2
        numbers = *self.unbiased(rate), B1, 1 - B1, B2, 1 - B2, self.options.eps, decay
        vectors.compute(records.ADAM, (arrays[0].size, 0), arrays, *numbers)
