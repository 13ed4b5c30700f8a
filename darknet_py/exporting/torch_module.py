"""A network as the text of a PyTorch module, written for it and for readers.

The file has the classes that the network needs and no others, and reads its parameters from the
.safetensors file beside it, so that it needs nothing but PyTorch. Tensors have the same names as in
`interchange`: they are the keys of the module's `state_dict()`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

from darknet_py.cfg import Cfg
from darknet_py.errors import CfgError, DarknetError
from darknet_py.exporting.interchange import write_safetensors
from darknet_py.files import MARK, check_file_place, with_mark, write_whole
from darknet_py.layers import Layer
from darknet_py.layers.activation import ActivationLayer
from darknet_py.layers.batchnorm import BatchnormLayer
from darknet_py.layers.connected import Connected, ConnectedLayer
from darknet_py.layers.cost import CostLayer
from darknet_py.layers.crnn import Convolution, CrnnLayer
from darknet_py.layers.dropout import DropoutLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.logistic import LogisticLayer
from darknet_py.layers.lstm import LstmLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.network import Network

# What `kernels.softmax` takes smaller temperatures for.
SMALLEST_TEMPERATURE = 1e-30
_WIDTH = 100


def write_torch_module(path: str | os.PathLike[str], net: Network, cfg: Cfg | None = None) -> None:
    """Write the module, and its parameters beside it; each file whole or not at all.

    cfg: see `interchange.facts_of`. Raises OSError, CfgError, and DarknetError where the library
    safetensors is not installed or the module could not be imported by its name.
    """
    if Path(path).stem in {"torch", *sys.stdlib_module_names}:
        raise DarknetError(
            f"{path} would hide the module {Path(path).stem} of Python or PyTorch; choose another "
            f"name"
        )
    text = module_text(net)
    check_file_place(path)
    write_safetensors(Path(path).with_suffix(".safetensors"), net, cfg)
    write_whole(path, [with_mark(text.encode())])


def module_text(net: Network) -> str:
    """The source of the module. Raises CfgError for a layer of a kind that is unknown here."""
    modules = [_module(net, layer) for layer in net.layers]
    kinds = {layer.kind for layer in net.layers}
    if "crnn" in kinds:
        kinds.add("rnn")
    functions = _functions(net)
    bricks = [brick for layer in net.layers for brick in _bricks(layer)]
    pieces = [_FUNCTIONS[name] for name in functions if name in _FUNCTIONS]
    if bricks:
        pieces.append(_CONNECTED)
    if any(brick.batch_normalize for brick in bricks):
        pieces.append(_NORMED_CONNECTED.replace("DEVIATION", _deviation(net)))
    if any(isinstance(brick, Convolution) for brick in bricks):
        pieces.append(_CONVOLUTION)
    if any(isinstance(brick, Convolution) and brick.batch_normalize for brick in bricks):
        pieces.append(_NORMED_CONVOLUTION)
    pieces += [text for kind, text in _LAYERS.items() if kind in kinds]
    if "batchnorm" in kinds:
        pieces.append(_batchnorm(net))
    if any(module.startswith("LogSoftmax(") for module in modules):
        pieces.append(_LOG_SOFTMAX)
    pieces += [_network(net, modules), _LOAD]
    return "\n\n".join([_head(net, bool(functions)), *pieces])


def _head(net: Network, has_functions: bool) -> str:
    """The docstring, the imports and the constants."""
    state = ", ".join(_state_words(layer) for layer in _recurrent(net))
    lines = textwrap.wrap(f"a tuple of {state}" if state else "an empty tuple", _WIDTH - 8)
    text = _HEAD.replace("MARK", MARK).replace("OUTPUTS", str(net.outputs))
    text = text.replace("LAST_INPUT", str(net.inputs - 1))
    text = text.replace("STATE", "\n        ".join(lines))
    if not has_functions:
        text = text.replace("from collections.abc import Callable\n", "")
        text = text.replace("Function = Callable[[Tensor], Tensor]\n", "")
    return text


def _recurrent(net: Network) -> list[Layer]:
    return [layer for layer in net.layers if isinstance(layer, (RnnLayer, GruLayer, LstmLayer))]


def _state_words(layer: Layer) -> str:
    """What a recurrent layer remembers, by its name in forward."""
    name = f"s{layer.index}" + (" = (h, c), each" if isinstance(layer, LstmLayer) else "")
    size = layer.hidden if isinstance(layer, RnnLayer) else layer.outputs
    return f"{name} (streams, {size})"


def _bricks(layer: Layer) -> list[Connected]:
    """The connected layers that a layer is made of."""
    if isinstance(layer, ConnectedLayer):
        return [layer.connected]
    if isinstance(layer, RnnLayer):
        return layer.bricks()
    if isinstance(layer, (GruLayer, LstmLayer)):
        return list(layer.parts.values())
    return []


def _functions(net: Network) -> list[str]:
    """The names of the activations that the module mentions, each once."""
    names = [brick.activation.name for layer in net.layers for brick in _bricks(layer)]
    own = [layer for layer in net.layers if isinstance(layer, (ActivationLayer, GruLayer))]
    return sorted({*names, *(layer.activation.name for layer in own)})


def _function(name: str) -> str:
    """The expression for an activation."""
    return _KNOWN_FUNCTIONS.get(name, name)


def _deviation(net: Network) -> str:
    """The divisor of batch norm in the network's dialect: see `kernels.deviation`."""
    dialect = net.dialect
    if dialect.root_epsilon:
        return f"(self.rolling_variance + {dialect.root_epsilon:g}).sqrt()"
    return f"(self.rolling_variance.sqrt() + {dialect.deviation_epsilon:g})"


