"""Files of a run that grow by a line at a time, like BASE.csv."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from darknet_py.checks import whole
from darknet_py.errors import TrainingError
from darknet_py.files import sync, write_whole

MOST_BYTES = 1 << 30  # of one that is read: the table of ten million batches


class Journal:
    """Lines of UTF-8 after a `header`; each reaches the file when it is written.

    Use as a context manager. Raises OSError, naming the file.
    """

    def __init__(self, path: Path, header: str = "") -> None:
        self.path = path
        self.header = f"{header}\n".encode() if header else b""
        self._file: Any = None

    def begin(self) -> None:
        """Start with the header alone; without one, with the first line."""
        if self.header:
            write_whole(self.path, [self.header], follow=False)
        else:
            self.path.unlink(missing_ok=True)

    def cut_back(self, batch_of: Callable[[bytes], float], last: int) -> None:
        """Keep the whole lines up to this batch; a crash may have left others, and half of one."""
        self.close()
        try:
            content = self.path.read_bytes().removeprefix(self.header)
        except FileNotFoundError:
            self.begin()
            return
        whole = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
        kept = [line for line in whole if batch_of(line) <= last]
        write_whole(self.path, [self.header, *kept], follow=False)

    def write(self, line: str) -> None:
        """Add a line."""
        try:
            if self._file is None:
                # Unbuffered, so that what could not be written is not tried again on closing.
                self._file = open(self.path, "ab", 0, opener=_opened)  # noqa: SIM115
                sync(self.path.parent)
            rest = memoryview(f"{line}\n".encode())
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            error.filename = str(self.path)
            raise

    def sync(self) -> None:
        """Make sure that all lines outlast a power failure."""
        if self._file is not None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                error.filename = str(self.path)
                raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def batch_of_row(line: bytes) -> float:
    """The batch of a line of BASE.csv, beyond all others if it has none."""
    try:
        return whole(1).parsed(line.partition(b",")[0].decode())
    except ValueError:
        return math.inf


def batch_of_sample(line: bytes) -> float:
    """The batch of a line of BASE.samples."""
    try:
        return whole(1).checked("batch", json.loads(line)["batch"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return math.inf


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of such a file without their ends, but for half of one that a crash leaves.

    None if it is no file. Raises OSError, and TrainingError for one that no run writes.
    """
    if not path.is_file():
        return
    if path.stat().st_size > MOST_BYTES:
        raise TrainingError(f"{path} has more than {MOST_BYTES:,} bytes, which no run writes")
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line.rstrip(b"\r\n")


def _opened(path: str, flags: int) -> int:
    """A file for `open`, but no other through a link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
