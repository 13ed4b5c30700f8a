"""Texts as symbols: reading them, holding a part out, and the streams that walk over the rest."""

from __future__ import annotations

import codecs
import logging
import os
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import unknown_symbol
from darknet_py.errors import CorpusError, counted
from darknet_py.machine import memory
from darknet_py.rand import Rand
from darknet_py.terminal.messages import is_terminal
from darknet_py.text.sniff import LOOKED_AT, is_utf_16, why_no_text

log = logging.getLogger(__name__)

Nul = Literal["refuse", "end", "keep"]
PIECE = 1 << 20  # bytes read at a time
GIVEN = "the text given"  # the name of one that is no file
SHARE_OF_MEMORY = 8  # a text may take one part in this many, since it is copied
FEW = 3  # files that a message names
TEXT, BINARY, FOLDER = "text", "binary file", "subfolder"  # of the entries of a folder
LONGEST_LINE = 1 << 24  # bytes


def read_text(
    source: str | os.PathLike[str] | bytes, tokenized: bool = False, nul: Nul = "refuse"
) -> Array:
    """The symbols of a text file, of all files of a folder in sorted order, of stdin (`-`), or of
    the text itself as bytes.

    A symbol is a byte or, if the text is `tokenized`, one of its whitespace-separated integers.
    Between the files of a folder there is a newline. Byte-order marks are left out; only a single
    file keeps the one it starts with.
    nul: what a NUL byte does in a text of bytes. C ends a training text there (`end`), and keeps it
    in what it reads from stdin (`keep`), which can then be anything. It keeps all marks.
    Returns a flat array. Of a folder, subfolders, hidden files, empty ones and those that cannot be
    text are not read; the logger names how many.
    Raises CorpusError, naming file and offset, for a NUL byte that is refused, for what is no
    token, and for a source that is missing, empty, unreadable or no text, like a compressed file.
    """
    files = read_pieces(source, is_text=nul != "keep")
    if tokenized:
        pieces = [_tokens(data, name) for name, data in files]
    else:
        texts = [_until_nul(data, name, nul) for name, data in files]
        if nul == "refuse":
            texts = _to_be_joined(texts, GIVEN if isinstance(source, bytes) else os.fspath(source))
        pieces = [np.frombuffer(text, np.uint8) for text in texts]
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def _to_be_joined(texts: list[bytes], name: str) -> list[bytes]:
    """Texts with a newline at the end of all but the last and without byte-order marks; a single
    one keeps the mark it starts with.

    name: of where they are from.
    """
    kept = 0
    if len(texts) == 1 and texts[0].startswith(codecs.BOM_UTF8):
        kept = len(codecs.BOM_UTF8)
        log.info("%s: starts with a UTF-8 byte-order mark, which is kept as text", name)
    if marks := sum(text.count(codecs.BOM_UTF8, kept) for text in texts):
        log.info("%s: left out %s", name, counted(marks, "byte-order mark"))
        texts = [text[:kept] + text[kept:].replace(codecs.BOM_UTF8, b"") for text in texts]
    return [text if text.endswith(b"\n") else text + b"\n" for text in texts[:-1]] + texts[-1:]


def read_pieces(
    source: str | os.PathLike[str] | bytes, is_text: bool = True
) -> Iterator[tuple[str, bytes]]:
    """Name and content of a file, of every file of a folder in sorted order, of stdin (`-`), or of
    bytes.

    Subfolders, hidden and empty files and those that cannot be text are not read; the logger names
    how many.
    Raises CorpusError, naming the source, if it is missing, empty or unreadable; with `is_text`
    even if it is no text, such as a compressed file.
    """
    if isinstance(source, bytes):
        yield _checked(GIVEN, source, is_text)
        return
    if os.fspath(source) == "-":
        if is_terminal(sys.stdin):
            log.info("reading the text from the keyboard; Ctrl-D ends it")
        yield _checked("stdin", _read_bounded(sys.stdin.buffer, "stdin"), is_text)
        return
    path = Path(source)
    try:
        if not path.is_dir():
            yield _checked(os.fspath(source), _read_file(path), is_text)
            return
        for file in _texts_of(path):
            yield _checked(os.fspath(file), _read_file(file), is_text)
    except OSError as error:
        raise CorpusError(f"{source}: cannot read the text: {error.strerror}") from error


