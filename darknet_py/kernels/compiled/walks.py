"""The layers' walks as jobs of the team: what a layer calls in place of its numpy walk.

A walk belongs to a layer, to one shape of input and to training or prediction. It has the buffers
that the forward leaves for the backward, and the record of their addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from darknet_py.arrays import Array
from darknet_py.kernels.compiled import records
from darknet_py.kernels.compiled.brick import AFFINE, BATCH_NORM, BIAS
from darknet_py.kernels.compiled.functions import CODES
from darknet_py.kernels.compiled.jit import aligned
from darknet_py.kernels.compiled.product import gradient_floats, packed_floats
from darknet_py.kernels.compiled.records import WALK
from darknet_py.kernels.plain import SMALLEST_DEVIATION

State = tuple[Array, ...]
Compute = Callable[[Array], None]


def _buffer(*shape: int) -> Array:
    return aligned(int(np.prod(shape))).reshape(shape)


def _address(array: Array | None) -> int:
    return 0 if array is None else array.ctypes.data


class Brick:
    """One connected layer, or the parts of a stack, in the record of its walk."""

    def __init__(
        self,
        record: Any,
        connected: Any,
        shape: tuple[int, int],
        training: bool,
        into: tuple[Array, int] | None = None,
    ) -> None:
        """into: products without batch norm are added there, an array and the column they begin."""
        self.record = record
        self.connected = connected
        self.parts: Sequence[Any] = getattr(connected, "parts", (connected,))
        time_steps, streams = shape
        width = connected.outputs
        first = self.parts[0]
        self.weights: Array = first.weights.values
        normalizes = connected.batch_normalize
        record["parts"] = len(self.parts)
        record["inputs"], record["outputs"] = connected.inputs, first.outputs
        record["time_steps"], record["streams"] = shape
        record["norm"] = BIAS if not normalizes else BATCH_NORM if training else AFFINE
        record["kind"], record["below"] = CODES[connected.activation.name]
        record["clip"] = connected.setting.options.delta_clip
        record["smallest"] = SMALLEST_DEVIATION
        record["row"] = width
        self.keeps: list[Array] = []
        if into is not None and not normalizes:
            together, column = into
            self.y = together
            record["add"], record["row"] = 1, together.shape[-1]
            record["products"] = record["y"] = _address(together) + 4 * column
        else:
            self.y = products = self._keep("products", time_steps, streams, width)
            record["y"] = record["products"]
            if record["norm"] == BATCH_NORM:
                self.y = self._keep("y", *products.shape)
        if record["norm"] == BATCH_NORM:
            dialect = connected.setting.dialect
            record["root_epsilon"] = dialect.root_epsilon
            record["deviation_epsilon"] = dialect.deviation_epsilon
            self.mean = self._keep("mean", time_steps, 1, width)
            self.variance = self._keep("variance", time_steps, 1, width)
        inputs, outputs = connected.inputs, first.outputs
        if connected.symbols:
            self.symbols = np.zeros(shape, np.int64)
            record["symbols"] = _address(self.symbols)
            self._keep("table", inputs, width)
        else:
            panels = len(self.parts) * packed_floats(inputs, outputs)
            self._keep("packed", max(panels, packed_floats(width, inputs)))
            if training:
                self._keep("scratch", gradient_floats(outputs, inputs))
        for k, part in enumerate(self.parts):
            tensors = {"weights": part.weights, "biases": part.norm.biases}
            if normalizes:
                tensors["scales"] = part.norm.scales
            for name, tensor in tensors.items():
                record[name][k] = _address(tensor.values)
                record[f"{name}_updates"][k] = _address(tensor.updates)

    def _keep(self, name: str, *shape: int) -> Array:
        array = _buffer(*shape)
        self.keeps.append(array)
        self.record[name] = _address(array)
        return array

    def begin(self, x: Any) -> None:
        """x: what comes in, or symbols; None where the walk makes it."""
        if self.connected.symbols:
            # None is looked up outside of the table.
            np.clip(x, 0, self.connected.inputs - 1, out=self.symbols, casting="unsafe")
        elif x is not None:
            self.record["x"] = _address(x)
        if self.record["norm"] == AFFINE:
            self.affine = [part.norm.affine() for part in self.parts]
            for k, (gains, shifts) in enumerate(self.affine):
                self.record["gains"][k] = _address(gains)
                self.record["shifts"][k] = _address(shifts)

    def end(self) -> None:
        """Fold the statistics of the steps into the rolling ones."""
        if self.record["norm"] != BATCH_NORM:
            return
        first = 0
        weights = self.connected.norm.rolling.weights(len(self.mean))
        for part in self.parts:
            columns = slice(first, first + part.outputs)
            part.norm.rolling.fold(self.mean[..., columns], self.variance[..., columns], *weights)
            first += part.outputs


class Walk:
    """One layer's forward and backward."""

    code: ClassVar[int]

    def __init__(
        self, layer: Any, shape: tuple[int, int], training: bool, compute: Compute
    ) -> None:
        self.layer = layer
        self.shape = shape
        self.training = training
        self.give = compute
        self.job = np.zeros(1, WALK)
        self.record: Any = self.job[0]
        self.record["time_steps"], self.record["streams"] = shape
        self.bricks: list[Brick] = []
        self.make(*shape)

    def fits(self, shape: tuple[int, int], training: bool) -> bool:
        """Whether it is for such an input, and the parameters are still where they were."""
        first = self.bricks[0]
        weights = first.parts[0].weights.values
        return (self.shape, self.training) == (shape, training) and weights is first.weights

    def make(self, time_steps: int, streams: int) -> None:
        """Make the bricks and buffers."""
        raise NotImplementedError

    def brick(
        self, connected: Any, shape: tuple[int, int], into: tuple[Array, int] | None = None
    ) -> Brick:
        record = self.record["bricks"][len(self.bricks)]
        self.bricks.append(Brick(record, connected, shape, self.training, into))
        return self.bricks[-1]

    def keep(self, name: str, *shape: int) -> Array:
        array = _buffer(*shape)
        self.record[name] = _address(array)
        return array

    def scratch(self, name: str, *shape: int) -> Array:
        """A buffer for the time of one backward, which all layers share."""
        array: Array = self.layer.scratch.array(name, shape, np.dtype(np.float32))
        self.record[name] = _address(array)
        return array

    def compute(self, code: int) -> None:
        self.record["code"] = code
        self.give(self.job)

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        """As `Layer.forward`."""
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        self.x = x
        self.begin(state)
        for place, brick in enumerate(self.bricks):
            brick.begin(x if place == 0 else None)
        self.compute(self.code)
        for brick in self.bricks:
            brick.end()
        return self.outcome()

    def begin(self, state: State) -> None:
        """Take the state before the first step."""

    def outcome(self) -> tuple[Array, State]:
        """y, and the state after the last step."""
        raise NotImplementedError

    def backward(self, delta: Array, below: Array | None, d_after: State | None) -> State | None:
        """As `RecurrentLayer.backward_through_time`."""
        self.record["delta"], self.record["below"] = _address(delta), _address(below)
        self.record["continues"] = d_after is not None
        d_before = self.begin_backward(d_after)
        self.compute(self.code + 1)
        return None if d_after is None else tuple(part.copy() for part in d_before)

    def begin_backward(self, d_after: State | None) -> State:
        """Take the delta of the state after the last step; where that before the first will be."""
        return ()


