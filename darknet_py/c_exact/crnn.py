"""darknet's convolutional recurrent layer on an image of 1 x 1, forward only.

The walk is that of `[rnn]`. A kernel of 3 x 3 lies over nothing but for its middle tap, and what
the others add to a sum is 0. Formulas: darknet's `crnn_layer.c` and `convolutional_layer.c`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.activations import activate
from darknet_py.c_exact.arithmetic import forward_product
from darknet_py.c_exact.connected import Connected
from darknet_py.c_exact.rnn import RnnLayer
from darknet_py.dialect import UPSTREAM
from darknet_py.layers import crnn as exact


class Convolution(Connected):
    """A connected layer by the middle tap of a kernel; of `groups`, each sees its own inputs."""

    def __init__(self, like: exact.Convolution) -> None:
        super().__init__(like)
        self.groups = like.groups

    def _product(self, x: Array) -> Array:
        inputs = np.split(x, self.groups, axis=1)
        weights = np.split(self.weights.values, self.groups)
        products = [forward_product(*pair) for pair in zip(inputs, weights, strict=True)]
        return np.concatenate(products, axis=1)

    def _activate(self, x: Array) -> None:
        # AlexeyAB's convolutions have another leaky, with a constant that is a double.
        dialect = UPSTREAM if self.activation == "leaky" else self.dialect
        activate(x, self.activation, dialect)


class CrnnLayer(RnnLayer):
    """`[crnn]`: three convolutions around a state (streams, hidden)."""

    takes_symbols = False
    connected = Convolution
