"""`[gru]`'s walk through time, compiled: the twin of `layers/gru.py`, which has the formulas.

Connected layers: the u of all gates, of the input, in three parts z, r, h; the w of z and r, of
the state; the w of h, of the state after the reset. A thread has the same columns of all gates and
of the state. Two products a step need the others' columns, so the threads wait twice.
"""

from __future__ import annotations

from darknet_py.engine.compiled import linear
from darknet_py.engine.compiled.barrier import wait
from darknet_py.engine.compiled.functions import ONE, activate, logistic, times_slope
from darknet_py.engine.compiled.jit import FLOAT_BYTES, exported, floats
from darknet_py.engine.compiled.product import share
from darknet_py.engine.compiled.records import linear_of, walk_at


@exported
def forward(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """state (time_steps + 1, streams, outputs): the first is given."""
    w = walk_at(job)
    of_input, of_state, of_reset = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    n = w.outputs
    first, end = share(n, rank, threads)
    count = end - first
    wide, step = n * FLOAT_BYTES, w.streams * n * FLOAT_BYTES
    linear.forward(of_input, rank, threads, spare)
    linear.pack_forward(of_state, rank, threads)
    linear.pack_forward(of_reset, rank, threads)
    for t in range(w.time_steps):
        linear.forward_products(of_state, w.state + t * step, t, 1, rank, threads, spare)
        linear.forward_norm(of_state, t, 1, rank, threads, spare)
        for s in range(w.streams):
            row = t * w.streams + s
            at = (row * 3 * n + first) * FLOAT_BYTES
            z, r = floats(w.gates + at, (count,)), floats(w.gates + at + wide, (count,))
            if not w.linears[1].add:
                at = (row * 2 * n + first) * FLOAT_BYTES
                more_z, more_r = (
                    floats(w.linears[1].y + at, (count,)),
                    floats(w.linears[1].y + at + wide, (count,)),
                )
                for j in range(count):
                    z[j] += more_z[j]
                    r[j] += more_r[j]
            at = (row * n + first) * FLOAT_BYTES
            before, reset = floats(w.state + at, (count,)), floats(w.reset + at, (count,))
            for j in range(count):
                z[j] = logistic(z[j])
                r[j] = logistic(r[j])
                reset[j] = r[j] * before[j]
        wait(counters, rank, threads)
        linear.forward_products(of_reset, w.reset + t * step, t, 1, rank, threads, spare)
        linear.forward_norm(of_reset, t, 1, rank, threads, spare)
        for s in range(w.streams):
            row = t * w.streams + s
            at = (row * 3 * n + first) * FLOAT_BYTES
            z, h = floats(w.gates + at, (count,)), floats(w.gates + at + 2 * wide, (count,))
            at = (row * n + first) * FLOAT_BYTES
            if not w.linears[2].add:
                more = floats(w.linears[2].y + at, (count,))
                for j in range(count):
                    h[j] += more[j]
            activate(h, w.kind, ONE)
            before, after = floats(w.state + at, (count,)), floats(w.state + step + at, (count,))
            for j in range(count):
                after[j] = (before[j] - h[j]) * z[j] + h[j]
        wait(counters, rank, threads)


@exported
def backward(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """d_gates: of u's products; d_self: of those of z and r; d_more: of that of h.

    d_cell: room for the delta of r s, (streams, outputs).
    """
    w = walk_at(job)
    of_input, of_state, of_reset = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    n = w.outputs
    first, end = share(n, rank, threads)
    count = end - first
    wide, step = n * FLOAT_BYTES, w.streams * n * FLOAT_BYTES
    linear.pack_backward(of_state, rank, threads)
    linear.pack_backward(of_reset, rank, threads)
    for t in range(w.time_steps - 1, -1, -1):
        for s in range(w.streams):
            row = t * w.streams + s
            at = (row * 3 * n + first) * FLOAT_BYTES
            z, h = floats(w.gates + at, (count,)), floats(w.gates + at + 2 * wide, (count,))
            d_z = floats(w.d_gates + at, (count,))
            d_h = floats(w.d_gates + at + 2 * wide, (count,))
            at = (row * n + first) * FLOAT_BYTES
            ds, before = floats(w.delta + at, (count,)), floats(w.state + at, (count,))
            to = floats(w.d_more + at, (count,))
            for j in range(count):
                d = ds[j] - ds[j] * z[j]
                d_z[j] = d * (before[j] - h[j]) * z[j]
                d_h[j] = d
            times_slope(d_h, h, w.kind, ONE)
            for j in range(count):
                to[j] = d_h[j]
        linear.backward_norm(of_reset, w.d_more, t, 1, rank, threads, spare)
        wait(counters, rank, threads)
        linear.below(of_reset, w.d_more + t * step, w.streams, w.d_cell, 0, rank, threads, spare)
        for s in range(w.streams):
            row = t * w.streams + s
            at = (row * 3 * n + first) * FLOAT_BYTES
            r = floats(w.gates + at + wide, (count,))
            d_z, d_r = floats(w.d_gates + at, (count,)), floats(w.d_gates + at + wide, (count,))
            before = floats(w.state + (row * n + first) * FLOAT_BYTES, (count,))
            d_reset = floats(w.d_cell + s * wide + first * FLOAT_BYTES, (count,))
            at = (row * 2 * n + first) * FLOAT_BYTES
            to_z, to_r = floats(w.d_self + at, (count,)), floats(w.d_self + at + wide, (count,))
            for j in range(count):
                d_r[j] = d_reset[j] * before[j] * (r[j] - r[j] * r[j])
                to_z[j] = d_z[j]
                to_r[j] = d_r[j]
        linear.backward_norm(of_state, w.d_self, t, 1, rank, threads, spare)
        wait(counters, rank, threads)
        if t == 0:
            break
        out = w.delta + (t - 1) * step
        linear.below(of_state, w.d_self + t * 2 * step, w.streams, out, 1, rank, threads, spare)
        for s in range(w.streams):
            row = t * w.streams + s
            at = (row * 3 * n + first) * FLOAT_BYTES
            z, r = floats(w.gates + at, (count,)), floats(w.gates + at + wide, (count,))
            ds = floats(w.delta + (row * n + first) * FLOAT_BYTES, (count,))
            d_reset = floats(w.d_cell + s * wide + first * FLOAT_BYTES, (count,))
            to = floats(out + s * wide + first * FLOAT_BYTES, (count,))
            for j in range(count):
                to[j] += ds[j] * z[j] + d_reset[j] * r[j]
    linear.add_updates(of_reset, w.d_more, counters, rank, threads, spare)
    linear.add_updates(of_state, w.d_self, counters, rank, threads, spare)
    linear.backward(of_input, w.d_gates, w.below, counters, rank, threads, spare)
