"""What is said where ranks wait long for another one: which it is, and when it answers again.

A rank that has waited for PATIENCE seconds reports it to the first one. The first one, when it
waits itself, names those from which it has heard nothing: their link or machine may be gone, or
they are still computing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

log = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds until the first line; each other one comes after ten times that
# Seconds between looks, and those that a message may take.
LOOK, GRACE = 1.0, 2.0


class Waiting:
    """A context manager around each exchange with the other ranks, of any thread.

    comm: a communicator of its own. hosts: of all ranks.
    """

    def __init__(self, comm: Any, hosts: Sequence[str]) -> None:
        self.comm = comm
        self.hosts = hosts
        self._lock = threading.Lock()
        self._since: list[float] = []
        self._exchanges = 0
        self._told = -1
        self._heard: dict[int, int] = {}
        self._next = PATIENCE
        self._named: str | None = None
        self._parent = os.getppid()
        threading.Thread(target=self._watch, name="waiting", daemon=True).start()

    def __enter__(self) -> None:
        with self._lock:
            self._since.append(time.monotonic())

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._since.pop(0)
            self._exchanges += 1

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK)
            if os.getppid() != self._parent:
                self._end()
            number, waited = self._state()
            if self.comm.Get_rank():
                self._tell(number, waited)
            else:
                self._look(number, waited)

    def _state(self) -> tuple[int, float]:
        """The exchanges so far, and the seconds that the one under way takes, 0 without one."""
        with self._lock:
            since = self._since[0] if self._since else None
            return self._exchanges, 0.0 if since is None else time.monotonic() - since

    def _end(self) -> None:
        """End a rank whose launcher is gone, and which would wait for ever."""
        if not self.comm.Get_rank():
            log.error(
                "Error: mpiexec has ended, as when a machine is lost; the last checkpoint is "
                "whole, and --resume continues it"
            )
        os._exit(1)

    def _tell(self, number: int, waited: float) -> None:
        """Report to the first rank, once for each exchange."""
        if waited > PATIENCE and number != self._told:
            self.comm.isend(number, dest=0)
            self._told = number

    def _look(self, number: int, waited: float) -> None:
        from mpi4py import MPI

        status = MPI.Status()
        while self.comm.iprobe(status=status):
            self._heard[status.Get_source()] = self.comm.recv(source=status.Get_source())
        if waited < PATIENCE:
            if self._named is not None:
                log.warning("%s answers again: the run continues", self._named)
            self._named, self._next = None, PATIENCE
        elif waited > self._next + GRACE:
            self._named = self._silent(number)
            self._next *= 10
            log.warning(
                "waiting for %s, for %d s so far: still computing, or its link or machine is gone. "
                "The run continues when it answers; Ctrl-C ends it, and its last checkpoint is "
                "whole",
                *(self._named, waited),
            )

    def _silent(self, number: int) -> str:
        """The ranks that do not wait, in words; all others where each of them has told that."""
        others = range(1, len(self.hosts))
        silent = [rank for rank in others if self._heard.get(rank) != number] or list(others)
        names = [f"rank {rank} on {self.hosts[rank]}" for rank in silent[:3]]
        return " and ".join(names) + (f" and {len(silent) - 3} others" if len(silent) > 3 else "")
