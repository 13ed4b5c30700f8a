"""What a person sees of a run while it trains: a bar, or lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any

from darknet_py.terminal.messages import columns, say
from darknet_py.terminal.progress import FREE, make_bar, progress_bar, shows_bars
from darknet_py.training.run import Row

LOG_SECONDS = 5.0  # between two lines of a log, unless every batch is wanted
# Columns below which the bar has its short form: the share, the time left and the losses.
WIDE = 80
DIGITS = 5  # of a batch in a run whose last one is not known


class Progress:
    """Called with every batch. On a terminal and in a notebook it moves a bar; in a log it writes
    a line every few seconds.

    every_batch: write darknet's line for each instead. first_loss, top_rate: of the batches so far.
    """

    def __init__(self, quiet: bool = False, every_batch: bool = False) -> None:
        self.quiet = quiet
        self.every_batch = every_batch
        self.first_loss: float | None = None
        self.top_rate = 0.0
        self._first: Row | None = None
        self._last: Row | None = None
        self._val: float | None = None
        self._bar: Any = None
        self._score = ExitStack()
        self._show_score: Any = None
        self._written = -1e9

    def __call__(self, row: Row) -> None:
        if self._first is None:
            self._first, self.first_loss = row, row.loss
        self._last = row
        self.top_rate = max(self.top_rate, row.rate)
        if row.val is not None:
            self._val = row.val
        if self.quiet:
            return
        if shows_bars():
            self._draw(row)
        else:
            self._log(row)

    def scoring(self, done: int, total: int) -> None:
        """Show how far the score at the end is, for which nothing that is to be saved waits."""
        if self._bar is None:
            return
        if self._show_score is None:
            self._bar.refresh()
            self._show_score = self._score.enter_context(progress_bar("saved; scoring"))
        self._show_score(done, total)

    def _draw(self, row: Row) -> None:
        """Move the bar, which counts the share of the run that is done, or updates if no one
        knows their number.
        """
        share = _share(row)
        if self._bar is None:
            begun = (share or 0) * (1 - 1 / row.batch)
            # All of the run counts for the time that is left, not only its last moments.
            self._bar = make_bar(
                total=share and 1, initial=begun, smoothing=0, miniters=0, bar_format=" "
            )
        self._describe(row)
        self._bar.update((row.batch if share is None else share) - self._bar.n)

    def _describe(self, row: Row) -> None:
        """Let the bar have this row's numbers, as many as fit the terminal."""
        bar, first = self._bar, self._first
        assert first is not None
        width = columns(sys.stderr)
        is_wide = width >= WIDE
        # Every value has its room from the beginning on, so that the bar keeps its width.
        val = "  ..." if self._val is None else f"{self._val:.3f}"
        values = [f"loss {row.avg:.3f}", f"{'held out' if is_wide else 'val'} {val}"]
        if is_wide:
            rate = (row.seen - first.seen) / max(row.seconds - first.seconds, 1e-9)
            values.append(f"{bar.format_sizeof(rate):>5} {row.unit}s/s")
        digits = len(str(row.limit)) if row.limit else DIGITS
        bar.set_description_str(f"batch {row.batch:>{digits}}: ", refresh=False)
        bar.set_postfix_str(", ".join(values), refresh=False)
        if bar.total is None:
            bar.bar_format = f"{'{desc}' * is_wide}{{elapsed}}{{postfix}}"
        else:
            form = "{desc}{percentage:3.0f}%|{bar}| {remaining} left{postfix}"
            bar.bar_format = form if is_wide else "{percentage:3.0f}% {remaining}{postfix}"
        bar.ncols = width - FREE

    def _log(self, row: Row) -> None:
        if self.every_batch:
            say(row.line())
            if row.val is not None:
                say(f"{row.batch}: {row.val:f} validation")
            return
        now = time.perf_counter()
        if now - self._written >= LOG_SECONDS or row.batch == row.limit:
            self._written = now
            say(self._labeled(row))

    def _labeled(self, row: Row) -> str:
        """Where the run is, for a log."""
        first, share = self._first, _share(row)
        assert first is not None
        line = f"batch {row.batch:,}: loss {row.avg:.4f}"
        if self._val is not None:
            line += f", held out {self._val:.4f}"
        done = row.seconds - first.seconds
        if done > 0:
            line += f", {(row.seen - first.seen) / done:,.0f} {row.unit}s/s"
        if share is None:
            return line
        line += f", {share:.0%}"
        begun = _share(first) or 0.0
        if share > begun:
            left = timedelta(seconds=round((1 - share) / (share - begun) * done))
            line += f", {left} left"
        return line

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._score.close()
        if self._bar is not None and self._last is not None:
            self._describe(self._last)
            with contextlib.closing(self._bar):
                self._bar.refresh()


def _share(row: Row) -> float | None:
    """The share of the run that is done; None if no one knows its length."""
    shares = [row.batch / row.limit] if row.limit else []
    if row.time_limit is not None:
        shares.append(row.seconds / row.time_limit)
    return min(1.0, max(shares)) if shares else None
