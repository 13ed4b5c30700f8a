"""Long short-term memory.

    f, i, o = logistic(w h_{t-1} + u x_t)     forget, input and output gate, each its own w and u
    g       = tanh(wg h_{t-1} + ug x_t)
    c_t     = f c_{t-1} + i g
    h_t     = o tanh(c_t)

All eight w and u are linear connected layers, each with its bias and, where `batch_normalize=1`,
its batch norm. The u of all gates multiply all time steps at once; the w, side by side, take one
product per step. Formulas: darknet's `lstm_layer.c` forward, and its derivative.
"""

from __future__ import annotations

import numpy as np

from darknet_py.activations import sigmoid, tanh
from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.dialect import ALEXEYAB
from darknet_py.layers.base import ForwardContext, Parameter, Setting, State
from darknet_py.layers.connected import Connected
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.layers.stack import Stack, gate_layers
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values
from darknet_py.rand import Rand

GATES = "fiog"
# In the weights file upstream has the gates in this order and the w first; AlexeyAB as in FILE_AB.
FILE_UPSTREAM = ("wi", "wf", "wo", "wg", "ui", "uf", "uo", "ug")
FILE_ALEXEYAB = ("wf", "wi", "wg", "wo", "uf", "ui", "ug", "uo")
DRAWN = ("uf", "ui", "ug", "uo", "wf", "wi", "wg", "wo")


class LstmLayer(RecurrentLayer):
    """`[lstm]`: state (h, c), each `(streams, outputs)`."""

    kind = "lstm"

    def __init__(self, section: Section, setting: Setting) -> None:
        outputs = section.integer("output", 1, minimum=1)
        super().__init__(section, setting, outputs, h=outputs, c=outputs)
        self.forget_bias = setting.options.forget_bias
        in_file = FILE_ALEXEYAB if setting.dialect == ALEXEYAB else FILE_UPSTREAM
        self.parts = gate_layers(in_file, setting, outputs, self.batch_normalize)
        self.uf, self.ui, self.uo, self.ug = u = [self.parts[f"u{gate}"] for gate in GATES]
        self.wf, self.wi, self.wo, self.wg = w = [self.parts[f"w{gate}"] for gate in GATES]
        self.u, self.w = Stack(u), Stack(w)

    def parameters(self) -> list[Parameter]:
        return [p for part in self.parts.values() for p in part.parameters()]

    def linears(self) -> list[Connected]:
        return [self.u, self.w]

    def initialize(self, rand: Rand) -> None:
        for name in DRAWN:
            self.parts[name].initialize(rand)
        self.parts["uf"].norm.biases.values.fill(self.forget_bias)

    def operations(self) -> int:
        return super().operations() + 24 * self.outputs

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        one = (streams, self.outputs)
        states = dict.fromkeys(("state", "cell"), (time_steps + 1, *one))
        return {**states, "tanh_cell": (time_steps, *one)}

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        # Without batch norm both stacks have the same delta; with it each has its own.
        names = ("d_gates", "d_w") if self.batch_normalize else ("d_gates",)
        gates = dict.fromkeys(names, (time_steps, streams, 4 * self.outputs))
        return {**gates, **dict.fromkeys(("d_h", "d_c"), (streams, self.outputs))}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        time_steps, streams = x.shape[:2]
        # gates (time_steps, streams, 4 outputs): what the u give, then f, i, o, g
        self.gates = gates = self.u.forward(x, context.training)
        kept = self.buffers.arrays(self.shapes(time_steps, streams), gates.dtype)
        # h[t], c[t] are the state before step t
        self.h, self.c, self.tanh_c = h, c, tanh_c = kept.values()
        h[0], c[0] = state
        n = self.outputs
        with self.w.steps(time_steps, streams, context.training) as w_step:
            for t in range(time_steps):
                np.add(gates[t], w_step(t, h[t]), out=gates[t])
                sigmoid.apply(gates[t, :, : 3 * n])
                tanh.apply(gates[t, :, 3 * n :])
                f, i, o, g = (gates[t, :, k * n : (k + 1) * n] for k in range(4))
                np.multiply(f, c[t], out=c[t + 1])
                np.add(c[t + 1], i * g, out=c[t + 1])
                np.tanh(c[t + 1], out=tanh_c[t])
                np.multiply(o, tanh_c[t], out=h[t + 1])
        return h[1:], (h[time_steps].copy(), c[time_steps].copy())

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        h, c = state
        f = sigmoid(self.wf(h) + self.uf(x))
        i = sigmoid(self.wi(h) + self.ui(x))
        o = sigmoid(self.wo(h) + self.uo(x))
        g = tanh(self.wg(h) + self.ug(x))
        c = f * c + i * g
        h = o * tanh(c)
        return h, (h, c)

    def backward(self, delta: Steps, below: Steps | None) -> None:
        time_steps, streams = delta.shape[:2]
        scratch = self.scratch.arrays(self.scratch_shapes(time_steps, streams), delta.dtype)
        d_gates, d_h, d_c = scratch["d_gates"], scratch["d_h"], scratch["d_c"]
        d_w = scratch.get("d_w", d_gates)
        d_c.fill(0)
        n = self.outputs
        with self.w.steps_back(self.h[:time_steps], d_w) as w_back:
            for t in range(time_steps - 1, -1, -1):
                tanh_c = self.tanh_c[t]
                logistic, d_logistic = self.gates[t, :, : 3 * n], d_gates[t, :, : 3 * n]
                f, i, o, g = (self.gates[t, :, k * n : (k + 1) * n] for k in range(4))
                d_f, d_i, d_o, d_g = (d_gates[t, :, k * n : (k + 1) * n] for k in range(4))
                np.add(d_c, delta[t] * o * (1 - tanh_c * tanh_c), out=d_c)
                np.multiply(d_c, self.c[t], out=d_f)
                np.multiply(d_c, g, out=d_i)
                np.multiply(delta[t], tanh_c, out=d_o)
                np.multiply(d_c, i, out=d_g)
                np.multiply(d_logistic, logistic * (1 - logistic), out=d_logistic)
                np.multiply(d_g, 1 - g * g, out=d_g)
                np.multiply(d_c, f, out=d_c)
                if self.batch_normalize:
                    np.copyto(d_w[t], d_gates[t])
                w_back(t, d_h if t > 0 else None)
                if t > 0:
                    np.add(delta[t - 1], d_h, out=delta[t - 1])
        self.u.backward(d_gates, below)
