"""What a value may be: an argument of Python, an option of the command line or a key of a cfg."""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

LONGEST = 60  # characters of a wrong value that a message shows
LONGEST_NAME = 255  # characters that the name of a file can have
LARGEST = 2**62  # of whole numbers: what is added to one still fits 64 bits
LARGEST_FLOAT = 3.4028234663852886e38  # that single precision holds
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_DIGITS = 1000  # of a number that is typed; the time that Python takes grows with the square
_MOST_KEYS = 1000  # of a cfg that one call sets

T = TypeVar("T")


class WrongType(TypeError, ValueError):
    """A value of a type that an argument cannot have, and so is a wrong value."""


@dataclass(frozen=True, eq=False, repr=False)
class Check(Generic[T]):
    """What a value may be.

    words: what it is, after "NAME must be". take: a value of Python as it is used. typed, read: the
    same for a text, if that is written otherwise. metavar: its name in a usage line. choices:
    all that it may be, if these are a few words.
    Both functions raise TypeError or ValueError for a wrong value, OverflowError for a number that
    is too large although `words` name no largest one.
    """

    words: str
    take: Callable[[object], T]
    read: Callable[[str], T] | None = None
    typed: str | None = None
    metavar: str = "TEXT"
    choices: tuple[str, ...] = ()

    def checked(self, name: str, value: object) -> T:
        """The argument `name` as it is used. Raises ValueError, naming it and what it may be;
        WrongType for what can never be one.
        """
        try:
            return self.take(value)
        except OverflowError:
            raise ValueError(f"{name} is too large: {shown(value)}") from None
        except (TypeError, ValueError) as error:
            kind = WrongType if isinstance(error, TypeError) else ValueError
            raise kind(f"{name} must be {self.words}, not {shown(value)}") from None

    def parsed(self, text: str) -> T:
        """The value that a text means. Raises ValueError with what it should be."""
        try:
            return self.take(text) if self.read is None else self.read(text)
        except OverflowError as error:
            raise ValueError(f"{self.words} {error}") from None
        except (TypeError, ValueError):
            raise ValueError(self.typed or self.words) from None


def shown(value: object) -> str:
    """A value as a message shows it: no more than its beginning."""
    try:
        whole = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}..."


# --- kinds of values


def whole(least: int = 0, most: int | None = None) -> Check[int]:
    """A whole number; True and False are none. Without a `most` it may be as large as LARGEST."""
    words = f"a whole number of at least {least}"
    if most is not None:
        words = f"a whole number from {least} to {most}"

    def take(value: Any) -> int:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
        if most is None and number > LARGEST:
            raise OverflowError(f"and up to {LARGEST:.2g}")
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    def read(text: str) -> int:
        return take(int(_matching(_WHOLE, text)))

    return Check(words, take, read, metavar="N")


