"""DropConnect: in training, zero entries of the matrices that multiply the state, and enlarge the
others to make up for it (Wan et al., "Regularization of neural networks using DropConnect", 2013;
on these matrices Merity et al., "Regularizing and optimizing LSTM language models", 2018).

A mask is drawn for each update and serves all of its time steps and streams, so that the state
keeps its memory, which dropout of the state itself would cut. The random numbers are counted
(layers/masks.py): the key is (seed, the place of the matrix in the network), the counter (block,
update, 1), where that of dropout has a 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from darknet_py.layers.base import Parameter
from darknet_py.layers.masks import Counted
from darknet_py.model import Model


def masked_matrices(model: Model) -> list[Parameter]:
    """The trained matrices that multiply the state, where [net] asks for masks of them."""
    if not model.options.dropconnect:
        return []
    trained = model.layers[model.first_trained :]
    parameters = (parameter for layer in trained for parameter in layer.parameters())
    return [parameter for parameter in parameters if parameter.recurrent]


class DropConnect:
    """The masks of one update, of all of these matrices of `model`."""

    def __init__(self, model: Model) -> None:
        self.probability = model.options.dropconnect
        self.matrices = masked_matrices(model)
        self.fill_mask = model.tier.fill_mask
        self.factors = [np.ones_like(matrix.values) for matrix in self.matrices]
        self._whole = [np.empty_like(matrix.values) for matrix in self.matrices]

    @contextmanager
    def acting(self, seed: int, update: int) -> Iterator[None]:
        """Within it the matrices are those of update number `update`, counted from 0."""
        for matrix, factor, whole in zip(self.matrices, self.factors, self._whole, strict=True):
            counted = Counted((seed, matrix.span.start), (0, update, 1))
            self.fill_mask(factor.reshape(1, -1), counted, self.probability)
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
