"""Names and kinds of files, writing them whole or not at all, and not overwriting a user's.

The one rule about overwriting: a command replaces a file that exists only where it is as this
program wrote it, which a mark in it shows, or where --force is given. What a command reads is never
overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shlex
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from darknet_py.errors import DarknetError

WEIGHTS = (".weights", ".backup")  # darknet's own
TENSORS = (".safetensors", ".npz")  # the files that `import` reads
TEMPORARY_SUFFIX = ".darknet-py.part"
# In a file that a command writes; `with_mark` turns the zeros into a digest of the file.
MARK = "Written by darknet-py, 0000000000000000"
_MARK = re.compile(rb"Written by darknet-py, ([0-9a-f]{16})")
_MOST_MARKS = 8  # that are looked at in a file
_MARKED_LINE = re.compile(r"# Written by darknet-py\b.*\n?")

Name = str | os.PathLike[str]


def base_name(path: str) -> str:
    """darknet's name for a run: the cfg's file name up to its first dot."""
    return Path(path).name.split(".")[0] or "network"


def newest(paths: Iterable[Path]) -> Path:
    """The file that was written last."""
    return max(paths, key=lambda path: path.stat().st_mtime)


def starts_as_weights(start: bytes) -> bool:
    """Whether the first bytes of a file are the version of a weights file: three small i32."""
    size = struct.calcsize("<iii")
    return len(start) >= size and all(
        0 <= number <= 10000 for number in struct.unpack_from("<iii", start)
    )


def why_tensors(path: Name) -> str | None:
    """Of a file of tensors, which only `import` reads, what to do with it; None of others."""
    file = Path(path)
    if file.suffix not in TENSORS or not file.is_file():
        return None
    words = shlex.join(["darknet-py", "import", str(file), str(file.with_suffix(".weights"))])
    return f"holds exported tensors; turn it into a weights file and a cfg first: {words}"


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
        raise IsADirectoryError(
            errno.EISDIR, "this is a folder; give the name of a file", os.fspath(path)
        )
    if target.exists() and not target.is_file():
        raise OSError(
            errno.EINVAL, "this is a device or pipe; give the name of a file", os.fspath(path)
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", os.fspath(path))


def write_whole(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> None:
    """Write `chunks` as `writing_whole` does. Raises OSError."""
    with writing_whole(path) as file:
        for chunk in chunks:
            file.write(chunk)


def check_targets(*targets: Sequence[Path], read: Iterable[Name], force: bool) -> None:
    """Make sure that all files of a command can be written before the first of them is.

    targets: files that are written together, the one with the mark first. read: what the command
    reads. Raises OSError where there is no place for a file, and DarknetError where it would be
    overwritten and should not be.
    """
    files = [file for together in targets for file in together]
    for file in files:
        check_file_place(file)
    sources = [source for source in read if os.path.exists(source)]
    for file in files:
        if file.exists() and any(_is_in(file, source) for source in sources):
            raise DarknetError(f"{file} is what the command reads; choose another name")
    for together in targets:
        present = [file for file in together if file.exists()]
        if present and not force and not is_as_written(*together):
            raise DarknetError(
                f"{present[0]} already exists; choose another name, or --force to overwrite it"
            )


def _is_in(file: Path, source: Name) -> bool:
    """Whether a file is `source`, or within that folder."""
    return os.path.samefile(file, source) or Path(source).resolve() in file.resolve().parents


def with_mark(data: bytes, *others: bytes) -> bytes:
    """A file's content, with its last MARK made to vouch for it and for files next to it."""
    before, mark, after = data.rpartition(MARK.encode())
    assert mark, "a file that has the mark"
    return before + mark[:-16] + _digest([data, *others]) + after


def is_as_written(marked: Path, *others: Path) -> bool:
    """Whether this program wrote these files, with the mark in the first, and nobody changed them
    since.
    """
    try:
        data = marked.read_bytes()
        marks = list(islice(_MARK.finditer(data), _MOST_MARKS))
        rest = [other.read_bytes() for other in others] if marks else []
    except OSError:
        return False
    return any(
        found[1] == _digest([data[: found.start(1)] + b"0" * 16 + data[found.end(1) :], *rest])
        for found in marks
    )


def under_mark(text: str, line: str = f"# {MARK}") -> str:
    """A cfg's text with this first line, in place of one that it has from this program."""
    return f"{line}\n{_MARKED_LINE.sub('', text, count=1) if _MARKED_LINE.match(text) else text}"


def _digest(contents: Iterable[bytes]) -> bytes:
    whole = hashlib.sha256()
    for content in contents:
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()[:16].encode()


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power failure, where folders can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
