"""Softmax with temperature and its loss, the negative log probability of the truth.

    p = exp(x/T) / sum exp(x/T),  loss = log(sum exp(x/T)) - x[truth]/T,  delta = (truth - p) / T

`groups` splits the inputs into equal parts with a softmax each. Formulas: darknet's
`softmax_layer.c`, whose delta lacks the factor 1/T.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array, Codes, Steps, parts
from darknet_py.cfg import Section
from darknet_py.layers.base import ForwardContext, LossLayer, Setting, State, subtract_from_truth
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values


def exponentials(x: Array, temperature: float, out: Array) -> tuple[Array, Array]:
    """out = exp((x - peak) / T), with the largest x as the peak.

    Returns peak / T, and the sum of `out`, both (..., 1): over the last axis.
    """
    # Bounded, so that the largest x, 0 after the subtraction, is not 0 times infinity.
    inverse = x.dtype.type(min(1 / temperature, 1e30))
    peak = np.maximum.reduce(x, axis=-1, keepdims=True)
    np.subtract(x, peak, out=out)
    if temperature != 1:
        np.multiply(out, inverse, out=out)
    np.exp(out, out=out)
    return peak * inverse, np.add.reduce(out, axis=-1, keepdims=True)


class SoftmaxLayer(LossLayer):
    """`[softmax]`: x (time_steps, streams, inputs) -> probabilities of this shape."""

    kind = "softmax"

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting)
        self.groups = section.integer("groups", 1, minimum=1)
        if self.inputs % self.groups:
            raise section.error(f"groups={self.groups} does not divide the {self.inputs} inputs")
        self.temperature = section.number("temperature", 1, above=0)
        self.has_loss = not section.flag("noloss")

    def operations(self) -> int:
        return 4 * self.inputs

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        grouped = (time_steps, streams, self.groups)
        return {"p": (*grouped, self.inputs // self.groups), "log_sums": (*grouped, 1)}

    def probabilities(self, x: Array, temperature: float) -> Array:
        """Softmax of x (time_steps, streams, inputs) at this temperature; a buffer of the layer."""
        p, self.log_sums = self.buffers.arrays(self.shapes(*x.shape[:2]), x.dtype).values()
        self._normalize(x.reshape(p.shape), temperature, p)
        return p.reshape(x.shape)

    def _normalize(self, x: Array, temperature: float, out: Array) -> None:
        """out = exp(x/T) / its sum over the last axis; log_sums (..., 1) = log(sum exp(x/T))."""
        for part in parts(x.shape):
            peak, total = exponentials(x[part], temperature, out[part])
            np.divide(out[part], total, out=out[part])
            np.add(np.log(total), peak, out=self.log_sums[part])

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        self.x = x
        self.p = self.probabilities(x, self.temperature)
        return self.p, state

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        return x.program.write("softmax", x, by=self), state

    def backward(self, delta: Steps, below: Steps | None) -> None:
        """delta of p -> p (d - sum(d p)) / T, for a loss that comes after this layer."""
        if below is not None:
            grouped = (*delta.shape[:2], self.groups, -1)
            p, d = self.p.reshape(grouped), delta.reshape(grouped)
            mean = np.sum(d * p, axis=-1, keepdims=True)
            below[...] = (p * (d - mean) / self.temperature).reshape(below.shape)

    def losses(self, targets: Codes) -> Array:
        index = targets[..., None].astype(np.intp)
        x = np.take_along_axis(self.x, index, axis=-1) / self.temperature
        group = index // (self.inputs // self.groups)
        log_sums = np.take_along_axis(self.log_sums[..., 0], group, axis=-1)
        return (log_sums - x)[..., 0]

    def _subtract_from_truth(self, p: Array, symbols: Array) -> None:
        """p = (truth - p) / T, in place: p (rows, inputs), symbols (rows,), the truth's."""
        subtract_from_truth(p, symbols)
        if self.temperature != 1:
            np.divide(p, self.temperature, out=p)

    def loss_delta(self, targets: Codes) -> Steps:
        delta = self.p
        rows = delta.reshape(-1, self.inputs)
        symbols = targets.reshape(-1).astype(np.intp)
        self._subtract_from_truth(rows, symbols)
        if self.groups > 1:
            size = self.inputs // self.groups
            other = np.arange(self.groups) != (symbols // size)[:, None]
            rows.reshape(-1, self.groups, size)[other] = 0
        return delta
