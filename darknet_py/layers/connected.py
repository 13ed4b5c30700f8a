"""The connected layer: y = f(x W^T + biases), or with batch norm y = f(norm(x W^T) scales +
biases).

`Connected` is what the recurrent layers are built from: a product (`product.py`), then a
bias or batch norm with the activation (`norm.py`). `ConnectedLayer` is the `[connected]` section.
Formulas: darknet's `connected_layer.c` and `batchnorm_layer.c`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from darknet_py.activations import ACTIVATIONS, Activation
from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.layers.base import (
    ForwardContext,
    Layer,
    Parameter,
    RollingStatistics,
    Setting,
    State,
)
from darknet_py.layers.norm import Bias, Norm
from darknet_py.layers.product import LookUp, Product
from darknet_py.layers.workspace import Shapes, Workspace, floats
from darknet_py.program import Value, Values
from darknet_py.rand import Rand

# With fewer time steps than this, copying a matrix costs more than it saves.
FEW_STEPS = 4

Step = Callable[[int, Array], Array]
StepBack = Callable[[int, "Array | None"], None]


class Connected:
    """One matrix with its bias or batch norm and its activation.

    All time steps at once, where x is known for all of them:

        y = connected.forward(x, training)
        connected.backward(delta, below)

    or one at a time, where x depends on the y before:

        with connected.steps(time_steps, streams, training) as step:
            y[t] = step(t, x[t])                     t from 0 on
        with connected.steps_back(x, delta) as step_back:
            step_back(t, below)                      t from the last down

    kernel: the parameter that files have, whose matrix is `weights`.
    sizes: inputs and outputs. symbols: x is the symbols themselves, (time_steps, streams).
    stepwise: it is used one step at a time, on the state of a recurrent layer.
    """

    def __init__(
        self,
        name: str,
        sizes: tuple[int, int],
        activation: Activation,
        batch_normalize: bool,
        setting: Setting,
        symbols: bool = False,
        stepwise: bool = False,
    ) -> None:
        self.inputs, self.outputs = inputs, outputs = sizes
        self.activation = activation
        self.batch_normalize = batch_normalize
        self.setting = setting
        self.symbols = symbols
        self.stepwise = stepwise
        self.buffers = Workspace()
        self.weights = Parameter(
            f"{name}.weight", (outputs, inputs), decayed=True, recurrent=stepwise
        )
        self.kernel = self.weights
        product = LookUp if symbols else Product
        self.product = product(self.weights, symbols or stepwise, self.buffers)
        norm = Norm if batch_normalize else Bias
        self.norm = norm(name, outputs, activation, self.buffers, setting)

    def parameters(self) -> list[Parameter]:
        return [self.norm.biases, self.weights, *self.norm.after_weights()]

    def statistics(self) -> list[RollingStatistics]:
        """Those of its batch norm; none without."""
        return self.norm.statistics()

    def initialize(self, rand: Rand) -> None:
        """darknet's: weights uniform in +-sqrt(2/inputs), row by row; biases 0, scales 1.

        With `init_symbols=1` the matrix that sees symbols is so in +-sqrt(2), since of its inputs
        one is not 0. With `init=orthogonal` the matrix that sees the state is then made orthogonal.
        """
        fan_in = 1 if self.symbols and self.setting.options.init_symbols else self.inputs
        bound = np.float32(np.sqrt(2.0 / fan_in))
        drawn = (bound * rand.uniform(-1, 1, self.weights.size)).reshape(self.weights.shape)
        if self.setting.options.init == "orthogonal" and self.stepwise:
            drawn = orthogonal(drawn)
        self.weights.values[...] = drawn
        self.norm.initialize()

    def operations(self) -> int:
        """Per character: two for each entry of the matrix, or one row of it where x is symbols."""
        return self.outputs * (3 if self.symbols else 2 * self.inputs + 2)

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        """Its buffers by name, for training."""
        products = {"products": (time_steps, streams, self.outputs)}
        return products | {**self.norm.shapes(time_steps, streams), **self.product.shapes()}

    def kept_floats(self, time_steps: int, streams: int) -> int:
        """Numbers in them."""
        return floats(self.shapes(time_steps, streams))

    # --- forward

    def forward(self, x: Array, training: bool) -> Array:
        """x (time_steps, streams, inputs) -> y (time_steps, streams, outputs), a buffer."""
        self.x = x
        with self.steps(x.shape[0], x.shape[1], training):
            self._multiply(_rows(x), _rows(self.products))
            return self.norm.forward(slice(0, len(x)))

    @contextmanager
    def steps(self, time_steps: int, streams: int, training: bool) -> Iterator[Step]:
        """Gives a function from t and x (streams, inputs) to y (streams, outputs) of step t.

        y stays in a buffer until the next call of `steps` or `forward`.
        """
        self._prepare(training or time_steps >= FEW_STEPS)
        shapes = self.shapes(time_steps, streams)
        self.products = self.buffers.array("products", shapes, self.weights.values.dtype)
        self.norm.begin(self.products, training)

        def step(t: int, x: Array) -> Array:
            self._multiply(x, self.products[t])
            y: Array = self.norm.forward(slice(t, t + 1))[0]
            return y

        yield step
        self.norm.end()

    def _prepare(self, pays: bool) -> None:
        """pays: whether there are enough products for copies of the matrix."""
        self.product.prepare(pays)

    def _multiply(self, x: Array, out: Array) -> None:
        self.product.forward(x, out)

    # --- backward

    def backward(self, delta: Steps, below: Steps | None) -> None:
        """delta of y -> added to the updates, and into `below` (like x), where given, that of x.

        Overwrites `delta` with that of the product.
        """
        with self.steps_back(self.x, delta):
            self._undo(delta, slice(0, len(delta)))
        if below is not None:
            self.product.backward(_rows(delta), _rows(below))

    @contextmanager
    def steps_back(self, x: Array, delta: Array) -> Iterator[StepBack]:
        """Gives a function of t and `below` that turns delta[t], of y, into that of the product and
        writes the delta of x[t], (streams, inputs), into `below`, if it is given.

        At the end all of them are added to the updates, with one product for the matrix.
        x: what came in, all steps. delta: (time_steps, streams, outputs), that of a step needed
        when it is called.
        """
        self.norm.begin_backward()

        def step_back(t: int, below: Array | None) -> None:
            self._undo(delta[t : t + 1], slice(t, t + 1))
            if below is not None:
                self.product.backward(delta[t], below)

        yield step_back
        self.norm.end_backward()
        self.product.add_updates(_rows(x), _rows(delta))

    def _undo(self, delta: Array, steps: slice) -> None:
        """The delta of y of these steps -> that of the product, in place."""
        if clip := self.setting.options.delta_clip:
            np.clip(delta, -clip, clip, out=delta)
        self.norm.backward(delta, steps)

    # --- one time step of a prediction

    def __call__(self, x: Value) -> Value:
        """y in the formula of a layer's `step`."""
        product = x.program.write("connect", x, by=self, width=self.outputs)
        return self.activation(product)

    def matrix(self) -> Array:
        """(outputs, inputs), what it multiplies with."""
        return self.weights.values


