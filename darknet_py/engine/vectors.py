"""Jobs of the team over whole vectors and rows, the optimizers' steps and the masks of dropout
among them: `compiled/vectors.py`, `compiled/masks.py`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled import records
from darknet_py.engine.compiled.jit import Record
from darknet_py.engine.compiled.masks import MASK
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.compiled.vectors import PASS
from darknet_py.layers import masks
from darknet_py.layers.masks import Counted, least_kept
from darknet_py.optimizer import Adam, Sgd

# Numbers that one thread is done with before others have begun.
SMALL = 1 << 14


def pays(*arrays: Array) -> bool:
    """Whether the engine can compute these, and faster than numpy."""
    fit = all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
    return fit and arrays[0].size >= SMALL


def multiply(x: Array, factor: Array, out: Array) -> None:
    """out = x factor."""
    if pays(x, factor, out):
        compute(records.MULTIPLY, (x.size, 0), (x, factor, out))
    else:
        np.multiply(x, factor, out=out)


def compute(code: int, shape: tuple[int, int], arrays: tuple[Array, ...], *numbers: float) -> None:
    """Compute the job `code` (`compiled/records.py`); shape: its `count` and `width`."""
    job = np.zeros(1, PASS)
    record: Record = job[0]
    record["code"], (record["count"], record["width"]) = code, shape
    for name, array in zip(("first", "second", "third", "fourth"), arrays, strict=False):
        record[name] = array.ctypes.data
    record["numbers"][: len(numbers)] = numbers
    TEAM.run(job)


def fill_mask(mask: Array, counted: Counted, probability: float) -> None:
    """As `layers.masks.fill_mask`, with the same bits."""
    if not pays(mask):
        masks.fill_mask(mask, counted, probability)
        return
    job = np.zeros(1, MASK)
    record: Record = job[0]
    record["code"], record["mask"] = records.MASK, mask.ctypes.data
    record["rows"], record["entries"] = mask.shape
    record["key"], record["counter"] = counted.key, counted.counter
    record["together"], record["apart"] = counted.together, counted.apart
    record["least"], record["kept"] = least_kept(probability), 1 / (1 - probability)
    TEAM.run(job)


class FusedSgd(Sgd):
    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        arrays = values[span], updates[span], self.memory["velocity"][span]
        if not pays(*arrays):
            super().step(values, updates, span, rate, decay)
            return
        numbers = rate / self.options.symbols, self.options.momentum, decay
        compute(records.SGD, (arrays[0].size, 0), arrays, *numbers)


class FusedAdam(Adam):
    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        memory = (vector[span] for vector in self.memory.values())
        arrays = values[span], updates[span], *memory
        if not pays(*arrays):
            super().step(values, updates, span, rate, decay)
            return
        B1, B2 = self.options.B1, self.options.B2
        numbers = *self.unbiased(rate), B1, 1 - B1, B2, 1 - B2, self.options.eps, decay
        compute(records.ADAM, (arrays[0].size, 0), arrays, *numbers)
