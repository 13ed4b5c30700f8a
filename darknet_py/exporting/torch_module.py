"""A network as the text of a PyTorch module, written for it and for readers.

The file has the classes that the network needs and no others, and reads its parameters from the
.safetensors file next to it, so that it needs nothing but PyTorch. Tensors have the same names as
in `interchange`: they are the keys of the module's `state_dict()`.

A layer that consists of one thing, as its recorded operations tell, is that thing. Any other is a
class whose forward is the text of its `step`: see `torch_step`.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path
from typing import Any

from darknet_py.activations import Activation, sigmoid
from darknet_py.cfg import Cfg
from darknet_py.errors import CfgError, DarknetError
from darknet_py.exporting.interchange import write_safetensors
from darknet_py.exporting.torch_step import StepText, UnreadableStep, packed, unpacked
from darknet_py.files import MARK, with_mark, write_whole
from darknet_py.layers.base import Layer, Parameter
from darknet_py.layers.connected import Connected
from darknet_py.network import Network
from darknet_py.program import Operation

# What a softmax takes smaller temperatures for.
SMALLEST_TEMPERATURE = 1e-30
# Names that no class of a layer can have.
_RESERVED = ("Network", "Path", "Tensor")


def write_torch_module(path: str | os.PathLike[str], net: Network, cfg: Cfg | None = None) -> None:
    """Write the module, and its parameters next to it; each file whole or not at all.

    cfg: see `interchange.facts_of`. Raises OSError, CfgError, and DarknetError if the library
    safetensors is not installed or the module could not be imported by its name.
    """
    if Path(path).stem in {"torch", *sys.stdlib_module_names}:
        raise DarknetError(
            f"{path} would hide the module {Path(path).stem} of Python or PyTorch; choose another "
            f"name"
        )
    text = module_text(net)
    write_safetensors(Path(path).with_suffix(".safetensors"), net, cfg)
    write_whole(path, [with_mark(text.encode())])


def module_text(net: Network) -> str:
    """The source of the module. Raises CfgError for a layer whose `step` it cannot have."""
    return _Module(net).text()


class _Module:
    """The pieces of a module, collected layer by layer."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.recurrent = [layer for layer in net.layers if layer.state_sizes]
        # The classes that are made of a `step`, by name.
        self.classes: dict[str, str] = {}
        # The layers whose module gives the log of what they give.
        self.logs: set[Layer] = set()
        parts = net.program().parts
        self.modules = [
            self._module(layer, part.operations)
            for layer, part in zip(net.layers, parts, strict=True)
        ]

    def text(self) -> str:
        """The source: what the network needs of the pieces above it, and the network."""
        pieces = [*self.classes.values(), self._network()]
        needed = set().union(*map(_names_in, pieces))
        for name, text in reversed(_PIECES.items()):
            if name in needed:
                pieces.insert(0, text.replace("DEVIATION", self._deviation()))
                needed |= _names_in(pieces[0])
        return "\n\n".join([self._head(needed), *pieces, _LOAD])

    def _head(self, needed: set[str]) -> str:
        """The docstring, the imports, of which some are not always needed, and a constant."""
        state = "a tuple for each of" if self.recurrent else "an empty tuple"
        for layer in self.recurrent:
            sizes = (f"{name} (streams, {size})" for name, size in layer.state_sizes.items())
            state += f"\n        layer {layer.index}: {', '.join(sizes)}"
        text = _HEAD.replace("MARK", MARK).replace("OUTPUTS", str(self.net.outputs))
        text = text.replace("LAST_INPUT", str(self.net.inputs - 1)).replace("STATE", state)
        if "Callable" not in needed:
            text = text.replace("from collections.abc import Callable\n", "")
        if "functional" not in needed:
            text = text.replace("from torch.nn import functional\n", "")
        return text

    # --- layers

    def _module(self, layer: Layer, operations: list[Operation]) -> list[str]:
        """The lines that make a layer's module. Raises CfgError."""
        # The network itself makes rows of symbols.
        operations = [operation for operation in operations if operation.name != "one_hot"]
        by: Any = operations[0].by if operations else None
        if not layer.state_sizes:
            match [operation.name for operation in operations]:
                case []:
                    return [f"nn.Identity(),  # [{layer.kind}]"]
                case ["connect"] | ["connect", "activate"] if (
                    by.kernel.name == f"{layer.index}.weight"
                ):
                    return [f"{_connected(by)},"]
                case ["normalize"]:
                    return [f"Batchnorm({layer.inputs}, bias={by.has_biases}),"]
                case ["dropout"]:
                    return [f"nn.Dropout({by.probability!r}),"]
                case ["softmax"]:
                    return [f"{self._softmax(layer, by)},"]
                case ["activate"] if layer is self.net.output_layer and by is sigmoid:
                    self.logs.add(layer)
                    return ["nn.LogSigmoid(),"]
        return self._of_step(layer)

    def _softmax(self, layer: Layer, softmax: Any) -> str:
        self.logs.add(layer)
        if softmax.groups == softmax.temperature == 1:
            return "nn.LogSoftmax(dim=-1)"
        temperature = max(softmax.temperature, SMALLEST_TEMPERATURE)
        return f"LogSoftmax(temperature={temperature!r}, groups={softmax.groups})"

    def _of_step(self, layer: Layer) -> list[str]:
        """The class that has the layer's `step`, and the lines that make one of it."""
        try:
            step = StepText(layer, _function)
        except UnreadableStep as error:
            raise CfgError(
                f"{self.net.cfg.path}: layer {layer.index}: [{layer.kind}] has no PyTorch module, "
                f"because {error}"
            ) from None
        name = re.sub(r"[\W_]+", " ", layer.kind).title().replace(" ", "")
        if name in (*_PIECES, *_RESERVED):
            name += "Layer"
        self.classes[name] = step.class_text(name)
        parts = [f"{name}={_part(part)}" for name, part in step.parts.items()]
        if layer.state_sizes:
            parts.append(f"sizes={tuple(layer.state_sizes.values())!r}")
        return [f"{name}(", *(f"    {part}," for part in parts), "),"]

    def _deviation(self) -> str:
        """The divisor of batch norm in the network's dialect: see `norm.deviation`."""
        dialect = self.net.dialect
        if dialect.root_epsilon:
            return f"(self.rolling_variance + {dialect.root_epsilon:g}).sqrt()"
        return f"(self.rolling_variance.sqrt() + {dialect.deviation_epsilon:g})"

    # --- the network

    def _network(self) -> str:
        """The class that puts the layers together, and its forward line by line."""
        lines = [f"                {line}" for module in self.modules for line in module]
        text = _NETWORK.replace("                MODULES", "\n".join(lines))
        return text.replace("        STEPS", "\n".join(f"        {line}" for line in self._steps()))

    def _steps(self) -> list[str]:
        """The lines of forward, up to log_p and the state after."""
        layers, last = self.net.layers, self.net.output_layer
        states = [f"s{layer.index}" for layer in self.recurrent]
        lines = []
        if states:
            lines.append(f"{unpacked(states)} = state or {packed(['None'] * len(states))}")
        x = "symbols"
        if not layers[0].takes_symbols:
            lines.append(f"x = functional.one_hot(symbols, {self.net.inputs}).float()")
            x = "x"
        for layer in layers[: last.index + 1]:
            call = f"self[{layer.index}]({x}"
            if layer.state_sizes:
                lines.append(f"x, s{layer.index} = {call}, s{layer.index})")
            elif layer in self.logs:
                lines.append(f"log_p = {call})" if layer is last else f"x = {call}).exp()")
            else:
                lines.append(f"x = {call})")
            x = "x"
        if last not in self.logs:
            lines.append("log_p = x.clamp(min=torch.finfo(x.dtype).tiny).log()")
        lines.append(f"return log_p, {packed(states)}")
        return lines


