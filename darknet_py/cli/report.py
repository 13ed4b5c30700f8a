"""darknet-py report"""

from __future__ import annotations

import logging

import click

from darknet_py.checks import whole
from darknet_py.cli.commands import Command
from darknet_py.cli.options import force_option, tokens_option
from darknet_py.cli.values import FILE, RUN, Value
from darknet_py.reporting.api import report

log = logging.getLogger("darknet_py.report")


@click.command("report", cls=Command, short_help="Write an HTML page about runs.")
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=RUN)
@click.option(
    "--out",
    type=FILE,
    help="The page to write.  [default: BASE.html in the run's folder; report.html for several]",
)
@click.option(
    "--text",
    type=FILE,
    help="File to read a passage from.  [default: the run's held-out text]",
)
@click.option(
    "--layer",
    type=Value(whole()),
    help="Layer whose units to show.  [default: the last recurrent layer]",
)
@tokens_option
@click.option(
    "--half",
    is_flag=True,
    help="Keep the matrices of the network in 16 bits: a smaller page, slightly other odds.",
)
@force_option
def command(
    runs: tuple[str, ...],
    out: str | None,
    text: str | None,
    layer: int | None,
    half: bool,
    force: bool,
    tokens: str | None,
) -> None:
    """Write an HTML page about RUN, or one that compares several.

    RUN is the folder of a run, or DIR/NAME if a folder holds several.  [default: backup]

    The page shows the losses, what the network wrote over time, how surprised it is by each symbol
    of a passage, and what single units of a layer respond to. It also contains the network, to
    write with in the browser, as a page of export does. A page about several runs shows their
    losses in one chart, what each of them is, and what it wrote last. A file that darknet-py did
    not write is overwritten only with --force.

    \b
    Examples:
      darknet-py report backup
      darknet-py report runs/a runs/b backup/tiny --out compared.html
      darknet-py report backup --text mybook.txt --out report.html
    """
    try:
        page = report(*runs, out=out, text=text, layer=layer, tokens=tokens, half=half, force=force)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    log.info("wrote %s; open it in a browser", page)
