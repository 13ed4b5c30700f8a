"""Processes on this machine that share a datum's streams: `train --processes N`.

A product of few rows gains little from a second BLAS thread; two products of half the streams, side
by side, gain nearly all of a second core. So each process computes forward and backward for its own
streams, and the first, which does everything else, adds the gradients up. Parameters, states,
symbols and gradients lie in memory that all of them see; a line of JSON either way says when to
begin and what the loss was. The workers end with the first process, however that ends.

Batch norm needs all streams at once and keeps to one process.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from typing import IO, Any

import numpy as np

from darknet_py.cfg import parse_cfg
from darknet_py.dialect import DIALECTS
from darknet_py.errors import TrainingError
from darknet_py.layers.base import Array, State
from darknet_py.network import Network, NetworkState
from darknet_py.rand import Rand
from darknet_py.ranks.mpi import Ranks

ALIGNMENT = 64  # bytes, so that no two arrays share a cache line
SECONDS_TO_END = 5.0
# A process that sleeps takes up to a millisecond to wake; so look for this long before sleeping.
SECONDS_AWAKE = 0.002


class Share(Ranks):
    """Which streams one of several workers has; nothing is sent."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size


class Shared:
    """The arrays that all processes see: symbols, parameters, states, each worker's updates."""

    def __init__(self, net: Network, workers: int, file: int | None = None) -> None:
        """file: the descriptor of the memory that another process has made. Raises OSError."""
        options = net.net
        state = net.initial_state(options.streams)
        count = len(net.parameters)
        shapes: list[tuple[tuple[int, ...], np.dtype[Any]]] = [
            ((2, options.time_steps, options.streams), np.dtype(np.int64)),
            ((count,), net.dtype),
            ((workers, count), net.dtype),
            *((part.shape, part.dtype) for own in state for part in own),
        ]
        sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in shapes]
        places = np.cumsum([0, *(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)])
        self.file = _memory_file(int(places[-1])) if file is None else file
        memory = mmap.mmap(self.file, int(places[-1]))
        arrays = [
            np.frombuffer(memory, dtype, int(np.prod(shape)), int(place)).reshape(shape)
            for (shape, dtype), place in zip(shapes, places, strict=False)
        ]
        self.symbols, self.parameters, self.updates, *rest = arrays
        parts = iter(rest)
        self.state: NetworkState = tuple(tuple(next(parts) for _ in own) for own in state)

    def rows(self, own: slice) -> NetworkState:
        """Views of the states of some streams."""
        return tuple(tuple(part[own] for part in layer) for layer in self.state)


