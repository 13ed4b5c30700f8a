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
        self._buffers: dict[Value, Array] = {}
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
            getattr(self, f"_{operations[0].name}")(*operations)
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

    # --- the operations, by their names

    def _elementwise(self, function: Callable[..., object], operation: Operation) -> None:
        self._call(function, *map(self._known, operation.inputs), self._buffer(operation.y))

    def _add(self, operation: Operation) -> None:
        self._elementwise(np.add, operation)

    def _subtract(self, operation: Operation) -> None:
        self._elementwise(np.subtract, operation)

    def _multiply(self, operation: Operation) -> None:
        self._elementwise(np.multiply, operation)

    def _connect(self, *operations: Operation) -> None:
        """All products with one x are one product, whose columns are their outputs."""
        x, connected = operations[0].inputs[0], [operation.by for operation in operations]
        matrix, gains, shifts = together(connected)
        y = np.zeros((*self._rows, len(shifts)), self._dtype)
        if connected[0].symbols:
            self._call(np.ascontiguousarray(matrix.T).take, self._symbols, 0, y)
        elif self._rows:
            self._call(np.matmul, self._known(x), np.ascontiguousarray(matrix.T), y)
        else:
            self._call(np.dot, matrix, self._known(x), y)
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

    def _normalize(self, operation: Operation) -> None:
        gains, shifts = operation.by.affine()
        y = self._buffer(operation.y)
        self._call(np.multiply, self._known(operation.inputs[0]), gains, y)
        self._call(np.add, y, shifts, y)

    def _softmax(self, operation: Operation) -> None:
        layer, y = operation.by, self._buffer(operation.y)
        x = self._known(operation.inputs[0])
        rows = (1, len(y) if self._rows else 1, y.shape[-1])

        def probabilities() -> None:
            p = layer.probabilities(x.reshape(rows), layer.temperature)
            np.copyto(y, p.reshape(y.shape))

        self._call(probabilities)

    def _dropout(self, operation: Operation) -> None:
        self._call(np.copyto, self._buffer(operation.y), self._known(operation.inputs[0]))

    def _one_hot(self, operation: Operation) -> None:
        table = np.eye(operation.y.width, dtype=self._dtype)
        self._call(table.take, self._symbols, 0, self._buffer(operation.y))


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
