"""Recorded runs of the C programs, and small networks, for all test modules."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darknet_py.cfg import parse_cfg, read_cfg
from darknet_py.dialect import ALEXEYAB, UPSTREAM, Dialect
from darknet_py.errors import DarknetWarning
from darknet_py.kernels import Kernels
from darknet_py.network import Network
from darknet_py.rand import Rand

Array = NDArray[Any]

RECORDED = Path(__file__).parent / "recorded"


def cases(key: str) -> list[str]:
    """The recorded folders whose case.json has `key`."""
    return sorted(path.parent.name for path in RECORDED.glob("*/case.json") if key in case(path))


def case(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def recorded_network(folder: str, weights: str = "model.weights") -> Network:
    """A recorded network, ready to generate, in the dialect that it was recorded in."""
    cfg = read_cfg(RECORDED / folder / "test.cfg")
    net = Network(cfg, ALEXEYAB if folder.startswith("alexeyab") else UPSTREAM)
    with warnings.catch_warnings():
        # Of infinite rolling variances.
        warnings.simplefilter("ignore", DarknetWarning)
        net.load_weights(RECORDED / folder / weights)
    return net


def cfg_text(*sections: str) -> str:
    """A cfg from sections that are written in a line each: `[rnn] output=5 hidden=4`."""
    return "\n\n".join("\n".join(section.split()) for section in sections) + "\n"


def make_network(
    *sections: str,
    dialect: Dialect = UPSTREAM,
    dtype: type[np.floating[Any]] = np.float64,
    seed: int = 1,
    reach: float = 1,
    kernels: Kernels | None = None,
) -> Network:
    """The network of these sections, every parameter of it drawn at random."""
    net = Network(parse_cfg(cfg_text(*sections)), dialect, dtype, kernels)
    randomize(net, seed, reach)
    return net


def randomize(net: Network, seed: int, reach: float = 1) -> None:
    """Draw every parameter; `reach` widens what comes into the activations."""
    rng = np.random.default_rng(seed)
    for tensor in net.tensors():
        kind = tensor.name.rsplit(".", 1)[-1]
        if kind == "weight":
            spread = reach / np.sqrt(min(tensor.shape[-1], 4))
            tensor.values[...] = spread * rng.standard_normal(tensor.shape)
        elif kind == "scale":
            tensor.values[...] = reach * rng.uniform(0.5, 1.5, tensor.shape)
        elif kind == "rolling_variance":
            tensor.values[...] = rng.uniform(0.5, 2, tensor.shape)
        else:
            tensor.values[...] = 0.4 * reach * rng.standard_normal(tensor.shape)


def draw_symbols(net: Network, seed: int = 2, time_steps: int = 0) -> tuple[Array, Array]:
    """Random inputs and targets of one datum."""
    rng = np.random.default_rng(seed)
    shape = (2, time_steps or net.options.time_steps, net.streams)
    inputs, targets = rng.integers(0, net.inputs, shape)
    return inputs, targets


def summed_loss(net: Network, inputs: Array, targets: Array, state: Any) -> float:
    """The summed loss of one datum as training computes it, always with the same draws."""
    net.use_rand(Rand(4))
    net.forward(inputs, state, run=net.step.training_pass())
    return float(np.sum(net.loss_layer.losses(targets)))
