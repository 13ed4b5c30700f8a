"""The learning rate at a batch number: darknet's `get_current_rate`, number types and all."""

from __future__ import annotations

import numpy as np

from darknet_py.c_exact.arithmetic import c_exp, c_pow
from darknet_py.options import NetOptions
from darknet_py.rand import Rand


def current_rate(net: NetOptions, batch: int, rand: Rand) -> np.float32:
    """The f32 rate at batch number `batch`.

    rand: `policy=random` draws from it on every call, even from one that only prints the rate.
    """
    rate = np.float32(net.learning_rate)
    power = float(np.float32(net.power))
    gamma = np.float32(net.gamma)
    if batch < net.burn_in:
        return _times(rate, c_pow(float(np.float32(batch) / np.float32(net.burn_in)), power))
    match net.policy:
        case "step":
            return _times(rate, c_pow(float(np.float32(net.scale)), batch // net.step))
        case "steps":
            for step, scale in zip(net.steps, net.scales, strict=True):
                if step > batch:
                    break
                rate = rate * np.float32(scale)
        case "exp":
            return _times(rate, c_pow(float(gamma), batch))
        case "poly":
            left = np.float32(1) - np.float32(batch) / np.float32(net.max_batches)
            return _times(rate, c_pow(float(left), power))
        case "sigmoid":
            # The difference is unsigned in C: below `step` it wraps to nearly 2^64.
            past = np.float32((batch - net.step) % 2**64)
            return _times(rate, 1 / (1 + c_exp(float(gamma * past))))
        case "random":
            return _times(rate, c_pow(float(rand.uniform(0, 1, 1)[0]), power))
    return rate


def _times(rate: np.float32, factor: float) -> np.float32:
    return np.float32(float(rate) * factor)
