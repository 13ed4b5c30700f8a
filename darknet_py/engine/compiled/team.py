"""Threads of this process that compute one thing together, each its own part of it.

The thread that calls is thread 0. The others wait in compiled code, without the GIL, for about a
millisecond; then they go back to Python and sleep until a bell rings. A job is only given out while
all that it needs are awake, and within one compiled call, so that an interruption finds no job half
given out.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

import numba
import numpy as np

from darknet_py.arrays import LINE, Array, aligned
from darknet_py.engine.compiled import gru, linear, lstm, rnn, vectors, writing
from darknet_py.engine.compiled.barrier import SPINS, wait
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    compiled,
    fence,
    keep_on_disk,
    link,
    load_acquire,
    pause,
    sources,
    store_release,
    words,
    yield_processor,
)
from darknet_py.engine.compiled.records import (
    ADAM,
    CONNECTED,
    GRU,
    LSTM,
    RNN,
    SGD,
    SOFTMAX,
    SOFTMAX_DELTA,
    WRITE,
    linear_of,
    walk_at,
)

MOST = 64
# The posts begin with a line for each thread's counter of the barrier. After those each thread has
# a line of these words.
_CALLED, _HEARD, _HOLD, _ASLEEP, _STOP, _JOB, _THREADS = (MOST * LINE + 8 * k for k in range(7))
_SPARE = -(-linear.SPARE * FLOAT_BYTES // LINE) * LINE
# Times that an idle thread lets others run before it sleeps: about a millisecond.
IDLE = 3000
DONE, SLEEPING, STOPPED = range(3)


@compiled
def work(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """One thread's part of a job: the record that lies at the address `job`."""
    code = words(job, (1,))[0]
    if code == RNN:
        rnn.forward(job, counters, rank, threads, spare)
    elif code == RNN + 1:
        rnn.backward(job, counters, rank, threads, spare)
    elif code == GRU:
        gru.forward(job, counters, rank, threads, spare)
    elif code == GRU + 1:
        gru.backward(job, counters, rank, threads, spare)
    elif code == LSTM:
        lstm.forward(job, counters, rank, threads, spare)
    elif code == LSTM + 1:
        lstm.backward(job, counters, rank, threads, spare)
    elif code == CONNECTED:
        linear.forward(linear_of(job, 0), rank, threads, spare)
    elif code == CONNECTED + 1:
        w = walk_at(job)
        linear.backward(linear_of(job, 0), w.delta, w.below, counters, rank, threads, spare)
    elif code == SGD:
        vectors.sgd(job, rank, threads)
    elif code == ADAM:
        vectors.adam(job, rank, threads)
    elif code == SOFTMAX:
        vectors.softmax(job, rank, threads)
    elif code == WRITE:
        writing.write(job, counters, rank, threads, spare)
    elif code == SOFTMAX_DELTA:
        vectors.softmax_delta(job, rank, threads)


@compiled
def _lead(posts: int, spares: int, job: int, threads: int) -> int:
    """Give a job out and do the part of thread 0; SLEEPING where that cannot be done yet."""
    for rank in range(1, threads):
        store_release(posts + rank * LINE + _HOLD, 1)
    fence()
    sleeping = 0
    for rank in range(1, threads):
        tries = 0
        while load_acquire(posts + rank * LINE + _ASLEEP) != 0 and tries < 1000:
            yield_processor()
            tries += 1
        sleeping += load_acquire(posts + rank * LINE + _ASLEEP)
    if sleeping == 0:
        for rank in range(1, threads):
            post = posts + rank * LINE
            store_release(post, load_acquire(posts))
            store_release(post + _JOB, job)
            store_release(post + _THREADS, threads)
            store_release(post + _CALLED, load_acquire(post + _CALLED) + 1)
    for rank in range(1, threads):
        store_release(posts + rank * LINE + _HOLD, 0)
    if sleeping != 0:
        return SLEEPING
    work(job, posts, 0, threads, spares)
    wait(posts, 0, threads)
    return DONE


