"""How much memory a network takes: to train it, and to run it forward."""

from __future__ import annotations

import math

from darknet_py.dropconnect import masked_matrices
from darknet_py.errors import CfgError
from darknet_py.model import Model


def training_bytes(model: Model, streams: int = 0) -> int:
    """Memory to train: the vectors of parameters, and the buffers of a datum.

    streams: of the datum; by default those of the cfg.
    """
    options = model.options
    streams = streams or options.streams
    # Of each masked matrix the mask, and the matrix without it.
    masks = 2 * sum(matrix.size for matrix in masked_matrices(model))
    # Parameters, updates, the optimizer's one or two, their average, and the best network so far.
    vectors = (5 if options.adam else 4) + (1 if options.average else 0)
    buffers = model.kept_floats(options.time_steps, streams) + streams * model.state_size()
    numbers = vectors * len(model.parameters) + masks + buffers
    return numbers * model.dtype.itemsize


def row_bytes(model: Model) -> int:
    """What each row, of (time_steps * streams), of a forward takes, about."""
    floats = sum(layer.kept_floats(2, 1) - layer.kept_floats(1, 1) for layer in model.layers)
    floats += 0 if model.layers[0].takes_symbols else model.inputs
    return max(1, floats) * model.dtype.itemsize


def check_fits(model: Model, budget: int) -> None:
    """Raise CfgError if training takes more than `budget` bytes, with what would fit."""
    needed = training_bytes(model)
    if needed <= budget:
        return
    options = model.options
    least = 2 if model.rolling_statistics() else 1
    small = [n for n in range(1, math.isqrt(options.batch) + 1) if options.batch % n == 0]
    fitting = [
        options.batch // streams
        for streams in {*small, *(options.batch // n for n in small)}
        if least <= streams < options.streams and training_bytes(model, streams) <= budget
    ]
    advice = f"try --set subdivisions={min(fitting)}" if fitting else "make the network smaller"
    raise CfgError(
        f"{model.cfg.place_of_sizes()}: training takes {needed:,} bytes, and this machine has "
        f"{budget:,} for it; {advice}"
    )
