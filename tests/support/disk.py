"""A disk that fails while a run writes, and what a run asks of a disk."""

from __future__ import annotations

import builtins
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darknet_py import files
from darknet_py.training import journal


class FailingDisk:
    """Stands in for the files that a run writes: the n-th write, sync, rename or removal fails.

    A failing write has written half.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
        self.calls = 0
        self.fails_at = fails_at
        for module in (files, journal):
            monkeypatch.setattr(module, "open", self.open, raising=False)
        for name in ("fsync", "link", "replace", "unlink"):
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))

    def is_failing(self) -> bool:
        self.calls += 1
        return self.calls == self.fails_at

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if self.is_failing():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **named)

        return call

    def open(self, *args: Any, **named: Any) -> Any:
        return FailingFile(self, builtins.open(*args, **named))


class FailingFile:
    def __init__(self, disk: FailingDisk, file: Any) -> None:
        self.disk = disk
        self.file = file

    def write(self, data: Any) -> int:
        if self.disk.is_failing():
            self.file.write(bytes(data)[: len(bytes(data)) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data))

    def __enter__(self) -> FailingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Calls:
    """What the program asks of the disk, in order: the name of a call and the file that it names.

    Of a sync only the number of a file or folder is known, which its other names share.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, object]] = []
        for name in ("link", "open", "replace", "unlink"):
            monkeypatch.setattr(os, name, self.recorded(name, getattr(os, name), Path))
        number = lambda descriptor: os.fstat(descriptor).st_ino  # noqa: E731
        monkeypatch.setattr(os, "fsync", self.recorded("fsync", os.fsync, number))

    def recorded(
        self, name: str, function: Callable[..., Any], named: Callable[[Any], object]
    ) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            # Of two names the last one is what comes to be.
            places = [arg for arg in args[:2] if name == "fsync" or isinstance(arg, str | Path)]
            self.made.append((name, named(places[-1])))
            return function(*args, **options)

        return call

    def first(self, name: str, path: Path, after: int = -1) -> int:
        """Where the first of these calls after another one is."""
        what = path.stat().st_ino if name == "fsync" else path
        return self.made.index((name, what), after + 1)
