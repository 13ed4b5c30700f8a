"""`[rnn]`'s walk through time, compiled: the twin of `layers/rnn.py`, which has the formulas.

Connected layers: the input, self and output layer. Each thread has its own columns of the state;
it needs those of the others for the next step's product, so they wait for each other once a step.
"""

from __future__ import annotations

from darknet_py.engine.compiled import linear
from darknet_py.engine.compiled.barrier import wait
from darknet_py.engine.compiled.jit import FLOAT_BYTES, exported, floats
from darknet_py.engine.compiled.product import share
from darknet_py.engine.compiled.records import linear_of, walk_at


@exported
def forward(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """state (time_steps + 1, streams, outputs): the first is given."""
    w = walk_at(job)
    inner, recurrent, outer = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    first, end = share(w.outputs, rank, threads)
    row = w.outputs * FLOAT_BYTES
    step = w.streams * row
    linear.forward(inner, rank, threads, spare)
    linear.pack_forward(recurrent, rank, threads)
    for t in range(w.time_steps):
        linear.forward_products(recurrent, w.state + t * step, t, 1, rank, threads, spare)
        linear.forward_norm(recurrent, t, 1, rank, threads, spare)
        for s in range(w.streams):
            at = t * step + s * row + first * FLOAT_BYTES
            before = floats(w.state + at, (end - first,))
            after = floats(w.state + step + at, (end - first,))
            a, b = (
                floats(w.linears[0].y + at, (end - first,)),
                floats(w.linears[1].y + at, (end - first,)),
            )
            if w.shortcut:
                for j in range(len(after)):
                    after[j] = a[j] + b[j] + before[j]
            else:
                for j in range(len(after)):
                    after[j] = a[j] + b[j]
        wait(counters, rank, threads)
    linear.forward(outer, rank, threads, spare)


@exported
def backward(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """d_state, d_self: of the state and of the self layer's products, all steps."""
    w = walk_at(job)
    inner, recurrent, outer = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    first, end = share(w.outputs, rank, threads)
    row = w.outputs * FLOAT_BYTES
    step = w.streams * row
    linear.backward(outer, w.delta, w.d_state, counters, rank, threads, spare)
    linear.pack_backward(recurrent, rank, threads)
    for t in range(w.time_steps - 1, -1, -1):
        for s in range(w.streams):
            at = t * step + s * row + first * FLOAT_BYTES
            d, to = floats(w.d_state + at, (end - first,)), floats(w.d_self + at, (end - first,))
            for j in range(len(d)):
                to[j] = d[j]
        linear.backward_norm(recurrent, w.d_self, t, 1, rank, threads, spare)
        wait(counters, rank, threads)
        if t == 0:
            break
        before = w.d_state + (t - 1) * step
        linear.below(recurrent, w.d_self + t * step, w.streams, before, 1, rank, threads, spare)
        if w.shortcut:
            for s in range(w.streams):
                at = s * row + first * FLOAT_BYTES
                d = floats(w.d_state + t * step + at, (end - first,))
                to = floats(before + at, (end - first,))
                for j in range(len(d)):
                    to[j] += d[j]
    linear.add_updates(recurrent, w.d_self, counters, rank, threads, spare)
    linear.backward(inner, w.d_state, w.below, counters, rank, threads, spare)
