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
from darknet_py.layers.base import Parameter
from darknet_py.layers.workspace import Shapes, Workspace


class Product:
    """x W^T of rows of numbers.

    transposes: multiply by a transposed copy of the matrix, which BLAS takes half the time for
    where the rows are few, as those of one time step are.
    """

    def __init__(self, weights: Parameter, transposes: bool, buffers: Workspace) -> None:
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
            self._copy = self.buffer("transposed")
            np.copyto(self._copy, self.weights.values.T)

    def shapes(self) -> Shapes:
        """Its buffers by name."""
        product = {"product": self.weights.shape}
        return product | {"transposed": self.weights.shape[::-1]} if self.transposes else product

    def buffer(self, name: str) -> Array:
        return self.buffers.array(name, self.shapes(), self.weights.values.dtype)

    def forward(self, x: Array, out: Rows) -> None:
        np.matmul(x, self.transposed, out=out)

    def backward(self, delta: Rows, below: Rows) -> None:
        np.matmul(delta, self.weights.values, out=below)

    def add_updates(self, x: Array, delta: Rows) -> None:
        product = self.buffer("product")
        np.matmul(delta.T, x, out=product)
        self.weights.updates += product


class LookUp(Product):
    """x W^T where x is symbols; W is transposed so that what is looked up lies in one piece."""

    def shapes(self) -> Shapes:
        return dict.fromkeys(("transposed", "updates"), self.weights.shape[::-1])

    def forward(self, x: Array, out: Rows) -> None:
        if self._copy is None:
            np.copyto(out, self.weights.values[:, x].T)
        else:
            np.take(self._copy, x, axis=0, out=out, mode="clip")

    def add_updates(self, x: Array, delta: Rows) -> None:
        table = self.buffer("updates")
        table.fill(0)
        order = np.argsort(x, kind="stable")
        found, firsts = np.unique(x[order], return_index=True)
        ends = np.append(firsts[1:], len(order))
        for symbol, first, end in zip(found, firsts, ends, strict=True):
            table[symbol] += np.add.reduce(delta[order[first:end]], axis=0)
        self.weights.updates += table.T
