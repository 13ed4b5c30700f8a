"""Ways to copy a network, and what a copy must have in common with the original."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from darknet_py.network import Network
from tests.support.networks import draw_symbols

SYMBOLS = 7  # of the networks that are copied
COPIERS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


def train(net: Network, seeds: range) -> list[float]:
    return [net.train_batch(*draw_symbols(net, seed)) for seed in seeds]


def bits(net: Network) -> list[bytes]:
    """All that a network's next steps depend on."""
    states = [part for own in (*net.trainer.state, *net.prediction_state) for part in own]
    vectors = [net.parameters, net.updates, *net.trainer.optimizer.memory.values(), *states]
    numbers = [
        net.seen,
        net.trainer.optimizer.count,
        net.rand.seed,
        net.rand.drawn,
    ]
    return [array.tobytes() for array in vectors] + [repr(number).encode() for number in numbers]


def check_tensors_are_views(net: Network) -> None:
    for tensor in net.tensors():
        assert np.shares_memory(tensor.values, net.parameters)
        assert np.shares_memory(tensor.updates, net.updates)
