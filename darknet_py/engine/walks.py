"""The layers' walks as jobs of the team.

A walk has the record of a layer: the addresses of its parameters and of the buffers that its
forward leaves for its backward. The buffers have names, and are those of a workspace.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from darknet_py.arrays import Array
from darknet_py.engine.compiled import bf16, product, records
from darknet_py.engine.compiled.functions import CODES
from darknet_py.engine.compiled.jit import Record
from darknet_py.engine.compiled.linear import AFFINE, BATCH_NORM, BIAS
from darknet_py.engine.compiled.records import WALK
from darknet_py.engine.compiled.team import TEAM
from darknet_py.layers.base import Layer, State, Times
from darknet_py.layers.connected import CompositeLayer, Connected, ConnectedLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.lstm import LstmLayer
from darknet_py.layers.norm import SMALLEST_DEVIATION, Norm
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.stack import Stack
from darknet_py.layers.workspace import Shapes, Workspace

FLOAT32 = np.dtype(np.float32)
L = TypeVar("L", bound=CompositeLayer)


def address(array: Array | None) -> int:
    return 0 if array is None else array.ctypes.data


class Linear:
    """One connected layer, or the parts of a stack, in the record of its walk.

    column: in the walk's gates, from which on products without batch norm are added to what is
    there.
    """

    def __init__(self, record: Record, connected: Connected, column: int | None) -> None:
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
        """Whether the parameters have left the places that the record has."""
        return self.parts[0].weights.values is not self.weights[0]

    def shapes(self, shape: tuple[int, int], training: bool) -> Shapes:
        """Its buffers, by the fields of the record. shape: (time_steps, streams)."""
        time_steps, streams = shape
        width, inputs = self.connected.outputs, self.connected.inputs
        outputs = self.parts[0].outputs
        shapes: dict[str, tuple[int, ...]] = {}
        if self.column is None:
            shapes["products"] = (*shape, width)
        if self.connected.batch_normalize and training:
            shapes["y"] = (*shape, width)
            shapes |= dict.fromkeys(("mean", "variance"), (time_steps, 1, width))
        if self.connected.symbols:
            # Each symbol is a number of 64 bits.
            return shapes | {"symbols": (time_steps, 2 * streams), "table": (inputs, width)}
        is_bf16 = training and self.connected.setting.precision == "bf16"
        of_products = bf16 if is_bf16 else product
        parts, packed_floats = len(self.parts), of_products.packed_floats
        below = parts * packed_floats(outputs, inputs)
        shapes["packed"] = (max(parts * packed_floats(inputs, outputs), below),)
        if training:
            shapes["scratch"] = (of_products.gradient_floats(outputs, inputs),)
        if is_bf16:
            one_step = 2 * -(-streams // bf16.SIDE) * bf16.SIDE
            rows = one_step if self.connected.stepwise else math.prod(shape)
            of_x, of_delta = packed_floats(inputs, rows), parts * packed_floats(outputs, rows)
            shapes["strips"] = (max(of_x, of_delta),)
        if any(part.weights.values.strides[-1] != FLOAT32.itemsize for part in self.parts):
            shapes |= dict.fromkeys(("taps", "tap_updates"), (outputs, inputs))
        return shapes

    def place(
        self, shape: tuple[int, int], training: bool, buffers: dict[str, Array], gates: Array | None
    ) -> None:
        """Fill in the record. shape: (time_steps, streams); buffers: those of `shapes`."""
        record, connected = self.record, self.connected
        record["parts"], record["outputs"] = len(self.parts), self.parts[0].outputs
        record["inputs"] = connected.inputs
        record["time_steps"], record["streams"] = shape
        if "strips" in buffers:
            record["bf16"] = bf16.way()
        record["stepwise"] = connected.stepwise
        has_norm = connected.batch_normalize
        record["norm"] = BIAS if not has_norm else BATCH_NORM if training else AFFINE
        record["kind"], record["below"] = CODES[connected.activation.name]
        record["clip"] = connected.setting.options.delta_clip
        record["smallest"] = SMALLEST_DEVIATION
        record["root_epsilon"] = connected.setting.dialect.root_epsilon
        record["deviation_epsilon"] = connected.setting.dialect.deviation_epsilon
        for name, array in buffers.items():
            if not name.startswith("tap"):
                record[name] = address(array)
        if gates is not None and self.column is not None:
            self.y = gates
            record["add"], record["row"] = 1, gates.shape[-1]
            record["products"] = address(gates) + gates.itemsize * self.column
        else:
            self.y = buffers["products"]
            record["row"] = connected.outputs
        if record["norm"] == BATCH_NORM:
            self.y, self.mean, self.variance = (buffers[name] for name in ("y", "mean", "variance"))
        else:
            record["y"] = record["products"]
        if connected.symbols:
            self.symbols = buffers["symbols"].view(np.int64)
        self._place_parameters(buffers)

    def _place_parameters(self, buffers: dict[str, Array]) -> None:
        self.weights = [part.weights.values for part in self.parts]
        self._copies = [(buffers["taps"], buffers["tap_updates"])] if "taps" in buffers else []
        for k, part in enumerate(self.parts):
            norm, matrix = part.norm, (part.weights.values, part.weights.updates)
            arrays = {"weights": self._copies[0] if self._copies else matrix}
            arrays["biases"] = norm.biases.values, norm.biases.updates
            if isinstance(norm, Norm):
                arrays["scales"] = norm.scales.values, norm.scales.updates
            for name, pair in arrays.items():
                self.record[name][k], self.record[f"{name}_updates"][k] = map(address, pair)

    def take_times(self) -> Times:
        """As `Layer.take_times`."""
        # "4.weight" of a connected layer, "2.wz.weight" of a gate.
        names = [name for part in self.parts for name in part.weights.name.split(".")[1:-1]]
        spent, operations = self.record["spent"], self.record["operations"]
        found = {
            " ".join([*names, kind]): (spent[k] / 1e9, int(operations[k]))
            for k, kind in enumerate(("product", "delta", "gradient", "packing"))
            if spent[k]
        }
        spent[:] = operations[:] = 0
        return found

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

    What the forward leaves for the backward are the layer's own buffers, by the same names as the
    fields of the record.
    columns: of the gates, in outputs of the layer, that its connected layers are added to.
    """

    code: ClassVar[int]
    columns: ClassVar[tuple[int | None, ...]]

    def __init__(self, layer: L, buffers: Workspace) -> None:
        self.layer = layer
        self.buffers = buffers
        self.job = np.zeros(1, WALK)
        self.record: Record = self.job[0]
        places = zip(self.record["linears"], layer.linears(), self.columns, strict=False)
        self.linears = [
            Linear(record, connected, None if column is None else column * layer.outputs)
            for record, connected, column in places
        ]
        self.shape, self.training = (0, 0), False
        # (time_steps, streams, features), and the states before each step and after the last.
        self.y: Array
        self.states: list[Array] = []

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        """As of a layer, by the fields of the record."""
        return {}

    def shapes(self, shape: tuple[int, int], training: bool) -> Shapes:
        """All of its buffers for an input of (time_steps, streams)."""
        found = {f"walk.{name}": size for name, size in self.layer.shapes(*shape).items()}
        for place, linear in enumerate(self.linears):
            of_linear = linear.shapes(self.layer.rows(*shape), training)
            found |= {f"walk.{place}.{name}": size for name, size in of_linear.items()}
        return found

    def prepare(self, shape: tuple[int, int], training: bool) -> None:
        """Be for an input of (time_steps, streams), in training or prediction."""
        if (self.shape, self.training) == (shape, training) and not self.linears[0].moved:
            return
        self.shape, self.training = shape, training
        self.job[...] = 0
        self.record["time_steps"], self.record["streams"] = shape
        self.kept = self.buffers.arrays(self.shapes(shape, training), FLOAT32)
        for name in self.layer.shapes(*shape):
            self.record[name] = address(self.kept[f"walk.{name}"])
        self.place()

    def place(self) -> None:
        """Fill in the rest of the record, and find `y` and the `states`."""
        raise NotImplementedError

    def place_linear(self, place: int, gates: Array | None = None) -> Array:
        """Fill in the record of a connected layer; returns its y."""
        linear, prefix = self.linears[place], f"walk.{place}."
        arrays = {
            name.removeprefix(prefix): array
            for name, array in self.kept.items()
            if name.startswith(prefix)
        }
        linear.place(self.layer.rows(*self.shape), self.training, arrays, gates)
        return linear.y

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
        return self.y, tuple(array[-1].copy() for array in self.states)

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
    columns = (None,)

    def place(self) -> None:
        self.y = self.place_linear(0).reshape(*self.shape, -1)


