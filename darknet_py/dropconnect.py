"""DropConnect: in training, zero entries of the matrices that multiply the state, and enlarge the
others to make up for it (Wan et al., "Regularization of neural networks using DropConnect", 2013;
on these matrices Merity et al., "Regularizing and optimizing LSTM language models", 2018).

A mask is drawn for each update and serves all of its time steps and streams, so that the state
keeps its memory, which dropout of the state itself would cut. As with dropout a random number is a
function of its place: Philox's key is (seed, the place of the matrix in the network), its counter
(block, update, 1, 0), where those of dropout have a 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from darknet_py.arrays import Array
from darknet_py.layers.base import Parameter
from darknet_py.layers.dropout import BITS
from darknet_py.model import Model

WORD = 64 // BITS  # numbers in what the generator gives at a time


class DropConnect:
    """The masks of one update, of all trained matrices of `model` that multiply the state."""

    def __init__(self, model: Model) -> None:
        self.probability = model.options.dropconnect
        trained = model.layers[model.first_trained :]
        own = (parameter for layer in trained for parameter in layer.parameters())
        self.matrices = [parameter for parameter in own if parameter.recurrent]
        self.factors = [np.ones_like(matrix.values) for matrix in self.matrices]
        self._whole = [np.empty_like(matrix.values) for matrix in self.matrices]

    @contextmanager
    def acting(self, seed: int, update: int) -> Iterator[None]:
        """Within it the matrices are those of update number `update`, counted from 0."""
        for matrix, factor, whole in zip(self.matrices, self.factors, self._whole, strict=True):
            np.multiply(self._keeps(matrix, seed, update), 1 / (1 - self.probability), out=factor)
            np.copyto(whole, matrix.values)
            matrix.values *= factor
        try:
            yield
        finally:
            for matrix, whole in zip(self.matrices, self._whole, strict=True):
                np.copyto(matrix.values, whole)

    def mask_updates(self) -> None:
        """Let the updates be those of the matrices without their masks."""
        for matrix, factor in zip(self.matrices, self.factors, strict=True):
            matrix.updates *= factor

    def _keeps(self, matrix: Parameter, seed: int, update: int) -> Array:
        """Which entries are not zeroed."""
        philox = np.random.Philox(
            key=np.array([seed, matrix.span.start], np.uint64),
            counter=np.array([0, update, 1, 0], np.uint64),
        )
        # Little endian on every machine, so that the numbers are the same.
        words = philox.random_raw(-(-matrix.size // WORD)).astype("<u8", copy=False)
        least = np.uint16(round(self.probability * 2**BITS))
        return (words.view("<u2")[: matrix.size] >= least).reshape(matrix.shape)
