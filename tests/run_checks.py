"""What a run leaves in its folder, checked; and a disk that fails while it writes."""

from __future__ import annotations

import builtins
import csv
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darknet_py import files
from darknet_py.finding import open_network
from darknet_py.training import journal
from darknet_py.training.checkpoint import read_checkpoint
from tests.cli_helpers import files_in


def same_files(one: Path, other: Path, but: tuple[str, ...] = ()) -> None:
    """Two folders hold the same run: every byte, but for times."""
    names = [name for name in files_in(one) if not name.endswith(but)]
    assert names == [name for name in files_in(other) if not name.endswith(but)]
    for name in names:
        if name.endswith(".csv"):
            assert without_times(one / name) == without_times(other / name)
        elif name.endswith(".state"):
            ours, theirs = read_checkpoint(one / name), read_checkpoint(other / name)
            assert ours.arrays.keys() == theirs.arrays.keys()
            for key, array in ours.arrays.items():
                assert array.tobytes() == theirs.arrays[key].tobytes(), key
            assert {**ours.progress, "elapsed": 0} == {**theirs.progress, "elapsed": 0}
            assert ours.plan == theirs.plan
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


def without_times(table: Path) -> list[dict[str, str]]:
    with open(table, newline="", encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def all_files_are_readable(folder: Path) -> None:
    for name in files_in(folder):
        path = folder / name
        if path.suffix in (".weights", ".backup"):
            open_network(path)
        elif path.suffix == ".state":
            read_checkpoint(path)


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
