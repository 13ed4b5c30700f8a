"""darknet-py export"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import click

from darknet_py.cfg import Cfg
from darknet_py.cli.options import (
    CONTEXT,
    cfg_option,
    dialect_option,
    force_option,
    verbosity_options,
)
from darknet_py.exporting.folding import fold_batchnorm, folded_cfg
from darknet_py.exporting.interchange import write_npz, write_safetensors, write_weights_and_cfg
from darknet_py.exporting.onnx import write_onnx
from darknet_py.exporting.torch_module import write_torch_module
from darknet_py.files import check_targets
from darknet_py.finding import cfg_beside, find_cfg_of, find_weights, say_cfg
from darknet_py.loading import network_of_weights
from darknet_py.network import Network
from darknet_py.options import override

log = logging.getLogger("darknet_py.export")

WRITERS: dict[str, Callable[[Path, Network, Cfg], None]] = {
    ".safetensors": write_safetensors,
    ".npz": write_npz,
    ".onnx": write_onnx,
    ".py": write_torch_module,
    ".weights": write_weights_and_cfg,
}


@click.command("export", context_settings=CONTEXT)
@click.argument("weights")
@click.argument("out")
@cfg_option
@dialect_option
@click.option(
    "--fold-batchnorm",
    "fold",
    is_flag=True,
    help="Turn batch norm into weights and biases: the same probabilities, computed faster.",
)
@force_option
@verbosity_options
def command(weights: str, out: str, cfg: str | None, dialect: str, fold: bool, force: bool) -> None:
    """Write the network of WEIGHTS for other programs, in the format of OUT's suffix.

    \b
    .safetensors  tensors by name, like 0.input.weight, with the cfg as metadata
    .npz          the same for numpy
    .onnx         one step: symbols and states in, probabilities and states out
    .py           a readable PyTorch module, with its parameters in a .safetensors file
    .weights      darknet's format, with a cfg; only with --fold-batchnorm

    .safetensors and .py need the library safetensors, .onnx needs onnx (pip install safetensors
    onnx). A file that already exists is overwritten only if it is unchanged since darknet-py wrote
    it, or with --force.

    \b
    Examples:
      darknet-py export backup tiny.safetensors
      darknet-py export backup/tiny_best.weights tiny_torch.py
      darknet-py export backup tiny.onnx --fold-batchnorm
      darknet-py export backup folded.weights --fold-batchnorm
    """
    path = Path(out)
    wanted = [suffix for suffix in WRITERS if suffix != ".weights" or fold]
    if path.suffix not in wanted:
        raise click.BadParameter(
            f"{out!r} must end in .safetensors, .npz, .onnx or .py (or .weights with "
            f"--fold-batchnorm)",
            param_hint="OUT",
        )
    source = find_weights(weights)
    found = find_cfg_of(source, cfg)
    targets = _targets(path)
    check_targets(*targets, read=(source, found.path), force=force)
    if source != Path(weights):
        log.info("weights: %s", source)
    if cfg is None:
        say_cfg(found, source)
    single = override(found, {"batch": 1, "time_steps": 1}, "one stream")
    net = network_of_weights(single, source, dialect)
    # The layers as they fit the weights, and [net] as it was written.
    whole = Cfg(found.path, found.lines, [found.net, *net.cfg.layers])
    if fold:
        net, whole = fold_batchnorm(net), folded_cfg(whole)
    WRITERS[path.suffix](path, net, whole)
    files = sorted((file for together in targets for file in together), key=lambda f: f != path)
    log.info("wrote %s: %s numbers", " and ".join(map(str, files)), f"{len(net.parameters):,}")


def _targets(path: Path) -> list[list[Path]]:
    """OUT and the files that come next to it; those written together, as `check_targets` has it."""
    if path.suffix == ".py":
        return [[path], [path.with_suffix(".safetensors")]]
    return [[cfg_beside(path), path]] if path.suffix == ".weights" else [[path]]
