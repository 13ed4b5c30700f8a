"""darknet-py import"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from darknet_py.cfg import find_cfg
from darknet_py.cli.options import CONTEXT, cfg_option, verbosity_options
from darknet_py.dialect import DIALECTS
from darknet_py.files import check_file_place
from darknet_py.finding import cfg_beside
from darknet_py.interchange import read_network, write_weights_and_cfg

log = logging.getLogger("darknet_py.import")


@click.command("import", context_settings=CONTEXT)
@click.argument("file")
@click.argument("out")
@cfg_option
@click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    help="Whose weights file to write, if not as FILE says.",
)
@verbosity_options
def command(file: str, out: str, cfg: str | None, dialect: str | None) -> None:
    """Write the weights file OUT, and its cfg beside it, from the tensors of FILE.

    FILE is a .safetensors or .npz file with names, shapes and metadata as `export` writes them.
    Where it has no cfg or no dialect, --cfg and --dialect say them.

    \b
    Examples:
      darknet-py import tiny.safetensors tiny.weights
      darknet-py import tuned.npz tuned.weights --cfg tiny --dialect upstream
    """
    for name, value, suffixes in (
        ("FILE", file, (".safetensors", ".npz")),
        ("OUT", out, (".weights",)),
    ):
        if Path(value).suffix not in suffixes:
            expected = " or ".join(suffixes)
            message = f"{value!r}: expected a name that ends in {expected}"
            raise click.BadParameter(message, param_hint=name)
    beside = cfg_beside(out)
    check_file_place(out)
    check_file_place(beside)
    net, whole = read_network(file, find_cfg(cfg) if cfg is not None else None, dialect)
    write_weights_and_cfg(out, net, whole)
    log.info("wrote %s and %s: %s numbers", out, beside, f"{len(net.parameters):,}")
