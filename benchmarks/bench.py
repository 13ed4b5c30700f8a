"""Speed, as ratios measured in one run: `make bench`, or `make bench-quick` for daily work.

Every row is the median of pairs that were measured in turn, so that a change of the machine's speed
hits both sides, with the smallest and the largest. The yardsticks: the same network in PyTorch, in
an environment of its own (`bench_torch.py`), and the bare matrix products of an update.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import history
from benchmarks.bench_precision import MARK
from darknet_py.c_exact import CNetwork
from darknet_py.cfg import find_cfg, parse_cfg
from darknet_py.engine import bf16_way, choose
from darknet_py.engine.compiled.team import TEAM
from darknet_py.inference.generation import generate, generate_samples
from darknet_py.machine import processors
from darknet_py.network import Network
from darknet_py.options import override
from darknet_py.rand import Rand
from darknet_py.text.corpus import Streams, read_text
from darknet_py.training.threads import Threads, thread_choices

HERE = Path(__file__).parent
TEXT = HERE.parent / "data" / "tales.txt"
# Layers, width, time steps, streams.
SIZES = [(2, 128, 32, 16), (2, 128, 50, 50), (3, 256, 64, 32), (2, 512, 64, 64), (3, 1024, 32, 128)]
ROUNDS = 5
PAIR_SECONDS = 0.4
# A BLAS thread without work spins for about 0.1 s before it sleeps, which halves PyTorch's speed.
SLEEP = 0.3
# Seconds that PyTorch may take to make a network, without and with torch.compile.
START, COMPILE = 60.0, 300.0
# Of each part of a pair while another program runs, trials of the number of threads included.
BUSY_SECONDS = 5.0


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Mean seconds of one call of `work`."""
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begun) / repeats


def limit_threads(count: int) -> Any:
    """A context manager in which BLAS uses `count` threads."""
    return threadpool_limits(count, user_api="blas")


def spread(ratios: list[float], form: str = ".2f") -> str:
    """Median, least and largest."""
    middle = statistics.median(ratios)
    return f"{middle:{form}} ({min(ratios):{form}} to {max(ratios):{form}})"