def _batchnorm(net: Network) -> str:
    """The class for [batchnorm]; only AlexeyAB's has a bias."""
    has_bias = any(layer.has_biases for layer in net.layers if isinstance(layer, BatchnormLayer))
    text = _BATCHNORM.replace("DEVIATION", _deviation(net))
    if not has_bias:
        text = text.replace("        self.bias = nn.Parameter(torch.zeros(size))\n", "")
        text = text.replace(
            "+ (self.bias - self.rolling_mean * gain)", "- self.rolling_mean * gain"
        )
        text = text.replace(" + bias", "")
    return text


def _module(net: Network, layer: Layer) -> str:
    """The expression that makes a layer's module. Raises CfgError."""
    if isinstance(layer, ConnectedLayer):
        brick = layer.connected
        f = _function(brick.activation.name)
        return f"{_class_of(brick)}({layer.inputs}, {layer.outputs}, {f})"
    if isinstance(layer, CrnnLayer):
        return _crnn(layer)
    if isinstance(layer, RnnLayer):
        f, self_f = (_function(brick.activation.name) for brick in layer.bricks()[:2])
        sizes = f"inputs={layer.inputs}, hidden={layer.hidden}, outputs={layer.outputs}"
        options = f"f={f}" + (f", self_f={self_f}" if self_f != f else "")
        options += ", shortcut=True" if layer.shortcut else ""
        return f"Rnn({_class_of(layer.input_layer)}, {sizes}, {options})"
    if isinstance(layer, GruLayer):
        f = _function(layer.activation.name)
        return f"Gru({_class_of(layer.wh)}, {layer.inputs}, {layer.outputs}, {f})"
    if isinstance(layer, LstmLayer):
        brick = next(iter(layer.parts.values()))
        return f"Lstm({_class_of(brick)}, {layer.inputs}, {layer.outputs})"
    if isinstance(layer, ActivationLayer):
        return f"Activation({_function(layer.activation.name)})"
    if isinstance(layer, DropoutLayer):
        return f"nn.Dropout({layer.probability!r})"
    if isinstance(layer, BatchnormLayer):
        return f"Batchnorm({layer.inputs})"
    if isinstance(layer, SoftmaxLayer):
        if layer.groups == layer.temperature == 1:
            return "nn.LogSoftmax(dim=-1)"
        temperature = max(layer.temperature, SMALLEST_TEMPERATURE)
        return f"LogSoftmax(temperature={temperature!r}, groups={layer.groups})"
    if isinstance(layer, LogisticLayer):
        return "nn.LogSigmoid()"
    if isinstance(layer, CostLayer):
        return "nn.Identity()"
    raise CfgError(f"{net.cfg.path}: layer {layer.index}: [{layer.kind}] has no PyTorch module")


