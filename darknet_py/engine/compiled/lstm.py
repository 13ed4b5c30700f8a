"""`[lstm]`'s walk through time, compiled: the twin of `layers/lstm.py`, which has the formulas.

Connected layers: the u of the gates, of the input, and the w, of the state, each of four parts f,
i, o, g. A thread has the same columns of all four gates and of h and c.
"""

from __future__ import annotations

from darknet_py.engine.compiled import linear
from darknet_py.engine.compiled.functions import ONE, logistic, tanh
from darknet_py.engine.compiled.jit import FLOAT_BYTES, Rows, compiled, exported, row_of, rows_from
from darknet_py.engine.compiled.product import PANEL
from darknet_py.engine.compiled.records import linear_of, walk_at
from darknet_py.engine.compiled.threads import share, wait


@compiled
def _gate(address: int, outputs: int, gate: int, first: int) -> Rows:
    """The rows of a gate from column `first` on, in an array (..., 4 outputs)."""
    return rows_from(Rows(address, 4 * outputs), 0, gate * outputs + first)


@exported
def forward(job: int, me: int) -> None:
    """state, cell: h and c, (time_steps + 1, streams, outputs), the first given."""
    w = walk_at(job)
    of_input, of_state = linear_of(job, 0), linear_of(job, 1)
    n = w.outputs
    first, end = share(n, PANEL, me)
    count = end - first
    all_f, all_i = _gate(w.gates, n, 0, first), _gate(w.gates, n, 1, first)
    all_o, all_g = _gate(w.gates, n, 2, first), _gate(w.gates, n, 3, first)
    state, cell = rows_from(Rows(w.state, n), 0, first), rows_from(Rows(w.cell, n), 0, first)
    tanh_cell = rows_from(Rows(w.tanh_cell, n), 0, first)
    linear.forward(of_input, me)
    linear.pack_forward(of_state, me)
    linear.begin_steps(of_state, me)
    for t in range(w.time_steps):
        h = w.state + t * w.streams * n * FLOAT_BYTES
        linear.forward_products(of_state, h, t, 1, me)
        linear.forward_norm(of_state, t, 1, me)
        for row in range(t * w.streams, (t + 1) * w.streams):
            if not w.linears[1].add:
                for part in range(4):
                    gate = row_of(_gate(w.gates, n, part, first), row, count)
                    more = row_of(_gate(w.linears[1].y, n, part, first), row, count)
                    for j in range(count):
                        gate[j] += more[j]
            f, i = row_of(all_f, row, count), row_of(all_i, row, count)
            o, g = row_of(all_o, row, count), row_of(all_g, row, count)
            before, after = row_of(cell, row, count), row_of(cell, row + w.streams, count)
            bent, out = row_of(tanh_cell, row, count), row_of(state, row + w.streams, count)
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
        linear.round_inputs(of_state, t + 1, me)
        wait(me)


@exported
def backward(job: int, me: int) -> None:
    """d_gates: of u's products; d_self: of w's, the same array without batch norm.

    d_cell: the delta of the cell, 0 after the last step.
    """
    w = walk_at(job)
    of_input, of_state = linear_of(job, 0), linear_of(job, 1)
    n = w.outputs
    first, end = share(n, PANEL, me)
    count, step = end - first, w.streams * n * FLOAT_BYTES
    all_f, all_i = _gate(w.gates, n, 0, first), _gate(w.gates, n, 1, first)
    all_o, all_g = _gate(w.gates, n, 2, first), _gate(w.gates, n, 3, first)
    to_f, to_i = _gate(w.d_gates, n, 0, first), _gate(w.d_gates, n, 1, first)
    to_o, to_g = _gate(w.d_gates, n, 2, first), _gate(w.d_gates, n, 3, first)
    delta, cell = rows_from(Rows(w.delta, n), 0, first), rows_from(Rows(w.cell, n), 0, first)
    tanh_cell = rows_from(Rows(w.tanh_cell, n), 0, first)
    d_cell = rows_from(Rows(w.d_cell, n), 0, first)
    linear.pack_backward(of_state, me)
    for t in range(w.time_steps - 1, -1, -1):
        for s in range(w.streams):
            row = t * w.streams + s
            f, i = row_of(all_f, row, count), row_of(all_i, row, count)
            o, g = row_of(all_o, row, count), row_of(all_g, row, count)
            d_f, d_i = row_of(to_f, row, count), row_of(to_i, row, count)
            d_o, d_g = row_of(to_o, row, count), row_of(to_g, row, count)
            dh, before = row_of(delta, row, count), row_of(cell, row, count)
            bent, dc = row_of(tanh_cell, row, count), row_of(d_cell, s, count)
            for j in range(count):
                d = dc[j] + dh[j] * o[j] * (ONE - bent[j] * bent[j])
                d_o[j] = dh[j] * bent[j] * (o[j] - o[j] * o[j])
                d_f[j] = d * before[j] * (f[j] - f[j] * f[j])
                d_i[j] = d * g[j] * (i[j] - i[j] * i[j])
                d_g[j] = d * (i[j] - i[j] * g[j] * g[j])
                dc[j] = d * f[j]
            if w.d_self != w.d_gates:
                for part in range(4):
                    source = row_of(_gate(w.d_gates, n, part, first), row, count)
                    to = row_of(_gate(w.d_self, n, part, first), row, count)
                    for j in range(count):
                        to[j] = source[j]
        linear.backward_norm(of_state, w.d_self, t, 1, me)
        linear.round_delta(of_state, w.d_self, t, 1, me)
        wait(me)
        if t > 0:
            linear.below(of_state, w.d_self, t, 1, w.delta + (t - 1) * step, 1, me)
    linear.add_updates(of_state, w.d_self, me)
    linear.backward(of_input, w.d_gates, w.below, me)
