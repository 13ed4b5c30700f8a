"""How fast a network can be on this machine, at best."""

from __future__ import annotations

import math
import time

import numpy as np

from darknet_py.model import Model

SECONDS = 0.03  # that a measurement takes
LEAST, MOST = 3, 1000  # products in it


def expected_speed(model: Model) -> dict[str, float]:
    """Symbols a second if there were nothing but this network's products, measured here.

    Training takes three products for each of generation's: forward, and two backward.
    """
    largest = max(
        (t.shape for t in model.tensors() if len(t.shape) == 2), default=(1, 1), key=math.prod
    )
    rows = max(1, min(4096, model.options.time_steps * model.options.streams))
    per_symbol = max(1, sum(layer.operations() for layer in model.layers))
    return {
        "train": _product_rate(rows, *largest) / (3 * per_symbol),
        "generate": _product_rate(1, *largest) / per_symbol,
    }


def _product_rate(rows: int, outputs: int, inputs: int) -> float:
    """Operations a second of (rows, inputs) times (inputs, outputs), by BLAS with one thread."""
    from threadpoolctl import threadpool_limits

    x, weights = np.ones((rows, inputs), np.float32), np.ones((outputs, inputs), np.float32)
    best, count = math.inf, 0
    with threadpool_limits(1, user_api="blas"):
        end = time.perf_counter() + SECONDS
        while count < LEAST or (count < MOST and time.perf_counter() < end):
            begun = time.perf_counter()
            x @ weights.T
            best = min(best, time.perf_counter() - begun)
            count += 1
    return 2 * rows * inputs * outputs / max(1e-9, best)
