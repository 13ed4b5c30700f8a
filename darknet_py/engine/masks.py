"""The masks of dropout and DropConnect as jobs of the team."""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine import vectors
from darknet_py.engine.compiled.jit import Record
from darknet_py.engine.compiled.masks import MASK
from darknet_py.engine.compiled.records import MASK as CODE
from darknet_py.engine.compiled.team import TEAM
from darknet_py.layers import masks
from darknet_py.layers.masks import Counted, least_kept


def fill_mask(mask: Array, counted: Counted, probability: float) -> None:
    """As `layers.masks.fill_mask`, with the same bits."""
    if not vectors.pays(mask):
        masks.fill_mask(mask, counted, probability)
        return
    job = np.zeros(1, MASK)
    record: Record = job[0]
    record["code"], record["mask"] = CODE, mask.ctypes.data
    record["rows"], record["entries"] = mask.shape
    record["key"], record["counter"] = counted.key, counted.counter
    record["together"], record["apart"] = counted.together, counted.apart
    record["least"], record["kept"] = least_kept(probability), 1 / (1 - probability)
    TEAM.run(job)
