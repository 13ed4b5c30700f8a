"""`[rnn]`'s walk through time, compiled: the twin of `layers/rnn.py`, which has the formulas.

Connected layers: the input, self and output layer. Each thread has its own columns of the state;
it needs those of the others for the next step's product, so they wait for each other once a step.
"""

from __future__ import annotations

from darknet_py.engine.compiled import linear
from darknet_py.engine.compiled.jit import FLOAT_BYTES, Rows, exported, row_of, rows_from
from darknet_py.engine.compiled.product import PANEL
from darknet_py.engine.compiled.records import linear_of, walk_at
from darknet_py.engine.compiled.threads import share, wait


@exported
def forward(job: int, me: int) -> None:
    """state (time_steps + 1, streams, outputs): the first is given."""
    w = walk_at(job)
    inner, recurrent, outer = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    first, end = share(w.outputs, PANEL, me)
    count, step = end - first, w.streams * w.outputs * FLOAT_BYTES
    state = rows_from(Rows(w.state, w.outputs), 0, first)
    of_input = rows_from(Rows(w.linears[0].y, w.outputs), 0, first)
    of_state = rows_from(Rows(w.linears[1].y, w.outputs), 0, first)
    linear.forward(inner, me)
    linear.pack_forward(recurrent, me)
    linear.begin_steps(recurrent, me)
    for t in range(w.time_steps):
        linear.forward_products(recurrent, w.state + t * step, t, 1, me)
        linear.forward_norm(recurrent, t, 1, me)
        for row in range(t * w.streams, (t + 1) * w.streams):
            before, after = row_of(state, row, count), row_of(state, row + w.streams, count)
            a, b = row_of(of_input, row, count), row_of(of_state, row, count)
            if w.shortcut:
                for j in range(len(after)):
                    after[j] = a[j] + b[j] + before[j]
            else:
                for j in range(len(after)):
                    after[j] = a[j] + b[j]
        linear.round_inputs(recurrent, t + 1, me)
        wait(me)
    linear.forward(outer, me)


@exported
def backward(job: int, me: int) -> None:
    """d_state, d_self: of the state and of the self layer's products, all steps."""
    w = walk_at(job)
    inner, recurrent, outer = linear_of(job, 0), linear_of(job, 1), linear_of(job, 2)
    first, end = share(w.outputs, PANEL, me)
    count, step = end - first, w.streams * w.outputs * FLOAT_BYTES
    d_state = rows_from(Rows(w.d_state, w.outputs), 0, first)
    d_self = rows_from(Rows(w.d_self, w.outputs), 0, first)
    linear.backward(outer, w.delta, w.d_state, me)
    linear.pack_backward(recurrent, me)
    for t in range(w.time_steps - 1, -1, -1):
        for row in range(t * w.streams, (t + 1) * w.streams):
            d, to = row_of(d_state, row, count), row_of(d_self, row, count)
            for j in range(len(d)):
                to[j] = d[j]
        linear.backward_norm(recurrent, w.d_self, t, 1, me)
        linear.round_delta(recurrent, w.d_self, t, 1, me)
        wait(me)
        if t == 0:
            break
        linear.below(recurrent, w.d_self, t, 1, w.d_state + (t - 1) * step, 1, me)
        if w.shortcut:
            for row in range(t * w.streams, (t + 1) * w.streams):
                d, to = row_of(d_state, row, count), row_of(d_state, row - w.streams, count)
                for j in range(len(d)):
                    to[j] += d[j]
    linear.add_updates(recurrent, w.d_self, me)
    linear.backward(inner, w.d_state, w.below, me)
