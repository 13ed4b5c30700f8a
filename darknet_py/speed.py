"""How fast a network can be on this machine, at best."""

from __future__ import annotations

import math
import time

import numpy as np

from darknet_py.model import Model

SECONDS = 0.03  # that a measurement takes
SLOW = 5.0  # seconds of an update that one should know of beforehand
LEAST, MOST = 3, 1000  # products in it


def training_speed(model: Model) -> float:
    """Symbols a second to train, if there were nothing but this network's products, measured here.

    Training takes three products for each of generation's: forward, and two backward.
    """
    rows = max(1, min(4096, model.options.time_steps * model.options.streams))
    return _product_rate(rows, model) / 3


def generating_speed(model: Model) -> float:
    """The same to generate one text."""
    return _product_rate(1, model)


def _product_rate(rows: int, model: Model) -> float:
    """Symbols a second whose forward products are made, at the rate of the largest matrix times so
    many rows, by BLAS with one thread.
    """
    from threadpoolctl import threadpool_limits

    outputs, inputs = max(
        (t.shape for t in model.tensors() if len(t.shape) == 2), default=(1, 1), key=math.prod
    )
    per_symbol = max(1, sum(layer.operations() for layer in model.layers))
    x, weights = np.ones((rows, inputs), np.float32), np.ones((outputs, inputs), np.float32)
    best, count = math.inf, 0
    with threadpool_limits(1, user_api="blas"):
        end = time.perf_counter() + SECONDS
        while count < LEAST or (count < MOST and time.perf_counter() < end):
            begun = time.perf_counter()
            x @ weights.T
            best = min(best, time.perf_counter() - begun)
            count += 1
    return 2 * rows * inputs * outputs / max(1e-9, best) / per_symbol


def long_wait(symbols: int, speed: float) -> int | None:
    """Seconds of an update of so many symbols, about, where one should know of them beforehand."""
    seconds = symbols / speed
    return rounded(seconds) if seconds >= SLOW else None


def rounded(speed: float) -> int:
    """To two digits, as exact as a measurement is."""
    return int(float(f"{speed:.1e}"))
