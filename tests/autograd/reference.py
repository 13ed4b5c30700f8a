"""Losses, gradients and updates of darknet's text RNNs, written a second time for autograd.

This file shares nothing with the package it tests: the networks are spelled out literally in
PyTorch, every gradient comes from autograd, and both optimizers follow their definition line by
line.  It is run by hand and writes one ``.npz`` per case, with the cfgs of the files that are here
or with other ones:

    python tests/autograd/reference.py OUTDIR [CFG ...]

Arrays in a file (F is the number of floats in the net's weights file, U the number of updates):

    cfg            the network, as text
    parameters     (F,) float32, the random start, in the order of the weights file
    inputs         (U, time_steps, streams) int16, the symbols of each update's datum
    targets        (U, time_steps, streams) int16, the symbols that follow them
    loss           float64, nats per symbol of the first datum at the start
    gradient       (F,) float32, d(sum of the first datum's losses) / d(parameter)
    after_one      (F,) float32, the parameters after one update, rolling statistics included
    after_fifty    (F,) float32, the same after fifty updates
"""

from __future__ import annotations

import argparse
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

UPDATES = 50
SMALLEST_DEVIATION = 1e-2  # a batch norm column flatter than this has no place in a test
LARGEST_FINITE_DIFFERENCE_ERROR = 1e-6  # of the largest entry of the gradient


# ---------------------------------------------------------------------------------------- cfg

Section = tuple[str, dict[str, str]]


def parse_cfg(text: str) -> list[Section]:
    sections: list[Section] = []
    for raw in text.splitlines():
        line = "".join(raw.split())
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            sections.append((line.strip("[]"), {}))
            continue
        key, equals, value = line.partition("=")
        if not equals or not value:
            raise ValueError(f"not a key=value line: {raw!r}")
        sections[-1][1].setdefault(key, value)
    return sections


# --------------------------------------------------------------------------------- activations


def stair(x: Tensor) -> Tensor:
    n = torch.floor(x)
    flat = torch.floor(x / 2)
    return torch.where(n % 2 == 0, flat, x - n + flat)


SELU_SCALE, SELU_DEPTH = 1.0507, 1.6732

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "logistic": lambda x: 1 / (1 + torch.exp(-x)),
    "loggy": lambda x: 2 / (1 + torch.exp(-x)) - 1,
    "tanh": torch.tanh,
    "relu": lambda x: torch.where(x > 0, x, 0 * x),
    "relie": lambda x: torch.where(x > 0, x, 0.01 * x),
    "leaky": lambda x: torch.where(x > 0, x, 0.1 * x),
    "ramp": lambda x: torch.where(x > 0, 1.1 * x, 0.1 * x),
    "elu": lambda x: torch.where(x >= 0, x, torch.exp(x) - 1),
    "selu": lambda x: SELU_SCALE * torch.where(x >= 0, x, SELU_DEPTH * (torch.exp(x) - 1)),
    "plse": lambda x: torch.where(
        x < -4, 0.01 * (x + 4), torch.where(x > 4, 0.01 * (x - 4) + 1, 0.125 * x + 0.5)
    ),
    "stair": stair,
    "hardtan": lambda x: torch.clamp(x, -1, 1),
    "lhtan": lambda x: torch.where(x < 0, 0.001 * x, torch.where(x > 1, 0.001 * (x - 1) + 1, x)),
}


# ----------------------------------------------------------------- parameters, in file order


@dataclass
class Block:
    """One array of the flat parameter vector."""

    kind: str  # "bias", "weights", "scales", "rolling_mean" or "rolling_variance"
    offset: int
    shape: tuple[int, ...]
    rate: float  # the learning_rate of the layer it belongs to
    spread: float = 0.0  # weights: standard deviation of the random start

    @property
    def place(self) -> slice:
        return slice(self.offset, self.offset + math.prod(self.shape))

    @property
    def rolling(self) -> bool:
        return self.kind.startswith("rolling")

    def of(self, flat: Tensor) -> Tensor:
        return flat[self.place].view(self.shape)


@dataclass
class Layout:
    """Hands out consecutive places: layers ask in the order of the weights file."""

    blocks: list[Block] = field(default_factory=list)
    size: int = 0

    def take(self, kind: str, shape: tuple[int, ...], rate: float, spread: float = 0.0) -> Block:
        block = Block(kind, self.size, shape, rate, spread)
        self.blocks.append(block)
        self.size += math.prod(shape)
        return block


