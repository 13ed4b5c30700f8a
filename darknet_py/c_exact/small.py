"""The layers without a matrix: softmax, logistic and cost, which compare with the truth; dropout,
activation and batchnorm.

Formulas: darknet's `softmax_layer.c`, `logistic_layer.c`, `cost_layer.c`, `dropout_layer.c`,
`activation_layer.c` and `blas.c`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.activations import activate, gradient
from darknet_py.c_exact.arithmetic import exp, log, sum_rows
from darknet_py.c_exact.base import CLayer
from darknet_py.c_exact.connected import normalized
from darknet_py.layers import activation, batchnorm, dropout, logistic, softmax
from darknet_py.network import Network


def one_hot(symbols: Array, count: int) -> Array:
    """symbols (time_steps, streams) -> f32 (time_steps, streams, count).

    The row of a symbol from `count` on is zeros: C sets what lies behind its end.
    """
    return (symbols[..., None] == np.arange(count)).astype(np.float32)


def _like(truth: Array, x: Array) -> Array:
    """The part of the flat truth that C compares with x: in the shape of x."""
    return truth[: x.size].reshape(x.shape)


def _sum(losses: Array) -> np.float32:
    """The sum of all elements, in order, from 0."""
    return np.float32(0) + sum_rows(np.append(np.float32(0), losses)[:, None])[0]


class SoftmaxLayer(CLayer):
    """`[softmax]`: exp(x/T - max/T) over its sum, in `groups`; loss -log p of the truth.

    C's delta lacks 1/T, and is not 0 in groups that the truth is not in.
    """

    def __init__(self, like: softmax.SoftmaxLayer, net: Network) -> None:
        self.groups = like.groups
        self.temperature = np.float32(like.temperature)
        self.reads_truth = like.has_loss
        self.cost = np.float32(0)

    def forward(self, x: Array, truth: Array | None) -> None:
        rows = x.reshape(-1, x.shape[-1] // self.groups)
        peak = rows.max(axis=1, keepdims=True)
        e = exp(rows / self.temperature - peak / self.temperature).astype(np.float32)
        total = sum_rows(e.T)[:, None]
        self.output = (e / total).reshape(x.shape)
        self.delta = np.zeros(x.shape, np.float32)
        if truth is not None and self.reads_truth:
            t = _like(truth, x)
            self.cost = _sum((-log(self.output[t > 0])).astype(np.float32))
            self.delta[...] = t - self.output


class LogisticLayer(CLayer):
    """`[logistic]`: p = logistic(x), loss -t log p - (1-t) log(1-p), summed over the outputs."""

    cost = np.float32(0)
    reads_truth = True

    def __init__(self, like: logistic.LogisticLayer, net: Network) -> None:
        self.dialect = net.dialect

    def forward(self, x: Array, truth: Array | None) -> None:
        self.output = x.copy()
        activate(self.output, "logistic", self.dialect)
        self.delta = np.zeros(x.shape, np.float32)
        if truth is not None:
            t, p = _like(truth, x), self.output
            self.cost = _sum((-t * log(p) - (1 - t) * log(1 - p)).astype(np.float32))
            self.delta[...] = t - p


class CostLayer(CLayer):
    """`[cost]`: the losses of its input against a one-hot truth.

    Its output is these losses in training and zeros in prediction.
    """

    reads_truth = True

    def __init__(self, kind: str, scale: float) -> None:
        self.kind = kind
        self.scale = np.float32(scale)
        self.cost = np.float32(0)

    def forward(self, x: Array, truth: Array | None) -> None:
        if truth is None:
            self.output, self.delta = np.zeros_like(x), np.zeros_like(x)
            return
        difference = _like(truth, x) - x
        size = np.abs(difference)
        # With a one-hot truth `masked` masks nothing, and is `sse`.
        losses, self.delta = difference * difference, difference
        if self.kind == "smooth":
            # Above 1 the sign of C's delta is wrong.
            wrong = np.where(difference < 0, np.float32(1), np.float32(-1))
            losses = np.where(size < 1, losses, 2 * size - 1)
            self.delta = np.where(size < 1, difference, wrong)
        elif self.kind == "L1":
            losses = size
            self.delta = np.where(difference > 0, np.float32(1), np.float32(-1))
        self.cost = _sum(losses)
        self.output = losses

    def backward(self, x: Array, below: Array | None) -> None:
        if below is not None:
            below += self.scale * self.delta


class DropoutLayer(CLayer):
    """`[dropout]`: works in place, its output and delta being those of the layer below.

    So the derivative of the layer below is taken from the scaled outputs.
    """

    below: CLayer

    def __init__(self, like: dropout.DropoutLayer, net: Network) -> None:
        self.probability = np.float32(like.probability)
        self.scale = np.float32(1 / (1 - float(self.probability)))
        self.net = net

    def forward(self, x: Array, truth: Array | None) -> None:
        self.output, self.delta = x, self.below.delta
        self.delta.fill(0)  # C clears each layer's delta before its forward.
        if truth is not None:
            draws = self.net.rand.uniform(0, 1, x.size).reshape(x.shape)
            self.dropped = draws < self.probability
            self._drop(self.output)

    def backward(self, x: Array, below: Array | None) -> None:
        if below is not None:
            self._drop(below)

    def _drop(self, x: Array) -> None:
        np.multiply(x, self.scale, out=x)
        x[self.dropped] = 0


class ActivationLayer(CLayer):
    """`[activation]`: y = f(x)."""

    def __init__(self, like: activation.ActivationLayer, net: Network) -> None:
        self.activation = like.activation.name
        self.dialect = net.dialect

    def forward(self, x: Array, truth: Array | None) -> None:
        self.output = x.copy()
        self.delta = np.zeros_like(x)
        activate(self.output, self.activation, self.dialect)

    def backward(self, x: Array, below: Array | None) -> None:
        np.multiply(self.delta, gradient(self.output, self.activation), out=self.delta)
        if below is not None:
            below[...] = self.delta


class BatchnormLayer(CLayer):
    """`[batchnorm]` of AlexeyAB's program, forward only: norm(x) scales + biases."""

    def __init__(self, like: batchnorm.BatchnormLayer, net: Network) -> None:
        self.norm = like.norm
        self.dialect = net.dialect

    def forward(self, x: Array, truth: Array | None) -> None:
        mean, variance = (rolling.values for rolling in self.norm.rolling.parameters)
        self.output = normalized(x, mean, variance, self.dialect)
        np.multiply(self.output, self.norm.scales.values, out=self.output)
        np.add(self.output, self.norm.biases.values, out=self.output)
        self.delta = np.zeros_like(x)
