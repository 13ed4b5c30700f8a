"""darknet-py cfg"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from darknet_py.cfg import bundled_cfgs, find_cfg
from darknet_py.cli.commands import Command
from darknet_py.cli.completing import CfgName, FileName
from darknet_py.cli.options import CONTEXT, force_option, verbosity_options
from darknet_py.files import check_targets, write_whole


@click.command(
    "cfg",
    cls=Command,
    context_settings=CONTEXT,
    short_help="List the bundled networks, print or copy one.",
)
@click.argument("name", required=False, type=CfgName())
@click.argument("out", required=False, type=FileName())
@force_option
@verbosity_options
def command(name: str | None, out: str | None, force: bool) -> None:
    """List the bundled cfgs, print the one called NAME, or write it to the file OUT to edit.

    A file that already exists is overwritten only with --force.

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
    cfg = find_cfg(name)
    text = cfg.text().encode("utf-8", "surrogateescape")
    if out is None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        return
    check_targets([Path(out)], read=[cfg.path], force=force)
    write_whole(out, [text])
    click.echo(f"next: darknet-py train {os.fspath(out)} YOUR_TEXT.txt --time 2m", err=True)


def _first_words(path: Path) -> str:
    """The first line of a cfg's first comment."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
