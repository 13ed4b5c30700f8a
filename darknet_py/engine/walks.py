"""The layers' walks as jobs of the team.

A walk has the record of a layer: the addresses of its parameters and of the buffers that its
forward leaves for its backward. The buffers have names, and are those of a workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled import records
from darknet_py.engine.compiled.functions import CODES
from darknet_py.engine.compiled.linear import AFFINE, BATCH_NORM, BIAS
from darknet_py.engine.compiled.product import gradient_floats, packed_floats
from darknet_py.engine.compiled.records import WALK
from darknet_py.engine.compiled.team import TEAM
from darknet_py.layers.base import Layer, State, Workspace
from darknet_py.layers.connected import Connected, ConnectedLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.lstm import LstmLayer
from darknet_py.layers.norm import SMALLEST_DEVIATION, Norm
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.stack import Stack

# The buffer of a name, (time_steps, streams) as given.
Buffer = Callable[..., Array]
FLOAT32 = np.dtype(np.float32)
L = TypeVar("L", bound=Layer)


def address(array: Array | None) -> int:
    return 0 if array is None else array.ctypes.data


class Linear:
    """One connected layer, or the parts of a stack, in the record of its walk.

    column: in the walk's gates, from which on products without batch norm are added to what is
    there.
    """

    def __init__(self, record: Any, connected: Connected, column: int | None) -> None:
        self.record = record
        self.connected = connected
        self.column = None if connected.batch_normalize else column
        self.parts = connected.parts if isinstance(connected, Stack) else (connected,)
        # The matrices as they are, and as the walk multiplies them: the tap of a kernel does not
        # lie in one piece.
        self.weights: list[Array] = []
        self._copies: list[tuple[Array, Array]] = []

    @property
    def moved(self) -> bool:
        """Whether the parameters are no longer where the record says."""
        return self.parts[0].weights.values is not self.weights[0]

    def place(
        self, shape: tuple[int, int], training: bool, buffer: Buffer, gates: Array | None
    ) -> None:
        """Fill in the record. shape: (time_steps, streams)."""
        record, connected = self.record, self.connected
        width, outputs, inputs = connected.outputs, self.parts[0].outputs, connected.inputs
        record["parts"], record["inputs"], record["outputs"] = len(self.parts), inputs, outputs
        record["time_steps"], record["streams"] = shape
        has_norm = connected.batch_normalize
        record["norm"] = BIAS if not has_norm else BATCH_NORM if training else AFFINE
        record["kind"], record["below"] = CODES[connected.activation.name]
        record["clip"] = connected.setting.options.delta_clip
        record["smallest"] = SMALLEST_DEVIATION
        record["root_epsilon"] = connected.setting.dialect.root_epsilon
        record["deviation_epsilon"] = connected.setting.dialect.deviation_epsilon
        if gates is not None and self.column is not None:
            self.y = gates
            record["add"], record["row"] = 1, gates.shape[-1]
            record["products"] = address(gates) + gates.itemsize * self.column
        else:
            record["row"] = width
            self.y = buffer("products", *shape, width)
            record["products"] = address(self.y)
        record["y"] = record["products"]
        if record["norm"] == BATCH_NORM:
            self.y = buffer("y", *shape, width)
            self.mean = buffer("mean", shape[0], 1, width)
            self.variance = buffer("variance", shape[0], 1, width)
            for name, array in (("y", self.y), ("mean", self.mean), ("variance", self.variance)):
                record[name] = address(array)
        if connected.symbols:
            self.symbols = buffer("symbols", *shape, dtype=np.int64)
            record["symbols"] = address(self.symbols)
            record["table"] = address(buffer("table", inputs, width))
        else:
            panels = len(self.parts) * packed_floats(inputs, outputs)
            record["packed"] = address(buffer("packed", max(panels, packed_floats(width, inputs))))
            if training:
                record["scratch"] = address(buffer("scratch", gradient_floats(outputs, inputs)))
        self._place_parameters(buffer)

    def _place_parameters(self, buffer: Buffer) -> None:
        self.weights = [part.weights.values for part in self.parts]
        self._copies = []
        for k, part in enumerate(self.parts):
            values, updates = part.weights.values, part.weights.updates
            if not values.flags.c_contiguous:
                values, updates = (buffer(name, *values.shape) for name in ("taps", "tap_updates"))
                self._copies.append((values, updates))
            tensors = {"biases": part.norm.biases}
            if isinstance(part.norm, Norm):
                tensors["scales"] = part.norm.scales
            arrays = {name: (tensor.values, tensor.updates) for name, tensor in tensors.items()}
            for name, pair in {"weights": (values, updates), **arrays}.items():
                self.record[name][k], self.record[f"{name}_updates"][k] = map(address, pair)

    def begin(self, x: Array | None) -> None:
        """Before a forward. x: what comes in, or symbols; None if the walk makes it."""
        for (values, _), part in zip(self._copies, self.parts, strict=False):
            np.copyto(values, part.weights.values)
        if self.connected.symbols:
            assert x is not None
            # None is looked up outside of the table.
            last, rows = self.connected.inputs - 1, x.reshape(self.symbols.shape)
            np.clip(rows, 0, last, out=self.symbols, casting="unsafe")
        elif x is not None:
            self.record["x"] = address(x)
        if self.record["norm"] == AFFINE:
            self.affine = [part.norm.affine() for part in self.parts]
            for k, (gains, shifts) in enumerate(self.affine):
                self.record["gains"][k] = address(gains)
                self.record["shifts"][k] = address(shifts)

    def end(self) -> None:
        """After a forward: fold the statistics of the steps into the rolling ones."""
        if self.record["norm"] != BATCH_NORM:
            return
        assert isinstance(self.connected.norm, Norm)
        weights = self.connected.norm.rolling.weights(len(self.mean))
        first = 0
        for part in self.parts:
            assert isinstance(part.norm, Norm)
            columns = slice(first, first + part.outputs)
            part.norm.rolling.fold(self.mean[..., columns], self.variance[..., columns], *weights)
            first += part.outputs

    def begin_backward(self) -> None:
        for _, updates in self._copies:
            updates.fill(0)

    def end_backward(self) -> None:
        for (_, updates), part in zip(self._copies, self.parts, strict=False):
            part.weights.updates += updates


class Walk(Generic[L]):
    """One layer's forward and backward, with the buffers of a workspace, which grow as they must.

    linears: the connected layers that it computes with, and the columns of the gates that they are
    added to.
    """

    code: ClassVar[int]

    def __init__(
        self, layer: L, linears: Sequence[tuple[Connected, int | None]], buffers: Workspace
    ) -> None:
        self.layer = layer
        self.buffers = buffers
        self.job = np.zeros(1, WALK)
        self.record: Any = self.job[0]
        self.linears = [
            Linear(self.record["linears"][place], connected, column)
            for place, (connected, column) in enumerate(linears)
        ]
        self.shape, self.training = (0, 0), False

    @classmethod
    def of(cls, layer: L, buffers: Workspace) -> Walk[L]:
        raise NotImplementedError

    def prepare(self, shape: tuple[int, int], training: bool) -> None:
        """Be for an input of (time_steps, streams), in training or prediction."""
        if (self.shape, self.training) == (shape, training) and not self.linears[0].moved:
            return
        self.shape, self.training = shape, training
        self.job[...] = 0
        self.record["time_steps"], self.record["streams"] = shape
        self.place(*shape)

    def place(self, time_steps: int, streams: int) -> None:
        """Fill in the record."""
        raise NotImplementedError

    def place_linear(self, place: int, shape: tuple[int, int], gates: Array | None = None) -> Array:
        """Fill in the record of a connected layer; returns its y."""

        def buffer(name: str, *shape: int, dtype: Any = np.float32) -> Array:
            return self.buffers.array(f"walk.{place}.{name}", shape, np.dtype(dtype))

        self.linears[place].place(shape, self.training, buffer, gates)
        return self.linears[place].y

    def keep(self, name: str, *shape: int) -> Array:
        """The buffer of a field of the record."""
        array = self.buffers.array(f"walk.{name}", shape, FLOAT32)
        self.record[name] = address(array)
        return array

    def compute(self, code: int) -> None:
        self.record["code"] = code
        TEAM.run(self.job)

    def forward(self, x: Array, state: State, training: bool) -> tuple[Array, State]:
        """As `Layer.forward`."""
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        self.x = x
        self.prepare((x.shape[0], x.shape[1]), training)
        self.begin(state)
        for place, linear in enumerate(self.linears):
            linear.begin(x if place == 0 else None)
        self.compute(self.code)
        for linear in self.linears:
            linear.end()
        return self.outcome()

    def begin(self, state: State) -> None:
        """Take the state before the first step."""

    def outcome(self) -> tuple[Array, State]:
        """y, and the state after the last step."""
        raise NotImplementedError

    def backward(self, delta: Array, below: Array | None) -> None:
        """As `Layer.backward`."""
        self.record["delta"], self.record["below"] = address(delta), address(below)
        self.begin_backward()
        for linear in self.linears:
            linear.begin_backward()
        self.compute(self.code + 1)
        for linear in self.linears:
            linear.end_backward()

    def begin_backward(self) -> None:
        """Have buffers for the time of one backward."""


class ConnectedWalk(Walk[ConnectedLayer]):
    code = records.CONNECTED

    @classmethod
    def of(cls, layer: ConnectedLayer, buffers: Workspace) -> ConnectedWalk:
        return cls(layer, [(layer.connected, None)], buffers)

    def place(self, time_steps: int, streams: int) -> None:
        has_norm = self.layer.connected.batch_normalize
        rows = (1, time_steps * streams) if has_norm else (time_steps, streams)
        self.y = self.place_linear(0, rows).reshape(time_steps, streams, -1)

    def forward(self, x: Array, state: State, training: bool) -> tuple[Array, State]:
        return super().forward(x, state, training)[0], state

    def outcome(self) -> tuple[Array, State]:
        return self.y, ()


R = TypeVar("R", bound=RecurrentLayer)


class RecurrentWalk(Walk[R]):
    def scratch(self, name: str, *shape: int) -> Array:
        """A buffer for the time of one backward, which all layers share."""
        array = self.layer.scratch.array(name, shape, FLOAT32)
        self.record[name] = address(array)
        return array


class RnnWalk(RecurrentWalk[RnnLayer]):
    code = records.RNN

    @classmethod
    def of(cls, layer: RnnLayer, buffers: Workspace) -> RnnWalk:
        return cls(layer, [(connected, None) for connected in layer.bricks()], buffers)

    def place(self, time_steps: int, streams: int) -> None:
        hidden = self.layer.hidden
        self.record["outputs"] = hidden
        self.record["shortcut"] = self.layer.shortcut
        self.states = self.keep("state", time_steps + 1, streams, hidden)
        for place in range(3):
            self.y = self.place_linear(place, (time_steps, streams))
        self.linears[1].record["x"] = address(self.states)
        self.linears[2].record["x"] = address(self.states[1:])

    def begin(self, state: State) -> None:
        np.copyto(self.states[0], state[0])

    def outcome(self) -> tuple[Array, State]:
        return self.y, (self.states[-1].copy(),)

    def begin_backward(self) -> None:
        time_steps, streams = self.shape
        hidden = self.layer.hidden
        self.scratch("d_state", time_steps, streams, hidden)
        self.scratch("d_self", time_steps, streams, hidden)


class LstmWalk(RecurrentWalk[LstmLayer]):
    code = records.LSTM

    @classmethod
    def of(cls, layer: LstmLayer, buffers: Workspace) -> LstmWalk:
        return cls(layer, [(layer.u, None), (layer.w, 0)], buffers)

    def place(self, time_steps: int, streams: int) -> None:
        n = self.layer.outputs
        self.record["outputs"] = n
        gates = self.place_linear(0, (time_steps, streams))
        self.record["gates"] = address(gates)
        self.h = self.keep("state", time_steps + 1, streams, n)
        self.c = self.keep("cell", time_steps + 1, streams, n)
        self.keep("bent_cell", time_steps, streams, n)
        self.place_linear(1, (time_steps, streams), gates)
        self.linears[1].record["x"] = address(self.h)

    def begin(self, state: State) -> None:
        np.copyto(self.h[0], state[0])
        np.copyto(self.c[0], state[1])

    def outcome(self) -> tuple[Array, State]:
        return self.h[1:], (self.h[-1].copy(), self.c[-1].copy())

    def begin_backward(self) -> None:
        time_steps, streams = self.shape
        n = self.layer.outputs
        d_gates = self.scratch("d_gates", time_steps, streams, 4 * n)
        if self.layer.batch_normalize:
            self.scratch("d_self", time_steps, streams, 4 * n)
        else:
            self.record["d_self"] = address(d_gates)
        self.scratch("d_cell", streams, n).fill(0)


class GruWalk(RecurrentWalk[GruLayer]):
    code = records.GRU

    @classmethod
    def of(cls, layer: GruLayer, buffers: Workspace) -> GruWalk:
        return cls(layer, [(layer.u, None), (layer.wzr, 0), (layer.wh, 2 * layer.outputs)], buffers)

    def place(self, time_steps: int, streams: int) -> None:
        n, shape = self.layer.outputs, (time_steps, streams)
        self.record["outputs"] = n
        self.record["kind"] = CODES[self.layer.activation.name][0]
        gates = self.place_linear(0, shape)
        self.record["gates"] = address(gates)
        self.s = self.keep("state", time_steps + 1, streams, n)
        reset = self.keep("reset", time_steps, streams, n)
        for place, x in ((1, self.s), (2, reset)):
            self.place_linear(place, shape, gates)
            self.linears[place].record["x"] = address(x)

    def begin(self, state: State) -> None:
        np.copyto(self.s[0], state[0])

    def outcome(self) -> tuple[Array, State]:
        return self.s[1:], (self.s[-1].copy(),)

    def begin_backward(self) -> None:
        time_steps, streams = self.shape
        n = self.layer.outputs
        for name, width in (("d_gates", 3 * n), ("d_self", 2 * n), ("d_more", n)):
            self.scratch(name, time_steps, streams, width)
        self.scratch("d_cell", streams, n)


_WALKS: dict[str, type[Walk[Any]]] = {
    "connected": ConnectedWalk,
    "rnn": RnnWalk,
    "crnn": RnnWalk,
    "gru": GruWalk,
    "lstm": LstmWalk,
}


def walk_of(layer: Layer, buffers: Workspace) -> Walk[Any] | None:
    """A walk of this layer with buffers of this workspace; None if the engine has none for it."""
    if layer.kind not in _WALKS or layer.parameters()[0].values.dtype != FLOAT32:
        return None
    walk = _WALKS[layer.kind].of(layer, buffers)
    parts = [part for linear in walk.linears for part in linear.parts]
    # The blocks of groups are less than a matrix.
    is_whole = all(part.weights.shape == (part.outputs, part.inputs) for part in parts)
    return walk if is_whole else None
