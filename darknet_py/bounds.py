"""What the value of an argument or an option may be: in words, and checked.

Each kind of value has `words`, which end the sentence "NAME must be ...", and `take`, which gives
the value as it is used, or raises TypeError or ValueError for any other, OverflowError for a number
that is too large where the words name no largest one.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LONGEST = 60  # characters of a wrong value that a message shows
LONGEST_NAME = 255  # characters that the name of a file can have
LARGEST = 2**62  # of whole numbers: what is added to one still fits 64 bits


class Bounds(Protocol):
    """A kind of value; see the module."""

    @property
    def words(self) -> str: ...

    def take(self, value: Any) -> Any: ...


def checked(name: str, value: Any, bounds: Bounds) -> Any:
    """`value` as it is used. Raises ValueError, naming it and what it may be."""
    try:
        return bounds.take(value)
    except OverflowError:
        raise ValueError(f"{name} is too large: {shown(value)}") from None
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {bounds.words}, not {shown(value)}") from None


def shown(value: Any) -> str:
    """A value as a message shows it: no more than its beginning."""
    whole = repr(value)
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}..."


def integers(name: str, wanted: str, value: Any, ndim: int) -> NDArray[Any]:
    """`value` as an array of integers with so many axes; an empty one may be of any type.

    wanted: what it must be, for the message. Raises ValueError.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be {wanted}, and all parts of the same length") from None
    if array.ndim == ndim and array.dtype.kind in "iu":
        return array
    if array.ndim == ndim and not array.size and array.dtype.kind == "f":
        return array.astype(np.int64)  # What numpy makes of an empty list.
    if array.ndim and array.dtype.kind in "biuf":
        raise ValueError(f"{name} must be {wanted}, not {array.dtype} of shape {array.shape}")
    raise ValueError(f"{name} must be {wanted}, not {shown(value)}")


def unknown_symbol(symbols: NDArray[Any], inputs: int) -> int | None:
    """Where, in the flattened `symbols`, the first is that a network of `inputs` does not know."""
    if not symbols.size or (int(symbols.min()) >= 0 and int(symbols.max()) < inputs):
        return None
    return int(((symbols >= inputs) | (symbols < 0)).argmax())


@dataclass(frozen=True, eq=False, repr=False)
class Whole:
    """A whole number; True and False are none. Without a `most` it may be as large as LARGEST."""

    least: int = 0
    most: int | None = None

    @property
    def words(self) -> str:
        if self.most is None:
            return f"a whole number of at least {self.least}"
        return f"a whole number from {self.least} to {self.most}"

    def take(self, value: Any) -> int:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
        if self.most is None and number > LARGEST:
            raise OverflowError
        if number < self.least or (self.most is not None and number > self.most):
            raise ValueError
        return number


@dataclass(frozen=True, eq=False, repr=False)
class Number:
    """A number above `above`, and up to `most` or below `below`; never NaN or infinite."""

    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    @property
    def words(self) -> str:
        parts = [
            f"above {self.above:g}" if self.above > -math.inf else "",
            f"up to {self.most:g}" if self.most < math.inf else "",
            f"below {self.below:g}" if self.below < math.inf else "",
        ]
        return f"a number {' and '.join(filter(None, parts))}".rstrip()

    def take(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError
        number = float(value)
        if not (self.above < number <= self.most and number < self.below):
            raise ValueError
        return number


SEED = Whole(0, 2**32 - 1)


@dataclass(frozen=True, eq=False, repr=False)
class Seconds(Number):
    """A duration."""

    above: float = 0.0
    below: float = 1e9

    @property
    def words(self) -> str:
        return "a number of seconds above 0 and below 1e9"


# What hours, minutes and seconds are called behind a number.
UNITS = "h(?:ours?)?", "m(?:ins?|inutes?)?", "s(?:ecs?|econds?)?"
_NUMBERS = [rf"(?:([0-9.]+) ?{unit} ?)?" for unit in UNITS[:2]]
_DURATION = re.compile(rf"{''.join(_NUMBERS)}(?:([0-9.]+) ?(?:{UNITS[2]})?)?")


def duration(text: str) -> float:
    """Seconds from a time like 90s, 10m, 2h or 1h30m; a bare number is seconds.

    Raises ValueError for what is no time, or not below 1e9 seconds.
    """
    found = _DURATION.fullmatch(text)
    if not (found and text):
        raise ValueError
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    whole = hours * 3600 + minutes * 60 + seconds
    if whole >= Seconds.below:
        raise ValueError
    return whole


@dataclass(frozen=True, eq=False, repr=False)
class OneOf:
    """One of a few words."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        *most, last = map(repr, self.choices)
        return f"{', '.join(most)} or {last}"

    def take(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise ValueError
        return value


@dataclass(frozen=True, eq=False, repr=False)
class Flag:
    """True or False, nothing else."""

    words: str = "True or False"

    def take(self, value: Any) -> bool:
        if type(value).__name__ not in ("bool", "bool_"):
            raise TypeError
        return bool(value)


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A str."""

    words: str = "a str"

    def take(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        return value


@dataclass(frozen=True, eq=False, repr=False)
class Made:
    """An object of a class."""

    kind: type
    words: str

    def take(self, value: Any) -> Any:
        if not isinstance(value, self.kind):
            raise TypeError
        return value


def is_text(path: str) -> bool:
    """Whether what is given as a path can only be a text: of several lines, or longer than a name
    can be, and no file is called so.
    """
    longest = max(map(len, re.split(r"[/\\]", path)))
    return ("\n" in path or longest > LONGEST_NAME) and not os.path.exists(path)


@dataclass(frozen=True, eq=False, repr=False)
class Function:
    """Something to call."""

    words: str = "a function"

    def take(self, value: Any) -> Any:
        if not callable(value):
            raise TypeError
        return value


@dataclass(frozen=True, eq=False, repr=False)
class File:
    """The path of a file or folder; `what` is its name in a usage line."""

    what: str = "FILE"
    words: str = "a path"

    def take(self, value: Any) -> str:
        path = os.fspath(value)
        if not isinstance(path, str):
            raise TypeError
        if is_text(path):
            raise ValueError
        return path


@dataclass(frozen=True, eq=False, repr=False)
class FractionOrFile:
    """A part of a text, or the path of another one."""

    words: str = "a fraction from 0 to below 1, or a path"

    def take(self, value: Any) -> float | str:
        if isinstance(value, (str, os.PathLike)):
            return File().take(value)
        fraction = Number(below=1.0).take(value)
        if fraction < 0:
            raise ValueError
        return fraction


@dataclass(frozen=True, eq=False, repr=False)
class Keys:
    """Keys of a cfg and their values, which become texts."""

    words: str = "a mapping from keys of the cfg to values, like {'learning_rate': 0.01}"

    def take(self, value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise TypeError
        return {Text().take(key): key_text(part) for key, part in value.items()}


def key_text(value: object) -> str:
    """The value of a key as a cfg has it: True and False are 1 and 0."""
    return str(int(value) if isinstance(value, bool) else value)


@dataclass(frozen=True, eq=False, repr=False)
class Layers:
    """For layers of a new network, the layers that they are taken from."""

    words: str = "a mapping from layer to layer, like {0: 0, 2: 1}"

    def take(self, value: Any) -> dict[int, int]:
        if not isinstance(value, Mapping) or not value:
            raise TypeError
        number = Whole()
        return {number.take(layer): number.take(other) for layer, other in value.items()}
