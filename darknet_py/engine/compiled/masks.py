"""Masks of counted random numbers, compiled: the twin of `layers/masks.py`, with the source."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from darknet_py.engine.compiled.functions import ZERO
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    WORD,
    compiled,
    exported,
    floats,
    halves,
    instructions,
    reader,
    words,
)
from darknet_py.engine.compiled.threads import share, thread_at
from darknet_py.layers.masks import BLOCK

_WORD = np.int64
MASK = np.dtype(
    [
        *((name, _WORD) for name in ("code", "mask", "rows", "entries")),
        ("key", np.uint64, (2,)),
        ("counter", np.uint64, (3,)),
        *((name, _WORD) for name in ("together", "apart", "least")),
        ("kept", np.float32),
        ("unused", np.float32),
    ]
)
mask_at = reader(MASK)


def _signed(word: int) -> np.int64:
    """A word of 64 bits as numba has it."""
    return np.uint64(word).astype(np.int64)


# What Philox multiplies by, and adds to its key in each round.
_FACTORS = _signed(0xD2E7470EE14C6C93), _signed(0xCA5A826395121157)
_KEYS = _signed(0x9E3779B97F4A7C15), _signed(0xBB67AE8584CAA73B)
_ROUNDS = 10


@instructions(types.int64, types.int64, types.int64)
def _upper(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """The upper half of a product of words without signs."""
    wide = ir.IntType(128)
    product = builder.mul(builder.zext(a, wide), builder.zext(b, wide))
    return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), WORD)


@compiled
def _philox(counter: tuple[int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """The four words of a counter, whose last word is 0."""
    a, b, c, d = counter[0], counter[1], counter[2], 0
    first_key, second_key = key
    for _ in range(_ROUNDS):
        first, second = _upper(_FACTORS[0], a), _upper(_FACTORS[1], c)
        a, b, c, d = (
            second ^ b ^ first_key,
            _FACTORS[1] * c,
            first ^ d ^ second_key,
            _FACTORS[0] * a,
        )
        first_key += _KEYS[0]
        second_key += _KEYS[1]
    return a, b, c, d


@exported
def fill(job: int, me: int) -> None:
    """A thread's share of the blocks of all rows."""
    m = mask_at(job)
    least, kept = np.uint16(m.least), m.kept
    key = np.int64(m.key[0]), np.int64(m.key[1])
    second, third = np.int64(m.counter[1]), np.int64(m.counter[2])
    blocks = (m.entries + BLOCK - 1) // BLOCK
    first, end = share(m.rows * blocks, 1, me)
    spare = thread_at(me).spare
    drawn, numbers = words(spare, (4,)), halves(spare, (BLOCK,))
    while first < end:
        row, block = first // blocks, first % blocks
        before = row // m.together * m.apart + row % m.together * blocks
        last = min(blocks, block + end - first)
        first += last - block
        while block < last:
            # numpy counts one further before each block.
            number = np.int64(m.counter[0]) + before + block + 1
            drawn[0], drawn[1], drawn[2], drawn[3] = _philox((number, second, third), key)
            at = m.mask + (row * m.entries + block * BLOCK) * FLOAT_BYTES
            if (block + 1) * BLOCK <= m.entries:
                whole = floats(at, (BLOCK,))
                for j in range(BLOCK):
                    whole[j] = kept if numbers[j] >= least else ZERO
            else:
                part = floats(at, (m.entries - block * BLOCK,))
                for j in range(len(part)):
                    part[j] = kept if numbers[j] >= least else ZERO
            block += 1
