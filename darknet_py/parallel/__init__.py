"""Processes that train one network together, each on some of its streams, in MPI's words.

Every process, or rank, runs the same loop. Each has the whole network and draws the offsets and
jumps of all streams, so that it knows its share; before each update their gradients are added up,
in one exchange with all else that they have to tell each other. The first one, the root, writes and
talks. There are two kinds:

    Communicator              one process alone: it describes what the others do
    mpi.MpiCommunicator       those that mpiexec has started, on any number of machines
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TypeVar

from darknet_py.arrays import Array

T = TypeVar("T")


class Communicator:
    """One process alone; the methods describe what they do with more."""

    rank = 0
    size = 1
    # Whether the gradients of the upper layers are added up while the backward pass still continues
    # below, by `start_all_reduce`. That hides a slow link; elsewhere no core has time to spare.
    overlaps = False

    @property
    def is_root(self) -> bool:
        """Whether this process writes and talks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The part of `count` things that this rank has; the shares differ by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def start_all_reduce(self, vector: Array) -> None:
        """Make `vector` the sum of all ranks' vectors, in place, at the latest by the time that
        `finish_all_reduce` returns; until then nothing else may use it.
        """

    def finish_all_reduce(self, *vectors: Array) -> None:
        """Make each vector the sum of all ranks', in place, all in one exchange, and wait for the
        sums that were started. vectors: of one dtype. Raises what adding up has raised.
        """

    def batch_done(self, seconds: float) -> None:
        """Take note of a batch's time, by which `overlaps` is chosen."""

    def all_reduce(self, number: float) -> float:
        """The sum of all ranks' numbers."""
        return number

    def barrier(self) -> None:
        """Wait until all ranks are here."""

    def broadcast(self, value: T) -> T:
        """The root's value, on all ranks: what depends on time or signals."""
        return value

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Raise TrainingError, on the root, if another rank has other facts, by name."""

    def broadcast_array(self, array: Array | None) -> Array:
        """The root's array, on all ranks."""
        assert array is not None
        return array

    def gather(self, rows: Array) -> Array:
        """On the root all ranks' rows, one after another; elsewhere this rank's."""
        return rows

    def abort(self, status: int) -> None:
        """End this process and all the others."""
        sys.exit(status)


ALONE = Communicator()
