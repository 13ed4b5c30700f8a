"""The connected layer, with its batch norm, which the recurrent layers are made of.

Formulas: darknet's `connected_layer.c`, `batchnorm_layer.c` and `blas.c`. `t` is the time step,
where the C program moves pointers (`increment_layer`).
"""

from __future__ import annotations

import numpy as np

from darknet_py.c_exact.activations import activate, gradient
from darknet_py.c_exact.arithmetic import (
    Array,
    add_product,
    add_rows,
    add_weight_updates,
    double,
    forward_product,
    power,
    sum_rows,
    sum_squares,
)
from darknet_py.c_exact.base import CLayer, UpdateArgs
from darknet_py.dialect import Dialect
from darknet_py.layers import connected as exact
from darknet_py.layers.norm import Norm
from darknet_py.network import Network

EPSILON = np.float32(0.00001)  # under the root in batch norm's backward


def normalized(x: Array, mean: Array, variance: Array, dialect: Dialect) -> Array:
    """(x - mean) / (sqrt(variance) + 1e-6), or AlexeyAB's (x - mean) / sqrt(variance + 1e-5).

    In double from the f32 difference, rounded to f32.
    """
    root = np.sqrt(double(variance + np.float32(dialect.root_epsilon)))
    deviation = root + double(np.float32(dialect.deviation_epsilon))
    return (double(x - mean) / deviation).astype(np.float32)


class Connected:
    """y = f(x W^T + biases), or with batch norm y = f(x_norm scales + biases), a step at a time.

    The arrays of a datum: output, delta, x, x_norm (time_steps, batch, outputs), where x is the
    product before batch norm; mean, variance (outputs,), which every step overwrites.
    """

    def __init__(self, like: exact.Connected) -> None:
        self.biases = like.norm.biases
        self.weights = like.weights
        self.outputs = like.outputs
        self.batch_normalize = like.batch_normalize
        if isinstance(like.norm, Norm):
            self.scales = like.norm.scales
            self.rolling_mean = like.norm.rolling.mean.values
            self.rolling_variance = like.norm.rolling.variance.values
        self.activation = like.activation.name
        self.dialect = like.setting.dialect
        self.learning_rate_scale = np.float32(1)

    def clear(self, time_steps: int, batch: int) -> None:
        """Make room for a datum, its output and delta cleared."""
        shape = (time_steps, batch, self.outputs)
        self.output = np.zeros(shape, np.float32)
        self.delta = np.zeros(shape, np.float32)
        if self.batch_normalize:
            self.x = np.empty(shape, np.float32)
            self.x_norm = np.empty(shape, np.float32)

    # --- forward

    def forward(self, t: int, x: Array, train: bool) -> None:
        """x (batch, inputs), or symbols (batch,) -> output[t]."""
        output = self.output[t]
        output[...] = self._product(x)
        if self.batch_normalize:
            self._forward_batchnorm(t, train)
        np.add(output, self.biases.values, out=output)
        self._activate(output)

    def _product(self, x: Array) -> Array:
        """x W^T (batch, outputs)."""
        return forward_product(x, self.weights.values)

    def _activate(self, x: Array) -> None:
        """x = f(x), in place."""
        activate(x, self.activation, self.dialect)

    def _forward_batchnorm(self, t: int, train: bool) -> None:
        output = self.output[t]
        if train:
            self.x[t] = output
            batch = len(output)
            self.mean = sum_rows(output) * np.float32(1 / batch)
            self.variance = sum_squares(output - self.mean) * np.float32(1 / (batch - 1))
            self._roll(self.rolling_mean, self.mean)
            self._roll(self.rolling_variance, self.variance)
            self.x_norm[t] = normalized(output, self.mean, self.variance, self.dialect)
            output[...] = self.x_norm[t]
        else:
            mean, variance = self.rolling_mean, self.rolling_variance
            output[...] = normalized(output, mean, variance, self.dialect)
        np.multiply(output, self.scales.values, out=output)

    def _roll(self, rolling: Array, now: Array) -> None:
        np.multiply(rolling, np.float32(1 - self.dialect.rolling), out=rolling)
        np.add(rolling, np.float32(self.dialect.rolling) * now, out=rolling)

    # --- backward

    def backward(self, t: int, x: Array, below: Array | None) -> None:
        """delta[t] of the output -> the updates, and into `below` (batch, inputs) the delta of x.

        delta[t] becomes the delta of the product.
        """
        delta = self.delta[t]
        np.multiply(delta, gradient(self.output[t], self.activation), out=delta)
        add_rows(self.biases.updates, delta)
        if self.batch_normalize:
            self._backward_batchnorm(t)
        add_weight_updates(self.weights.updates, delta, x)
        if below is not None:
            add_product(below, delta.T, self.weights.values)

    def _backward_batchnorm(self, t: int) -> None:
        """As if the variance had been divided by n, and not n - 1.

        Inside a recurrent layer mean and variance are those of the last step, whatever t is.
        """
        delta = self.delta[t]
        updates = self.scales.updates
        np.add(updates, sum_rows(delta * self.x_norm[t]), out=updates)
        np.multiply(delta, self.scales.values, out=delta)
        batch = len(delta)
        root = np.sqrt(double(self.variance + EPSILON))
        centered = self.x[t] - self.mean
        mean_delta = (sum_rows(delta) * (-1 / root)).astype(np.float32)
        slope = -0.5 * power(self.variance + EPSILON, -1.5)
        variance_delta = (sum_rows(delta * centered) * slope).astype(np.float32)
        along = double(variance_delta) * 2 * centered / batch
        delta[...] = double(delta) / root + along + mean_delta / np.float32(batch)

    # --- update

    def update(self, args: UpdateArgs) -> None:
        rate = args.learning_rate * self.learning_rate_scale / np.float32(args.batch)
        decay = -args.decay * np.float32(args.batch)
        weights = self.weights
        np.add(weights.updates, decay * weights.values, out=weights.updates)
        tensors = [self.biases, self.scales] if self.batch_normalize else [self.biases]
        for tensor in (*tensors, weights):
            np.add(tensor.values, rate * tensor.updates, out=tensor.values)
            np.multiply(tensor.updates, args.momentum, out=tensor.updates)


class ConnectedLayer(CLayer):
    """`[connected]`: all rows of a datum as one step, so that batch norm is over all of them."""

    takes_symbols = True

    def __init__(self, like: exact.ConnectedLayer, net: Network) -> None:
        self.connected = Connected(like.connected)
        self.connected.learning_rate_scale = np.float32(like.learning_rate)

    def forward(self, x: Array, truth: Array | None) -> None:
        time_steps, streams = x.shape[:2]
        connected = self.connected
        connected.clear(1, time_steps * streams)
        connected.forward(0, _rows(x), truth is not None)
        shape = (time_steps, streams, connected.outputs)
        self.output, self.delta = connected.output.reshape(shape), connected.delta.reshape(shape)

    def backward(self, x: Array, below: Array | None) -> None:
        self.connected.backward(0, _rows(x), None if below is None else _rows(below))

    def update(self, args: UpdateArgs) -> None:
        self.connected.update(args)


def _rows(x: Array) -> Array:
    """(time_steps, streams, features) -> (time_steps * streams, features), a view."""
    return x.reshape(-1, *x.shape[2:])