class Peer:
    """A network in PyTorch, in another process.

    python: that has torch. job: what `bench_torch.make` takes. Raises PeerError if there is none,
    or if it takes longer than `limit` seconds to make it.
    """

    def __init__(self, python: str | None, job: dict[str, Any], limit: float) -> None:
        if python is None:
            raise PeerError
        self.process = subprocess.Popen(
            [python, str(HERE / "bench_torch.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        watch = threading.Timer(limit, self.process.kill)
        watch.start()
        try:
            if not isinstance(self.ask(make=job), str):
                raise PeerError
        except (OSError, ValueError) as error:
            raise PeerError from error
        finally:
            watch.cancel()

    def ask(self, **job: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, count: int) -> float:
        """Seconds of an update, the mean of so many."""
        return float(self.ask(run=count))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class PeerError(Exception):
    """The peer cannot be measured."""


def make_net(
    kind: str,
    size: tuple[int, int, int, int],
    adam: bool,
    engine: str = "numpy",
    precision: str = "f32",
) -> Network:
    layers, width, steps, streams = size
    section = {
        "rnn": f"[rnn]\noutput={width}\nactivation=leaky\nbatch_normalize=1\n",
        "plain": f"[rnn]\noutput={width}\nactivation=tanh\n",
        "gru": f"[gru]\noutput={width}\ntanh=1\n",
        "lstm": f"[lstm]\noutput={width}\n",
    }[kind]
    net = Network(
        parse_cfg(
            f"[net]\ninputs=256\nbatch={streams}\ntime_steps={steps}\nadam={int(adam)}\n"
            f"learning_rate=.001\n{section * layers}[connected]\noutput=256\nactivation=linear\n"
            "[softmax]\n"
        ),
        tier=choose(engine, precision),
    )
    net.initialize(Rand(1))
    return net


def make_peers(python: str | None, job: dict[str, Any], limit: float) -> dict[str, Peer]:
    """PyTorch's ways, as far as they are: eager and compiled, in float32 and under autocast."""
    peers = {}
    for precision in ("f32", "bf16"):
        for how in ("eager", "compiled") if limit else ("eager",):
            more = {"compile": how == "compiled", "autocast": precision == "bf16"}
            with contextlib.suppress(PeerError):
                peers[f"{precision} {how}"] = Peer(python, job | more, limit or START)
    return peers


def bench_with_torch(
    python: str | None, kind: str, size: tuple[int, int, int, int], adam: bool, limit: float
) -> list[str]:
    """Milliseconds of one update and the ratios to PyTorch's and to the bare products.

    numpy's with as many threads as the program would try first; the engine's with a thread on each
    processor, and with one. limit: seconds that torch.compile may take; 0: without it.
    """
    net = make_net(kind, size, adam)
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 96, (net.options.time_steps + 1, net.streams))
    layers, width, steps, streams = size
    threads = thread_choices(net)[0]
    products = bare_products(net)
    job = {"kind": kind, "layers": layers, "width": width, "steps": steps, "streams": streams}
    peers = make_peers(python, {**job, "adam": adam, "threads": processors()}, limit)

    def by_numpy(count: int) -> float:
        with limit_threads(threads):
            return seconds(lambda: net.train_batch(symbols[:-1], symbols[1:]), count)

    def by_engine(threads: int, precision: str) -> Callable[[int], float]:
        """Seconds of an update."""
        fast = make_net(kind, size, adam, "compiled", precision)

        def work(count: int) -> float:
            TEAM.threads = threads
            with limit_threads(1):
                return seconds(lambda: fast.train_batch(symbols[:-1], symbols[1:]), count)

        return work

    def bare(count: int) -> float:
        # Each at the better of one thread and all.
        times = []
        for number in {1, processors()}:
            with limit_threads(number):
                times.append(seconds(products, count))
        return min(times)

    works: dict[str, Callable[[int], float]] = {
        "numpy": by_numpy,
        "f32": by_engine(processors(), "f32"),
        "alone": by_engine(1, "f32"),
        "bare": bare,
    }
    if bf16_way() != "loop":
        works["bf16"] = by_engine(processors(), "bf16")
    works |= peers
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(2)
    repeats = {name: max(1, int(PAIR_SECONDS / work(1))) for name, work in works.items()}
    for _ in range(ROUNDS):
        for name, work in works.items():
            time.sleep(SLEEP)
            times[name].append(work(repeats[name]))
    for peer in peers.values():
        peer.close()
    for name in ("f32", "bf16"):
        if chosen := [way for way in peers if way.startswith(name)]:
            times[f"torch {name}"] = min((times[way] for way in chosen), key=statistics.median)
    if chosen := [name for name in ("torch f32", "torch bf16") if name in times]:
        times["torch"] = min((times[name] for name in chosen), key=statistics.median)

    def ms(name: str) -> str:
        return f"{statistics.median(times[name]) * 1e3:.1f}" if name in times else "-"

    def ratio(above: str, below: str) -> str:
        if above not in times or below not in times:
            return "not measured"
        pairs = zip(times[above], times[below], strict=True)
        return spread([one / other for one, other in pairs])

    return [
        f"{kind} {layers}x{width}, {steps} steps, {streams} streams",
        *map(ms, ("numpy", "f32", "bf16", "torch f32", "torch bf16")),
        ratio("torch f32", "numpy"),
        ratio("torch f32", "f32"),
        ratio("torch", "bf16"),
        ratio("f32", "bf16"),
        ratio("f32", "bare"),
        ratio("alone", "f32"),
    ]


def bench_busy(kind: str, size: tuple[int, int, int, int], adam: bool) -> str:
    """How much slower than with one thread a run is while another program keeps a core busy."""
    nets = [make_net(kind, size, adam, "compiled") for _ in range(2)]
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 96, (size[2] + 1, size[3]))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    ratios = []
    try:
        for _ in range(ROUNDS):
            spent = []
            alone = Threads(nets[1], 1)
            for net, threads in zip(nets, (Threads(nets[0]), alone), strict=True):
                begun = time.perf_counter()
                with threads:
                    while time.perf_counter() - begun < BUSY_SECONDS:
                        before = time.perf_counter()
                        net.train_batch(symbols[:-1], symbols[1:])
                        threads.batch_done(time.perf_counter() - before)
                        spent.append((threads, time.perf_counter() - before))
            chosen, one = (
                statistics.mean(took for used, took in spent if (used is alone) == is_one)
                for is_one in (False, True)
            )
            ratios.append(chosen / one)
    finally:
        busy.kill()
        busy.wait()
    layers, width, steps, streams = size
    name = f"{kind} {layers}x{width}, {steps} steps, {streams} streams"
    return f"{name}, while another program keeps a core busy: {spread(ratios)} of one thread's time"


def bare_products(net: Network) -> Callable[[], None]:
    """The matrix products of one update alone: forward, delta and gradient of every matrix.

    Those that see the state go step by step, all others over all steps at once; the matrices that
    the symbols meet need none, because symbols pick their rows.
    """
    steps, streams = net.options.time_steps, net.streams
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


def generating(name: str, engine: str) -> Network:
    """A bundled network, new, with rolling variances of 1, for one stream."""
    cfg = override(find_cfg(name), {"batch": 1, "time_steps": 1})
    net = Network(cfg, tier=choose(engine))
    net.initialize(Rand(1))
    for tensor in net.tensors():
        if tensor.name.endswith("rolling_variance"):
            tensor.values.fill(1)
    return net


def bench_generation(name: str, length: int, engine: str) -> str:
    """Characters a second of one stream, versus the network's matrices times vectors alone."""
    net = generating(name, engine)
    matrices = [t.values for t in net.tensors() if t.decayed and t.name != "0.input.weight"]
    vectors = [np.ones((1, matrix.shape[1]), np.float32) for matrix in matrices]

    def products() -> None:
        for matrix, vector in zip(matrices, vectors, strict=True):
            np.matmul(vector, matrix.T)

    rates, shares = [], []
    with limit_threads(thread_choices(net)[0]):
        for _ in range(ROUNDS):
            whole = seconds(lambda: list(generate(net, b"a", length)), 1) / length
            bare = seconds(products, length)
            rates.append(1 / whole)
            shares.append(bare / whole)
    return (
        f"`{name}` generates, {engine}, {statistics.median(rates):,.0f} bytes a second, "
        f"{spread(shares, '.0%')} of the rate of its bare matrix-vector products"
    )


def bench_c_exact(width: int, streams: int, time_steps: int) -> str:
    """How many times longer the C-exact update takes for a datum."""
    text = (
        f"[net]\ninputs=256\nbatch={streams}\ntime_steps={time_steps}\n"
        f"[rnn]\noutput={width}\nactivation=leaky\nbatch_normalize=1\n"
        f"[connected]\noutput=256\nactivation=leaky\n[softmax]\n"
    )
    net = Network(parse_cfg(text))
    net.initialize(Rand(1))
    datum = Streams(read_text(TEXT), streams, net.rand).next_datum(time_steps)
    c_net = CNetwork(net)
    ratios = []
    with limit_threads(thread_choices(net)[0]):
        net.train_batch(*datum)
        for _ in range(3):
            exact = seconds(lambda: net.train_batch(*datum), 3)
            ratios.append(seconds(lambda: c_net.train_datum(*datum), 1) / exact)
    return f"the C-exact update, 1x{width}: {spread(ratios, '.0f')} times the exact update"


def bench_rand() -> str:
    count = 9_000_000
    rates = [count / seconds(lambda: Rand(7).uniform(-1, 1, count), 1) for _ in range(ROUNDS)]
    return f"{count:,} uniform random numbers take {count / statistics.median(rates):.2f} s"


def bench_samples(count: int, length: int) -> str:
    """Characters a second of `count` texts as one batch, versus one text."""
    net = generating("rnn", "compiled")
    with limit_threads(thread_choices(net)[0]):
        ratios = []
        for _ in range(ROUNDS):
            one = seconds(lambda: list(generate(net, b"a", length)), 1)
            many = seconds(lambda: generate_samples(net, b"a", length, samples=count), 1)
            ratios.append(one * count / many)
    return f"`--samples {count}` with `rnn`: {spread(ratios)} times the bytes a second of one"


def bench_start() -> list[str]:
    """Seconds of whole commands."""
    rows = []
    program = [sys.executable, "-m", "darknet_py"]
    for words in (["--version"], ["info", "tiny"]):
        command = [*program, *words]

        def start(command: list[str] = command) -> None:
            subprocess.run(command, capture_output=True, check=True)

        times = [seconds(start, 1) for _ in range(ROUNDS)]
        rows.append(f"`darknet-py {' '.join(words)}`: {spread(times)} s")
    return rows


def processor() -> str:
    """The name of the machine's processor, as far as it tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine_name() -> str:
    """The machine, and what runs on it."""
    import numba

    return (
        f"{processors()} cores of an {processor()}, bf16 by {bf16_way()}, {platform.system()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}"
    )


HEAD = (
    "network",
    "numpy, ms",
    "f32, ms",
    "bf16, ms",
    "PyTorch f32, ms",
    "PyTorch bf16, ms",
    "PyTorch f32 / numpy",
    "PyTorch f32 / f32",
    "PyTorch / bf16",
    "f32 / bf16",
    "f32 / bare products",
    "one thread / all",
)


def report(python: str | None, quick: bool, limit: float, measured: history.Rows) -> Iterator[str]:
    """The lines of docs/benchmarks.md; the numbers of its table come into `measured`."""

    yield "# Benchmarks"
    yield ""
    yield "Made by `make bench`: medians of pairs measured in turn in one run, the smallest and the"
    yield "largest in brackets. Milliseconds are of one update."
    yield ""
    yield f"Machine: {machine_name()}."
    minutes = (
        f"in the table where it takes less than {limit / 60:g} minutes" if limit else "left out"
    )
    yield f"""\
f32 and bf16 are the engine's, with {processors()} threads; bf16 in tiles (Intel AMX) or pairs
(AVX-512), if the processor has instructions for it.
numpy has the threads that `train` would try first. PyTorch f32 is the better of eager and
compiled, PyTorch bf16 the same under autocast, PyTorch the best of all; torch.compile is
{minutes}. The bare products are those of the update by numpy, with one thread or all,
whichever is faster. The last column is the time of the engine's one thread by that of
all, in f32.
"""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{'---|' * len(HEAD)}"
    sizes = SIZES[:3] if quick else SIZES
    rows = [("rnn", size, False) for size in sizes]
    rows += [("plain", size, False) for size in ([] if quick else sizes)]
    rows += [(kind, (2, 256, 64, 32), True) for kind in ("gru", "lstm")]
    for kind, size, adam in rows:
        cells = bench_with_torch(python, kind, size, adam, limit)
        measured[cells[0]] = history.numbers(HEAD, cells)
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "`rnn` is darknet's layer with batch norm and leaky activations, trained by SGD. `plain`"
    yield "is the same with tanh and without batch norm, against `torch.nn.RNN`. `gru` and `lstm`"
    yield "are trained by Adam, against `torch.nn.GRU` and `torch.nn.LSTM`."
    yield ""
    for name, length in (("tiny", 5000), ("tiny-gru", 5000), ("rnn", 700)):
        for engine in ("numpy", "compiled"):
            yield f"* {bench_generation(name, length, engine)}"
    if not quick:
        for kind, size, adam in (("rnn", SIZES[0], False), ("lstm", (2, 256, 64, 32), True)):
            yield f"* {bench_busy(kind, size, adam)}"
    if not quick:
        yield f"* {bench_samples(16, 500)}"
    for line in bench_start():
        yield f"* {line}"
    yield f"* {bench_c_exact(48, 16, 32)}"
    if not quick:
        yield f"* {bench_c_exact(1024, 16, 8)}"
        yield f"* {bench_rand()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", help="the Python that has torch installed")
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument(
        "--compile",
        type=float,
        default=COMPILE,
        metavar="SECONDS",
        help="how long torch.compile may take; 0: without it",
    )
    parser.add_argument("--write", type=Path, help="also write the report to this file")
    parser.add_argument(
        "--history", type=Path, help="compare with the last run in this file, and add this one"
    )
    options = parser.parse_args()
    global ROUNDS, PAIR_SECONDS
    if options.quick:
        ROUNDS, PAIR_SECONDS = 3, 0.25
    lines = []
    measured: history.Rows = {}
    limit = 0.0 if options.quick else options.compile
    for line in report(options.torch, options.quick, limit, measured):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        options.write.parent.mkdir(exist_ok=True)
        page = options.write.read_text(encoding="utf-8") if options.write.exists() else ""
        kept = "".join(page.partition(MARK)[1:])
        options.write.write_text("\n".join([*lines, kept]), encoding="utf-8")
    if options.history:
        new = history.entry(measured, processor(), machine_name())
        print()
        for line in history.comparison(new, history.last(options.history, processor())):
            print(line)
        history.append(options.history, new)


if __name__ == "__main__":
    main()
