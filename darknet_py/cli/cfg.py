"""darknet-py cfg"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from darknet_py.cfg import bundled_cfgs, find_cfg
from darknet_py.cli.options import CONTEXT, verbosity_options
from darknet_py.errors import DarknetError


@click.command("cfg", context_settings=CONTEXT)
@click.argument("name", required=False)
@click.argument("out", required=False)
@verbosity_options
def command(name: str | None, out: str | None) -> None:
    """List the bundled cfgs, or print the one called NAME, or write it to the file OUT to edit.

    A file that is there already is not overwritten.

    \b
    Examples:
      darknet-py cfg
      darknet-py cfg tiny
      darknet-py cfg shakespeare my.cfg
    """
    if name is None:
        for known, path in bundled_cfgs().items():
            click.echo(f"{known:<14} {_first_words(path)}")
        return
    text = find_cfg(name).text()
    if out is None:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
        return
    try:
        with open(out, "xb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
    except FileExistsError as error:
        raise DarknetError(f"{out}: is there already: expected the name of a new file") from error
    click.echo(f"next: darknet-py train {os.fspath(out)} YOUR_TEXT.txt --time 2m", err=True)


def _first_words(path: Path) -> str:
    """The first line of a cfg's first comment."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
