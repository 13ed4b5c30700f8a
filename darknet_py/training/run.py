"""A run as it stands: the network, its streams, what has been measured, and saving all of it."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from darknet_py import notebook
from darknet_py.__version__ import __version__
from darknet_py.arrays import Array
from darknet_py.errors import TrainingError, counted
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.network import Network
from darknet_py.text.corpus import Streams
from darknet_py.text.symbols import unit_of
from darknet_py.trainer.trainer import BaseTrainer, Update
from darknet_py.training.checkpoint import STATES, write_checkpoint
from darknet_py.training.folder import RunFolder
from darknet_py.training.journal import batch_of_row
from darknet_py.training.plan import Plan
from darknet_py.training.profiling import Profile
from darknet_py.training.validation import Validation
from darknet_py.weights import usable

# What the root alone knows, by its signals and its clock: whether the user wants the run to
# end, the seconds of training since it began, and those since the last checkpoint.
STOPPED, ELAPSED, UNSAVED = range(3)
SAVE_SECONDS = 300.0  # a checkpoint is never older than this
# What of a plan all ranks must have alike, besides what they train on.
ALIKE = ("batches", "seconds", "patience", "val_every", "val_from", "save_every", "gradient")
CSV_COLUMNS = ("batch", "seen", "loss", "avg", "rate", "seconds", "epochs", "val")


# Updates after which a run has diverged if its average loss is this many times that of guessing.
BEGINNING, WILD = 100, 2


def is_loss_in_nats(net: Network) -> bool:
    """Whether the loss of training is in nats per symbol: that of a [softmax], without a [cost],
    which in the C program's arithmetic counts.
    """
    has_cost = any(section.name == "cost" for section in net.cfg.layers)
    return isinstance(net.layers[-1], SoftmaxLayer) and not has_cost


@dataclass(frozen=True)
class Row:
    """One batch as the log, the CSV file and the callback see it.

    loss, avg, val: nats per symbol; avg is darknet's .9 avg + .1 loss, val the last validation's
    where there was one after this batch, as there is after the last one of a run. seconds: of
    training since the run began, all its parts together, with the validations but without the
    scores at its end. batch_seconds: of this update alone. limit: the batch at which the run ends,
    0 if that is not known; time_limit: the seconds, None if there is no such limit. unit: what a
    symbol is called.
    """

    batch: int
    seen: int
    loss: float
    avg: float
    rate: float
    seconds: float
    batch_seconds: float
    epochs: float
    val: float | None
    limit: int
    time_limit: float | None = None
    unit: str = "byte"

    def line(self) -> str:
        """darknet's own line for a batch."""
        return (
            f"{self.batch}: {self.loss:f}, {self.avg:f} avg, {self.rate:f} rate, "
            f"{self.batch_seconds:f} seconds, {self.epochs:f} epochs"
        )

    def cells(self) -> list[str]:
        """The row of the CSV file."""
        val = "" if self.val is None else f"{self.val:.6f}"
        numbers = [f"{self.loss:.6f}", f"{self.avg:.6f}", f"{self.rate:.9g}"]
        times = [f"{self.seconds:.3f}", f"{self.epochs:.6f}"]
        return [str(self.batch), str(self.seen), *numbers, *times, val]


@dataclass(frozen=True)
class Result:
    """How a run ended.

    net: with its last parameters. weights: the file that holds them. symbols: how many, bytes or
    tokens, were trained on since the run began, all its parts together, in `seconds`: see `Row`.
    val, lowest_val: nats per symbol of the network that this call validated last, after batch
    val_batch, and of the best one, both on the same `measured` symbols of the held-out text, as in
    the CSV file. best_val: of the best network on `scored` symbols, all `held_out` ones if there
    was time; best: its file. All of these are None without held-out text.
    bytes_per_character: of the held-out text, more than 1 if it is UTF-8 with longer characters;
    this many times a loss per byte is one per character. best_batch: after which the best network
    was kept. ended: why, in a few words. interrupted: by `stop`.
    file: what to generate with: the best network's file, or the last one's where none is better.
    unit: what a symbol is called.
    """

    net: Network
    weights: Path
    batches: int
    symbols: int
    seconds: float
    avg: float
    val: float | None
    val_batch: int
    lowest_val: float | None
    measured: int
    best_val: float | None
    best: Path | None
    scored: int
    held_out: int
    ended: str
    interrupted: bool
    bytes_per_character: float = 1.0
    best_batch: int = 0

    @property
    def file(self) -> Path:
        return self.weights if self.best is None else self.best

    @property
    def unit(self) -> str:
        return unit_of(self.net)

    def _repr_html_(self) -> str:
        """For notebooks."""
        unit = self.unit
        facts = {
            "ended": self.ended,
            "trained on": f"{counted(self.symbols, unit)} in {self.seconds:,.1f} s",
            "average loss": f"{self.avg:.4f} nats per {unit}",
            "network": str(self.file),
        }
        if self.best_val is not None:
            facts["held-out loss"] = f"{self.best_val:.4f} nats per {unit}"
        return notebook.table(facts)


