"""Progress bars: tqdm's, in terminals from 40 columns and in notebooks."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from darknet_py.terminal.messages import columns, is_terminal

SHORT_SECONDS = 1.0  # work that takes no longer shows no bar
# Columns left free: a terminal writes ^C behind the line, and some break a line in the last one.
FREE = 3


def shows_bars() -> bool:
    """Whether stderr is a terminal, or the output of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return is_terminal(sys.stderr) or "IPKernelApp" in getattr(shell, "config", ())


def make_bar(**options: Any) -> Any:
    """A bar on stderr with these options of tqdm."""
    with warnings.catch_warnings():
        # Without ipywidgets a notebook shows the bar as text, and a warning about that.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    return tqdm(file=sys.stderr, **options)


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], object]]:
    """A bar called `name` for what takes more than a second, unless the program is to be quiet.

    Gives the function to call with what is done and the number of all. The bar goes away at the
    end.
    """
    is_quiet = logging.getLogger("darknet_py").level >= logging.WARNING
    if is_quiet or not shows_bars():
        yield lambda done, total: None
        return
    form = "{l_bar}{bar}| {remaining} left"
    width = columns(sys.stderr) - FREE
    bar = make_bar(
        desc=name,
        bar_format=form,
        delay=SHORT_SECONDS,
        leave=False,
        smoothing=0,
        total=1,
        ncols=width,
    )

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield show
