"""darknet-py import"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from darknet_py.cfg import find_cfg
from darknet_py.cli.commands import Command
from darknet_py.cli.options import cfg_option, force_option
from darknet_py.cli.values import FILE
from darknet_py.dialect import DIALECTS
from darknet_py.exporting.interchange import read_network, write_weights_and_cfg
from darknet_py.files import TENSORS, check_targets
from darknet_py.loading.finding import cfg_beside

log = logging.getLogger("darknet_py.import")


@click.command("import", cls=Command, short_help="Make a weights file of exported tensors.")
@click.argument("file", type=FILE)
@click.argument("out", type=FILE)
@cfg_option
@click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    help="Format of the weights written.  [default: that of FILE]",
)
@force_option
def command(file: str, out: str, cfg: str | None, dialect: str | None, force: bool) -> None:
    """Write the weights file OUT, and its cfg next to it, from the tensors of FILE.

    FILE is a .safetensors or .npz file with names, shapes and metadata as `export` writes them.
    If it contains no cfg or no dialect, give --cfg and --dialect. Files that already exist are
    overwritten only if they are unchanged since darknet-py wrote them, or with --force.

    \b
    Examples:
      darknet-py import tiny.safetensors tiny.weights
      darknet-py import tuned.npz tuned.weights --cfg tiny --dialect upstream
    """
    for name, value, suffixes in (
        ("FILE", file, TENSORS),
        ("OUT", out, (".weights",)),
    ):
        if Path(value).suffix not in suffixes:
            message = f"{value!r} must end in {' or '.join(suffixes)}"
            raise click.BadParameter(message, param_hint=name)
    beside = cfg_beside(out)
    given = find_cfg(cfg) if cfg is not None else None
    read = [file] if given is None else [file, given.path]
    check_targets([beside, Path(out)], read=read, force=force)
    net, whole = read_network(file, given, dialect)
    write_weights_and_cfg(out, net, whole)
    log.info("wrote %s and %s: %s parameters", out, beside, f"{len(net.parameters):,}")
