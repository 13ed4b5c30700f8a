"""The command line: a click group, and a file for each command."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import click

from darknet_py.__version__ import __version__
from darknet_py.cli.commands import Group, is_verbose, status_of
from darknet_py.cli.console import ConsoleHandler
from darknet_py.cli.options import graphics_options, shows_cfg_warnings
from darknet_py.errors import CfgWarning, DarknetError, DarknetWarning
from darknet_py.terminal.messages import clear_line, one_line, visible, wrapped

# name -> module; a command's module is imported when the command runs, so that start-up stays quick
COMMANDS = {
    "train": "darknet_py.cli.train",
    "generate": "darknet_py.cli.generate",
    "valid": "darknet_py.cli.valid",
    "vec": "darknet_py.cli.vec",
    "info": "darknet_py.cli.info",
    "cfg": "darknet_py.cli.cfg",
    "runs": "darknet_py.cli.runs",
    "report": "darknet_py.cli.report",
    "export": "darknet_py.cli.export",
    "import": "darknet_py.cli.import_weights",
    "rnn": "darknet_py.cli.rnn",
    "completion": "darknet_py.cli.completion",
}
ERROR = "Error: "  # what click writes before a message


class CommandGroup(Group):
    """Loads commands when they are called, and turns what the user can mend into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _replace_closed_streams()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:  # The help text or an error message could not be written.
            with contextlib.suppress(OSError):
                click.echo(f"Error: stdout: {error.strerror}", err=True)
            sys.exit(1)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        # Before -v and -q are read, since the same process may run several commands.
        logging.getLogger("darknet_py").setLevel(logging.INFO)
        with _interruptible(), _visible_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _interruptible():
                import numpy as np

                with np.errstate(all="ignore"), _visible_errors():
                    return super().invoke(ctx)
        except (DarknetError, OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                _leave_quietly()
            if is_verbose():
                raise
            raise click.ClickException(wrapped(one_line(error), ERROR)) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the program with a word, and the status that shells know."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        clear_line()
        click.echo("interrupted", err=True)
        sys.exit(status_of(interruption))


@contextlib.contextmanager
def _visible_errors() -> Iterator[None]:
    """What a message of click repeats from the command line may hold what a terminal would obey."""
    try:
        yield
    except click.ClickException as error:
        whole = error.format_message()
        shown = wrapped(visible(whole), ERROR)
        if isinstance(error, click.UsageError) and whole != error.message:
            # What click puts before a message takes room in the line.
            raise click.UsageError(shown, error.ctx) from error
        error.message = shown  # type: ignore[misc]
        raise


def _replace_closed_streams() -> None:
    """Python has None for what the caller has closed."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(_Closed(), write_through=True)


class _Closed(io.RawIOBase):
    """Stands for a stdout that is closed: the program ends as soon as it writes there."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "stdout")


def _leave_quietly() -> None:
    """End without a word if no one reads stdout any more (`darknet-py ... | head`)."""
    # Python flushes stdout once more at exit and would complain; let it flush into nothing.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Not eager, since -v must have been read."""
    if not wanted:
        return
    click.echo(f"darknet-py, version {__version__}")
    if is_verbose():
        from darknet_py.cli.machine import facts

        for name, value in facts().items():
            click.echo(f"{name}: {value}")
    context.exit()


@click.group(cls=CommandGroup)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit; with -v, what a bug report needs.",
)
@graphics_options
def main() -> None:
    """darknet's character-level recurrent networks: train on a text, generate text.

    \b
    Examples:
      darknet-py train tiny mybook.txt
      darknet-py generate backup/tiny_best.weights
    """
    logger = logging.getLogger("darknet_py")
    logger.handlers = [ConsoleHandler()]
    logger.propagate = False

    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if str(message) in shown:
            return
        shown.add(str(message))
        hidden = issubclass(category, CfgWarning) and not shows_cfg_warnings()
        logger.log(logging.DEBUG if hidden else logging.WARNING, "warning: %s", message)

    warnings.simplefilter("always", DarknetWarning)
    warnings.showwarning = show
