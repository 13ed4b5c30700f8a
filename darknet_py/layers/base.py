"""What every layer is: darknet's five verbs over time-major arrays.

    make      the constructor: from a section of the cfg, its options checked
    forward   x (time_steps, streams, inputs) -> y (time_steps, streams, outputs)
    backward  delta of y -> delta of x; what the parameters should change goes to their `updates`
    update    the optimizer's step on each parameter

darknet's `increment_layer`, which moves all pointers of a layer one step through time, is here the
time index `t` of its arrays.

**Deltas are minus the gradient**, as in darknet: the loss falls along a delta, and an update adds.
So `updates`, too, hold minus the gradient of the loss, summed over all symbols of a datum.

What a layer remembers from one call to the next is its state: a tuple of `(streams, features)`
arrays that goes into `forward` and comes out of it, empty for most layers. What its backward needs
from its forward stays in buffers that the next call overwrites.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from darknet_py.arrays import Array, Codes, Steps
from darknet_py.cfg import Section
from darknet_py.dialect import Dialect
from darknet_py.layers.workspace import Shapes, Workspace, floats
from darknet_py.options import NetOptions
from darknet_py.program import Value, Values
from darknet_py.rand import Rand

State = tuple[Array, ...]
# Parts of a layer's work by name: seconds, and operations of products.
Times = dict[str, tuple[float, int]]


@dataclass
class Parameter:
    """One named tensor of a layer, a view into the network's flat vectors once it is bound.

    trained: rolling statistics are not; they are updated by forward.
    decayed: a matrix; SGD's `decay` and `weight_decay` act on these only.
    gaussian: in a new network it is drawn from the normal distribution.
    normal: belongs to batch norm, its scales or rolling statistics.
    recurrent: a matrix that multiplies the state.
    """

    name: str
    shape: tuple[int, ...]
    trained: bool = True
    decayed: bool = False
    normal: bool = False
    gaussian: bool = False
    recurrent: bool = False
    span: slice = field(default_factory=lambda: slice(0, 0))
    values: Array = field(default_factory=lambda: np.empty(0, np.float32))
    updates: Array = field(default_factory=lambda: np.empty(0, np.float32))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_variance(self) -> bool:
        """Whether these are the rolling variances of a batch norm."""
        return self.name.endswith(".rolling_variance")

    def bind(self, span: slice, values: Array, updates: Array) -> None:
        """Become a view of `values[span]` and `updates[span]`, flat vectors of the network."""
        self.span = span
        self.values = values[span].reshape(self.shape)
        self.updates = updates[span].reshape(self.shape)


class RollingStatistics:
    """The `mean` and `variance` that batch norm uses when it does not train, and how many `steps`
    they have seen.

        r = (1 - share) r + share now      once per time step, in order: one weighted sum

    share: darknet's, small throughout, with which a young network's statistics are still near the 0
    that they start from, so that it explodes when it runs freely. Here the first steps enter as a
    plain mean: the share of a step is at least 1 / (steps so far + 1).
    """

    # Steps after which only darknet's own share is left, in either dialect.
    SETTLED = 1 << 20

    def __init__(self, name: str, outputs: int, share: float) -> None:
        self.mean, self.variance = (
            Parameter(f"{name}.{kind}", (outputs,), trained=False, normal=True)
            for kind in ("rolling_mean", "rolling_variance")
        )
        self.share = share
        self.steps = 0

    @property
    def parameters(self) -> list[Parameter]:
        return [self.mean, self.variance]

    def clear(self) -> None:
        """Set both to 0, as in a new network; `steps` stays."""
        self.mean.values.fill(0)
        self.variance.values.fill(0)

    def weights(self, count: int) -> tuple[float, Array]:
        """How much of what is there stays after the next `count` steps, and each step's weight.

        The steps count as seen from now on.
        """
        shares = np.maximum(self.share, 1 / (self.steps + 1 + np.arange(count)))
        self.steps = min(self.SETTLED, self.steps + count)
        # What is left of each step after those that follow it, and first of what was there before.
        kept = np.append(np.cumprod((1 - shares)[::-1])[::-1], 1.0)
        return float(kept[0]), (shares * kept[1:]).astype(self.mean.values.dtype)

    def fold(self, mean: Array, variance: Array, kept: float, weights: Array) -> None:
        """Fold in the statistics of some steps, (time_steps, 1, features) each, with what `weights`
        gave.
        """
        for rolling, now in ((self.mean.values, mean), (self.variance.values, variance)):
            np.multiply(rolling, kept, out=rolling)
            np.add(rolling, weights @ now.reshape(len(now), -1), out=rolling)


@dataclass(frozen=True)
class Setting:
    """Where a layer is made: its index, the features that come in, and the network around it.

    scratch: buffers for the time of one backward, which all layers of a network share.
    precision: of what the engine's products multiply in training, "f32" or "bf16".
    image: height, width and channels of what comes in, if that is the network's own image.
    """

    index: int
    inputs: int
    options: NetOptions
    dialect: Dialect
    scratch: Workspace
    precision: str = "f32"
    image: tuple[int, int, int] | None = None

    def after(self, layer: Layer) -> Setting:
        """That of the layer which follows."""
        image = self.image if layer.keeps_image else None
        return replace(self, index=self.index + 1, inputs=layer.outputs, image=image)


@dataclass(frozen=True)
class ForwardContext:
    """What a forward needs to know besides its input and state.

    training: whether a backward may follow; batch norm and dropout then act as in training.
    first_stream: the first of the datum's streams in the input. all_streams: how many the datum
    has; 0 if the input contains all of them.
    seed, datum: the key of random numbers: the run's seed, and which datum of the run it is.
    """

    training: bool = False
    first_stream: int = 0
    all_streams: int = 0
    seed: int = 0
    datum: int = 0


PREDICTION = ForwardContext()


class Layer:
    """The base of all layers; it does nothing to its input."""

    kind: ClassVar[str]
    takes_symbols: ClassVar[bool] = False
    # Whether what comes out is an image like what comes in.
    keeps_image: ClassVar[bool] = False

    def __init__(self, section: Section, setting: Setting, outputs: int | None = None) -> None:
        """The layer that `section` describes. outputs: by default as many as inputs.

        Raises CfgError.
        """
        self.index = setting.index
        self.inputs = setting.inputs
        self.outputs = setting.inputs if outputs is None else outputs
        # Features of each array of its state, by name.
        self.state_sizes: dict[str, int] = {}
        self.buffers = Workspace()
        self.learning_rate = section.number("learning_rate", 1)
        self.dontload = section.flag("dontload")
        self.dontloadscales = section.flag("dontloadscales")
        self.dontsave = section.flag("dontsave")
        self.stopbackward = section.flag("stopbackward")
        section.flag("onlyforward")  # has no meaning for these layers

    def parameters(self) -> list[Parameter]:
        """Its parameters in the order of the weights file."""
        return []

    def loaded(self) -> list[Parameter]:
        """Those of its parameters that a weights file to load has."""
        return [] if self.dontload else self.parameters()

    def statistics(self) -> list[RollingStatistics]:
        """The rolling statistics of its batch norm, which a training forward adds to."""
        return []

    def initialize(self, rand: Rand) -> None:
        """Set the parameters as those of a new darknet network, drawing in C's order."""

    def initial_state(self, streams: int, dtype: np.dtype[Any]) -> State:
        """The state before the first symbol: zeros, each `(streams, features)`."""
        return tuple(np.zeros((streams, size), dtype) for size in self.state_sizes.values())

    def rows(self, time_steps: int, streams: int) -> tuple[int, int]:
        """How a datum is laid out for batch norm: steps, and rows in each, which it is over."""
        return 1, time_steps * streams

    def check_trainable(self, section: Section, options: NetOptions) -> None:
        """Raise CfgError if this layer cannot be trained with these `[net]` options: batch norm
        over one row.
        """
        if self.statistics() and self.rows(options.time_steps, options.streams)[1] == 1:
            raise section.error(
                "batch norm needs at least two streams to train, and batch / subdivisions is 1; "
                "give a larger batch, like --set batch=16 --set time_steps=64"
            )

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        """x (time_steps, streams, inputs), or symbols (time_steps, streams) if it takes them,
        -> y (time_steps, streams, outputs) and the state after the last step.

        y is a buffer of the layer, valid until its next call; the state is the caller's.
        """
        raise NotImplementedError

    def backward(self, delta: Steps, below: Steps | None) -> None:
        """delta (time_steps, streams, outputs) of y -> what is added to `updates`, and that of x.

        Writes the delta of x into `below` (time_steps, streams, inputs), if it is given.
        Follows a forward of a training pass, once; overwrites `delta`. When it returns, the updates
        are complete.
        """
        raise NotImplementedError

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        """The layer's forward for one time step of a prediction, as a formula: see `program`.

        x (streams, inputs), or symbols (streams,) for a first layer that takes them -> y (streams,
        outputs) and the state after. It is what generates and what is exported.
        """
        raise NotImplementedError

    def operations(self) -> int:
        """Additions and multiplications that one symbol costs on its way forward, about."""
        return self.outputs

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        """The buffers of a training forward and its backward, `self.buffers`, by name."""
        return {}

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        """Buffers for the time of a backward, by name: `Setting.scratch`, which layers share."""
        return {}

    def take_times(self) -> Times:
        """The parts of its work since this was last called, if it measures any."""
        return {}

    def kept_floats(self, time_steps: int, streams: int) -> int:
        """Numbers in its buffers while it trains, those of its connected layers included."""
        return floats(self.shapes(time_steps, streams))


class LossLayer(Layer):
    """A layer at the end that compares its output with the truth."""

    has_loss = True

    def losses(self, targets: Codes) -> Array:
        """The loss of each symbol of the last forward, `(time_steps, streams)`, in nats."""
        raise NotImplementedError

    def loss_delta(self, targets: Codes) -> Steps:
        """The delta of the summed losses at the layer's input, `(time_steps, streams, inputs)`.

        Follows `losses`, once; may use up the output of the last forward.
        """
        raise NotImplementedError


def subtract_from_truth(x: Steps, targets: Codes) -> Steps:
    """x = truth - x, in place, with 1 at the targets (time_steps, streams) and 0 elsewhere."""
    np.negative(x, out=x)
    rows = x.reshape(-1, x.shape[-1])
    rows[np.arange(len(rows)), targets.reshape(-1)] += 1
    return x