@dataclass
class Pass:
    """One training pass over one datum."""

    flat: Tensor  # the parameters, which autograd watches
    rolling: Tensor  # a copy, in which only the rolling statistics are brought forward
    smallest_deviation: float = math.inf  # over all columns but those of a state of 0


# -------------------------------------------------------------------------------------- layers


class Connected:
    """act(norm(x W^T) * scale + bias), or act(x W^T + bias)."""

    def __init__(
        self,
        layout: Layout,
        inputs: int,
        outputs: int,
        activation: str,
        batch_normalize: bool,
        rate: float,
    ) -> None:
        spread = 0.7 if batch_normalize else 0.35
        self.activate = ACTIVATIONS[activation]
        self.batch_normalize = batch_normalize
        self.bias = layout.take("bias", (outputs,), rate)
        self.weights = layout.take("weights", (outputs, inputs), rate, spread)
        if batch_normalize:
            self.scales = layout.take("scales", (outputs,), rate)
            self.mean = layout.take("rolling_mean", (outputs,), rate)
            self.variance = layout.take("rolling_variance", (outputs,), rate)

    def __call__(self, run: Pass, x: Tensor) -> Tensor:
        y = x @ self.weights.of(run.flat).T
        if self.batch_normalize:
            y = self.normalize(run, y) * self.scales.of(run.flat)
        return self.activate(y + self.bias.of(run.flat))

    def normalize(self, run: Pass, y: Tensor) -> Tensor:
        """Over the rows of y, whatever rows the caller holds to be one batch."""
        mean = y.mean(dim=0)
        variance = ((y - mean) ** 2).sum(dim=0) / (y.shape[0] - 1)
        # A column that does not vary (the state before the first step) has no slope of its root:
        # the inner where keeps autograd away from it, the outer one puts the 0 back.
        varies = variance > 0
        deviation = torch.where(varies, torch.sqrt(torch.where(varies, variance, 1.0)), 0.0)
        with torch.no_grad():
            for block, now in ((self.mean, mean), (self.variance, variance)):
                run.rolling[block.place] = 0.99 * run.rolling[block.place] + 0.01 * now
            if y.any():  # not so before the first step, where the state is 0
                smallest = float(deviation.min())
                run.smallest_deviation = min(run.smallest_deviation, smallest)
        return (y - mean) / (deviation + 1e-6)


class Layer:
    """Takes (time_steps, streams, features), gives (time_steps, streams, outputs)."""

    outputs: int

    def forward(self, run: Pass, x: Tensor) -> Tensor:
        raise NotImplementedError


class ConnectedLayer(Layer):
    """[connected]: all time_steps * streams rows are one batch."""

    def __init__(self, layout: Layout, inputs: int, options: dict[str, str]) -> None:
        self.outputs = int(options["output"])
        self.inner = Connected(
            layout,
            inputs,
            self.outputs,
            options.get("activation", "logistic"),
            options.get("batch_normalize", "0") == "1",
            float(options.get("learning_rate", "1")),
        )

    def forward(self, run: Pass, x: Tensor) -> Tensor:
        steps, streams, features = x.shape
        rows = self.inner(run, x.reshape(steps * streams, features))
        return rows.view(steps, streams, self.outputs)


class RnnLayer(Layer):
    """[rnn]: s = input(x) + self(s) (+ s with shortcut); what goes up is output(s)."""

    def __init__(self, layout: Layout, inputs: int, options: dict[str, str]) -> None:
        self.outputs = int(options["output"])
        self.hidden = int(options.get("hidden", options["output"]))
        self.shortcut = options.get("shortcut", "0") == "1"
        activation = options.get("activation", "logistic")
        norm = options.get("batch_normalize", "0") == "1"
        rate = float(options.get("learning_rate", "1"))
        self.from_input = Connected(layout, inputs, self.hidden, activation, norm, rate)
        self.from_self = Connected(layout, self.hidden, self.hidden, activation, norm, rate)
        self.to_output = Connected(layout, self.hidden, self.outputs, activation, norm, rate)

    def forward(self, run: Pass, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[1], self.hidden)
        steps = []
        for x_t in x:
            fresh = self.from_input(run, x_t) + self.from_self(run, state)
            state = fresh + state if self.shortcut else fresh
            steps.append(self.to_output(run, state))
        return torch.stack(steps)


class GatedLayer(Layer):
    """What [gru] and [lstm] have in common: linear inner layers, named in file order."""

    def __init__(
        self, layout: Layout, inputs: int, options: dict[str, str], w: str, u: str
    ) -> None:
        self.outputs = int(options["output"])
        norm = options.get("batch_normalize", "0") == "1"
        rate = float(options.get("learning_rate", "1"))
        n = self.outputs
        self.w = {gate: Connected(layout, n, n, "linear", norm, rate) for gate in w}
        self.u = {gate: Connected(layout, inputs, n, "linear", norm, rate) for gate in u}


