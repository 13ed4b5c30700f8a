"""The product x W^T that every connected layer begins with, and its two deltas.

    forward   out = x W^T        x (rows, inputs), W (outputs, inputs), out (rows, outputs)
    backward  below = d W        d (rows, outputs), the delta of the product
    updates   W += d^T x

A row is one stream in one time step. Where x is symbols, (rows,), each stands for a one-hot row,
whose product is a column of W.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array, Rows
from darknet_py.kernels import Kernels
from darknet_py.layers.base import Parameter, Workspace


class Product:
    """x W^T of rows of numbers.

    transposes: multiply by a transposed copy of the matrix, which BLAS takes half the time for
    where the rows are few, as those of one time step are.
    """

    def __init__(
        self, weights: Parameter, transposes: bool, buffers: Workspace, kernels: Kernels
    ) -> None:
        self.kernels = kernels
        self.weights = weights
        self.transposes = transposes
        self.buffers = buffers
        self._copy: Array | None = None

    @property
    def transposed(self) -> Array:
        """W^T, (inputs, outputs)."""
        return self.weights.values.T if self._copy is None else self._copy

    def prepare(self, pays: bool) -> None:
        """Before the products of a forward; pays: whether they are enough to copy W for."""
        self._copy = None
        if pays and self.transposes:
            self._copy = self._table("transposed")
            np.copyto(self._copy, self.weights.values.T)

    def _table(self, name: str) -> Array:
        """A buffer (inputs, outputs)."""
        values = self.weights.values
        return self.buffers.array(name, values.shape[::-1], values.dtype)

    def forward(self, x: Array, out: Rows) -> None:
        self.kernels.product(x, self.transposed, out=out)

    def backward(self, delta: Rows, below: Rows) -> None:
        self.kernels.product(delta, self.weights.values, out=below)

    def add_updates(self, x: Array, delta: Rows) -> None:
        product = self.buffers.array("product", self.weights.shape, delta.dtype)
        self.kernels.product(delta.T, x, out=product)
        self.weights.updates += product


class LookUp(Product):
    """x W^T where x is symbols; W is transposed so that what is looked up lies in one piece."""

    def __init__(self, weights: Parameter, buffers: Workspace, kernels: Kernels) -> None:
        super().__init__(weights, True, buffers, kernels)

    def forward(self, x: Array, out: Rows) -> None:
        if self._copy is None:
            np.copyto(out, self.weights.values[:, x].T)
        else:
            self.kernels.gather(self._copy, x, out)

    def add_updates(self, x: Array, delta: Rows) -> None:
        table = self._table("updates")
        table.fill(0)
        self.kernels.add_by_symbol(delta, x, table)
        self.weights.updates += table.T