def _crnn(layer: CrnnLayer) -> str:
    """The expression that makes the module of a [crnn]."""
    brick = layer.input_layer
    assert isinstance(brick, Convolution)
    sizes = f"inputs={layer.inputs}, hidden={layer.hidden}, outputs={layer.outputs}"
    options = f"f={_function(brick.activation.name)}, size={brick.size}"
    options += f", groups={brick.groups}" if brick.groups > 1 else ""
    options += ", shortcut=True" if layer.shortcut else ""
    return f"Crnn({_class_of(brick)}, {sizes}, {options})"


def _class_of(brick: Connected) -> str:
    name = "Convolution" if isinstance(brick, Convolution) else "Connected"
    return f"Normed{name}" if brick.batch_normalize else name


def _network(net: Network, modules: list[str]) -> str:
    """The class that puts the layers together, and its forward line by line."""
    lines = []
    for layer, module in zip(net.layers, modules, strict=True):
        comment = "  # [cost]" if isinstance(layer, CostLayer) else ""
        lines += [line + comment for line in _broken(f"{module},", 16)]
    text = _NETWORK.replace("                MODULES", "\n".join(lines))
    return text.replace("        STEPS", "\n".join(f"        {line}" for line in _steps(net)))


def _broken(call: str, indent: int) -> list[str]:
    """A line with `call(...),`, or several where it is too long."""
    space = " " * indent
    if len(space + call) <= _WIDTH:
        return [space + call]
    name, _, rest = call.partition("(")
    arguments = rest.removesuffix("),")
    if len(space + "    " + arguments) <= _WIDTH:
        within = [arguments]
    else:
        within = [f"{argument}," for argument in arguments.split(", ")]
    return [f"{space}{name}(", *(f"{space}    {line}" for line in within), f"{space}),"]


def _steps(net: Network) -> list[str]:
    """The lines of forward, up to log_p and the state after."""
    recurrent = _recurrent(net)
    states = ", ".join(f"s{layer.index}" for layer in recurrent)
    tail = "," if len(recurrent) == 1 else ""
    lines = []
    if recurrent:
        none = ", ".join("None" for _ in recurrent)
        known = f"({states},)" if tail else states
        lines.append(f"{known} = state or ({none}{tail})")
    x = "symbols"
    if not net.layers[0].takes_symbols:
        lines.append(f"x = functional.one_hot(symbols, {net.inputs}).float()")
        x = "x"
    last = net.output_layer
    for layer in net.layers[: last.index + 1]:
        call = f"self[{layer.index}]({x}"
        has_log = isinstance(layer, (SoftmaxLayer, LogisticLayer))
        if layer in recurrent:
            lines.append(f"x, s{layer.index} = {call}, s{layer.index})")
        elif has_log:
            lines.append(f"log_p = {call})" if layer is last else f"x = {call}).exp()")
        else:
            lines.append(f"x = {call})")
        x = "x"
    if not isinstance(last, (SoftmaxLayer, LogisticLayer)):
        lines.append("log_p = x.clamp(min=torch.finfo(x.dtype).tiny).log()")
    lines.append(f"return log_p, ({states}{tail})")
    return lines


_HEAD = '''"""A network in PyTorch; its parameters are in the .safetensors file of the same name.

    network = load()
    log_p, state = network(symbols)
    log_p, state = network(what_follows, state)

    symbols (time_steps, streams): integers from 0 to LAST_INPUT
    log_p (time_steps, streams, OUTPUTS): the log of the probability of each symbol to come next
    state: what the network remembers, zeros where it is not given:
        STATE

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
Function = Callable[[Tensor], Tensor]
'''

