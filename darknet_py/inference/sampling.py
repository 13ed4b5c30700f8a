"""From probabilities to the next symbol, as darknet draws it, and other ways that users know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import FLAG, instance, number, whole

# Probabilities below .0001 are never drawn. This is the largest f32 number below it.
CUT_OFF = np.float32(0.0001)
TEMPERATURE = number(above=0)
TOP_P = number(above=0, most=1)


@dataclass(frozen=True)
class Sampling:
    """How the next symbol is chosen.

    temperature: divides what comes into the softmax; small is careful, 1 is the network's own odds.
    top_k: only the k most likely symbols are drawn, all if it is 0. top_p: only the most likely
    ones that together have at least this probability. greedy: always the most likely.
    Raises ValueError for values out of range. The defaults are darknet's.
    """

    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    greedy: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.temperature, bool) and self.temperature == 0:
            raise ValueError(
                "temperature must be a number above 0, not 0; greedy=True takes the most likely "
                "symbol each time"
            )
        TEMPERATURE.checked("temperature", self.temperature)
        whole().checked("top_k", self.top_k)
        TOP_P.checked("top_p", self.top_p)
        FLAG.checked("greedy", self.greedy)

    @classmethod
    def of(cls, given: Sampling | None, *values: Any) -> Sampling:
        """The one that is given, or one of these values. Raises ValueError."""
        if given is None:
            return cls(*values)
        instance(cls, "a Sampling, like Sampling(top_p=.9)").checked("sampling", given)
        return given

    @property
    def is_plain(self) -> bool:
        """Whether symbols are drawn from all that the network gives, or are the most likely."""
        return self.greedy or (self.top_k == 0 and self.top_p == 1)

    def choose(self, p: Array, uniform: Array) -> Array:
        """The next symbols, (...), from probabilities p (..., symbols), f32, which are used up.

        uniform: (...), a draw in [0, 1] each, taken even if it is not needed.
        """
        if self.greedy:
            return p.argmax(axis=-1)
        if self.is_plain:
            return draw(cut_off(p), uniform)
        odds = self.odds(p)
        chosen = draw(odds, uniform)
        # Rounding may leave a rest that no symbol takes, and darknet's last symbol is not meant.
        drawable = np.take_along_axis(odds, chosen[..., None], axis=-1)[..., 0] > 0
        return np.where(drawable, chosen, odds.argmax(axis=-1))

    def odds(self, p: Array) -> Array:
        """p (..., symbols), f32, without what is never drawn, summing to 1; in place."""
        cut_off(p)
        if self.top_k == 0 and self.top_p == 1:
            return p
        order = np.argsort(-p, axis=-1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=-1)
        keep = ranked > 0
        if self.top_k:
            keep[..., self.top_k :] = False
        if self.top_p < 1:
            # A symbol stays as long as those before it have not reached top_p.
            before = np.cumsum(ranked, axis=-1) - ranked
            np.logical_and(keep, before < self.top_p, out=keep)
        np.put_along_axis(p, order, np.where(keep, ranked, 0), axis=-1)
        return np.divide(p, p.sum(axis=-1, keepdims=True), out=p)


def cut_off(p: Array) -> Array:
    """Zero what lies below the cut-off and normalize the rest, in place; p (..., symbols), f32.

    As in C the sum is taken in order and p multiplied by its inverse, each rounded to f32, so that
    the drawn symbol is the same.
    """
    keep = p > CUT_OFF
    # Where every symbol lies below, all are kept.
    np.logical_or(keep, ~keep.any(axis=-1, keepdims=True), out=keep)
    np.multiply(p, keep, out=p)
    total = np.add.accumulate(p, axis=-1)[..., -1:].astype(np.float64)
    return np.multiply(p, (1 / total).astype(np.float32), out=p)


def draw(p: Array, uniform: Array) -> Array:
    """The first index at which `uniform`, less the probabilities so far, is not above 0.

    p: (..., symbols), f32, summing to 1; uniform: (...), a draw in [0, 1] each. The last index
    if there is none.
    """
    left = np.empty((*p.shape[:-1], p.shape[-1] + 1), np.float32)
    left[..., 0] = uniform
    left[..., 1:] = p
    np.subtract.accumulate(left, axis=-1, out=left)
    reached = left[..., 1:] <= 0
    reached[..., -1] = True
    return reached.argmax(axis=-1)