def number(
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> Check[float]:
    """A number that single precision holds; never NaN or infinite."""
    parts = [
        f"above {above:g}" if above > -math.inf else "",
        f"of at least {least:g}" if least > -math.inf else "",
        f"up to {most:g}" if most < math.inf else "",
        f"below {below:g}" if below < math.inf else "",
    ]
    words = f"a number {' and '.join(filter(None, parts))}".rstrip()

    def take(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError
        number = float(value)
        if not (least <= number <= most and above < number < below):
            raise ValueError
        if abs(number) > LARGEST_FLOAT:
            raise OverflowError("that single precision holds, up to 3.4e38")
        return number

    def read(text: str) -> float:
        # What a double does not hold, either, is no more than too large.
        return take(max(-1e300, min(float(_matching(_NUMBER, text)), 1e300)))

    return Check(words, take, read, metavar="NUMBER")


def _matching(pattern: re.Pattern[str], text: str) -> str:
    """The text of a number, if it is one."""
    if len(text) > _MOST_DIGITS:
        raise OverflowError(f"of no more than {_MOST_DIGITS:,} characters")
    if not pattern.fullmatch(text):
        raise ValueError
    return text


def one_of(*choices: str) -> Check[str]:
    """One of a few words."""
    *most, last = map(repr, choices)

    def take(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return Check(f"{', '.join(most)} or {last}", take, choices=choices)


def instance(kind: Any, words: str) -> Check[Any]:
    """An object of a class, such as Callable."""

    def take(value: object) -> object:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return Check(words, take)


def path(metavar: str = "FILE", words: str = "a path") -> Check[str]:
    """The path of a file or folder. A text of several lines is none, nor one that is longer than a
    name can be, unless a file is called so.
    """

    def take(value: Any) -> str:
        name = os.fspath(value)
        if not isinstance(name, str):
            raise TypeError
        if b"\0" in os.fsencode(name):
            raise ValueError
        longest = max(map(len, re.split(r"[/\\]", name)))
        if ("\n" in name or longest > LONGEST_NAME) and not os.path.exists(name):
            raise ValueError
        return name

    return Check(words, take, metavar=metavar)


def optional(check: Check[T]) -> Check[T | None]:
    """What `check` takes, or None."""
    return Check(f"None or {check.words}", lambda each: None if each is None else check.take(each))


def items(check: Check[T]) -> Check[list[T]]:
    """A list of what `check` takes."""

    def take(value: object) -> list[T]:
        if not isinstance(value, list):
            raise TypeError
        return [check.take(each) for each in value]

    return Check(f"a list, each of it {check.words}", take)


def _take_flag(value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def _take_digest(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("(?:[0-9a-f]{64})?", value):
        raise ValueError
    return value


FLAG = Check("True or False", _take_flag)
TEXT = instance(str, "a str")
FUNCTION = instance(Callable, "a function")
FILE = path()
SEED = whole(0, 2**32 - 1)
DIGEST = Check("a SHA-256 in hexadecimal digits, or empty", _take_digest)

# What each of some facts may be, by name; they may be facts themselves.
Facts = Mapping[str, "Check[Any] | Facts"]


def check_facts(value: object, facts: Facts, name: str = "facts") -> dict[str, Any]:
    """`value`, a dict of what `facts` say and nothing else. Raises ValueError, naming what is not.

    name: of the whole.
    """
    if not isinstance(value, dict) or value.keys() != facts.keys():
        raise ValueError(f"{name} must have {', '.join(facts)}, and nothing else")
    return {
        each: what.checked(each, value[each])
        if isinstance(what, Check)
        else check_facts(value[each], what, each)
        for each, what in facts.items()
    }


# --- values that are typed otherwise than in Python

_HOURS, _MINUTES, _SECONDS = "h(?:ours?)?", "m(?:ins?|inutes?)?", "s(?:ecs?|econds?)?"
_DURATION = re.compile(
    rf"(?:([0-9.]+) ?{_HOURS} ?)?(?:([0-9.]+) ?{_MINUTES} ?)?(?:([0-9.]+) ?(?:{_SECONDS})?)?"
)


def _seconds(number: Check[float], words: str, typed: str) -> Check[float]:
    """A time in seconds; a text may even have hours and minutes."""

    def read(text: str) -> float:
        found = _DURATION.fullmatch(text)
        if not text or not found:
            raise ValueError
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return number.take(hours * 3600 + minutes * 60 + seconds)

    return Check(words, number.take, read, typed, "DURATION")


SECONDS = _seconds(
    number(above=0, below=1e9),
    "a number of seconds above 0 and below 1e9",
    "a time above 0, like 90s, 10m or 2h",
)
SECONDS_OR_0 = _seconds(
    number(least=0, below=1e9),
    "a number of seconds below 1e9, or 0 for none",
    "a time like 90s, 10m or 2h, or 0 for none",
)
_FRACTION = number(least=0, below=1)


def _take_fraction_or_file(value: object) -> float | str:
    if isinstance(value, (str, os.PathLike)):
        return FILE.take(value)
    return _FRACTION.take(value)


def _read_fraction_or_file(text: str) -> float | str:
    try:
        float(text.removesuffix("%"))
    except ValueError:
        return FILE.take(text)
    return _FRACTION.parsed(text)


FRACTION_OR_FILE = Check(
    "a fraction from 0 to below 1, or a path",
    _take_fraction_or_file,
    _read_fraction_or_file,
    metavar="FRACTION|FILE",
)


def key_text(value: object) -> str:
    """The value of a key as a cfg has it: True and False are 1 and 0."""
    return str(int(value) if isinstance(value, bool) else value)


def _take_keys(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > _MOST_KEYS:
        raise TypeError
    return {TEXT.take(key): key_text(part) for key, part in value.items()}


def _read_key(text: str) -> dict[str, str]:
    key, _, value = (part.strip() for part in text.partition("="))
    if not key or not value:
        raise ValueError
    return {key: value}


CFG_KEYS = Check(
    "a mapping from keys of the cfg to values, like {'learning_rate': 0.01}",
    _take_keys,
    _read_key,
    "KEY=VALUE, like learning_rate=.01",
    "KEY=VALUE",
)


def _take_layers(value: object) -> dict[int, int]:
    if not isinstance(value, Mapping) or not value:
        raise TypeError
    layer = whole()
    return {layer.take(new): layer.take(old) for new, old in value.items()}


def _read_layers(text: str) -> dict[int, int]:
    layers: dict[int, int] = {}
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,4})(?:([-=])([0-9]{1,4}))?", part.strip())
        if not found:
            raise ValueError
        first, other = int(found[1]), int(found[3] or found[1])
        pairs = {layer: layer for layer in range(first, other + 1)}
        if found[2] == "=":
            pairs = {first: other}
        if not pairs or pairs.keys() & layers.keys():
            raise ValueError
        layers |= pairs
    return layers


LAYERS = Check(
    "a mapping from layer to layer, like {0: 0, 2: 1}",
    _take_layers,
    _read_layers,
    "a list of layers, like 0-2 or 0,2=1, each named once and the lowest first",
    "LAYERS",
)


# --- arrays of symbols


def integers(name: str, wanted: str, value: Any, ndim: int) -> NDArray[Any]:
    """`value` as an array of integers with `ndim` axes; an empty one may be of any type.

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
    raise WrongType(f"{name} must be {wanted}, not {shown(value)}")


def unknown_symbol(symbols: NDArray[Any], inputs: int) -> int | None:
    """Where, in the flattened `symbols`, the first is that a network of `inputs` does not know."""
    if not symbols.size or (int(symbols.min()) >= 0 and int(symbols.max()) < inputs):
        return None
    return int(((symbols >= inputs) | (symbols < 0)).argmax())
