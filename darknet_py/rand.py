"""glibc's ``rand()``, number for number, with jumps and bulk draws.

The generator is an additive lagged Fibonacci sequence of 32-bit words,

    r[i] = r[i - 3] + r[i - 31]   (mod 2**32),

and a draw is a word without its lowest bit, ``r[i] >> 1``. The state is the vector ``s`` of the
last 31 words, oldest first. A step drops the oldest and appends ``s[28] + s[0]``: every new
component is a sum of old ones, so a step is a product with a constant 31x31 matrix ``A``, and
``n`` steps are a product with ``A**n``. uint32 wraps just as the recurrence does, so this is
exact. Two things follow:

* Jumping: squaring repeatedly gives ``A, A**2, A**4, ...``, and one product for each bit set in
  ``n`` takes ``n`` steps. A jump over 10**9 draws needs at most 30 products.
* Filling in bulk: each word depends on the one three places before it, so a single sequence
  can hardly be vectorized. But jumps can place many states ("lanes") at equal distances along
  the sequence, and one addition of two rows then takes every lane one step further.
"""

import math
import operator
import time
from collections import deque
from functools import cache

import numpy as np
from numpy.typing import NDArray

_WORDS = 31  # words of state, and the long lag of the recurrence
_SHORT_LAG = 3
_WARM_UP = 310  # words srand() throws away before the first draw

# rand() prepares draws in blocks that double from the first size to the last, so that a few
# draws and millions of them are both cheap.
_FIRST_BLOCK = 64
_LAST_BLOCK = 4096
_PIECE = 2**18  # draws filled at a time, which bounds the working memory of draws()


def seed_from_clock() -> int:
    """A seed for a run that no one gave one: the milliseconds of the clock."""
    return time.time_ns() // 1_000_000 % 2**31


def seed_of_text(seed: int, k: int) -> int:
    """The seed of text k, from 0 on, of several that begin with `seed`: seed + k, where 1 follows
    the highest seed, since 0 is another name of 1.
    """
    return (max(seed % 2**32, 1) - 1 + k) % (2**32 - 1) + 1


