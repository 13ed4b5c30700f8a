"""Masks of dropout and DropConnect: what training zeroes, by counted random numbers.

A random number is a function of its place, not of what was drawn before it. So any part of a mask
can be made without the rest, by whichever process or thread and in whatever order.

The function is Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
numpy's. A block is 16 numbers of 16 bits, one value of the counter; a row of a mask has as many
blocks of its own as its entries need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from darknet_py.arrays import Array

# Numbers in a block, bits in a number.
BLOCK = 16
BITS = 16


@dataclass(frozen=True)
class Counted:
    """Where the random numbers of the rows of a mask are.

    key: Philox's. counter: its words 0 to 2 for the first block of row 0; word 3 is 0.
    together: the number of rows that follow each other; then come those that are `apart` blocks
    after them.
    """

    key: tuple[int, int]
    counter: tuple[int, int, int]
    together: int = 1
    apart: int = 0


def blocks_of(entries: int) -> int:
    """Blocks that a row of `count` entries takes."""
    return -(-entries // BLOCK)


def draw(counted: Counted, rows: int, entries: int) -> Array:
    """The random numbers (rows, entries) from there on, from 0 to 65,535."""
    blocks, (block, *others) = blocks_of(entries), counted.counter
    together = rows if counted.apart == counted.together * blocks else counted.together
    found = [
        _draw_blocks(counted.key, (block + place * counted.apart, *others), together * blocks)
        for place in range(rows // together)
    ]
    table = found[0] if len(found) == 1 else np.concatenate(found)
    return table.reshape(rows, blocks * BLOCK)[:, :entries]


def _draw_blocks(key: tuple[int, int], counter: tuple[int, ...], blocks: int) -> Array:
    words = np.array((*counter, 0), np.uint64)
    philox = np.random.Philox(key=np.array(key, np.uint64), counter=words)
    # Little endian on every machine, so that the numbers are the same.
    drawn = philox.random_raw(blocks * BLOCK * BITS // 64).astype("<u8", copy=False)
    return drawn.view("<u2")


def least_kept(probability: float) -> int:
    """The smallest random number of what is not zeroed with this probability."""
    return round(probability * 2**BITS)


FillMask: TypeAlias = Callable[[Array, Counted, float], None]


def fill_mask(mask: Array, counted: Counted, probability: float) -> None:
    """Set a mask (rows, entries): 0 with this probability, else 1 / (1 - probability)."""
    kept = draw(counted, *mask.shape) >= least_kept(probability)
    np.multiply(kept, 1 / (1 - probability), out=mask)
