"""Jobs of the team over whole vectors and rows: `compiled/vectors.py`."""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled import records
from darknet_py.engine.compiled.jit import Record
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.compiled.vectors import PASS

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
