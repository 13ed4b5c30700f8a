"""A datum in parts of a few time steps, for sequences whose activations would not fit in memory.

Forward through all parts keeps only the state before each. Then, the last part first, each is
computed again and taken backward, handing the delta of its first state to the part before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from darknet_py.layers.base import Array, State
from darknet_py.layers.dropout import DropoutLayer
from darknet_py.rand import Rand

if TYPE_CHECKING:
    from darknet_py.network import Network


def accumulate_in_parts(
    net: Network, inputs: Array, targets: Array, state: tuple[State, ...], steps: int
) -> tuple[float, tuple[State, ...]]:
    """`net.accumulate` with memory for `steps` time steps at once; the same but for rounding."""
    time_steps = len(inputs)
    parts = [slice(t, t + steps) for t in range(0, time_steps, steps)]
    drawn = net.rand.drawn
    states = [state]
    for part in parts[:-1]:
        _place_draws(net, drawn, part.start, time_steps)
        states.append(net.forward(inputs[part], states[-1], training=True)[1])
    rolling = [tensor for tensor in net.tensors() if not tensor.trained]
    statistics: list[Array] = []
    summed = np.zeros_like(net.updates)
    d_state = tuple(tuple(np.zeros_like(array) for array in own) for own in state)
    loss, after = 0.0, state
    for part, before in zip(reversed(parts), reversed(states), strict=True):
        _place_draws(net, drawn, part.start, time_steps)
        nats, reached = net.forward_loss(inputs[part], targets[part], before)
        loss += nats
        if part is parts[-1]:
            after = reached
            # The rolling statistics are complete here; computing parts again must not count.
            statistics = [tensor.values.copy() for tensor in rolling]
        d_state = net.backward(targets[part], d_state)
        np.add(summed, net.updates, out=summed)
    np.copyto(net.updates, summed)
    for tensor, values in zip(rolling, statistics, strict=True):
        np.copyto(tensor.values, values)
    net.rand.skip(_place_draws(net, drawn, time_steps, time_steps) - drawn)
    net.use_rand(net.rand)
    return loss, after


def _place_draws(net: Network, drawn: int, step: int, time_steps: int) -> int:
    """Let each dropout draw what it would draw from this step on if the datum were computed whole.

    drawn: the numbers drawn before the datum. Returns how many are drawn after it.
    """
    for layer in net.layers:
        if isinstance(layer, DropoutLayer) and layer.index >= net.first_trained:
            per_step = net.streams * layer.outputs
            layer.rand = Rand(net.rand.seed, drawn + step * per_step)
            drawn += time_steps * per_step
    return drawn
