"""What follows the product of a connected layer: a bias or batch norm, and the activation.

    Bias   y = f(x + biases)
    Norm   y = f(norm(x) scales + biases)     norm over the streams of each time step

Both work on a buffer x (time_steps, streams, outputs) that the product is written into, on all its
steps or on some of them at a time. `begin` comes before the first step, `end` after the last, and
`begin_backward` and `end_backward` likewise; `Connected` calls them. The formulas, and darknet's
source of them, are in `kernels/plain.py`.
"""

from __future__ import annotations

from darknet_py.activations import Activation
from darknet_py.arrays import Array
from darknet_py.kernels.plain import deviation
from darknet_py.layers.base import Parameter, RollingStatistics, Setting, Workspace


class Bias:
    """y = f(x + biases), in place."""

    def __init__(
        self, name: str, outputs: int, activation: Activation, buffers: Workspace, setting: Setting
    ) -> None:
        self.kernels = setting.kernels
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

    def training_floats(self, time_steps: int, streams: int) -> int:
        """What it keeps of each step, x included, and sums over it, about."""
        return time_steps * (streams + 1) * self.biases.size

    def _sums(self, name: str, time_steps: int) -> Array:
        """A buffer (time_steps, 1, outputs)."""
        values = self.biases.values
        return self.buffers.array(name, (time_steps, 1, values.size), values.dtype)

    def begin(self, x: Array, training: bool) -> None:
        """x: the buffer that products will be in."""
        self.y = x

    def forward(self, steps: slice) -> Array:
        """The product of these time steps -> y of them."""
        y = self.y[steps]
        self.kernels.bias_activate(y, self.biases.values, self.activation)
        return y

    def end(self) -> None:
        pass

    def begin_backward(self, time_steps: int) -> None:
        self.bias_sums = self._sums("bias_sums", time_steps)

    def backward(self, delta: Array, steps: slice) -> None:
        """The delta of y of these time steps -> that of the product, in place."""
        self.kernels.activate_backward(delta, self.y[steps], self.bias_sums[steps], self.activation)

    def end_backward(self) -> None:
        """Add to the updates what the steps have summed up."""
        self.biases.updates += self.bias_sums.sum(axis=(0, 1))

    def affine(self) -> tuple[Array | None, Array]:
        """What it does before the activation when it does not train: x gains + shifts."""
        return None, self.biases.values.copy()


class Norm(Bias):
    """y = f(norm(x) scales + biases): batch norm, by rolling statistics outside training."""

    def __init__(
        self,
        name: str,
        outputs: int,
        activation: Activation,
        buffers: Workspace,
        setting: Setting,
    ) -> None:
        super().__init__(name, outputs, activation, buffers, setting)
        self.dialect = setting.dialect
        self.scales = Parameter(f"{name}.scale", (outputs,), normal=True)
        self.rolling = RollingStatistics(name, outputs, self.dialect.rolling, self.kernels)

    def after_weights(self) -> list[Parameter]:
        return [self.scales, *self.rolling.parameters]

    def statistics(self) -> list[RollingStatistics]:
        return [self.rolling]

    def initialize(self) -> None:
        super().initialize()
        self.scales.values.fill(1)
        self.rolling.clear()

    def training_floats(self, time_steps: int, streams: int) -> int:
        return time_steps * (2 * streams + 4) * self.biases.size

    def begin(self, x: Array, training: bool) -> None:
        self.training = training
        self.x = self.y = x
        if training:
            self.y = self.buffers.array("y", x.shape, x.dtype)
            self.mean = self._sums("mean", len(x))
            self.variance = self._sums("variance", len(x))
        else:
            self.gains, self.shifts = self.affine()

    def forward(self, steps: slice) -> Array:
        """As in Bias; in training x becomes norm(x), which the backward needs."""
        x, y = self.x[steps], self.y[steps]
        if self.training:
            self.kernels.normalize_activate(
                x,
                y,
                self.mean[steps],
                self.variance[steps],
                self.scales.values,
                self.biases.values,
                self.activation,
                self.dialect,
            )
        else:
            self.kernels.affine_activate(x, self.gains, self.shifts, self.activation)
        return y

    def end(self) -> None:
        """Fold the statistics of the steps into the rolling ones."""
        if self.training:
            self.rolling.add(self.mean, self.variance)

    def begin_backward(self, time_steps: int) -> None:
        super().begin_backward(time_steps)
        self.scale_sums = self._sums("scale_sums", time_steps)

    def backward(self, delta: Array, steps: slice) -> None:
        self.kernels.normalize_activate_backward(
            delta,
            self.y[steps],
            self.x[steps],
            self.variance[steps],
            self.scales.values,
            self.scale_sums[steps],
            self.bias_sums[steps],
            self.activation,
            self.dialect,
        )

    def end_backward(self) -> None:
        super().end_backward()
        self.scales.updates += self.scale_sums.sum(axis=(0, 1))

    def affine(self) -> tuple[Array, Array]:
        divisor = deviation(self.rolling.variance.values, self.dialect)
        gains = self.scales.values / divisor
        return gains, self.biases.values - self.rolling.mean.values * gains
