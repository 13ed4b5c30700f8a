"""What is said where a rank waits long for another."""

from __future__ import annotations

import logging
import threading
import types
from typing import Any

import pytest

from darknet_py.parallel import waiting
from darknet_py.parallel.waiting import Waiting


class Comm:
    """The communicator of a rank, whose looks a test makes one by one."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.sent: list[int] = []
        self.inbox: list[tuple[int, int]] = []

    def Get_rank(self) -> int:
        return self.rank

    def isend(self, number: int, dest: int) -> None:
        assert dest == 0
        self.sent.append(number)

    def iprobe(self, status: Any) -> bool:
        if self.inbox:
            status.source = self.inbox[0][0]
        return bool(self.inbox)

    def recv(self, source: int) -> int:
        return self.inbox.pop(0)[1]


class Status:
    source = -1

    def Get_source(self) -> int:
        return self.source


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes a Waiting with no thread, of a rank among three hosts."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    package = types.ModuleType("mpi4py")
    package.MPI = types.SimpleNamespace(Status=Status)  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", package)
    return lambda rank: Waiting(Comm(rank), ["a", "b", "c"])


def test_the_silent_rank_is_named(watch: Any, caplog: pytest.LogCaptureFixture) -> None:
    watcher = watch(0)
    with caplog.at_level(logging.WARNING):
        watcher._look(7, 29.0)
        assert not caplog.messages
        watcher.comm.inbox.append((1, 7))
        watcher._look(7, 33.0)
        assert caplog.messages[0].startswith("waiting for rank 2 on c, for 33 s so far")
        # Rarely said again.
        watcher._look(7, 299.0)
        assert len(caplog.messages) == 1
        watcher._look(7, 303.0)
        assert len(caplog.messages) == 2
        watcher._look(8, 0.0)
        assert caplog.messages[2:] == ["rank 2 on c answers again: the run continues"]
        watcher._look(9, 0.0)
        assert len(caplog.messages) == 3


def test_what_was_heard_of_another_exchange_does_not_count(
    watch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = watch(0)
    watcher.comm.inbox += [(1, 6), (2, 7)]
    with caplog.at_level(logging.WARNING):
        watcher._look(7, 40.0)
    assert caplog.messages[0].startswith("waiting for rank 1 on b, ")


def test_a_rank_that_waits_tells_the_first_one_once(watch: Any) -> None:
    watcher = watch(2)
    watcher._tell(3, waiting.PATIENCE - 1)
    assert watcher.comm.sent == []
    watcher._tell(3, waiting.PATIENCE + 1)
    watcher._tell(3, waiting.PATIENCE + 2)
    watcher._tell(4, 0.0)
    assert watcher.comm.sent == [3]


def test_exchanges_are_counted(watch: Any) -> None:
    watcher = watch(1)
    assert watcher._state() == (0, 0.0)
    with watcher:
        assert watcher._state()[0] == 0
    assert watcher._state() == (1, 0.0)
