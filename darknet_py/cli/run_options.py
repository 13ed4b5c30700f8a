"""The options of `darknet-py train`, made from the settings of a run."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from typing import Any, TypeVar

import click

from darknet_py.checks import CFG_KEYS, FLAG
from darknet_py.cli.values import Value
from darknet_py.training.settings import OPTIONS, Option

F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """An option for every setting of a run, in the order of `Settings`."""
    for option in reversed(OPTIONS):
        command = click.option(option.flag, option.name, **_attributes(option))(command)
    return command


def _attributes(option: Option) -> dict[str, Any]:
    """What click knows about the option."""
    check = option.check
    if check is FLAG:
        return {"is_flag": True, "help": option.help}
    about: dict[str, Any] = {"help": option.help}
    about["type"] = click.Choice(check.choices) if check.choices else Value(check)
    if option.default is not None:
        # Not a default of click's, since a run that goes on keeps what it had.
        about["help"] += f"  [default: {option.default}]"
    if check is CFG_KEYS:
        about |= {"multiple": True, "callback": lambda *args: dict(ChainMap(*reversed(args[2])))}
    return about
