"""What a file is that was given as a text but is none: compressed, a document, UTF-16, ..."""

from __future__ import annotations

import codecs
import os
import shlex

import numpy as np

LOOKED_AT = 1 << 16  # bytes of a file's start
SMALLEST = 12  # bytes; no file of these kinds is smaller

# By its first bytes: what a file is called, and what to do.
_STARTS = (
    (b"\x1f\x8b\x08", "a gzip file", "decompress it first (gunzip)"),
    (b"\xfd7zXZ\0", "an xz file", "decompress it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "decompress it first (unzstd)"),
    (b"\x04\x22\x4d\x18", "an lz4 file", "decompress it first (unlz4)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive", "extract its text first (7z x)"),
    (b"Rar!\x1a\x07", "a rar archive", "extract its text first (unrar x)"),
    (b"PK\x05\x06", "an empty zip archive", "give a text file"),
    (b"%PDF-", "a PDF document", "convert it to plain text first (pdftotext)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", "save it as plain text first"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", "give a text file"),
    (b"\xff\xd8\xff", "a JPEG image", "give a text file"),
    (b"\x7fELF", "a program", "give a text file"),
    (b"SQLite format 3\0", "an SQLite database", "give a text file"),
)
# A bzip2 file has one of these behind BZh and a digit: of its first block, or of its end.
_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
_DOCUMENTS = (
    (b"word/", "a Word document (.docx)"),
    (b"xl/", "an Excel workbook (.xlsx)"),
    (b"ppt/", "a PowerPoint presentation (.pptx)"),
    (b"mimetypeapplication/epub", "an EPUB book"),
    (b"mimetypeapplication/vnd.oasis.opendocument", "an OpenDocument file"),
)
# UTF-32 first: the mark of its little-endian form begins with that of UTF-16. Without LE or BE a
# decoder goes by the mark and takes it off.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def new_text(command: str, name: str) -> str:
    """What to type to make a new text from the one of this name with a command."""
    old = name if os.path.isfile(name) else "old.txt"
    new = "new.txt" if os.path.basename(name) != "new.txt" else "new2.txt"
    return f"{command} {shlex.quote(old)} > {new}"


def conversion(encoding: str, name: str) -> str:
    """The command that converts a text of this name from this encoding."""
    return new_text(f"iconv -f {encoding} -t UTF-8", name)


def why_no_text(data: bytes, name: str = "") -> str | None:
    """What `data`, the start of a file at least, is if it is no text of bytes, and what to do.

    Reads on from the file's name: "is a gzip file: decompress it first (gunzip)". None for what can
    be a text, which is all that is not recognized.
    """
    if encoding := _wide_encoding(data[:LOOKED_AT]):
        return f"is {encoding[:6]} text; convert it to UTF-8 first: {conversion(encoding, name)}"
    return _why_signed(data)


def is_binary(start: bytes) -> bool:
    """Whether what starts so cannot be text, in whatever encoding."""
    start = start[:LOOKED_AT]
    return not _wide_encoding(start) and (b"\0" in start or _why_signed(start) is not None)


def _why_signed(data: bytes) -> str | None:
    """The same of a file that its first bytes tell; None for any other."""
    if len(data) < SMALLEST:
        return None
    for start, name, advice in _STARTS:
        if data.startswith(start):
            return f"is {name}: {advice}"
    if data.startswith(b"BZh") and data[4:10] in _BZIP2:
        return "is a bzip2 file: decompress it first (bunzip2)"
    if data.startswith(b"PK\x03\x04"):
        found = next((name for part, name in _DOCUMENTS if part in data[:LOOKED_AT]), None)
        if found is not None:
            return f"is {found}: save it as plain text first"
        return "is a zip archive: extract its text first (unzip)"
    return None


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32, by the mark, or one order of its bytes by where the NUL bytes are."""
    for mark, name in _MARKS:
        is_long = b"\0" in data or len(data) >= SMALLEST
        if data.startswith(mark) and is_long and _decodes(data, name):
            return name
    if b"\0" not in data:
        return None
    whole = np.frombuffer(data, np.uint8)[: len(data) // 4 * 4].reshape(-1, 4)
    if len(whole):
        # Unicode ends at 0x10ffff: the highest byte is 0, the next below 0x11 and mostly 0.
        first, second, third, fourth = ((whole == 0).mean(axis=0)).tolist()
        if fourth == 1 and third > 0.5 and first < 0.1 and _decodes(data, "UTF-32LE"):
            return "UTF-32LE"
        if first == 1 and second > 0.5 and fourth < 0.1 and _decodes(data, "UTF-32BE"):
            return "UTF-32BE"
    pairs = np.frombuffer(data, np.uint8)[: len(data) // 2 * 2].reshape(-1, 2)
    even, odd = (pairs == 0).sum(axis=0).tolist()
    for high, low, name in ((odd, even, "UTF-16LE"), (even, odd, "UTF-16BE")):
        # Spaces, digits and line ends have a NUL byte in every language, and it is the high one.
        is_latin = high >= max(2, 0.9 * len(pairs))
        is_other = high >= max(8, 0.02 * len(pairs)) and not _is_ascii(data)
        if low * 20 <= high and (is_latin or is_other) and _decodes(data, name):
            return name
    return None


def _is_ascii(data: bytes) -> bool:
    """Whether `data` is printable ASCII but for its NUL bytes."""
    return not data.translate(None, b"\0\t\r\n" + bytes(range(0x20, 0x7F)))


def _decodes(data: bytes, encoding: str) -> bool:
    """Whether `data` is text in this encoding, whose last character may be cut."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return "\0" not in text
