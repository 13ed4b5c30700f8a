"""Analytic gradients against central differences in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darknet_py.layers.connected import Connected
from darknet_py.layers.norm import SMALLEST_DEVIATION, Norm
from darknet_py.network import Network
from darknet_py.rand import Rand
from tests.support.networks import Array, draw_symbols, summed_loss

STEP = 1e-5
TOLERANCE = 5e-8  # of the largest entry

# Those that are multiplied with the state.
RECURRENT = {
    "rnn": ("self_layer",),
    "crnn": ("self_layer",),
    "gru": ("wzr", "wh"),
    "lstm": ("w",),
}


def smallest_deviation(net: Network, state: Any) -> float:
    """Of all batch norm columns of the last forward; a state of zeros, which has none, left out."""
    smallest = np.inf
    for layer, before in zip(net.layers, state, strict=True):
        for name, part in vars(layer).items():
            norm = part.norm if isinstance(part, Connected) else part
            if not isinstance(norm, Norm) or not hasattr(norm, "variance"):
                continue  # The parts of a stack have none: it computes for them.
            deviations = np.sqrt(norm.variance)
            if name in RECURRENT.get(layer.kind, ()) and not before[0].any():
                assert not deviations[0].any()
                deviations = deviations[1:]
            smallest = min(smallest, float(deviations.min()))
    return smallest


def slope(net: Network, values: Array, direction: Array, *datum: Any) -> float:
    """The central difference of the loss where `values` of the network move along a direction."""
    before, losses = values.copy(), []
    for sign in (1, -1):
        values[...] = before + sign * STEP * direction
        losses.append(summed_loss(net, *datum))
    values[...] = before
    return (losses[0] - losses[1]) / (2 * STEP)


def random_state(net: Network) -> Any:
    rng = np.random.default_rng(9)
    return tuple(
        tuple(rng.standard_normal(part.shape) for part in layer)
        for layer in net.initial_state(net.streams)
    )


def check_gradient(net: Network, state: Any = None, share: float = 1) -> None:
    """The updates are `share` times minus the gradient, along a random direction of each tensor.

    A kink or a flat column within reach of STEP fails here: choose another seed.
    """
    inputs, targets = draw_symbols(net)
    state = state or net.initial_state(net.streams)
    net.use_rand(Rand(4))
    loss, _ = net.trainer.accumulate(inputs, targets, state)
    assert smallest_deviation(net, state) > SMALLEST_DEVIATION
    analytic = -net.updates
    assert loss == pytest.approx(summed_loss(net, inputs, targets, state), rel=1e-13)
    largest = np.abs(analytic).max()
    assert largest > 1e-2
    rng = np.random.default_rng(5)
    for tensor in net.tensors():
        direction = rng.standard_normal(tensor.shape)
        direction /= np.linalg.norm(direction)
        numeric = share * slope(net, tensor.values, direction, inputs, targets, state)
        found = float(np.sum(analytic[tensor.span] * direction.ravel()))
        assert found == pytest.approx(numeric, rel=0, abs=TOLERANCE * largest), tensor.name
