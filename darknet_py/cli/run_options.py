"""The options of `darknet-py train`, made from the settings of a run."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from darknet_py.bounds import (
    Bounds,
    File,
    Flag,
    FractionOrFile,
    Keys,
    Layers,
    OneOf,
    Seconds,
    Whole,
    duration,
)
from darknet_py.cli.commands import WholeNumber
from darknet_py.cli.completing import CfgKey, CfgName, FileName, FolderName, check_no_text
from darknet_py.training.settings import OPTIONS, Option

F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """An option for every setting of a run, in the order of `Settings`."""
    for option in reversed(OPTIONS):
        command = click.option(option.flag, option.name, **_attributes(option))(command)
    return command


def _attributes(option: Option) -> dict[str, Any]:
    """What click knows about the option."""
    bounds = option.bounds
    if isinstance(bounds, Flag):
        return {"is_flag": True, "help": option.help}
    about: dict[str, Any] = {"help": option.help}
    if option.default is not None:
        # Not a default of click's, since a run that goes on keeps what it had.
        about["help"] += f"  [default: {option.default}]"
    if isinstance(bounds, Keys):
        return {
            **about,
            "type": CfgKey(),
            "metavar": "KEY=VALUE",
            "multiple": True,
            "callback": lambda context, parameter, pairs: dict(map(key_value, pairs)),
        }
    if isinstance(bounds, OneOf):
        return {**about, "type": click.Choice(bounds.choices)}
    if isinstance(bounds, File):
        kinds = {"CFG": CfgName(), "FOLDER": FolderName()}
        return {**about, "metavar": bounds.what, "type": kinds.get(bounds.what, FileName())}
    for kind, parse, metavar in _PARSERS:
        if isinstance(bounds, kind):
            return {**about, "type": parse, "metavar": metavar}
    if isinstance(bounds, Whole):
        return {**about, "type": WholeNumber(bounds.least, bounds.most)}
    raise TypeError(f"{option.flag}: the command line has no values of this kind")


def above_zero(value: str) -> float:
    """Seconds from a time, see `duration`."""
    with contextlib.suppress(ValueError):
        if (seconds := duration(value)) > 0:
            return seconds
    raise click.BadParameter(f"{value!r} is not a time above 0, like 90s, 10m or 2h")


def key_value(value: str) -> tuple[str, str]:
    """The two sides of KEY=VALUE."""
    key, _, text = value.partition("=")
    if not key.strip() or not text.strip():
        raise click.BadParameter(f"{value!r} is not KEY=VALUE, like learning_rate=.01")
    return key.strip(), text.strip()


def layer_map(value: str | dict[int, int]) -> dict[int, int]:
    """Layers like 0-2 or 0,2=1: by each layer of the new network the one that it is taken from."""
    if isinstance(value, dict):
        return value
    layers: dict[int, int] = {}
    for part in value.split(","):
        found = re.fullmatch(r"([0-9]{1,4})(?:([-=])([0-9]{1,4}))?", part.strip())
        if not found:
            raise click.BadParameter(f"{value!r} is not a list of layers, like 0-2 or 0,2=1")
        first, other = int(found[1]), int(found[3] or found[1])
        if found[2] == "=":
            pairs = {first: other}
        else:
            pairs = {index: index for index in range(first, other + 1)}
        if not pairs or pairs.keys() & layers.keys():
            raise click.BadParameter(f"{value!r} must name each layer once, the lowest first")
        layers |= pairs
    return layers


def fraction_or_file(value: str | float) -> float | str:
    """A fraction from 0 to below 1; what is no number is a path."""
    try:
        fraction = float(value)
    except ValueError:
        check_no_text(value)
        if not re.fullmatch(r"[0-9.]+%", str(value)) or os.path.exists(str(value)):
            return str(value)
        fraction = 1.0
    if not 0 <= fraction < 1:
        raise click.BadParameter(
            f"{value!r} is neither a fraction from 0 to below 1, like .1 for a tenth, nor a file"
        )
    return fraction


class FractionOrFileName(FileName):
    """A part of a text, or the file of another one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return fraction_or_file(value)


_PARSERS: tuple[tuple[type[Bounds], Callable[[Any], object] | FileName, str], ...] = (
    (Seconds, above_zero, "DURATION"),
    (Layers, layer_map, "LAYERS"),
    (FractionOrFile, FractionOrFileName(), "FRACTION|FILE"),
)