def _texts_of(folder: Path) -> list[Path]:
    """The files of a folder that are read; the logger names what is not. Raises CorpusError if
    there are none, and OSError.
    """
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        kinds.setdefault(_kind_of(path), []).append(path)
    files, binary = kinds.pop(TEXT, []), kinds.get(BINARY, [])
    told = [counted(len(found), kind) for kind, found in sorted(kinds.items())]
    if binary:  # The first in alphabetical order.
        names = ", ".join(p.name for p in binary[:FEW]) + ", ..." * (len(binary) > FEW)
        told[0] += f" ({names})"
    skipped = f"{' and '.join(told)} skipped"
    if not files:
        only = f" ({skipped})" if told else ""
        raise CorpusError(f"{folder} holds no text files{only}; give a folder that holds some")
    message = f"{folder}: {counted(len(files), 'file')} read" + f", {skipped}" * bool(told)
    if binary or FOLDER in kinds:
        log.warning("warning: %s", message)
    else:
        log.info(message)
    return files


def _kind_of(path: Path) -> str:
    """What an entry of a folder is called. Of TEXT it can be in whatever encoding."""
    if path.name.startswith("."):
        return "hidden folder" if path.is_dir() else "hidden file"
    if path.is_dir():
        return FOLDER
    if not path.is_file():
        return "device, pipe or broken link"
    with open(path, "rb") as file:
        start = file.read(LOOKED_AT)
    if not start:
        return "empty file"
    return BINARY if b"\0" in start and not is_utf_16(start) else TEXT


def _checked(name: str, data: bytes, is_text: bool) -> tuple[str, bytes]:
    """Raises CorpusError if there is no data or, with `is_text`, if it is no text."""
    if not data:
        raise CorpusError(f"{name} is empty; give a text")
    if is_text and (reason := why_no_text(data, name)):
        raise CorpusError(f"{name} {reason}")
    return name, data


def _read_file(path: Path) -> bytes:
    with open(path, "rb") as file:
        if path.is_file():
            # By one call, which takes no memory for a second copy.
            _check_size(path.stat().st_size, os.fspath(path))
            return file.read()
        return _read_bounded(file, os.fspath(path))


def _read_bounded(file: BinaryIO, name: str) -> bytes:
    """All of a file, unless it has no end, like a device, or fills the memory."""
    data = bytearray()
    # `read` would need two Ctrl-D on a terminal, since it reads on after the first.
    read = getattr(file, "read1", file.read)
    while piece := read(PIECE):
        data += piece
        _check_size(len(data), name)
    return bytes(data)


def _check_size(size: int, name: str) -> None:
    limit = memory() // SHARE_OF_MEMORY
    if size > limit:
        raise CorpusError(
            f"{name} has more than {limit / 1e9:,.1f} GB, too much for the "
            f"{memory() / 1e9:,.1f} GB of this machine"
        )


def read_lines(source: str | os.PathLike[str], as_in_c: bool = False) -> Iterator[bytes]:
    """The lines of a file or of stdin (`-`), as they come.

    as_in_c: as the C programs read lines, without their newlines. A NUL ends a string of C: what
    follows it in the line is lost, and the next line is read on behind what precedes it.
    Raises CorpusError.
    """
    lines = _c_lines if as_in_c else _lines
    if os.fspath(source) == "-":
        if is_terminal(sys.stdin):
            log.info("reading lines from the keyboard; Ctrl-D ends them")
        yield from lines(sys.stdin.buffer, "stdin")
        return
    try:
        with open(source, "rb") as file:
            yield from lines(file, os.fspath(source))
    except OSError as error:
        raise CorpusError(f"{source}: cannot read the lines: {error.strerror}") from error


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    number = 0
    # On a terminal a look ahead would take the Ctrl-D that is meant for the first line.
    start = b""
    if isinstance(file, BufferedReader) and not file.isatty():
        start = file.peek(PIECE)
    if reason := why_no_text(start, name):
        raise CorpusError(f"{name} {reason}")
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        _check_length(line, number, name)
        yield line


def _c_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    """darknet's `fgetl`: reads until a newline ends the string, in a buffer that doubles.

    So of a line longer than the buffer, only what follows a NUL in the same piece is lost.
    """
    number, line, buffer, is_open = 1, b"", 512, False
    while piece := file.readline(buffer - len(line) - 1):
        line, is_open = line + piece.partition(b"\0")[0], True
        _check_length(line, number, name)
        if line.endswith(b"\n"):
            yield line[:-1]
            number, line, buffer, is_open = number + 1, b"", 512, False
        elif len(line) == buffer - 1:
            buffer *= 2
    if is_open:
        yield line


def _check_length(line: bytes, number: int, name: str) -> None:
    if len(line) > LONGEST_LINE:
        raise CorpusError(f"{name}: line {number} is longer than {LONGEST_LINE:,} bytes")


