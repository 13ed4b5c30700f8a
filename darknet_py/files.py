"""Names of files, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

TEMPORARY_SUFFIX = ".part"


def base_name(path: str) -> str:
    """darknet's name for a run: the cfg's file name up to its first dot."""
    return Path(path).name.split(".")[0] or "network"


def write_whole(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> None:
    """Write `chunks` beside `path`, sync, and rename: a reader sees the old file or the new one.

    Raises OSError; then the old file, if any, is as it was.
    """
    target = Path(path)
    beside = target.with_name(target.name + TEMPORARY_SUFFIX)
    try:
        with open(beside, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(target)
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
