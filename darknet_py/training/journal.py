"""Files of a run that grow by a line at a time, like BASE.csv."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from darknet_py.files import write_whole


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
            write_whole(self.path, [self.header])

    def cut_back(self, keep: Callable[[str], bool]) -> None:
        """Keep the whole lines that `keep` wants; a crash may have left others, and half of one."""
        self.close()
        try:
            content = self.path.read_bytes().removeprefix(self.header)
        except FileNotFoundError:
            self.begin()
            return
        whole = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
        kept = [line for line in whole if keep(line.decode("utf-8", "replace"))]
        write_whole(self.path, [self.header, *kept])

    def write(self, line: str) -> None:
        """Add a line."""
        try:
            if self._file is None:
                # Unbuffered, so that what could not be written is not tried again on closing.
                self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
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