class Rand:
    """The sequence that C's ``srand(seed)`` and repeated ``rand()`` give under glibc.

    seed: any integer, taken modulo 2**32; 0 and 1 give the same sequence. drawn: draws so far,
    only for reading. ``Rand(r.seed, r.drawn)`` continues where ``r`` stands, so the two numbers are
    all there is to save (but for the second number of ``normal``).
    Negative counts of draws raise ValueError.
    """

    def __init__(self, seed: int, drawn: int = 0) -> None:
        self.seed = operator.index(seed) % 2**32
        self.drawn = _checked(drawn, "drawn")
        # The state is the one after the prepared draws, which rand() has yet to hand out.
        self._state = _advanced(_seeded(self.seed), _WARM_UP + self.drawn)
        self._prepared: deque[int] = deque()
        self._left: float | None = None
        self._block = _FIRST_BLOCK

    def __reduce__(self) -> tuple[type["Rand"], tuple[int, int], dict[str, float | None]]:
        """A copy continues from the same place, without what has been prepared."""
        return type(self), (self.seed, self.drawn), {"_left": self._left}

    def rand(self) -> int:
        """One draw, an integer in [0, 2**31)."""
        if not self._prepared:
            self._prepared.extend(self._fill(np.empty(self._block, np.uint32)).tolist())
            self._block = min(2 * self._block, _LAST_BLOCK)
        self.drawn += 1
        return self._prepared.popleft()

    def draws(self, count: int) -> NDArray[np.uint32]:
        """The next ``count`` draws in order: uint32 of shape (count,), each in [0, 2**31)."""
        count = _checked(count, "count")
        if count <= _FIRST_BLOCK:  # setting up the lanes would cost more than the draws
            return np.array([self.rand() for _ in range(count)], np.uint32)
        out = np.empty(count, np.uint32)
        head = min(count, len(self._prepared))
        out[:head] = [self._prepared.popleft() for _ in range(head)]
        self._fill(out[head:])
        self.drawn += count
        return out

    def uniform(self, low: float, high: float, count: int) -> NDArray[np.float32]:
        """``count`` results of darknet's ``rand_uniform(low, high)``: float32 of shape (count,).

        Each takes one draw and is ``draw / 2**31 * (high - low) + low`` with the draw, the
        bounds and every operation rounded to float32. A draw near 2**31 rounds up to it, so
        ``high`` itself can occur. Bounds in the wrong order are swapped.
        """
        if high < low:
            low, high = high, low
        values = self.draws(count).astype(np.float32)
        values /= np.float32(2**31)
        values *= np.float32(high) - np.float32(low)
        values += np.float32(low)
        return values

    def normal(self, count: int) -> NDArray[np.float32]:
        """``count`` results of upstream's ``rand_normal()``: float32 of shape (count,).

        Two draws give two of them, by the method of Box and Muller; a second one that is left over
        is the first of the next call.
        """
        values = np.empty(_checked(count, "count") + 1, np.float32)
        done = 0
        if self._left is not None:
            values[0], done = self._left, 1
        while done < count:
            pairs = min(_PIECE, count - done + 1) // 2
            values[done : done + 2 * pairs] = _normal(self.draws(2 * pairs))
            done += 2 * pairs
        self._left = float(values[count]) if done > count else None
        return values[:count]

    def _fill(self, out: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Fill ``out`` with the draws that follow the state, move the state, return ``out``."""
        for start in range(0, out.size, _PIECE):
            piece = out[start : start + _PIECE]
            np.right_shift(_following(self._state, piece.size), 1, out=piece)
            self._state = _advanced(self._state, piece.size)
        return out


# Within this share of it the double lies that numpy's functions give for that of C's.
_DOUBT = 1e-13


def _normal(draws: NDArray[np.uint32]) -> NDArray[np.float32]:
    """The numbers that an even number of draws give, as many.

    sqrt(-2 log(u)) cos(2 pi v), then the same with sin, in double, rounded to f32. numpy's
    functions may be off in the last bit of a double, so if that could change an f32 the number
    is computed again, by the functions of the C library.
    """
    u, v = (draws / float(2**31 - 1)).reshape(-1, 2).T
    angle = v * (2 * math.pi)
    reach = np.sqrt(-2 * np.log(np.maximum(u, 1e-100)))
    exact = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1)
    values = exact.astype(np.float32)
    low, high = ((exact * (1 + sign * _DOUBT)).astype(np.float32) for sign in (-1, 1))
    for row, column in np.argwhere(low != high):
        length = math.sqrt(-2 * math.log(max(float(u[row]), 1e-100)))
        turn = (math.cos, math.sin)[column](float(angle[row]))
        values[row, column] = length * turn
    return values.ravel()


def _checked(count: int, name: str) -> int:
    count = operator.index(count)
    if count < 0:
        raise ValueError(f"{name} must not be negative, got {count}")
    return count


def _seeded(seed: int) -> NDArray[np.uint32]:
    """The state glibc's ``srand(seed)`` sets up, before its warm-up; 0 <= seed < 2**32."""
    # glibc keeps the seed as a signed int, so the upper half of the seeds is negative. It then
    # computes 16807 * word mod 2**31 - 1 by Schrage's method, which avoids overflow. Its result
    # lies in [0, 2**31 - 1) even for a negative word, just as that of Python's % does.
    word = (seed - 2**32 if seed >= 2**31 else seed) or 1
    words = [word % 2**32]
    while len(words) < _WORDS:
        word = 16807 * word % (2**31 - 1)
        words.append(word)
    # The recurrence begins at r[34]; r[31], r[32] and r[33] are copies of the first three.
    return np.array(words[_SHORT_LAG:] + words[:_SHORT_LAG], np.uint32)


@cache
def _jump(log2_steps: int) -> NDArray[np.uint32]:
    """The matrix that advances a state by ``2**log2_steps`` words: uint32 (31, 31)."""
    if log2_steps == 0:
        step = np.eye(_WORDS, k=1, dtype=np.uint32)
        step[-1, [0, -_SHORT_LAG]] = 1
        return step
    half = _jump(log2_steps - 1)
    return half @ half


def _advanced(state: NDArray[np.uint32], steps: int) -> NDArray[np.uint32]:
    """``state`` moved on by ``steps`` words."""
    for bit in range(steps.bit_length()):
        if steps >> bit & 1:
            state = _jump(bit) @ state
    return state


def _following(state: NDArray[np.uint32], count: int) -> NDArray[np.uint32]:
    """The ``count`` >= 1 words after ``state``: uint32 (count,)."""
    # About as many lanes as steps, for each lane costs a jump and each step an addition.
    log2_steps = (count.bit_length() + 1) // 2
    steps = 1 << log2_steps
    lanes = -(-count // steps)

    # Column j is the state j * steps words on. Jumping all columns past the last one doubles them.
    starts = state[:, np.newaxis]
    for doubling in range((lanes - 1).bit_length()):
        starts = np.hstack([starts, _jump(log2_steps + doubling) @ starts])

    # A column is a lane, so that the words of one step are contiguous; the sequence runs down
    # the columns, in Fortran order.
    words = np.empty((_WORDS + steps, lanes), np.uint32)
    words[:_WORDS] = starts[:, :lanes]
    for row in range(_WORDS, _WORDS + steps):
        np.add(words[row - _WORDS], words[row - _SHORT_LAG], out=words[row])
    return words[_WORDS:].ravel("F")[:count]
