"""The two optimisers, darknet's SGD with momentum and Adam, and its learning-rate policies.

Both take steps over flat vectors laid out like the network's parameters, and count the updates of
the whole network. `symbols` is darknet's
`batch * time_steps`, the number of symbols whose gradients one update sums.
Formulas: darknet's `connected_layer.c`, `blas.c` and `network.c`.
"""

from __future__ import annotations

import math

import numpy as np

from darknet_py.cfg import NetOptions
from darknet_py.kernels import plain as kernels
from darknet_py.layers.base import Array, Parameter
from darknet_py.rand import Rand


class Sgd:
    """velocity = momentum velocity + updates - decay symbols W; W += rate/symbols velocity.

    The decay acts on matrices only.
    """

    def __init__(self, like: Array, net: NetOptions) -> None:
        self.velocity = np.zeros(like.shape, like.dtype)
        self.count = 0
        self.momentum = net.momentum
        self.decay = net.decay
        self.symbols = net.symbols

    def begin(self) -> None:
        """Start one update of the whole network."""
        self.count += 1

    @property
    def memory(self) -> dict[str, Array]:
        """The flat vectors that an update leaves for the next, by name."""
        return {"velocity": self.velocity}

    def step(self, parameter: Parameter, rate: float) -> None:
        kernels.sgd(
            parameter.values.reshape(-1),
            parameter.updates.reshape(-1),
            self.velocity[parameter.place],
            rate / self.symbols,
            self.momentum,
            self.decay * self.symbols if parameter.decayed else 0.0,
        )


class Adam:
    """Adam, with darknet's decay `decay symbols w` on every trained parameter."""

    def __init__(self, like: Array, net: NetOptions) -> None:
        self.first = np.zeros(like.shape, like.dtype)
        self.second = np.zeros(like.shape, like.dtype)
        self.count = 0
        self.net = net

    def begin(self) -> None:
        """Start one update of the whole network."""
        self.count += 1

    @property
    def memory(self) -> dict[str, Array]:
        """The flat vectors that an update leaves for the next, by name."""
        return {"first": self.first, "second": self.second}

    def step(self, parameter: Parameter, rate: float) -> None:
        net = self.net
        kernels.adam(
            parameter.values.reshape(-1),
            parameter.updates.reshape(-1),
            self.first[parameter.place],
            self.second[parameter.place],
            rate,
            net.B1,
            net.B2,
            net.eps,
            net.decay * net.symbols,
            self.count,
        )


def make_optimizer(like: Array, net: NetOptions) -> Sgd | Adam:
    """The optimiser that `[net]` asks for, over vectors shaped like `like`."""
    return Adam(like, net) if net.adam else Sgd(like, net)


def bound_gradient(updates: Array, net: NetOptions) -> None:
    """`clip` and `clip_norm`, keys of our own, on a whole network's summed updates, in place.

    clip bounds each entry, divided by `symbols`, to +-clip; clip_norm then scales the whole vector,
    divided by `symbols`, down to that Euclidean norm.
    """
    if net.clip:
        np.clip(updates, -net.clip * net.symbols, net.clip * net.symbols, out=updates)
    if net.clip_norm:
        norm = _norm(updates) / net.symbols
        if norm > net.clip_norm:
            np.multiply(updates, net.clip_norm / norm, out=updates)


def _norm(vector: Array) -> float:
    """The Euclidean norm, also where the square of an entry is too large for the dtype."""
    with np.errstate(over="ignore"):
        square = float(np.dot(vector, vector))
    if math.isinf(square):
        peak = float(np.abs(vector).max())
        return peak * _norm(vector / peak) if math.isfinite(peak) else peak
    return math.sqrt(square)


def learning_rate(net: NetOptions, batch: int, rand: Rand | None = None) -> float:
    """The rate at batch number `batch`, counted as darknet does: `seen / symbols`.

    rand: where `policy=random` draws from, once per call.
    """
    rate = net.learning_rate
    if batch < net.burn_in:
        return rate * (batch / net.burn_in) ** net.power
    match net.policy:
        case "step":
            return rate * _power(net.scale, batch // net.step)
        case "steps":
            for step, scale in zip(net.steps, net.scales, strict=True):
                if step > batch:
                    break
                rate *= scale
            return rate
        case "exp":
            return rate * _power(net.gamma, batch)
        case "poly":
            return rate * max(0.0, 1 - batch / net.max_batches) ** net.power
        case "sigmoid":
            return rate / (1 + math.exp(min(700.0, net.gamma * (batch - net.step))))
        case "random" if rand is not None:
            return rate * float(rand.uniform(0, 1, 1)[0]) ** net.power
    return rate


def cooldown_factor(net: NetOptions, progress: float) -> float:
    """What `cooldown`, a key of our own, multiplies the rate by.

    progress: the share of the run that is done, 0 to 1. The factor is 1 until only the last
    `cooldown` of the run is left, and falls from there to 0 at its end on a straight line.
    """
    if net.cooldown == 0:
        return 1.0
    return min(1.0, max(0.0, 1 - progress) / net.cooldown)


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return math.inf
