"""How the threads of a team wait for each other: a counter each, in memory that all see.

A thread that arrives adds one to its counter, with release, and reads those of the others, with
acquire, until none is behind. What each wrote before is then seen by all. It spins, which takes
tens of nanoseconds where the others are on time, and lets other threads of the system run where
they are late, as on a busy machine.
"""

from __future__ import annotations

from darknet_py.arrays import LINE
from darknet_py.engine.compiled.jit import (
    compiled,
    load_acquire,
    pause,
    store_release,
    yield_processor,
)

# Looks at a counter, some 20 microseconds, before the processor is given to others.
SPINS = 1000


@compiled
def wait(counters: int, rank: int, threads: int) -> None:
    """Wait until all threads of this call have come here.

    counters: the address of a word for each thread, LINE bytes apart.
    """
    if threads == 1:
        return
    counter = counters + rank * LINE
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