def read_token_names(path: str | os.PathLike[str]) -> list[str]:
    """The text of each token, one a line; `<NEWLINE>` means a newline.

    Bytes that are not UTF-8 are as in `surrogateescape`; a byte-order mark at the start is
    left out. Raises CorpusError.
    """
    lines = [line.rstrip(b"\r\n").decode("utf-8", "surrogateescape") for line in read_lines(path)]
    if lines:
        lines[0] = lines[0].removeprefix("\ufeff")
    return ["\n" if line == "<NEWLINE>" else line for line in lines]


def _until_nul(data: bytes, name: str, nul: Nul) -> bytes:
    """A text of bytes, up to a NUL byte that ends it. Raises CorpusError for one refused."""
    offset = data.find(b"\0")
    if offset < 0 or nul == "keep":
        return data
    if nul == "refuse":
        raise CorpusError(
            f"{name} is not a text: NUL byte at offset {offset}; give a plain text file"
        )
    return _checked(name, data[:offset], is_text=False)[1]


def _tokens(data: bytes, name: str) -> Array:
    words = data.removeprefix(codecs.BOM_UTF8).split()
    for number, word in enumerate(words, 1):
        if not word.isdigit() or len(word) > 9:
            raise CorpusError(
                f"{name}: token {number} is {word[:40].decode('utf-8', 'replace')!r}; with "
                f"--tokenized or more than 256 symbols, a network trains on whole numbers from 0 "
                f"to 999999999, separated by white space"
            )
    if not words:
        raise CorpusError(
            f"{name} holds no tokens; they are whole numbers, separated by white space"
        )
    return np.array([int(word) for word in words], np.int64)


def check_known(text: Array, inputs: int, name: str) -> None:
    """Raise CorpusError if `text` has a symbol that a network of `inputs` does not know."""
    offset = unknown_symbol(text, inputs)
    if offset is not None:
        raise CorpusError(
            f"{name}: symbol {text[offset]} at offset {offset} is not one of the network's, 0 to "
            f"{inputs - 1}; this text needs inputs={int(text.max()) + 1} or more in [net]"
        )


# The blocks of a held-out part that is spread over a text of several parts.
BLOCKS = 10
HELD_OUT_FROM = ("end", "spread")


def split(text: Array, fraction: float, held_out_from: str = "end") -> tuple[Array, Array]:
    """The training part of a text, and the held-out `fraction` of it.

    held_out_from: "end", or "spread": BLOCKS blocks, each the end of an equal part of the text.
    """
    blocks = BLOCKS if held_out_from == "spread" else 1
    held_out = int(len(text) * fraction)
    ends = [len(text) * (block + 1) // blocks for block in range(blocks)]
    sizes = np.diff([held_out * end // max(1, len(text)) for end in [0, *ends]]).tolist()
    firsts = [end - size for end, size in zip(ends, sizes, strict=True)]
    if blocks == 1:
        return text[: firsts[0]], text[firsts[0] :]
    begins = [0, *ends[:-1]]
    return (
        np.concatenate([text[begin:first] for begin, first in zip(begins, firsts, strict=True)]),
        np.concatenate([text[first:end] for first, end in zip(firsts, ends, strict=True)]),
    )


class Streams:
    """darknet's walk over a text: every stream reads on from its offset, round and round.

    The offsets are drawn as C draws them, and after every datum each stream has one chance in 64 to
    jump to a new one.

    fresh: the streams that have jumped since the last datum, bool (streams,).
    """

    def __init__(self, text: Array, streams: int, rand: Rand, offsets: Array | None = None) -> None:
        """offsets: where each stream reads on, (streams,); drawn if they are not given."""
        self.text = text
        self.rand = rand
        drawn = [self._draw_offset() for _ in range(streams)] if offsets is None else offsets
        self.offsets = np.array(drawn, np.int64) % len(text)
        self.fresh = np.zeros(streams, bool)

    def _draw_offset(self) -> int:
        """Eight draws, the low byte of each, most significant first, modulo the text's length."""
        offset = 0
        for _ in range(8):
            offset = offset << 8 | self.rand.rand() & 255
        return offset % len(self.text)

    def next_datum(self, time_steps: int) -> tuple[Array, Array]:
        """Inputs and targets, `(time_steps, streams)`: the next symbols and those after them."""
        places = self.offsets + np.arange(time_steps + 1)[:, None]
        symbols = self.text[places % len(self.text)]
        self.offsets[:] = (self.offsets + time_steps) % len(self.text)
        return symbols[:-1], symbols[1:]

    def jump(self) -> list[int]:
        """Draw each stream's chance to jump; returns the streams that did."""
        jumped = []
        for stream in range(len(self.offsets)):
            if self.rand.rand() % 64 == 0:
                self.offsets[stream] = self._draw_offset()
                jumped.append(stream)
        self.fresh[:] = False
        self.fresh[jumped] = True
        return jumped
