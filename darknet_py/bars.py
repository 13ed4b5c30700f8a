"""How far a piece of work is: one line on a terminal that is drawn again and again."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from darknet_py.terminal import columns, is_terminal

DRAW_SECONDS = 0.1  # between two drawings of the line
SHORT_SECONDS = 1.0  # work that takes no longer shows no bar
BAR_CELLS = 20
BLOCK = "#"
ECHO = "^C"  # what a terminal may write behind a line, which must not begin another


class Bar:
    """A line on stderr, above which messages can still be written.

    stays: whether its last state remains on the terminal.
    """

    def __init__(self, stays: bool) -> None:
        self._stays = stays
        self._line: Any = None
        self._drawn = -1e9

    @property
    def is_drawn(self) -> bool:
        return self._line is not None

    def draw(
        self, share: float | None, forms: Sequence[Sequence[str]], at_once: bool = False
    ) -> None:
        """Draw the first of `forms` that fits the terminal, see `fitted`; not more often than is
        of use, unless `at_once`.
        """
        now = time.perf_counter()
        if now - self._drawn < DRAW_SECONDS and not at_once:
            return
        self._drawn = now
        if self._line is None:
            from tqdm import tqdm

            self._line = tqdm(bar_format="{desc}", file=sys.stderr, leave=self._stays)
        width = columns(sys.stderr) - len(ECHO)
        self._line.set_description_str(fitted(share, forms, width))

    def draw_part(self, done: int, total: int, begun: float, *names: str) -> None:
        """Draw that `done` of `total` steps of a work are done, and the time left at this pace.

        begun: when the work was. names: what it is called, the longest first.
        """
        if not done:
            self.draw(0, [[name] for name in names])
            return
        left = (time.perf_counter() - begun) * (total - done) / done
        forms = [[name, f"{clock(left)} left"] for name in names]
        self.draw(done / max(1, total), [*forms, [f"{clock(left)} left"]])

    def close(self) -> None:
        if self._line is not None:
            self._line.close()


@contextlib.contextmanager
def progress_bar(*names: str) -> Iterator[Callable[[int, int], object]]:
    """A bar on a terminal for what takes more than a second, unless the program is to be quiet.

    names: see `Bar.draw_part`. Gives the function to call with what is done and the number of all.
    """
    is_shown = is_terminal(sys.stderr) and logging.getLogger("darknet_py").level < logging.WARNING
    bar, begun = Bar(stays=False), time.perf_counter()

    def show(done: int, total: int) -> None:
        if is_shown and time.perf_counter() - begun > SHORT_SECONDS:
            bar.draw_part(done, total, begun, *names)

    try:
        yield show
    finally:
        bar.close()


def fitted(share: float | None, forms: Sequence[Sequence[str]], width: int) -> str:
    """The first of `forms`, each the parts of a line, that fits into `width` columns; before it the
    percentage, and a bar where there is room.

    Parts are two spaces apart, and one in the last two forms where nothing else fits. If those do
    not fit either, the last one is cut.
    """
    head = "" if share is None else f"{int(100 * share):3d}%"
    # The last column is left free, where some terminals break the line.
    most = width - 1
    line = ""
    wide, tight = forms[: max(1, len(forms) - 1)], forms[-2:]
    for gap, parts in [("  ", form) for form in wide] + [(" ", form) for form in tight]:
        rest = gap.join(parts)
        line = f"{head}{gap}{rest}" if head else rest
        if len(line) <= most:
            cells = min(BAR_CELLS, most - len(head) - len(rest) - 3)
            if share is None or cells < 4:
                return line
            full = int(share * cells)
            return f"{head}|{BLOCK * full}{' ' * (cells - full)}| {rest}"
    return line[:most]


def clock(seconds: float) -> str:
    """A duration like 1:05 or 2:00:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
