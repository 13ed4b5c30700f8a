"""What follows the product of a connected layer: a bias or batch norm, and the activation.

    Bias   y = f(x + biases)
    Norm   y = f(norm(x) scales + biases)     norm over the streams of each time step

Both work on a buffer x (time_steps, streams, outputs) that the product is written into, on all its
steps or on some of them at a time. `begin` comes before the first step, `end` after the last, and
`begin_backward` and `end_backward` likewise; `Connected` and `[batchnorm]` call them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from darknet_py.activations import Activation
from darknet_py.arrays import Array, parts
from darknet_py.dialect import Dialect
from darknet_py.layers.base import Parameter, RollingStatistics, Setting
from darknet_py.layers.workspace import Shapes, Workspace

# The backward pass of batch norm treats a standard deviation below this as if it were this:
# a column that is nearly constant over the streams would blow the gradient up.
SMALLEST_DEVIATION = 1e-5**0.5


@lru_cache(maxsize=256)
def _row(length: int, value: float, dtype: Any) -> Array:
    """A (1, length) row; `row @ x` sums x over its rows as fast as BLAS can."""
    row = np.full((1, length), value, dtype)
    row.setflags(write=False)
    return row


def deviation(variance: Array, dialect: Dialect) -> Array:
    """The divisor of batch norm: sqrt(variance + root_epsilon) + deviation_epsilon."""
    root = np.sqrt(variance + variance.dtype.type(dialect.root_epsilon))
    return root + variance.dtype.type(dialect.deviation_epsilon)


class Bias:
    """y = f(x + biases), in place."""

    def __init__(
        self, name: str, outputs: int, activation: Activation, buffers: Workspace, setting: Setting
    ) -> None:
        self.activation = activation
        self.buffers = buffers
        self.biases = Parameter(f"{name}.bias", (outputs,))

    def after_weights(self) -> list[Parameter]:
        """Its parameters that follow the matrix in the weights file; the biases come before it."""
        return []

    def statistics(self) -> list[RollingStatistics]:
        return []

    def initialize(self) -> None:
        self.biases.values.fill(0)

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        """Its buffers by name, for training."""
        return {"bias_sums": (time_steps, 1, self.biases.size)}

    def buffer(self, name: str) -> Array:
        """The buffer `name` for the steps and streams of x."""
        return self.buffers.array(name, self.shapes(*self.y.shape[:2]), self.y.dtype)

    def begin(self, x: Array, training: bool) -> None:
        """x: the buffer that products will be in."""
        self.y = x

    def forward(self, steps: slice) -> Array:
        """The product of these time steps -> y of them."""
        y = self.y[steps]
        for part in parts(y.shape):
            np.add(y[part], self.biases.values, out=y[part])
            self.activation.apply(y[part])
        return y

    def end(self) -> None:
        pass

    def begin_backward(self) -> None:
        self.bias_sums = self.buffer("bias_sums")

    def backward(self, delta: Array, steps: slice) -> None:
        """The delta of y of these time steps -> that of the product, in place; y is used up."""
        y, sums, slope = self.y[steps], self.bias_sums[steps], self.activation.slope
        ones = _row(delta.shape[1], 1, delta.dtype)
        for part in parts(delta.shape):
            if slope is not None:
                slope(y[part], y[part])
                np.multiply(delta[part], y[part], out=delta[part])
            np.matmul(ones, delta[part], out=sums[part])

    def end_backward(self) -> None:
        """Add to the updates what the steps have summed up."""
        self.biases.updates += self.bias_sums.sum(axis=(0, 1))

    def affine(self) -> tuple[Array | None, Array]:
        """What it does before the activation when it does not train: x gains + shifts."""
        return None, self.biases.values.copy()


class Norm(Bias):
    """y = f(norm(x) scales + biases): batch norm, by rolling statistics outside training."""

    def __init__(
        self, name: str, outputs: int, activation: Activation, buffers: Workspace, setting: Setting
    ) -> None:
        super().__init__(name, outputs, activation, buffers, setting)
        self.dialect = setting.dialect
        self.scales = Parameter(f"{name}.scale", (outputs,), normal=True)
        self.rolling = RollingStatistics(name, outputs, self.dialect.rolling)

    def after_weights(self) -> list[Parameter]:
        return [self.scales, *self.rolling.parameters]

    def statistics(self) -> list[RollingStatistics]:
        return [self.rolling]

    def initialize(self) -> None:
        super().initialize()
        self.scales.values.fill(1)
        self.rolling.clear()

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        sums = dict.fromkeys(("mean", "variance", "scale_sums"), (time_steps, 1, self.biases.size))
        y = (time_steps, streams, self.biases.size)
        return {**super().shapes(time_steps, streams), "y": y, **sums}

    def begin(self, x: Array, training: bool) -> None:
        self.training = training
        self.x = self.y = x
        if training:
            self.y = self.buffer("y")
            self.mean, self.variance = self.buffer("mean"), self.buffer("variance")
        else:
            self.gains, self.shifts = self.affine()

    def forward(self, steps: slice) -> Array:
        """As in Bias; in training x becomes norm(x), which the backward needs."""
        if self.training:
            return self._normalize(steps)
        y = self.y[steps]
        for part in parts(y.shape):
            np.multiply(y[part], self.gains, out=y[part])
            np.add(y[part], self.shifts, out=y[part])
            self.activation.apply(y[part])
        return y

    def _normalize(self, steps: slice) -> Array:
        """The variance is the unbiased one, divided by streams - 1."""
        x, y, mean, variance = (a[steps] for a in (self.x, self.y, self.mean, self.variance))
        streams = x.shape[1]
        average = _row(streams, 1 / streams, x.dtype)
        unbiased = _row(streams, 1 / (streams - 1), x.dtype)
        for part in parts(x.shape):
            xs, ys, means, variances = x[part], y[part], mean[part], variance[part]
            np.matmul(average, xs, out=means)
            np.subtract(xs, means, out=xs)
            np.multiply(xs, xs, out=ys)
            np.matmul(unbiased, ys, out=variances)
            np.multiply(xs, 1 / deviation(variances, self.dialect), out=xs)
            np.multiply(xs, self.scales.values, out=ys)
            np.add(ys, self.biases.values, out=ys)
            self.activation.apply(ys)
        return y

    def end(self) -> None:
        """Fold the statistics of the steps into the rolling ones."""
        if self.training:
            self.rolling.fold(self.mean, self.variance, *self.rolling.weights(len(self.mean)))

    def begin_backward(self) -> None:
        super().begin_backward()
        self.scale_sums = self.buffer("scale_sums")

    def backward(self, delta: Array, steps: slice) -> None:
        """As in Bias, and through the norm.

        With q = 1/(s + e), s the standard deviation over n streams, and d the delta of norm(x):
        `q (d - mean(d) - norm(x) sum(d norm(x))/(n-1) (s + e)/s)`; without the last factor if e
        stands under the root. q is bounded by 1/SMALLEST_DEVIATION.
        """
        x_norm, y, variance = self.x[steps], self.y[steps], self.variance[steps]
        scale_sums, bias_sums = self.scale_sums[steps], self.bias_sums[steps]
        streams = delta.shape[1]
        ones = _row(streams, 1, delta.dtype)
        slope = self.activation.slope
        for part in parts(delta.shape):
            d, ys, xs = delta[part], y[part], x_norm[part]
            if slope is not None:
                slope(ys, ys)
                np.multiply(d, ys, out=d)
            np.matmul(ones, d, out=bias_sums[part])
            np.multiply(d, xs, out=ys)
            np.matmul(ones, ys, out=scale_sums[part])
            divisor = deviation(variance[part], self.dialect)
            along = scale_sums[part] / (streams - 1)
            if self.dialect.deviation_epsilon:
                root = np.sqrt(variance[part])
                along *= np.divide(divisor, root, out=np.ones_like(root), where=root > 0)
            np.multiply(xs, along, out=ys)
            np.subtract(d, ys, out=d)
            np.subtract(d, bias_sums[part] / streams, out=d)
            np.multiply(d, self.scales.values / np.maximum(divisor, SMALLEST_DEVIATION), out=d)

    def end_backward(self) -> None:
        super().end_backward()
        self.scales.updates += self.scale_sums.sum(axis=(0, 1))

    def affine(self) -> tuple[Array, Array]:
        divisor = deviation(self.rolling.variance.values, self.dialect)
        gains = self.scales.values / divisor
        return gains, self.biases.values - self.rolling.mean.values * gains
