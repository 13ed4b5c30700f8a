"""The connected layer: y = f(x W^T + biases), or with batch norm y = f(norm(x W^T) scales +
biases).

`Connected` is the brick that the recurrent layers are built from; `ConnectedLayer` is the
`[connected]` section. Formulas: darknet's `connected_layer.c` and `batchnorm_layer.c`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from darknet_py import kernels
from darknet_py.activations import ACTIVATIONS, Activation
from darknet_py.cfg import NetOptions, Section
from darknet_py.layers.base import (
    Array,
    Layer,
    Parameter,
    Pass,
    RollingStatistics,
    Setting,
    State,
    Stepper,
    Workspace,
)
from darknet_py.rand import Rand

# With fewer time steps than this, copying a matrix costs more than it saves.
FEW_STEPS = 4


class Connected:
    """One matrix with its bias or batch norm and its activation, over all steps or one at a time.

    Batch norm is over the streams of one time step. The arrays of a call:
        x       (time_steps, streams, inputs), or symbols (time_steps, streams)
        x_norm  (time_steps, streams, outputs)  the product, normalised in place
        y       (time_steps, streams, outputs)  the same buffer as x_norm without batch norm
        mean, variance, scale_sums, bias_sums  (time_steps, 1, outputs)

    symbols: x is the symbols themselves. stepwise: all products but the matrix's own update are of
    one time step. Both multiply by a transposed copy of the matrix, made once per forward: symbols
    pick rows of it, and BLAS takes half the time for the few rows of a step.
    """

    def __init__(
        self,
        name: str,
        inputs: int,
        outputs: int,
        activation: Activation,
        batch_normalize: bool,
        setting: Setting,
        symbols: bool = False,
        stepwise: bool = False,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.activation = activation
        self.batch_normalize = batch_normalize
        self.setting = setting
        self.dialect = setting.dialect
        self.delta_clip = setting.net.delta_clip
        self.symbols = symbols
        self.stepwise = stepwise
        self.transposes = symbols or stepwise
        # A part of a stack is asked for products without `begin`.
        self.is_transposed = False
        self.buffers = Workspace()
        self.biases = Parameter(f"{name}.bias", (outputs,))
        self.weights = Parameter(f"{name}.weight", (outputs, inputs), decayed=True)
        if batch_normalize:
            self.scales = Parameter(f"{name}.scale", (outputs,), normal=True)
            self.rolling = RollingStatistics(name, outputs, self.dialect.rolling)

    def parameters(self) -> list[Parameter]:
        if self.batch_normalize:
            return [self.biases, self.weights, self.scales, *self.rolling.parameters]
        return [self.biases, self.weights]

    def statistics(self) -> list[RollingStatistics]:
        """Those of its batch norm; none without."""
        return [self.rolling] if self.batch_normalize else []

    def initialize(self, rand: Rand) -> None:
        """darknet's: weights uniform in +-sqrt(2/inputs), row by row; biases 0, scales 1.

        With `init=orthogonal` the matrix that sees the state is then made orthogonal.
        """
        reach = np.float32(np.sqrt(2.0 / self.inputs))
        drawn = (reach * rand.uniform(-1, 1, self.weights.size)).reshape(self.weights.shape)
        if self.setting.net.init == "orthogonal" and self.stepwise:
            drawn = _orthogonal(drawn)
        self.weights.values[...] = drawn
        self.biases.values.fill(0)
        if self.batch_normalize:
            self.scales.values.fill(1)
            self.rolling.clear()

    def _array(self, name: str, *shape: int) -> Array:
        return self.buffers.array(name, shape, self.biases.values.dtype)

    def operations(self) -> int:
        """Per character: two for each entry of the matrix, or one row of it where x is symbols."""
        return self.outputs * (3 if self.symbols else 2 * self.inputs + 2)

    def training_floats(self, time_steps: int, streams: int) -> int:
        arrays, sums = (2, 4) if self.batch_normalize else (1, 1)
        copies = self.weights.size * (2 if self.transposes else 1)
        return time_steps * (streams * arrays + sums) * self.outputs + copies

    def _table(self, name: str) -> Array:
        """A buffer (inputs, outputs)."""
        return self._array(name, self.inputs, self.outputs)

    def begin(self, time_steps: int, streams: int, training: bool) -> None:
        """Lay out the buffers of one call, before `forward` or the first `forward_step`."""
        self.training = training
        self.is_whole = training or time_steps >= FEW_STEPS
        self.is_transposed = self.transposes and self.is_whole
        self._collect()
        if self.is_transposed:
            np.copyto(self._table("transposed"), self.weights.values.T)
        self.x_norm = self._array("x_norm", time_steps, streams, self.outputs)
        self.y = self.x_norm
        if not self.batch_normalize:
            return
        if training:
            self.y = self._array("y", time_steps, streams, self.outputs)
            self.mean = self._array("mean", time_steps, 1, self.outputs)
            self.variance = self._array("variance", time_steps, 1, self.outputs)
        else:
            divisor = kernels.deviation(self.rolling.variance.values, self.dialect)
            self.gains = self.scales.values / divisor
            self.shifts = self.biases.values - self.rolling.mean.values * self.gains

    def _collect(self) -> None:
        """Bring the parameters together where they are those of several layers."""

    def forward(self, x: Array, training: bool) -> Array:
        """x -> y for all time steps: one product. Returns y, a buffer of this layer."""
        self.begin(x.shape[0], x.shape[1], training)
        self.x = x
        if self.symbols:
            self._look_up(x, self.x_norm)
        else:
            self._multiply(x.reshape(-1, self.inputs), self.x_norm.reshape(-1, self.outputs))
        self._activate(self.x_norm, self.y, slice(0, x.shape[0]))
        self.end()
        return self.y

    def forward_step(self, t: int, x: Array) -> Array:
        """x (streams, inputs) -> y (streams, outputs) at step t."""
        product = self.x_norm[t : t + 1]
        self._multiply(x, product[0])
        self._activate(product, self.y[t : t + 1], slice(t, t + 1))
        return self.y[t]

    def _multiply(self, x: Array, out: Array) -> None:
        """x (rows, inputs) -> x W^T (rows, outputs)."""
        matrix = self._table("transposed") if self.is_transposed else self.weights.values.T
        kernels.product(x, matrix, out=out)

    def _look_up(self, symbols: Array, out: Array) -> None:
        """The product with one-hot rows: a column of the matrix for each of `symbols`."""
        if self.is_transposed:
            kernels.gather(self._table("transposed"), symbols, out)
        else:
            np.copyto(out, np.moveaxis(self.weights.values[:, symbols], 0, -1))

    def _activate(self, product: Array, y: Array, steps: slice) -> None:
        if not self.batch_normalize:
            kernels.bias_activate(product, self.biases.values, self.activation)
        elif self.training:
            kernels.normalize_activate(
                product,
                y,
                self.mean[steps],
                self.variance[steps],
                self.scales.values,
                self.biases.values,
                self.activation,
                self.dialect,
            )
        else:
            kernels.affine_activate(product, self.gains, self.shifts, self.activation)

    def end(self) -> None:
        """Fold the statistics of the steps since `begin` into the rolling ones."""
        if self.batch_normalize and self.training:
            self.rolling.add(self.mean, self.variance)

    def stepper(self, streams: int) -> Stepper:
        """A function from x of one time step, or symbols, to y: see Layer.stepper."""
        self.begin(1, streams, training=False)
        weights = self._matrix()
        gains = self.gains if self.batch_normalize else None
        shifts = self.shifts if self.batch_normalize else self.biases.values.copy()
        apply = self.activation.apply
        y = np.empty((streams, self.outputs) if streams > 1 else self.outputs, weights.dtype)
        table = np.ascontiguousarray(weights.T) if self.symbols or streams > 1 else weights.T

        def step(x: Any) -> Array:
            if self.symbols:
                np.copyto(y, table[x])
            elif streams > 1:
                np.matmul(x, table, out=y)
            else:
                np.dot(weights, x, out=y)
            if gains is not None:
                np.multiply(y, gains, out=y)
            np.add(y, shifts, out=y)
            apply(y)
            return y

        return step

    def _matrix(self) -> Array:
        return self.weights.values

    def backward(self, delta: Array, out: Array | None) -> None:
        """delta of y -> added to the updates, and into `out` (like x), where given, the delta of x.

        Overwrites `delta` with that of the product.
        """
        self.begin_backward(delta.shape[0])
        self._deactivate(delta, slice(0, delta.shape[0]))
        self.end_backward(self.x, delta)
        if out is not None:
            rows = delta.reshape(-1, self.outputs)
            kernels.product(rows, self.weights.values, out=out.reshape(-1, self.inputs))

    def begin_backward(self, time_steps: int) -> None:
        """Lay out what `backward`, or the steps of a backward walk, sum into."""
        if self.batch_normalize:
            self.scale_sums = self._array("scale_sums", time_steps, 1, self.outputs)
        self.bias_sums = self._array("bias_sums", time_steps, 1, self.outputs)

    def backward_step(self, t: int, delta: Array, out: Array | None) -> None:
        """At step t: the delta (streams, outputs) of y -> of the product, in place, and of x."""
        self._deactivate(delta[None], slice(t, t + 1))
        if out is not None:
            kernels.product(delta, self.weights.values, out=out)

    def _deactivate(self, delta: Array, steps: slice) -> None:
        if self.delta_clip:
            np.clip(delta, -self.delta_clip, self.delta_clip, out=delta)
        if self.batch_normalize:
            kernels.normalize_activate_backward(
                delta,
                self.y[steps],
                self.x_norm[steps],
                self.variance[steps],
                self.scales.values,
                self.scale_sums[steps],
                self.bias_sums[steps],
                self.activation,
                self.dialect,
            )
        else:
            kernels.activate_backward(delta, self.y[steps], self.bias_sums[steps], self.activation)

    def end_backward(self, x: Array, delta: Array) -> None:
        """Add to the updates of all parameters: one product for the matrix.

        x: what came in, all steps; delta: that of the product, (time_steps, streams, outputs).
        """
        self.biases.updates += self.bias_sums.sum(axis=(0, 1))
        if self.batch_normalize:
            self.scales.updates += self.scale_sums.sum(axis=(0, 1))
        if self.symbols:
            table = self._table("updates")
            table.fill(0)
            kernels.add_by_symbol(delta, x, table)
            self.weights.updates += table.T
        else:
            rows = delta.reshape(-1, self.outputs)
            product = self.buffers.array("product", self.weights.shape, delta.dtype)
            kernels.product(rows.T, x.reshape(-1, self.inputs), out=product)
            self.weights.updates += product


def _orthogonal(matrix: Array) -> Array:
    """The orthogonal factor of a square matrix, with the signs that make it unique."""
    q, r = np.linalg.qr(matrix.astype(np.float64))
    return q * np.where(np.diag(r) < 0, -1, 1)


class ConnectedLayer(Layer):
    """`[connected]`: the brick over all symbols of a datum; its batch norm is over all of them."""

    kind = "connected"
    takes_symbols = True

    def __init__(self, index: int, connected: Connected) -> None:
        super().__init__(index, connected.inputs, connected.outputs)
        self.connected = connected
        self.needs_whole_datum = connected.batch_normalize

    @classmethod
    def make(cls, section: Section, setting: Setting) -> ConnectedLayer:
        connected = Connected(
            str(setting.index),
            setting.inputs,
            section.integer("output", 1, minimum=1),
            ACTIVATIONS[section.choice("activation", "logistic", ACTIVATIONS)],
            section.flag("batch_normalize"),
            setting,
            symbols=setting.index == 0,
        )
        return cls(setting.index, connected)

    def parameters(self) -> list[Parameter]:
        return self.connected.parameters()

    def loaded(self) -> list[Parameter]:
        return [p for p in super().loaded() if not (p.normal and self.dontloadscales)]

    def statistics(self) -> list[RollingStatistics]:
        return self.connected.statistics()

    def initialize(self, rand: Rand) -> None:
        self.connected.initialize(rand)

    def check_trainable(self, section: Section, net: NetOptions) -> None:
        if self.connected.batch_normalize and net.streams * net.time_steps == 1:
            raise section.error("batch_normalize=1 cannot train on one symbol at a time")

    def operations(self) -> int:
        return self.connected.operations()

    def training_floats(self, time_steps: int, streams: int) -> int:
        return self.connected.training_floats(time_steps, streams)

    def forward(self, x: Array, state: State, run: Pass) -> tuple[Array, State]:
        y = self.connected.forward(self._rows(x), run.training)
        return y.reshape(*x.shape[:2], self.outputs), state

    def stepper(self, state: State, streams: int) -> Stepper:
        return self.connected.stepper(streams)

    def backward(self, delta: Array, below: Array | None) -> None:
        self.connected.backward(self._rows(delta), None if below is None else self._rows(below))

    def _rows(self, x: Array) -> Array:
        """x as one time step of time_steps * streams rows, if batch norm is to see them at once."""
        return x.reshape(1, -1, *x.shape[2:]) if self.connected.batch_normalize else x