class Run:
    """The network, its streams, and what has been measured and saved so far."""

    def __init__(
        self,
        plan: Plan,
        net: Network,
        trainer: BaseTrainer,
        streams: Streams,
        validation: Validation,
        folder: RunFolder,
    ) -> None:
        self.plan = plan
        self.net = net
        self.trainer = trainer
        self.streams = streams
        self.comm = trainer.comm
        self.validation = validation
        self.folder = folder
        self.limit, self.time_limit = net.options.max_batches, net.options.max_time or None
        if plan.batches is not None:
            self.limit, self.time_limit = plan.batches, None
        if plan.seconds is not None:
            self.time_limit = plan.seconds
        self.profile = Profile()
        self.table = folder.journal(".csv", ",".join(CSV_COLUMNS))
        self.samples = folder.journal(".samples")
        self.avg = math.nan
        self.is_unlike = False  # the held-out text, as the user has been told, or no one can tell
        self.first_seen = net.seen
        self.facts: Sequence[float] = ()  # as `tell` gave them on the root
        # Seconds of the batches since the last validation, whose batch and loss follow.
        self.recent: deque[float] = deque(maxlen=101)
        self.scored: tuple[int, float | None] = 0, None
        self.elapsed_before = 0.0
        self.saved = time.perf_counter()
        self.started: float | None = self.saved
        # Asked before each batch.
        self.stop: Callable[[], bool] | None = None

    def start_clock(self) -> None:
        """Count the seconds of training, since the run began or was resumed, from now on."""
        self.started = self.saved = time.perf_counter()
        self.facts = self.comm.broadcast(self.tell())

    def stop_clock(self) -> None:
        """Count no more of them."""
        self.elapsed_before, self.started = self.elapsed, None

    @property
    def elapsed(self) -> float:
        """Seconds of training since the run began."""
        since = 0.0 if self.started is None else time.perf_counter() - self.started
        return self.elapsed_before + since

    @property
    def batches_done(self) -> int:
        """Since the run began, with the `seen` that it began with."""
        return (self.net.seen - self.first_seen) // self.net.options.symbols

    def now(self, fact: int) -> float:
        """A fact by this rank's own clock and signals."""
        if fact == STOPPED:
            return self.stop is not None and self.stop()
        return self.elapsed if fact == ELAPSED else time.perf_counter() - self.saved

    def tell(self) -> list[float]:
        """What this rank would send to the others, if it were the root, with the next update."""
        if self.comm.size == 1:
            return []
        return [self.now(fact) for fact in (STOPPED, ELAPSED, UNSAVED)]

    def told(self, fact: int) -> float:
        """Of one process what holds now, of several what the root told with the last update."""
        return self.now(fact) if self.comm.size == 1 else self.facts[fact]

    def check_same(self) -> None:
        """Raise TrainingError if a rank would train something else than the root."""
        if self.comm.size == 1:
            return
        plan = self.plan
        options = {name: getattr(plan, name) for name in ALIKE}
        self.comm.check_same(
            {
                "version of darknet-py": __version__,
                "cfg": plan.cfg,
                "text": plan.digest,
                "held-out text": plan.val_digest,
                "seed": str(plan.seed),
                "options": json.dumps(options, sort_keys=True),
                "network": hashlib.sha256(self.net.parameters.data).hexdigest(),
            }
        )

    # --- how far it is

    def over(self) -> tuple[str, str] | None:
        """Why the run is at its end, and what would let it continue; or None."""
        plan, stale = self.plan, self.validation.stale
        if self.limit and self.net.batch_number >= self.limit:
            return f"reached batch {self.limit}", "a larger --batches"
        if self.time_limit is not None and self.told(ELAPSED) >= self.time_limit:
            return f"stopped after {self.time_limit:g} s", "a longer --time"
        if plan.patience is not None and stale >= plan.patience:
            return f"stopped: no new best in {stale} validations", "a larger --patience"
        return None

    def is_complete(self) -> bool:
        """Whether the last weights of a run that is over have been written."""
        return self.net.is_saved_in(self.folder.file("_final.weights"))

    def share_done(self) -> float:
        """The share of the run that is done, by batches or by time, whichever is further; 0 if
        no one knows its length.
        """
        shares = [self.net.batch_number / self.limit] if self.limit else []
        if self.time_limit is not None:
            shares.append(self.told(ELAPSED) / self.time_limit)
        return max(shares, default=0.0)

    def row(self, update: Update, seconds: float, val: float | None) -> Row:
        """The row of the batch just done, which took `seconds`."""
        batch = self.net.batch_number
        return Row(
            batch=batch,
            seen=self.net.seen,
            loss=update.loss,
            avg=self.avg,
            rate=update.rate,
            seconds=self.elapsed,
            batch_seconds=seconds,
            epochs=batch * self.net.options.symbols / len(self.streams.text),
            val=val,
            limit=self.limit,
            time_limit=self.time_limit,
            unit=unit_of(self.net),
        )

    def log(self, row: Row) -> None:
        """Add a row to BASE.csv. Raises OSError."""
        if self.comm.is_root:
            self.table.write(",".join(row.cells()))

    def log_again(self, row: Row) -> None:
        """Replace the row of the batch. Raises OSError."""
        if self.comm.is_root:
            self.table.cut_back(batch_of_row, row.batch - 1)
            self.log(row)

    # --- saving

    @property
    def is_wild(self) -> bool:
        """Whether the average loss is far above that of guessing, so that no checkpoint is due."""
        return is_loss_in_nats(self.net) and self.avg > WILD * math.log(self.net.inputs)

    def check_course(self) -> None:
        """Raise TrainingError if the network is still destroyed after the first updates."""
        if self.is_wild and self.batches_done >= BEGINNING:
            raise self.divergence(f"the average loss is {self.avg:.1f}, far above guessing")

    def save_is_due(self, batch: int) -> bool:
        """Whether a checkpoint is to be written after this batch."""
        if self.is_wild:
            return False
        return batch % self.plan.save_every == 0 or self.told(UNSAVED) > SAVE_SECONDS

    def save_checkpoint(self, suffix: str) -> Path:
        """Write the parameters to BASE`suffix`, and BASE.state. Raises TrainingError, OSError."""
        self.check_finite()
        self.save_state()
        return self.save(suffix)

    def arrays(self) -> dict[str, Array]:
        """Views of the arrays of BASE.state, by name; of states those of this process's streams."""
        best = self.validation.best_parameters
        arrays = {"offsets": self.streams.offsets, "fresh": self.streams.fresh}
        return self.trainer.arrays() | arrays | ({} if best is None else {"best": best})

    def save_state(self) -> None:
        """Write BASE.state. Raises OSError."""
        net = self.net
        self.table.sync()
        self.samples.sync()
        arrays = {
            name: self.comm.gather(array) if name.startswith(STATES) else array
            for name, array in self.arrays().items()
        }
        progress = {
            "seen": net.seen,
            "first_seen": self.first_seen,
            "drawn": net.rand.drawn,
            "updates": self.trainer.count,
            "avg": None if math.isnan(self.avg) else self.avg,
            "seconds": self.elapsed,
            "statistics_steps": net.statistics_steps,
            "validation": self.validation.facts(),
        }
        if self.comm.is_root:
            write_checkpoint(self.folder.file(".state"), self.plan, progress, arrays)
        self.saved = time.perf_counter()

    def save(self, suffix: str) -> Path:
        """Write the parameters, or their average, to BASE`suffix`.

        Raises TrainingError if they are not finite, OSError.
        """
        self.check_finite()
        path = self.folder.file(suffix)
        if self.comm.is_root:
            with self.trainer.averaged():
                self.net.save_weights(path, follow=False)
        return path

    def check_finite(self) -> None:
        """Raise TrainingError if a parameter cannot be used."""
        if not all(usable(tensor, tensor.values).all() for tensor in self.net.tensors()):
            raise self.divergence("a parameter is not finite")

    def divergence(self, what: str) -> TrainingError:
        """The error of a run that has diverged, naming the files that are still good."""
        kept = [self.folder.file(suffix) for suffix in (".backup", "_best.weights")]
        names = " and ".join(str(path) for path in kept if path.exists())
        saved = f"still usable: {names}" if names else "nothing was saved"
        return TrainingError(
            f"training diverged at batch {self.net.batch_number}: {what}; try --set clip_norm=.25 "
            f"or a smaller --set learning_rate=N ({saved})"
        )
