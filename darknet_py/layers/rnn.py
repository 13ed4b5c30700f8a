"""darknet's plain recurrent layer.

    a_t = f(W_i x_t + b_i)            input layer
    b_t = f(W_s s_{t-1} + b_s)        self layer
    s_t = a_t + b_t  (+ s_{t-1} with shortcut=1)
    y_t = f(W_o s_t + b_o)            output layer

Each line is a connected layer, with batch norm where `batch_normalize=1`. Textbooks write the
hidden state as one function of a sum, `h_t = f(W_xh x_t + W_hh h_{t-1} + b)`; darknet adds two
activations, so its state is not bounded, even with tanh. Formulas: darknet's `rnn_layer.c`.

Only the self layer has to walk through time. The other two multiply all steps at once.
"""

from __future__ import annotations

import numpy as np

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array, Steps
from darknet_py.cfg import Section
from darknet_py.layers.base import ForwardContext, Setting, State
from darknet_py.layers.connected import Connected
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.layers.workspace import Shapes
from darknet_py.program import Value, Values

# AlexeyAB's `logistic` key: the self layer's activation, whatever the others have.
_SELF_ACTIVATIONS = {0: None, 1: "logistic", 2: "loggy"}


class RnnLayer(RecurrentLayer):
    """`[rnn]`: three connected layers around a state of `(streams, hidden)`."""

    kind = "rnn"

    def __init__(self, section: Section, setting: Setting) -> None:
        outputs, self.hidden = self.read_sizes(section, setting)
        super().__init__(section, setting, outputs, s=self.hidden)
        self.input_layer, self.self_layer, self.output_layer = self.make_linears(section, setting)
        self.shortcut = section.flag("shortcut")

    def read_sizes(self, section: Section, setting: Setting) -> tuple[int, int]:
        """Outputs, and features of the state. Raises CfgError."""
        outputs = section.integer("output", 1, minimum=1)
        return outputs, section.integer("hidden", outputs, minimum=1)

    def make_linears(self, section: Section, setting: Setting) -> list[Connected]:
        """The input, self and output layer. Raises CfgError."""
        name = section.choice("activation", "logistic", ACTIVATIONS)
        self_name = _SELF_ACTIVATIONS[section.integer("logistic", 0, maximum=2)] or name
        f, self_f = ACTIVATIONS[name], ACTIVATIONS[self_name]
        i, n, norm = self.index, self.hidden, self.batch_normalize
        return [
            Connected(f"{i}.input", (self.inputs, n), f, norm, setting, symbols=i == 0),
            Connected(f"{i}.self", (n, n), self_f, norm, setting, stepwise=True),
            Connected(f"{i}.output", (n, self.outputs), f, norm, setting),
        ]

    def linears(self) -> list[Connected]:
        return [self.input_layer, self.self_layer, self.output_layer]

    def operations(self) -> int:
        return super().operations() + self.hidden

    def shapes(self, time_steps: int, streams: int) -> Shapes:
        return {"state": (time_steps + 1, streams, self.hidden)}

    def scratch_shapes(self, time_steps: int, streams: int) -> Shapes:
        one = (streams, self.hidden)
        return {"d_state": (time_steps, *one), "d_self": (time_steps, *one), "d_before": one}

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Steps, State]:
        time_steps, streams = x.shape[:2]
        a = self.input_layer.forward(x, context.training)
        # states[t] is the state before step t: s_{t-1}
        shapes = self.shapes(time_steps, streams)
        self.states = states = self.buffers.array("state", shapes, a.dtype)
        states[0] = state[0]
        with self.self_layer.steps(time_steps, streams, context.training) as self_step:
            for t in range(time_steps):
                b = self_step(t, states[t])
                np.add(a[t], b, out=states[t + 1])
                if self.shortcut:
                    np.add(states[t + 1], states[t], out=states[t + 1])
        y = self.output_layer.forward(states[1:], context.training)
        return y, (states[time_steps].copy(),)

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        (s,) = state
        a = self.input_layer(x)
        b = self.self_layer(s)
        s = a + (b + s) if self.shortcut else a + b
        return self.output_layer(s), (s,)

    def backward(self, delta: Steps, below: Steps | None) -> None:
        time_steps, streams = delta.shape[:2]
        scratch = self.scratch.arrays(self.scratch_shapes(time_steps, streams), delta.dtype)
        d_state, d_self, d_before = scratch.values()
        self.output_layer.backward(delta, d_state)
        with self.self_layer.steps_back(self.states[:time_steps], d_self) as self_back:
            for t in range(time_steps - 1, -1, -1):
                np.copyto(d_self[t], d_state[t])
                self_back(t, d_before if t > 0 else None)
                if t > 0:
                    if self.shortcut:
                        np.add(d_before, d_state[t], out=d_before)
                    np.add(d_state[t - 1], d_before, out=d_state[t - 1])
        self.input_layer.backward(d_state, below)