@compiled
def _serve(posts: int, spares: int, rank: int) -> int:
    """Do a thread's part of the jobs that come, until it should sleep or end."""
    post = posts + rank * LINE
    store_release(post + _ASLEEP, 0)
    idle = 0
    while True:
        if load_acquire(post + _STOP) != 0:
            return STOPPED
        called = load_acquire(post + _CALLED)
        if called != load_acquire(post + _HEARD):
            store_release(post + _HEARD, called)
            threads = load_acquire(post + _THREADS)
            work(load_acquire(post + _JOB), posts, rank, threads, spares + rank * _SPARE)
            wait(posts, rank, threads)
            idle = 0
            continue
        idle += 1
        if idle < SPINS:
            pause()
        elif idle < SPINS + IDLE:
            yield_processor()
        else:
            store_release(post + _ASLEEP, 1)
            fence()
            # A job that was given out before this thread was seen to sleep is waited for. It is
            # looked for last: who gave it out lets go of the hold after that.
            is_held = load_acquire(post + _HOLD) != 0 or load_acquire(post + _STOP) != 0
            if not is_held and load_acquire(post + _CALLED) == load_acquire(post + _HEARD):
                return SLEEPING
            store_release(post + _ASLEEP, 0)
            idle = SPINS


def _enter(posts: int, spares: int, rank: int, job: int, threads: int) -> int:
    """The one function that Python calls."""
    if rank == 0:
        return _lead(posts, spares, job, threads)
    return _serve(posts, spares, rank)


def _make_enter() -> Any:
    link()
    enter = numba.njit(_enter, nogil=True)
    keep_on_disk(enter, sources())
    enter.compile("intp(intp, intp, intp, intp, intp)")
    return enter


class Team:
    """The threads of this process; `run` gives them a job.

    threads: how many compute a job for which nothing else is said, 1 to begin with.
    They are made when they are first needed and end with the interpreter, or with `stop`. In a
    forked child there are none, until it needs some of its own.
    """

    def __init__(self) -> None:
        self.threads = 1
        self._lock = threading.Lock()
        self._enter: Any = None
        self._reset()
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _reset(self) -> None:
        self._posts = aligned(2 * MOST * LINE // 8, np.int64)
        self._spares = aligned(MOST * _SPARE // FLOAT_BYTES)
        self._addresses = self._posts.ctypes.data, self._spares.ctypes.data
        self._threads: list[threading.Thread] = []
        self._bells: list[threading.Event] = []

    def _forked(self) -> None:
        self._lock = threading.Lock()
        self._reset()

    @property
    def size(self) -> int:
        """Threads that there are, the caller's own included."""
        return 1 + len(self._threads)

    def compile(self) -> None:
        """Make the engine ready: read it from disk, or compile it, which takes some seconds."""
        if self._enter is None:
            self._enter = _make_enter()

    def run(self, job: Array, threads: int | None = None) -> None:
        """Compute a record (records.py) with so many threads; the same bits with any number."""
        self.compile()
        threads = min(threads or self.threads, MOST)
        with self._lock:
            while self.size < threads:
                self._add()
            address = job.ctypes.data
            self._ring(threads)
            while self._enter(*self._addresses, 0, address, threads) == SLEEPING:
                self._ring(threads)

    def _ring(self, threads: int) -> None:
        """Wake those of the threads that sleep."""
        for rank in range(1, threads):
            if self._posts[(_ASLEEP + rank * LINE) // 8]:
                self._bells[rank - 1].set()

    def _add(self) -> None:
        rank = self.size
        bell = threading.Event()
        thread = threading.Thread(
            target=self._serve,
            args=(self._enter, self._addresses, rank, bell),
            name=f"darknet-py {rank}",
            daemon=True,
        )
        self._bells.append(bell)
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _serve(enter: Any, addresses: tuple[int, int], rank: int, bell: threading.Event) -> None:
        while enter(*addresses, rank, 0, 0) == SLEEPING:
            bell.wait()
            bell.clear()

    def stop(self) -> None:
        """End the threads; the next job makes new ones."""
        with self._lock:
            self._posts[_STOP // 8 :: LINE // 8] = 1
            for bell in self._bells:
                bell.set()
            for thread in self._threads:
                thread.join()
            self._reset()


TEAM = Team()
