"""What one call of the engine is given: a record of sizes and addresses."""

from __future__ import annotations

import numpy as np

from darknet_py.engine.compiled.jit import compiled, reader
from darknet_py.engine.compiled.linear import LINEAR

_WORD = np.int64
# What a job is; + 1: backward.
CONNECTED, RNN, GRU, LSTM = 2, 4, 6, 8
SGD, ADAM, SOFTMAX, SOFTMAX_DELTA, WRITE, MULTIPLY, MASK = range(10, 17)
# The arrays are those of the layers' numpy walks.
WALK = np.dtype(
    [
        *((name, _WORD) for name in ("code", "time_steps", "streams", "outputs")),
        # Whether darknet's shortcut is in use.
        ("shortcut", _WORD),
        *((name, _WORD) for name in ("state", "cell", "tanh_cell", "gates", "reset")),
        *((name, _WORD) for name in ("delta", "below", "d_state", "d_gates", "d_self")),
        *((name, _WORD) for name in ("d_more", "d_cell")),
        ("kind", _WORD),
        ("linears", LINEAR, (3,)),
    ]
)


walk_at = reader(WALK)
_LINEAR_BYTES = LINEAR.itemsize
_LINEARS = int(dict(WALK.fields or {})["linears"][1])


@compiled
def linear_of(job: int, index: int) -> int:
    """The address of a connected layer of the walk that lies at `job`."""
    return job + _LINEARS + index * _LINEAR_BYTES
