"""How the threads of a team share work, and how they wait for each other.

They wait by a counter each, in memory that all see. A thread that arrives adds one to its counter,
with release, and reads those of the others, with acquire, until none is behind. What each wrote
before is then seen by all. It spins, which takes tens of nanoseconds if the others are on time,
and lets other threads of the system run if they are late, as on a busy machine.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import LINE
from darknet_py.engine.compiled.jit import (
    compiled,
    load_acquire,
    pause,
    reader,
    store_release,
    yield_processor,
)

# Looks at a counter, some 20 microseconds, before the processor is given to others.
SPINS = 1000


# One of the threads that compute a job; functions take the address of its record as `me`.
# counters: the address of a word for each thread, LINE bytes apart. spare: that of its scratch.
THREAD = np.dtype([(name, np.int64) for name in ("rank", "threads", "counters", "spare")])
thread_at = reader(THREAD)


@compiled
def share(count: int, grain: int, me: int) -> tuple[int, int]:
    """From where to where a thread's share of `count` goes: whole grains, about equally many
    each.
    """
    thread = thread_at(me)
    grains = (count + grain - 1) // grain
    first = grains * thread.rank // thread.threads
    end = grains * (thread.rank + 1) // thread.threads
    return first * grain, min(count, end * grain)


@compiled
def wait(me: int) -> None:
    """Wait until all threads of this call have come here."""
    thread = thread_at(me)
    threads, counters = thread.threads, thread.counters
    if threads == 1:
        return
    counter = counters + thread.rank * LINE
    mine = load_acquire(counter) + 1
    store_release(counter, mine)
    for other in range(threads):
        spins = 0
        while load_acquire(counters + other * LINE) < mine:
            spins += 1
            if spins < SPINS:
                pause()
            else:
                yield_processor()
