"""Training: the loop of batches, and what it prints, validates, saves and ends with."""

from __future__ import annotations

import csv
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darknet_py.cfg import Cfg, find_cfg, override_net
from darknet_py.corpus import Streams, check_known, read_text, split
from darknet_py.errors import CorpusError, TrainingError
from darknet_py.finding import find_weights
from darknet_py.layers.base import Array
from darknet_py.loading import network_for_training
from darknet_py.machine import Threads, memory, use_kernels
from darknet_py.network import Network
from darknet_py.profiling import DATA, VALIDATION, Profile
from darknet_py.rand import Rand, seed_from_clock
from darknet_py.replay import Replay
from darknet_py.run_folder import RunFolder
from darknet_py.validation import Validation

log = logging.getLogger(__name__)

KEEP_EVERY = 10_000  # batches between the BASE_N.weights that are kept
SAVE_SECONDS = 300.0  # a checkpoint is never older than this
CSV_COLUMNS = ("batch", "seen", "loss", "avg", "rate", "seconds", "epochs", "val")


@dataclass(frozen=True)
class Row:
    """One batch as the log, the CSV file and the callback see it.

    loss, avg, val: nats per character; avg is darknet's .9 avg + .1 loss, val the last validation's
    where there was one after this batch. seconds: this batch's. elapsed: since the run began.
    limit: the batch at which the run ends, 0 if that is not known.
    """

    batch: int
    seen: int
    loss: float
    avg: float
    rate: float
    seconds: float
    elapsed: float
    epochs: float
    val: float | None
    limit: int

    def line(self) -> str:
        """darknet's own line for a batch."""
        return (
            f"{self.batch}: {self.loss:f}, {self.avg:f} avg, {self.rate:f} rate, "
            f"{self.seconds:f} seconds, {self.epochs:f} epochs"
        )

    def cells(self) -> list[str]:
        """The row of the CSV file, whose seconds are those since the run began."""
        val = "" if self.val is None else f"{self.val:.6f}"
        numbers = [f"{self.loss:.6f}", f"{self.avg:.6f}", f"{self.rate:.9g}"]
        times = [f"{self.elapsed:.3f}", f"{self.epochs:.6f}"]
        return [str(self.batch), str(self.seen), *numbers, *times, val]


@dataclass(frozen=True)
class Result:
    """How a run ended.

    net: with its last parameters. weights: the file that holds them. characters: trained on in this
    run, in `seconds`. val, best_val: nats per character of the last and of the best network on the
    held-out text, None without one; best: the best one's file. interrupted: by `stop`.
    """

    net: Network
    weights: Path
    batches: int
    characters: int
    seconds: float
    avg: float
    val: float | None
    best_val: float | None
    best: Path | None
    interrupted: bool


