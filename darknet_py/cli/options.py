"""Option types and options that several commands share."""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darknet_py.cli.commands import Command, WholeNumber, no_graphics
from darknet_py.cli.completing import CfgName, FileName
from darknet_py.files import WEIGHTS

if TYPE_CHECKING:
    from darknet_py.writing.sampling import Sampling


_LOGGER = logging.getLogger("darknet_py")
_CFG_WARNINGS = "darknet_py.cfg_warnings"
_GRAPHICS = "darknet_py.graphics"

F = TypeVar("F", bound=Callable[..., Any])

_ESCAPE = re.compile(rb"\\(n|t|r|\\|x[0-9a-fA-F]{2})")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


def escaped(value: str) -> bytes:
    r"""Text as UTF-8 bytes, in which \n \t \r \\ and \xHH are understood."""
    text = value.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1]) or bytes([int(m[1][1:], 16)]), text)


def _number(value: str | float) -> float:
    """NaN for what is no number; one with a comma is refused."""
    if re.fullmatch(r"[+-]?[0-9]*,[0-9]+", str(value).strip()):
        raise click.BadParameter(f"{value!r} has a comma; write {str(value).replace(',', '.')}")
    try:
        return float(value)
    except ValueError:
        return math.nan


def above_zero(value: str | float) -> float:
    """A finite number above 0."""
    number = _number(value)
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r} is not a number above 0")
    return number


def temperature(value: str | float) -> float:
    """A number above 0; or 0, which is greedy."""
    if str(value).strip() and re.fullmatch(r"[+-]?0*\.?0*(e[+-]?\d+)?", str(value).strip()):
        return 0.0
    number = _number(value)
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r} is not a number of at least 0")
    return number


def sampling_of(
    number: float, top_k: int = 0, top_p: float = 1.0, greedy: bool = False
) -> Sampling:
    """The sampling at a temperature, of which 0 always takes the likeliest symbol."""
    from darknet_py.writing.sampling import Sampling

    if number == 0:
        return Sampling(top_k=top_k, top_p=top_p, greedy=True)
    return Sampling(number, top_k, top_p, greedy)


def part_of_one(value: str | float) -> float:
    """A number between 0 and 1, both left out."""
    number = _number(value)
    if not 0 < number < 1:
        raise click.BadParameter(
            f"{value!r} is not a fraction between 0 and 1, like .1 for a tenth"
        )
    return number


def up_to_one(value: str | float) -> float:
    """A number above 0 and up to 1."""
    number = _number(value)
    if not 0 < number <= 1:
        raise click.BadParameter(f"{value!r} is not a number above 0 and up to 1")
    return number


# For every command: -h, and lines as wide as the terminal up to this.
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
SEED = WholeNumber(0, 2**32 - 1)


class WeightsCommand(Command):
    """A command that takes weights first, and its cfg as an option, unlike darknet's own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if len(args) > 1 and _names_cfg(args[0]) and _names_weights(args[1]):
            words = shlex.join(["darknet-py", self.name or "", args[1], "--cfg", args[0]])
            raise click.UsageError(f"The weights come first, and the cfg with --cfg: {words}", ctx)
        return super().parse_args(ctx, args)


def check_text_is_last(weights: str, text: str) -> None:
    """Raise UsageError where the weights stand in the place of the text."""
    from darknet_py.finding import holds_weights

    if text != "-" and holds_weights(text) and not holds_weights(weights):
        command = click.get_current_context().info_name or ""
        words = shlex.join(["darknet-py", command, text, weights])
        raise click.UsageError(f"The weights come first, then the text: {words}")


def _names_weights(word: str) -> bool:
    """Whether a word can mean weights, whether or not they exist."""
    from darknet_py.finding import holds_weights

    return word.endswith(WEIGHTS) or holds_weights(word)


def _names_cfg(word: str) -> bool:
    """Whether a word can only mean a cfg."""
    from darknet_py.cfg import bundled_cfgs

    return word.endswith(".cfg") or (word in bundled_cfgs() and not os.path.exists(word))


def verbosity_options(command: F) -> F:
    """`-v` and `-q`, on every command: how much the logger prints."""

    def choose(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
        def callback(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
            if wanted:
                _LOGGER.setLevel(level)

        return callback

    quiet = click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=choose(logging.WARNING),
        help="Print only warnings and errors.",
    )
    verbose = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=choose(logging.DEBUG),
        help="Print more details, and tracebacks of errors.",
    )
    return verbose(quiet(command))


def graphics_options(command: F) -> F:
    """C's options for its graphics card, which have no effect."""

    def remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
        if value is not None and value is not False:
            context.meta.setdefault(_GRAPHICS, parameter.opts[0])

    about: dict[str, Any] = {
        "hidden": True,
        "expose_value": False,
        "callback": remember,
        "help": "Ignored: no GPU is used.",
    }
    for option in (
        click.option("-nogpu", is_flag=True, **about),
        click.option("-gpus", **about),
        click.option("-i", type=int, **about),
    ):
        command = option(command)
    return command


def check_graphics(context: click.Context) -> None:
    """Raise UsageError where one of them was given before a command that is not C's."""
    name = context.meta.get(_GRAPHICS)
    if name is not None and context.invoked_subcommand != "rnn":
        raise click.UsageError(no_graphics(name), context)


def is_verbose() -> bool:
    """Whether -v was given."""
    return _LOGGER.level == logging.DEBUG


def is_quiet() -> bool:
    """Whether -q was given."""
    return _LOGGER.level >= logging.WARNING


def show_cfg_warnings() -> None:
    """Let this command show what has no effect in a cfg, as only those do that begin with one."""
    click.get_current_context().meta[_CFG_WARNINGS] = True


def shows_cfg_warnings() -> bool:
    """Whether the command that runs called `show_cfg_warnings`."""
    context = click.get_current_context(silent=True)
    return context is not None and _CFG_WARNINGS in context.meta


def cfg_option(command: F) -> F:
    return click.option(
        "--cfg",
        type=CfgName(),
        metavar="CFG",
        help="The network's cfg file or bundled name.  [default: found automatically]",
    )(command)


def dialect_option(command: F) -> F:
    return click.option(
        "--dialect",
        type=click.Choice(["auto", "upstream", "alexeyab"]),
        default="auto",
        show_default=True,
        help="Format of the weights file: that of pjreddie's darknet (upstream) or of "
        "AlexeyAB's; auto reads it from the header.",
    )(command)


def force_option(command: F) -> F:
    return click.option(
        "--force",
        is_flag=True,
        help="Overwrite a file that already exists, but never one that the command reads.",
    )(command)


def prompt_option(command: F) -> F:
    return click.option(
        "--prompt",
        type=escaped,
        metavar="TEXT",
        help=r"Text to start from, with the escapes \n \t \r \\ \xHH. For a network of tokens: "
        r"their numbers, or with --tokens their names.  [default: \n\n; none for tokens]",
    )(command)


def tokens_option(command: F) -> F:
    return click.option(
        "--tokens",
        type=FileName(),
        metavar="FILE",
        help="File with the names of tokens, one per line, used instead of their numbers; "
        "<NEWLINE> stands for a newline.",
    )(command)
