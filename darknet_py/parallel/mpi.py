"""The ranks that mpiexec has started: `mpiexec -n N darknet-py train ...`.

If that is faster, the gradients are added up layer by layer from the top, while those below are
still computed; the root tries both ways as the run goes. Batch norm is the exception to "as
one process": each rank normalizes over its own streams, and the rolling statistics are averaged.
The extra `mpi` brings mpi4py and an MPI library; without mpiexec nothing of this is imported.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, TypeVar

import numpy as np

from darknet_py.arrays import Array
from darknet_py.autotune import Autotuner
from darknet_py.errors import DarknetError, TrainingError
from darknet_py.parallel import ALONE, Communicator
from darknet_py.parallel.waiting import Waiting

T = TypeVar("T")
log = logging.getLogger(__name__)

# Bytes of a message, of which MPI takes 2 GiB at most.
PIECE = 1 << 28


class MpiCommunicator(Communicator):
    """The processes that mpiexec has started."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self.comm = comm
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()
        self.host = platform.node()
        # Another communicator, so that what the thread adds up meets nothing else.
        self._gradients = comm.Dup()
        self._adder = ThreadPoolExecutor(1, "all-reduce")
        self._sums: list[Future[None]] = []
        self._message = np.zeros(0, np.float32)
        is_threaded = MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._waiting: AbstractContextManager[object] = nullcontext()
        if is_threaded:
            self._waiting = Waiting(comm.Dup(), comm.allgather(self.host))
        # The root's counts, and comes with each message.
        self.autotuner = Autotuner([True, False] if self.broadcast(is_threaded) else [False])

    def start_all_reduce(self, vector: Array) -> None:
        self._sums.append(self._adder.submit(self.sum_in_place, vector))

    def sum_in_place(self, vector: Array) -> None:
        """Make `vector` the sum of all ranks' vectors, in place."""
        from mpi4py import MPI

        with self._waiting:
            self._gradients.Allreduce(MPI.IN_PLACE, vector, op=MPI.SUM)

    def finish_all_reduce(self, *vectors: Array) -> None:
        dtype = vectors[0].dtype
        choice = np.array([self.is_root and self.autotuner.choice], dtype)
        count = sum(map(len, vectors)) + 1
        if len(self._message) != count or self._message.dtype != dtype:
            self._message = np.empty(count, dtype)
        np.concatenate([*vectors, choice], out=self._message)
        # After those that were started, which have the communicator until they are done.
        for done in self._sums:
            done.result()
        self._sums.clear()
        self.sum_in_place(self._message)
        first = 0
        for vector in (*vectors, choice):
            vector[:] = self._message[first : first + len(vector)]
            first += len(vector)
        self.overlaps = bool(choice[0])

    def batch_done(self, seconds: float) -> None:
        self.autotuner.batch_done(seconds)

    def all_reduce(self, number: float) -> float:
        with self._waiting:
            return float(self.comm.allreduce(number))

    def barrier(self) -> None:
        with self._waiting:
            self.comm.Barrier()

    def broadcast(self, value: T) -> T:
        with self._waiting:
            theirs: T = self.comm.bcast(value, root=0)
        return theirs

    def check_same(self, facts: Mapping[str, str]) -> None:
        with self._waiting:
            everyones = self.comm.gather((facts, self.host), root=0)
        for rank, (theirs, host) in enumerate(everyones or ()):
            for name in facts:
                if theirs.get(name) != facts[name]:
                    raise TrainingError(
                        f"rank {rank} on {host} has another {name} than rank 0 on {self.host}: "
                        f"{_one_line(theirs.get(name))} and not {_one_line(facts[name])}; all "
                        f"ranks need the same"
                    )
        # No rank continues before the root has looked.
        self.barrier()

    def broadcast_array(self, array: Array | None) -> Array:
        like = self.broadcast(None if array is None else (array.shape, array.dtype))
        assert like is not None
        if array is None or self.rank:
            array = np.empty(*like)
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for first in range(0, len(flat), PIECE):
            with self._waiting:
                self.comm.Bcast(flat[first : first + PIECE], root=0)
        return flat.view(like[1]).reshape(like[0])

    def gather(self, rows: Array) -> Array:
        with self._waiting:
            pieces = self.comm.gather(rows, root=0)
        return rows if pieces is None else np.concatenate(pieces)

    def abort(self, status: int) -> None:
        self.comm.Abort(status)


@cache
def find_communicator() -> Communicator:
    """The ranks that mpiexec has started, or this process alone. Raises DarknetError."""
    started = _started(os.environ)
    return ALONE if started == 1 else _connect(started)


def _started(environment: Mapping[str, str]) -> int:
    """How many processes were started, as the launchers of Open MPI, and of MPICH and Intel's, tell
    each of them; or Slurm, if it makes them find each other.
    """
    names = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
    if "PMIX_RANK" in environment:
        names.append("SLURM_STEP_NUM_TASKS")
    return max(int(environment.get(name) or 1) for name in names)


def _one_line(fact: str | None) -> str:
    """A fact for a message: a long one, as a cfg is, by its digest."""
    if fact is None:
        return "none"
    if len(fact) <= 64 and "\n" not in fact:
        return fact
    return f"one of SHA-256 {hashlib.sha256(fact.encode()).hexdigest()[:12]}"


def _take_processors() -> None:
    """Run on an even share of the processors that the launcher has on this machine.

    Open MPI binds each of one or two ranks to a single one, however many there are, and ranks of
    two hosts that are one machine to the same.
    """
    ranks = int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") or 0)
    if not ranks or not hasattr(os, "sched_setaffinity"):
        return
    rank = int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
    try:
        whole = sorted(os.sched_getaffinity(os.getppid()))
        share = whole[len(whole) * rank // ranks : len(whole) * (rank + 1) // ranks]
        if len(share) > len(os.sched_getaffinity(0)):
            os.sched_setaffinity(0, share)
    except OSError as error:
        log.debug("the launcher's processors are not known: %s", error)


def _connect(started: int) -> Communicator:
    _take_processors()
    # Ranks that wait would keep the processors from those that compute, and from the system's
    # code that carries their messages.
    os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise DarknetError(
            f"mpiexec has started {started} processes: {error}; install mpi4py: pip install mpi4py"
        ) from error
    if (seen := MPI.COMM_WORLD.Get_size()) != started:
        raise DarknetError(
            f"{started} processes were started, and MPI sees {seen} of them: mpi4py was built for "
            f"another MPI library than that of mpiexec or srun"
        )
    return MpiCommunicator(MPI.COMM_WORLD)
