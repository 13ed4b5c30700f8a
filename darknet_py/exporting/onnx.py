"""A network as an ONNX model of one step: a symbol for each stream in, probabilities out.

    inputs    symbols          int64 (streams,)
              STATE            float32 (streams, n): `0.s` is the state `s` of layer 0; zeros
                               before the first symbol
    outputs   probabilities    float32 (streams, outputs)
              STATE.after      the states to give to the next step, in the order of the inputs

It is what the network's `program` records. The number of streams is free. Parameters have their
names of `interchange`, and kernels are the matrices that they are on text; the cfg, the dialect and
seen are in the model's metadata. Batch norm uses its rolling statistics.
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
        describe = self.onnx.helper.make_tensor_value_info
        inputs = [describe("symbols", types.INT64, ["streams"])]
        names: dict[Value, str] = {program.symbols: "symbols"}
        results = {"probabilities": program.parts[-1].y}
        for layer, part in zip(self.net.layers, program.parts, strict=True):
            for state, before, after in zip(
                layer.state_sizes, part.before, part.after, strict=True
            ):
                name = names[before] = f"{layer.index}.{state}"
                inputs.append(describe(name, types.FLOAT, ["streams", before.width]))
                results[f"{name}.after"] = after
            for operation in part.operations:
                known = [
                    names[x] if isinstance(x, Value) else self._constant(x)
                    for x in operation.inputs
                ]
                names[operation.y] = self._computed(operation, *known)
        outputs = [
            describe(name, types.FLOAT, ["streams", value.width]) for name, value in results.items()
        ]
        for name, value in results.items():
            self.node("Identity", names[value], output=name)
        constants = list(self.constants.values())
        return self.onnx.helper.make_graph(self.nodes, "step", inputs, outputs, constants)

    def node(self, kind: str, *inputs: str | float, output: str = "", **attributes: Any) -> str:
        """Add a node, whose inputs are names or numbers; returns the name of its output."""
        output = output or f"{kind}_{len(self.nodes)}"
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        self.nodes.append(self.onnx.helper.make_node(kind, names, [output], output, **attributes))
        return output

    def _constant(self, x: Vector | float) -> str:
        """A parameter or a number."""
        if isinstance(x, int | float):
            return self._kept(f"number {x!r}", np.array(x, np.float32))
        return self._kept(x.name, np.ascontiguousarray(x.values, "<f4"))

    def _extents(self, *extents: int) -> str:
        return self._kept(f"extents {extents!r}", np.array(extents, np.int64))

    def _kept(self, name: str, values: Array) -> str:
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(values, name)
        return name

    def _computed(self, operation: Operation, x: str, *others: str) -> str:
        """The nodes of an operation of `program`; returns their result."""
        by = operation.by
        match operation.name:
            case "connect":
                return self._connected(x, by)
            case "normalize":
                return self._normalized(x, by.norm)
            case "activate":
                return self._activated(x, by.name)
            case "softmax":
                return self._softmax(x, by)
            case "one_hot":
                values = self._kept("off, on", np.array([0, 1], np.float32))
                return self.node("OneHot", x, self._extents(operation.y.width), values)
            case "dropout":
                return x
        return self.node(_ELEMENTWISE[operation.name], x, *others)

    def _connected(self, x: str, connected: Any) -> str:
        matrix = self._kept(connected.kernel.name, np.ascontiguousarray(connected.matrix(), "<f4"))
        if connected.symbols:
            columns = self.node("Gather", matrix, x, axis=1)
            product = self.node("Transpose", columns, perm=[1, 0])
        else:
            product = self.node("Gemm", x, matrix, transB=1)
        if connected.batch_normalize:
            return self._normalized(product, connected.norm)
        return self.node("Add", product, self._constant(connected.norm.biases))

    def _normalized(self, x: str, norm: Any) -> str:
        """(x - mean) gain + bias, with gain = scale / deviation: see `norm.deviation`."""
        dialect, rolling = self.net.dialect, norm.rolling
        variance = self.node("Add", self._constant(rolling.variance), dialect.root_epsilon)
        deviation = self.node("Add", self.node("Sqrt", variance), dialect.deviation_epsilon)
        gain = self.node("Div", self._constant(norm.scales), deviation)
        y = self.node("Mul", self.node("Sub", x, self._constant(rolling.mean)), gain)
        return self.node("Add", y, self._constant(norm.biases))

    def _softmax(self, x: str, layer: Any) -> str:
        # 0 stands for the extent as it is.
        parts = self._extents(0, layer.groups, layer.inputs // layer.groups)
        x = self.node("Reshape", x, parts)
        if layer.temperature != 1:
            peak = self.node("ReduceMax", x, axes=[-1], keepdims=1)
            inverse = min(1 / layer.temperature, 1e30)
            x = self.node("Mul", self.node("Sub", x, peak), inverse)
        p = self.node("Softmax", x, axis=-1)
        return self.node("Reshape", p, self._extents(0, layer.inputs))

    def _activated(self, x: str, name: str) -> str:
        node = self.node
        match name:
            case "loggy":
                return node("Tanh", node("Mul", x, 0.5))
            case "ramp":
                return self._sum(node("Relu", x), 0.1, x)
            case "hardtan":
                return node("Clip", x, -1, 1)
            case "plse":
                inside = node("Clip", x, -4, 4)
                middle = self._sum(0.5, 0.125, inside)
                return self._sum(middle, 0.01, node("Sub", x, inside))
            case "lhtan":
                inside = node("Clip", x, 0, 1)
                return self._sum(inside, 0.001, node("Sub", x, inside))
            case "stair":
                floor, steps = node("Floor", x), node("Floor", node("Mul", x, 0.5))
                is_even = node("Equal", floor, node("Add", steps, steps))
                rise = node("Add", steps, node("Sub", x, floor))
                return node("Where", is_even, steps, rise)
        if name not in _ACTIVATIONS:
            raise CfgError(f"{self.net.cfg.path}: the activation {name} has no ONNX form")
        kind, attributes = _ACTIVATIONS[name]
        return node(kind, x, **attributes)

    def _sum(self, a: str | float, factor: float, b: str) -> str:
        """a + factor b"""
        return self.node("Add", a, self.node("Mul", b, factor))


_ELEMENTWISE = {"add": "Add", "subtract": "Sub", "multiply": "Mul"}
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "logistic": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {"alpha": 1.6732, "gamma": 1.0507}),
    "relie": ("LeakyRelu", {"alpha": 0.01}),
    "leaky": ("LeakyRelu", {"alpha": 0.1}),
}