class ConnectedWalk(Walk):
    code = records.CONNECTED

    def make(self, time_steps: int, streams: int) -> None:
        connected = self.layer.connected
        rows = (1, time_steps * streams) if connected.batch_normalize else (time_steps, streams)
        self.y = self.brick(connected, rows).y.reshape(time_steps, streams, -1)

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        brick = self.bricks[0]
        if self.layer.connected.symbols:
            x = x.reshape(brick.symbols.shape)
        return super().forward(x, state)[0], state

    def outcome(self) -> tuple[Array, State]:
        return self.y, ()


class RnnWalk(Walk):
    code = records.RNN

    def make(self, time_steps: int, streams: int) -> None:
        layer = self.layer
        self.record["outputs"] = layer.hidden
        self.record["shortcut"] = layer.shortcut
        self.states = self.keep("state", time_steps + 1, streams, layer.hidden)
        for connected in layer.bricks():
            self.brick(connected, (time_steps, streams))
        self.bricks[1].record["x"] = _address(self.states)
        self.bricks[2].record["x"] = _address(self.states[1:])

    def begin(self, state: State) -> None:
        np.copyto(self.states[0], state[0])

    def outcome(self) -> tuple[Array, State]:
        return self.bricks[2].y, (self.states[-1].copy(),)

    def begin_backward(self, d_after: State | None) -> State:
        time_steps, streams = self.shape
        hidden = self.layer.hidden
        self.scratch("d_state", time_steps, streams, hidden)
        self.scratch("d_self", time_steps, streams, hidden)
        d_before = self.scratch("d_before", streams, hidden)
        if d_after is not None:
            np.copyto(d_before, d_after[0])
        return (d_before,)


