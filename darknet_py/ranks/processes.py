"""Processes of this machine that share a datum's streams: `train --processes N`.

A product of few rows gains little from a second BLAS thread; two products of half the streams, side
by side, gain nearly all of a second core. So the first process starts others, which run the same
loop on their own streams. Gradients are added up in memory that all of them see, each rank adding
up its share of the entries; all else goes over a socket between the first rank and each of the
others. They end with the first process, however that ends.

Batch norm needs all streams at once and keeps to one process.
"""

from __future__ import annotations

import mmap
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, TypeVar

import numpy as np

from darknet_py.arrays import Array
from darknet_py.errors import TrainingError
from darknet_py.ranks import Ranks, take_apart

T = TypeVar("T")

ALIGNMENT = 64  # bytes, so that no two rows share a cache line
BESIDE = 64  # bytes of the numbers that go with a gradient
SECONDS_TO_END = 5.0
# A process that sleeps takes up to a millisecond to wake; so look for this long before sleeping.
SECONDS_AWAKE = 0.002


class Failure(str):
    """What a rank sends in place of an answer when it cannot go on."""


class Link:
    """A connection to another rank, which waits awake for a moment before it sleeps."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)

    def send(self, value: object) -> None:
        """Raises OSError where the other is gone."""
        self._connection.send(value)

    def receive(self) -> Any:
        """Raises OSError or EOFError where the other is gone."""
        limit = time.perf_counter() + SECONDS_AWAKE
        while not self._poll.poll(0) and time.perf_counter() < limit:
            pass
        return self._connection.recv()

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()


class ProcessRanks(Ranks):
    """The processes of this machine that share memory and are linked to the first of them.

    links: to the first rank; or of the first rank, to each of the others. memory: has a row for
    each rank and one for their sum.
    """

    def __init__(self, rank: int, size: int, links: Sequence[Link], memory: mmap.mmap) -> None:
        self.rank = rank
        self.size = size
        self.links = links
        self._bytes = np.frombuffer(memory, np.uint8).reshape(size + 1, -1)

    # --- one rank to another

    def _send(self, link: Link, value: object) -> None:
        try:
            link.send(value)
        except OSError:
            raise self.lost(link) from None

    def _receive(self, link: Link) -> Any:
        try:
            value = link.receive()
        except (OSError, EOFError):
            raise self.lost(link) from None
        if isinstance(value, Failure):
            raise TrainingError(f"{self.name(link)}: {value}")
        return value

    def name(self, link: Link) -> str:
        """Of the rank at the other end."""
        other = self.links.index(link) + 1 if self.is_first else 0
        return f"process {other + 1} of {self.size}"

    def lost(self, link: Link) -> TrainingError:
        """The error where the other end is gone."""
        return TrainingError(f"{self.name(link)} ended unexpectedly; continue with --resume")

    # --- what all do together

    def _meet(self) -> None:
        """Go on when all ranks are here."""
        self.total(0)

    def finish_adding(self, *vectors: Array) -> None:
        rows = self._bytes.view(vectors[0].dtype)
        for parts in _portions(vectors, rows.shape[1]):
            count = sum(map(len, parts))
            np.concatenate(parts, out=rows[self.rank, :count])
            self._meet()
            own = self.own(count)
            np.add(rows[0, own], rows[1, own], out=rows[self.size, own])
            for row in rows[2 : self.size]:
                np.add(rows[self.size, own], row[own], out=rows[self.size, own])
            self._meet()
            take_apart(rows[self.size, :count], parts)

    def total(self, number: float) -> float:
        if not self.is_first:
            self._send(self.links[0], number)
            return float(self._receive(self.links[0]))
        for link in self.links:
            number += self._receive(link)
        return self.decide(number)

    def decide(self, value: T) -> T:
        if not self.is_first:
            decided: T = self._receive(self.links[0])
            return decided
        for link in self.links:
            self._send(link, value)
        return value

    def gather(self, rows: Array) -> Array:
        if not self.is_first:
            self._send(self.links[0], rows)
            return rows
        return np.concatenate([rows, *map(self._receive, self.links)])

    def fail(self, message: str) -> None:
        """Tell the first rank that this one cannot go on."""
        with suppress(OSError):
            self.links[0].send(Failure(message))


def _portions(vectors: Sequence[Array], most: int) -> Iterator[list[Array]]:
    """All entries in their order, as views of so many at most in all."""
    parts: list[Array] = []
    room = most
    for vector in vectors:
        first = 0
        while first < len(vector):
            part = vector[first : first + room]
            parts.append(part)
            first += len(part)
            room -= len(part)
            if not room:
                yield parts
                parts, room = [], most
    if parts:
        yield parts


class StartedProcesses(ProcessRanks):
    """The first rank, which starts the others; a context that ends them.

    row_bytes: what is added up at once, beside a few numbers. threads: of BLAS in each of them.
    code: what they execute, in which `join` gives them their ranks. Raises TrainingError where they
    cannot be started; what they import takes a moment, and the first `total` waits for that.
    """

    def __init__(self, size: int, row_bytes: int, threads: int, code: str) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        links: list[Link] = []
        row = -(-(row_bytes + BESIDE) // ALIGNMENT) * ALIGNMENT
        try:
            file = _memory_file((size + 1) * row)
            try:
                memory = mmap.mmap(file, (size + 1) * row)
                for rank in range(1, size):
                    ours, theirs = Pipe()
                    links.append(Link(ours))
                    with theirs:
                        place = (rank, size, theirs.fileno(), file, (size + 1) * row)
                        self._processes.append(_start(code, place, threads))
            finally:
                os.close(file)
        except OSError as error:
            self.links = links
            self.end()
            raise TrainingError(f"cannot start {size} processes: {error}") from error
        super().__init__(0, size, links, memory)

    def lost(self, link: Link) -> TrainingError:
        process = self._processes[self.links.index(link)]
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        return TrainingError(
            f"{self.name(link)} ended unexpectedly (status {process.returncode}); continue with "
            f"--resume"
        )

    def end(self) -> None:
        """End the others, which wait for the first one sooner or later."""
        for link in self.links:
            link.close()
        for process in self._processes:
            _end(process)
        self._processes.clear()

    def __enter__(self) -> StartedProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end, which is brought about where it computes for long."""
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def join(rank: int, size: int, link: int, file: int, length: int) -> ProcessRanks:
    """The ranks as one of the others sees them; link, file: descriptors from the first one."""
    memory = mmap.mmap(file, length)
    os.close(file)
    return ProcessRanks(rank, size, [Link(Connection(link))], memory)


def _start(code: str, place: tuple[int, ...], threads: int) -> subprocess.Popen[bytes]:
    """A process that imports what this one imports and executes `code`, `place` being its."""
    _, _, link, file, _ = place
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; place = {place}; {code}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads)},
        pass_fds=(link, file),
        # Ctrl-C and the end of the terminal are for the first process alone.
        start_new_session=True,
    )


def _memory_file(size: int) -> int:
    """A file of so many bytes that has no name and is memory where that can be had."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("darknet-py")
        os.posix_fallocate(file, 0, max(1, size))
        return file
    with tempfile.TemporaryFile() as temporary:
        temporary.truncate(max(1, size))
        return os.dup(temporary.fileno())
