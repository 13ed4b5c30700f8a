"""One time step of a network as a list of operations, recorded from the `step` of its layers.

    z = sigmoid(self.wz(s) + self.uz(x))

computes nothing: it writes two products, a sum and an activation to the program of s and x, in this
order. What carries a program out is elsewhere: `numpy_step.py`, and for other programs `exporting`.

    connect(x)     x W^T with a bias or batch norm     by a connected layer; x may be the symbols
    add(a, b), subtract(a, b), multiply(a, b)          element by element
    activate(x)    f(x)                                by an activation
    normalize(x)   batch norm, rolling statistics      by a layer of batch norm
    softmax(x)     probabilities                       by a layer of softmax
    dropout(x)     x: something happens in training    by a layer of dropout
    one_hot(x)     1 at the symbol, 0 elsewhere
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from darknet_py.arrays import Array


class Vector(Protocol):
    """A named parameter (width,), as formulas contain them: `self.gain * s`."""

    name: str
    values: Array


@dataclass(eq=False)
class Value:
    """Numbers (streams, width) that are known when the program runs; or the symbols, (streams,)."""

    program: Program
    width: int

    def __add__(self, other: Operand) -> Value:
        return self.program.write("add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.program.write("add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.program.write("subtract", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.program.write("subtract", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.program.write("multiply", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.program.write("multiply", other, self)


Values = tuple[Value, ...]
Operand = Value | Vector | float


@dataclass(frozen=True)
class Operation:
    """inputs: what its name is followed by in the table above. by: what has the rest of it."""

    name: str
    inputs: tuple[Operand, ...]
    by: Any
    y: Value


@dataclass(frozen=True)
class Part:
    """What one layer adds to a program: operations, its output, its states before and after."""

    operations: list[Operation]
    y: Value
    before: Values
    after: Values


class Program:
    """The operations of one time step, layer by layer. symbols: what comes in."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.symbols = Value(self, 1)
        self._written: list[Operation] = []

    def write(self, name: str, *inputs: Operand, by: Any = None, width: int = 0) -> Value:
        """Add an operation; returns its output, by default as wide as its first input."""
        width = width or next(x.width for x in inputs if isinstance(x, Value))
        y = Value(self, width)
        self._written.append(Operation(name, inputs, by, y))
        return y

    def end_part(self, y: Value, before: Values, after: Values) -> Value:
        """Let what was written since the last part be that of a layer; returns its output."""

        def kept(new: Value, old: Value | None) -> Value:
            # A copy, because `old` becomes another value when the step is over.
            return new * 1 if new in before and new is not old else new

        y = kept(y, None)
        after = tuple(kept(new, old) for new, old in zip(after, before, strict=True))
        self.parts.append(Part(self._written, y, before, after))
        self._written = []
        return y


def joined(operations: Sequence[Operation]) -> list[list[Operation]]:
    """The operations in order, each in a list; the products with one x share the list of the first.

    Products with batch norm and those without do not share a list.
    """
    lists: dict[object, list[Operation]] = {}
    for operation in operations:
        is_product = operation.name == "connect"
        key = (operation.inputs[0], operation.by.batch_normalize) if is_product else operation.y
        lists.setdefault(key, []).append(operation)
    return list(lists.values())