class GruLayer(GatedLayer):
    """[gru]: files hold wz wr wh uz ur uh."""

    def __init__(self, layout: Layout, inputs: int, options: dict[str, str]) -> None:
        super().__init__(layout, inputs, options, "zrh", "zrh")
        self.squash = ACTIVATIONS["tanh" if options.get("tanh", "0") == "1" else "logistic"]

    def forward(self, run: Pass, x: Tensor) -> Tensor:
        w, u = self.w, self.u
        logistic = ACTIVATIONS["logistic"]
        s = x.new_zeros(x.shape[1], self.outputs)
        steps = []
        for x_t in x:
            z = logistic(w["z"](run, s) + u["z"](run, x_t))
            r = logistic(w["r"](run, s) + u["r"](run, x_t))
            h = self.squash(w["h"](run, r * s) + u["h"](run, x_t))
            s = z * s + (1 - z) * h
            steps.append(s)
        return torch.stack(steps)


class LstmLayer(GatedLayer):
    """[lstm]: files hold wi wf wo wg ui uf uo ug."""

    def __init__(self, layout: Layout, inputs: int, options: dict[str, str]) -> None:
        super().__init__(layout, inputs, options, "ifog", "ifog")

    def forward(self, run: Pass, x: Tensor) -> Tensor:
        w, u = self.w, self.u
        logistic = ACTIVATIONS["logistic"]
        h = x.new_zeros(x.shape[1], self.outputs)
        c = x.new_zeros(x.shape[1], self.outputs)
        steps = []
        for x_t in x:
            f = logistic(w["f"](run, h) + u["f"](run, x_t))
            i = logistic(w["i"](run, h) + u["i"](run, x_t))
            o = logistic(w["o"](run, h) + u["o"](run, x_t))
            g = torch.tanh(w["g"](run, h) + u["g"](run, x_t))
            c = f * c + i * g
            h = o * torch.tanh(c)
            steps.append(h)
        return torch.stack(steps)


LAYERS: dict[str, Callable[[Layout, int, dict[str, str]], Layer]] = {
    "connected": ConnectedLayer,
    "rnn": RnnLayer,
    "gru": GruLayer,
    "lstm": LstmLayer,
}


class Network:
    """A [net], its layers, and the [softmax] that ends it."""

    def __init__(self, cfg: str) -> None:
        (first, self.net), *rest = parse_cfg(cfg)
        if first != "net" or not rest or rest[-1][0] != "softmax":
            raise ValueError("a network starts with [net] and ends with [softmax]")
        self.inputs = int(self.net["inputs"])
        self.streams = int(self.net["batch"])  # subdivisions is 1 throughout
        self.time_steps = int(self.net["time_steps"])
        self.temperature = float(rest[-1][1].get("temperature", "1"))
        self.layout = Layout()
        self.layers: list[Layer] = []
        width = self.inputs
        for name, options in rest[:-1]:
            layer = LAYERS[name](self.layout, width, options)
            self.layers.append(layer)
            width = layer.outputs
        if width != self.inputs:
            raise ValueError("the softmax must be as wide as the input")

    def loss_sum(self, run: Pass, inputs: Tensor, targets: Tensor) -> Tensor:
        """Nats, summed over all symbols of a (time_steps, streams) datum."""
        x = torch.nn.functional.one_hot(inputs, self.inputs).to(run.flat.dtype)
        for layer in self.layers:
            x = layer.forward(run, x)
        x = x / self.temperature
        truth = x.gather(2, targets.unsqueeze(2)).squeeze(2)
        return (torch.logsumexp(x, dim=2) - truth).sum()

    def gradient(self, flat: Tensor, inputs: Tensor, targets: Tensor) -> tuple[float, Tensor, Pass]:
        """The summed loss, its gradient (0 for rolling statistics) and the pass it came from."""
        watched = flat.clone().requires_grad_()
        run = Pass(watched, flat.clone())
        loss = self.loss_sum(run, inputs, targets)
        (gradient,) = torch.autograd.grad(loss, watched)
        return float(loss.detach()), gradient, run


# ---------------------------------------------------------------------------------- optimizers


