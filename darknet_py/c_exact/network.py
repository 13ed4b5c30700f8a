"""A network walked as in darknet's `network.c`: train on a datum, predict a symbol."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from darknet_py.arrays import Array, Datum
from darknet_py.c_exact.base import UpdateArgs
from darknet_py.c_exact.crnn import CrnnLayer
from darknet_py.c_exact.gates import GatedLayer
from darknet_py.c_exact.make import make_layers
from darknet_py.c_exact.rates import current_rate
from darknet_py.c_exact.small import (
    ActivationLayer,
    BatchnormLayer,
    CostLayer,
    LogisticLayer,
    SoftmaxLayer,
    one_hot,
)
from darknet_py.errors import CfgError, DarknetError, DarknetWarning
from darknet_py.network import Network
from darknet_py.trainer.trainer import BaseTrainer, Update

# Layers that write a delta to the layer below even if there is none.
_WRITES_BELOW = (SoftmaxLayer, LogisticLayer, CostLayer, ActivationLayer)


class CNetwork(BaseTrainer):
    """Trains and runs `net` as the C program does on a CPU.

    It works on the parameters of `net` and their updates, in place, and on its `seen` and `rand`;
    the state and all else are its own.

    Keys of `[net]` that are not darknet's (`state`, `clip` and so on) have no effect here.
    updates: flat, in the order of the parameters; between two batches they are the momentum.
    last_rate: the learning rate of the last update. printed_rate: the one that C prints after a
    datum, for which `policy=random` draws once more.
    Raises CfgError for a layer that the C program cannot run.
    """

    def __init__(self, net: Network) -> None:
        super().__init__(net)
        self.net = net
        self.updates = net.updates
        self.updates.fill(0)
        self.layers = make_layers(net)
        self.takes_symbols = self.layers[0].takes_symbols
        indices = [i for i, layer in enumerate(self.layers) if not isinstance(layer, CostLayer)]
        if not indices:
            raise CfgError(
                f"{net.cfg.path}: the C program reads past its layers if all are [cost]; give it "
                f"another, like [softmax]"
            )
        self.output_index = indices[-1]
        self.last_rate = self.printed_rate = 0.0
        self._trainable = False

    def __getstate__(self) -> object:
        """Raises DarknetError: copies of its layers would be of no network's parameters."""
        raise DarknetError("a CNetwork cannot be copied: copy its network and make one of that")

    # --- training

    @property
    def memory(self) -> dict[str, Array]:
        """The flat vectors that an update leaves for the next, by name."""
        return {"updates": self.updates}

    def check_trainable(self) -> None:
        """Raise CfgError if the C program cannot train this network on a CPU.

        Warns if it ignores `adam`. The first `train_datum` calls this, if nothing has before.
        """
        options, path = self.net.options, self.net.cfg.path
        first, section = self.layers[0], self.net.cfg.layers[0]
        stops = any(layer.stop_backward for layer in self.layers)
        if isinstance(first, _WRITES_BELOW) and not stops:
            raise section.error(
                "the C program cannot train a network that begins with it; use `darknet-py train`"
            )
        widths = iter([layer.outputs for layer in self.net.layers if layer.kind != "cost"])
        width = 0
        for section, layer in zip(self.net.cfg.layers, self.layers, strict=True):
            if not isinstance(layer, CostLayer):
                width = next(widths)
            if layer.reads_truth and width > self.net.outputs:
                raise section.error(
                    f"has {width} outputs and the last layer {self.net.outputs}: the C program "
                    f"would read past the end of the truth; use `darknet-py train`"
                )
            if isinstance(layer, (CrnnLayer, GatedLayer, BatchnormLayer)):
                raise section.error(
                    "is C-exact forward only; to train it use --gradient exact, the default of "
                    "`darknet-py train`"
                )
        self.net.check_layers_trainable()
        if all(layer.cost is None for layer in self.layers):
            raise CfgError(f"{path}: the last layer has no loss; end the network with [softmax]")
        if self.net.outputs < self.net.inputs:
            raise CfgError(
                f"{path}: {self.net.outputs} outputs for {self.net.inputs} symbols; there must be "
                f"one per symbol"
            )
        if options.adam:
            message = f"{self.net.cfg.net.place}: adam=1: the C program runs plain SGD on a CPU"
            warnings.warn(message, DarknetWarning, stacklevel=2)
        self._trainable = True

    def update(
        self, batch: Iterable[Datum], progress: float = 0.0, facts: Sequence[float] = ()
    ) -> Update:
        losses = [self.train_datum(datum.inputs, datum.targets) for datum in batch]
        return Update(sum(losses) / len(losses), self.last_rate, facts)

    def train_datum(self, inputs: Array, targets: Array) -> float:
        """`train_network_datum`: forward, backward and, when a batch is complete, the update.

        inputs, targets: symbols (time_steps, streams), the targets being the next ones.
        Returns the loss per symbol, the f32 number that `rnn train` prints. Raises CfgError if
        the network cannot be trained so.
        """
        if not self._trainable:
            self.check_trainable()
        net = self.net
        net.seen += inputs.size
        cost = self.accumulate(inputs, targets)
        if (net.seen // inputs.size) % net.options.subdivisions == 0:
            self.update_network()
        self.printed_rate = self.current_rate()
        return float(cost / np.float32(inputs.size))

    def accumulate(self, inputs: Array, targets: Array) -> np.float32:
        """Forward and backward over one datum, into `updates`; returns the mean of the costs."""
        with np.errstate(all="ignore"):
            x = self.forward(inputs, targets)
            self.backward(x)
            costs = [layer.cost for layer in self.layers if layer.cost is not None]
            return sum(costs, np.float32(0)) / np.float32(len(costs))

    def forward(self, symbols: Array, truth: Array | None) -> Array:
        """symbols (time_steps, streams) through all layers; returns what the first was given.

        truth: the next symbols, in training; None predicts.
        """
        known = self.takes_symbols and symbols.max() < self.net.inputs
        first = symbols if known else one_hot(symbols, self.net.inputs)
        flat = None if truth is None else one_hot(truth, self.net.outputs).ravel()
        x = first
        for layer in self.layers:
            layer.forward(x, flat)
            x = layer.output
        return first

    def backward(self, first: Array) -> None:
        """From the deltas of the last layer to the updates of all, down to `stopbackward`."""
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            if layer.stop_backward:
                break
            if index > 0:
                below = self.layers[index - 1]
                layer.backward(below.output, below.delta)
            else:
                layer.backward(first, None)

    def update_network(self) -> None:
        """As in C: every layer, even those that no gradient has reached."""
        options = self.net.options
        self.last_rate = self.current_rate()
        args = UpdateArgs(
            batch=options.symbols,
            learning_rate=np.float32(self.last_rate),
            momentum=np.float32(options.momentum),
            decay=np.float32(options.decay),
        )
        with np.errstate(all="ignore"):
            for layer in self.layers:
                layer.update(args)

    def current_rate(self) -> float:
        """`get_current_rate`: an f32 number. With `policy=random` every call draws again."""
        net = self.net
        with np.errstate(all="ignore"):
            return float(current_rate(net.options, net.batch_number, net.rand))

    # --- prediction, one stream

    def reset_state(self) -> None:
        """Zero the state that `predict` carries from symbol to symbol."""
        for layer in self.layers:
            layer.reset_state()

    def set_temperature(self, temperature: float) -> None:
        """As `rnn generate -temp` does."""
        for layer in self.layers:
            if isinstance(layer, SoftmaxLayer):
                layer.temperature = np.float32(temperature)

    def predict(self, symbol: int) -> Array:
        """`network_predict`: one symbol -> the probabilities (outputs,) of the next, f32.

        A symbol that the network does not know is an input of zeros.
        """
        with np.errstate(all="ignore"):
            self.forward(np.array([[symbol]]), truth=None)
        return self.hidden(self.output_index)

    def hidden(self, layer: int) -> Array:
        """The outputs (outputs,) of the layer with this index after `predict`."""
        return self.layers[layer].output[0, 0]
