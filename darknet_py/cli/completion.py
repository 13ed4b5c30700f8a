"""darknet-py completion"""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from darknet_py.cli.commands import Command
from darknet_py.cli.options import CONTEXT, verbosity_options
from darknet_py.files import write_whole
from darknet_py.terminal import say

PROGRAM, VARIABLE = "darknet-py", "_DARKNET_PY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
# The file that each shell reads when it starts; fish has one for each program.
STARTS = {"bash": "~/.bashrc", "zsh": "~/.zshrc"}
FISH = f"~/.config/fish/completions/{PROGRAM}.fish"


@click.command(
    "completion",
    cls=Command,
    context_settings=CONTEXT,
    short_help="Set up completion in your shell.",
)
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Set it up for new shells.")
@verbosity_options
def command(shell: str | None, install: bool) -> None:
    """Print what lets SHELL complete this program's commands, options, cfgs, runs and files.

    SHELL is bash, zsh or fish.  [default: the one in $SHELL]

    \b
    Examples:
      darknet-py completion --install
      eval "$(darknet-py completion bash)"
    """
    if shell is None:
        shell = Path(os.environ.get("SHELL", "")).name
        if shell not in SHELLS:
            raise click.UsageError(f"Give the shell: {', '.join(SHELLS)}.")
    made = get_completion_class(shell)
    assert made is not None
    script = made(click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source()
    if not install:
        click.echo(script)
    elif shell == "fish":
        path = Path(FISH).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, [script.encode()])
        say(f"wrote {path}; new fish shells complete {PROGRAM}")
    else:
        _add_line(Path(STARTS[shell]).expanduser(), shell)


def _add_line(path: Path, shell: str) -> None:
    """Let a shell's start file load the completion, if it does not do that already."""
    line = f'eval "$({PROGRAM} completion {shell})"'
    before = path.read_bytes() if path.exists() else b""
    if line.encode() in before:
        say(f"{path} already loads it")
        return
    with path.open("ab") as file:
        file.write(b"\n" * (not before.endswith(b"\n") and bool(before)) + line.encode() + b"\n")
    say(f"added a line to {path}; new {shell} shells complete {PROGRAM}")
