"""What reaches the terminal: messages on stderr, generated text on stdout."""

from __future__ import annotations

import codecs
import logging
import sys
from typing import Any

import click

from darknet_py.terminal.messages import say, visible
from darknet_py.text.symbols import cut_character


class ConsoleHandler(logging.Handler):
    """Log records as plain lines on stderr, above a progress bar if one is running."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def write_line(line: bytes) -> None:
    """A line to stdout: the bytes as they are, made visible on a terminal."""
    if sys.stdout.isatty():
        click.echo(visible(line.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


class TextWriter:
    """Generated symbols to stdout, as they come.

    On a terminal bytes are decoded as UTF-8, wrong sequences become U+FFFD and control characters
    visible; elsewhere stdout gets the bytes. A character that is cut at the end is left out. With
    `raw` stdout gets every byte, untouched.
    names: a text per symbol, printed instead of bytes; what is not UTF-8 in it as
    `surrogateescape` has it.
    """

    def __init__(self, raw: bool, names: list[str] | None) -> None:
        self.names = names
        self.raw = raw
        self.decoder = None
        self._held_back = b""
        if not raw and sys.stdout.isatty():
            self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __enter__(self) -> TextWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """End a text with a newline, as C prints it."""
        if not isinstance(error, OSError):
            self._held_back = b""
            self._print(b"\n")

    @property
    def is_cut(self) -> bool:
        """Whether the last character is not complete, and not printed yet."""
        return bool(self._held_back)

    def write(self, symbols: bytes | list[int]) -> None:
        """Print symbols now, all but a character that is not complete."""
        if self.names is not None:
            names = "".join(f"{self._name(symbol)} " for symbol in symbols)
            self._print(names.encode("utf-8", "surrogateescape"))
            return
        data = self._held_back + bytes(symbols)
        cut = 0 if self.raw else cut_character(data)
        data, self._held_back = data[: len(data) - cut], data[len(data) - cut :]
        self._print(data)

    def _name(self, symbol: int) -> str:
        assert self.names is not None
        return self.names[symbol] if symbol < len(self.names) else str(symbol)

    def _print(self, data: bytes) -> None:
        if self.decoder is not None:
            encoding = sys.stdout.encoding or "utf-8"
            shown = visible(self.decoder.decode(data))
            sys.stdout.write(shown.encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def print_json(value: Any) -> None:
    """JSON on a line of stdout; a number that is not finite is null, as in JSON."""
    import json
    import math

    def finite(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: finite(part) for key, part in item.items()}
        if isinstance(item, list):
            return [finite(part) for part in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    click.echo(json.dumps(finite(value), allow_nan=False))
