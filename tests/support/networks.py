"""Small networks with drawn parameters, what they are fed, and the dialects they come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darknet_py.cfg import parse_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.tier import NUMPY, Tier

Array = NDArray[Any]

# Without batch norm the dialects have the same formulas.
NORMS = [
    pytest.param(0, UPSTREAM, id="plain"),
    pytest.param(1, UPSTREAM, id="upstream-bn"),
    pytest.param(1, ALEXEYAB, id="alexeyab-bn"),
]
norms = pytest.mark.parametrize(("bn", "dialect"), NORMS)
both_dialects = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def cfg_text(*sections: str) -> str:
    """A cfg from sections that are written in a line each: `[rnn] output=5 hidden=4`."""
    return "\n\n".join("\n".join(section.split()) for section in sections) + "\n"


def make_network(
    *sections: str,
    dialect: Dialect = UPSTREAM,
    dtype: type[np.floating[Any]] = np.float64,
    seed: int = 1,
    reach: float = 1,
    tier: Tier = NUMPY,
) -> Network:
    """The network of these sections, every parameter of it drawn at random."""
    net = Network(parse_cfg(cfg_text(*sections)), dialect, dtype, tier)
    randomize(net, seed, reach)
    return net


def randomize(net: Network, seed: int, reach: float = 1) -> None:
    """Draw every parameter; `reach` widens what comes into the activations."""
    rng = np.random.default_rng(seed)
    for tensor in net.tensors():
        kind = tensor.name.rsplit(".", 1)[-1]
        if kind == "weight":
            spread = reach / np.sqrt(min(tensor.shape[1], 4))
            tensor.values[...] = spread * rng.standard_normal(tensor.shape)
        elif kind == "scale":
            tensor.values[...] = reach * rng.uniform(0.5, 1.5, tensor.shape)
        elif kind == "rolling_variance":
            tensor.values[...] = rng.uniform(0.5, 2, tensor.shape)
        else:
            tensor.values[...] = 0.4 * reach * rng.standard_normal(tensor.shape)


def values_of(net: Network) -> dict[str, Array]:
    """A copy of every tensor, by its name."""
    return {tensor.name: tensor.values.copy() for tensor in net.tensors()}


def draw_symbols(net: Network, seed: int = 2, time_steps: int = 0) -> tuple[Array, Array]:
    """Random inputs and targets of one datum."""
    rng = np.random.default_rng(seed)
    shape = (2, time_steps or net.options.time_steps, net.streams)
    inputs, targets = rng.integers(0, net.inputs, shape)
    return inputs, targets


def summed_loss(net: Network, inputs: Array, targets: Array, state: Any) -> float:
    """The summed loss of one datum as training computes it, always with the same draws."""
    net.use_rand(Rand(4))
    net.forward(inputs, state, context=net.trainer.training_context())
    return float(np.sum(net.loss_layer.losses(targets)))


def randomized(net: Network, seed: int = 1) -> Network:
    """`net` with parameters so large that it has preferences."""
    net.parameters[...] = np.random.default_rng(seed).normal(0, 0.7, len(net.parameters))
    return net