class LstmWalk(Walk):
    code = records.LSTM

    def make(self, time_steps: int, streams: int) -> None:
        layer, n = self.layer, self.layer.outputs
        self.record["outputs"] = n
        gates = self.brick(layer.u, (time_steps, streams)).y
        self.record["gates"] = _address(gates)
        self.h = self.keep("state", time_steps + 1, streams, n)
        self.c = self.keep("cell", time_steps + 1, streams, n)
        self.bent = self.keep("bent_cell", time_steps, streams, n)
        self.brick(layer.w, (time_steps, streams), (gates, 0)).record["x"] = _address(self.h)

    def begin(self, state: State) -> None:
        np.copyto(self.h[0], state[0])
        np.copyto(self.c[0], state[1])

    def outcome(self) -> tuple[Array, State]:
        return self.h[1:], (self.h[-1].copy(), self.c[-1].copy())

    def begin_backward(self, d_after: State | None) -> State:
        time_steps, streams = self.shape
        n = self.layer.outputs
        d_gates = self.scratch("d_gates", time_steps, streams, 4 * n)
        if self.layer.batch_normalize:
            self.scratch("d_self", time_steps, streams, 4 * n)
        else:
            self.record["d_self"] = _address(d_gates)
        d_h, d_c = self.scratch("d_before", streams, n), self.scratch("d_cell", streams, n)
        d_c.fill(0)
        if d_after is not None:
            np.copyto(d_h, d_after[0])
            np.copyto(d_c, d_after[1])
        return d_h, d_c


class GruWalk(Walk):
    code = records.GRU

    def make(self, time_steps: int, streams: int) -> None:
        layer, n = self.layer, self.layer.outputs
        shape = (time_steps, streams)
        self.record["outputs"] = n
        self.record["kind"] = CODES[layer.activation.name][0]
        gates = self.brick(layer.u, shape).y
        self.record["gates"] = _address(gates)
        self.s = self.keep("state", time_steps + 1, streams, n)
        self.reset = self.keep("reset", time_steps, streams, n)
        self.brick(layer.wzr, shape, (gates, 0)).record["x"] = _address(self.s)
        self.brick(layer.wh, shape, (gates, 2 * n)).record["x"] = _address(self.reset)

    def begin(self, state: State) -> None:
        np.copyto(self.s[0], state[0])

    def outcome(self) -> tuple[Array, State]:
        return self.s[1:], (self.s[-1].copy(),)

    def begin_backward(self, d_after: State | None) -> State:
        time_steps, streams = self.shape
        n = self.layer.outputs
        for name, width in (("d_gates", 3 * n), ("d_self", 2 * n), ("d_more", n)):
            self.scratch(name, time_steps, streams, width)
        self.scratch("d_cell", streams, n)
        d_before = self.scratch("d_before", streams, n)
        if d_after is not None:
            np.copyto(d_before, d_after[0])
        return (d_before,)


WALKS: dict[str, type[Walk]] = {
    "connected": ConnectedWalk,
    "rnn": RnnWalk,
    "gru": GruWalk,
    "lstm": LstmWalk,
}
