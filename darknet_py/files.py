"""Names and kinds of files, writing them whole or not at all, and not overwriting a user's.

The one rule about overwriting: a command replaces a file that exists only if it is as this
program wrote it, which a mark in it shows, or where --force is given. What a command reads is never
overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shlex
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from darknet_py.errors import DarknetError

WEIGHTS = (".weights", ".backup")  # darknet's own
TENSORS = (".safetensors", ".npz")  # the files that `import` reads
TEMPORARY = r"\.[0-9a-f]{8}\.darknet-py\.part"  # a regex: what is added to the name of a file
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


def _beside(path: Path) -> Path:
    """A temporary file next to `path` that no other writer has."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.darknet-py.part")


@contextlib.contextmanager
def writing_whole(path: Name, follow: bool = True) -> Iterator[BinaryIO]:
    """A file next to `path` to write to, then synced and renamed: a reader sees the old file or the
    new one, at any moment, and of two writers the last one wins.

    follow: write the file that a link at `path` names; otherwise the new file replaces the link.
    Raises OSError, naming `path`, even if there is something other than a file; then the old file,
    if any, is as it was.
    """
    check_file_place(path, follow)
    target = Path(os.path.realpath(path) if follow else path)
    beside = _beside(target)
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
        sync(target.parent)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(beside)):
            error.filename = os.fspath(path)
            error.filename2 = None
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def check_file_place(path: Name, follow: bool = True) -> None:
    """Raise OSError if no file could be written: no name, no folder, or no file in its place.

    follow: see `writing_whole`.
    """
    target = Path(os.path.realpath(path) if follow else path) if os.fspath(path) else None
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


def check_run_place(base: Path) -> None:
    """Raise OSError unless the files of a run can be written: one with a long name comes and goes.

    base: the folder and the start of their names.
    """
    beside = _beside(base.with_name(f"{base.name}_1000000000.weights"))
    try:
        open(beside, "xb").close()
        beside.unlink()
    except OSError as error:
        error.filename = os.fspath(base.parent)  # Not of a file that no one knows.
        if error.errno == errno.ENAMETOOLONG:
            error.strerror = f"give the cfg a shorter name than {base.name}.cfg"
        raise


def write_whole(path: Name, chunks: Iterable[bytes | memoryview], follow: bool = True) -> None:
    """Write `chunks` as `writing_whole` does. Raises OSError."""
    with writing_whole(path, follow) as file:
        for chunk in chunks:
            file.write(chunk)


def check_targets(*targets: Sequence[Path], read: Iterable[Name], force: bool) -> None:
    """Make sure that all files of a command can be written before the first of them is.

    targets: files that are written together, the one with the mark first. read: what the command
    reads. Raises OSError if there is no place for a file, and DarknetError if it would be
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
    """Whether this program wrote these files, with the mark in the first, and no one changed them
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


def move(files: Sequence[Path], folder: Path) -> None:
    """Move files, or links, into a new folder: a power failure leaves each in one place or both.

    If the system has no hard links they are renamed. Raises OSError.
    """
    folder.mkdir()
    for file in files:
        moved = folder / file.name
        try:
            os.link(file, moved, follow_symlinks=False)
        except (OSError, NotImplementedError):
            os.replace(file, moved)
        if not moved.is_symlink():
            sync(moved)
    sync(folder)
    sync(folder.parent)
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file)


def sync(place: Path) -> None:
    """Make a file, or the names in a folder, last through a power failure, if that is possible.

    What was written to a file that is open is synced through that, since here errors are ignored.
    """
    with contextlib.suppress(OSError):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
