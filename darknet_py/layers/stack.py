"""Several linear connected layers over one input, computed as one.

The gates of `[gru]` and `[lstm]` are connected layers of their own in the weights file. Side by
side they are one matrix product and one batch norm, since each column is normalized by itself: a
stack copies its parts' parameters together before a forward and hands their updates back after a
backward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array
from darknet_py.layers.base import Parameter, Setting
from darknet_py.layers.connected import Connected, Step, StepBack
from darknet_py.layers.workspace import Shapes


def gate_layers(
    names: Sequence[str], setting: Setting, outputs: int, batch_normalize: bool
) -> dict[str, Connected]:
    """The linear connected layers of a gated layer by name: u... see the input, w... the state.

    names: in the order of the weights file.
    """
    return {
        name: Connected(
            f"{setting.index}.{name}",
            (setting.inputs if name[0] == "u" else outputs, outputs),
            ACTIVATIONS["linear"],
            batch_normalize,
            setting,
            symbols=name[0] == "u" and setting.index == 0,
            stepwise=name[0] == "w",
        )
        for name in names
    }


class Stack(Connected):
    """`parts`, all with the same inputs, as one connected layer with their outputs side by side."""

    def __init__(self, parts: Sequence[Connected]) -> None:
        first = parts[0]
        super().__init__(
            "stack",
            (first.inputs, sum(part.outputs for part in parts)),
            ACTIVATIONS["linear"],
            first.batch_normalize,
            first.setting,
            first.symbols,
            first.stepwise,
        )
        self.parts = parts
        self._is_collected = False

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return {**super().shapes(time_steps, streams), **self._copies()}

    def _copies(self) -> Shapes:
        """The shapes of the copies of its parts' parameters and of what is added to those."""
        kinds = ("values", "updates")
        return {
            f"{tensor.name}.{kind}": tensor.shape for tensor in self.parameters() for kind in kinds
        }

    @contextmanager
    def steps(self, time_steps: int, streams: int, training: bool) -> Iterator[Step]:
        with super().steps(time_steps, streams, training) as step:
            yield step
        if training:
            for tensor, pieces in self._tensors():
                if not tensor.trained:
                    for rows, piece in _rows(tensor.values, pieces):
                        np.copyto(piece.values, rows)

    @contextmanager
    def steps_back(self, x: Array, delta: Array) -> Iterator[StepBack]:
        for tensor, _ in self._tensors():
            tensor.updates.fill(0)
        with super().steps_back(x, delta) as step_back:
            yield step_back
        for tensor, pieces in self._tensors():
            if tensor.trained:
                for rows, piece in _rows(tensor.updates, pieces):
                    piece.updates += rows

    def _prepare(self, pays: bool) -> None:
        self._collect(pays)
        super()._prepare(pays)

    def _collect(self, with_matrix: bool) -> None:
        """Copy the parts' parameters together; the matrices only if that pays."""
        self._is_collected = with_matrix
        dtype = self.parts[0].weights.values.dtype
        for tensor, pieces in self._tensors():
            if tensor.values.shape != tensor.shape or tensor.values.dtype != dtype:
                tensor.values, tensor.updates = (
                    self.buffers.array(f"{tensor.name}.{kind}", self._copies(), dtype)
                    for kind in ("values", "updates")
                )
            if with_matrix or tensor is not self.weights:
                np.concatenate([piece.values for piece in pieces], out=tensor.values)

    def _tensors(self) -> list[tuple[Parameter, tuple[Parameter, ...]]]:
        """Each parameter of the stack with those of its parts."""
        pieces = zip(*(part.parameters() for part in self.parts), strict=True)
        return list(zip(self.parameters(), pieces, strict=True))

    def _multiply(self, x: Array, out: Array) -> None:
        if self._is_collected:
            super()._multiply(x, out)
            return
        first = 0
        for part in self.parts:
            part.product.forward(x, out[:, first : first + part.outputs])
            first += part.outputs


def _rows(together: Array, pieces: Sequence[Parameter]) -> Iterator[tuple[Array, Parameter]]:
    """Each of `pieces` with its rows of the array that contains all of them below each other."""
    first = 0
    for piece in pieces:
        yield together[first : first + piece.shape[0]], piece
        first += piece.shape[0]
