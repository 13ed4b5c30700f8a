"""Names and kinds of files, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".darknet-py.part"


def base_name(path: str) -> str:
    """darknet's name for a run: the cfg's file name up to its first dot."""
    return Path(path).name.split(".")[0] or "network"


def starts_as_weights(start: bytes) -> bool:
    """Whether the first bytes of a file are the version of a weights file: three small i32."""
    size = struct.calcsize("<iii")
    return len(start) >= size and all(
        0 <= number <= 10000 for number in struct.unpack_from("<iii", start)
    )


@contextlib.contextmanager
def writing_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file beside `path` to write to, then synced and renamed: a reader sees the old file or the
    new one, at any moment.

    A link is followed. Raises OSError, naming `path`, also where something else than a file is
    there; then the old file, if any, is as it was.
    """
    check_file_place(path)
    target = Path(os.path.realpath(path))
    beside = target.with_name(target.name + TEMPORARY_SUFFIX)
    try:
        beside.unlink(missing_ok=True)
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
        _sync_folder(target.parent)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(beside)):
            error.filename = os.fspath(path)
            error.filename2 = None
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def check_file_place(path: str | os.PathLike[str]) -> None:
    """Raise OSError where no file could be written: no name, no folder, or no file in its place."""
    target = Path(os.path.realpath(path)) if os.fspath(path) else None
    if target is None or target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder: expected a file's name", os.fspath(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "a device or pipe: expected a file", os.fspath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", os.fspath(path))


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
