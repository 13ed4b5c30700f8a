"""darknet's plain recurrent layer, walked as in `rnn_layer.c`.

s_t = input(x_t) + self(s_{t-1})  (+ s_{t-1} with shortcut=1),   y_t = output(s_t)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.base import CLayer, UpdateArgs
from darknet_py.c_exact.connected import Connected
from darknet_py.layers import rnn as exact
from darknet_py.network import Network


class RnnLayer(CLayer):
    """`[rnn]`: three connected layers around a state (streams, hidden).

    states (time_steps + 1, streams, hidden): states[t] is the state before step t. The C program
    allocates one of them and walks over all.
    """

    takes_symbols = True
    connected: Callable[[Any], Connected] = Connected

    def __init__(self, like: exact.RnnLayer, net: Network) -> None:
        # In C the inner layers never see `learning_rate`.
        self.parts = [self.connected(part) for part in like.linears()]
        self.input_layer, self.self_layer, self.output_layer = self.parts
        self.shortcut = like.shortcut
        self.reset_state()

    def reset_state(self) -> None:
        self.state = np.zeros((1, self.self_layer.outputs), np.float32)

    def forward(self, x: Array, truth: Array | None) -> None:
        time_steps, streams = x.shape[:2]
        train = truth is not None
        for layer in self.parts:
            layer.clear(time_steps, streams)
        self.output, self.delta = self.output_layer.output, self.output_layer.delta
        states = np.zeros((time_steps + 1, streams, self.self_layer.outputs), np.float32)
        if not train:
            states[0] = self.state
        for t in range(time_steps):
            self.input_layer.forward(t, x[t], train)
            self.self_layer.forward(t, states[t], train)
            if self.shortcut:
                states[t + 1] = states[t]
            states[t + 1] += self.input_layer.output[t]
            states[t + 1] += self.self_layer.output[t]
            self.output_layer.forward(t, states[t + 1], train)
        if not train:
            self.state = states[time_steps]
        self.states = states

    def backward(self, x: Array, below: Array | None) -> None:
        input_layer, self_layer, output_layer = self.parts
        for t in range(len(x) - 1, -1, -1):
            # C rebuilds the state, and forgets the shortcut's term.
            self.states[t + 1] = input_layer.output[t] + self_layer.output[t]
            output_layer.backward(t, self.states[t + 1], self_layer.delta[t])

            # Now self_layer.delta[t] is the delta of the state s_t, which the input layer and the
            # shortcut should get. C gives them what the self layer's backward has made of it.
            before = self_layer.delta[t - 1] if t > 0 else None
            self_layer.backward(t, self.states[t], before)
            input_layer.delta[t] = self_layer.delta[t]
            if self.shortcut and before is not None:
                before += self_layer.delta[t]
            input_layer.backward(t, x[t], None if below is None else below[t])

    def update(self, args: UpdateArgs) -> None:
        for layer in self.parts:
            layer.update(args)
