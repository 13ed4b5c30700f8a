"""`export`: a network as a file for other programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from darknet_py.cfg import Cfg
from darknet_py.checks import FILE, FLAG
from darknet_py.exporting.folding import fold_batchnorm as folded
from darknet_py.exporting.folding import folded_cfg
from darknet_py.exporting.html_page import write_page
from darknet_py.exporting.interchange import write_npz, write_safetensors, write_weights_and_cfg
from darknet_py.exporting.onnx import write_onnx
from darknet_py.exporting.torch_module import write_torch_module
from darknet_py.files import check_targets
from darknet_py.loading.finding import cfg_beside
from darknet_py.network import Network
from darknet_py.text.symbols import check_network

PAGE = ".html"
WRITERS: dict[str, Callable[[Path, Network, Cfg], None]] = {
    ".safetensors": write_safetensors,
    ".npz": write_npz,
    ".onnx": write_onnx,
    ".py": write_torch_module,
    ".weights": write_weights_and_cfg,
}
SUFFIXES = (PAGE, *WRITERS)


def export(
    net: Network,
    path: str | os.PathLike[str],
    *,
    fold_batchnorm: bool = False,
    half: bool = False,
    tokens: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> list[Path]:
    """Write a network for other programs, in the format that the suffix of `path` names; returns
    the files written.

    .safetensors, .npz: its tensors by name, with its cfg; .html: a page that writes text in any
    browser, without a network connection; .onnx: one step; .py: a PyTorch module, with its
    parameters next to it; .weights: darknet's format and its cfg.
    fold_batchnorm: turn batch norm into weights and biases. half: matrices of a page in 16 bits
    instead of 32. tokens: a file with the names of tokens, for a page. force: overwrite a file that
    this program did not write. Raises ValueError for another suffix, DarknetError if a library
    is missing, the format cannot hold the network or another thread trains it, OSError.
    """
    check_network(net)
    target = Path(FILE.checked("path", path))
    if target.suffix not in SUFFIXES:
        raise ValueError(f"path must end in one of {', '.join(SUFFIXES)}, not {os.fspath(path)!r}")
    half = FLAG.checked("half", half)
    names = None if tokens is None else FILE.checked("tokens", tokens)
    for name, given in (("half", half), ("tokens", names is not None)):
        if given and target.suffix != PAGE:
            raise ValueError(f"{name} is only for a page, whose path ends in {PAGE}")
    check_targets(*targets_of(target), read=() if names is None else (names,), force=force)
    return write_network(net, net.cfg, target, fold_batchnorm, half=half, tokens=names)


def write_network(
    net: Network,
    cfg: Cfg,
    path: Path,
    fold: bool,
    *,
    half: bool = False,
    tokens: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Write a network and its cfg to `targets_of(path)`, which have been checked; returns them.

    half, tokens: of a page.
    """
    with net.guard.reading():
        if fold:
            net, cfg = folded(net), folded_cfg(cfg)
        if path.suffix == PAGE:
            write_page(path, net, half=half, tokens=tokens)
        else:
            WRITERS[path.suffix](path, net, cfg)
    files = (file for together in targets_of(path) for file in together)
    return sorted(files, key=lambda file: file != path)


def targets_of(path: Path) -> list[list[Path]]:
    """OUT and the files that come next to it; those written together, as `check_targets` has it."""
    if path.suffix == ".py":
        return [[path], [path.with_suffix(".safetensors")]]
    return [[cfg_beside(path), path]] if path.suffix == ".weights" else [[path]]
