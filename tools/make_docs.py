"""docs/cli.md from the help texts of the commands: `make docs`."""

from __future__ import annotations

import logging
from pathlib import Path

import click
from click.testing import CliRunner

from darknet_py.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
HEAD = """# The command line

Made from `darknet-py COMMAND --help` by `make docs`. Exit status: 0 done, 1 failed with a line that
says why, 2 wrong usage, 130 interrupted. stdout carries the product, stderr everything else.

Completion of commands and options in the shell, once and for all:

```sh
_DARKNET_PY_COMPLETE=bash_source darknet-py > darknet-py.bash   # and source it in ~/.bashrc
_DARKNET_PY_COMPLETE=zsh_source darknet-py > darknet-py.zsh     # and source it in ~/.zshrc
_DARKNET_PY_COMPLETE=fish_source darknet-py > darknet-py.fish   # into ~/.config/fish/completions/
```
"""


def commands() -> list[tuple[str, ...]]:
    """The words of every command, groups before what is in them."""
    found: list[tuple[str, ...]] = [()]
    context = click.Context(main)
    for name in main.list_commands(context):
        found.append((name,))
        command = main.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


def reference() -> str:
    """The whole page."""
    parts = [HEAD]
    logger = logging.getLogger("darknet_py")
    before = logger.level, logger.handlers, logger.propagate
    for words in commands():
        asked = [*words, "--help"]
        said = CliRunner(env={"COLUMNS": "100"}).invoke(main, asked, prog_name="darknet-py").output
        lines = "\n".join(line.rstrip() for line in said.splitlines())
        parts.append(f"## {' '.join(('darknet-py', *words))}\n\n```\n{lines}\n```\n")
    logger.setLevel(before[0])
    logger.handlers, logger.propagate = before[1:]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
