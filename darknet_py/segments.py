"""A datum in segments of a few time steps, for sequences whose activations would not fit in memory.

Forward through all segments keeps only the state before each. Then, the last segment first, each is
computed again and taken backward, handing the delta of its first state to the segment before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from darknet_py.arrays import Array, Codes
from darknet_py.layers.base import Pass
from darknet_py.model import Model, NetworkState


def accumulate_in_segments(
    model: Model, inputs: Codes, targets: Codes, state: NetworkState, run: Pass, steps: int
) -> tuple[float, NetworkState]:
    """Forward and backward with memory for `steps` time steps at once; adds to `model.updates`.

    The first segment is the short one, since the last need not be computed twice.
    """
    time_steps = len(inputs)
    firsts = [0, *range(time_steps % steps or steps, time_steps, steps)]
    segments = [
        slice(first, end) for first, end in zip(firsts, [*firsts[1:], time_steps], strict=True)
    ]

    def forward(segment: slice, before: NetworkState) -> tuple[float, NetworkState]:
        own = replace(run, first_step=segment.start)
        return model.forward_loss(inputs[segment], targets[segment], before, own)

    states = [state]
    for segment in segments[:-1]:
        states.append(forward(segment, states[-1])[1])
    rolling = model.rolling_statistics()
    statistics: list[Array] = []
    counts: list[int] = []
    d_state = tuple(tuple(np.zeros_like(array) for array in own) for own in state)
    loss, after = 0.0, state
    for segment, before in zip(reversed(segments), reversed(states), strict=True):
        nats, reached = forward(segment, before)
        loss += nats
        if segment is segments[-1]:
            after = reached
            # The rolling statistics are complete here; computing segments again must not count.
            statistics = [tensor.values.copy() for tensor in rolling]
            counts = model.statistics_steps
        d_state = model.backward(targets[segment], d_state)
    for tensor, values in zip(rolling, statistics, strict=True):
        np.copyto(tensor.values, values)
    model.statistics_steps = counts
    return loss, after