class Sgd:
    """The buffer outlives the update: what momentum leaves in it meets the next gradient."""

    def __init__(self, network: Network) -> None:
        net = network.net
        self.blocks = [block for block in network.layout.blocks if not block.rolling]
        self.characters = network.streams * network.time_steps
        self.learning_rate = float(net["learning_rate"])
        self.momentum = float(net["momentum"])
        self.decay = float(net["decay"])
        self.buffer: Tensor | None = None

    def update(self, flat: Tensor, deltas: Tensor) -> None:
        if self.buffer is None:
            self.buffer = torch.zeros_like(flat)
        self.buffer += deltas
        for block in self.blocks:
            value, d = flat[block.place], self.buffer[block.place]
            if block.kind == "weights":
                d -= self.decay * self.characters * value
            value += self.learning_rate * block.rate / self.characters * d
            d *= self.momentum


class Adam:
    """Decay acts on every array; the count of updates starts at 1."""

    def __init__(self, network: Network) -> None:
        net = network.net
        self.blocks = [block for block in network.layout.blocks if not block.rolling]
        self.characters = network.streams * network.time_steps
        self.learning_rate = float(net["learning_rate"])
        self.decay = float(net["decay"])
        self.b1 = float(net.get("B1", ".9"))
        self.b2 = float(net.get("B2", ".999"))
        self.eps = float(net.get("eps", "1e-7"))
        self.m: dict[int, Tensor] = {}
        self.v: dict[int, Tensor] = {}
        self.t = 0

    def update(self, flat: Tensor, deltas: Tensor) -> None:
        self.t += 1
        for block in self.blocks:
            value = flat[block.place]
            d = deltas[block.place] - self.decay * self.characters * value
            m = self.m.get(block.offset, torch.zeros_like(d))
            v = self.v.get(block.offset, torch.zeros_like(d))
            m = self.b1 * m + (1 - self.b1) * d
            v = self.b2 * v + (1 - self.b2) * d**2
            self.m[block.offset], self.v[block.offset] = m, v
            m_hat = m / (1 - self.b1**self.t)
            v_hat = v / (1 - self.b2**self.t)
            value += self.learning_rate * block.rate * m_hat / (torch.sqrt(v_hat) + self.eps)


@dataclass
class Training:
    losses: list[float]  # summed over the symbols of each datum
    snapshots: list[Tensor]  # after each update
    smallest_deviation: float


def train(network: Network, start: Tensor, inputs: Tensor, targets: Tensor) -> Training:
    optimizer = Adam(network) if network.net.get("adam") == "1" else Sgd(network)
    flat = start.clone()
    result = Training([], [], math.inf)
    for x, truth in zip(inputs, targets, strict=True):
        loss, gradient, run = network.gradient(flat, x, truth)
        for block in network.layout.blocks:
            if block.rolling:
                flat[block.place] = run.rolling[block.place]
        optimizer.update(flat, -gradient)
        result.losses.append(loss)
        result.snapshots.append(flat.clone())
        result.smallest_deviation = min(result.smallest_deviation, run.smallest_deviation)
    return result


# --------------------------------------------------------------------------------- random data


def random_parameters(network: Network, rng: np.random.Generator) -> np.ndarray:
    parts = []
    for block in network.layout.blocks:
        size = math.prod(block.shape)
        if block.kind == "weights":
            part = rng.normal(0, block.spread, size)
        elif block.kind == "scales":
            part = rng.uniform(0.8, 1.2, size)
        elif block.kind == "rolling_variance":
            part = rng.uniform(0.5, 1.5, size)
        else:
            part = rng.normal(0, 0.2, size)
        parts.append(part)
    return np.concatenate(parts).astype(np.float32)


def random_symbols(network: Network, rng: np.random.Generator) -> np.ndarray:
    """(updates, time_steps + 1, streams); every other symbol, or so, follows from the last."""
    shape = (UPDATES, network.time_steps + 1, network.streams)
    symbols = rng.integers(0, network.inputs, shape)
    follows = rng.random(shape) < 0.5
    for t in range(1, shape[1]):
        next_one = (symbols[:, t - 1] + 5) % network.inputs
        symbols[:, t] = np.where(follows[:, t], next_one, symbols[:, t])
    return symbols.astype(np.int16)


# ------------------------------------------------------------------------------ self-examination


def finite_difference_error(
    network: Network,
    start: Tensor,
    inputs: Tensor,
    targets: Tensor,
    gradient: Tensor,
    rng: np.random.Generator,
) -> tuple[float, int]:
    """Two random entries of every array; largest error relative to the largest gradient."""

    def loss(flat: Tensor) -> float:
        with torch.no_grad():
            return float(network.loss_sum(Pass(flat, flat.clone()), inputs, targets))

    step = 1e-6
    worst = 0.0
    tried = 0
    for block in network.layout.blocks:
        for index in rng.integers(block.place.start, block.place.stop, 2):
            nudge = torch.zeros_like(start)
            nudge[index] = step
            slope = (loss(start + nudge) - loss(start - nudge)) / (2 * step)
            worst = max(worst, abs(slope - float(gradient[index])))
            tried += 1
    return worst / float(gradient.abs().max()), tried


