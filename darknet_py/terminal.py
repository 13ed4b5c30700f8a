"""Talking to a person: messages on stderr, and what a terminal may be shown."""

from __future__ import annotations

import contextlib
import logging
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import click


def say(message: str) -> None:
    """Write a line to stderr, above a progress bar where one is running.

    Where nobody reads it any more, the work goes on without a word.
    """
    message = visible(message)
    tqdm = sys.modules.get("tqdm")
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is None:
            return
        if tqdm is not None:
            tqdm.tqdm.write(message, file=sys.stderr)
        else:
            click.echo(message, err=True)


@contextlib.contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], object]]:
    """A bar on a terminal for what takes more than a second, unless the program is to be quiet.

    Gives the function to call with what is done and the number of all.
    """
    from tqdm import tqdm

    is_shown = is_terminal(sys.stderr) and logging.getLogger("darknet_py").level < logging.WARNING
    with tqdm(
        desc=description,
        bar_format="{percentage:3.0f}%|{bar:20}| {desc} [{elapsed}<{remaining}]",
        file=sys.stderr,
        delay=1,
        leave=False,
        disable=not is_shown,
    ) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def one_line(error: BaseException) -> str:
    """What an error says, on one line that a terminal can be shown."""
    if isinstance(error, MemoryError):
        message = f"not enough memory: {error}"
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        message = str(error)
    # A file's name may hold what a terminal would obey.
    return visible(" ".join(message.split()), keep="")


def is_terminal(stream: Any) -> bool:
    """Whether a stream is one; a closed stream is None or raises."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def visible(text: str, keep: str = "\n\t") -> str:
    """`text` with control characters, all but those to `keep`, replaced by pictures of them."""
    if text.isprintable():
        return text
    return "".join(_picture(c) if _is_control(c) and c not in keep else c for c in text)


def _is_control(character: str) -> bool:
    """Control characters, line separators, and those that turn the direction of writing."""
    direction = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return direction or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
