"""A datum in segments of a few time steps, for sequences whose activations would not fit in memory.

Forward through all segments keeps only the state before each. Then, the last segment first, each is
computed again and taken backward, handing the delta of its first state to the segment before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from darknet_py.layers.base import Array, State

if TYPE_CHECKING:
    from darknet_py.network import Network


def accumulate_in_segments(
    net: Network, inputs: Array, targets: Array, state: tuple[State, ...], steps: int
) -> tuple[float, tuple[State, ...]]:
    """Forward and backward with memory for `steps` time steps at once; adds to `net.updates`.

    The first segment is the short one, since the last need not be computed twice.
    """
    time_steps = len(inputs)
    firsts = [0, *range(time_steps % steps or steps, time_steps, steps)]
    segments = [
        slice(first, end) for first, end in zip(firsts, [*firsts[1:], time_steps], strict=True)
    ]
    states = [state]
    for segment in segments[:-1]:
        _, reached = net.forward_loss(inputs[segment], targets[segment], states[-1], segment.start)
        states.append(reached)
    rolling = net.rolling_statistics()
    statistics: list[Array] = []
    counts: list[int] = []
    d_state = tuple(tuple(np.zeros_like(array) for array in own) for own in state)
    loss, after = 0.0, state
    for segment, before in zip(reversed(segments), reversed(states), strict=True):
        nats, reached = net.forward_loss(inputs[segment], targets[segment], before, segment.start)
        loss += nats
        if segment is segments[-1]:
            after = reached
            # The rolling statistics are complete here; computing segments again must not count.
            statistics = [tensor.values.copy() for tensor in rolling]
            counts = net.statistics_steps
        d_state = net.backward(targets[segment], d_state)
    for tensor, values in zip(rolling, statistics, strict=True):
        np.copyto(tensor.values, values)
    net.statistics_steps = counts
    return loss, after