def _part(part: Any) -> str:
    """The expression for what a step reads of its layer."""
    if isinstance(part, Connected):
        return _connected(part)
    if isinstance(part, Activation):
        return _function(part)
    if isinstance(part, Parameter):
        return f"nn.Parameter(torch.zeros({', '.join(map(str, part.shape))}))"
    return repr(part)


def _connected(connected: Connected) -> str:
    """The expression for a connected layer."""
    shape = connected.kernel.shape
    name = "Convolution" if len(shape) > 2 else "Connected"
    name = f"Normed{name}" if connected.batch_normalize else name
    arguments = [str(connected.inputs), str(connected.outputs)]
    if connected.activation.name != "linear":
        arguments.append(_function(connected.activation))
    if len(shape) > 2:
        groups = connected.inputs // shape[1]
        arguments += [f"size={shape[-1]}", *([f"groups={groups}"] if groups > 1 else [])]
    return f"{name}({', '.join(arguments)})"


def _function(activation: Activation) -> str:
    """The expression for an activation."""
    return _KNOWN_FUNCTIONS.get(activation.name, activation.name)


def _names_in(source: str) -> set[str]:
    """The names that a piece of source mentions."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


_HEAD = '''"""A network in PyTorch; its parameters are in the .safetensors file with this name.

    network = load()
    log_p, state = network(symbols)
    log_p, state = network(what_follows, state)

    symbols (time_steps, streams): integers from 0 to LAST_INPUT
    log_p (time_steps, streams, OUTPUTS): the log of the probability of each symbol to come next
    state: what the network remembers, zeros if it is not given: STATE

