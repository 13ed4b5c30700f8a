"""Talking to a person: messages on stderr, and what a terminal may be shown."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import textwrap
import unicodedata
from typing import Any

import click

NARROWEST = 40  # columns that every output fits
USUAL = 80  # columns of what is no terminal
# Where a command to type begins, with which a message ends.
COMMAND = re.compile(r"darknet-py |(?<=: )(?:cat|find|iconv|pip|tr) ")
NO_BREAK = "\u00a0"  # a space at which no line ends


def say(message: str) -> None:
    """Write a message to stderr, above a progress bar if one is running.

    A line that is too long for a terminal is broken between words. If no one reads it any more,
    the work continues without a word.
    """
    message = wrapped(visible(message))
    tqdm = sys.modules.get("tqdm")
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is None:
            return
        if tqdm is not None:
            tqdm.tqdm.write(message, file=sys.stderr)
        else:
            click.echo(message, err=True)


def clear_line() -> None:
    """Clear the line of stderr's cursor: a terminal has written ^C into it."""
    if is_terminal(sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"\r{' ' * (columns(sys.stderr) - 1)}\r")


def one_line(error: BaseException) -> str:
    """What an error says, on one line that a terminal can be shown."""
    if isinstance(error, MemoryError):
        message = f"not enough memory: {error}"
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        message = str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        message += "; free some space and try again"
    # A file's name may hold what a terminal would obey.
    return visible(" ".join(message.split()), keep="")


def columns(stream: Any) -> int:
    """The width of a terminal, or the usual one of any other stream."""
    try:
        return max(NARROWEST, os.get_terminal_size(stream.fileno()).columns)
    except (AttributeError, OSError, ValueError):
        return USUAL


def wrapped(message: str, before: str = "") -> str:
    """A message of one line for stderr: on a terminal that is narrower, broken between words.

    A command to type stays in one piece, so that it can be copied. before: what will stand in front
    of the message.
    """
    if not is_terminal(sys.stderr) or "\n" in message:
        return message
    width = columns(sys.stderr)
    if len(before) + len(message) < width:
        return message
    message = before + message
    found = COMMAND.search(message)
    first = len(message) if found is None else found.start()
    whole = message[:first] + message[first:].replace(" ", NO_BREAK)
    lines = textwrap.wrap(
        whole,
        width - 1,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
    )
    return "\n".join(lines).replace(NO_BREAK, " ")[len(before) :]


def is_terminal(stream: Any) -> bool:
    """Whether a stream is one; a closed stream is None or raises."""
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, OSError, ValueError):
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
