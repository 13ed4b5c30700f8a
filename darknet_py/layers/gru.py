"""The gated recurrent unit.

    z    = logistic(wz s_{t-1} + uz x_t)            update gate
    r    = logistic(wr s_{t-1} + ur x_t)            reset gate
    h    = f(wh (r s_{t-1}) + uh x_t)               f: tanh with tanh=1, else logistic
    s_t  = z s_{t-1} + (1 - z) h

All six w and u are linear connected layers, each with its bias and, where `batch_normalize=1`, its
batch norm. The u multiply all time steps at once; each step takes two products, wz with wr, and
wh. Formulas: darknet's `gru_layer.c` forward, and its derivative.
"""

from __future__ import annotations

import numpy as np

from darknet_py.activations import ACTIVATIONS, sigmoid
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

FILE_UPSTREAM = ("wz", "wr", "wh", "uz", "ur", "uh")
FILE_ALEXEYAB = ("uz", "ur", "uh", "wz", "wr", "wh")
DRAWN = ("uz", "wz", "ur", "wr", "uh", "wh")


class GruLayer(RecurrentLayer):
    """`[gru]`: state `(streams, outputs)`, which is also its output."""

    kind = "gru"

    def __init__(self, section: Section, setting: Setting) -> None:
        outputs = section.integer("output", 1, minimum=1)
        super().__init__(section, setting, outputs, s=outputs)
        # AlexeyAB's program reads `tanh` and always takes the logistic.
        has_tanh = section.flag("tanh") and setting.dialect != ALEXEYAB
        self.activation = ACTIVATIONS["tanh" if has_tanh else "logistic"]
        in_file = FILE_ALEXEYAB if setting.dialect == ALEXEYAB else FILE_UPSTREAM
        self.parts = gate_layers(in_file, setting, outputs, self.batch_normalize)
        self.uz, self.ur, self.uh = (self.parts[name] for name in ("uz", "ur", "uh"))
        self.wz, self.wr, self.wh = (self.parts[name] for name in ("wz", "wr", "wh"))
        self.u = Stack([self.uz, self.ur, self.uh])
        self.wzr = Stack([self.wz, self.wr])

    def parameters(self) -> list[Parameter]:
        return [p for part in self.parts.values() for p in part.parameters()]

    def linears(self) -> list[Connected]:
        return [self.u, self.wzr, self.wh]

    def initialize(self, rand: Rand) -> None:
        for name in DRAWN:
            self.parts[name].initialize(rand)

    def operations(self) -> int:
        return super().operations() + 16 * self.outputs

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        n = self.outputs
        return {"state": (time_steps + 1, streams, n), "reset": (time_steps, streams, n)}

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        n, all_steps = self.outputs, (time_steps, streams)
        gates = {
            "d_gates": (*all_steps, 3 * n),
            "d_zr": (*all_steps, 2 * n),
            "d_wh": (*all_steps, n),
        }
        return {**gates, "d_reset": (streams, n), "d_before": (streams, n)}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        time_steps, streams = x.shape[:2]
        n = self.outputs
        # gates (time_steps, streams, 3 outputs): what the u give, then z, r, h
        self.gates = gates = self.u.forward(x, context.training)
        # s[t] is the state before step t; reset[t] = r s[t]
        kept = self.buffers.arrays(self.shapes(time_steps, streams), gates.dtype)
        self.s, self.reset = s, reset = kept["state"], kept["reset"]
        s[0] = state[0]
        with (
            self.wzr.steps(time_steps, streams, context.training) as zr_step,
            self.wh.steps(time_steps, streams, context.training) as h_step,
        ):
            for t in range(time_steps):
                zr, h = gates[t, :, : 2 * n], gates[t, :, 2 * n :]
                np.add(zr, zr_step(t, s[t]), out=zr)
                sigmoid.apply(zr)
                np.multiply(zr[:, n:], s[t], out=reset[t])
                np.add(h, h_step(t, reset[t]), out=h)
                self.activation.apply(h)
                np.subtract(s[t], h, out=s[t + 1])
                np.multiply(s[t + 1], zr[:, :n], out=s[t + 1])
                np.add(s[t + 1], h, out=s[t + 1])
        return s[1:], (s[time_steps].copy(),)

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        (s,) = state
        z = sigmoid(self.wz(s) + self.uz(x))
        r = sigmoid(self.wr(s) + self.ur(x))
        h = self.activation(self.wh(r * s) + self.uh(x))
        s = z * (s - h) + h
        return s, (s,)

    def backward(self, delta: Steps, below: Steps | None) -> None:
        time_steps, streams = delta.shape[:2]
        n = self.outputs
        scratch = self.scratch.arrays(self.scratch_shapes(time_steps, streams), delta.dtype)
        d_gates, d_zr, d_wh, d_reset, d_before = scratch.values()
        with (
            self.wh.steps_back(self.reset, d_wh) as h_back,
            self.wzr.steps_back(self.s[:time_steps], d_zr) as zr_back,
        ):
            for t in range(time_steps - 1, -1, -1):
                z, r, h = (self.gates[t, :, k * n : (k + 1) * n] for k in range(3))
                d_z, d_r, d_h = (d_gates[t, :, k * n : (k + 1) * n] for k in range(3))
                np.multiply(delta[t], 1 - z, out=d_h)
                np.multiply(d_h, (self.s[t] - h) * z, out=d_z)
                if self.activation.name == "tanh":
                    np.multiply(d_h, 1 - h * h, out=d_h)
                else:
                    np.multiply(d_h, h * (1 - h), out=d_h)
                np.copyto(d_wh[t], d_h)
                h_back(t, d_reset)
                np.multiply(d_reset, self.s[t] * r * (1 - r), out=d_r)
                np.copyto(d_zr[t], d_gates[t, :, : 2 * n])
                zr_back(t, d_before if t > 0 else None)
                if t > 0:
                    np.add(d_before, delta[t] * z, out=d_before)
                    np.add(d_before, d_reset * r, out=d_before)
                    np.add(delta[t - 1], d_before, out=delta[t - 1])
        self.u.backward(d_gates, below)