R = TypeVar("R", bound=RecurrentLayer)


class RecurrentWalk(Walk[R]):
    def begin(self, state: State) -> None:
        for array, start in zip(self.states, state, strict=True):
            np.copyto(array[0], start)

    def begin_backward(self) -> None:
        self.scratch = self.layer.scratch.arrays(self.scratch_shapes(*self.shape), FLOAT32)
        for name, array in self.scratch.items():
            self.record[name] = address(array)


class RnnWalk(RecurrentWalk[RnnLayer]):
    code = records.RNN
    columns = (None, None, None)

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        return dict.fromkeys(("d_state", "d_self"), (time_steps, streams, self.layer.hidden))

    def place(self) -> None:
        self.record["outputs"] = self.layer.hidden
        self.record["shortcut"] = self.layer.shortcut
        for place in range(3):
            self.y = self.place_linear(place)
        states = self.kept["walk.state"]
        self.states = [states]
        self.linears[1].record["x"] = address(states)
        self.linears[2].record["x"] = address(states[1:])


class GatedWalk(RecurrentWalk[R]):
    """inputs: of the connected layers that compute one time step at a time."""

    inputs: ClassVar[tuple[str, ...]]

    def place(self) -> None:
        self.record["outputs"] = self.layer.outputs
        gates = self.place_linear(0)
        self.record["gates"] = address(gates)
        for place, name in enumerate(self.inputs, 1):
            self.place_linear(place, gates)
            self.linears[place].record["x"] = address(self.kept[f"walk.{name}"])
        self.states = [self.kept["walk.state"]]
        self.y = self.states[0][1:]


