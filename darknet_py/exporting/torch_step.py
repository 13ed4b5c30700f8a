"""The `step` of a layer as the text of a PyTorch class, whose forward takes all time steps.

Its lines keep their formulas and the names of their variables. If the layer has a state they are
the lines of a loop, and what can be computed for all time steps at once is not among them:

    self.uz(x)                     stands before the loop, and is uz_t within it
    a = self.input(x)              stands before the loop, and is a_t within it
    return self.output(s), (s,)    calls `output` after the loop

A step that can be written so first unpacks its state, then gives one name in each line, and returns
y and the state. Of `self` it reads connected layers, activations, parameters and numbers; it calls
the first two and nothing else.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from darknet_py.activations import Activation
from darknet_py.layers.base import Layer, Parameter
from darknet_py.layers.connected import Connected

_WIDTH = 96  # columns of a line within a class


class UnreadableStep(Exception):
    """A step that breaks these rules; the message is which one."""


class StepText(ast.NodeTransformer):
    """The text of a layer's step. Raises UnreadableStep.

    function: gives PyTorch's expression for an activation. parts: what the step reads of the layer,
    by the names of their tensors, connected layers first.
    """

    def __init__(self, layer: Layer, function: Callable[[Activation], str]) -> None:
        self._layer = layer
        self._function = function
        self._globals = type(layer).step.__globals__
        self._states = [*layer.state_sizes]
        self._state, self._unpacked = packed(self._states), unpacked(self._states)
        # The names that are known so far, and how the loop calls them. What it goes over, by name.
        self._given = {"x", *self._states}
        self._renamed = {"x": "x_t"} if self._states else {}
        self._early: dict[str, str] = {}
        self.parts: dict[str, Any] = {}
        *lines, last = _body(layer)
        if self._states:
            self._unpack(lines.pop(0) if lines else last)
        if not (isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple)):
            raise UnreadableStep("its step does not end in `return y, state`")
        y, after = last.value.elts
        self._lines = [text for line in lines if (text := self._line(line))]
        self._output = "{}"
        product = self._product(y)
        if self._states and product and isinstance(product[1], ast.Name):
            self._output, y = f"self.{product[0]}({{}})", product[1]
        self._y = self._text(y)
        self._after = self._text(after) if self._states else ""
        self.parts = dict(
            sorted(self.parts.items(), key=lambda part: not isinstance(part[1], Connected))
        )

    def class_text(self, name: str) -> str:
        """The class, of this name."""
        doc = textwrap.indent(f'"""{_documentation(self._layer)}"""', "    ")
        head = "self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]"
        lines = self._loop()
        if not self._states:
            head = "self, x: Tensor) -> Tensor"
            lines = [*self._lines, f"return {self._y}"]
        body = textwrap.indent("\n".join(lines), "        ")
        return f"class {name}(Layer):\n{doc}\n\n    def forward({head}:\n{body}\n"

    def _loop(self) -> list[str]:
        """The lines of a forward over all time steps."""
        known = self._early or {"x": "x"}
        first, names = next(iter(known)), ", ".join(known)
        each = ", ".join(f"{name}_t" for name in known)
        is_carried = self._after == self._state
        ys = "states" if is_carried and self._y in self._states else "ys"
        lines = [*self._lines, f"{ys}.append({self._y})"]
        if not is_carried:
            after = self._after if len(self._states) == 1 else self._after[1:-1]
            lines.append(f"{self._unpacked} = {after}")
        return [
            *_assignments({name: value for name, value in known.items() if name != value}),
            f"{self._unpacked} = self.zeros({first}[0]) if state is None else state",
            f"{ys} = []",
            f"for {each} in {names if len(known) == 1 else f'zip({names}, strict=True)'}:",
            *(f"    {line}" for line in lines),
            f"return {self._output.format(f'torch.stack({ys})')}, {self._state}",
        ]

    # --- statements

    def _unpack(self, line: ast.stmt) -> None:
        """Check the first line of a step that has a state."""
        if ast.unparse(line) != ast.unparse(ast.parse(f"{self._unpacked} = state")):
            raise UnreadableStep(f"its step does not begin with `{self._unpacked} = state`")

    def _line(self, line: ast.stmt) -> str:
        """An assignment as it stands in the loop; nothing for one that stands before it."""
        if not (isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)):
            raise UnreadableStep(f"a line of its step gives no name: {ast.unparse(line)}")
        target, product = line.targets[0].id, self._product(line.value)
        is_new = target not in self._given and target not in self._early
        if product and is_new and self._is_of_all_steps(product[1]):
            self._early[target] = f"self.{product[0]}(x)"
            self._renamed[target] = f"{target}_t"
            self._given.add(target)
            return ""
        text = self._text(line.value)
        self._renamed.pop(target, None)
        self._given.add(target)
        return f"{target} = {text}"

    def _text(self, expression: ast.expr) -> str:
        return ast.unparse(self.visit(expression))

    # --- expressions

    def visit_Call(self, node: ast.Call) -> ast.expr:
        product = self._product(node)
        if product and self._is_of_all_steps(product[1]):
            name = product[0]
            early = f"{name}_x" if name in self._given else name
            self._early[early] = f"self.{name}(x)"
            return ast.Name(f"{early}_t")
        if not isinstance(node.func, ast.Name):
            self._read(node.func)
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        part = self._read(node)
        name = _name_of(part, node.attr)
        self.parts[name] = part
        return ast.Attribute(node.value, name)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._given:
            new = self._renamed.get(node.id, node.id)
            if new == "x_t":
                self._early["x"] = "x"
            return ast.Name(new)
        known = self._globals.get(node.id)
        if not isinstance(known, Activation):
            raise UnreadableStep(f"its step reads {node.id}")
        return ast.Name(self._function(known))

    def _read(self, node: ast.expr) -> Any:
        """What `self.name` is."""
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            part = getattr(self._layer, node.attr, None)
            if isinstance(part, Connected | Activation | Parameter | int | float):
                return part
        raise UnreadableStep(f"its step reads {ast.unparse(node)}")

    def _product(self, node: ast.expr) -> tuple[str, ast.expr] | None:
        """Of a call of a connected layer the layer's name, and what it is called with."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            part = self._read(node.func)
            if isinstance(part, Connected) and len(node.args) == 1:
                name = _name_of(part, node.func.attr)
                self.parts[name] = part
                return name, node.args[0]
        return None

    def _is_of_all_steps(self, node: ast.expr) -> bool:
        """Whether this is the layer's x, which is there for all time steps before the loop."""
        return isinstance(node, ast.Name) and self._renamed.get(node.id) == "x_t"


