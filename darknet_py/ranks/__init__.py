"""Processes that train one network together, each on some of its streams.

Every rank runs the same loop. Each has the whole network and draws the offsets and jumps of all
streams, so that it knows its own; before each update their gradients are added up, in one exchange
with all else that they have to tell each other. The first one writes and talks. There are two
kinds:

    Ranks                     one process alone: it says what the others do
    mpi.MpiRanks              those that mpiexec has started, on any number of machines
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from darknet_py.arrays import Array

T = TypeVar("T")


class Ranks:
    """One process alone; the methods say what they do where there are more."""

    rank = 0
    size = 1
    # Whether the gradients of the upper layers are added up while the backward pass still goes on
    # below, by `start_adding`. That hides a slow link; elsewhere the cores have no time to spare.
    overlaps = False

    @property
    def is_first(self) -> bool:
        """Whether this one writes and talks."""
        return self.rank == 0

    def own(self, streams: int) -> slice:
        """Which of so many streams this rank has; the numbers differ by one at most."""
        return slice(streams * self.rank // self.size, streams * (self.rank + 1) // self.size)

    def start_adding(self, vector: Array) -> None:
        """Make `vector` the sum of all ranks' vectors, in place, at the latest by the time that
        `finish_adding` returns; until then it belongs to the ranks.
        """

    def finish_adding(self, *vectors: Array) -> None:
        """Make each vector the sum of all ranks', in place, all in one exchange, and wait for the
        sums that were started. vectors: of one dtype. Raises what adding up has raised.
        """

    def batch_done(self, seconds: float) -> None:
        """Take note of a batch's time, by which `overlaps` is chosen."""

    def total(self, number: float) -> float:
        """The sum of all ranks' numbers."""
        return number

    def decide(self, value: T) -> T:
        """The first rank's value, on all of them: what depends on time or signals."""
        return value

    def same(self, facts: Mapping[str, str]) -> None:
        """Raise TrainingError, on the first rank, where another one has other facts, by name."""

    def spread(self, array: Array | None) -> Array:
        """The first rank's array, on all of them."""
        assert array is not None
        return array

    def gather(self, rows: Array) -> Array:
        """On the first rank all ranks' rows, one after another; elsewhere its own."""
        return rows

    def abort(self, status: int) -> None:
        """End this process and all the others."""
        sys.exit(status)


def take_apart(whole: Array, vectors: Iterable[Array]) -> None:
    """Copy the entries of `whole` into the vectors, one after another."""
    first = 0
    for vector in vectors:
        np.copyto(vector, whole[first : first + len(vector)])
        first += len(vector)


ALONE = Ranks()
