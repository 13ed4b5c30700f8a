"""Reading .npz files: names, types and shapes come first, so that no array is read before its size
is known to be right. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import os
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.cfg import printable
from darknet_py.errors import DarknetError

Header = tuple[np.dtype[Any], tuple[int, ...]]  # type and shape of an array


class Npz:
    """An open .npz file; names: those of its arrays.

    Its methods raise ValueError, and whatever a damaged file leads to: see `refusing_damage`.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = [name.removesuffix(".npy") for name in archive.namelist()]
        if len(set(self.names)) < len(self.names):
            raise ValueError("a name that occurs twice")

    def header(self, name: str) -> Header:
        """Type and shape of an array."""
        with self._archive.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            if version != (1, 0):
                raise ValueError(f"{name} has the version {version}, not (1, 0)")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            return dtype, shape

    def read(self, name: str) -> Array:
        """An array, which takes as much memory as its header says."""
        with self._archive.open(f"{name}.npy") as member:
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
            if member.read(1):
                raise ValueError(f"{name} is longer than its shape")
        # numpy counts the bytes of bools, which must be 0 or 1.
        return array.view(np.uint8) != 0 if array.dtype == bool else array


@contextlib.contextmanager
def open_npz(path: str | os.PathLike[str]) -> Iterator[Npz]:
    """The .npz file at `path`. Raises as the methods of Npz do."""
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        yield Npz(archive)


@contextlib.contextmanager
def refusing_damage(
    path: str | os.PathLike[str], error: type[DarknetError], advice: str
) -> Iterator[None]:
    """Turn what a library raises into an `error`: a damaged file makes it raise anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DarknetError, MemoryError):
        raise
    except Exception as found:
        what = printable(" ".join(str(found).split()) or type(found).__name__, 100)
        raise error(f"{path} is damaged or {advice} ({what})") from found
