"""darknet-py cfg"""

from __future__ import annotations

import logging
import shlex
import sys
import textwrap
from pathlib import Path

import click

from darknet_py.cfg import bundled_cfgs, find_cfg
from darknet_py.cli.commands import Command
from darknet_py.cli.options import force_option
from darknet_py.cli.values import CFG, FILE
from darknet_py.files import check_targets, write_whole
from darknet_py.terminal.messages import columns, is_terminal

log = logging.getLogger("darknet_py.cfg")


@click.command("cfg", cls=Command, short_help="List the bundled networks, print or copy one.")
@click.argument("name", required=False, type=CFG)
@click.argument("out", required=False, type=FILE)
@force_option
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
        for known, path in sorted(bundled_cfgs().items(), key=_for_beginners):
            _show(known, _first_words(path))
        return
    cfg = find_cfg(name)
    text = cfg.text().encode("utf-8", "surrogateescape")
    if out is None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        return
    check_targets([Path(out)], read=[cfg.path], force=force)
    write_whole(out, [text])
    log.info("wrote %s", out)
    log.info("next: darknet-py train %s mybook.txt --time 2m", shlex.quote(out))


def _for_beginners(bundled: tuple[str, Path]) -> tuple[int, str]:
    """The order of the list: by what trains first, then what darknet has."""
    first = ("tiny", "tiny-gru", "tiny-lstm", "shakespeare", "large")
    name = bundled[0]
    return first.index(name) if name in first else len(first), name


def _show(name: str, words: str) -> None:
    """A line of the list, broken between words on a narrow terminal."""
    width = columns(sys.stdout) - 1 if is_terminal(sys.stdout) else len(words) + 20
    click.echo(textwrap.fill(f"{name:<14} {words}", width, subsequent_indent=" " * 15))


def _first_words(path: Path) -> str:
    """The first lines of a cfg's first comment, up to one that ends a sentence."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
        if line.endswith("."):
            break
    return " ".join(words)
