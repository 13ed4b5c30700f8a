"""A network: the layers of a cfg over one flat vector of parameters.

All parameters lie in one contiguous vector in the order of the weights file, and every named
tensor is a view into it. Their updates (minus the gradient, summed over a datum) and the
optimiser's memory are vectors of the same layout.
"""

from __future__ import annotations

import copy
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from darknet_py import weights as weights_file
from darknet_py.bounds import integers
from darknet_py.cfg import Cfg, NetOptions, Section, printable
from darknet_py.dialect import UPSTREAM, Dialect
from darknet_py.errors import (
    CfgError,
    CfgWarning,
    CostWarning,
    DarknetError,
    DarknetWarning,
    WeightsError,
)
from darknet_py.layers import LAYERS, Layer, LossLayer
from darknet_py.layers.base import PREDICTION, Array, Parameter, Pass, Setting, State, Workspace
from darknet_py.layers.cost import CostLayer
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.machine import memory
from darknet_py.optimizer import bound_gradient, cooldown_factor, learning_rate, make_optimizer
from darknet_py.rand import Rand
from darknet_py.ranks.mpi import ALONE, Ranks
from darknet_py.segments import accumulate_in_segments

NetworkState = tuple[State, ...]


class Accumulate(Protocol):
    """What sets or adds to a network's `updates`, over one datum; see `Network.accumulate`."""

    def __call__(
        self, inputs: Array, targets: Array, state: NetworkState, add: bool
    ) -> tuple[float, NetworkState]: ...


def _make_layers(
    cfg: Cfg, net: NetOptions, dialect: Dialect, scratch: Workspace
) -> list[tuple[Section, Layer]]:
    """A layer for each section after `[net]`, each fitted to the outputs of the one before."""
    made: list[tuple[Section, Layer]] = []
    inputs = net.inputs
    for section in cfg.layers:
        last = made[-1][1] if made else None
        setting = Setting(len(made), inputs, net, dialect, scratch)
        if section.name == "cost" and isinstance(last, SoftmaxLayer) and last.has_loss:
            message = f"{section.place}: [cost] after [softmax] is ignored: the softmax has a loss"
            warnings.warn(message, CostWarning, stacklevel=2)
            CostLayer.make(section, setting).read_common(section)
            continue
        if section.name not in LAYERS:
            raise CfgError(
                f"{section.place}: unknown section [{printable(section.name)}]: expected one of "
                + ", ".join(f"[{name}]" for name in LAYERS)
            )
        layer = LAYERS[section.name].make(section, setting)
        layer.read_common(section)
        made.append((section, layer))
        inputs = layer.outputs
    for section in cfg.sections:
        for option in section.unused():
            if option.place == "--set":
                raise CfgError(f"--set: {option}: no such key in [net]{section.likely(option.key)}")
            message = f"{option.place}: Unused field: {option} in [{section.name}]"
            warnings.warn(message, CfgWarning, stacklevel=2)
    return made


def _settings_of(part: object) -> dict[str, Any]:
    """The attributes that are plain values, by name."""
    plain = (bool, int, float, str, slice, np.generic, NetOptions)
    return {name: value for name, value in vars(part).items() if isinstance(value, plain)}


