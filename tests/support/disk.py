"""A disk that fails while a run writes."""

from __future__ import annotations

import builtins
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from darknet_py import files
from darknet_py.training import journal


class FailingDisk:
    """Stands in for the files that a run writes: the n-th write, sync or rename fails.

    A failing write has written half.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
        self.calls = 0
        self.fails_at = fails_at
        for module in (files, journal):
            monkeypatch.setattr(module, "open", self.open, raising=False)
        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))

    def is_failing(self) -> bool:
        self.calls += 1
        return self.calls == self.fails_at

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self.is_failing():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args)

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
