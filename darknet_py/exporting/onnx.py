"""A network as an ONNX model of one step: a symbol for each stream in, probabilities out.

    inputs    symbols          int64 (streams,)
              STATE            float32 (streams, n): `0.s` of layer 0 if [rnn], [crnn] or [gru],
                               `0.h` and `0.c` if [lstm]; zeros before the first symbol
    outputs   probabilities    float32 (streams, outputs)
              STATE.after      the states to give to the next step, in the order of the inputs

The number of streams is free. Parameters have their names of `interchange`; the cfg, the dialect
and seen are in the model's metadata. Batch norm uses its rolling statistics.
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
from darknet_py.layers import Layer
from darknet_py.layers.activation import ActivationLayer
from darknet_py.layers.base import Parameter
from darknet_py.layers.batchnorm import BatchnormLayer
from darknet_py.layers.connected import Connected, ConnectedLayer
from darknet_py.layers.cost import CostLayer
from darknet_py.layers.crnn import Convolution
from darknet_py.layers.dropout import DropoutLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.logistic import LogisticLayer
from darknet_py.layers.lstm import LstmLayer
from darknet_py.layers.norm import Norm
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.network import Network

# Old enough for the runtimes of 2022: versions of the operators, and of the format.
OPSET = 17
IR_VERSION = 8
# A model is one protocol buffer, whose size is below 2 GiB.
MAX_FLOATS = ((1 << 31) - (1 << 22)) // 4

Value = str


def write_onnx(path: str | os.PathLike[str], net: Network, cfg: Cfg | None = None) -> None:
    """Write the model, whole or not at all.

    cfg: see `interchange.facts_of`. Raises OSError, CfgError for a network that no model can hold,
    and DarknetError where the library onnx is not installed.
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
    """The nodes and constants of a network's step, added layer by layer.

    A value is named by a string; all are (streams, features).
    """

    def __init__(self, onnx: Any, net: Network) -> None:
        self.onnx = onnx
        self.net = net
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def whole(self) -> Any:
        """The `onnx.GraphProto`. Raises CfgError."""
        types = self.onnx.TensorProto
        self.inputs.append(self._described("symbols", types.INT64, ("streams",)))
        shape = "streams", self.net.outputs
        self.outputs.append(self._described("probabilities", types.FLOAT, shape))
        x = "symbols"
        if not self.net.layers[0].takes_symbols:
            x = self.node("OneHot", x, self._count(self.net.inputs), self._numbers([0, 1]))
        for layer in self.net.layers:
            x = self._layer(layer, x)
        self._name(x, "probabilities")
        return self.onnx.helper.make_graph(
            self.nodes, "step", self.inputs, self.outputs, list(self.constants.values())
        )

    def node(self, operation: str, *inputs: Value, **attributes: Any) -> Value:
        """Add a node; returns its output."""
        output = f"{operation}_{len(self.nodes)}"
        self.nodes.append(
            self.onnx.helper.make_node(operation, list(inputs), [output], output, **attributes)
        )
        return output

    def _name(self, value: Value, name: str) -> None:
        """Give a value out under this name."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name], name))

    def _described(self, name: str, kind: int, shape: tuple[str | int, ...]) -> Any:
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def _constant(self, name: str, array: Array) -> Value:
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def _parameter(self, parameter: Parameter) -> Value:
        return self._constant(parameter.name, np.ascontiguousarray(parameter.values, "<f4"))

    def _number(self, value: float) -> Value:
        return self._constant(f"number {value!r}", np.array(value, np.float32))

    def _numbers(self, values: list[float]) -> Value:
        return self._constant(f"numbers {values!r}", np.array(values, np.float32))

    def _count(self, value: int) -> Value:
        return self._constant(f"count {value}", np.array(value, np.int64))

    def _shape(self, *extents: int) -> Value:
        return self._constant(f"shape {extents!r}", np.array(extents, np.int64))

    def _state(self, layer: Layer, name: str, size: int) -> Value:
        """A state that comes in, and its place among what goes out."""
        full = f"{layer.index}.{name}"
        kind, shape = self.onnx.TensorProto.FLOAT, ("streams", size)
        self.inputs.append(self._described(full, kind, shape))
        self.outputs.append(self._described(f"{full}.after", kind, shape))
        return full

    # --- layers: x -> y

    def _layer(self, layer: Layer, x: Value) -> Value:
        if isinstance(layer, ConnectedLayer):
            return self._connected(layer.connected, x)
        if isinstance(layer, RnnLayer):
            return self._rnn(layer, x)
        if isinstance(layer, GruLayer):
            return self._gru(layer, x)
        if isinstance(layer, LstmLayer):
            return self._lstm(layer, x)
        if isinstance(layer, ActivationLayer):
            return self._activate(x, layer.activation.name)
        if isinstance(layer, BatchnormLayer):
            biases = layer.biases if layer.has_biases else None
            return self._normalize(
                x, layer.scales, layer.rolling.mean, layer.rolling.variance, biases
            )
        if isinstance(layer, SoftmaxLayer):
            return self._softmax(layer, x)
        if isinstance(layer, LogisticLayer):
            return self.node("Sigmoid", x)
        if isinstance(layer, (DropoutLayer, CostLayer)):
            return x
        raise CfgError(f"{self.net.cfg.path}: layer {layer.index}: [{layer.kind}] has no ONNX form")

    def _connected(self, brick: Connected, x: Value) -> Value:
        if isinstance(brick, Convolution):
            product = self._convolution(brick, x)
        elif brick.symbols:
            weights = self._parameter(brick.weights)
            product = self.node("Transpose", self.node("Gather", weights, x, axis=1), perm=[1, 0])
        else:
            product = self.node("Gemm", x, self._parameter(brick.weights), transB=1)
        norm = brick.norm
        if isinstance(norm, Norm):
            rolling = norm.rolling
            y = self._normalize(product, norm.scales, rolling.mean, rolling.variance, norm.biases)
        else:
            y = self.node("Add", product, self._parameter(norm.biases))
        return self._activate(y, brick.activation.name)

    def _convolution(self, brick: Convolution, x: Value) -> Value:
        """Of images of 1 x 1."""
        image = self.node("Reshape", x, self._shape(0, brick.inputs, 1, 1))
        kernel, pad = self._parameter(brick.kernel), brick.size // 2
        y = self.node("Conv", image, kernel, group=brick.groups, pads=[pad] * 4)
        return self.node("Reshape", y, self._shape(0, brick.outputs))

    def _normalize(
        self,
        x: Value,
        scales: Parameter,
        mean: Parameter,
        variance: Parameter,
        biases: Parameter | None,
    ) -> Value:
        """x gain + (bias - mean gain), with gain = scale / deviation: see `kernels.deviation`."""
        dialect = self.net.dialect
        deviation = self._parameter(variance)
        if dialect.root_epsilon:
            deviation = self.node("Add", deviation, self._number(dialect.root_epsilon))
        deviation = self.node("Sqrt", deviation)
        if dialect.deviation_epsilon:
            deviation = self.node("Add", deviation, self._number(dialect.deviation_epsilon))
        gain = self.node("Div", self._parameter(scales), deviation)
        drop = self.node("Mul", self._parameter(mean), gain)
        product = self.node("Mul", x, gain)
        if biases is None:
            return self.node("Sub", product, drop)
        return self.node("Add", product, self.node("Sub", self._parameter(biases), drop))

    def _rnn(self, layer: RnnLayer, x: Value) -> Value:
        before = self._state(layer, "s", layer.hidden)
        a = self._connected(layer.input_layer, x)
        s = self.node("Add", a, self._connected(layer.self_layer, before))
        if layer.shortcut:
            s = self.node("Add", s, before)
        self._name(s, f"{before}.after")
        return self._connected(layer.output_layer, s)

    def _gru(self, layer: GruLayer, x: Value) -> Value:
        before = self._state(layer, "s", layer.outputs)

        def gate(name: str, state: Value) -> Value:
            w = self._connected(layer.parts[f"w{name}"], state)
            return self.node("Add", w, self._connected(layer.parts[f"u{name}"], x))

        z, r = self.node("Sigmoid", gate("z", before)), self.node("Sigmoid", gate("r", before))
        h = self._activate(gate("h", self.node("Mul", r, before)), layer.activation.name)
        # s = z (before - h) + h
        s = self.node("Add", self.node("Mul", z, self.node("Sub", before, h)), h)
        self._name(s, f"{before}.after")
        return s

    def _lstm(self, layer: LstmLayer, x: Value) -> Value:
        h_before = self._state(layer, "h", layer.outputs)
        c_before = self._state(layer, "c", layer.outputs)

        def gate(name: str) -> Value:
            w = self._connected(layer.parts[f"w{name}"], h_before)
            return self.node("Add", w, self._connected(layer.parts[f"u{name}"], x))

        f, i, o = (self.node("Sigmoid", gate(name)) for name in "fio")
        g = self.node("Tanh", gate("g"))
        c = self.node("Add", self.node("Mul", f, c_before), self.node("Mul", i, g))
        h = self.node("Mul", o, self.node("Tanh", c))
        self._name(h, f"{h_before}.after")
        self._name(c, f"{c_before}.after")
        return h

    def _softmax(self, layer: SoftmaxLayer, x: Value) -> Value:
        size = layer.inputs // layer.groups
        # 0 stands for the extent as it is.
        parts = self.node("Reshape", x, self._shape(0, layer.groups, size))
        if layer.temperature != 1:
            peak = self.node("ReduceMax", parts, axes=[-1], keepdims=1)
            inverse = self._number(min(1 / layer.temperature, 1e30))
            parts = self.node("Mul", self.node("Sub", parts, peak), inverse)
        p = self.node("Softmax", parts, axis=-1)
        return self.node("Reshape", p, self._shape(0, layer.inputs))

    # --- activations

    def _activate(self, x: Value, name: str) -> Value:
        if name == "linear":
            return x
        if name in _OPERATIONS:
            operation, attributes = _OPERATIONS[name]
            return self.node(operation, x, **attributes)
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
            is_odd = self._sum(floor, steps, -2)
            rise = self.node("Mul", is_odd, self.node("Sub", x, floor))
            return self.node("Add", steps, rise)
        raise CfgError(f"{self.net.cfg.path}: the activation {name} has no ONNX form")

    def _sum(self, a: Value, b: Value, factor: float) -> Value:
        """a + factor b"""
        return self.node("Add", a, self.node("Mul", b, self._number(factor)))

    def _clip(self, x: Value, low: float, high: float) -> Value:
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