def _rows(x: Array) -> Array:
    """(time_steps, streams, ...) -> (time_steps * streams, ...)."""
    return x.reshape(-1, *x.shape[2:])


def orthogonal(matrix: Array) -> Array:
    """The orthogonal factor of a square matrix, with the signs that make it unique."""
    q, r = np.linalg.qr(matrix.astype(np.float64))
    return q * np.where(np.diag(r) < 0, -1, 1)


class CompositeLayer(Layer):
    """A layer that is made of connected layers."""

    def linears(self) -> list[Connected]:
        """The connected layers that it computes with, the one that sees the input first."""
        raise NotImplementedError

    def parameters(self) -> list[Parameter]:
        return [parameter for linear in self.linears() for parameter in linear.parameters()]

    def statistics(self) -> list[RollingStatistics]:
        return [rolling for linear in self.linears() for rolling in linear.statistics()]

    def initialize(self, rand: Rand) -> None:
        for linear in self.linears():
            linear.initialize(rand)

    def operations(self) -> int:
        return sum(linear.operations() for linear in self.linears())

    def kept_floats(self, time_steps: int, streams: int) -> int:
        rows = self.rows(time_steps, streams)
        connected = sum(linear.kept_floats(*rows) for linear in self.linears())
        return super().kept_floats(time_steps, streams) + connected


class ConnectedLayer(CompositeLayer):
    """`[connected]`: one matrix; batch norm is over all symbols of a datum."""

    kind = "connected"
    takes_symbols = True

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting, section.integer("output", 1, minimum=1))
        self.connected = Connected(
            str(setting.index),
            (self.inputs, self.outputs),
            ACTIVATIONS[section.choice("activation", "logistic", ACTIVATIONS)],
            section.flag("batch_normalize"),
            setting,
            symbols=setting.index == 0,
        )

    def linears(self) -> list[Connected]:
        return [self.connected]

    def loaded(self) -> list[Parameter]:
        return [p for p in super().loaded() if not (p.normal and self.dontloadscales)]

    def rows(self, time_steps: int, streams: int) -> tuple[int, int]:
        has_norm = self.connected.batch_normalize
        return super().rows(time_steps, streams) if has_norm else (time_steps, streams)

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        y = self.connected.forward(self._rows(x), context.training)
        return y.reshape(*x.shape[:2], self.outputs), state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return self.connected(x), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        self.connected.backward(self._rows(delta), None if below is None else self._rows(below))

    def _rows(self, x: Array) -> Array:
        """x as one time step of time_steps * streams rows, if batch norm is to see them at once."""
        return x.reshape(1, -1, *x.shape[2:]) if self.connected.batch_normalize else x
