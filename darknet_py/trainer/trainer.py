"""Training: what turns the data of an update into other parameters.

`Trainer` follows the exact gradient; `c_exact.CNetwork` computes as the C program does. A run knows
of either only what `BaseTrainer` has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np

from darknet_py.arrays import Array, Codes, Datum, Flat
from darknet_py.errors import CfgError
from darknet_py.layers.base import ForwardContext, Layer
from darknet_py.model import Model, NetworkState
from darknet_py.optimizer import (
    bound_gradient,
    cooldown_factor,
    decay_weights,
    learning_rate,
    step_all,
    update_average,
)
from darknet_py.parallel import ALONE, Communicator
from darknet_py.trainer.dropconnect import DropConnect


class Update(NamedTuple):
    """The outcome of an update.

    loss: of its data before it, over all processes, in nats per symbol. rate: its learning rate.
    facts: of the root, as `BaseTrainer.update` was given them there.
    """

    loss: float
    rate: float
    facts: Sequence[float]


class BaseTrainer:
    """What changes the parameters of a model.

    comm: the processes that share its streams. streams: which of them this process has.
    state: the hidden state of these after the last datum. count: updates so far.
    """

    state: NetworkState = ()
    count: int = 0

    def __init__(self, model: Model, comm: Communicator = ALONE) -> None:
        self.model = model
        self.comm = comm
        self.streams = comm.share(model.options.streams)

    def update(
        self, batch: Iterable[Datum], progress: float = 0.0, facts: Sequence[float] = ()
    ) -> Update:
        """Train on the data of one update, `subdivisions` of them.

        batch: asked for a datum when the one before is done, since both may draw random numbers.
        progress: the share of the run that is done, which `cooldown` depends on.
        facts: numbers of the root, for all ranks to have; each rank gives as many.
        """
        raise NotImplementedError

    @property
    def memory(self) -> dict[str, Flat]:
        """The flat vectors that an update leaves for the next, by name."""
        raise NotImplementedError

    @property
    def average(self) -> Flat | None:
        """The parameters' over the last updates, if [net] asks for it and there were any."""
        return None

    def averaged(self) -> AbstractContextManager[None]:
        """Within it the parameters are their average, if there is one."""
        average = self.average
        return nullcontext() if average is None else self.model.holding(average)

    def take_average(self) -> None:
        """Make the average, if there is one, the parameters."""
        if self.average is not None:
            np.copyto(self.model.parameters, self.average)

    def arrays(self) -> dict[str, Array]:
        """Views of all arrays that the next update depends on, by name."""
        arrays = {"parameters": self.model.parameters}
        arrays |= {f"memory.{name}": vector for name, vector in self.memory.items()}
        for index, layer in enumerate(self.state):
            arrays |= {f"state.{index}.{number}": part for number, part in enumerate(layer)}
        return arrays


