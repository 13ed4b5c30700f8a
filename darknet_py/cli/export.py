"""darknet-py export"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from darknet_py.cfg import Cfg
from darknet_py.cli.commands import Command
from darknet_py.cli.options import cfg_option, dialect_option, force_option, tokens_option
from darknet_py.cli.values import FILE
from darknet_py.exporting.api import PAGE, SUFFIXES, targets_of, write_network
from darknet_py.files import check_targets
from darknet_py.loading.building import network_of_weights
from darknet_py.loading.finding import ONE_STREAM, find_cfg_of, find_weights, say_cfg, say_weights
from darknet_py.options import override

log = logging.getLogger("darknet_py.export")


@click.command("export", cls=Command, short_help="Write a network for other programs.")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@cfg_option
@dialect_option
@click.option(
    "--fold-batchnorm",
    "fold",
    is_flag=True,
    help="Turn batch norm into weights and biases: the same probabilities, computed faster.",
)
@click.option(
    "--half",
    is_flag=True,
    help="Keep the matrices of an .html page in 16 bits: half the size, slightly other odds.",
)
@tokens_option
@force_option
def command(
    weights: str,
    out: str,
    cfg: str | None,
    dialect: str,
    fold: bool,
    half: bool,
    tokens: str | None,
    force: bool,
) -> None:
    """Write the network of WEIGHTS for other programs, in the format of OUT's suffix.

    \b
    .safetensors  tensors by name, like 0.input.weight, with the cfg as metadata
    .npz          the same for numpy
    .html         one page that writes text in any browser, even offline
    .onnx         one step: symbols and states in, probabilities and states out
    .py           a readable PyTorch module, parameters in a .safetensors file
    .weights      darknet's format, with a cfg; only with --fold-batchnorm

    .safetensors and .py need the library safetensors, .onnx needs onnx (pip install safetensors
    onnx). A file that already exists is overwritten only if it is unchanged since darknet-py wrote
    it, or with --force.

    \b
    Examples:
      darknet-py export backup tiny.safetensors
      darknet-py export backup/tiny_best.weights tiny_torch.py
      darknet-py export backup tiny.html
      darknet-py export words words.html --tokens words.names --half
      darknet-py export backup tiny.onnx --fold-batchnorm
      darknet-py export backup folded.weights --fold-batchnorm
    """
    path = Path(out)
    wanted = [suffix for suffix in SUFFIXES if suffix != ".weights" or fold]
    if path.suffix not in wanted:
        raise click.BadParameter(
            f"{out!r} must end in .safetensors, .npz, .html, .onnx or .py (or .weights with "
            f"--fold-batchnorm)",
            param_hint="OUT",
        )
    for option, given in (("--half", half), ("--tokens", tokens is not None)):
        if given and path.suffix != PAGE:
            raise click.UsageError(f"{option} is only for a page: OUT must end in {PAGE}.")
    source = find_weights(weights)
    found = find_cfg_of(source, cfg)
    read: list[str | Path] = [source, found.path]
    if tokens is not None:
        read.append(tokens)
    check_targets(*targets_of(path), read=read, force=force)
    say_weights(source, weights)
    if cfg is None:
        say_cfg(found)
    net = network_of_weights(override(found, ONE_STREAM, "one stream"), source, dialect)
    # The layers as they fit the weights, and [net] as it was written.
    whole = Cfg(found.path, found.lines, [found.net, *net.cfg.layers])
    files = write_network(net, whole, path, fold, half=half, tokens=tokens)
    log.info("wrote %s: %s parameters", " and ".join(map(str, files)), f"{len(net.parameters):,}")
    if path.suffix == PAGE:
        log.info("open it in a browser")
