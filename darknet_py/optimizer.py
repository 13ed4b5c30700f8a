"""The two optimizers, darknet's SGD with momentum and Adam, and its learning-rate policies.

Both take steps over flat vectors laid out like the network's parameters. `symbols` is darknet's
`batch * time_steps`, the number of symbols whose gradients one update sums.
Formulas: darknet's `connected_layer.c`, `blas.c` and `network.c`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from darknet_py.arrays import Array, parts
from darknet_py.layers.base import Layer, Parameter
from darknet_py.options import NetOptions
from darknet_py.rand import Rand


class Optimizer:
    """What both have.

    memory: the flat vectors that an update leaves for the next, by name. count: updates so far.
    """

    vectors: ClassVar[tuple[str, ...]]

    def __init__(self, like: Array, options: NetOptions) -> None:
        self.options = options
        self.memory = {name: np.zeros(like.shape, like.dtype) for name in self.vectors}
        self.count = 0

    def decay_of(self, parameter: Parameter) -> float:
        """What `step` takes as its decay for this parameter."""
        return self.options.decay * self.options.symbols

    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        """One step of the entries `span` of the network's vectors."""
        raise NotImplementedError


class Sgd(Optimizer):
    """velocity = momentum velocity + updates - decay symbols W; W += rate/symbols velocity.

    The decay acts on matrices only.
    """

    vectors = ("velocity",)

    def decay_of(self, parameter: Parameter) -> float:
        return super().decay_of(parameter) if parameter.decayed else 0.0

    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        values, updates = values[span], updates[span]
        velocity = self.memory["velocity"][span]
        number = values.dtype.type
        for part in parts(values.shape):
            v = velocity[part]
            np.multiply(v, self.options.momentum, out=v)
            np.add(v, updates[part], out=v)
            if decay:
                np.subtract(v, values[part] * number(decay), out=v)
            np.add(values[part], v * number(rate / self.options.symbols), out=values[part])


class Adam(Optimizer):
    """Adam, with darknet's decay `decay symbols w` on every trained parameter.

    With d = updates - decay values, and `count` numbering the updates from 1:
    first = B1 first + (1-B1) d; second = B2 second + (1-B2) d^2;
    values += rate (first/(1-B1^count)) / (sqrt(second/(1-B2^count)) + eps).
    """

    vectors = ("first", "second")

    def step(self, values: Array, updates: Array, span: slice, rate: float, decay: float) -> None:
        values, updates = values[span], updates[span]
        first, second = (vector[span] for vector in self.memory.values())
        number = values.dtype.type
        B1, B2, eps = self.options.B1, self.options.B2, self.options.eps
        unbias, unbias_root = map(number, self.unbiased(rate))
        for part in parts(values.shape):
            m, v = first[part], second[part]
            d = updates[part] - values[part] * number(decay) if decay else updates[part].copy()
            np.multiply(m, number(B1), out=m)
            np.add(m, d * number(1 - B1), out=m)
            np.multiply(d, d, out=d)
            np.multiply(d, number(1 - B2), out=d)
            np.multiply(v, number(B2), out=v)
            np.add(v, d, out=v)
            np.sqrt(v, out=d)
            np.multiply(d, unbias_root, out=d)
            np.add(d, number(eps), out=d)
            np.divide(m, d, out=d)
            np.multiply(d, unbias, out=d)
            np.add(values[part], d, out=values[part])

    def unbiased(self, rate: float) -> tuple[float, float]:
        """What `first` and the root of `second` are multiplied by in this update."""
        options = self.options
        return rate / (1 - options.B1**self.count), (1 - options.B2**self.count) ** -0.5


def step_all(
    optimizer: Optimizer, values: Array, updates: Array, layers: Sequence[Layer], rate: float
) -> None:
    """One step of every trained parameter of these layers, at `rate` times the layer's own.

    values, updates: the network's vectors.
    """
    optimizer.count += 1
    for span, layer_rate, decay in _spans(optimizer, layers):
        optimizer.step(values, updates, span, rate * layer_rate, decay)


