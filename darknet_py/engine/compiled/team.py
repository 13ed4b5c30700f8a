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
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from darknet_py.arrays import LINE, Array, aligned
from darknet_py.engine.compiled import gru, linear, lstm, masks, rnn, vectors, writing
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    compiled,
    fence,
    link,
    load_acquire,
    pause,
    store_release,
    words,
    yield_processor,
)
from darknet_py.engine.compiled.records import (
    ADAM,
    CONNECTED,
    GRU,
    LSTM,
    MASK,
    MULTIPLY,
    RNN,
    SGD,
    SOFTMAX,
    SOFTMAX_DELTA,
    WRITE,
    linear_of,
    walk_at,
)
from darknet_py.engine.compiled.threads import SPINS, THREAD, thread_at, wait

MOST = 64
# The posts begin with a line for each thread's counter of the barrier. After those each thread has
# a line of these words. Its record (threads.THREAD) has a line elsewhere.
_CALLED, _HEARD, _HOLD, _ASLEEP, _STOP, _JOB, _THREADS = (MOST * LINE + 8 * k for k in range(7))
_SPARE = -(-linear.SPARE * FLOAT_BYTES // LINE) * LINE
# Times that an idle thread lets others run before it sleeps: about a millisecond.
IDLE = 3000
DONE, SLEEPING, STOPPED = range(3)


@compiled
def work(job: int, me: int) -> None:
    """One thread's part of a job: the record that lies at the address `job`."""
    code = words(job, (1,))[0]
    if code == RNN:
        rnn.forward(job, me)
    elif code == RNN + 1:
        rnn.backward(job, me)
    elif code == GRU:
        gru.forward(job, me)
    elif code == GRU + 1:
        gru.backward(job, me)
    elif code == LSTM:
        lstm.forward(job, me)
    elif code == LSTM + 1:
        lstm.backward(job, me)
    elif code == CONNECTED:
        linear.forward(linear_of(job, 0), me)
    elif code == CONNECTED + 1:
        w = walk_at(job)
        linear.backward(linear_of(job, 0), w.delta, w.below, me)
    elif code == SGD:
        vectors.sgd(job, me)
    elif code == ADAM:
        vectors.adam(job, me)
    elif code == SOFTMAX:
        vectors.softmax(job, me)
    elif code == WRITE:
        writing.write(job, me)
    elif code == SOFTMAX_DELTA:
        vectors.softmax_delta(job, me)
    elif code == MULTIPLY:
        vectors.multiply(job, me)
    elif code == MASK:
        masks.fill(job, me)


@compiled
def _lead(me: int, job: int, threads: int) -> int:
    """Give a job out and do the part of thread 0; SLEEPING if that cannot be done yet."""
    posts = thread_at(me).counters
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
    thread_at(me).threads = threads
    work(job, me)
    wait(me)
    return DONE


@compiled
def _serve(me: int) -> int:
    """Do a thread's part of the jobs that come, until it should sleep or end."""
    post = thread_at(me).counters + thread_at(me).rank * LINE
    store_release(post + _ASLEEP, 0)
    idle = 0
    while True:
        if load_acquire(post + _STOP) != 0:
            return STOPPED
        called = load_acquire(post + _CALLED)
        if called != load_acquire(post + _HEARD):
            store_release(post + _HEARD, called)
            thread_at(me).threads = load_acquire(post + _THREADS)
            work(load_acquire(post + _JOB), me)
            wait(me)
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


def _enter(me: int, job: int, threads: int) -> int:
    """The one function that Python calls."""
    return _lead(me, job, threads) if thread_at(me).rank == 0 else _serve(me)


@lru_cache(maxsize=1)
def _make_enter() -> Callable[[int, int, int], int]:
    """It, compiled."""
    return link(_enter, "intp(intp, intp, intp)")


class Team:
    """The threads of this process; `run` gives them a job.

    threads: how many compute a job for which nothing else is said, 1 to begin with.
    They are made when they are first needed and end with the interpreter, or with `stop`. In a
    forked child there are none, until it needs some of its own.
    """

    def __init__(self) -> None:
        self.threads = 1
        self._lock = threading.Lock()
        self._reset()
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _reset(self) -> None:
        self._posts = aligned(2 * MOST * LINE // 8, np.int64)
        self._spares = aligned(MOST * _SPARE // FLOAT_BYTES)
        self._records = aligned(MOST * LINE // 8, np.int64)
        # A record begins each line.
        records = np.ndarray(MOST, THREAD, self._records, strides=(LINE,))
        records["rank"] = np.arange(MOST)
        records["counters"] = self._posts.ctypes.data
        records["spare"] = self._spares.ctypes.data + _SPARE * records["rank"]
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
        _make_enter()

    def run(self, job: Array, threads: int | None = None) -> None:
        """Compute a record (records.py) with this many threads; the same bits with any number."""
        enter = _make_enter()
        threads = min(threads or self.threads, MOST)
        with self._lock:
            while self.size < threads:
                self._add()
            me, address = self._records.ctypes.data, job.ctypes.data
            self._ring(threads)
            while enter(me, address, threads) == SLEEPING:
                self._ring(threads)

    def _ring(self, threads: int) -> None:
        """Wake those of the threads that sleep."""
        for rank in range(1, threads):
            if self._posts[(_ASLEEP + rank * LINE) // 8]:
                self._bells[rank - 1].set()

    def _add(self) -> None:
        rank, bell = self.size, threading.Event()
        me = self._records.ctypes.data + rank * LINE
        name = f"darknet-py {rank}"
        thread = threading.Thread(target=self._serve, args=(me, bell), name=name, daemon=True)
        self._bells.append(bell)
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _serve(me: int, bell: threading.Event) -> None:
        while _make_enter()(me, 0, 0) == SLEEPING:
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
