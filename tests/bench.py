"""Speed, as ratios measured in one run: `make bench`.

The yardstick of a training update is the time of its bare matrix products, the same shapes at the
same number of BLAS threads, taken in turn with the update so that a change of the machine's speed
hits both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from darknet_py.cfg import find_cfg
from darknet_py.corpus import Streams, read_text
from darknet_py.machine import choose_threads, limit_threads
from darknet_py.network import Network
from darknet_py.rand import Rand

ROUNDS = 7
TEXT = Path(__file__).parent.parent / "data" / "tales.txt"


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Mean seconds of one call of `work`."""
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begun) / repeats


def bare_products(net: Network) -> Callable[[], None]:
    """The matrix products of one update alone: forward, delta and gradient of every matrix.

    The self layers go step by step, all others over all steps at once; the first layer's input
    matrix needs none, because symbols pick its rows.
    """
    steps, streams = net.net.time_steps, net.streams
    work = [
        (tensor, ".self." in tensor.name)
        for tensor in net.tensors()
        if tensor.decayed and tensor.name != "0.input.weight"
    ]
    arrays = {
        width: np.ones((steps, streams, width), np.float32)
        for tensor, _ in work
        for width in tensor.shape
    }
    outs = {width: np.empty_like(array) for width, array in arrays.items()}

    def run() -> None:
        for tensor, stepwise in work:
            outputs, inputs = tensor.shape
            x, d = arrays[inputs], arrays[outputs]
            y, below = outs[outputs], outs[inputs]
            rows = slice(None)
            for t in range(steps) if stepwise else [rows]:
                np.matmul(x[t].reshape(-1, inputs), tensor.values.T, out=y[t].reshape(-1, outputs))
                np.matmul(
                    d[t].reshape(-1, outputs), tensor.values, out=below[t].reshape(-1, inputs)
                )
            np.matmul(d.reshape(-1, outputs).T, x.reshape(-1, inputs), out=tensor.updates)

    return run


def bench_training(name: str, repeats: int) -> None:
    net = Network(find_cfg(name))
    net.initialize(Rand(1))
    streams = Streams(read_text(TEXT), net.streams, net.rand)
    products = bare_products(net)

    def update() -> None:
        net.train_batch(*streams.next_datum(net.net.time_steps))

    rates, ratios = [], []
    with limit_threads(choose_threads(net)):
        update()
        products()
        for _ in range(ROUNDS):
            whole, bare = seconds(update, repeats), seconds(products, repeats)
            rates.append(net.net.symbols / whole)
            ratios.append(whole / bare)
    print(
        f"train {name:<12} {statistics.median(rates):>10,.0f} characters a second"
        f" ({min(rates):,.0f} to {max(rates):,.0f}); an update takes"
        f" {statistics.median(ratios):.2f} times its bare matrix products"
        f" ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def bench_rand() -> None:
    count = 9_000_000
    rates = [count / seconds(lambda: Rand(7).uniform(-1, 1, count), 1) for _ in range(ROUNDS)]
    print(
        f"rand               {statistics.median(rates) / 1e6:>8,.0f} million uniform numbers"
        f" a second ({count / statistics.median(rates):.2f} s for {count:,})"
    )


if __name__ == "__main__":
    bench_training("tiny", 50)
    bench_rand()