Layers, formulas and names of tensors are those of darknet. Batch norm uses the statistics of the
training. MARK.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

WEIGHTS = Path(__file__).with_suffix(".safetensors")
'''

_KNOWN_FUNCTIONS = {
    "logistic": "torch.sigmoid",
    "tanh": "torch.tanh",
    "relu": "torch.relu",
    "elu": "functional.elu",
    "relie": "functional.leaky_relu",
    "hardtan": "functional.hardtanh",
}

# Types, functions and classes, each after those that it mentions.
_PIECES = {
    "Function": "Function = Callable[[Tensor], Tensor]\n",
    "State": "State = tuple[Tensor, ...]\n",
    "linear": """def linear(x: Tensor) -> Tensor:
    return x
""",
    "loggy": '''def loggy(x: Tensor) -> Tensor:
    """2 / (1 + e^-x) - 1"""
    return torch.tanh(x / 2)
''',
    "selu": """def selu(x: Tensor) -> Tensor:
    return 1.0507 * torch.where(x >= 0, x, 1.6732 * torch.expm1(x.clamp(max=0)))
""",
    "ramp": """def ramp(x: Tensor) -> Tensor:
    return torch.relu(x) + 0.1 * x
""",
    "plse": '''def plse(x: Tensor) -> Tensor:
    """A logistic of three straight pieces, which meet at -4 and 4."""
    inside = x.clamp(-4, 4)
    return 0.125 * inside + 0.5 + 0.01 * (x - inside)
''',
    "leaky": """def leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.1)
""",
    "stair": '''def stair(x: Tensor) -> Tensor:
    """Flat on even intervals [n, n + 1), rising by 1 on odd ones."""
    floor, steps = x.floor(), (x / 2).floor()
    return torch.where(floor == 2 * steps, steps, steps + (x - floor))
''',
    "lhtan": '''def lhtan(x: Tensor) -> Tensor:
    """x from 0 to 1, the slope 0.001 outside."""
    inside = x.clamp(0, 1)
    return inside + 0.001 * (x - inside)
