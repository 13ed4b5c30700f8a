"""Finds the fastest of several ways to do one thing, here and now: tried as a run goes.

What is fastest depends on the other work of the machine. So each way is tried for a few batches in
turn: at first, then every AGAIN seconds, and when batches have become slower. A hopeless trial ends
with its first batch.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

TRIED = 3  # batches of a trial, the first of which does not count
AGAIN = 30.0  # seconds between trials; more if they would take over 1/20 of the time
# A batch that takes this many times its usual time is slow.
SLOWER = 1.25


class Autotuner(Generic[T]):
    """The ways to choose from, `choices`, the most likely first, and the `choice` in use.

    The last one is the first to be tried.
    """

    def __init__(self, choices: Sequence[T]) -> None:
        self.choices = list(choices)
        self.choice = self.choices[-1]
        self._trials = self.choices[::-1]
        self._times: dict[T, float] = {}
        self._batches: list[float] = []
        self._wait = self._lost = 0.0

    def batch_done(self, seconds: float) -> None:
        """Take note of a batch's time, and change `choice` if that is due."""
        if len(self.choices) < 2:
            return
        self._wait -= seconds
        if not self._trials:
            # Slower than it was, as where another program has come: by a trial's time in all.
            usual = self._times[self.choice]
            self._lost = max(0.0, self._lost + seconds - SLOWER * usual)
            if self._wait > 0 and self._lost < TRIED * len(self.choices) * usual:
                return
            self._lost = 0.0
            # The choice in use first, so that the others are compared with what it takes now.
            self._times = {}
            self._trials = sorted(self.choices, key=lambda choice: choice != self.choice)
            self._take(self._trials[0])
            return
        self._batches.append(seconds)
        known = [self._times[choice] for choice in self.choices if choice in self._times]
        hopeless = bool(known) and seconds > 2 * min(known)
        if len(self._batches) < TRIED and not hopeless:
            return
        self._times[self._trials.pop(0)] = statistics.mean(self._batches[1:] or self._batches)
        if self._trials:
            self._take(self._trials[0])
            return
        spent = sum(self._times.values()) * TRIED
        self._wait = max(AGAIN, 20 * spent)
        self._take(min(self.choices, key=lambda choice: self._times[choice]))

    def _take(self, choice: T) -> None:
        self._batches = []
        self.choice = choice
