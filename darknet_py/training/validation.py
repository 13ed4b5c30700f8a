"""Scoring a network on held-out text while it trains, and remembering the best one.

Every network of a run is scored by one measure: the mean loss over the same symbols of the held-out
text, all of them if the text is short enough. `_best.weights` holds the lowest by that measure.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.inference.generation import Progress
from darknet_py.inference.scoring import ROWS, Pieces, PiecesScore, cut, score_pieces
from darknet_py.machine import program_memory
from darknet_py.network import Network
from darknet_py.parallel import Communicator
from darknet_py.sizes import row_bytes, training_bytes
from darknet_py.text.symbols import Symbols
from darknet_py.training.checkpoint import VALIDATION

log = logging.getLogger(__name__)

SHARE = 0.04  # of the time goes to validation if no interval is given
FIRST = 10  # batches before the first validation, whose cost then decides the interval
SOON = 4  # times the batches so far, which the next one is never further away than
# Symbols that the measure takes of a long text: fewer if a network is so large that they would
# take more operations than these, about a second.
MOST, LEAST, OPERATIONS = 1 << 15, 1 << 11, 6e10
# Pieces that are read side by side, and the symbols that each of them has at least.
STREAMS, PIECE = 64, 512


class Validation:
    """The held-out text, how often it is scored, and the best network so far.

    every: batches between validations; None if they are to take SHARE of the time.
    due: then the batch of the next one; None before the first.
    symbols: that the measure takes.
    best_loss: the lowest so far in nats per symbol; None before the first that is finite.
    lowest: as best_loss, but without what a best file had to tell that was found on resuming.
    whole_batch, whole_loss, whole_symbols: the batch of the best network at the end of the run, its
    loss on more symbols than those of the measure, and how many; None if nothing was scored so.
    number: of validations so far; stale: of those since the lowest one; sampled: of those up to the
    last one with a sample for the report.
    """

    def __init__(
        self, net: Network, text: Array, every: int | None, memory: int, comm: Communicator
    ) -> None:
        """memory: bytes that the run may take. Training has its share, which can be used here.
        comm: the processes that share the scoring.
        """
        self.text = text
        self.comm = comm
        self.every = every
        self.due: int | None = None
        affordable = OPERATIONS / max(1, sum(layer.operations() for layer in net.layers))
        self.symbols = max(0, min(len(text) - 1, int(min(MOST, max(LEAST, affordable)))))
        self.streams = min(STREAMS, net.options.time_steps * net.options.streams)
        self.rows = validation_rows(net, memory)
        self.best_loss: float | None = None
        self.best_batch = 0
        self.best_parameters: Array | None = None
        self.lowest: float | None = None
        self.whole_batch = self.whole_symbols = 0
        self.whole_loss: float | None = None
        self.number = self.stale = self.sampled = 0
        self._has_warned = False

    @property
    def takes_all(self) -> bool:
        """Whether the measure is the whole held-out text."""
        return self.symbols >= len(self.text) - 1

    def facts(self) -> dict[str, Any]:
        """What `restore` needs besides the best parameters, as JSON has it."""
        return {name: getattr(self, name) for name in VALIDATION}

    def restore(self, facts: dict[str, Any]) -> bool:
        """Continue from these; returns whether the measure of this run gave the losses."""
        symbols = self.symbols
        vars(self).update(facts, symbols=symbols)
        return facts["symbols"] == symbols or self.best_loss is None

    # --- while training

    def is_due(self, batch: int, done: int) -> bool:
        """After batch number `batch`, with `done` batches behind this run."""
        if not len(self.text):
            return False
        if self.every is not None:
            return batch % self.every == 0
        return done >= FIRST if self.due is None else batch >= self.due

    @cached_property
    def letter_loss(self) -> float:
        """The loss of one who knows of the held-out text how often each symbol occurs, in nats."""
        counts = np.bincount(self.text[1:])
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())

    def sample_is_due(self, loss: float | None, every: int | None) -> bool:
        """Whether the network is to write a sample after the validation just done.

        loss: its result, if there was one. every: validations between samples, 0 for none; None
        for a few in a run: the first when the loss beats the frequencies of letters, and then
        whenever the number of validations has doubled.
        """
        if every is not None:
            return every > 0 and self.number % every == 0
        is_better = loss is not None and loss < self.letter_loss
        is_due = is_better and self.number >= 2 * self.sampled
        self.sampled = self.number if is_due else self.sampled
        return is_due

    def estimate(self, net: Network, seconds_per_batch: float) -> float:
        """Score `net` by the measure, and keep it if it is the best so far.

        seconds_per_batch: of training, which decides when the next validation is due.
        Returns the loss in nats per symbol, which may be infinite or NaN.
        """
        if self.number == 0:
            # What is compiled at the first use must not look like the cost of a validation.
            self._score(net, cut(len(self.text) - 1, self.streams, self.streams))
        begun = time.perf_counter()
        loss = self.compare(net)
        if self.every is None:
            cost = time.perf_counter() - begun
            wait = max(FIRST, math.ceil(cost / (SHARE * max(1e-9, seconds_per_batch))))
            wait = min(wait, SOON * net.batch_number)
            self.due = net.batch_number + self.comm.broadcast(wait)
            log.debug("validation took %.2f s; the next is due at batch %d", cost, self.due)
        self.number += 1
        self.stale += 1
        if _is_lower(loss, self.lowest):
            self.lowest, self.stale = loss, 0
        return loss

    def compare(self, net: Network, progress: Progress | None = None) -> float:
        """Score `net` by the measure, out of turn, and keep it if it is the best so far.

        Returns the loss in nats per symbol, which may be infinite or NaN. progress: see `evaluate`.
        """
        loss = self._score(net, self._cut(self.symbols), progress=progress).nats
        if _is_lower(loss, self.best_loss):
            self.best_loss, self.best_batch = loss, net.batch_number
            self.best_parameters = net.parameters.copy()
        if not math.isfinite(loss) and not self._has_warned:
            self._has_warned = True
            log.warning("warning: %s", self._meaning(net, loss))
        return loss

    def _meaning(self, net: Network, loss: float) -> str:
        """Of a loss that is not finite, while training goes well."""
        where = f"the held-out loss at batch {net.batch_number} is {loss}"
        if net.rolling_statistics():
            return (
                f"{where}: with the rolling statistics of its batch norm the network runs away; "
                f"training continues, and this usually recovers. If it does not, try a smaller "
                f"learning_rate or a larger batch"
            )
        return f"{where}; training continues. If it does not recover, try a smaller learning_rate"

    # --- at both ends of a run

    def recover(self, net: Network, found: Array, batch: int) -> None:
        """Take the parameters `found`, of after `batch`, for the best if they score better.

        `net` is computed with, and has its own parameters again afterwards.
        """
        with net.holding(found):
            loss = self._score(net, self._cut(self.symbols)).nats
        if _is_lower(loss, self.best_loss):
            self.best_loss, self.best_batch, self.best_parameters = loss, batch, found

    def score_best(
        self, net: Network, stop: Callable[[], bool], progress: Progress | None
    ) -> PiecesScore | None:
        """The score of the best network over the whole held-out text, or what of it there is time
        for until `stop`; None without one.

        `net` is computed with, and has its own parameters again afterwards.
        """
        best = self.best_parameters
        if self.best_loss is None or best is None:
            return None
        measured = PiecesScore(self.best_loss, self.symbols)
        if self.takes_all:
            return measured
        with net.holding(best):
            score = self._score(net, self._cut(None), stop, progress)
        # A smaller part than the measure's says less.
        if score.symbols <= self.symbols:
            return measured
        if math.isfinite(score.nats):
            self.whole_batch, self.whole_loss = self.best_batch, score.nats
            self.whole_symbols = score.symbols
        return score

    def _cut(self, most: int | None) -> Pieces:
        symbols = len(self.text) - 1
        streams = max(1, min(self.streams, (symbols if most is None else most) // PIECE))
        return cut(symbols, streams, most)

    def _score(
        self,
        net: Network,
        pieces: Pieces,
        stop: Callable[[], bool] | None = None,
        progress: Progress | None = None,
    ) -> PiecesScore:
        prompt = np.frombuffer(Symbols.of(net).default_prompt, np.uint8)
        return score_pieces(
            net,
            self.text,
            pieces,
            prompt,
            rows=self.rows,
            comm=self.comm,
            stop=stop,
            progress=progress,
        )


def _is_lower(loss: float, than: float | None) -> bool:
    """Whether a loss is the lowest so far, as one that is not finite never is."""
    return math.isfinite(loss) and (than is None or loss < than)


def validation_rows(net: Network, memory: int) -> int:
    """Rows of one forward, (time_steps * streams), within `memory` bytes: as many as training has,
    whose buffers serve again, or more if there is room next to those and the program.
    """
    training = net.options.time_steps * net.options.streams
    free = (memory - training_bytes(net) - program_memory()) // row_bytes(net)
    return min(ROWS, training + max(0, free))
