"""Option types and options that several commands share."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darknet_py.checks import number
from darknet_py.cli.values import CFG, FILE

if TYPE_CHECKING:
    from darknet_py.inference.sampling import Sampling


_LOGGER = logging.getLogger("darknet_py")
_CFG_WARNINGS = "darknet_py.cfg_warnings"

F = TypeVar("F", bound=Callable[..., Any])

_ESCAPE = re.compile(rb"\\(n|t|r|\\|x[0-9a-fA-F]{2})")
# One that a letter follows, as in \textbf, and what each of these is.
_ESCAPE_IN_WORD = re.compile(rb"(?<!\\)(?:\\\\)*(\\[ntr])(?=[A-Za-z])")
_MEANINGS = {rb"\n": "a newline", rb"\t": "a tab", rb"\r": "a carriage return"}
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


def escaped(value: str) -> bytes:
    r"""Text as UTF-8 bytes, in which \n \t \r \\ and \xHH are understood."""
    text = value.encode("utf-8", "surrogateescape")
    if found := _ESCAPE_IN_WORD.search(text):
        escape = found[1].decode()
        _LOGGER.info(
            "%s stands for %s here; for a backslash and a letter write \\%s",
            *(escape, _MEANINGS[found[1]], escape),
        )
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1]) or bytes([int(m[1][1:], 16)]), text)


TEMPERATURE = number(least=0)


def sampling_of(
    temperature: float, top_k: int = 0, top_p: float = 1.0, greedy: bool = False
) -> Sampling:
    """The sampling at a temperature, of which 0 always takes the most likely symbol."""
    from darknet_py.inference.sampling import Sampling

    if temperature == 0:
        return Sampling(top_k=top_k, top_p=top_p, greedy=True)
    return Sampling(temperature, top_k, top_p, greedy)


def graphics_options(command: F) -> F:
    """C's options for its graphics card, which have no effect."""
    about: dict[str, Any] = {
        "hidden": True,
        "expose_value": False,
        "help": "Ignored: no GPU is used.",
    }
    command = click.option("-nogpu", is_flag=True, **about)(command)
    command = click.option("-gpus", **about)(command)
    return click.option("-i", type=int, **about)(command)


def show_cfg_warnings() -> None:
    """Let this command show what has no effect in a cfg, as only those do that begin with one."""
    click.get_current_context().meta[_CFG_WARNINGS] = True


def shows_cfg_warnings() -> bool:
    """Whether the command that runs called `show_cfg_warnings`."""
    context = click.get_current_context(silent=True)
    return context is not None and _CFG_WARNINGS in context.meta


cfg_option = click.option(
    "--cfg",
    type=CFG,
    help="The network's cfg file or bundled name.  [default: found automatically]",
)
dialect_option = click.option(
    "--dialect",
    type=click.Choice(["auto", "upstream", "alexeyab"]),
    default="auto",
    show_default=True,
    help="Format of the weights file: that of pjreddie's darknet (upstream) or of AlexeyAB's; auto "
    "reads it from the header.",
)
force_option = click.option(
    "--force",
    is_flag=True,
    help="Overwrite a file that already exists, but never one that the command reads.",
)
prompt_option = click.option(
    "--prompt",
    type=escaped,
    metavar="TEXT",
    help=r"Text to start from, with the escapes \n \t \r \\ \xHH. For a network of tokens: "
    r"their numbers, or with --tokens their names.  [default: \n\n; none for tokens]",
)
tokens_option = click.option(
    "--tokens",
    type=FILE,
    help="File with the names of tokens, one per line, used instead of their numbers; <NEWLINE> "
    "stands for a newline.",
)