def train(
    cfg: str | os.PathLike[str] | Cfg,
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = "backup",
    weights: str | os.PathLike[str] | None = None,
    clear: bool = False,
    batches: int | None = None,
    seconds: float | None = None,
    overrides: Mapping[str, object] | None = None,
    seed: int | None = None,
    val: float | str | os.PathLike[str] = 0.1,
    val_every: int | None = None,
    save_every: int = 100,
    state: str | None = None,
    dialect: str | None = None,
    gradient: str = "exact",
    tokenized: bool = False,
    threads: int | None = None,
    memory_limit: int | None = None,
    kernels: str = "auto",
    profile: bool = False,
    callback: Callable[[Row], object] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Result:
    """Train the network of `cfg` on the text `data`: the run of `darknet-py train`.

    The parameters are the command's options; `seconds` is its `--time`, `overrides` its `--set`,
    `memory_limit` its `--memory` in bytes (default: half of the machine's). kernels: `auto`,
    `numpy` or `compiled`. profile: at the end, log where the time went.
    callback: called after every batch. stop: asked after every batch; true ends the run as Ctrl-C
    does, with everything saved. Messages go to the logger `darknet_py`.
    Raises CfgError, CorpusError and WeightsError before the first batch, TrainingError and OSError
    also later.
    """
    parsed = cfg if isinstance(cfg, Cfg) else find_cfg(cfg)
    parsed = override_net(parsed, overrides or {}, "--set")
    if state is not None:
        parsed = parsed.override("state", state, "--state")
    if tokenized:
        parsed = parsed.override("tokenized", 1, "--tokenized")
    start = None if weights is None else find_weights(weights)
    chosen_seed = seed_from_clock() if seed is None else seed
    net = network_for_training(parsed, start, Rand(chosen_seed), dialect)
    train_datum = _trainer(net, gradient)
    net.limit_memory(memory() // 2 if memory_limit is None else memory_limit)
    text, held_out = _read_texts(net, data, val)
    folder = RunFolder(Path(out), net.cfg)
    if clear:
        net.seen = 0
    limit = net.net.max_batches if batches is None else batches
    if limit and net.batch_number >= limit:
        raise TrainingError(
            f"{weights}: already at batch {net.batch_number}, and training ends at batch {limit}: "
            f"expected a larger --batches, or --clear to count from 0"
        )
    if seed is None:
        log.info("seed %d (from the clock; --seed %d repeats this run)", chosen_seed, chosen_seed)
    if not limit and seconds is None:
        log.info(
            "no max_batches, --batches or --time: training goes on until it is stopped (Ctrl-C)"
        )
    folder.begin()
    streams = Streams(text, net.streams, net.rand)
    validation = Validation(held_out, val_every)
    run = _Run(net, train_datum, streams, validation, folder, save_every, limit)
    interrupted = False
    timed = run.profile.running() if profile else nullcontext()
    # Where a run diverges its own message says so.
    with (
        use_kernels(kernels),
        Threads(net, threads) as chosen,
        np.errstate(all="ignore"),
        timed,
    ):
        for row in run.batches(seconds):
            chosen.batch_done(row.seconds)
            if callback is not None:
                callback(row)
            if stop is not None and stop():
                interrupted = not (limit and net.batch_number >= limit)
                break
        result = run.end(interrupted)
    if profile:
        log.info("where the time went:\n%s", "\n".join(run.profile.lines()))
    return result


def _trainer(net: Network, gradient: str) -> Callable[[Array, Array], float]:
    """What trains on one datum. Raises CfgError where that cannot train this network."""
    if gradient == "exact":
        net.check_trainable()
        return net.train_batch
    replay = Replay(net)
    replay.check_trainable()
    log.info("replaying the C program's arithmetic; --gradient exact is the one for real work")
    own = [key for key in ("state", "clip", "clip_norm") if key in net.cfg.net.options]
    if own:
        log.warning("warning: --gradient darknet-cpu, like C, ignores %s", ", ".join(own))
    return replay.train_datum


def _read_texts(
    net: Network, data: str | os.PathLike[str], val: float | str | os.PathLike[str]
) -> tuple[Array, Array]:
    """The text to train on and the held-out one, which is empty where there is none."""
    tokenized = net.net.tokenized
    text = read_text(data, tokenized)
    check_known(text, net.inputs, os.fspath(data))
    if isinstance(val, (int, float)):
        text, held_out = split(text, val)
    else:
        held_out = read_text(val, tokenized)
        check_known(held_out, net.inputs, os.fspath(val))
        if len(held_out) < 2:
            raise CorpusError(f"{val}: one symbol: expected at least 2 to score")
    least = net.net.time_steps + 1
    if len(text) < least:
        raise CorpusError(
            f"{data}: {len(text)} symbols to train on: expected at least {least} for the cfg's "
            f"time_steps={net.net.time_steps} (--set time_steps=N makes it shorter)"
        )
    if val != 0 and len(held_out) < 2:
        log.info("%s: too short for held-out text: training without validation", data)
    return text, held_out if len(held_out) >= 2 else held_out[:0]


class _Run:
    """One run: the network, its streams, and what has been measured and saved so far."""

    def __init__(
        self,
        net: Network,
        train_datum: Callable[[Array, Array], float],
        streams: Streams,
        validation: Validation,
        folder: RunFolder,
        save_every: int,
        limit: int,
    ) -> None:
        self.net = net
        self.train_datum = train_datum
        self.streams = streams
        self.validation = validation
        self.folder = folder
        self.save_every = save_every
        self.limit = limit
        self.profile = Profile()
        self.avg = math.nan
        self.first_seen = net.seen
        self.started = self.saved = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.started

    def batches(self, seconds: float | None) -> Iterator[Row]:
        """Train until batch `limit` (0: none) or for `seconds`; yields after every batch."""
        with open(self.folder.file(".csv"), "w", buffering=1, newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(CSV_COLUMNS)
            while not (self.limit and self.net.batch_number >= self.limit):
                if seconds is not None and self.elapsed >= seconds:
                    break
                row = self._batch()
                table.writerow(row.cells())
                if self._save_is_due(row.batch):
                    self.save(".backup")
                if row.batch % KEEP_EVERY == 0:
                    self.save(f"_{row.batch}.weights")
                yield row

    def _batch(self) -> Row:
        """One update, and the validation that is due after it."""
        net, options = self.net, self.net.net
        begun = time.perf_counter()
        losses = []
        for _ in range(options.subdivisions):
            with self.profile.kind(DATA):
                datum = self.streams.next_datum(options.time_steps)
            losses.append(self.train_datum(*datum))
            for stream in self.streams.jump():
                net.reset_state(stream)
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            raise self._divergence(f"the loss is {loss}")
        self.avg = loss if math.isnan(self.avg) else 0.9 * self.avg + 0.1 * loss
        seconds = time.perf_counter() - begun
        batch = net.batch_number
        return Row(
            batch=batch,
            seen=net.seen,
            loss=loss,
            avg=self.avg,
            rate=net.last_rate,
            seconds=seconds,
            elapsed=self.elapsed,
            epochs=batch * options.symbols / len(self.streams.text),
            val=self._validate(batch),
            limit=self.limit,
        )

    def _validate(self, batch: int) -> float | None:
        done = (self.net.seen - self.first_seen) // self.net.net.symbols
        if not self.validation.is_due(batch, done):
            return None
        with self.profile.kind(VALIDATION):
            is_best = self.validation.estimate(self.net, self.elapsed / done)
        if is_best:
            self.save("_best.weights")
        return self.validation.loss

    def _save_is_due(self, batch: int) -> bool:
        return batch % self.save_every == 0 or time.perf_counter() - self.saved > SAVE_SECONDS

    def save(self, suffix: str) -> Path:
        """Write the parameters to BASE`suffix`. Raises TrainingError where they are not finite."""
        if not np.isfinite(self.net.parameters).all():
            raise self._divergence("a parameter is not finite")
        path = self.folder.file(suffix)
        self.net.save_weights(path)
        if suffix == ".backup":
            self.saved = time.perf_counter()
        return path

    def _divergence(self, what: str) -> TrainingError:
        kept = [self.folder.file(suffix) for suffix in (".backup", "_best.weights")]
        names = " and ".join(str(path) for path in kept if path.exists())
        return TrainingError(
            f"training diverged at batch {self.net.batch_number}: {what}: expected a smaller "
            f"learning_rate, or clip in [net] ({'still good: ' + names if names else 'none saved'})"
        )

    def end(self, interrupted: bool) -> Result:
        """Save, and score the last network and the best one on the whole held-out text."""
        seconds = self.elapsed
        weights = self.save(".backup" if interrupted else "_final.weights")
        validation = self.validation
        with self.profile.kind(VALIDATION):
            is_best = not interrupted and validation.conclude(self.net)
        if is_best:
            self.save("_best.weights")
        return Result(
            net=self.net,
            weights=weights,
            batches=self.net.batch_number,
            characters=self.net.seen - self.first_seen,
            seconds=seconds,
            avg=self.avg,
            val=validation.loss,
            best_val=validation.best_loss,
            best=None if validation.best_loss is None else self.folder.file("_best.weights"),
            interrupted=interrupted,
        )
