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

from darknet_py.cfg import find_cfg, override_net, parse_cfg
from darknet_py.corpus import Streams, read_text
from darknet_py.generation import generate
from darknet_py.machine import choose_threads, limit_threads
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.replay import Replay

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

    Those that see the state go step by step, all others over all steps at once; the matrices that
    the symbols meet need none, because symbols pick their rows.
    """
    steps, streams = net.net.time_steps, net.streams
    # In [gru] and [lstm] the matrices named w see the state, step by step.
    stepwise = (".self.", ".wz.", ".wr.", ".wh.", ".wi.", ".wf.", ".wo.", ".wg.")
    work = [
        (tensor, any(part in tensor.name for part in stepwise))
        for tensor in net.tensors()
        if tensor.decayed and not (tensor.name.startswith(("0.input.", "0.u")))
    ]
    arrays = {
        width: np.ones((steps, streams, width), np.float32)
        for tensor, _ in work
        for width in tensor.shape
    }
    outs = {width: np.empty_like(array) for width, array in arrays.items()}

    def run() -> None:
        for tensor, by_step in work:
            outputs, inputs = tensor.shape
            x, d = arrays[inputs], arrays[outputs]
            y, below = outs[outputs], outs[inputs]
            rows = slice(None)
            for t in range(steps) if by_step else [rows]:
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


def bench_generation(name: str, length: int) -> None:
    """Characters a second of one stream, beside the network's matrices times vectors alone."""
    net = Network(override_net(find_cfg(name), {"batch": 1, "time_steps": 1}))
    net.initialize(Rand(1))
    for tensor in net.tensors():
        if tensor.name.endswith("rolling_variance"):
            tensor.values.fill(1)
    matrices = [t.values for t in net.tensors() if t.decayed and t.name != "0.input.weight"]
    vectors = [np.ones((1, matrix.shape[1]), np.float32) for matrix in matrices]

    def products() -> None:
        for matrix, vector in zip(matrices, vectors, strict=True):
            np.matmul(vector, matrix.T)

    rates, shares = [], []
    with limit_threads(choose_threads(net)):
        for _ in range(ROUNDS):
            whole = seconds(lambda: list(generate(net, b"a", length)), 1) / length
            bare = seconds(products, length)
            rates.append(1 / whole)
            shares.append(bare / whole)
    print(
        f"generate {name:<9} {statistics.median(rates):>10,.0f} characters a second"
        f" ({min(rates):,.0f} to {max(rates):,.0f}),"
        f" {statistics.median(shares):.0%} of the rate of its bare matrix-vector products"
    )


def bench_replay(width: int, streams: int, time_steps: int) -> None:
    """How many times longer the replay of the C program takes for a datum."""
    text = (
        f"[net]\ninputs=256\nbatch={streams}\ntime_steps={time_steps}\n"
        f"[rnn]\noutput={width}\nactivation=leaky\nbatch_normalize=1\n"
        f"[connected]\noutput=256\nactivation=leaky\n[softmax]\n"
    )
    net = Network(parse_cfg(text))
    net.initialize(Rand(1))
    datum = Streams(read_text(TEXT), streams, net.rand).next_datum(time_steps)
    replay = Replay(net)
    ratios = []
    with limit_threads(choose_threads(net)):
        net.train_batch(*datum)
        for _ in range(3):
            exact = seconds(lambda: net.train_batch(*datum), 3)
            ratios.append(seconds(lambda: replay.train_datum(*datum), 1) / exact)
    print(
        f"replay 1x{width:<9} {statistics.median(ratios):>7.0f} times the exact update"
        f" ({streams} streams, {time_steps} steps)"
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
    bench_training("tiny-gru", 30)
    bench_training("tiny-lstm", 30)
    bench_generation("tiny", 2000)
    bench_generation("rnn", 100)
    bench_replay(48, 16, 32)
    bench_replay(1024, 16, 8)
    bench_rand()