class Trainer(BaseTrainer):
    """The exact gradient, and with the data of a whole update the optimizer's step.

    Raises CfgError for a model that cannot be trained, or has too few streams for the processes.
    """

    def __init__(self, model: Model, comm: Communicator = ALONE) -> None:
        super().__init__(model, comm)
        model.check_trainable()
        self._check_shares()
        self.optimizer = model.tier.optimizer(model.parameters, model.options)
        self.dropconnect = DropConnect(model) if model.options.dropconnect else None
        self._average = np.zeros_like(model.parameters) if model.options.average else None
        self.reset_state()
        # Entries of the updates from here on are being added up among the ranks.
        self._added = len(model.updates)
        # The summed loss of the data since the last update, over the streams of this process.
        self._nats, self._data = 0.0, 0

    @property
    def memory(self) -> dict[str, Flat]:
        average = {} if self._average is None else {"average": self._average}
        return self.optimizer.memory | average

    @property
    def average(self) -> Flat | None:
        return self._average if self.count else None

    @property
    def count(self) -> int:
        return self.optimizer.count

    @count.setter
    def count(self, count: int) -> None:
        self.optimizer.count = count

    def _check_shares(self) -> None:
        """Raise CfgError if there are too few streams for the processes."""
        model, size = self.model, self.comm.size
        streams = model.options.streams
        has_norm = bool(model.rolling_statistics())
        if streams // size < (2 if has_norm and size > 1 else 1):
            need = "two, for batch norm" if has_norm else "one"
            raise CfgError(
                f"{model.cfg.place_of_sizes()}: {streams} streams are too few for {size} "
                f"processes: each needs at least {need}"
            )

    def reset_state(self, streams: int | Array | None = None) -> None:
        """Zero the hidden state.

        streams: of the datum's streams only this one, or those that are True, bool (streams,).
        """
        if streams is None:
            count = self.streams.stop - self.streams.start
            self.state = self.model.initial_state(count)
            return
        chosen = np.zeros(self.model.options.streams, bool)
        chosen[streams] = True
        for layer in self.state:
            for part in layer:
                part[chosen[self.streams]] = 0

    def train_datum(self, inputs: Codes, targets: Codes) -> float:
        """Train on one datum; the parameters change when all subdivisions of a batch are in.

        inputs, targets: integers (time_steps, streams), the targets being the next symbols.
        Returns the loss in nats per symbol of the streams of this process. With `state=carry` the
        hidden state continues from the last datum, without its gradient; otherwise every datum
        starts from zeros.
        """
        nats, _ = self._train(inputs, targets)
        return nats / inputs[:, self.streams].size

    def update(
        self, batch: Iterable[Datum], progress: float = 0.0, facts: Sequence[float] = ()
    ) -> Update:
        done = Update(math.nan, 0.0, ())
        for datum in batch:
            self.reset_state(datum.fresh)
            _, update = self._train(datum.inputs, datum.targets, progress, facts)
            done = update or done
        return done

    def _train(
        self, inputs: Codes, targets: Codes, progress: float = 0.0, facts: Sequence[float] = ()
    ) -> tuple[float, Update | None]:
        """Train on a datum; returns its summed loss in nats, and the update that it completed."""
        model, options = self.model, self.model.options
        if options.state == "zero":
            self.reset_state()
        number = model.seen // inputs.size % options.subdivisions
        is_last = number == options.subdivisions - 1
        if number == 0:
            self._nats, self._data = 0.0, 0
        with self.dropped():
            nats, self.state = self.accumulate(
                inputs[:, self.streams], targets[:, self.streams], self.state, number > 0, is_last
            )
        self._nats += nats
        self._data += 1
        model.seen += inputs.size
        update = self._step(progress, facts) if is_last else None
        # As C does to print the rate: with policy=random this is one more draw.
        learning_rate(options, model.batch_number, model.rand)
        return nats, update

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
        """Forward and backward over this process's streams of a datum: sets `updates`.

        add: to those that are there. is_last: an update follows. Returns the summed loss in nats
        and the state after.
        """
        model = self.model
        if not add:
            model.updates.fill(0)
        loss, after = model.forward_loss(inputs, targets, state, self.training_context())
        early = is_last and self.comm.overlaps
        model.backward(targets, layer_done=self._add_layer if early else None)
        return loss, after

    def training_context(self) -> ForwardContext:
        """That of the datum which is trained on now."""
        model, options = self.model, self.model.options
        return ForwardContext(
            training=True,
            first_stream=self.streams.start,
            all_streams=options.streams,
            seed=model.rand.seed,
            datum=model.seen // (options.time_steps * options.streams),
        )

    def _add_layer(self, layer: Layer) -> None:
        """Let the ranks begin with the updates of a layer, which are complete, and of those above;
        the lowest go with the rest.
        """
        parameters = layer.parameters()
        if parameters and 0 < (first := parameters[0].span.start) < self._added:
            self.comm.start_all_reduce(self.model.updates[first : self._added])
            self._added = first

    def _exchange(self, facts: Sequence[float]) -> tuple[float, Sequence[float]]:
        """Add up what the ranks have: updates, rolling statistics for their mean, the loss.

        Returns the loss over all ranks in nats, and the facts of the root.
        """
        model, comm = self.model, self.comm
        if comm.size == 1:
            return self._nats, facts
        rolling = [tensor.values for tensor in model.rolling_statistics()]
        numbers = np.array([self._nats, *facts], model.dtype)
        if not comm.is_root:
            numbers[1:] = 0
        comm.finish_all_reduce(model.updates[: self._added], *rolling, numbers)
        self._added = len(model.updates)
        for values in rolling:
            values /= comm.size
        nats, *facts = numbers.tolist()
        return nats, facts

    def _step(self, progress: float, facts: Sequence[float]) -> Update:
        """The optimizer's step on every trained layer, with the updates of all ranks."""
        model, options = self.model, self.model.options
        nats, facts = self._exchange(facts)
        if self.dropconnect is not None:
            self.dropconnect.mask_updates()
        bound_gradient(model.updates, options)
        rate = learning_rate(options, model.batch_number, model.rand)
        rate *= cooldown_factor(options, progress)
        trained = model.layers[model.first_trained :]
        decay_weights(trained, rate, options.weight_decay)
        with model.timed("update"):
            step_all(self.optimizer, model.parameters, model.updates, trained, rate)
        if self._average is not None:
            update_average(self._average, model.parameters, self.count, options.average)
        loss = nats * options.subdivisions / (self._data * options.symbols)
        return Update(loss, rate, facts)
