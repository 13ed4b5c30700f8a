"""What a network asks of the engine: its layers' walks, and passes over whole vectors.

float32 only; what is smaller than pays, or of another dtype, is left to `passes.py` and numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.kernels.compiled import passes, records
from darknet_py.kernels.compiled.jit import VECTOR
from darknet_py.kernels.compiled.team import TEAM
from darknet_py.kernels.compiled.vectors import PASS
from darknet_py.kernels.compiled.walks import WALKS, Compute, Walk

# Rows, and time steps, below which a forward that does not train is not worth to pack matrices for.
ROWS, STEPS = 64, 4
# Numbers that one thread is done with before others have begun.
SMALL = 1 << 14


class Engine:
    """The team's work for one network. threads: how many compute it, 1 to begin with."""

    def __init__(self) -> None:
        self.threads = 1
        self._pass = np.zeros(1, PASS)

    def run(self, job: Array) -> None:
        """Compute a job (records.py)."""
        TEAM.run(job, self.threads)

    def walk(self, layer: Any, x: Array, training: bool, compute: Compute) -> Walk | None:
        """The compiled walk of a layer for this input; None where numpy's is to be used.

        compute: what the walk gives its jobs to.
        """
        shape = x.shape[0], x.shape[1]
        own = layer.walk
        if isinstance(own, Walk) and own.fits(shape, training):
            return own
        if not VECTOR or layer.walk_kind not in WALKS:
            return None
        if layer.parameters()[0].values.dtype != np.float32:
            return None
        if not training and (shape[0] < STEPS or shape[0] * shape[1] < ROWS):
            return None
        return WALKS[layer.walk_kind](layer, shape, training, compute)

    def softmax(self, x: Array, temperature: float, out: Array, log_sums: Array) -> bool:
        """See kernels/plain.softmax; False where it was not done."""
        arrays = x, out, log_sums
        if x.size < SMALL or not _fit(*arrays):
            return False
        inverse = min(1 / temperature, 1e30)
        self._compute(records.SOFTMAX, log_sums.size, x.shape[-1], arrays, inverse)
        return True

    def softmax_delta(self, p: Array, symbols: Array, temperature: float) -> bool:
        """See kernels/plain.softmax_delta; False where it was not done."""
        if p.size < SMALL or not _fit(p):
            return False
        truth = np.ascontiguousarray(symbols, np.int64)
        arrays = p, p, truth
        self._compute(records.SOFTMAX_DELTA, len(p), p.shape[1], arrays, 1 / temperature)
        return True

    def sgd(
        self,
        values: Array,
        updates: Array,
        velocity: Array,
        rate: float,
        momentum: float,
        decay: float,
    ) -> bool:
        """See kernels/plain.sgd; False where it was not done."""
        arrays = values, updates, velocity
        if values.size < SMALL or not _fit(*arrays):
            return False
        self._compute(records.SGD, values.size, 0, arrays, rate, momentum, decay)
        return True

    def adam(
        self,
        values: Array,
        updates: Array,
        first: Array,
        second: Array,
        rate: float,
        B1: float,
        B2: float,
        eps: float,
        decay: float,
        count: int,
    ) -> bool:
        """See kernels/plain.adam; False where it was not done."""
        arrays = values, updates, first, second
        if values.size < SMALL or not _fit(*arrays):
            return False
        numbers = passes.adam_numbers(rate, B1, B2, eps, decay, count)
        self._compute(records.ADAM, values.size, 0, arrays, *numbers)
        return True

    def _compute(
        self, code: int, count: int, width: int, arrays: tuple[Array, ...], *numbers: float
    ) -> None:
        record: Any = self._pass[0]
        record["code"], record["count"], record["width"] = code, count, width
        for name, array in zip(("first", "second", "third", "fourth"), arrays, strict=False):
            record[name] = array.ctypes.data
        record["numbers"][: len(numbers)] = numbers
        self.run(self._pass)


def _fit(*arrays: Array) -> bool:
    """Whether the engine can work on these."""
    return bool(VECTOR) and all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
