"""A step of training: what turns one datum into an update.

`Step` follows the exact gradient; `replay.Replay` computes as the C program does. Both are a
`TrainingStep`, which is all that a run knows of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from darknet_py.arrays import Codes, Flat
from darknet_py.dropconnect import DropConnect
from darknet_py.errors import CfgError
from darknet_py.layers.base import ForwardContext, Layer
from darknet_py.model import Model, NetworkState
from darknet_py.optimizer import (
    bound_gradient,
    cooldown_factor,
    learning_rate,
    mix,
    shrink,
    step_all,
)
from darknet_py.ranks import ALONE, Ranks


class TrainingStep(Protocol):
    """What a run needs of what it trains with.

    last_rate: the learning rate of the last update. memory: the flat vectors that an update leaves
    for the next, by name.
    """

    last_rate: float

    @property
    def memory(self) -> dict[str, Flat]: ...

    def train_datum(self, inputs: Codes, targets: Codes) -> float:
        """Train on one datum, integers (time_steps, streams), all streams of it.

        Returns the loss in nats per symbol, where ranks share it that of the own streams.
        """
        ...


class Step:
    """The exact gradient of a datum, and with a whole batch the optimizer's update.

    state: the hidden state of the own streams after the last datum. progress: the share of the run
    that is done, which `cooldown` goes by.
    loss: of the last batch over all ranks, in nats per symbol. tell: gives numbers, as many on
    every rank; those of the first rank come to all with an update, as `told`.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.optimizer = model.tier.optimizer(model.parameters, model.options)
        self.dropconnect = DropConnect(model) if model.options.dropconnect else None
        self._average = np.zeros_like(model.parameters) if model.options.average else None
        self.last_rate = 0.0
        self.loss = math.nan
        self.progress = 0.0
        self.tell: Callable[[], Sequence[float]] = tuple
        self.told: Sequence[float] = ()
        self.ranks: Ranks = ALONE
        self.own_streams = slice(0, model.options.streams)
        self.state = model.initial_state(model.options.streams)
        # Entries of the updates from here on are being added up among the ranks.
        self._added = len(model.updates)
        # Of the batch's data so far, summed over the own streams.
        self._nats = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is the step of a copy of the network, which has all that there is to keep."""
        return getattr, (self.model, "step")

    @property
    def memory(self) -> dict[str, Flat]:
        """The flat vectors that an update leaves for the next, by name."""
        own = {} if self._average is None else {"average": self._average}
        return self.optimizer.memory | own

    @property
    def average(self) -> Flat | None:
        """The parameters' over the last updates, where [net] asks for it and there were any."""
        return self._average if self.optimizer.count else None

    @property
    def streams(self) -> int:
        """How many streams of a datum this process computes."""
        return self.own_streams.stop - self.own_streams.start

    def divide(self, ranks: Ranks) -> None:
        """Compute this rank's share of the streams from now on.

        Raises CfgError where there are too few streams.
        """
        model = self.model
        streams = model.options.streams
        has_norm = bool(model.rolling_statistics())
        if streams // ranks.size < (2 if has_norm and ranks.size > 1 else 1):
            need = "two, for batch norm" if has_norm else "one"
            raise CfgError(
                f"{model.cfg.place_of_sizes()}: {streams} streams are too few for {ranks.size} "
                f"processes: each needs at least {need}"
            )
        whole = model.initial_state(streams)
        own = ranks.own(streams)
        for layer, before in zip(whole, self.state, strict=True):
            for part, known in zip(layer, before, strict=True):
                part[self.own_streams] = known
        self.state = tuple(tuple(part[own].copy() for part in layer) for layer in whole)
        self.ranks, self.own_streams = ranks, own

    def reset_state(self, stream: int | None = None) -> None:
        """Zero the state of one of the datum's streams, or of all."""
        own = self.own_streams
        if stream is None:
            self.state = self.model.initial_state(self.streams)
        elif own.start <= stream < own.stop:
            for layer in self.state:
                for part in layer:
                    part[stream - own.start] = 0

    def train_datum(self, inputs: Codes, targets: Codes) -> float:
        """Train on one datum; the parameters change when all subdivisions of a batch are in.

        inputs, targets: integers (time_steps, streams), the targets being the next symbols.
        Returns the loss in nats per symbol of the own streams. With `state=carry` the hidden state
        goes on from the last datum, without its gradient; otherwise every datum starts from zeros.
        """
        model, options, own = self.model, self.model.options, self.own_streams
        if options.state == "zero":
            self.reset_state()
        number = model.seen // inputs.size % options.subdivisions
        is_last = number == options.subdivisions - 1
        with self.dropped():
            nats, self.state = self.accumulate(
                inputs[:, own], targets[:, own], self.state, number > 0, is_last
            )
        self._nats = nats + (self._nats if number else 0.0)
        model.seen += inputs.size
        if is_last:
            self.update()
        # As C does to print the rate: with policy=random this is one more draw.
        learning_rate(options, model.batch_number, model.rand)
        return nats / inputs[:, own].size

    def dropped(self) -> AbstractContextManager[None]:
        """Within it the parameters are those that this update is computed with."""
        model = self.model
        if self.dropconnect is None:
            return nullcontext()
        update = model.seen // model.options.symbols
        return self.dropconnect.acting(model.rand.seed, update)

    def accumulate(
        self,
        inputs: Codes,
        targets: Codes,
        state: NetworkState,
        add: bool = False,
        is_last: bool = False,
    ) -> tuple[float, NetworkState]:
        """Forward and backward over the own streams of a datum: sets the model's `updates`.

        add: to those that are there. is_last: an update follows. Returns the summed loss in nats
        and the state after.
        """
        model = self.model
        if not add:
            model.updates.fill(0)
        context = self.training_context()
        loss, after = model.forward_loss(inputs, targets, state, context)
        early = is_last and self.ranks.overlaps
        model.backward(targets, layer_done=self._add_layer if early else None)
        return loss, after

    def training_context(self) -> ForwardContext:
        """That of the datum which is trained on now."""
        model, options = self.model, self.model.options
        return ForwardContext(
            training=True,
            first_stream=self.own_streams.start,
            all_streams=options.streams,
            seed=model.rand.seed,
            datum=model.seen // (options.time_steps * options.streams),
        )

    def _add_layer(self, layer: Layer) -> None:
        """Let the ranks begin with the updates of a layer, which are complete, and of those above;
        the lowest go with the rest.
        """
        own = layer.parameters()
        if own and 0 < own[0].span.start < self._added:
            self.ranks.start_adding(self.model.updates[own[0].span.start : self._added])
            self._added = own[0].span.start

    def _exchange(self) -> None:
        """Add up what the ranks have: updates, rolling statistics for their mean, the loss."""
        model, ranks = self.model, self.ranks
        rolling = [tensor.values for tensor in model.rolling_statistics()]
        numbers = np.array([self._nats, *self.tell()], model.dtype)
        if not ranks.is_first:
            numbers[1:] = 0
        ranks.finish_adding(model.updates[: self._added], *rolling, numbers)
        self._added = len(model.updates)
        for values in rolling:
            values /= ranks.size
        self._nats, *self.told = numbers.tolist()

    def update(self) -> None:
        """The optimizer's step on every trained layer, with the updates of all ranks."""
        model, options = self.model, self.model.options
        if self.ranks.size > 1:
            self._exchange()
        if self.dropconnect is not None:
            self.dropconnect.mask_updates()
        self.loss = self._nats / options.symbols
        bound_gradient(model.updates, options)
        rate = learning_rate(options, model.batch_number, model.rand)
        self.last_rate = rate * cooldown_factor(options, self.progress)
        trained = model.layers[model.first_trained :]
        shrink(trained, self.last_rate, options.weight_decay)
        with model.timed("update"):
            step_all(self.optimizer, model.parameters, model.updates, trained, self.last_rate)
        if self._average is not None:
            mix(self._average, model.parameters, self.optimizer.count, options.average)