_KNOWN_FUNCTIONS = {
    "logistic": "torch.sigmoid",
    "tanh": "torch.tanh",
    "relu": "torch.relu",
    "elu": "functional.elu",
}

_FUNCTIONS = {
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
    "relie": """def relie(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.01)
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
    is_odd = floor - 2 * steps
    return steps + is_odd * (x - floor)
''',
    "hardtan": """def hardtan(x: Tensor) -> Tensor:
    return x.clamp(-1, 1)
""",
    "lhtan": '''def lhtan(x: Tensor) -> Tensor:
    """x from 0 to 1, the slope 0.001 outside."""
    inside = x.clamp(0, 1)
    return inside + 0.001 * (x - inside)
''',
}

_CONNECTED = '''class Connected(nn.Module):
    """y = f(x W^T + bias), of x (..., inputs), or of symbols (...) as one-hot rows."""

    def __init__(self, inputs: int, outputs: int, f: Function) -> None:
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
'''

_NORMED_CONNECTED = '''class NormedConnected(Connected):
    """y = f((x W^T - mean) / deviation * scale + bias): with batch norm."""

    def __init__(self, inputs: int, outputs: int, f: Function) -> None:
        super().__init__(inputs, outputs, f)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.register_buffer("rolling_mean", torch.zeros(outputs))
        self.register_buffer("rolling_variance", torch.ones(outputs))

    def forward(self, x: Tensor) -> Tensor:
        gain = self.scale / DEVIATION
        shift = self.bias - self.rolling_mean * gain
        return self.f(self.product(x) * gain + shift)
'''

_CONVOLUTION = '''class Convolution(Connected):
    """A convolution of x (..., inputs), each an image of 1 x 1."""

    def __init__(self, inputs: int, outputs: int, f: Function, size: int, groups: int) -> None:
        super().__init__(inputs, outputs, f)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs // groups, size, size))
        self.groups = groups

    def product(self, x: Tensor) -> Tensor:
        images = x.reshape(-1, x.shape[-1], 1, 1)
        padding = self.weight.shape[-1] // 2
        y = functional.conv2d(images, self.weight, padding=padding, groups=self.groups)
        return y.reshape(*x.shape[:-1], -1)
'''

_NORMED_CONVOLUTION = '''class NormedConvolution(Convolution, NormedConnected):
    """A convolution with batch norm."""
'''

_LAYERS = {
    "rnn": '''class Rnn(nn.Module):
    """darknet's plain recurrent layer, which adds two activations.

    a_t = f(W_i x_t + b_i)
    s_t = a_t + self_f(W_s s_{t-1} + b_s)  (+ s_{t-1} with shortcut)
    y_t = f(W_o s_t + b_o)
    """

    def __init__(
        self,
        connected: type[Connected],
        inputs: int,
        hidden: int,
        outputs: int,
        f: Function,
        self_f: Function | None = None,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.input = connected(inputs, hidden, f)
        self.self = connected(hidden, hidden, self_f or f)
        self.output = connected(hidden, outputs, f)
        self.shortcut = shortcut

    def forward(self, x: Tensor, s: Tensor | None = None) -> tuple[Tensor, Tensor]:
        a = self.input(x)
        s = torch.zeros_like(a[0]) if s is None else s
        states = []
        for a_t in a:
            before = s
            s = a_t + self.self(before)
            if self.shortcut:
                s = s + before
            states.append(s)
        return self.output(torch.stack(states)), s
''',
    "crnn": '''class Crnn(Rnn):
    """The same three lines, each with a convolution."""

    def __init__(
        self,
        convolution: type[Convolution],
        inputs: int,
        hidden: int,
        outputs: int,
        f: Function,
        size: int,
        groups: int = 1,
        shortcut: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.input = convolution(inputs, hidden, f, size, groups)
        self.self = convolution(hidden, hidden, f, size, groups)
        self.output = convolution(hidden, outputs, f, size, groups)
        self.shortcut = shortcut
''',
    "gru": '''class Gru(nn.Module):
    """The gated recurrent unit; its state is also its output.

    z   = logistic(wz s_{t-1} + uz x_t)
    r   = logistic(wr s_{t-1} + ur x_t)
    h   = f(wh (r s_{t-1}) + uh x_t)
    s_t = z s_{t-1} + (1 - z) h
    """

    def __init__(self, connected: type[Connected], inputs: int, outputs: int, f: Function) -> None:
        super().__init__()
        self.uz = connected(inputs, outputs, linear)
        self.ur = connected(inputs, outputs, linear)
        self.uh = connected(inputs, outputs, linear)
        self.wz = connected(outputs, outputs, linear)
        self.wr = connected(outputs, outputs, linear)
        self.wh = connected(outputs, outputs, linear)
        self.f = f

    def forward(self, x: Tensor, s: Tensor | None = None) -> tuple[Tensor, Tensor]:
        uz, ur, uh = self.uz(x), self.ur(x), self.uh(x)
        s = torch.zeros_like(uz[0]) if s is None else s
        states = []
        for uz_t, ur_t, uh_t in zip(uz, ur, uh, strict=True):
            z = torch.sigmoid(self.wz(s) + uz_t)
            r = torch.sigmoid(self.wr(s) + ur_t)
            h = self.f(self.wh(r * s) + uh_t)
            s = z * s + (1 - z) * h
            states.append(s)
        return torch.stack(states), s
''',
    "lstm": '''class Lstm(nn.Module):
    """Long short-term memory; h is also its output.

    f, i, o = logistic(w h_{t-1} + u x_t)     each with its own w and u
    g       = tanh(wg h_{t-1} + ug x_t)
    c_t     = f c_{t-1} + i g
    h_t     = o tanh(c_t)
    """

    def __init__(self, connected: type[Connected], inputs: int, outputs: int) -> None:
        super().__init__()
        self.uf = connected(inputs, outputs, linear)
        self.ui = connected(inputs, outputs, linear)
        self.uo = connected(inputs, outputs, linear)
        self.ug = connected(inputs, outputs, linear)
        self.wf = connected(outputs, outputs, linear)
        self.wi = connected(outputs, outputs, linear)
        self.wo = connected(outputs, outputs, linear)
        self.wg = connected(outputs, outputs, linear)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        uf, ui, uo, ug = self.uf(x), self.ui(x), self.uo(x), self.ug(x)
        h, c = (torch.zeros_like(uf[0]), torch.zeros_like(uf[0])) if state is None else state
        states = []
        for uf_t, ui_t, uo_t, ug_t in zip(uf, ui, uo, ug, strict=True):
            f = torch.sigmoid(self.wf(h) + uf_t)
            i = torch.sigmoid(self.wi(h) + ui_t)
            o = torch.sigmoid(self.wo(h) + uo_t)
            g = torch.tanh(self.wg(h) + ug_t)
            c = f * c + i * g
            h = o * torch.tanh(c)
            states.append(h)
        return torch.stack(states), (h, c)
''',
    "activation": '''class Activation(nn.Module):
    """y = f(x)"""

    def __init__(self, f: Function) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x)
''',
}

_BATCHNORM = '''class Batchnorm(nn.Module):
    """y = (x - mean) / deviation * scale + bias"""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer("rolling_mean", torch.zeros(size))
        self.register_buffer("rolling_variance", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        gain = self.scale / DEVIATION
        return x * gain + (self.bias - self.rolling_mean * gain)
'''

_LOG_SOFTMAX = '''class LogSoftmax(nn.Module):
    """log(exp(x/T) / sum exp(x/T)), with the temperature T, for each of `groups` parts of x."""

    def __init__(self, temperature: float, groups: int) -> None:
        super().__init__()
        self.temperature = temperature
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        parts = x.unflatten(-1, (self.groups, -1))
        parts = (parts - parts.amax(-1, keepdim=True)) / self.temperature
        return parts.log_softmax(-1).flatten(-2)
'''

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
