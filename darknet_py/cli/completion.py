"""darknet-py completion"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from darknet_py.cli.commands import Command
from darknet_py.files import write_whole
from darknet_py.terminal.messages import say

PROGRAM = "darknet-py"
SHELLS = ("bash", "zsh", "fish")
# The folder of the file that each shell reads when it starts, by the variable that may name it;
# fish has a file for each program.
STARTS = {"bash": ("HOME", ".bashrc"), "zsh": ("ZDOTDIR", ".zshrc")}
FISH = f"~/.config/fish/completions/{PROGRAM}.fish"
# Before click's script: zsh has `compdef` only where completion has been switched on.
BEFORE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"}


@click.command("completion", cls=Command, short_help="Set up completion in your shell.")
@click.argument("shell", required=False, type=click.Choice(SHELLS), metavar=f"[{'|'.join(SHELLS)}]")
@click.option("--install", is_flag=True, help="Set it up for new shells.")
def command(shell: str | None, install: bool) -> None:
    """Print what lets SHELL complete this program's commands, options, cfgs, runs and files.

    SHELL is bash, zsh or fish.  [default: the one in $SHELL]

    --install writes that to a file, and for bash and zsh adds a line to the shell's start file that
    reads it. It prints the names of both; to undo it, remove the file and that line.

    \b
    Examples:
      darknet-py completion --install
      eval "$(darknet-py completion bash)"
    """
    if shell is None:
        shell = Path(os.environ.get("SHELL", "")).name
        if shell not in SHELLS:
            raise click.UsageError(f"Give the shell: {', '.join(SHELLS)}.")
    script = _script(shell)
    if not install:
        click.echo(script, nl=False)
        return
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    path = Path(FISH) if shell == "fish" else data / PROGRAM / f"completion.{shell}"
    path = path.expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [script.encode()])
    told = f"wrote {path}"
    if shell in STARTS:
        variable, name = STARTS[shell]
        start = Path(os.environ.get(variable) or "~").expanduser() / name
        quoted = shlex.quote(str(path))
        told += _add_line(start, f"if [ -r {quoted} ]; then . {quoted}; fi".encode())
    say(f"{told}; open a new terminal")


def _script(shell: str) -> str:
    """click's script for this shell."""
    made = get_completion_class(shell)
    assert made is not None
    script = made(click.Command(PROGRAM), {}, PROGRAM, "_DARKNET_PY_COMPLETE").source()
    return f"{BEFORE.get(shell, '')}{script}"


def _add_line(start: Path, line: bytes) -> str:
    """Let a shell's start file have this line. Returns what was done, in words."""
    before = start.read_bytes() if start.exists() else b""
    if line in before.split(b"\n"):
        return ""
    with start.open("ab") as file:
        file.write(b"\n" * (not before.endswith(b"\n") and bool(before)) + line + b"\n")
    return f" and added a line to {start}"
