"""The texts of a run: the one to train on and the held-out one."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
from dataclasses import dataclass

import numpy as np

from darknet_py.arrays import Array
from darknet_py.errors import CorpusError, counted
from darknet_py.model import Model
from darknet_py.parallel import Communicator
from darknet_py.text.corpus import GIVEN, PIECE, check_known, read_text, split
from darknet_py.text.symbols import unit_of, warn_of_encoding

log = logging.getLogger(__name__)

FEW_ENDS = 10  # one line end of Windows in this many is reported
# Lines that show whether a text is sorted, at the least, places to look for one, bytes that
# are looked at for one, and the share of them that is in order.
MANY, PLACES, LONGEST, NEARLY = 100, 1000, 512, 0.95


@dataclass(frozen=True)
class Texts:
    """The text to train on and the held-out one, which is empty if there is none.

    data, val: where they came from, as a plan remembers it; `-` for what is no file.
    digest, val_digest: of the symbols.
    """

    training: Array
    held_out: Array
    data: str
    val: float | str
    digest: str
    val_digest: str


def read_texts(
    model: Model, data: str | bytes, val: float | str, comm: Communicator, val_from: str = "end"
) -> Texts:
    """Read both and hold out `val`, a fraction of `data` or a file.

    data: a path, `-` for stdin, or the text itself. Raises CorpusError.
    A file that the root alone has is sent to the others.
    """
    tokenized = not model.writes_bytes
    unit = unit_of(model)
    if data == "-" and comm.size > 1:
        # mpiexec gives it to one rank only, and Open MPI 5 loses its end, so that no one would
        # know whether the text is whole.
        raise CorpusError("-: several processes cannot share stdin; give a text file")
    text = _read(data, tokenized, comm)
    text_digest, val_digest = digest(text), ""
    name = GIVEN if isinstance(data, bytes) else data
    check_known(text, model.inputs, name)
    if unit == "byte":
        warn_of_encoding(text, name, "learned and written")
        _tell_line_ends(text, name)
    if val == "-":
        raise CorpusError("--val -: stdin cannot be read again; give a fraction or a file")
    if isinstance(val, str):
        held_out = _read(val, tokenized, comm)
        val_digest = digest(held_out)
        check_known(held_out, model.inputs, val)
        if unit == "byte":
            warn_of_encoding(held_out, val, "scored")
        if len(held_out) < 2:
            raise CorpusError(f"{val} has only one {unit}; held-out text needs at least 2")
        val = os.path.abspath(val)
    else:
        if unit == "byte" and val and val_from == "end" and _is_sorted(text):
            log.warning(
                "warning: the lines of %s are sorted, so the held-out end is another part of the "
                "alphabet: shuffle them with shuf%s, or add --val-from spread",
                *(name, f" {shlex.quote(name)} > shuffled.txt" if os.path.isfile(name) else ""),
            )
        text, held_out = split(text, val, val_from)
    least = model.options.time_steps + 1
    if len(text) < least:
        raise CorpusError(
            f"{name} has only {counted(len(text), unit)} to train on; time_steps="
            f"{model.options.time_steps} needs at least {least}: give a longer text, or a smaller "
            f"--set time_steps=N"
        )
    if len(text) < model.options.symbols:
        log.info(
            "%s has %s to train on, fewer than one update reads: this can only be memorized"
            "; give more text",
            *(name, counted(len(text), unit)),
        )
    if val != 0 and len(held_out) < 2:
        log.info("%s is too short to hold out a part of it: training without validation", name)
    if len(held_out) < 2:
        held_out = held_out[:0]
    place = "-" if data == "-" or isinstance(data, bytes) else os.path.abspath(data)
    return Texts(text, held_out, place, val, text_digest, val_digest)


def _read(source: str | bytes, tokenized: bool, comm: Communicator) -> Array:
    """The text; the root's on all ranks where others do not have the file. Raises
    CorpusError.
    """
    is_missing = isinstance(source, str) and source != "-" and not os.path.exists(source)
    missing = comm.all_reduce(is_missing)
    if not missing or comm.broadcast(is_missing):
        return read_text(source, tokenized)
    log.info("%s is sent to %d of the %d processes", source, missing, comm.size)
    return comm.broadcast_array(read_text(source, tokenized) if comm.is_root else None)


def _tell_line_ends(text: Array, name: str) -> None:
    """Tell where lines end as on Windows: the network will write them."""
    starts = range(0, len(text), PIECE)
    ends = sum(text[start : start + PIECE + 1].tobytes().count(b"\r\n") for start in starts)
    lines = sum(text[start : start + PIECE].tobytes().count(b"\n") for start in starts)
    if ends * FEW_ENDS > lines:
        log.info(
            "%s has %sWindows line ends (two bytes, \\r\\n), which are learned and written too; "
            "dos2unix removes them",
            *(name, "" if ends * 2 > lines else "some "),
        )


def _is_sorted(text: Array) -> bool:
    """Whether a text is a list of lines in the order of the alphabet, by PLACES of it.

    Nearly all lines looked at must stand before the next one, and before the one that is a tenth of
    them further on, so that one of several lists in a text is not taken for the whole. Lines that
    begin with a digit do not count: even a log is sorted.
    """
    found: list[bytes] = []
    for place in range(0, len(text), max(1, len(text) // PLACES)):
        # The first whole line from there on, or its beginning.
        _, _, rest = text[place : place + LONGEST].tobytes().partition(b"\n")
        line = rest.partition(b"\n")[0].strip().lower()
        if line and not line[:1].isdigit() and [line] != found[-1:]:
            found.append(line)
    if len(found) < MANY:
        return False
    for step in (1, len(found) // 10):
        pairs = list(zip(found, found[step:], strict=False))
        if sum(one < other for one, other in pairs) < NEARLY * len(pairs):
            return False
    return True


def digest(text: Array) -> str:
    """That of the symbols of a text, in hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(text).data).hexdigest()


def is_text_place(name: str) -> bool:
    """Whether a file or folder is there, rather than a device or pipe, which may never end."""
    return os.path.isfile(name) or os.path.isdir(name)
