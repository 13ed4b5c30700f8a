"""`[lstm]`'s walk through time, compiled: the twin of `layers/lstm.py`, which has the formulas.

Connected layers: the u of the gates, of the input, and the w, of the state, each of four parts f,
i, o, g. A thread has the same columns of all four gates and of h and c.
"""

from __future__ import annotations

from darknet_py.engine.compiled import linear
from darknet_py.engine.compiled.barrier import wait
from darknet_py.engine.compiled.functions import ONE, logistic, tanh
from darknet_py.engine.compiled.jit import FLOAT_BYTES, exported, floats
from darknet_py.engine.compiled.product import share
from darknet_py.engine.compiled.records import linear_of, walk_at


@exported
def forward(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """state, cell: h and c, (time_steps + 1, streams, outputs), the first given."""
    w = walk_at(job)
    of_input, of_state = linear_of(job, 0), linear_of(job, 1)
    n = w.outputs
    first, end = share(n, rank, threads)
    count = end - first
    linear.forward(of_input, rank, threads, spare)
    linear.pack_forward(of_state, rank, threads)
    for t in range(w.time_steps):
        h = w.state + t * w.streams * n * FLOAT_BYTES
        linear.forward_products(of_state, h, t, 1, rank, threads, spare)
        linear.forward_norm(of_state, t, 1, rank, threads, spare)
        for s in range(w.streams):
            r = t * w.streams + s
            if not w.linears[1].add:
                for part in range(4):
                    at = ((r * 4 + part) * n + first) * FLOAT_BYTES
                    gate, more = (
                        floats(w.gates + at, (count,)),
                        floats(w.linears[1].y + at, (count,)),
                    )
                    for j in range(count):
                        gate[j] += more[j]
            at = (r * 4 * n + first) * FLOAT_BYTES
            gate_bytes = n * FLOAT_BYTES
            f, i = floats(w.gates + at, (count,)), floats(w.gates + at + gate_bytes, (count,))
            o = floats(w.gates + at + 2 * gate_bytes, (count,))
            g = floats(w.gates + at + 3 * gate_bytes, (count,))
            at = (r * n + first) * FLOAT_BYTES
            next_at = at + w.streams * gate_bytes
            before, after = floats(w.cell + at, (count,)), floats(w.cell + next_at, (count,))
            bent, out = floats(w.bent_cell + at, (count,)), floats(w.state + next_at, (count,))
            for j in range(count):
                f[j] = logistic(f[j])
                i[j] = logistic(i[j])
                o[j] = logistic(o[j])
                g[j] = tanh(g[j])
            for j in range(count):
                c = f[j] * before[j] + i[j] * g[j]
                after[j] = c
                bent[j] = tanh(c)
                out[j] = o[j] * bent[j]
        wait(counters, rank, threads)


@exported
def backward(job: int, counters: int, rank: int, threads: int, spare: int) -> None:
    """d_gates: of u's products; d_self: of w's, the same array without batch norm.

    d_cell: the delta of the cell, 0 after the last step.
    """
    w = walk_at(job)
    of_input, of_state = linear_of(job, 0), linear_of(job, 1)
    n = w.outputs
    first, end = share(n, rank, threads)
    count = end - first
    gate_bytes = n * FLOAT_BYTES
    step = w.streams * gate_bytes
    linear.pack_backward(of_state, rank, threads)
    for t in range(w.time_steps - 1, -1, -1):
        for s in range(w.streams):
            r = t * w.streams + s
            at = (r * 4 * n + first) * FLOAT_BYTES
            f, i = floats(w.gates + at, (count,)), floats(w.gates + at + gate_bytes, (count,))
            o = floats(w.gates + at + 2 * gate_bytes, (count,))
            g = floats(w.gates + at + 3 * gate_bytes, (count,))
            d_f, d_i = (
                floats(w.d_gates + at, (count,)),
                floats(w.d_gates + at + gate_bytes, (count,)),
            )
            d_o = floats(w.d_gates + at + 2 * gate_bytes, (count,))
            d_g = floats(w.d_gates + at + 3 * gate_bytes, (count,))
            at = (r * n + first) * FLOAT_BYTES
            dh, before = floats(w.delta + at, (count,)), floats(w.cell + at, (count,))
            bent = floats(w.bent_cell + at, (count,))
            dc = floats(w.d_cell + s * gate_bytes + first * FLOAT_BYTES, (count,))
            for j in range(count):
                d = dc[j] + dh[j] * o[j] * (ONE - bent[j] * bent[j])
                d_o[j] = dh[j] * bent[j] * (o[j] - o[j] * o[j])
                d_f[j] = d * before[j] * (f[j] - f[j] * f[j])
                d_i[j] = d * g[j] * (i[j] - i[j] * i[j])
                d_g[j] = d * (i[j] - i[j] * g[j] * g[j])
                dc[j] = d * f[j]
            if w.d_self != w.d_gates:
                for part in range(4):
                    at = ((r * 4 + part) * n + first) * FLOAT_BYTES
                    source, to = floats(w.d_gates + at, (count,)), floats(w.d_self + at, (count,))
                    for j in range(count):
                        to[j] = source[j]
        linear.backward_norm(of_state, w.d_self, t, 1, rank, threads, spare)
        wait(counters, rank, threads)
        if t > 0:
            out = w.delta + (t - 1) * step
            linear.below(of_state, w.d_self + t * 4 * step, w.streams, out, 1, rank, threads, spare)
    linear.add_updates(of_state, w.d_self, counters, rank, threads, spare)
    linear.backward(of_input, w.d_gates, w.below, counters, rank, threads, spare)
