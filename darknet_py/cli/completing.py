"""What a shell offers for an argument or a value: bundled names, keys, runs, files and folders."""

from __future__ import annotations

import os
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, split_arg_string

from darknet_py.bounds import is_text
from darknet_py.cli.commands import COMPLETING

FIRST = 20  # characters of a text that a message shows


class _Words(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A text; what a shell offers for it is the only thing that is special."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def words(self, ctx: click.Context, incomplete: str) -> list[str]:
        """What may be meant; where that is nothing, the shell offers files."""
        return []

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = [word for word in self.words(ctx, incomplete) if word.startswith(incomplete)]
        if found:
            return [CompletionItem(word) for word in found]
        return [CompletionItem(incomplete, type="file")]


def check_no_text(value: object) -> None:
    """Raise BadParameter for a text in the place of a file's name."""
    if isinstance(value, str) and is_text(value):
        shown = repr(value[:FIRST]) + "..." * (len(value) > FIRST)
        raise click.BadParameter(
            f"{shown} is a text of {len(value):,} characters; save it as a file, and give the name "
            f"of that file"
        )


class FileName(_Words):
    """A file or folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        check_no_text(value)
        return value


class FolderName(FileName):
    """A folder."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="dir")]


class CfgName(FileName):
    """A bundled cfg, or a cfg file: those here, or where the user has begun to look."""

    def words(self, ctx: click.Context, incomplete: str) -> list[str]:
        from darknet_py.cfg import bundled_cfgs

        here = [path.name for path in sorted(Path().glob("*.cfg"))]
        return [*bundled_cfgs(), *here]


class RunName(_Words):
    """A run in the folder that was named before, by its state."""

    def words(self, ctx: click.Context, incomplete: str) -> list[str]:
        from darknet_py.training.folder import DEFAULT_FOLDER

        folder = Path(ctx.params.get("folder") or ctx.params.get("out") or DEFAULT_FOLDER)
        return [path.stem for path in sorted(folder.glob("*.state"))]


class CfgKey(_Words):
    """KEY=VALUE of `--set`: a key of `[net]`, or of a layer of the cfg that was named."""

    def words(self, ctx: click.Context, incomplete: str) -> list[str]:
        from darknet_py.cfg import bundled_cfgs, find_cfg
        from darknet_py.errors import CfgError
        from darknet_py.options import NetOptions

        keys = [field.name for field in fields(NetOptions)]
        # Before the value of an option is there, click gives the words that were typed to nobody.
        typed = [ctx.params.get("cfg"), *os.environ.get("COMP_WORDS", "").split()]
        known = [word for word in typed if word and (word in bundled_cfgs() or ".cfg" in word)]
        try:
            layers = find_cfg(known[0]).layers if known else []
        except CfgError:
            layers = []
        keys += [f"{section.name}.{key}" for section in layers for key in section.options]
        return [f"{key}=" for key in dict.fromkeys(keys)]


def join_words_at_equal_signs() -> None:
    """Let click see a line as it is typed: bash makes three words of `--out=c` and of `key=1`."""
    words = split_arg_string(os.environ.get("COMP_WORDS", ""))
    if os.environ.get(COMPLETING) != "bash_complete" or "=" not in words:
        return
    place = int(os.environ.get("COMP_CWORD", "0"))
    joined: list[str] = []
    for word in words[: place + 1]:
        if joined and joined[-1].endswith("=") and word != "=":
            joined[-1] += word
        elif word == "=" and joined:
            joined[-1] += "="
        else:
            joined.append(word)
    is_next = place >= len(words) and words[-1] != "="
    # Of an option the value is a word of its own, since only that is replaced.
    told: list[str] = []
    for word in joined:
        option, sign, value = word.partition("=")
        told += [option, value] if sign and option.startswith("-") else [word]
    os.environ["COMP_WORDS"] = shlex.join(told)
    os.environ["COMP_CWORD"] = str(len(told) if is_next else len(told) - 1)
