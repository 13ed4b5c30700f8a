"""One run: the loop of batches, and what it measures, validates, saves and ends with."""

from __future__ import annotations

import json
import logging
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py.corpus import Streams
from darknet_py.errors import TrainingError, WeightsError
from darknet_py.generation import generate
from darknet_py.layers.base import Array, RollingStatistics
from darknet_py.network import Network
from darknet_py.profiling import DATA, VALIDATION, Profile
from darknet_py.scoring import PiecesScore, Progress
from darknet_py.symbols import Symbols
from darknet_py.training.checkpoint import Checkpoint, Plan, write_checkpoint
from darknet_py.training.folder import RunFolder
from darknet_py.training.validation import Validation, swap
from darknet_py.weights import read_header, usable

log = logging.getLogger(__name__)

SCORING_SECONDS, SCORING_SHARE = 10.0, 0.05  # of the run: bounds of the score at its end
KEEP_EVERY = 10_000  # batches between the BASE_N.weights that are kept
SAVE_SECONDS = 300.0  # a checkpoint is never older than this
SAMPLE_LENGTH = 200  # characters
SAMPLE_TEMPERATURE = 0.7
CSV_COLUMNS = ("batch", "seen", "loss", "avg", "rate", "seconds", "epochs", "val")


@dataclass(frozen=True)
class Row:
    """One batch as the log, the CSV file and the callback see it.

    loss, avg, val: nats per character; avg is darknet's .9 avg + .1 loss, val the last validation's
    where there was one after this batch. seconds: this batch's. elapsed: since the run began, all
    its sittings together. limit: the batch at which the run ends, 0 if that is not known.
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

    net: with its last parameters. weights: the file that holds them. characters: trained on since
    `train` was called, in `seconds`. val, best_val: nats per character of the last and of the best
    network on the held-out text, None without one; best: the best one's file. scored: the share of
    the held-out text that best_val is over. ended: why, in a few words. interrupted: by `stop`.
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
    scored: float
    ended: str
    interrupted: bool


@dataclass(frozen=True)
class Trainer:
    """What trains on a datum, and the flat vectors that it remembers between batches, by name."""

    train_datum: Callable[[Array, Array], float]
    memory: dict[str, Array]


class Run:
    """The network, its streams, and what has been measured and saved so far."""

    def __init__(
        self,
        plan: Plan,
        net: Network,
        trainer: Trainer,
        streams: Streams,
        validation: Validation,
        folder: RunFolder,
    ) -> None:
        self.plan = plan
        self.net = net
        self.trainer = trainer
        self.streams = streams
        self.ranks = net.ranks
        self.validation = validation
        self.folder = folder
        self.limit = net.net.max_batches if plan.batches is None else plan.batches
        self.profile = Profile()
        self.table = folder.journal(".csv", ",".join(CSV_COLUMNS))
        self.samples = folder.journal(".samples")
        self.avg = math.nan
        self.first_seen = self.seen_before = net.seen
        # Seconds of the batches since the last validation, whose batch and loss follow.
        self._recent: deque[float] = deque(maxlen=101)
        self._scored: tuple[int, float | None] = -1, None
        self.elapsed_before = 0.0
        self.started = self.saved = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds of training since the run began."""
        return self.elapsed_before + time.perf_counter() - self.started

    # --- going on

    def begin(self) -> None:
        """Start the files of a new run. Raises OSError."""
        if not self.ranks.is_first:
            return
        self.table.begin()
        self.samples.begin()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Stand where the run of `checkpoint` stood. Raises TrainingError where it does not fit."""
        progress, arrays = checkpoint.progress, checkpoint.arrays
        where = self.folder.file(".state")
        if len(arrays.get("parameters", ())) != len(self.net.parameters):
            raise TrainingError(
                f"{where}: {len(arrays.get('parameters', ())):,} parameters, and the cfg has "
                f"{len(self.net.parameters):,}: expected the state of a run with the same layers"
            )
        try:
            for name, own in self._arrays().items():
                if name.startswith("state."):
                    np.copyto(own, arrays[name][self.net.own_streams], casting="no")
                elif name != "best":
                    np.copyto(own, arrays[name], casting="no")
            self.net.seen = self.seen_before = int(progress["seen"])
            self.net.optimizer.count = int(progress["updates"])
            self.first_seen = int(progress["first_seen"])
            self.avg = float(progress["avg"])
            self.elapsed_before = float(progress["elapsed"])
            self.net.statistics_steps = progress.get("statistics_steps") or self._settled()
            known = self.validation.restore(progress["validation"], arrays.get("best"))
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{where}: does not fit this network ({error}): expected the state of a run with "
                f"the same layers and optimiser"
            ) from error
        old, plan = checkpoint.plan, self.plan
        texts = [(own.digest, own.val, own.val_digest) for own in (old, plan)]
        self._recover_best(known and texts[0] == texts[1])
        if not self.ranks.is_first:
            return
        batch = self.net.batch_number
        self.table.cut_back(lambda line: _batch_of(line.partition(",")[0]) <= batch)
        self.samples.cut_back(lambda line: _batch_of_sample(line) <= batch)

    def _settled(self) -> list[int]:
        """The rolling statistics' steps where a state has no count of them."""
        return [RollingStatistics.SETTLED] * len(self.net.statistics_steps)

    def _recover_best(self, is_measured: bool) -> None:
        """Bring BASE_best.weights and the best network of the state together.

        A run that was killed may have written a better file after its last checkpoint.
        is_measured: whether the loss in the state is by the measure of this run.
        """
        validation, net = self.validation, self.net
        if not len(validation.text):
            return
        path = self.folder.file("_best.weights")
        if not is_measured and validation.best_parameters is not None:
            remembered, batch = validation.best_parameters, validation.best_batch
            validation.best_loss = None
            validation.recover(net, remembered, batch)
            validation.lowest = validation.best_loss or validation.lowest
        try:
            found = self.ranks.decide(net.read_saved(path) if self.ranks.is_first else None)
        except (OSError, WeightsError):
            found = self.ranks.decide(None)
        if found is not None:
            parameters, seen = found
            batch = seen // net.net.symbols
            if batch != validation.best_batch or validation.best_loss is None:
                validation.recover(net, parameters, batch)
        is_there = found is not None and batch == validation.best_batch
        if self.ranks.is_first and validation.best_parameters is not None and not is_there:
            symbols, seen = net.net.symbols, net.seen
            swap(net.parameters, validation.best_parameters)
            net.seen = validation.best_batch * symbols + seen % symbols
            try:
                net.save_weights(path)
            finally:
                swap(net.parameters, validation.best_parameters)
                net.seen = seen

    def _arrays(self) -> dict[str, Array]:
        """Views of all arrays that a checkpoint has; of the states, those of the own streams."""
        arrays = {"parameters": self.net.parameters, "offsets": self.streams.offsets}
        arrays |= {f"memory.{name}": vector for name, vector in self.trainer.memory.items()}
        for index, own in enumerate(self.net.training_state):
            arrays |= {f"state.{index}.{number}": array for number, array in enumerate(own)}
        if self.validation.best_parameters is not None:
            arrays["best"] = self.validation.best_parameters
        return arrays

    def _checkpoint(self) -> Checkpoint:
        net = self.net
        progress: dict[str, Any] = {
            "seen": net.seen,
            "first_seen": self.first_seen,
            "drawn": net.rand.drawn,
            "updates": net.optimizer.count,
            "avg": self.avg,
            "elapsed": self.elapsed,
            "statistics_steps": net.statistics_steps,
            "validation": self.validation.facts(),
        }
        arrays = {
            name: self.ranks.gather(array) if name.startswith("state.") else array
            for name, array in self._arrays().items()
        }
        return Checkpoint(self.plan, progress, arrays)

    # --- the loop

    def over(self) -> tuple[str, str] | None:
        """Why the run is at its end, and what would let it go on; or None."""
        return self.ranks.decide(self._over())

    def _over(self) -> tuple[str, str] | None:
        plan, stale = self.plan, self.validation.stale
        if self.limit and self.net.batch_number >= self.limit:
            return f"training ends at batch {self.limit}", "a larger --batches"
        if plan.seconds is not None and self.elapsed >= plan.seconds:
            return f"{plan.seconds:g} s are over", "a longer --time"
        if plan.patience is not None and stale >= plan.patience:
            return f"no new best in {stale} validations", "a larger --patience"
        return None

    def is_complete(self) -> bool:
        """Whether the last weights of a run that is over have been written."""
        final = self.folder.file("_final.weights")
        return final.exists() and read_header(final).seen == self.net.seen

    def batches(self) -> Iterator[Row]:
        """Train until the run is over; yields after every batch. Raises TrainingError, OSError."""
        with self.table, self.samples:
            while self.over() is None:
                row = self._batch()
                if self.ranks.is_first:
                    self.table.write(",".join(row.cells()))
                if row.val is not None:
                    self._sample(row)
                if self._save_is_due(row.batch):
                    self.save_checkpoint(".backup")
                if row.batch % KEEP_EVERY == 0:
                    self._save(f"_{row.batch}.weights")
                yield row

    def _batch(self) -> Row:
        """One update, and the validation that is due after it."""
        net, options = self.net, self.net.net
        begun = time.perf_counter()
        losses = []
        net.progress = self._progress()
        for _ in range(options.subdivisions):
            with self.profile.kind(DATA):
                datum = self.streams.next_datum(options.time_steps)
            own = net.own_streams
            losses.append(self.trainer.train_datum(*(symbols[:, own] for symbols in datum)))
            for stream in self.streams.jump():
                if own.start <= stream < own.stop:
                    net.reset_state(stream - own.start)
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            raise self._divergence(f"the loss is {loss}")
        self.avg = loss if math.isnan(self.avg) else 0.9 * self.avg + 0.1 * loss
        seconds = time.perf_counter() - begun
        self._recent.append(seconds)
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

    def _progress(self) -> float:
        """The share of the run that is done, by batches or by time, whichever is further; 0 where
        nobody knows its length.
        """
        shares = [self.net.batch_number / self.limit] if self.limit else []
        if self.plan.seconds is not None:
            shares.append(self.elapsed / self.plan.seconds)
        return self.ranks.decide(max(shares, default=0.0))

    def _validate(self, batch: int) -> float | None:
        done = (self.net.seen - self.first_seen) // self.net.net.symbols
        if not self.validation.is_due(batch, done):
            return None
        with self.profile.kind(VALIDATION):
            loss = self.validation.estimate(self.net, statistics.median(self._recent))
        self._recent.clear()
        self._scored = self.net.batch_number, loss
        self._save_best()
        return loss

    def _save_best(self) -> None:
        """Save the network where it is the best so far."""
        if self.validation.best_batch == self.net.batch_number:
            self._save("_best.weights")

    def _compare_last(self) -> float | None:
        """The loss of the last network, saved where it is the best; None without held-out text."""
        batch, loss = self._scored
        if batch == self.net.batch_number or not len(self.validation.text):
            return loss
        with self.profile.kind(VALIDATION):
            loss = self.validation.compare(self.net)
        self._save_best()
        return loss

    def _sample(self, row: Row) -> None:
        """A short text as the network writes now, every `sample_every` validations."""
        every = self.plan.sample_every
        if not every or self.validation.number % every or not self.ranks.is_first:
            return
        own = Symbols.of(self.net)
        seed, length = self.plan.seed, SAMPLE_LENGTH
        symbols = list(generate(self.net, own.default_prompt, length, SAMPLE_TEMPERATURE, seed))
        text = own.text(symbols).rstrip(" ") if own.is_tokens else own.text(symbols)
        self.samples.write(json.dumps({"batch": row.batch, "val": row.val, "text": text}))
        log.info("--- batch %d, validation %.3f, a sample:\n%s\n---", row.batch, row.val, text)

    # --- saving

    def _save_is_due(self, batch: int) -> bool:
        late = self.ranks.decide(time.perf_counter() - self.saved > SAVE_SECONDS)
        return batch % self.plan.save_every == 0 or late

    def save_checkpoint(self, suffix: str) -> Path:
        """Write the parameters to BASE`suffix`, and BASE.state. Raises TrainingError, OSError."""
        path = self._save(suffix)
        self._save_state()
        return path

    def _save_state(self) -> None:
        self.table.sync()
        self.samples.sync()
        checkpoint = self._checkpoint()
        if self.ranks.is_first:
            write_checkpoint(self.folder.file(".state"), checkpoint)
        self.saved = time.perf_counter()

    def _save(self, suffix: str) -> Path:
        """Write the parameters to BASE`suffix`. Raises TrainingError where they are not finite."""
        self._check_finite()
        path = self.folder.file(suffix)
        if self.ranks.is_first:
            self.net.save_weights(path)
        return path

    def _check_finite(self) -> None:
        if not all(usable(tensor, tensor.values).all() for tensor in self.net.tensors()):
            raise self._divergence("a parameter is not finite")

    def _divergence(self, what: str) -> TrainingError:
        kept = [self.folder.file(suffix) for suffix in (".backup", "_best.weights")]
        names = " and ".join(str(path) for path in kept if path.exists())
        return TrainingError(
            f"training diverged at batch {self.net.batch_number}: {what}: expected a smaller "
            f"learning_rate, or clip in [net] ({'still good: ' + names if names else 'none saved'})"
        )

    def end(
        self,
        interrupted: bool,
        stop: Callable[[], bool],
        progress: Progress | None = None,
    ) -> Result:
        """Score the last network, save, and score the best one on the whole held-out text.

        That last score, for which everything waits but nothing depends on it, takes at most
        SCORING_SECONDS or SCORING_SHARE of the run; `stop` ends it too. progress: see `evaluate`.
        """
        seconds = self.elapsed - self.elapsed_before
        ended = "stopped" if interrupted else (self.over() or ("stopped", ""))[0]
        validation = self.validation
        score, val = None, validation.loss
        if interrupted:
            weights = self.save_checkpoint(".backup")
        else:
            self._check_finite()
            begun = time.perf_counter()
            val = self._compare_last()
            self._save_state()
            # Last, since it says that the run is complete.
            weights = self._save("_final.weights")
            limit = begun + max(SCORING_SECONDS, SCORING_SHARE * seconds)
            with self.profile.kind(VALIDATION):
                score = validation.score_best(
                    self.net, lambda: stop() or time.perf_counter() > limit, progress
                )
        if score is None and validation.best_loss is not None:
            score = PiecesScore(validation.best_loss, validation.symbols)
        return Result(
            net=self.net,
            weights=weights,
            batches=self.net.batch_number,
            characters=self.net.seen - self.seen_before,
            seconds=seconds,
            avg=self.avg,
            val=val,
            best_val=None if score is None else score.nats,
            best=None if score is None else self.folder.file("_best.weights"),
            scored=0.0 if score is None else score.symbols / (len(validation.text) - 1),
            ended=ended,
            interrupted=interrupted,
        )


def _batch_of(text: str) -> float:
    """A batch number, beyond all others where it is none."""
    return int(text) if text.strip().isdecimal() else math.inf


def _batch_of_sample(line: str) -> float:
    try:
        return int(json.loads(line)["batch"])
    except (ValueError, KeyError, TypeError):
        return math.inf
