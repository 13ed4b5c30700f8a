"""darknet's weights files.

    i32 major, i32 minor, i32 revision
    u64 seen        if 10*major + minor >= 2 and both are below 1000, else 32 bits, which the C
                    program takes for an i32, so that it is negative from 2^31 on
    f32 ...         the parameters of every layer, in the order of the network's vector

All little-endian, and nothing else: no names, no shapes. So the only check is the size, and it is
made to the byte. Where major or minor is above 1000 each matrix is stored transposed, `(inputs,
outputs)`; kernels of convolutions are not.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darknet_py.arrays import Array
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.errors import DarknetWarning, WeightsError
from darknet_py.files import (
    WEIGHTS,
    Name,
    starts_as_weights,
    why_tensors,
    write_whole,
)
from darknet_py.layers.base import Parameter

_VERSION = struct.Struct("<iii")
_MAX_SEEN = 1 << 62
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class Header:
    """The start of a weights file, and what follows it: whole floats and a rest of bytes.

    seen: symbols that the network was trained on. length: of the header, in bytes.
    """

    major: int
    minor: int
    revision: int
    seen: int
    length: int
    floats: int
    rest: int

    @property
    def transposed(self) -> bool:
        return self.major > 1000 or self.minor > 1000

    @property
    def dialect(self) -> Dialect:
        """The program that wrote the file, by the revision."""
        return ALEXEYAB if self.revision == ALEXEYAB.revision else UPSTREAM


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the header of the weights file at `path`. Raises WeightsError."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise WeightsError(f"{path} is a folder, pipe or device; give a weights file")
        with open(path, "rb") as file:
            start = file.read(20)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        folder = "" if Path(path).suffix in WEIGHTS else ", or the folder of a run"
        raise WeightsError(
            f"{path}: cannot read the weights file: {error.strerror}; give a weights file{folder}"
        ) from error
    if len(start) < 16:
        raise WeightsError(
            f"{path} has {size} bytes; a weights file has at least 16: give another file"
        )
    major, minor, revision = _VERSION.unpack_from(start)
    if not starts_as_weights(start):
        if advice := why_tensors(path):
            raise WeightsError(f"{path} {advice}")
        raise WeightsError(
            f"{path} is not a weights file: it starts with "
            f"{start[:12].decode('utf-8', 'replace')!r} instead of a version number; give a "
            f".weights or .backup file, or the folder of a run"
        )
    long_seen = major * 10 + minor >= 2 and major < 1000 and minor < 1000
    length = 20 if long_seen else 16
    if size < length:
        raise WeightsError(
            f"{path} has {size} bytes; a weights file of this version has at least {length}"
        )
    (seen,) = struct.unpack_from("<Q" if long_seen else "<I", start, 12)
    if seen >= _MAX_SEEN:
        raise WeightsError(f"{path}: seen={seen} at offset 12 is not a count of symbols")
    return Header(major, minor, revision, seen, length, *divmod(size - length, 4))


def dialect_of(weights: str | os.PathLike[str], dialect: str = "auto") -> Dialect:
    """The named dialect; `auto` is the one of the weights file's header. Raises WeightsError."""
    return read_header(weights).dialect if dialect == "auto" else DIALECTS[dialect]


def read_weights(
    path: str | os.PathLike[str],
    tensors: Sequence[Parameter],
    spare: int = 0,
    is_partial: bool = False,
) -> Header:
    """Fill the values of `tensors`, in file order, from the file at `path`.

    spare: numbers that may follow them and are ignored. is_partial: a file may have too few
    numbers; they are taken as far as they go, with a DarknetWarning.
    Raises WeightsError, and then leaves the values as they were.
    """
    header = read_header(path)
    count = sum(tensor.size for tensor in tensors)
    is_partial = is_partial and header.floats < count and not header.transposed
    if header.rest or not (is_partial or header.floats in (count, count + spare)):
        rest = f" and {header.rest} bytes" if header.rest else ""
        raise WeightsError(
            f"{path} holds {header.floats:,} numbers{rest}, but the network of this cfg has "
            f"{count:,} parameters; give the cfg that it was trained with"
        )
    try:
        floats = np.fromfile(path, _FLOAT, count=header.floats, offset=header.length)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights file: {error.strerror}") from error
    if len(floats) != header.floats:
        raise WeightsError(f"{path}: changed while it was read")
    _check_numbers(path, tensors, floats, header.length)
    first = 0
    for tensor in tensors:
        piece = floats[first : first + tensor.size]
        if header.transposed and tensor.decayed and len(tensor.shape) == 2:
            np.copyto(tensor.values, piece.reshape(tensor.shape[::-1]).T)
        else:
            tensor.values.reshape(-1)[: len(piece)] = piece
        first += tensor.size
    if is_partial:
        message = (
            f"{path} holds {header.floats:,} numbers, but the network of this cfg has {count:,} "
            f"parameters; as in C, they are read in order and the last {count - header.floats:,} "
            f"parameters stay as they were drawn at random; check the cfg"
        )
        warnings.warn(message, DarknetWarning, stacklevel=2)
    return header


def _check_numbers(
    path: str | os.PathLike[str], tensors: Sequence[Parameter], floats: Array, start: int
) -> None:
    """Raise WeightsError at the first number that is not `usable`; warn of infinite variances.

    floats: of the tensors in their order, and spare ones; start: where they are in the file.
    """
    fine = np.isfinite(floats)
    if fine.all():
        return
    first = 0
    for tensor in tensors:
        last = first + tensor.size
        fine[first:last] = usable(tensor, floats[first:last])
        first = last
    if not fine.all():
        index = int(np.argmin(fine))
        raise WeightsError(
            f"{path}: {floats[index]} at offset {start + 4 * index} is not a finite number"
        )
    warn_of_infinite(path, int(np.isinf(floats).sum()))


def usable(tensor: Parameter, values: Array) -> Array:
    """Those of `values`, of this tensor, that a network can compute with; a bool for each.

    They are the finite ones, and in a rolling variance infinity, too, since what it divides
    becomes 0. The C program's training reaches that if outputs are very large.
    """
    finite = np.isfinite(values)
    return finite | np.isposinf(values) if tensor.is_variance else finite


def warn_of_infinite(path: str | os.PathLike[str], count: int) -> None:
    """A DarknetWarning of the rolling variances of a file that are infinite, if there are any."""
    if count:
        what = (
            "variance is infinite; this output is"
            if count == 1
            else "variances are infinite; these outputs are"
        )
        message = f"{path}: {count:,} rolling {what} normalized to 0"
        warnings.warn(message, DarknetWarning, stacklevel=2)


def write_weights(
    path: Name, tensors: Sequence[Parameter], seen: int, dialect: Dialect, follow: bool = True
) -> None:
    """Write the values of `tensors` as a weights file, as `write_whole` does. Raises OSError."""
    header = _VERSION.pack(0, 2, dialect.revision) + struct.pack("<Q", seen)
    floats = (np.ascontiguousarray(tensor.values, _FLOAT) for tensor in tensors)
    write_whole(path, [header, *(values.data.cast("B") for values in floats)], follow)
