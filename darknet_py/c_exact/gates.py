"""gru and lstm, forward only: the C program cannot train them on a CPU.

Every gate is a sum of two linear connected layers, `w` on the layer's own last output and `u` on
its input. Formulas: darknet's `gru_layer.c` and `lstm_layer.c`.
"""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.activations import activate
from darknet_py.c_exact.base import CLayer
from darknet_py.c_exact.connected import Connected
from darknet_py.layers import gru, lstm
from darknet_py.network import Network


class GatedLayer(CLayer):
    """What gru and lstm share: a pair of connected layers per gate, and a hidden state.

    gates: the letters that name them, in `wz` and `uz` and so on.
    """

    takes_symbols = True
    gates: str

    def __init__(self, like: gru.GruLayer | lstm.LstmLayer, net: Network) -> None:
        self.w, self.u = (
            {gate: Connected(like.parts[kind + gate]) for gate in self.gates} for kind in "wu"
        )
        self.outputs = like.outputs
        self.dialect = net.dialect
        self.reset_state()

    def reset_state(self) -> None:
        self.state = np.zeros((1, self.outputs), np.float32)

    def forward(self, x: Array, truth: Array | None) -> None:
        time_steps, streams = x.shape[:2]
        for layer in (*self.w.values(), *self.u.values()):
            layer.clear(time_steps, streams)
        self.output = np.zeros((time_steps, streams, self.outputs), np.float32)
        self.delta = np.zeros_like(self.output)
        for t in range(time_steps):
            self.output[t] = self.step(t, x[t])

    def step(self, t: int, x: Array) -> Array:
        """x (streams, inputs) -> the output (streams, outputs) of step t; moves the state."""
        raise NotImplementedError

    def gate(self, t: int, gate: str, state: Array, x: Array, activation: str) -> Array:
        """f(w state + u x), (streams, outputs)."""
        w, u = self.w[gate], self.u[gate]
        w.forward(t, state, train=False)
        u.forward(t, x, train=False)
        y: Array = w.output[t] + u.output[t]
        activate(y, activation, self.dialect)
        return y


class GruLayer(GatedLayer):
    """`[gru]`: z and r as logistic gates, s' = z s + (1 - z) f(wh (r s) + uh x)."""

    gates = "zrh"

    def __init__(self, like: gru.GruLayer, net: Network) -> None:
        super().__init__(like, net)
        self.activation = like.activation.name

    def step(self, t: int, x: Array) -> Array:
        s = self.state
        z = self.gate(t, "z", s, x, "logistic")
        r = self.gate(t, "r", s, x, "logistic")
        h = self.gate(t, "h", r * s, x, self.activation)
        self.state = z * s + (1 - z) * h
        return self.state


class LstmLayer(GatedLayer):
    """`[lstm]`: logistic gates f, i, o; c' = f c + i tanh(wg h + ug x), h' = o tanh(c')."""

    gates = "fiog"

    def reset_state(self) -> None:
        super().reset_state()
        self.cell = np.zeros((1, self.outputs), np.float32)

    def step(self, t: int, x: Array) -> Array:
        h = self.state
        f = self.gate(t, "f", h, x, "logistic")
        i = self.gate(t, "i", h, x, "logistic")
        o = self.gate(t, "o", h, x, "logistic")
        g = self.gate(t, "g", h, x, "tanh")
        self.cell = f * self.cell + i * g
        squashed = self.cell.copy()
        activate(squashed, "tanh", self.dialect)
        self.state = o * squashed
        return self.state
