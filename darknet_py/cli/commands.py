"""What our commands share beyond click's: help that fits narrow terminals, and errors that name
what was probably meant.
"""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Iterable
from typing import Any

import click

from darknet_py.suggest import suggest
from darknet_py.terminal.messages import NARROWEST

COMMON_COLUMNS = 60  # a help text of fewer has its descriptions below the options
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
LOGGER = logging.getLogger("darknet_py")
SIGNALED = 128  # the exit status of a program that signal N ends is this plus N


def status_of(interruption: KeyboardInterrupt) -> int:
    """The exit status of a program that Ctrl-C ends, or the signal that `interruption` names."""
    number = interruption.args[0] if interruption.args else signal.SIGINT
    return SIGNALED + (number if isinstance(number, int) else signal.SIGINT)


def _verbosity(short: str, long: str, level: int, about: str) -> click.Option:
    """An option of every command: how much the logger prints."""

    def choose(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
        if wanted:
            LOGGER.setLevel(level)

    return click.Option(
        [short, long],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=choose,
        help=about,
    )


VERBOSITY = [
    _verbosity("-v", "--verbose", logging.DEBUG, "Print more details, and tracebacks of errors."),
    _verbosity("-q", "--quiet", logging.WARNING, "Print only warnings and errors."),
]


def is_verbose() -> bool:
    return LOGGER.level == logging.DEBUG


def is_quiet() -> bool:
    return LOGGER.level >= logging.WARNING


class Formatter(click.HelpFormatter):
    """Help that is readable from 40 columns up; click's own takes at least 52."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.width = min(self.width, max(NARROWEST, shutil.get_terminal_size().columns) - 2)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        narrow = self.width < COMMON_COLUMNS
        super().write_dl(list(rows), 2 if narrow else col_max, col_spacing)


class Context(click.Context):
    formatter_class = Formatter


class Command(click.Command):
    """A command with -h, -v and -q, whose usage errors name what was probably meant."""

    context_class = Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.params += VERBOSITY

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            message = self._about_option(ctx, error.option_name, typed)
            raise click.UsageError(message, ctx) from error
        except click.MissingParameter as error:
            message = error.format_message().rstrip(".")
            lines = map(str.strip, (self.help or "").splitlines())
            example = next(line for line in lines if line.startswith("darknet-py "))
            raise click.UsageError(f"{message}; for example: {example}", ctx) from error

    def other_names(self, typed: list[str]) -> dict[str, str]:
        """Names that are no options, but can be given: each with how, up to its value."""
        return {}

    def _about_option(self, ctx: click.Context, reported: str, typed: list[str]) -> str:
        """That an option does not exist, and which one was probably meant, with its value.

        reported: what click calls it, which of a word with one dash is a letter.
        """
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option) and not p.hidden]
        names = {name: option for option in options for name in option.opts if len(name) > 2}
        begun = (word for word in typed if word.startswith(reported))
        word = next((each for each in begun if each.partition("=")[0] not in names), reported)
        name, _, value = word.partition("=")
        if not value and name in typed[:-1]:
            value = typed[typed.index(name) + 1]
        offered = {}
        for each, option in names.items():
            if option.is_flag or option.count:
                offered[each] = each
            elif _takes(option, value, ctx):
                offered[each] = f"{each} "
        offered |= self.other_names(typed)
        found = suggest(name, offered)
        # An option is easier to give than a key.
        meant = [offered[each] for each in ([e for e in found if e in names] or found)]
        if len(meant) == 1 and meant[0][-1] in " =":
            meant = [f"{meant[0]}{value or 'N'}"]
        told = " or ".join(each.rstrip(" =") for each in meant)
        return f"No such option {name!r}.{f' Did you mean {told}?' if told else ''}"


def _takes(option: click.Option, value: str, ctx: click.Context) -> bool:
    """Whether an option can have this value; any can where none is given."""
    try:
        option.type.convert(value, option, ctx)
    except click.BadParameter:
        return not value
    return True


class Group(Command, click.Group):
    """A group that lists its commands in whole sentences, and knows which one was meant."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None:
                rows.append((name, command.get_short_help_str(limit=200)))
        with formatter.section("Commands"):
            # Names are short: their descriptions stand next to them at any width.
            click.HelpFormatter.write_dl(formatter, rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            meant = suggest(name, known)
            hint = f" Did you mean {ctx.command_path} {meant[0]}?" if meant else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)
