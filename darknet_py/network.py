"""A network as programs use it: a model with its files, its trainer and its hidden states."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import os
import threading
import warnings
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from darknet_py import notebook
from darknet_py import weights as weights_file
from darknet_py.arrays import Array, Codes, Flat, Steps
from darknet_py.cfg import Cfg
from darknet_py.checks import integers, unknown_symbol
from darknet_py.dialect import UPSTREAM, Dialect
from darknet_py.engine import choose
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError
from darknet_py.layers.base import Parameter
from darknet_py.model import Model
from darknet_py.options import NetOptions
from darknet_py.rand import Rand
from darknet_py.tier import NUMPY, Tier
from darknet_py.trainer.trainer import Trainer


def _settings_of(part: object) -> dict[str, Any]:
    """The attributes that are plain values, by name."""
    plain = (bool, int, float, str, slice, np.generic, NetOptions)
    return {name: value for name, value in vars(part).items() if isinstance(value, plain)}


class Guard:
    """Lets one thread at a time compute with the network of this name.

    What only reads the parameters waits for its turn. What changes the network is an error in one
    thread while another one is changing it.
    changes: how often the parameters have been changed.
    """

    _all: ClassVar[weakref.WeakSet[Guard]] = weakref.WeakSet()

    def __init__(self, name: str) -> None:
        self.name = name
        self.changes = 0
        self._lock = threading.RLock()
        # The call that is changing the network, and whether it changes the parameters.
        self._change = "", False
        Guard._all.add(self)

    @contextlib.contextmanager
    def reading(self, since: int | None = None) -> Iterator[None]:
        """Within it the parameters stay as they are.

        since: `changes` as it was when what is continued here began. Raises DarknetError while
        another thread changes the parameters, and if they have changed since then.
        """
        self._acquire()
        try:
            if since is not None and since != self.changes:
                raise DarknetError(
                    f"{self.name}: the parameters have changed since this text was begun; begin it "
                    f"again"
                )
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def changing(self, call: str, parameters: bool = True) -> Iterator[None]:
        """Within it only this thread uses the network, in a call of this name.

        parameters: whether it changes them, or only hidden states. Raises DarknetError while
        another thread changes the network; waits for what only reads it.
        """
        self._acquire(call)
        before = self._change
        self._change = call, parameters or before[1]
        self.changes += parameters
        try:
            yield
        finally:
            self.changes += parameters
            self._change = before
            self._lock.release()

    def _acquire(self, change: str = "") -> None:
        if not self._lock.acquire(blocking=False):
            call, parameters = self._change
            if parameters or (call and change):
                raise DarknetError(
                    f"{self.name}: `{call}` is changing this network in another thread; wait until "
                    f"it returns, or give each thread a copy (copy.deepcopy)"
                )
            self._lock.acquire()

    @classmethod
    def forked(cls) -> None:
        """In a forked child, let go of what threads of the parent were computing with."""
        for guard in cls._all:
            if guard._lock.acquire(blocking=False):
                guard._lock.release()
            else:
                guard._lock, guard._change = threading.RLock(), ("", False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Guard.forked)


class Network(Model):
    """The network that `cfg` describes, its parameters all zero until they are initialized or
    loaded.

    dtype: float32 as in the weights file; float64 for checking gradients.
    tier: what it computes with, as `engine.choose` gives it; by default numpy.
    seen: symbols trained on so far, over all runs.
    `copy.copy`, `copy.deepcopy` and `pickle` give whole, independent networks.
    Any number of threads may generate with and evaluate one network: they take turns, and each gets
    the results of a single thread. `train_batch`, `predict`, `load_weights` and other calls that
    change the network wait for these threads. While such a call runs, every other thread that uses
    the network gets a DarknetError, except that generating and evaluating wait for `predict` and
    `reset_state`, which change only hidden states. A text that was begun before the parameters
    changed cannot be continued. `forward` and other calls that return buffers are for one thread,
    and so are changes of the array `parameters`. Different networks are independent.
    Raises CfgError. A CfgWarning names what is ignored in the cfg.
    """

    def __init__(
        self,
        cfg: Cfg,
        dialect: Dialect = UPSTREAM,
        dtype: type[np.floating[Any]] = np.float32,
        tier: Tier = NUMPY,
    ) -> None:
        super().__init__(cfg, dialect, dtype, tier)
        self.guard = Guard(cfg.path)
        self.prediction_state = self.initial_state(self.streams)

    @property
    def streams(self) -> int:
        """Sequences that are trained on side by side, and that `predict` reads."""
        return self.options.streams

    def initialize(self, rand: Rand) -> None:
        """Set the parameters of a new darknet network, drawn from `rand` in its order.

        Raises DarknetError while another thread changes the network.
        """
        with self.guard.changing("initialize"):
            super().initialize(rand)

    # --- training and prediction

    @functools.cached_property
    def trainer(self) -> Trainer:
        """What `train_batch` trains with, with its momentum, average and hidden state.

        Raises CfgError if the network cannot be trained.
        """
        return Trainer(self)

    @property
    def _has_trainer(self) -> bool:
        return "trainer" in vars(self)

    def _repr_html_(self) -> str:
        """For notebooks: its layers."""
        facts = {
            f"{layer.index} [{layer.kind}]": f"{layer.inputs:,} → {layer.outputs:,}, "
            f"{sum(parameter.size for parameter in layer.parameters()):,} parameters"
            for layer in self.layers
        }
        return notebook.table({"cfg": self.cfg.path, **facts})

    def train_batch(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Train on one datum; the parameters change when all subdivisions of a batch are in.

        inputs, targets: integers `(time_steps, streams)`, the targets being the next symbols.
        Returns the loss in nats per symbol. With `state=carry` the hidden state continues from the
        last datum, without its gradient; otherwise every datum starts from zeros.
        Waits for other threads that generate or evaluate. Raises CfgError if the network cannot
        be trained, ValueError for wrong arrays, DarknetError while another thread changes the
        network.
        """
        trainer = self.trainer
        datum = (
            self._symbols("inputs", inputs, self.options.time_steps),
            self._symbols("targets", targets, self.options.time_steps),
        )
        with self.guard.changing("train_batch"):
            return trainer.train_datum(*datum)

    def predict(self, inputs: ArrayLike | str | bytes) -> Steps:
        """Probabilities of the next symbol after each of `inputs`, integers (time_steps, streams),
        or a text for a network of bytes and one stream.

        Returns a new array (time_steps, streams, outputs). The hidden state continues from the last
        call; `reset_state` zeroes it. Waits for other threads that generate or evaluate. Raises
        ValueError for wrong arrays, DarknetError while another thread changes the network.
        """
        if isinstance(inputs, (str, bytes)) and self.streams == 1 and self.writes_bytes:
            data = inputs.encode() if isinstance(inputs, str) else inputs
            inputs = np.frombuffer(data, np.uint8)[:, None]
        codes = self._symbols("inputs", inputs, None)
        with self.guard.changing("predict", parameters=False):
            y, self.prediction_state = self.forward(codes, self.prediction_state)
            return y.copy()

    def reset_state(self, stream: int | None = None) -> None:
        """Zero the hidden state of training and of prediction, for one stream or for all.

        Raises DarknetError while another thread changes the network.
        """
        with self.guard.changing("reset_state", parameters=False):
            if self._has_trainer:
                self.trainer.reset_state(stream)
            if stream is None:
                self.prediction_state = self.initial_state(self.streams)
                return
            for state in self.prediction_state:
                for part in state:
                    part[stream] = 0

    def _symbols(self, name: str, value: ArrayLike, steps: int | None) -> Codes:
        """`value` as an array (time_steps, streams), of `steps` if that is given."""
        wanted = f"integers of shape (time_steps, streams) = ({steps or 'any'}, {self.streams})"
        symbols = integers(name, wanted, value, ndim=2)
        shape = (steps or len(symbols), self.streams)
        if symbols.shape != shape or not symbols.size:
            raise ValueError(f"{name} must be {wanted}, not of shape {symbols.shape}")
        place = unknown_symbol(symbols, self.inputs)
        if place is not None:
            wrong = symbols.flat[place]
            raise ValueError(
                f"{name} must have symbols from 0 to {self.inputs - 1}, and has {wrong}"
            )
        return symbols.astype(np.int64, copy=False)

    # --- weights files

    def load_weights(self, path: str | os.PathLike[str], dialect: str = "auto") -> None:
        """Read the parameters, but those of layers with dontload=1, and `seen` from a weights file.

        dialect: of the file, `auto` going by its header. If the network has another, the
        parameters are put in the network's order. Waits for other threads that generate or
        evaluate. Raises WeightsError, DarknetError while another thread changes the network.
        """
        origin = weights_file.dialect_of(path, dialect)
        with self.guard.changing("load_weights"):
            if origin == self.dialect:
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
        self._copy_by_name(self._to_load(), other._to_load(), origin, path)

    def take_parameters(self, other: Network, path: str | os.PathLike[str]) -> None:
        """Copy all parameters of a network with this cfg in another dialect.

        Raises WeightsError, naming the `path` they came from, for numbers that have no place here,
        DarknetError while another thread changes the network.
        """
        with self.guard.changing("take_parameters"):
            self._copy_by_name(self.tensors(), other.tensors(), other.dialect, path)

    def _copy_by_name(
        self,
        targets: list[Parameter],
        sources: list[Parameter],
        origin: Dialect,
        path: str | os.PathLike[str],
    ) -> None:
        loaded = {parameter.name: parameter.values for parameter in sources}
        wanted = {parameter.name: parameter.values for parameter in targets}
        for name, values in loaded.items():
            # AlexeyAB's [batchnorm] has biases, upstream's has not.
            if name not in wanted and values.any():
                raise WeightsError(
                    f"{path}: {name} does not exist in the {self.dialect.name} dialect; "
                    f"use --dialect {origin.name}"
                )
        for name, values in wanted.items():
            np.copyto(values, loaded.get(name, 0))

    @property
    def loaded_count(self) -> int:
        """How many numbers `load_weights` expects in a file."""
        return sum(parameter.size for parameter in self._to_load())

    def fits(self, floats: int) -> bool:
        """Whether a weights file with `count` numbers can be loaded."""
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

    def save_weights(self, path: str | os.PathLike[str], *, follow: bool = True) -> None:
        """Write a weights file, without layers that have dontsave=1, whole or not at all.

        follow: write the file that a link at `path` names; otherwise the file replaces the link.
        Raises OSError, DarknetError while another thread changes the parameters.
        """
        with self.guard.reading():
            weights_file.write_weights(path, self._to_save(), self.seen, self.dialect, follow)

    def is_saved_in(self, path: str | os.PathLike[str]) -> bool:
        """Whether the weights file at `path` is whole, and of a network that has seen as much."""
        try:
            header = weights_file.read_header(path)
        except WeightsError:
            return False
        count = sum(parameter.size for parameter in self._to_save())
        return (header.seen, header.floats, header.rest) == (self.seen, count, 0)

    def _to_save(self) -> list[Parameter]:
        return [p for layer in self.layers if not layer.dontsave for p in layer.parameters()]

    def read_saved(self, path: str | os.PathLike[str]) -> tuple[Flat, int]:
        """The parameters and `seen` of a file of `save_weights`; the network stays as it is.

        Where layers are not saved, their parameters are the network's. Raises WeightsError,
        DarknetError while another thread changes the network.
        """
        with self.guard.changing("read_saved"):
            before = self.parameters.copy()
            try:
                header = weights_file.read_weights(path, self._to_save())
                return self.parameters.copy(), header.seen
            finally:
                np.copyto(self.parameters, before)

    # --- other parameters for a while

    @contextlib.contextmanager
    def holding(self, other: Flat) -> Iterator[None]:
        """Within it the parameters are what `other` has, and that has the network's own.

        Raises DarknetError while another thread changes the network.
        """
        with self.guard.changing("holding"), super().holding(other):
            yield

    # --- copies

    def __copy__(self) -> Network:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        with self.guard.reading():
            twin = memo[id(self)] = type(self).__new__(type(self))
            twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` keep, from which a whole and independent network is built again.

        Buffers are left out, so a copy between `forward_loss` and `backward` needs a new forward.
        Raises DarknetError if other processes compute a part of it, or while another thread
        changes the parameters; they must not change before a pickle is complete.
        """
        if self._has_trainer and self.trainer.comm.size > 1:
            raise DarknetError(
                f"{self.cfg.path}: several processes train this network together: copy it after "
                f"the training, or copy its `parameters`"
            )
        with self.guard.reading():
            return {
                "made of": (self.cfg, self.dialect, self.dtype.type),
                "tier": (self.tier.name, self.tier.precision),
                "rand": self.rand,
                "vectors": self._vectors(),
                "has trainer": self._has_trainer,
                "state": self.prediction_state,
                "statistics": self.statistics_steps,
                "settings": [_settings_of(part) for part in self._parts()],
            }

    def __setstate__(self, kept: dict[str, Any]) -> None:
        name, precision = kept["tier"]
        # The engine's copy is of numpy if it is opened without the engine.
        tier = choose("numpy" if name == "numpy" else "auto", precision)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DarknetWarning)
            cfg, dialect, dtype = kept["made of"]
            Network.__init__(self, cfg, dialect, dtype, tier)
        if kept["has trainer"]:
            self.trainer = Trainer(self)
        for part, settings in zip(self._parts(), kept["settings"], strict=True):
            vars(part).update(settings)
        for name, vector in self._vectors().items():
            np.copyto(vector, kept["vectors"][name])
        self.prediction_state = kept["state"]
        self.statistics_steps = kept["statistics"]
        self.use_rand(kept["rand"])

    def _vectors(self) -> dict[str, Array]:
        """All arrays that must be copied but the prediction's, by name."""
        trained = self.trainer.arrays() if self._has_trainer else {}
        return {"parameters": self.parameters, "updates": self.updates, **trained}

    def _parts(self) -> list[object]:
        """What has settings that a program may have changed."""
        trainer = [self.trainer, self.trainer.optimizer] if self._has_trainer else []
        return [self, *trainer, *self.layers]
