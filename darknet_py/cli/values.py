"""Arguments and options: each with its check, and with what a shell offers for it."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from darknet_py import checks
from darknet_py.checks import Check, shown


class Value(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A value that is checked; its check's metavar tells what a shell offers for it."""

    def __init__(self, check: Check[Any]) -> None:
        self.check = check
        self.name = check.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value  # A default.
        try:
            return self.check.parsed(value)
        except ValueError as error:
            self.fail(f"{shown(value)} is not {error}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        words: list[str] = []
        if self.name == "CFG":
            words = cfg_names()
        elif self.name == "RUN":
            words = _runs(incomplete)
        elif self.name == "KEY=VALUE":
            typed = [ctx.params.get("cfg"), *os.environ.get("COMP_WORDS", "").split()]
            words = [f"{key}=" for key in known_keys(filter(None, typed))]
        found = [word for word in words if word.startswith(incomplete)]
        if found:
            return [CompletionItem(word) for word in found]
        return [CompletionItem(incomplete, type="dir" if self.name in ("DIR", "RUN") else "file")]


FILE, DIR, CFG, RUN = (Value(checks.path(name)) for name in ("FILE", "DIR", "CFG", "RUN"))
SEED = Value(checks.SEED)


def cfg_names() -> list[str]:
    """The bundled cfgs, and the cfg files here."""
    from darknet_py.cfg import bundled_cfgs

    return [*bundled_cfgs(), *(path.name for path in sorted(Path().glob("*.cfg")))]


def _runs(typed: str) -> list[str]:
    """The runs in the folder of `typed`, by their states."""
    folder, start = os.path.split(typed)
    states = sorted(Path(folder).glob(f"{glob.escape(start)}*.state")) if folder else []
    return [f"{folder}/{path.stem}" for path in states]


def known_keys(typed: Iterable[str]) -> list[str]:
    """The keys of [net], then those that layers have in the first cfg among the words typed."""
    from darknet_py.cfg import bundled_cfgs, find_cfg
    from darknet_py.errors import CfgError
    from darknet_py.options import NetOptions

    cfgs = [word for word in typed if word in bundled_cfgs() or word.endswith(".cfg")]
    try:
        layers = find_cfg(cfgs[0]).layers if cfgs else []
    except CfgError:
        layers = []
    keys = [f"{section.name}.{key}" for section in layers for key in section.options]
    return list(dict.fromkeys([*NetOptions.__annotations__, *keys]))
