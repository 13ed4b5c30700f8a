"""A program carried out by numpy, which is how a network without the engine writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.program import Operand, Operation, Part, Program, Value, joined


class NumpyStep:
    """A function from one symbol of each stream to `y` of the program's last part, a buffer.

    symbols: integers (streams,). For one stream all arrays come without that axis, the symbol too.
    It starts in `state`, and its calls continue from there. All values have buffers of this
    object. The parameters are those of now: later changes may not be seen.
    """

    def __init__(
        self,
        program: Program,
        state: Sequence[tuple[Array, ...]],
        streams: int,
        dtype: np.dtype[Any],
    ) -> None:
        self._rows = () if streams == 1 else (streams,)
        self._dtype = dtype
        self._symbols = np.zeros(self._rows, np.intp)
        self._buffers: dict[Value, Array] = {program.symbols: self._symbols}
        self._calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        for part, before in zip(program.parts, state, strict=True):
            self._add_part(part, before)
        self._y = self._buffers[program.parts[-1].y]

    def __call__(self, symbols: Any) -> Array:
        self._symbols[...] = symbols
        for function, arguments in self._calls:
            function(*arguments)
        return self._y

    def _add_part(self, part: Part, state: tuple[Array, ...]) -> None:
        """Add the calls of a layer, the last of which make its state that before the next step."""
        for value, start in zip(part.before, state, strict=True):
            self._buffer(value)[...] = start if self._rows else start[0]
        made = {operation.y for operation in part.operations}
        read = [
            x for operation in part.operations for x in operation.inputs if isinstance(x, Value)
        ]
        self._readers = Counter(x for x in (*read, part.y, *part.after) if x in made)
        for operations in joined(part.operations):
            self._add(operations)
        for old, new in zip(part.before, part.after, strict=True):
            if new is not old:
                self._call(np.copyto, self._buffer(old), self._known(new))

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        self._calls.append((function, arguments))

    def _buffer(self, value: Value) -> Array:
        if value not in self._buffers:
            self._buffers[value] = np.zeros((*self._rows, value.width), self._dtype)
        return self._buffers[value]

    def _known(self, x: Operand) -> Any:
        """What is an argument of numpy for x."""
        if isinstance(x, Value):
            return self._buffers[x]
        return x if isinstance(x, int | float) else x.values

    def _add(self, operations: list[Operation]) -> None:
        """Add the calls of an operation, or of products of one x."""
        name, by, y = operations[0].name, operations[0].by, operations[0].y
        inputs = [self._known(x) for x in operations[0].inputs]
        match name:
            case "add" | "subtract" | "multiply":
                self._call(getattr(np, name), *inputs, self._buffer(y))
            case "connect":
                self._connect(operations)
            case "activate":
                self._activate(operations[0])
            case "normalize":
                gains, shifts = by.norm.affine()
                self._call(np.multiply, *inputs, gains, self._buffer(y))
                self._call(np.add, self._buffer(y), shifts, self._buffer(y))
            case "softmax":
                self._call(_softmax, by, *inputs, self._buffer(y))
            case "dropout":
                self._call(np.copyto, self._buffer(y), *inputs)
            case "one_hot":
                table = np.eye(y.width, dtype=self._dtype)
                self._call(table.take, *inputs, 0, self._buffer(y))

    def _connect(self, operations: list[Operation]) -> None:
        """All products with one x are one product, whose columns are their outputs."""
        x = self._known(operations[0].inputs[0])
        connected = [operation.by for operation in operations]
        matrix, gains, shifts = together(connected)
        y = np.zeros((*self._rows, len(shifts)), self._dtype)
        if connected[0].symbols:
            self._call(np.ascontiguousarray(matrix.T).take, x, 0, y)
        elif self._rows:
            self._call(np.matmul, x, np.ascontiguousarray(matrix.T), y)
        else:
            self._call(np.dot, matrix, x, y)
        if gains is not None:
            self._call(np.multiply, y, gains, y)
        self._call(np.add, y, shifts, y)
        first = 0
        for operation in operations:
            self._buffers[operation.y] = y[..., first : first + operation.y.width]
            first += operation.y.width

    def _activate(self, operation: Operation) -> None:
        (x,) = operation.inputs
        if isinstance(x, Value) and self._readers[x] == 1:  # Nothing else needs x.
            self._buffers[operation.y] = self._known(x)
        else:
            self._call(np.copyto, self._buffer(operation.y), self._known(x))
        self._call(operation.by.apply, self._buffer(operation.y))


def _softmax(layer: Any, x: Array, out: Array) -> None:
    """The probabilities of a layer of softmax."""
    p = layer.probabilities(x.reshape(1, -1, x.shape[-1]), layer.temperature)
    np.copyto(out, p.reshape(out.shape))


def together(connected: Sequence[Any]) -> tuple[Array, Array | None, Array]:
    """The matrix (outputs, inputs), gains and shifts of connected layers side by side.

    There are no gains without batch norm.
    """
    matrices = [part.matrix() for part in connected]
    gains, shifts = zip(*(part.norm.affine() for part in connected), strict=True)
    if len(matrices) == 1:
        return matrices[0], gains[0], shifts[0]
    has_gains = gains[0] is not None
    return (
        np.concatenate(matrices),
        np.concatenate(gains) if has_gains else None,
        np.concatenate(shifts),
    )
