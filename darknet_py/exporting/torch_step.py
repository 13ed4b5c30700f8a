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

_WIDTH = 96  # columns of a docstring within a class


class UnreadableStep(Exception):
    """A step that breaks these rules; the message is which one."""


class StepText(ast.NodeTransformer):
    """The text of a layer's step. Raises UnreadableStep.

    function: gives PyTorch's expression for an activation. parts: what the step reads of the layer,
    by the names of their tensors.
    """

    def __init__(self, layer: Layer, function: Callable[[Activation], str]) -> None:
        self._layer = layer
        self._function = function
        self._globals = type(layer).step.__globals__
        self._states = [*layer.state_sizes]
        self._state, self._unpacked = packed(self._states), unpacked(self._states)
        # The names that are known so far, as they are in the text.
        self._known = {name: name for name in self._states} | {"x": "x_t" if self._states else "x"}
        # What the loop goes over, by name.
        self._steps: dict[str, str] = {}
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

    def class_text(self, name: str) -> str:
        """The class, of this name."""
        doc = textwrap.indent(f'"""{_documentation(self._layer)}"""', "    ")
        if self._states:
            head = "self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]"
            lines = self._loop()
        else:
            head = "self, x: Tensor) -> Tensor"
            lines = [*self._lines, f"return {self._y}"]
        body = textwrap.indent("\n".join(lines), "        ")
        return f"class {name}(Layer):\n{doc}\n\n    def forward({head}:\n{body}\n"

    def _loop(self) -> list[str]:
        """The lines of a forward over all time steps."""
        steps = self._steps or {"x": "x"}
        first, names = next(iter(steps)), ", ".join(steps)
        each = ", ".join(f"{name}_t" for name in steps)
        lines = [*self._lines, f"ys.append({self._y})"]
        if self._after != self._state:
            after = self._after if len(self._states) == 1 else self._after[1:-1]
            lines.append(f"{self._unpacked} = {after}")
        return [
            *(f"{name} = {value}" for name, value in steps.items() if name != value),
            f"{self._unpacked} = self.zeros({first}[0]) if state is None else state",
            "ys = []",
            f"for {each} in {names if len(steps) == 1 else f'zip({names}, strict=True)'}:",
            *(f"    {line}" for line in lines),
            f"return {self._output.format('torch.stack(ys)')}, {self._state}",
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
        target = line.targets[0].id
        name = self._multiplies_x(line.value)
        if name and target not in {*self._known, *self._steps}:
            self._steps[target] = f"self.{name}(x)"
            self._known[target] = f"{target}_t"
            return ""
        text = self._text(line.value)
        self._known[target] = target
        return f"{target} = {text}"

    def _text(self, expression: ast.expr) -> str:
        return ast.unparse(self.visit(expression))

    # --- expressions

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if name := self._multiplies_x(node):
            step = f"{name}_x" if name in self._known else name
            self._steps[step] = f"self.{name}(x)"
            return ast.Name(f"{step}_t")
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return ast.Attribute(node.value, self._read(node)[0])

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._known:
            name = self._known[node.id]
            if name == "x_t":
                self._steps["x"] = "x"
            return ast.Name(name)
        known = self._globals.get(node.id)
        if not isinstance(known, Activation):
            raise UnreadableStep(f"its step reads {node.id}")
        return ast.Name(self._function(known))

    def _read(self, node: ast.expr) -> tuple[str, Any]:
        """The name of what `self.attribute` is among `parts`, and the part itself."""
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            part = getattr(self._layer, node.attr, None)
            if isinstance(part, Connected | Activation | Parameter | int | float):
                name = _name_of(part, node.attr)
                self.parts[name] = part
                return name, part
        raise UnreadableStep(f"its step reads {ast.unparse(node)}")

    def _product(self, node: ast.expr) -> tuple[str, ast.expr] | None:
        """Of a call of a connected layer the layer's name, and what it is called with."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, part = self._read(node.func)
            if isinstance(part, Connected) and len(node.args) == 1:
                return name, node.args[0]
        return None

    def _multiplies_x(self, node: ast.expr) -> str:
        """The name of the connected layer that this calls with the layer's x, which is known for
        all time steps before the loop; "" for any other expression.
        """
        name, x = self._product(node) or ("", None)
        return name if isinstance(x, ast.Name) and self._known.get(x.id) == "x_t" else ""


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
