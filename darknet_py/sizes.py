"""How much memory a network takes: to train it, and to run it forward."""

from __future__ import annotations

import math

from darknet_py.errors import CfgError
from darknet_py.model import Model, delta_shapes
from darknet_py.trainer.dropconnect import masked_matrices


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
    buffers = buffer_floats(model, options.time_steps, streams) + streams * model.state_size()
    numbers = vectors * len(model.parameters) + masks + buffers
    return numbers * model.dtype.itemsize


def buffer_floats(model: Model, time_steps: int, streams: int) -> int:
    """Numbers in the buffers that a model has after it trained on such a datum.

    Layers that do not train have fewer.
    """
    shared: dict[str, int] = {}
    for layer in model.layers[model.first_trained : -1]:
        shapes = dict(layer.scratch_shapes(time_steps, streams))
        if layer.index > model.first_trained:
            shapes |= delta_shapes(layer, time_steps, streams)
        for name, shape in shapes.items():
            shared[name] = max(shared.get(name, 0), math.prod(shape))
    kept = sum(layer.kept_floats(time_steps, streams) for layer in model.layers)
    one_hot = 0 if model.layers[0].takes_symbols else time_steps * streams * model.inputs
    return sum(shared.values()) + kept + one_hot


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
