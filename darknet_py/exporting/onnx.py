"""A network as an ONNX model of one step: a symbol for each stream in, probabilities out.

    inputs    symbols          int64 (streams,)
              STATE            float32 (streams, n): `0.s` is the state `s` of layer 0; zeros
                               before the first symbol
    outputs   probabilities    float32 (streams, outputs)
              STATE.after      the states to give to the next step, in the order of the inputs

It is what the network's `program` records. The number of streams is free. Parameters have their
names of `interchange`; the cfg, the dialect and seen are in the model's metadata. Batch norm uses
its rolling statistics.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from darknet_py.__version__ import __version__
from darknet_py.arrays import Array
from darknet_py.cfg import Cfg
from darknet_py.errors import CfgError
from darknet_py.exporting.interchange import facts_of, library
from darknet_py.files import MARK, with_mark, write_whole
from darknet_py.layers.base import Parameter
from darknet_py.network import Network
from darknet_py.program import Operation, Value, Vector

# Old enough for the runtimes of 2022: versions of the operators, and of the format.
OPSET = 17
IR_VERSION = 8
# A model is one protocol buffer, whose size is below 2 GiB.
MAX_FLOATS = ((1 << 31) - (1 << 22)) // 4


def write_onnx(path: str | os.PathLike[str], net: Network, cfg: Cfg | None = None) -> None:
    """Write the model, whole or not at all.

    cfg: see `interchange.facts_of`. Raises OSError, CfgError for a network that no model can hold,
    and DarknetError if the library onnx is not installed.
    """
    model = onnx_model(net, cfg)
    write_whole(path, [with_mark(model.SerializeToString())])


def onnx_model(net: Network, cfg: Cfg | None = None) -> Any:
    """The model, an `onnx.ModelProto`. Raises as `write_onnx` does."""
    onnx = library("onnx")
    if len(net.parameters) > MAX_FLOATS:
        raise CfgError(
            f"{net.cfg.path}: {len(net.parameters):,} parameters: "
            f"an .onnx file holds up to {MAX_FLOATS:,}"
        )
    graph = _Graph(onnx, net)
    model = onnx.helper.make_model(
        graph.whole(),
        producer_name="darknet-py",
        producer_version=__version__,
        doc_string=MARK,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(model, facts_of(net, cfg))
    return model


class _Graph:
    """The nodes and constants of a network's step, added operation by operation.

    A value is named by a string; all are (streams, features).
    """

    def __init__(self, onnx: Any, net: Network) -> None:
        self.onnx = onnx
        self.net = net
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def whole(self) -> Any:
        """The `onnx.GraphProto`. Raises CfgError."""
        program, types = self.net.program(), self.onnx.TensorProto
        inputs = [self._described("symbols", types.INT64, ("streams",))]
        names: dict[Value, str] = {program.symbols: "symbols"}
        results = {"probabilities": program.parts[-1].y}
        for layer, part in zip(self.net.layers, program.parts, strict=True):
            for state, before, after in zip(
                layer.state_sizes, part.before, part.after, strict=True
            ):
                name = names[before] = f"{layer.index}.{state}"
                inputs.append(self._described(name, types.FLOAT, ("streams", before.width)))
                results[f"{name}.after"] = after
            for operation in part.operations:
                known = [
                    names[x] if isinstance(x, Value) else self._fixed(x) for x in operation.inputs
                ]
                names[operation.y] = getattr(self, f"_{operation.name}")(operation, *known)
        for name, value in results.items():
            self._name(names[value], name)
        outputs = [
            self._described(name, types.FLOAT, ("streams", value.width))
            for name, value in results.items()
        ]
        constants = list(self.constants.values())
        return self.onnx.helper.make_graph(self.nodes, "step", inputs, outputs, constants)

    def node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns its output."""
        output = f"{operation}_{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(operation, list(inputs), [output], output, **attributes)
        )
        return output

    def _name(self, value: str, name: str) -> None:
        """Give a value out under this name."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name], name))

    def _described(self, name: str, kind: int, shape: tuple[str | int, ...]) -> Any:
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def _constant(self, name: str, array: Array) -> str:
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def _fixed(self, x: Vector | float) -> str:
        """A parameter or a number."""
        return self._number(x) if isinstance(x, int | float) else self._parameter(x)

    def _parameter(self, parameter: Vector) -> str:
        return self._constant(parameter.name, np.ascontiguousarray(parameter.values, "<f4"))

    def _number(self, value: float) -> str:
        return self._constant(f"number {value!r}", np.array(value, np.float32))

    def _numbers(self, values: list[float]) -> str:
        return self._constant(f"numbers {values!r}", np.array(values, np.float32))

    def _count(self, value: int) -> str:
        return self._constant(f"count {value}", np.array(value, np.int64))

    def _shape(self, *extents: int) -> str:
        return self._constant(f"shape {extents!r}", np.array(extents, np.int64))

    # --- the operations by their names: inputs -> y

    def _add(self, operation: Operation, a: str, b: str) -> str:
        return self.node("Add", a, b)

    def _subtract(self, operation: Operation, a: str, b: str) -> str:
        return self.node("Sub", a, b)

    def _multiply(self, operation: Operation, a: str, b: str) -> str:
        return self.node("Mul", a, b)

    def _connect(self, operation: Operation, x: str) -> str:
        connected = operation.by
        kernel, norm = connected.kernel, connected.norm
        if len(kernel.shape) > 2:
            product = self._convolution(x, connected.inputs, kernel)
        elif connected.symbols:
            columns = self.node("Gather", self._parameter(kernel), x, axis=1)
            product = self.node("Transpose", columns, perm=[1, 0])
        else:
            product = self.node("Gemm", x, self._parameter(kernel), transB=1)
        if connected.batch_normalize:
            return self._affine(product, norm, norm.biases)
        return self.node("Add", product, self._parameter(norm.biases))

    def _convolution(self, x: str, inputs: int, kernel: Parameter) -> str:
        """Of images of 1 x 1."""
        image = self.node("Reshape", x, self._shape(0, inputs, 1, 1))
        outputs, within, size, _ = kernel.shape
        how = {"group": inputs // within, "pads": [size // 2] * 4}
        y = self.node("Conv", image, self._parameter(kernel), **how)
        return self.node("Reshape", y, self._shape(0, outputs))

    def _normalize(self, operation: Operation, x: str) -> str:
        layer = operation.by
        return self._affine(x, layer, layer.biases if layer.has_biases else None)

    def _affine(self, x: str, norm: Any, biases: Parameter | None) -> str:
        """x gain + (bias - mean gain), with gain = scale / deviation: see `norm.deviation`."""
        dialect = self.net.dialect
        deviation = self._parameter(norm.rolling.variance)
        if dialect.root_epsilon:
            deviation = self.node("Add", deviation, self._number(dialect.root_epsilon))
        deviation = self.node("Sqrt", deviation)
        if dialect.deviation_epsilon:
            deviation = self.node("Add", deviation, self._number(dialect.deviation_epsilon))
        gain = self.node("Div", self._parameter(norm.scales), deviation)
        drop = self.node("Mul", self._parameter(norm.rolling.mean), gain)
        product = self.node("Mul", x, gain)
        if biases is None:
            return self.node("Sub", product, drop)
        return self.node("Add", product, self.node("Sub", self._parameter(biases), drop))

    def _softmax(self, operation: Operation, x: str) -> str:
        layer = operation.by
        # 0 stands for the extent as it is.
        parts = self.node("Reshape", x, self._shape(0, layer.groups, layer.inputs // layer.groups))
        if layer.temperature != 1:
            peak = self.node("ReduceMax", parts, axes=[-1], keepdims=1)
            inverse = self._number(min(1 / layer.temperature, 1e30))
            parts = self.node("Mul", self.node("Sub", parts, peak), inverse)
        p = self.node("Softmax", parts, axis=-1)
        return self.node("Reshape", p, self._shape(0, layer.inputs))

    def _dropout(self, operation: Operation, x: str) -> str:
        return x

    def _one_hot(self, operation: Operation, x: str) -> str:
        return self.node("OneHot", x, self._count(operation.y.width), self._numbers([0, 1]))

    def _activate(self, operation: Operation, x: str) -> str:
        name = operation.by.name
        if name in _OPERATIONS:
            node, attributes = _OPERATIONS[name]
            return self.node(node, x, **attributes)
        if name == "loggy":
            return self.node("Tanh", self.node("Mul", x, self._number(0.5)))
        if name == "ramp":
            return self._sum(self.node("Relu", x), x, 0.1)
        if name == "hardtan":
            return self._clip(x, -1, 1)
        if name == "plse":
            inside = self._clip(x, -4, 4)
            middle = self._sum(self._number(0.5), inside, 0.125)
            return self._sum(middle, self.node("Sub", x, inside), 0.01)
        if name == "lhtan":
            inside = self._clip(x, 0, 1)
            return self._sum(inside, self.node("Sub", x, inside), 0.001)
        if name == "stair":
            floor = self.node("Floor", x)
            steps = self.node("Floor", self.node("Mul", x, self._number(0.5)))
            is_even = self.node("Equal", floor, self.node("Add", steps, steps))
            rise = self.node("Add", steps, self.node("Sub", x, floor))
            return self.node("Where", is_even, steps, rise)
        raise CfgError(f"{self.net.cfg.path}: the activation {name} has no ONNX form")

    def _sum(self, a: str, b: str, factor: float) -> str:
        """a + factor b"""
        return self.node("Add", a, self.node("Mul", b, self._number(factor)))

    def _clip(self, x: str, low: float, high: float) -> str:
        return self.node("Clip", x, self._number(low), self._number(high))


_OPERATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "logistic": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {"alpha": 1.6732, "gamma": 1.0507}),
    "relie": ("LeakyRelu", {"alpha": 0.01}),
    "leaky": ("LeakyRelu", {"alpha": 0.1}),
}
