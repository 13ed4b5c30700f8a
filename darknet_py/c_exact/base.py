"""What a C-exact layer is: darknet's make, forward, backward and update.

Each is made of the network's layer in its place, whose options and parameters it takes.
Arrays are f32 and time-major, `(time_steps, streams, features)`. Deltas and updates are minus the
gradient, and both are *added into*: a layer adds to the delta of the layer below, which was cleared
before the forward, and to the updates of its parameters, which are never cleared: what is left in
them after an update is the momentum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.arrays import Array


@dataclass(frozen=True)
class UpdateArgs:
    """darknet's `update_args`: f32 numbers, and the symbols per update as `batch`."""

    batch: int
    learning_rate: np.float32
    momentum: np.float32
    decay: np.float32


class CLayer:
    """The base of all layers.

    output, delta: (time_steps, streams, outputs), of the last forward.
    cost: the f32 sum of the losses of the last forward, in the layers that have one.
    reads_truth: whether the forward compares with the truth.
    takes_symbols: whether x of a forward may be symbols in place of their one-hot vectors.
    stop_backward: `stopbackward=1`, which ends the walk backwards above this layer.
    """

    output: Array
    delta: Array
    cost: np.float32 | None = None
    reads_truth = False
    takes_symbols = False
    stop_backward = False

    def reset_state(self) -> None:
        """Zero what prediction carries from one symbol to the next."""

    def forward(self, x: Array, truth: Array | None) -> None:
        """x (time_steps, streams, inputs) -> `output`, and clear `delta`.

        truth: in training, the one-hot rows of the symbols that follow, as one flat array: its
        element k is the truth of element k of the output, in whatever rows that is. None in
        prediction.
        """
        raise NotImplementedError

    def backward(self, x: Array, below: Array | None) -> None:
        """Add to the updates, and to `below`, the delta of x (none below the first layer).

        By default the delta that the forward has made is that of x.
        """
        if below is not None:
            below += self.delta

    def update(self, args: UpdateArgs) -> None:
        """One step of the parameters along their updates."""