def distance(left: Tensor, right: Tensor, blocks: list[Block]) -> tuple[float, float]:
    """The largest difference, relative to the largest entry: of all, and array by array."""

    def relative(place: slice) -> float:
        most = float(right[place].abs().max())
        return float((left[place] - right[place]).abs().max()) / most if most else 0.0

    return relative(slice(None)), max(relative(block.place) for block in blocks)


# ---------------------------------------------------------------------------------------- main

# Single precision against double: the largest difference relative to the largest entry of all
# arrays ("all") and of the array it occurs in ("own").
HEADINGS = (
    f"{'':62} {'tried,':>6} {'gradient':>16} {'after one':>17} {'after fifty':>17}\n"
    f"{'case':<20} {'floats':>6} {'bytes':>6} {'loss':>6} {'last':>6} {'sqrt(v)':>7} "
    f"{'finite diff.':>16} {'all':>8} {'own':>8} {'all':>8} {'own':>8} {'all':>8} {'own':>8} "
    f"{'moved':>6}"
)


def record(name: str, cfg: str, folder: Path) -> str:
    """Writes one case, after examining it; gives a line for the table."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    network = Network(cfg)
    parameters = random_parameters(network, rng)
    symbols = random_symbols(network, rng)
    start = torch.from_numpy(parameters).double()
    inputs = torch.from_numpy(symbols[:, :-1].astype(np.int64))
    targets = torch.from_numpy(symbols[:, 1:].astype(np.int64))

    loss, gradient, _ = network.gradient(start, inputs[0], targets[0])
    training = train(network, start, inputs, targets)
    error, tried = finite_difference_error(network, start, inputs[0], targets[0], gradient, rng)
    if training.smallest_deviation < SMALLEST_DEVIATION:
        raise ValueError(f"{name}: a column deviates by {training.smallest_deviation:.2g} only")
    if error > LARGEST_FINITE_DIFFERENCE_ERROR:
        raise ValueError(f"{name}: finite differences disagree by {error:.2g}")

    _, single_gradient, _ = network.gradient(start.float(), inputs[0], targets[0])
    single = train(network, start.float(), inputs, targets)
    after = training.snapshots
    noise = [
        *distance(single_gradient, gradient, network.layout.blocks),
        *distance(single.snapshots[0], after[0], network.layout.blocks),
        *distance(single.snapshots[-1], after[-1], network.layout.blocks),
    ]
    moved, _ = distance(after[-1], start, network.layout.blocks)

    datum = network.streams * network.time_steps
    path = folder / f"{name}.npz"
    np.savez_compressed(
        path,
        cfg=np.array(cfg),
        parameters=parameters,
        inputs=symbols[:, :-1],
        targets=symbols[:, 1:],
        loss=np.float64(loss / datum),
        gradient=gradient.numpy().astype(np.float32),
        after_one=after[0].numpy().astype(np.float32),
        after_fifty=after[-1].numpy().astype(np.float32),
    )
    smallest = training.smallest_deviation
    columns = [
        f"{name:<20}",
        f"{network.layout.size:>6}",
        f"{path.stat().st_size:>6}",
        f"{loss / datum:>6.3f}",
        f"{training.losses[-1] / datum:>6.3f}",
        f"{'-' if math.isinf(smallest) else format(smallest, '.3f'):>7}",
        f"{error:>10.0e} {tried:>5}",
        *(f"{value:>8.0e}" for value in noise),
        f"{moved:>6.2f}",
    ]
    return " ".join(columns)


def recorded() -> dict[str, str]:
    """The cfgs of the files next to this one."""
    paths = sorted(Path(__file__).parent.glob("*.npz"))
    return {path.stem: np.load(path)["cfg"].item() for path in paths}


def main() -> None:
    parser = argparse.ArgumentParser(description="Record the autograd cases.")
    parser.add_argument("folder", metavar="OUTDIR", type=Path)
    parser.add_argument("new", metavar="CFG", type=Path, nargs="*", help="instead of all recorded")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(HEADINGS)
    cfgs = {path.stem: path.read_text() for path in args.new} or recorded()
    for name, cfg in cfgs.items():
        print(record(name, cfg, args.folder), flush=True)


if __name__ == "__main__":
    main()
