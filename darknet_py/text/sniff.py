"""What a file is that was given as a text but has NUL bytes: UTF-16, or compressed."""

from __future__ import annotations

import codecs
import os
import shlex

LOOKED_AT = 1 << 16  # bytes of a file's start

# By its first bytes, what a compressed file is called.
_COMPRESSED = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}


def conversion(encoding: str, name: str) -> str:
    """The command that converts a text of this name from this encoding."""
    old = shlex.quote(name) if os.path.isfile(name) else "old.txt"
    return f"iconv -f {encoding} -t UTF-8 {old} > new.txt"


def why_no_text(start: bytes, name: str) -> str | None:
    """What a file that starts so is if it is no text of bytes, and what to do; None of others.

    Reads on from the file's name: "is a gzip file; decompress it first".
    """
    start = start[:LOOKED_AT]
    if b"\0" not in start:
        return None
    if is_utf_16(start):
        return f"is UTF-16 text; convert it to UTF-8 first: {conversion('UTF-16', name)}"
    kinds = (kind for first, kind in _COMPRESSED.items() if start.startswith(first))
    kind = next(kinds, None)
    return None if kind is None else f"is a {kind} file; decompress it first"


def is_utf_16(start: bytes) -> bool:
    """Whether a file that starts so is UTF-16: by its mark, or since nearly every other byte is NUL
    and none of those between.
    """
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    counts = [part.count(0) for part in (start[::2], start[1::2])]
    return min(counts) == 0 and max(counts) > 0.4 * len(start)
