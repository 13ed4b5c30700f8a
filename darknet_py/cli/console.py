"""What reaches the terminal: messages on stderr, generated text on stdout."""

from __future__ import annotations

import codecs
import contextlib
import logging
import sys
import unicodedata
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import click


class ConsoleHandler(logging.Handler):
    """Log records as plain lines on stderr, above a progress bar where one is running."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


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


def write_line(line: bytes) -> None:
    """A line to stdout: the bytes as they are, made visible on a terminal."""
    if sys.stdout.isatty():
        click.echo(visible(line.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


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


class TextWriter:
    """Generated symbols to stdout, as they come.

    On a terminal bytes are decoded as UTF-8, wrong or cut sequences become U+FFFD and control
    characters visible. Otherwise, and with `raw`, stdout gets the bytes untouched.
    names: a text per symbol, printed instead of bytes.
    """

    def __init__(self, raw: bool, names: list[str] | None) -> None:
        self.names = names
        self.decoder = None
        if not raw and sys.stdout.isatty():
            self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __enter__(self) -> TextWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End a text: what is left of a cut sequence, and a newline, as C prints it."""
        if isinstance(error, OSError):
            return
        if self.decoder is not None:
            self._print(self.decoder.decode(b"", final=True))
        self._print("\n")

    def write(self, symbols: bytes | list[int]) -> None:
        """Print symbols now."""
        if self.names is not None:
            self._print("".join(self._name(symbol) for symbol in symbols))
        elif self.decoder is not None:
            self._print(self.decoder.decode(bytes(symbols)))
        else:
            sys.stdout.buffer.write(bytes(symbols))
            sys.stdout.buffer.flush()

    def _name(self, symbol: int) -> str:
        assert self.names is not None
        return f"{self.names[symbol] if symbol < len(self.names) else symbol} "

    def _print(self, text: str) -> None:
        if self.decoder is not None:
            encoding = sys.stdout.encoding or "utf-8"
            text = visible(text).encode(encoding, "replace").decode(encoding)
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()


def print_json(value: Any) -> None:
    """One JSON object on a line of stdout; a number that is not finite is null, as in JSON."""
    import json
    import math

    if isinstance(value, dict):
        value = {
            key: None if isinstance(item, float) and not math.isfinite(item) else item
            for key, item in value.items()
        }
    click.echo(json.dumps(value, allow_nan=False))
