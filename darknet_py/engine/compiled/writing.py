"""A network writes, compiled: symbol by symbol through all of its layers, and a draw after each.

The twin of `numpy_step.py` and of `inference/sampling.py`, which has the rules of the draw.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled import gru, linear, lstm, rnn
from darknet_py.engine.compiled.functions import ZERO
from darknet_py.engine.compiled.jit import (
    FLOAT_BYTES,
    Record,
    compiled,
    exported,
    floats,
    reader,
    words,
)
from darknet_py.engine.compiled.product import PANEL
from darknet_py.engine.compiled.records import CONNECTED, GRU, LSTM, RNN, linear_of, walk_at
from darknet_py.engine.compiled.threads import share, thread_at, wait
from darknet_py.engine.compiled.vectors import softmax_row

_WORD = np.int64
# Probabilities up to this one are never drawn, as in sampling.py.
CUT_OFF = np.float32(0.0001)
# layers, walks: how many, and the addresses of their records, each of one time step. symbols:
# (streams,), read first and written after each draw. logits: (streams, width), what comes into the
# softmax. uniform (streams, count), chosen (count, streams); p: room for (streams, width).
WRITE = np.dtype(
    [
        *((name, _WORD) for name in ("code", "layers", "walks", "streams", "width", "count")),
        *((name, _WORD) for name in ("symbols", "logits", "uniform", "chosen", "p", "greedy")),
        ("inverse", np.float32),
        ("unused", np.float32),
    ]
)
write_at = reader(WRITE)


@compiled
def _carry(state: int, outputs: int, streams: int, me: int) -> None:
    """Let the state after the step be that before the next: (2, streams, outputs), own columns."""
    first, end = share(outputs, PANEL, me)
    rows = floats(state, (2, streams, outputs))
    for s in range(streams):
        for j in range(first, end):
            rows[0, s, j] = rows[1, s, j]


@compiled
def _step(w: Record, me: int) -> None:
    """The symbols through all layers."""
    walks = words(w.walks, (w.layers,))
    for index in range(w.layers):
        job = walks[index]
        walk = walk_at(job)
        if walk.code == RNN:
            rnn.forward(job, me)
        elif walk.code == GRU:
            gru.forward(job, me)
        elif walk.code == LSTM:
            lstm.forward(job, me)
            _carry(walk.cell, walk.outputs, w.streams, me)
        else:
            linear.forward(linear_of(job, 0), me)
        if walk.code != CONNECTED:
            _carry(walk.state, walk.outputs, w.streams, me)
        wait(me)


@compiled
def _likeliest(p: Array) -> int:
    best = 0
    for j in range(len(p)):
        if p[j] > p[best]:
            best = j
    return best


@compiled
def _drawn(p: Array, uniform: np.float32) -> int:
    """The symbol that a number from 0 to 1 draws; sums in order, each rounded to 32 bits."""
    keeps_all = True
    for j in range(len(p)):
        keeps_all = keeps_all and not p[j] > CUT_OFF
    total = ZERO
    for j in range(len(p)):
        if not (keeps_all or p[j] > CUT_OFF):
            p[j] = ZERO
        total += p[j]
    scale = np.float32(1.0 / np.float64(total))
    left = uniform
    for j in range(len(p)):
        # Rounded before it is subtracted.
        one = np.float32(p[j] * scale)
        p[j] = one
    for j in range(len(p)):
        left -= p[j]
        if left <= ZERO:
            return j
    return len(p) - 1


@exported
def write(job: int, me: int) -> None:
    """Read the symbols; then, `count` times, draw what follows and, but for the last, read it."""
    w = write_at(job)
    _step(w, me)
    symbols = words(w.symbols, (w.streams,))
    for place in range(w.count):
        if place > 0:
            _step(w, me)
        if thread_at(me).rank == 0:
            for s in range(w.streams):
                p = floats(w.p + s * w.width * FLOAT_BYTES, (w.width,))
                softmax_row(floats(w.logits + s * w.width * FLOAT_BYTES, (w.width,)), p, w.inverse)
                if w.greedy:
                    symbols[s] = _likeliest(p)
                else:
                    symbols[s] = _drawn(p, floats(w.uniform, (w.streams, w.count))[s, place])
                words(w.chosen, (w.count, w.streams))[place, s] = symbols[s]
        wait(me)