class LstmWalk(GatedWalk[LstmLayer]):
    code = records.LSTM
    columns = (None, 0)
    inputs = ("state",)

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        n, names = self.layer.outputs, ("d_gates", "d_self")
        # Without batch norm both stacks have the same delta.
        used = names if self.layer.batch_normalize else names[:1]
        gates = dict.fromkeys(used, (time_steps, streams, 4 * n))
        return {**gates, "d_cell": (streams, n)}

    def place(self) -> None:
        super().place()
        self.states.append(self.kept["walk.cell"])

    def begin_backward(self) -> None:
        super().begin_backward()
        if not self.layer.batch_normalize:
            self.record["d_self"] = self.record["d_gates"]
        self.scratch["d_cell"].fill(0)


class GruWalk(GatedWalk[GruLayer]):
    code = records.GRU
    columns = (None, 0, 2)
    inputs = ("state", "reset")

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        n, wide = self.layer.outputs, {"d_gates": 3, "d_self": 2, "d_more": 1}
        gates = {name: (time_steps, streams, count * n) for name, count in wide.items()}
        return {**gates, "d_cell": (streams, n)}

    def place(self) -> None:
        super().place()
        self.record["kind"] = CODES[self.layer.activation.name][0]


AnyWalk: TypeAlias = Walk[Any]
_WALKS: dict[str, type[AnyWalk]] = {
    "connected": ConnectedWalk,
    "rnn": RnnWalk,
    "crnn": RnnWalk,
    "gru": GruWalk,
    "lstm": LstmWalk,
}


def walk_of(layer: Layer, buffers: Workspace) -> AnyWalk | None:
    """A walk of this layer with buffers of this workspace; None if the engine has none for it."""
    if layer.kind not in _WALKS or layer.parameters()[0].values.dtype != FLOAT32:
        return None
    walk = _WALKS[layer.kind](layer, buffers)
    parts = [part for linear in walk.linears for part in linear.parts]
    # The blocks of groups are less than a matrix.
    is_whole = all(part.weights.shape == (part.outputs, part.inputs) for part in parts)
    return walk if is_whole else None