def packed(names: Sequence[str]) -> str:
    """The tuple of these names."""
    return f"({', '.join(names)}{',' * (len(names) == 1)})"


def unpacked(names: Sequence[str]) -> str:
    """The names as they stand on the left of an assignment."""
    return packed(names) if len(names) == 1 else ", ".join(names)


def _body(layer: Layer) -> list[ast.stmt]:
    """The statements of a layer's step, without its docstring."""
    try:
        source = textwrap.dedent(inspect.getsource(type(layer).step))
    except OSError:
        raise UnreadableStep("the source of its step is not in a file") from None
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    has_docstring = ast.get_docstring(definition) is not None
    return definition.body[1:] if has_docstring else definition.body


def _assignments(values: dict[str, str]) -> list[str]:
    """The values given to their names, in one line if it is not too long."""
    line = f"{', '.join(values)} = {', '.join(values.values())}"
    if len(line) <= _WIDTH - 4:
        return [line] if values else []
    return [f"{name} = {value}" for name, value in values.items()]


def _name_of(part: Any, attribute: str) -> str:
    """The name under which a part has its tensors: `self` for 0.self.weight."""
    tensor = part.kernel if isinstance(part, Connected) else part
    if not isinstance(tensor, Parameter):
        return attribute
    names = tensor.name.split(".")[1:]
    names = names[:-1] if isinstance(part, Connected) else names
    if len(names) != 1:
        raise UnreadableStep(
            f"its {attribute} needs a name after the layer's index, not {tensor.name}"
        )
    return names[0]


def _documentation(layer: Layer) -> str:
    """What the layer's file says of it: its first paragraph, and its formulas."""
    owner = next(kind for kind in type(layer).__mro__ if "kind" in vars(kind))
    module = inspect.getmodule(owner)
    text = (module and module.__doc__) or inspect.getdoc(owner) or layer.kind
    first, *others = text.split("\n\n")
    lines = textwrap.wrap(first, _WIDTH)
    formulas = next((other for other in others if re.match(r" +\S", other)), None)
    if formulas:
        lines += ["", *textwrap.dedent(formulas).splitlines()]
    return "\n".join(lines) + ("\n" if len(lines) > 1 else "")
