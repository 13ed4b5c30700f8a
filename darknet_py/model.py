"""A model: the layers of a cfg over one flat vector of parameters, forward and backward.

All parameters lie in one contiguous vector in the order of the weights file, and every named
tensor is a view into it. Their updates (minus the gradient, summed over a datum) are a vector of
the same layout.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from darknet_py.arrays import Array, Codes, Flat, Steps, swap
from darknet_py.cfg import Cfg, Section, printable
from darknet_py.dialect import UPSTREAM, Dialect
from darknet_py.errors import CfgError, CfgWarning, CostWarning
from darknet_py.layers import LAYERS, Layer, LossLayer
from darknet_py.layers.base import PREDICTION, ForwardContext, Parameter, Setting, State
from darknet_py.layers.cost import CostLayer
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.layers.workspace import Shapes, Workspace
from darknet_py.machine import memory
from darknet_py.numpy_step import NumpyStep
from darknet_py.options import NetOptions
from darknet_py.program import Program, Value
from darknet_py.rand import Rand
from darknet_py.suggest import did_you_mean, hint, suggest
from darknet_py.tier import NUMPY, Tier

NetworkState = tuple[State, ...]

HINTS = 10  # unknown keys for which a known one is looked for


def delta_shapes(layer: Layer, time_steps: int, streams: int) -> Shapes:
    """The buffer of a model that the delta of a layer's input is in, by name.

    Two buffers take turns: a layer reads the one and writes the other.
    """
    return {f"delta{layer.index % 2}": (time_steps, streams, layer.inputs)}


def untimed(_name: str, _layer: Layer | None = None) -> AbstractContextManager[None]:
    """Measure nothing."""
    return nullcontext()


def _make_layers(
    cfg: Cfg, layers: Mapping[str, type[Layer]], first: Setting
) -> list[tuple[Section, Layer]]:
    """A layer for each section after `[net]`, each fitted to the outputs of the one before.

    layers: by the names of their sections. first: the setting of the first of them.
    """
    made: list[tuple[Section, Layer]] = []
    setting = first
    for section in cfg.layers:
        last = made[-1][1] if made else None
        if section.name == "cost" and isinstance(last, SoftmaxLayer) and last.has_loss:
            message = f"{section.place}: [cost] after [softmax], which has a loss, is ignored"
            warnings.warn(message, CostWarning, stacklevel=2)
            CostLayer(section, setting)
            continue
        if section.name not in layers:
            end = hint(section.name, layers, "sections")
            raise CfgError(f"{section.place}: unknown section [{printable(section.name)}]{end}")
        layer = layers[section.name](section, setting)
        made.append((section, layer))
        setting = setting.after(layer)
    unused = [(section, option) for section in cfg.sections for option in section.unused()]
    for number, (section, option) in enumerate(unused):
        # Each hint compares the key with all others.
        has_hint = option.is_override or number < HINTS
        meant = _meant(cfg, section, option.key) if has_hint else ""
        if option.is_override:
            raise CfgError(
                f"{option.place} {option}: [{printable(section.name)}] has no such key"
                + (meant or f"; its keys: {', '.join(section.known)}")
            )
        message = f"{option.place}: Unused field: {option} in [{section.name}]{meant}"
        warnings.warn(message, CfgWarning, stacklevel=2)
    return made


def _meant(cfg: Cfg, section: Section, key: str) -> str:
    """The end of a message about a key that nothing asked for in this section: the one meant."""
    if section is cfg.net and key in NetOptions.__annotations__:
        return ""  # One of darknet's, which other keys leave without effect.
    names = {known: known for known in section.known}
    for other in cfg.sections:
        for known in other.known:
            names.setdefault(known, f"{other.name}.{known}")
    return did_you_mean([names[known] for known in suggest(key, names)])


class Model:
    """The layers that `cfg` describes, their parameters all zero until they are initialized or
    loaded.

    dtype: float32 as in the weights file; float64 for checking gradients.
    tier: what it computes with. timed: what measures the work within, by its name.
    seen: symbols trained on so far, over all runs. rand: draws the rates of `policy=random`; its
    seed is that of dropout.
    Raises CfgError. A CfgWarning names what is ignored in the cfg.
    """

    def __init__(
        self,
        cfg: Cfg,
        dialect: Dialect = UPSTREAM,
        dtype: type[np.floating[Any]] = np.float32,
        tier: Tier = NUMPY,
    ) -> None:
        self.cfg = cfg
        self.options = NetOptions.of(cfg.net)
        self.dialect = dialect
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.tier = tier
        self.timed: Callable[..., AbstractContextManager[None]] = untimed
        self.seen = 0
        self.rand = Rand(0)
        self._scratch = Workspace()
        options = self.options
        place = (0, options.inputs, options, dialect, self._scratch)
        setting = Setting(*place, tier.precision, options.image)
        made = _make_layers(cfg, {**LAYERS, **tier.layers}, setting)
        self.layers = [layer for _, layer in made]
        # The last layer but a [cost]: its outputs are the probabilities.
        outputs = [layer for layer in self.layers if not isinstance(layer, CostLayer)]
        self.output_layer = (outputs or self.layers)[-1]
        stops = [layer.index for layer in self.layers if layer.stopbackward]
        # Layers below this one stay as they are, rolling statistics included.
        self.first_trained = stops[-1] + 1 if stops else 0
        self._sections = [section for section, _ in made]
        count = sum(parameter.size for parameter in self.tensors())
        self._check_memory(count)
        self._values: Flat = np.zeros(count, self.dtype)
        self._updates: Flat = np.zeros(count, self.dtype)
        first = 0
        for parameter in self.tensors():
            parameter.bind(slice(first, first + parameter.size), self._values, self._updates)
            first += parameter.size

    def _check_memory(self, count: int) -> None:
        """Raise CfgError if the parameters, or the states, are more than the machine has."""
        streams = self.options.streams
        states = 2 * self.state_size() * streams
        for place, what, numbers in (
            (self.cfg.place("inputs"), f"{count:,} parameters", count),
            (self.cfg.place_of_sizes(), f"the states of {streams:,} streams", states),
        ):
            size = numbers * self.dtype.itemsize
            if size > memory():
                raise CfgError(
                    f"{place}: {what} take {size / 1e9:,.1f} GB, more than the "
                    f"{memory() / 1e9:,.1f} GB of this machine"
                )

    # --- what it is made of

    @property
    def inputs(self) -> int:
        """The number of symbols that it reads."""
        return self.options.inputs

    @property
    def outputs(self) -> int:
        """The number of symbols that it can write."""
        return self.layers[-1].outputs

    @property
    def batch_number(self) -> int:
        """Updates done so far, as darknet counts them: `seen` / symbols per update."""
        return self.seen // self.options.symbols

    @property
    def writes_bytes(self) -> bool:
        """Whether its symbols are bytes of a text, rather than tokens."""
        return not self.options.tokenized and self.outputs <= 256

    @property
    def parameters(self) -> Flat:
        """All parameters in the order of the weights file: a live view, flat."""
        return self._values

    @property
    def updates(self) -> Flat:
        """Minus the gradient of the summed loss since the last update, like `parameters`."""
        return self._updates

    def tensors(self) -> list[Parameter]:
        """The named parameters, in the order of the weights file."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def rolling_statistics(self) -> list[Parameter]:
        """Those of batch norm, which forward updates; none if there is none."""
        return [tensor for tensor in self.tensors() if not tensor.trained]

    @property
    def statistics_steps(self) -> list[int]:
        """How many steps the rolling statistics have seen, in the order of the layers."""
        return [rolling.steps for layer in self.layers for rolling in layer.statistics()]

    @statistics_steps.setter
    def statistics_steps(self, counts: Sequence[int]) -> None:
        statistics = [rolling for layer in self.layers for rolling in layer.statistics()]
        for rolling, steps in zip(statistics, counts, strict=True):
            rolling.steps = steps

    def settle_statistics(self, layers: Iterable[Layer]) -> None:
        """Take the rolling statistics of these layers for those of a trained network."""
        for layer in layers:
            for rolling in layer.statistics():
                rolling.steps = rolling.SETTLED

    def layers_in_words(self) -> str:
        """The layers with their outputs, like `2 x [rnn] 128, [connected] 256, [softmax]`."""
        names = [
            f"[{layer.kind}] {layer.outputs}" if layer.parameters() else f"[{layer.kind}]"
            for layer in self.layers
        ]
        counted = ((name, len(list(same))) for name, same in itertools.groupby(names))
        return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted)

    def __repr__(self) -> str:
        """Its cfg, layers and number of parameters."""
        return (
            f"<{type(self).__name__} {self.cfg.path}: {self.layers_in_words()}; "
            f"{len(self.parameters):,} parameters>"
        )

    @property
    def loss_layer(self) -> LossLayer:
        """The last layer, which compares with the truth. Raises CfgError if there is none."""
        layer = self.layers[-1]
        if not isinstance(layer, LossLayer) or not layer.has_loss:
            raise CfgError(
                f"{self.cfg.path}: the last layer has no loss; end the network with [softmax], "
                f"[logistic] or [cost]"
            )
        return layer

    def check_trainable(self) -> None:
        """Raise CfgError if this network cannot be trained."""
        _ = self.loss_layer
        self.check_symbols_match()
        self.check_layers_trainable()

    def check_layers_trainable(self) -> None:
        """Raise CfgError if one of the layers, by itself, cannot be trained."""
        for section, layer in zip(self._sections, self.layers, strict=True):
            with self.cfg.blaming("batch", "subdivisions", "time_steps"):
                layer.check_trainable(section, self.options)

    def check_symbols_match(self) -> None:
        """Raise CfgError if what the network writes is not what it reads."""
        if self.outputs != self.inputs:
            last = next((s for s in reversed(self._sections) if "output" in s.options), None)
            place = (last.overrides("output") if last else "") or self.cfg.place("inputs")
            raise CfgError(
                f"{place}: the last layer has {self.outputs} outputs and "
                f"the network {self.inputs} inputs; both must be the number of symbols"
            )

    # --- its first parameters and states

    @property
    def initial_draws(self) -> int:
        """How many random numbers `initialize` takes: one per entry of a matrix, where they are
        drawn from the normal distribution two for each two.
        """
        drawn = [tensor for tensor in self.tensors() if tensor.decayed]
        gaussian = sum(tensor.size for tensor in drawn if tensor.gaussian)
        uniform = sum(tensor.size for tensor in drawn if not tensor.gaussian)
        return uniform + 2 * -(-gaussian // 2)

    def initialize(self, rand: Rand) -> None:
        """Set the parameters of a new darknet network, drawn from `rand` in its order."""
        self.use_rand(rand)
        for layer in self.layers:
            layer.initialize(rand)
            for rolling in layer.statistics():
                rolling.steps = 0

    def use_rand(self, rand: Rand) -> None:
        """Draw from `rand` from now on: the rates of `policy=random`, and dropout by its seed."""
        self.rand = rand

    def initial_state(self, streams: int) -> NetworkState:
        """The state before the first symbol: zeros for every layer."""
        return tuple(layer.initial_state(streams, self.dtype) for layer in self.layers)

    def state_size(self) -> int:
        """Numbers in the state of one stream."""
        return sum(array.size for state in self.initial_state(1) for array in state)

    @contextmanager
    def holding(self, other: Flat) -> Iterator[None]:
        """Within it the parameters are what `other` has, and that has the model's."""
        swap(self.parameters, other)
        try:
            yield
        finally:
            swap(self.parameters, other)

    # --- forward

    def forward(
        self,
        symbols: Codes,
        state: NetworkState,
        context: ForwardContext = PREDICTION,
        count: int | None = None,
    ) -> tuple[Steps, NetworkState]:
        """symbols (time_steps, streams) -> outputs (time_steps, streams, outputs), the state after.

        The outputs are a buffer of the last layer run, which is that of the first `count` layers
        if it is given. In a prediction batch norm uses its rolling statistics.
        """
        x = self._coded(symbols)
        after = list(state)
        for layer in self.layers[:count]:
            is_trained = layer.index >= self.first_trained
            with self.timed(f"{layer.index} [{layer.kind}] forward", layer):
                x, after[layer.index] = layer.forward(
                    x, state[layer.index], context if is_trained else PREDICTION
                )
        return x, tuple(after)

    def _coded(self, symbols: Codes) -> Array:
        """The symbols as the first layer takes them: as they are, or one-hot."""
        if self.layers[0].takes_symbols:
            return symbols
        return np.eye(self.inputs, dtype=self.dtype)[symbols]

    def stepper(self, state: NetworkState, streams: int = 1) -> NumpyStep:
        """A function from one symbol of each stream, integers (streams,), to what comes into the
        output layer, (streams, inputs), a buffer; or to its outputs, if that is no softmax.

        For one stream all arrays come without that axis. It starts in `state` and continues from
        call to call, much quicker than `forward`. The parameters are those of now. Its state is
        within it: `copy` gives back the same function.
        """
        count = self.written_layers
        return NumpyStep(self.program(count), state[:count], streams, self.dtype)

    @property
    def written_layers(self) -> int:
        """How many layers `stepper` goes through."""
        return self.output_layer.index + (not isinstance(self.output_layer, SoftmaxLayer))

    def program(self, count: int | None = None) -> Program:
        """One time step of a prediction by the first `count` layers, or by all: see `program`.

        Raises CfgError for a layer that has no `step`.
        """
        program = Program()
        x = program.symbols
        if not self.layers[0].takes_symbols:
            x = program.write("one_hot", x, width=self.inputs)
        for layer in self.layers[:count]:
            before = tuple(Value(program, size) for size in layer.state_sizes.values())
            try:
                y, after = layer.step(x, before)
            except NotImplementedError:
                raise CfgError(
                    f"{self.cfg.path}: layer {layer.index}: [{layer.kind}] has no step, the "
                    f"formula by which networks write text and are exported"
                ) from None
            x = program.end_part(y, before, after)
        return program

    def logits(self, symbols: Codes, state: NetworkState) -> tuple[Steps, NetworkState]:
        """What comes into the output layer, a buffer of the one before; the state after."""
        return self.forward(symbols, state, count=self.output_layer.index)

    def losses(
        self, inputs: Codes, targets: Codes, state: NetworkState
    ) -> tuple[Array, NetworkState]:
        """-log of the probability of each target, `(time_steps, streams)`, and the state after.

        In nats; this is the loss that is trained on if the network ends in a softmax.
        """
        y, after = self.forward(inputs, state)
        if isinstance(self.output_layer, SoftmaxLayer):
            return self.output_layer.losses(targets), after
        p = np.take_along_axis(y, targets[..., None].astype(np.intp), axis=-1)[..., 0]
        return -np.log(np.maximum(p, np.finfo(self.dtype).tiny)), after

    def forward_loss(
        self, inputs: Codes, targets: Codes, state: NetworkState, context: ForwardContext
    ) -> tuple[float, NetworkState]:
        """The summed loss of a training forward in nats, and the state after."""
        _, after = self.forward(inputs, state, context)
        return float(np.sum(self.loss_layer.losses(targets), dtype=np.float64)), after

    # --- backward

    def backward(self, targets: Codes, layer_done: Callable[[Layer], object] | None = None) -> None:
        """From the loss of the last forward down to the lowest trained layer: adds to `updates`.

        layer_done: called with each layer when its updates are complete.
        """
        delta = self.loss_layer.loss_delta(targets)
        for layer in reversed(self.layers[self.first_trained : -1]):
            has_below = layer.index > self.first_trained
            shapes = delta_shapes(layer, *targets.shape) if has_below else {}
            below = next(iter(self._scratch.arrays(shapes, self.dtype).values()), None)
            with self.timed(f"{layer.index} [{layer.kind}] backward", layer):
                layer.backward(delta, below)
            if below is not None:
                delta = below
            if layer_done is not None:
                layer_done(layer)