def _spans(optimizer: Optimizer, layers: Sequence[Layer]) -> Iterator[tuple[slice, float, float]]:
    """The trained entries in stretches, as long as they can be, of one rate and decay each."""
    first = end = 0
    like = 0.0, 0.0
    for layer in layers:
        for parameter in layer.parameters():
            if not parameter.trained:
                continue
            span, now = parameter.span, (layer.learning_rate, optimizer.decay_of(parameter))
            if span.start != end or now != like:
                if first < end:
                    yield slice(first, end), *like
                first, like = span.start, now
            end = span.stop
    if first < end:
        yield slice(first, end), *like


def decay_weights(layers: Sequence[Layer], rate: float, weight_decay: float) -> None:
    """Multiply the matrices of these layers by 1 - rate weight_decay, but never by less
    than 0, at `rate` times the layer's own.

    weight_decay: the key of [net]; 0 does nothing. Unlike `decay` it is no part of the
    gradient, which Adam would divide by its size. Source: Loshchilov and Hutter, "Decoupled weight
    decay regularization", 2019, algorithm 2.
    """
    if not weight_decay:
        return
    for layer in layers:
        kept = max(0.0, 1 - rate * layer.learning_rate * weight_decay)
        for parameter in layer.parameters():
            if parameter.decayed:
                parameter.values *= kept


def update_average(average: Array, values: Array, count: int, share: float) -> None:
    """Take what the parameters are after update `count` into their average, both flat vectors.

    share: `average` in [net]. The newest counts for one part in `share * count`,
    so that the average is over about the last `share` of all updates, and is the newest alone while
    that is less than one. Source: polynomial-decay averaging (Shamir and Zhang 2013,
    section 4), whose weight (eta + 1) / (count + eta) this is but for the last eta.
    """
    if share * count <= 1:
        np.copyto(average, values)
        return
    weight = values.dtype.type(1 / (share * count))
    for part in parts(values.shape):
        average[part] += weight * (values[part] - average[part])


def bound_gradient(updates: Array, options: NetOptions) -> None:
    """`clip` and `clip_norm`, darknet-py keys, on a whole network's summed updates, in place.

    clip bounds each entry, divided by `symbols`, to +-clip; clip_norm then scales the whole vector,
    divided by `symbols`, down to that Euclidean norm.
    """
    if options.clip:
        most = options.clip * options.symbols
        np.clip(updates, -most, most, out=updates)
    if options.clip_norm:
        norm = _norm(updates) / options.symbols
        if norm > options.clip_norm:
            np.multiply(updates, options.clip_norm / norm, out=updates)


def _norm(vector: Array) -> float:
    """The Euclidean norm, even if the square of an entry is too large for the dtype."""
    with np.errstate(over="ignore"):
        square = float(np.dot(vector, vector))
    if math.isinf(square):
        peak = float(np.abs(vector).max())
        return peak * _norm(vector / peak) if math.isfinite(peak) else peak
    return math.sqrt(square)


def learning_rate(options: NetOptions, batch: int, rand: Rand | None = None) -> float:
    """The rate at batch number `batch`, counted as darknet does: `seen / symbols`.

    rand: where `policy=random` draws from, once per call.
    """
    rate = options.learning_rate
    if batch < options.burn_in:
        return rate * (batch / options.burn_in) ** options.power
    match options.policy:
        case "step":
            return rate * _power(options.scale, batch // options.step)
        case "steps":
            for step, scale in zip(options.steps, options.scales, strict=True):
                if step > batch:
                    break
                rate *= scale
            return rate
        case "exp":
            return rate * _power(options.gamma, batch)
        case "poly":
            return rate * max(0.0, 1 - batch / options.max_batches) ** options.power
        case "sigmoid":
            return rate / (1 + math.exp(min(700.0, options.gamma * (batch - options.step))))
        case "random" if rand is not None:
            return rate * float(rand.uniform(0, 1, 1)[0]) ** options.power
    return rate


def cooldown_factor(options: NetOptions, progress: float) -> float:
    """What `cooldown`, a darknet-py key, multiplies the rate by.

    progress: the share of the run that is done, 0 to 1. The factor is 1 until only the last
    `cooldown` of the run is left, and falls from there to 0 at its end on a straight line.
    """
    if options.cooldown == 0:
        return 1.0
    return min(1.0, max(0.0, 1 - progress) / options.cooldown)


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return math.inf