class Network:
    """The network that `cfg` describes, its parameters all zero until they are initialized or
    loaded.

    dtype: float32 as in the weights file; float64 for checking gradients.
    seen: symbols trained on so far, over all runs. last_rate: the last update's learning rate.
    progress: the share of the run that is done, which `cooldown` goes by; `train` sets it.
    `copy.copy`, `copy.deepcopy` and `pickle` give whole, independent networks.
    Raises CfgError. What is ignored in the cfg is said by a CfgWarning.
    """

    def __init__(
        self,
        cfg: Cfg,
        dialect: Dialect = UPSTREAM,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> None:
        self.cfg = cfg
        self.net = NetOptions.of(cfg.net)
        self.dialect = dialect
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.seen = 0
        self.last_rate = 0.0
        self.progress = 0.0
        self._is_trainable = False
        self.ranks = ALONE
        self.own_streams = self._computed_streams = slice(0, self.net.streams)
        self._shared_accumulate: Accumulate | None = None
        self._scratch = Workspace()
        made = _make_layers(cfg, self.net, dialect, self._scratch)
        self.layers = [layer for _, layer in made]
        # The last layer but a [cost]: its outputs are the probabilities.
        outputs = [layer for layer in self.layers if not isinstance(layer, CostLayer)]
        self.output_layer = (outputs or self.layers)[-1]
        stops = [layer.index for layer in self.layers if layer.stopbackward]
        # Layers below this one stay as they are, rolling statistics included.
        self.first_trained = stops[-1] + 1 if stops else 0
        self._sections = [section for section, _ in made]
        self.use_rand(Rand(0))
        count = sum(parameter.size for parameter in self.tensors())
        size = count * self.dtype.itemsize
        if size > memory():
            raise CfgError(
                f"{cfg.place('inputs')}: {count:,} parameters take {size / 1e9:,.1f} GB: "
                f"expected at most the {memory() / 1e9:,.1f} GB of this machine"
            )
        size = 2 * self._state_size() * self.streams * self.dtype.itemsize
        if size > memory():
            raise CfgError(
                f"{self._shape_place()}: the states of {self.streams:,} streams take "
                f"{size / 1e9:,.1f} GB: expected at most the {memory() / 1e9:,.1f} GB of this "
                f"machine"
            )
        self._values = np.zeros(count, self.dtype)
        self._updates = np.zeros(count, self.dtype)
        # Entries of `updates` from here on are being added up among the ranks.
        self._shared = count
        first = 0
        for parameter in self.tensors():
            parameter.bind(slice(first, first + parameter.size), self._values, self._updates)
            first += parameter.size
        self.segment_steps = self.net.time_steps
        self.optimizer = make_optimizer(self._values, self.net)
        self.reset_state()

    # --- copies

    def __copy__(self) -> Network:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` keep, from which a whole and independent network is built again.

        Buffers are left out, so a copy between `forward_loss` and `backward` needs a new forward.
        Raises DarknetError where other processes compute a part of it.
        """
        if self.ranks.size > 1 or self._shared_accumulate is not None:
            raise DarknetError(
                f"{self.cfg.path}: several processes train this network together: copy it after "
                f"the training, or copy its `parameters`"
            )
        return {
            "made of": (self.cfg, self.dialect, self.dtype.type),
            "rand": self.rand,
            "vectors": self._vectors(),
            "states": (self.training_state, self.prediction_state),
            "statistics": self.statistics_steps,
            "settings": [_settings_of(part) for part in self._parts()],
        }

    def __setstate__(self, kept: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DarknetWarning)
            Network.__init__(self, *kept["made of"])
        for part, settings in zip(self._parts(), kept["settings"], strict=True):
            vars(part).update(settings)
        for name, vector in self._vectors().items():
            np.copyto(vector, kept["vectors"][name])
        self.training_state, self.prediction_state = kept["states"]
        self.statistics_steps = kept["statistics"]
        self.use_rand(kept["rand"])

    def _vectors(self) -> dict[str, Array]:
        """All flat vectors laid out like the parameters, by name."""
        return {"values": self._values, "updates": self._updates, **self.optimizer.memory}

    def _parts(self) -> list[object]:
        """What has settings that a program may have changed."""
        return [self, self.optimizer, *self.layers]

    # --- what it is made of

    @property
    def inputs(self) -> int:
        """The number of symbols that it reads."""
        return self.net.inputs

    @property
    def outputs(self) -> int:
        """The number of symbols that it can write."""
        return self.layers[-1].outputs

    @property
    def streams(self) -> int:
        """Sequences that are trained on side by side, in this process."""
        return self.own_streams.stop - self.own_streams.start

    def train_among(self, ranks: Ranks) -> None:
        """Train on this rank's share of the streams from now on; all states become zero.

        Raises CfgError where there are too few streams.
        """
        least = self.net.streams // ranks.size
        has_norm = bool(self.rolling_statistics())
        if least < (2 if has_norm else 1):
            need = "two streams, for batch norm" if has_norm else "one stream"
            raise CfgError(
                f"{self._shape_place()}: {self.net.streams} streams over {ranks.size} processes: "
                f"expected at least {need}, in each"
            )
        self.ranks = ranks
        self.own_streams = self._computed_streams = ranks.own(self.net.streams)
        self.reset_state()

    def share_streams(self, own: slice | None, accumulate: Accumulate | None) -> None:
        """Let `accumulate` compute a datum's gradient from now on, and compute `own` streams' for
        it here; None as before.
        """
        self._shared_accumulate = accumulate
        self._computed_streams = own or self.own_streams

    @property
    def writes_bytes(self) -> bool:
        """Whether its symbols are bytes of a text, rather than tokens."""
        return not self.net.tokenized and self.outputs <= 256

    @property
    def parameters(self) -> Array:
        """All parameters in the order of the weights file: a live view, flat."""
        return self._values

    @property
    def updates(self) -> Array:
        """Minus the gradient of the summed loss since the last update, like `parameters`."""
        return self._updates

    def tensors(self) -> list[Parameter]:
        """The named parameters, in the order of the weights file."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def rolling_statistics(self) -> list[Parameter]:
        """Those of batch norm, which forward updates; none where there is none."""
        return [tensor for tensor in self.tensors() if not tensor.trained]

    @property
    def statistics_steps(self) -> list[int]:
        """How many steps the rolling statistics have seen, in the order of the layers."""
        return [own.steps for layer in self.layers for own in layer.statistics()]

    @statistics_steps.setter
    def statistics_steps(self, counts: Sequence[int]) -> None:
        statistics = [own for layer in self.layers for own in layer.statistics()]
        for own, steps in zip(statistics, counts, strict=True):
            own.steps = steps

    def settle_statistics(self, layers: Iterable[Layer]) -> None:
        """Take the rolling statistics of these layers for those of a trained network."""
        for layer in layers:
            for own in layer.statistics():
                own.steps = own.SETTLED

    def training_bytes(self, time_steps: int | None = None, processes: int = 1) -> int:
        """Memory to train, about: vectors of parameters, and activations of so many time steps.

        time_steps: by default what `limit_memory` has chosen. processes: that share the streams.
        """
        options = self.net
        steps = self.segment_steps if time_steps is None else time_steps
        # Parameters, updates, the optimizer's one or two, and the best network so far.
        vectors = 5 if options.adam else 4
        if processes > 1:
            # The parameters that all see, and each worker's own, its updates and where it adds.
            vectors += 1 + 3 * (processes - 1)
        kept = sum(layer.training_floats(steps, options.streams) for layer in self.layers)
        # Two buffers of deltas and the layers' scratch are shared by all layers.
        widest = max(max(layer.inputs, layer.outputs) for layer in self.layers)
        scratch = max(layer.scratch_floats(steps, options.streams) for layer in self.layers)
        deltas = 2 * steps * options.streams * widest + scratch
        kept += options.streams * self._state_size() * -(-options.time_steps // max(1, steps))
        return (vectors * len(self._values) + kept + deltas) * self.dtype.itemsize

    def _shape_place(self) -> str:
        """Where a message about the size of a datum says it comes from."""
        return self.cfg.place("batch", "subdivisions", "time_steps", "inputs")

    # --- parameters: drawn, loaded, saved

    @property
    def initial_draws(self) -> int:
        """How many random numbers `initialize` takes: one per entry of a matrix."""
        return sum(parameter.size for parameter in self.tensors() if parameter.decayed)

    def initialize(self, rand: Rand) -> None:
        """Set the parameters of a new darknet network, drawn from `rand` in its order."""
        self.use_rand(rand)
        for layer in self.layers:
            layer.initialize(rand)
            for own in layer.statistics():
                own.steps = 0

    def use_rand(self, rand: Rand) -> None:
        """Draw from `rand` from now on: the rates of `policy=random`, and dropout by its seed."""
        self.rand = rand

    def load_weights(self, path: str | os.PathLike[str], dialect: str = "auto") -> None:
        """Read the parameters, but those of layers with dontload=1, and `seen` from a weights file.

        dialect: of the file, `auto` going by its header. Where it is not the network's own, the
        parameters are put in the network's order. Raises WeightsError.
        """
        origin = weights_file.dialect_of(path, dialect)
        if origin is self.dialect:
            self.seen = weights_file.read_weights(path, self._to_load(), self._spare()).seen
        else:
            self._load_converted(path, origin)
        has_statistics = [any(not p.trained for p in layer.loaded()) for layer in self.layers]
        self.settle_statistics(itertools.compress(self.layers, has_statistics))

    def _load_converted(self, path: str | os.PathLike[str], origin: Dialect) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DarknetWarning)
            other = Network(self.cfg, origin)
        other.load_weights(path, origin.name)
        self.seen = other.seen
        self._copy_by_name(self._to_load(), other, other._to_load(), path)

    def take_parameters(self, other: Network, path: str | os.PathLike[str]) -> None:
        """Copy all parameters of a network of the same cfg in another dialect.

        Raises WeightsError, naming the `path` they came from, for numbers that have no place here.
        """
        self._copy_by_name(self.tensors(), other, other.tensors(), path)

    def _copy_by_name(
        self,
        targets: list[Parameter],
        other: Network,
        sources: list[Parameter],
        path: str | os.PathLike[str],
    ) -> None:
        loaded = {parameter.name: parameter.values for parameter in sources}
        own = {parameter.name: parameter.values for parameter in targets}
        for name, values in loaded.items():
            # AlexeyAB's [batchnorm] has biases, upstream's has not.
            if name not in own and values.any():
                raise WeightsError(
                    f"{path}: {name} has no place in the {self.dialect.name} dialect: "
                    f"expected --dialect {other.dialect.name}"
                )
        for name, values in own.items():
            np.copyto(values, loaded.get(name, 0))

    @property
    def loaded_count(self) -> int:
        """How many numbers `load_weights` expects in a file."""
        return sum(parameter.size for parameter in self._to_load())

    def fits(self, floats: int) -> bool:
        """Whether a weights file with so many numbers can be loaded."""
        return floats in (self.loaded_count, self.loaded_count + self._spare())

    def _to_load(self) -> list[Parameter]:
        return [parameter for layer in self.layers for parameter in layer.loaded()]

    def _spare(self) -> int:
        """Numbers that a file may have for layers at the end with dontload=1."""
        count = 0
        for layer in reversed(self.layers):
            if not layer.dontload and layer.parameters():
                break
            count += sum(parameter.size for parameter in layer.parameters())
        return count

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write a weights file, without layers that have dontsave=1, whole or not at all.

        Raises OSError.
        """
        weights_file.write_weights(path, self._to_save(), self.seen, self.dialect)

    def _to_save(self) -> list[Parameter]:
        return [p for layer in self.layers if not layer.dontsave for p in layer.parameters()]

    def read_saved(self, path: str | os.PathLike[str]) -> tuple[Array, int]:
        """The parameters and `seen` of a file of `save_weights`; the network stays as it is.

        Where layers are not saved, their parameters are the network's. Raises WeightsError.
        """
        own = self._values.copy()
        try:
            header = weights_file.read_weights(path, self._to_save())
            return self._values.copy(), header.seen
        finally:
            np.copyto(self._values, own)

    # --- state

    def initial_state(self, streams: int) -> NetworkState:
        """The state before the first symbol: zeros for every layer."""
        return tuple(layer.initial_state(streams, self.dtype) for layer in self.layers)

    def _state_size(self) -> int:
        """Numbers in the state of one stream."""
        return sum(array.size for own in self.initial_state(1) for array in own)

    def reset_state(self, stream: int | None = None) -> None:
        """Zero the hidden state of training and of prediction, for one stream or for all."""
        if stream is None:
            self.training_state = self.initial_state(self.streams)
            self.prediction_state = self.initial_state(self.streams)
            return
        for state in (*self.training_state, *self.prediction_state):
            for part in state:
                part[stream] = 0

    # --- forward and backward

    def forward(
        self,
        symbols: Array,
        state: NetworkState,
        training: bool = False,
        count: int | None = None,
        first_step: int = 0,
    ) -> tuple[Array, NetworkState]:
        """symbols (time_steps, streams) -> outputs (time_steps, streams, outputs), the state after.

        The outputs are a buffer of the last layer run, which is that of the first `count` layers
        where it is given. Without `training` batch norm uses its rolling statistics.
        first_step: where these are a part of a datum, the time step in it that they begin at.
        """
        run = self._training_pass(first_step) if training else PREDICTION
        x = self._coded(symbols)
        after = list(state)
        for layer in self.layers[:count]:
            own = run if layer.index >= self.first_trained else PREDICTION
            x, after[layer.index] = layer.forward(x, state[layer.index], own)
        return x, tuple(after)

    def _training_pass(self, first_step: int) -> Pass:
        """That of the datum which is trained on now, from this time step on."""
        return Pass(
            training=True,
            first_step=first_step,
            first_stream=self._computed_streams.start,
            all_streams=self.net.streams,
            seed=self.rand.seed,
            datum=self.seen // (self.net.time_steps * self.net.streams),
        )

    def _coded(self, symbols: Array) -> Array:
        """The symbols as the first layer takes them: as they are, or one-hot."""
        if self.layers[0].takes_symbols:
            return symbols
        return np.eye(self.inputs, dtype=self.dtype)[symbols]

    def stepper(self, state: NetworkState, streams: int = 1) -> Callable[[Any], Array]:
        """A function from one symbol of each stream, integers (streams,), to what comes into the
        output layer, (streams, inputs), a buffer; or to its outputs, where that is no softmax.

        For one stream all arrays come without that axis. It starts in `state` and goes on from
        call to call, much quicker than `forward`. The parameters are those of now. Its state is
        within it: `copy` gives back the same function.
        """
        count = self.output_layer.index + (not isinstance(self.output_layer, SoftmaxLayer))
        steps = [layer.stepper(state[layer.index], streams) for layer in self.layers[:count]]
        coded = None if self.layers[0].takes_symbols else np.eye(self.inputs, dtype=self.dtype)

        def step(symbols: Any) -> Array:
            x: Any = symbols if coded is None else coded[symbols]
            for layer_step in steps:
                x = layer_step(x)
            return x

        return step

    def logits(self, symbols: Array, state: NetworkState) -> tuple[Array, NetworkState]:
        """What comes into the output layer, a buffer of the one before; the state after."""
        return self.forward(symbols, state, count=self.output_layer.index)

    def losses(
        self, inputs: Array, targets: Array, state: NetworkState
    ) -> tuple[Array, NetworkState]:
        """-log of the probability of each target, `(time_steps, streams)`, and the state after.

        In nats; this is the loss that is trained on where the network ends in a softmax.
        """
        y, after = self.forward(inputs, state)
        if isinstance(self.output_layer, SoftmaxLayer):
            return self.output_layer.losses(targets), after
        p = np.take_along_axis(y, targets[..., None].astype(np.intp), axis=-1)[..., 0]
        return -np.log(np.maximum(p, np.finfo(self.dtype).tiny)), after

    @property
    def loss_layer(self) -> LossLayer:
        """The last layer, which compares with the truth. Raises CfgError where there is none."""
        layer = self.layers[-1]
        if not isinstance(layer, LossLayer) or not layer.has_loss:
            raise CfgError(
                f"{self.cfg.path}: no loss at the end: expected [softmax], [logistic] or [cost] "
                f"as last layer"
            )
        return layer

    def accumulate(
        self,
        inputs: Array,
        targets: Array,
        state: NetworkState,
        add: bool = False,
        is_last: bool = False,
    ) -> tuple[float, NetworkState]:
        """Forward and backward over one datum, `(time_steps, streams)`: sets `updates`.

        add: to those that are there. is_last: an update follows. Where `limit_memory` asks for it,
        the datum is computed in segments, with the same result but for rounding.
        Returns the summed loss in nats and the state after.
        """
        if not add:
            self._updates.fill(0)
        if self.segment_steps >= len(inputs):
            loss, after = self.forward_loss(inputs, targets, state)
            self.backward(targets, None, share=is_last and self.ranks.overlaps)
        else:
            loss, after = accumulate_in_segments(self, inputs, targets, state, self.segment_steps)
        return loss, after

    def forward_loss(
        self,
        inputs: Array,
        targets: Array,
        state: NetworkState,
        first_step: int = 0,
    ) -> tuple[float, NetworkState]:
        """The summed loss of a training forward in nats, and the state after.

        first_step: where these are a segment of a datum, the time step in it that they begin at.
        """
        _, after = self.forward(inputs, state, training=True, first_step=first_step)
        return float(np.sum(self.loss_layer.losses(targets), dtype=np.float64)), after

    def backward(
        self, targets: Array, d_after: NetworkState | None, share: bool = False
    ) -> NetworkState:
        """From the loss of the last forward down to the lowest trained layer: adds to `updates`.

        d_after: where the steps are a segment of a datum, the deltas of the states after them; the
        deltas of the states before are returned. share: let the ranks begin with the updates of
        each layer when they are complete.
        """
        delta = self.loss_layer.loss_delta(targets)
        d_before: list[State] = [()] * len(self.layers)
        for layer in reversed(self.layers[self.first_trained : -1]):
            # Two buffers take turns: a layer reads the one and writes the other.
            name = f"delta{layer.index % 2}"
            shape = (*targets.shape, layer.inputs)
            wanted = layer.index > self.first_trained
            below = self._scratch.array(name, shape, self.dtype) if wanted else None
            if isinstance(layer, RecurrentLayer) and d_after is not None:
                after = d_after[layer.index]
                d_before[layer.index] = layer.backward_through_time(delta, below, after) or ()
            else:
                layer.backward(delta, below)
            if below is not None:
                delta = below
            if share and (own := layer.parameters()):
                self._share_updates(own[0].place.start)
        return tuple(d_before)

    def row_bytes(self) -> int:
        """What each row, of (time_steps * streams), of a forward takes, about."""
        floats = sum(
            layer.training_floats(2, 1) - layer.training_floats(1, 1) for layer in self.layers
        )
        floats += 0 if self.layers[0].takes_symbols else self.inputs
        return max(1, floats) * self.dtype.itemsize

    def limit_memory(self, budget: int) -> None:
        """Compute each datum in segments, of as many time steps as keep within `budget` bytes.

        Raises CfgError where even one step at a time needs more, or a layer cannot be computed so.
        """
        steps = self.net.time_steps
        if self.training_bytes(steps) <= budget:
            self.segment_steps = steps
            return
        # Of very many lengths a choice, each 1/500 longer than the one before, is enough.
        lengths = np.unique(np.geomspace(1, max(1, steps - 1), 4096).astype(int)).tolist()
        sizes = {n: self.training_bytes(n) for n in (lengths if steps > 4096 else range(1, steps))}
        part = max((n for n, size in sizes.items() if size <= budget), default=0)
        whole = [layer.kind for layer in self.layers if layer.needs_whole_datum]
        if part < 1 or whole:
            reason = f" ([{whole[0]}] with batch norm needs a whole batch at once)" if whole else ""
            sizes[steps] = self.training_bytes(steps)
            needed = sizes[steps] if whole else min(sizes.values())
            raise CfgError(
                f"{self._shape_place()}: training needs {needed / 1e6:,.1f} MB{reason}: "
                f"expected at most {budget / 1e6:,.1f} MB (--memory), or a smaller batch or network"
            )
        self.segment_steps = part

    # --- training and prediction

    def check_trainable(self) -> None:
        """Raise CfgError where this network cannot be trained."""
        _ = self.loss_layer
        self.check_symbols_match()
        for section, layer in zip(self._sections, self.layers, strict=True):
            with self.cfg.blaming("batch", "subdivisions", "time_steps"):
                layer.check_trainable(section, self.net)
        self._is_trainable = True

    def check_symbols_match(self) -> None:
        """Raise CfgError where what the network writes is not what it reads."""
        if self.outputs != self.inputs:
            raise CfgError(
                f"{self.cfg.place('inputs')}: the last layer has {self.outputs} outputs for "
                f"{self.inputs} inputs: expected as many, one per symbol"
            )

    def train_batch(self, inputs: Array, targets: Array) -> float:
        """Train on one datum; the parameters change when all subdivisions of a batch are in.

        inputs, targets: integers `(time_steps, streams)`, the targets being the next symbols.
        Returns the loss in nats per symbol, over all processes. With `state=carry` the hidden state
        goes on from the last datum, without its gradient; otherwise every datum starts from zeros.
        Raises CfgError where the network cannot be trained, ValueError for wrong arrays.
        """
        if not self._is_trainable:
            self.check_trainable()
        inputs = self._symbols("inputs", inputs, self.net.time_steps)
        targets = self._symbols("targets", targets, self.net.time_steps)
        state = self.training_state
        if self.net.state == "zero":
            state = self.initial_state(self.streams)
        size = self.net.time_steps * self.net.streams
        add = (self.seen // size) % self.net.subdivisions > 0
        is_last = (self.seen // size + 1) % self.net.subdivisions == 0
        if self._shared_accumulate is None:
            loss, self.training_state = self.accumulate(inputs, targets, state, add, is_last)
        else:
            loss, self.training_state = self._shared_accumulate(inputs, targets, state, add)
        self.seen += size
        if is_last:
            self._update()
        return self.ranks.total(loss) / size

    def _share_updates(self, first: int) -> None:
        """Let the ranks add up the updates from entry `first` on, as far as they have not begun."""
        if first < self._shared:
            self.ranks.start_adding(self._updates[first : self._shared])
            self._shared = first

    def _average_rolling_statistics(self) -> None:
        """Of batch norm, over the ranks."""
        if self.ranks.size == 1:
            return
        rolling = [tensor.values for tensor in self.rolling_statistics()]
        for values in rolling:
            self.ranks.start_adding(values)
        self.ranks.finish_adding()
        for values in rolling:
            values /= self.ranks.size

    @property
    def batch_number(self) -> int:
        """Updates done so far, as darknet counts them: `seen` / symbols per update."""
        return self.seen // self.net.symbols

    def _update(self) -> None:
        """The optimiser's step on every layer."""
        self._share_updates(0)
        self.ranks.finish_adding()
        self._shared = len(self._updates)
        self._average_rolling_statistics()
        bound_gradient(self._updates, self.net)
        rate = learning_rate(self.net, self.batch_number, self.rand)
        self.last_rate = rate * cooldown_factor(self.net, self.progress)
        self.optimizer.begin()
        for layer in self.layers[self.first_trained :]:
            layer.update(self.optimizer, self.last_rate)

    def predict(self, inputs: Array) -> Array:
        """Probabilities of the next symbol after each of `inputs`, integers (time_steps, streams).

        Returns a new array (time_steps, streams, outputs). The hidden state goes on from the last
        call; `reset_state` zeroes it. Raises ValueError for wrong arrays.
        """
        inputs = self._symbols("inputs", inputs, None)
        y, self.prediction_state = self.forward(inputs, self.prediction_state)
        return y.copy()

    def _symbols(self, name: str, symbols: Array, steps: int | None) -> Array:
        """`symbols` as an array (time_steps, streams), of `steps` where that is given."""
        wanted = f"integers of shape (time_steps, streams) = ({steps or 'any'}, {self.streams})"
        symbols = integers(name, wanted, symbols, ndim=2)
        shape = (steps or len(symbols), self.streams)
        if symbols.shape != shape or not symbols.size:
            raise ValueError(f"{name} must be {wanted}, not of shape {symbols.shape}")
        if symbols.min() < 0 or symbols.max() >= self.inputs:
            worst = symbols.min() if symbols.min() < 0 else symbols.max()
            raise ValueError(
                f"{name} must have symbols from 0 to {self.inputs - 1}, and has {worst}"
            )
        return symbols
