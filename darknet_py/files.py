"""Names of files, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".part"


def base_name(path: str) -> str:
    """darknet's name for a run: the cfg's file name up to its first dot."""
    return Path(path).name.split(".")[0] or "network"


@contextlib.contextmanager
def writing_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file beside `path` to write to, then synced and renamed: a reader sees the old file or the
    new one, at any moment.

    Raises OSError, naming `path`; then the old file, if any, is as it was.
    """
    target = Path(path)
    beside = target.with_name(target.name + TEMPORARY_SUFFIX)
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
        _sync_folder(target.parent)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(target)
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def write_whole(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> None:
    """Write `chunks` as `writing_whole` does. Raises OSError."""
    with writing_whole(path) as file:
        for chunk in chunks:
            file.write(chunk)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power failure, where folders can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
