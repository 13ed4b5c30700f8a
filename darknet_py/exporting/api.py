"""`export`: a network as a file for other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from darknet_py.bounds import File, checked
from darknet_py.cfg import Cfg
from darknet_py.exporting.folding import fold_batchnorm as folded
from darknet_py.exporting.folding import folded_cfg
from darknet_py.exporting.interchange import write_npz, write_safetensors, write_weights_and_cfg
from darknet_py.exporting.onnx import write_onnx
from darknet_py.exporting.torch_module import write_torch_module
from darknet_py.files import check_targets
from darknet_py.finding import cfg_beside
from darknet_py.network import Network

WRITERS: dict[str, Callable[[Path, Network, Cfg], None]] = {
    ".safetensors": write_safetensors,
    ".npz": write_npz,
    ".onnx": write_onnx,
    ".py": write_torch_module,
    ".weights": write_weights_and_cfg,
}


def export(
    net: Network,
    path: str | os.PathLike[str],
    *,
    fold_batchnorm: bool = False,
    force: bool = False,
) -> list[Path]:
    """Write a network for other programs, in the format that the suffix of `path` names; returns
    the files written.

    .safetensors, .npz: its tensors by name, with its cfg; .onnx: one step; .py: a PyTorch module,
    with its parameters next to it; .weights: darknet's format and its cfg.
    fold_batchnorm: turn batch norm into weights and biases. force: overwrite a file that this
    program did not write. Raises ValueError for another suffix, DarknetError where a library is
    missing or a layer has no place in the format, OSError.
    """
    return write_network(net, net.cfg, checked("path", path, File()), fold_batchnorm, force)


def write_network(
    net: Network,
    cfg: Cfg,
    path: str,
    fold: bool,
    force: bool,
    read: Sequence[str | os.PathLike[str]] = (),
) -> list[Path]:
    """`export`, with the cfg to write beside the tensors. read: files that are not to be "
    "replaced."""
    target = Path(path)
    if target.suffix not in WRITERS:
        raise ValueError(f"path must end in {', '.join(WRITERS)}, not {path!r}")
    targets = targets_of(target)
    check_targets(*targets, read=read, force=force)
    if fold:
        net, cfg = folded(net), folded_cfg(cfg)
    WRITERS[target.suffix](target, net, cfg)
    return sorted((file for together in targets for file in together), key=lambda f: f != target)


def targets_of(path: Path) -> list[list[Path]]:
    """OUT and the files that come next to it; those written together, as `check_targets` has it."""
    if path.suffix == ".py":
        return [[path], [path.with_suffix(".safetensors")]]
    return [[cfg_beside(path), path]] if path.suffix == ".weights" else [[path]]
