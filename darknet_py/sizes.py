"""How much memory a network takes: to train it, and to run it forward."""

from __future__ import annotations

import numpy as np

from darknet_py.dropconnect import masked_matrices
from darknet_py.errors import CfgError
from darknet_py.model import Model


def training_bytes(model: Model, time_steps: int | None = None) -> int:
    """Memory to train, about: vectors of parameters, and activations of so many time steps.

    time_steps: of a segment; by default the whole datum.
    """
    options = model.options
    steps = options.time_steps if time_steps is None else time_steps
    # Of each masked matrix the mask, and the matrix without it.
    masks = 2 * sum(matrix.size for matrix in masked_matrices(model))
    # Parameters, updates, the optimizer's one or two, their average, and the best network so far.
    vectors = (5 if options.adam else 4) + (1 if options.average else 0)
    kept = sum(layer.training_floats(steps, options.streams) for layer in model.layers)
    # Two buffers of deltas and the layers' scratch are shared by all layers.
    widest = max(max(layer.inputs, layer.outputs) for layer in model.layers)
    scratch = max(layer.scratch_floats(steps, options.streams) for layer in model.layers)
    deltas = 2 * steps * options.streams * widest + scratch
    kept += options.streams * model.state_size() * -(-options.time_steps // max(1, steps))
    numbers = vectors * len(model.parameters) + masks + kept + deltas
    return numbers * model.dtype.itemsize


def row_bytes(model: Model) -> int:
    """What each row, of (time_steps * streams), of a forward takes, about."""
    floats = sum(
        layer.training_floats(2, 1) - layer.training_floats(1, 1) for layer in model.layers
    )
    floats += 0 if model.layers[0].takes_symbols else model.inputs
    return max(1, floats) * model.dtype.itemsize


def segment_steps(model: Model, budget: int) -> int:
    """The most time steps of a segment with which a datum is trained on within `budget` bytes.

    Raises CfgError where even one step at a time needs more, or a layer cannot be computed so.
    """
    steps = model.options.time_steps
    if training_bytes(model, steps) <= budget:
        return steps
    # Of very many lengths a choice, each 1/500 longer than the one before, is enough.
    lengths = np.unique(np.geomspace(1, max(1, steps - 1), 4096).astype(int)).tolist()
    tried = lengths if steps > 4096 else range(1, steps)
    sizes = {n: training_bytes(model, n) for n in tried}
    longest = max((n for n, size in sizes.items() if size <= budget), default=0)
    whole = [layer.kind for layer in model.layers if layer.needs_whole_datum]
    if longest < 1 or whole:
        reason = f" ([{whole[0]}] with batch norm needs a whole batch at once)" if whole else ""
        sizes[steps] = training_bytes(model, steps)
        needed = sizes[steps] if whole else min(sizes.values())
        raise CfgError(
            f"{model.cfg.place_of_sizes()}: training needs {needed / 1e6:,.1f} MB{reason}, and may "
            f"use {budget / 1e6:,.1f} MB (--memory); make the batch or the network smaller"
        )
    return longest
