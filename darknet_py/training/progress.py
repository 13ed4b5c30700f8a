"""What a person sees of a run while it trains: one line on a terminal, or lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from darknet_py.bars import Bar, clock
from darknet_py.terminal import is_terminal, say
from darknet_py.training.run import Row

LOG_SECONDS = 5.0  # between two lines of a log, unless every batch is wanted


class Progress:
    """Called with every batch. On a terminal it draws one line again and again; in a log it writes
    darknet's line for a batch every few seconds, and for each validation.

    every_batch: write a line for each. first_loss, top_rate: of the batches so far.
    """

    def __init__(self, quiet: bool = False, every_batch: bool = False) -> None:
        self.quiet = quiet
        self.every_batch = every_batch
        self.first_loss: float | None = None
        self.top_rate = 0.0
        self._first: Row | None = None
        self._last: Row | None = None
        self._val: float | None = None
        self._bar = Bar(stays=True)
        self._scoring_since: float | None = None
        self._written = -1e9

    def __call__(self, row: Row) -> None:
        if self.first_loss is None:
            self.first_loss = row.loss
        self.top_rate = max(self.top_rate, row.rate)
        if self._first is None:
            self._first = row
        self._last = row
        if row.val is not None:
            self._val = row.val
        if self.quiet:
            return
        if is_terminal(sys.stderr):
            self._bar.draw(*self._training_line(row), at_once=row.batch == row.limit)
        else:
            self._log(row)

    def scoring(self, done: int, total: int) -> None:
        """Show how far the score at the end is, for which nothing that is to be saved waits."""
        if not self._bar.is_drawn:
            return
        if self._scoring_since is None:
            self._scoring_since = time.perf_counter()
        begun = self._scoring_since
        self._bar.draw_part(done, total, begun, "saved; scoring the held-out text", "scoring")

    def ended(self, val: float | None) -> None:
        """Let the last line have the held-out loss of the network at the end."""
        if val is not None:
            self._val = val

    # --- a line on a terminal

    def _training_line(self, row: Row) -> tuple[float | None, list[list[str]]]:
        """The share that is done, and the forms of the line, the longest first."""
        first = self._first
        assert first is not None
        rate = (row.seen - first.seen) / max(row.elapsed - first.elapsed, 1e-9)
        speed = f"{rate / 1000:.0f}k" if rate >= 1000 else f"{rate:.0f}"
        share, left = _share_and_rest(first, row)
        loss = f"loss {row.avg:.3f}"
        val = [] if self._val is None else [f"held out {self._val:.3f}"]
        short_val = [] if self._val is None else [f"val {self._val:.3f}"]
        when = clock(row.elapsed) if left is None else f"{clock(left)} left"
        short_when = when.removesuffix(" left")
        return share, [
            [f"batch {row.batch}", loss, *val, f"{speed} {row.unit}s/s", when],
            [loss, *val, f"{speed} {row.unit}s/s", when],
            [loss, *short_val, f"{speed}/s", when],
            [loss, *short_val, f"{speed}/s", short_when],
            [loss, *short_val, short_when],
        ]

    # --- lines in a log

    def _log(self, row: Row) -> None:
        now = time.perf_counter()
        is_due = now - self._written >= LOG_SECONDS or row.batch == row.limit
        if self.every_batch or is_due or row.val is not None:
            self._written = now
            say(row.line())
        if row.val is not None:
            say(f"{row.batch}: {row.val:f} validation")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar.is_drawn and self._last is not None:
            self._bar.draw(*self._training_line(self._last), at_once=True)
        self._bar.close()


def _share_and_rest(first: Row, row: Row) -> tuple[float | None, float | None]:
    """The share of the run that is done, and the seconds that are left; None where nobody knows."""
    rests = []
    shares = []
    if row.time_limit is not None:
        shares.append(row.elapsed / row.time_limit)
        rests.append(row.time_limit - row.elapsed)
    if row.limit:
        shares.append(row.batch / row.limit)
        pace = (row.elapsed - first.elapsed + first.seconds) / (row.batch - first.batch + 1)
        rests.append(pace * (row.limit - row.batch))
    if not shares:
        return None, None
    return min(1.0, max(shares)), max(0.0, min(rests))
