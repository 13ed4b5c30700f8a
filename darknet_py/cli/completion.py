"""darknet-py completion"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from darknet_py.cli.commands import COMPLETING, Command
from darknet_py.cli.options import CONTEXT, verbosity_options
from darknet_py.files import write_whole
from darknet_py.terminal import say

PROGRAM = "darknet-py"
SHELLS = ("bash", "zsh", "fish")
# The folder of the file that each shell reads when it starts, by the variable that may name it;
# fish has a file for each program.
STARTS = {"bash": ("HOME", ".bashrc"), "zsh": ("ZDOTDIR", ".zshrc")}
FISH = f"~/.config/fish/completions/{PROGRAM}.fish"
LABEL = f"# completion of {PROGRAM}"  # ends a line of ours in a start file
# After click's own script, whose function complains where the program is not on the PATH.
QUIET = {
    "bash": """\
_darknet_py_quietly() {
    if type -P "$1" > /dev/null; then
        _darknet_py_completion "$@" 2> /dev/null
        case "${COMPREPLY[*]}" in
            *=) compopt -o nospace 2> /dev/null ;;
        esac
    fi
}

complete -o nosort -F _darknet_py_quietly darknet-py
""",
    "zsh": """\
_darknet_py_quietly() {
    compadd() {
        case "${completions[*]-}" in
            *=) builtin compadd -S '' "$@" ;;
            *) builtin compadd "$@" ;;
        esac
    }
    _darknet_py_completion "$@" 2> /dev/null
    unfunction compadd
}

compdef _darknet_py_quietly darknet-py
""",
    "fish": """\
function _darknet_py_quietly
    if type -q darknet-py
        _darknet_py_completion 2> /dev/null
    end
end

complete --erase --command darknet-py
complete --no-files --command darknet-py --arguments "(_darknet_py_quietly)"
""",
}
# Before it: zsh has `compdef` only where completion has been switched on.
BEFORE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"}


class _Shell(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """The name of a shell."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "install":
            raise click.UsageError(f"Give it as an option: {PROGRAM} completion --install", ctx)
        return super().convert(value, param, ctx)


@click.command(
    "completion",
    cls=Command,
    context_settings=CONTEXT,
    short_help="Set up completion in your shell.",
)
@click.argument("shell", required=False, type=_Shell(SHELLS))
@click.option("--install", is_flag=True, help="Set it up for new shells.")
@verbosity_options
def command(shell: str | None, install: bool) -> None:
    """Print what lets SHELL complete this program's commands, options, cfgs, runs and files.

    SHELL is bash, zsh or fish.  [default: the one in $SHELL]

    --install writes that to a file, which new shells read. They complete as soon as darknet-py is
    on the PATH, also where that is later, for example in a virtual environment.

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
    path = Path(FISH).expanduser() if shell == "fish" else _data_folder() / f"completion.{shell}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [script.encode()])
    told = f"wrote {path}"
    if shell != "fish":
        variable, name = STARTS[shell]
        start = Path(os.environ.get(variable) or "~").expanduser() / name
        told += f"; {_set_line(start, path)}"
    say(f"{told}; open a new terminal: it completes {PROGRAM} where that is on the PATH")


def _script(shell: str) -> str:
    """What lets this shell complete, without a word where the program is not on the PATH."""
    made = get_completion_class(shell)
    assert made is not None
    script = made(click.Command(PROGRAM), {}, PROGRAM, COMPLETING).source()
    return f"{BEFORE.get(shell, '')}{script.rstrip()}\n\n{QUIET[shell]}"


def _data_folder() -> Path:
    """Where this program keeps what is the user's."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / PROGRAM


def _set_line(start: Path, script: Path) -> str:
    """Let a shell's start file read the script, in place of lines that did so before.

    Returns what was done, in words.
    """
    quoted = shlex.quote(str(script))
    line = f"if [ -r {quoted} ]; then . {quoted}; fi  {LABEL}".encode()
    before = start.read_bytes() if start.exists() else b""
    lines = before.split(b"\n")
    own = [index for index, text in enumerate(lines) if _is_own(text)]
    if [lines[index] for index in own] == [line]:
        return f"{start} already reads it"
    if own:
        lines[own[0]] = line
        for index in reversed(own[1:]):
            del lines[index]
        mode = start.stat().st_mode
        write_whole(start, [b"\n".join(lines)])
        start.chmod(mode)
        return f"replaced the line for it in {start}"
    with start.open("ab") as file:
        file.write(b"\n" * (not before.endswith(b"\n") and bool(before)) + line + b"\n")
    return f"added a line to {start}"


def _is_own(line: bytes) -> bool:
    """Whether a line of a start file does nothing but load the completion."""
    evaluates = rb"\s*eval \"\$\(darknet-py completion (bash|zsh)\)\"\s*(#.*)?"
    return line.endswith(LABEL.encode()) or re.fullmatch(evaluates, line) is not None
