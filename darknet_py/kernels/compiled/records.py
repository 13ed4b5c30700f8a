"""What one call of the engine is given: a record of sizes and addresses."""

from __future__ import annotations

import numpy as np

from darknet_py.kernels.compiled.brick import BRICK
from darknet_py.kernels.compiled.jit import compiled, reader

_WORD = np.int64
# What a job is; + 1: backward.
CONNECTED, RNN, GRU, LSTM = 2, 4, 6, 8
SGD, ADAM, SOFTMAX, SOFTMAX_DELTA, WRITE = range(10, 15)
# The arrays are those of the layers' numpy walks.
WALK = np.dtype(
    [
        *((name, _WORD) for name in ("code", "time_steps", "streams", "outputs")),
        # Flags: darknet's shortcut, whether the state after the last step has a delta.
        *((name, _WORD) for name in ("shortcut", "continues")),
        *((name, _WORD) for name in ("state", "cell", "bent_cell", "gates", "reset")),
        *((name, _WORD) for name in ("delta", "below", "d_state", "d_gates", "d_self")),
        *((name, _WORD) for name in ("d_more", "d_before", "d_cell")),
        ("kind", _WORD),
        ("bricks", BRICK, (3,)),
    ]
)


walk_at = reader(WALK)
_BRICK_BYTES = BRICK.itemsize
_BRICKS = int(dict(WALK.fields or {})["bricks"][1])


@compiled
def brick_of(job: int, index: int) -> int:
    """The address of a brick of the walk that lies at `job`."""
    return job + _BRICKS + index * _BRICK_BYTES