''',
    "Connected": '''class Connected(nn.Module):
    """y = f(x W^T + bias), of x (..., inputs), or of symbols (...) as one-hot rows."""

    def __init__(self, inputs: int, outputs: int, f: Function = linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.f = f

    def product(self, x: Tensor) -> Tensor:
        """x W^T, which for a symbol is a column of W."""
        if not x.is_floating_point():
            return functional.embedding(x, self.weight.T)
        return x @ self.weight.T

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self.product(x) + self.bias)
''',
    "NormedConnected": '''class NormedConnected(Connected):
    """y = f((x W^T - mean) / deviation * scale + bias): with batch norm."""

    def __init__(self, inputs: int, outputs: int, f: Function = linear) -> None:
        super().__init__(inputs, outputs, f)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.register_buffer("rolling_mean", torch.zeros(outputs))
        self.register_buffer("rolling_variance", torch.ones(outputs))

    def forward(self, x: Tensor) -> Tensor:
        gain = self.scale / DEVIATION
        shift = self.bias - self.rolling_mean * gain
        return self.f(self.product(x) * gain + shift)
''',
    "Convolution": '''class Convolution(Connected):
    """A convolution of x (..., inputs), each an image of 1 x 1."""

    def __init__(
        self, inputs: int, outputs: int, f: Function = linear, *, size: int, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, f)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs // groups, size, size))
        self.groups = groups

    def product(self, x: Tensor) -> Tensor:
        images = x.reshape(-1, x.shape[-1], 1, 1)
        padding = self.weight.shape[-1] // 2
        y = functional.conv2d(images, self.weight, padding=padding, groups=self.groups)
        return y.reshape(*x.shape[:-1], -1)
''',
    "NormedConvolution": '''class NormedConvolution(Convolution, NormedConnected):
    """A convolution with batch norm."""
''',
    "Batchnorm": '''class Batchnorm(nn.Module):
    """y = (x - mean) / deviation * scale + bias"""

    def __init__(self, size: int, bias: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else 0
        self.register_buffer("rolling_mean", torch.zeros(size))
        self.register_buffer("rolling_variance", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        gain = self.scale / DEVIATION
        return (x - self.rolling_mean) * gain + self.bias
''',
    "LogSoftmax": '''class LogSoftmax(nn.Module):
    """log(exp(x/T) / sum exp(x/T)), with the temperature T, for each of `groups` parts of x."""

    def __init__(self, temperature: float, groups: int) -> None:
        super().__init__()
        self.temperature = temperature
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        parts = x.unflatten(-1, (self.groups, -1))
        parts = (parts - parts.amax(-1, keepdim=True)) / self.temperature
        return parts.log_softmax(-1).flatten(-2)
''',
    "Layer": '''class Layer(nn.Module):
    """A layer made of `parts`; the arrays of its state, if it has one, have `sizes` features."""

    def __init__(self, /, sizes: tuple[int, ...] = (), **parts: object) -> None:
        super().__init__()
        self.sizes = sizes
        for name, part in parts.items():
            setattr(self, name, part)

    def zeros(self, like: Tensor) -> State:
        """The state before the first symbol; like (streams, ...) has its device."""
        return tuple(like.new_zeros(len(like), size) for size in self.sizes)
''',
}

_NETWORK = '''class Network(nn.ModuleList):
    """The layers in order."""

    def __init__(self) -> None:
        super().__init__(
            [
                MODULES
            ]
        )

    def forward(self, symbols: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        STEPS
'''

_LOAD = '''def load(path: str | Path = WEIGHTS) -> Network:
    """The network with the parameters of a .safetensors file, in eval mode."""
    network = Network()
    network.load_state_dict(read_tensors(path))
    return network.eval()


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file by name, all float32.

    The file: 8 bytes with the length of a header, the header (JSON), the numbers.
    """
    data = bytearray(Path(path).read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, end = (8 + length + offset for offset in entry["data_offsets"])
        numbers = torch.frombuffer(data[first:end], dtype=torch.float32)
        tensors[name] = numbers.reshape(entry["shape"])
    return tensors
'''
