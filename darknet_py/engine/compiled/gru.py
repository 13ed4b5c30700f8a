"""`[gru]`'s walk through time, compiled: the twin of `layers/gru.py`, which has the formulas.

Connected layers: the u of all gates, of the input, in three parts z, r, h; the w of z and r, of
the state; the w of h, of the state after the reset. A thread has the same columns of all gates and
of the state. Two products a step need the others' columns, so the threads wait twice.
"""

from __future__ import annotations

from darknet_py.engine.compiled import linear
from darknet_py.engine.compiled.functions import ONE, activate, logistic, times_slope
from darknet_py.engine.compiled.jit import FLOAT_BYTES, Rows, exported, row_of, rows_from
from darknet_py.engine.compiled.product import PANEL
from darknet_py.engine.compiled.records import linear_of, walk_at
from darknet_py.engine.compiled.threads import share, wait


@exported
def forward(job: int, me: int) -> None:
    """state (time_steps + 1, streams, outputs): the first is given."""
    w = walk_at(job)
    of_input, of_state, of_reset = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    n = w.outputs
    first, end = share(n, PANEL, me)
    count, step = end - first, w.streams * n * FLOAT_BYTES
    gates, zr = Rows(w.gates, 3 * n), Rows(w.linears[1].y, 2 * n)
    all_z, all_r = rows_from(gates, 0, first), rows_from(gates, 0, n + first)
    all_h = rows_from(gates, 0, 2 * n + first)
    all_more_z, all_more_r = rows_from(zr, 0, first), rows_from(zr, 0, n + first)
    all_more_h = rows_from(Rows(w.linears[2].y, n), 0, first)
    state, resets = rows_from(Rows(w.state, n), 0, first), rows_from(Rows(w.reset, n), 0, first)
    linear.forward(of_input, me)
    linear.pack_forward(of_state, me)
    linear.pack_forward(of_reset, me)
    linear.begin_steps(of_state, me)
    for t in range(w.time_steps):
        rows = range(t * w.streams, (t + 1) * w.streams)
        linear.forward_products(of_state, w.state + t * step, t, 1, me)
        linear.forward_norm(of_state, t, 1, me)
        for row in rows:
            z, r = row_of(all_z, row, count), row_of(all_r, row, count)
            if not w.linears[1].add:
                more_z, more_r = row_of(all_more_z, row, count), row_of(all_more_r, row, count)
                for j in range(count):
                    z[j] += more_z[j]
                    r[j] += more_r[j]
            before, reset = row_of(state, row, count), row_of(resets, row, count)
            for j in range(count):
                z[j] = logistic(z[j])
                r[j] = logistic(r[j])
                reset[j] = r[j] * before[j]
        linear.round_inputs(of_reset, t, me)
        wait(me)
        linear.forward_products(of_reset, w.reset + t * step, t, 1, me)
        linear.forward_norm(of_reset, t, 1, me)
        for row in rows:
            z, h = row_of(all_z, row, count), row_of(all_h, row, count)
            if not w.linears[2].add:
                more_h = row_of(all_more_h, row, count)
                for j in range(count):
                    h[j] += more_h[j]
            activate(h, w.kind, ONE)
            before, after = row_of(state, row, count), row_of(state, row + w.streams, count)
            for j in range(count):
                after[j] = (before[j] - h[j]) * z[j] + h[j]
        linear.round_inputs(of_state, t + 1, me)
        wait(me)


@exported
def backward(job: int, me: int) -> None:
    """d_gates: of u's products; d_self: of those of z and r; d_more: of that of h.

    d_cell: room for the delta of r s, (streams, outputs).
    """
    w = walk_at(job)
    of_input, of_state, of_reset = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    n = w.outputs
    first, end = share(n, PANEL, me)
    count, step = end - first, w.streams * n * FLOAT_BYTES
    gates, d_gates, d_zr = Rows(w.gates, 3 * n), Rows(w.d_gates, 3 * n), Rows(w.d_self, 2 * n)
    all_z, all_r = rows_from(gates, 0, first), rows_from(gates, 0, n + first)
    all_h = rows_from(gates, 0, 2 * n + first)
    of_z, of_r = rows_from(d_gates, 0, first), rows_from(d_gates, 0, n + first)
    of_h = rows_from(d_gates, 0, 2 * n + first)
    all_to_z, all_to_r = rows_from(d_zr, 0, first), rows_from(d_zr, 0, n + first)
    all_to_h = rows_from(Rows(w.d_more, n), 0, first)
    delta, state = rows_from(Rows(w.delta, n), 0, first), rows_from(Rows(w.state, n), 0, first)
    d_resets = rows_from(Rows(w.d_cell, n), 0, first)
    linear.pack_backward(of_state, me)
    linear.pack_backward(of_reset, me)
    for t in range(w.time_steps - 1, -1, -1):
        for row in range(t * w.streams, (t + 1) * w.streams):
            z, h = row_of(all_z, row, count), row_of(all_h, row, count)
            d_z, d_h = row_of(of_z, row, count), row_of(of_h, row, count)
            ds, before = row_of(delta, row, count), row_of(state, row, count)
            to_h = row_of(all_to_h, row, count)
            for j in range(count):
                d = ds[j] - ds[j] * z[j]
                d_z[j] = d * (before[j] - h[j]) * z[j]
                d_h[j] = d
            times_slope(d_h, h, w.kind, ONE)
            for j in range(count):
                to_h[j] = d_h[j]
        linear.backward_norm(of_reset, w.d_more, t, 1, me)
        linear.round_delta(of_reset, w.d_more, t, 1, me)
        wait(me)
        linear.below(of_reset, w.d_more, t, 1, w.d_cell, 0, me)
        for s in range(w.streams):
            row = t * w.streams + s
            r, before = row_of(all_r, row, count), row_of(state, row, count)
            d_z, d_r = row_of(of_z, row, count), row_of(of_r, row, count)
            to_z, to_r = row_of(all_to_z, row, count), row_of(all_to_r, row, count)
            d_reset = row_of(d_resets, s, count)
            for j in range(count):
                d_r[j] = d_reset[j] * before[j] * (r[j] - r[j] * r[j])
                to_z[j] = d_z[j]
                to_r[j] = d_r[j]
        linear.backward_norm(of_state, w.d_self, t, 1, me)
        linear.round_delta(of_state, w.d_self, t, 1, me)
        wait(me)
        if t == 0:
            break
        linear.below(of_state, w.d_self, t, 1, w.delta + (t - 1) * step, 1, me)
        for s in range(w.streams):
            row = t * w.streams + s
            z, r = row_of(all_z, row, count), row_of(all_r, row, count)
            ds, d_reset = row_of(delta, row, count), row_of(d_resets, s, count)
            to = row_of(delta, row - w.streams, count)
            for j in range(count):
                to[j] += ds[j] * z[j] + d_reset[j] * r[j]
    linear.add_updates(of_reset, w.d_more, me)
    linear.add_updates(of_state, w.d_self, me)
    linear.backward(of_input, w.d_gates, w.below, me)
