"""What a person sees of a run while it trains: one line on a terminal, or lines in a log."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from darknet_py.terminal import is_terminal, say
from darknet_py.training.run import Row

LOG_SECONDS = 5.0  # between two lines of a log, unless every batch is wanted
DRAW_SECONDS = 0.1  # between two drawings of the line
BAR_CELLS = 20
NARROWEST = 40  # columns
BLOCK = "#"


class Progress:
    """Called with every batch. On a terminal it draws one line again and again; in a log it writes
    darknet's line for a batch every few seconds, and for each validation.

    unit: what a symbol is called. every_batch: write a line for each. first_loss, top_rate: of the
    batches so far.
    """

    def __init__(self, unit: str = "byte", quiet: bool = False, every_batch: bool = False) -> None:
        self.unit = unit
        self.quiet = quiet
        self.every_batch = every_batch
        self.first_loss: float | None = None
        self.top_rate = 0.0
        self._first: Row | None = None
        self._last: Row | None = None
        self._val: float | None = None
        self._bar: Any = None
        self._drawn = self._written = -1e9
        self._scoring_since = 0.0

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
            self._draw(self._training_line(row), is_last=row.batch == row.limit)
        else:
            self._log(row)

    def scoring(self, done: int, total: int) -> None:
        """Show how far the score of the best network at the end is."""
        if self.quiet or self._bar is None:
            return
        now = time.perf_counter()
        if not self._scoring_since:
            self._scoring_since = now
        left = (now - self._scoring_since) * (total - done) / max(1, done)
        words = f"scoring the held-out text  {clock(left)} left"
        self._draw(fitted(done / total, [[words], [f"scoring  {clock(left)} left"]], self._width()))

    # --- a line on a terminal

    def _training_line(self, row: Row) -> str:
        first = self._first
        assert first is not None
        rate = (row.seen - first.seen) / max(row.elapsed - first.elapsed, 1e-9)
        speed = f"{rate / 1000:.0f}k" if rate >= 1000 else f"{rate:.0f}"
        share, left = _share_and_rest(first, row)
        loss = f"loss {row.avg:.3f}"
        val = [] if self._val is None else [f"held out {self._val:.3f}"]
        short_val = [] if self._val is None else [f"val {self._val:.3f}"]
        when = f"{clock(row.elapsed)}" if left is None else f"{clock(left)} left"
        forms = [
            [f"batch {row.batch}", loss, *val, f"{speed} {self.unit}s/s", when],
            [loss, *val, f"{speed} {self.unit}s/s", when],
            [loss, *short_val, f"{speed}/s", when],
            [loss, *short_val, f"{speed}/s", when.removesuffix(" left")],
        ]
        return fitted(share, forms, self._width())

    def _width(self) -> int:
        try:
            return max(NARROWEST, os.get_terminal_size(sys.stderr.fileno()).columns)
        except (OSError, ValueError):
            return 80

    def _draw(self, line: str, is_last: bool = False) -> None:
        now = time.perf_counter()
        if now - self._drawn < DRAW_SECONDS and not is_last:
            return
        self._drawn = now
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(bar_format="{desc}", file=sys.stderr, leave=True)
        self._bar.set_description_str(line)

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
        if self._bar is not None:
            if self._last is not None:
                self._bar.set_description_str(self._training_line(self._last))
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


def fitted(share: float | None, forms: list[list[str]], width: int) -> str:
    """The first of `forms`, each the parts of a line, that fits into `width` columns; before it the
    percentage, and a bar where there is room.
    """
    head = "" if share is None else f"{int(100 * share):3d}%"
    for parts in forms:
        line = "  ".join([head, *parts] if head else parts)
        # The last column is left free, where some terminals break the line.
        room = width - 1 - len(line)
        if room >= 0:
            cells = min(BAR_CELLS, room - 2)
            if share is None or cells < 4:
                return line
            full = int(share * cells)
            return f"{head}|{BLOCK * full}{' ' * (cells - full)}|{line[len(head) + 1 :]}"
    return line[: width - 1]


def clock(seconds: float) -> str:
    """A duration like 1:05 or 2:00:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