def _memory_file(size: int) -> int:
    """A file of so many bytes that has no name and is memory where that can be had."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("darknet-py")
        os.posix_fallocate(file, 0, max(1, size))
        return file
    with tempfile.TemporaryFile() as temporary:
        temporary.truncate(max(1, size))
        return os.dup(temporary.fileno())


def _copy(source: NetworkState, target: NetworkState) -> None:
    for layer, parts in zip(source, target, strict=True):
        for part, into in zip(layer, parts, strict=True):
            np.copyto(into, part)


class Worker:
    """One process beside this one. Raises OSError where it cannot be started."""

    def __init__(self, setup: dict[str, Any], file: int) -> None:
        self.name = f"process {setup['rank'] + 1} of {setup['processes']}"
        # It imports what this process imports.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from darknet_py.ranks.processes import work; work(sys.stdin, sys.stdout)"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": str(setup["threads"])},
            encoding="utf-8",
            pass_fds=(file,),
            # Ctrl-C and the end of the terminal are for the first process alone.
            start_new_session=True,
        )
        self.tell({**setup, "file": file})

    def tell(self, message: dict[str, Any]) -> None:
        """Send it a message. Raises TrainingError where it has ended."""
        assert self.process.stdin is not None
        try:
            _write_line(self.process.stdin, message)
        except OSError:
            raise self._ended() from None

    def answer(self) -> float:
        """Its answer to the last message: a loss. Raises TrainingError where it has none."""
        assert self.process.stdout is not None
        line = _next_line(self.process.stdout)
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "error" in answer:
            raise TrainingError(f"{self.name}: {answer['error']}")
        return float(answer["loss"])

    def _ended(self) -> TrainingError:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_END)
        return TrainingError(
            f"{self.name} has ended (status {self.process.returncode}): expected it to compute"
        )

    def end(self) -> None:
        """End it, at once where it computes."""
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Workers:
    """A context in which `net` is trained by `processes` processes, this one among them.

    kernels, threads: in each worker. Raises TrainingError where they cannot be started; what they
    import takes a moment, and `wait` is for its end.
    """

    def __init__(self, net: Network, processes: int, kernels: str, threads: int) -> None:
        self.net = net
        self.processes = processes
        self._setup = {
            "cfg": net.cfg.text(),
            "path": net.cfg.path,
            "dialect": net.dialect.name,
            "segment_steps": net.segment_steps,
            "processes": processes,
            "kernels": kernels,
            "threads": threads,
        }
        self._own = Share(0, processes).own(net.net.streams)
        self._workers: list[Worker] = []

    def __enter__(self) -> Workers:
        try:
            self._start()
        except (OSError, TrainingError) as error:
            self._end()
            raise TrainingError(f"cannot start {self.processes} processes: {error}") from error
        self.net.share_streams(self._own, self.accumulate)
        return self

    def _start(self) -> None:
        self._shared = Shared(self.net, self.processes - 1)
        try:
            for rank in range(1, self.processes):
                self._workers.append(Worker({**self._setup, "rank": rank}, self._shared.file))
        finally:
            os.close(self._shared.file)

    def wait(self) -> None:
        """Return when all are ready. Raises TrainingError where one is not, and ends the others."""
        try:
            for worker in self._workers:
                worker.answer()
        except TrainingError:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.net.share_streams(None, None)
        self._end()

    def _end(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def accumulate(
        self, inputs: Array, targets: Array, state: NetworkState, add: bool
    ) -> tuple[float, NetworkState]:
        """What `Network.accumulate` computes. Raises TrainingError where a worker has ended."""
        net, shared, own = self.net, self._shared, self._own
        np.copyto(shared.symbols[0], inputs)
        np.copyto(shared.symbols[1], targets)
        np.copyto(shared.parameters, net.parameters)
        _copy(state, shared.state)
        for worker in self._workers:
            worker.tell({"seed": net.rand.seed, "seen": net.seen})
        loss, after = net.accumulate(inputs[:, own], targets[:, own], shared.rows(own), add)
        _copy(after, shared.rows(own))
        for worker, updates in zip(self._workers, shared.updates, strict=True):
            loss += worker.answer()
            np.add(net.updates, updates, out=net.updates)
        return loss, tuple(tuple(part.copy() for part in layer) for layer in shared.state)


def _write_line(stream: IO[str], message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _next_line(stream: IO[str]) -> str:
    """The next line, empty at the end. Nothing may be left in the stream's buffer."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    limit = time.perf_counter() + SECONDS_AWAKE
    while not poll.poll(0) and time.perf_counter() < limit:
        pass
    return stream.readline()


def work(commands: IO[str], answers: IO[str]) -> None:
    """What a worker does: for each line the gradient of its streams, until there are no more."""
    from threadpoolctl import threadpool_limits

    from darknet_py.kernels.choice import use_kernels

    setup = json.loads(commands.readline() or "null")
    if setup is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = Network(parse_cfg(setup["cfg"], setup["path"]), DIALECTS[setup["dialect"]])
        net.segment_steps = setup["segment_steps"]
        net.train_among(Share(setup["rank"], setup["processes"]))
        shared = Shared(net, setup["processes"] - 1, setup["file"])
        with (
            use_kernels(setup["kernels"]),
            threadpool_limits(setup["threads"], user_api="blas"),
            np.errstate(all="ignore"),
            suppress(BrokenPipeError),
        ):
            _write_line(answers, {"loss": 0.0})
            while line := _next_line(commands):
                _write_line(
                    answers, {"loss": _share(net, shared, setup["rank"], **json.loads(line))}
                )
    except Exception as error:
        with suppress(OSError):
            _write_line(answers, {"error": f"{type(error).__name__}: {error}"})
    # Whoever read the answers may be gone, and then there is nothing to say at the end.
    os._exit(0)


def _share(net: Network, shared: Shared, rank: int, seed: int, seen: int) -> float:
    """Compute the own streams' gradient and states; returns their loss."""
    own = net.own_streams
    net.use_rand(Rand(seed))
    net.seen = seen
    np.copyto(net.parameters, shared.parameters)
    inputs, targets = shared.symbols[:, :, own]
    state: tuple[State, ...] = shared.rows(own)
    loss, after = net.accumulate(inputs, targets, state)
    np.copyto(shared.updates[rank - 1], net.updates)
    _copy(after, state)
    return loss
