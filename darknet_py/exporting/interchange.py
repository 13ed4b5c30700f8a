"""Networks in .safetensors and .npz files: every parameter by its name, and what else is needed.

A tensor's name is LAYER.PART.KIND, or LAYER.KIND if a layer has no parts:

    0.input.weight        [rnn]: input, self, output
    0.self.rolling_mean   kinds: weight (outputs, inputs), bias, scale, rolling_mean,
    2.wz.bias             rolling_variance, each (outputs,)
    3.weight              [connected]

all float32. Next to them there are the text of the `cfg`, the `dialect` (whose formulas and order
of gates), and the symbols `seen` in training: metadata of a .safetensors file, entries of a .npz
file. Nothing that is read is ever unpickled, and no tensor is read before its size is known to be
right.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.cfg import MAX_CFG_BYTES, Cfg, parse_cfg, printable
from darknet_py.dialect import DIALECTS, Dialect
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError
from darknet_py.files import MARK, under_mark, with_mark, write_whole
from darknet_py.layers.base import Parameter
from darknet_py.loading.finding import ONE_STREAM, cfg_beside
from darknet_py.network import Network
from darknet_py.npz import open_npz, refusing_damage
from darknet_py.options import override
from darknet_py.weights import usable, warn_of_infinite

FACTS = ("cfg", "dialect", "seen")
_MAX_SEEN = 1 << 62
_FLOAT = np.dtype("<f4")


def library(name: str) -> Any:
    """The module `name` of the extra `export`. Raises DarknetError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        message = f"this format needs {package} ({error}): pip install {package}"
        raise DarknetError(message) from error


# --- writing -------------------------------------------------------------------------------------


def tensors_of(net: Network) -> dict[str, Array]:
    """Every parameter by its name, float32, in the order of the weights file."""
    return {p.name: np.ascontiguousarray(p.values, _FLOAT) for p in net.tensors()}


def facts_of(net: Network, cfg: Cfg | None = None) -> dict[str, str]:
    """What a file has besides its tensors, by name.

    cfg: the text to give, by default the network's. Comments that are not UTF-8 get U+FFFD.
    """
    data = (cfg or net.cfg).text().encode("utf-8", "surrogateescape")
    text = data.decode("utf-8", "replace")
    return {"cfg": text, "dialect": net.dialect.name, "seen": str(net.seen)}


def write_npz(path: str | os.PathLike[str], net: Network, cfg: Cfg | None = None) -> None:
    """Write the network as an .npz file, whole or not at all; cfg: see `facts_of`.

    Raises OSError.
    """
    entries: dict[str, Any] = {**facts_of(net, cfg), "seen": np.int64(net.seen), **tensors_of(net)}
    data = io.BytesIO()
    np.savez(data, **entries)
    with zipfile.ZipFile(data, "a") as archive:
        archive.comment = MARK.encode()
    write_whole(path, [with_mark(data.getvalue())])


def write_safetensors(path: str | os.PathLike[str], net: Network, cfg: Cfg | None = None) -> None:
    """Write the network as a .safetensors file, whole or not at all; cfg: see `facts_of`.

    Raises OSError, and DarknetError if the library is not installed.
    """
    facts = {**facts_of(net, cfg), "origin": MARK}
    data = library("safetensors.numpy").save(tensors_of(net), facts)
    write_whole(path, [with_mark(b"".join(_with_sorted_facts(data)))])


def write_weights_and_cfg(path: str | os.PathLike[str], net: Network, cfg: Cfg) -> None:
    """Write a weights file, and its cfg where it is looked for, each whole or not at all.

    Raises OSError.
    """
    text = under_mark(cfg.of_saved_weights().text()).encode("utf-8", "surrogateescape")
    net.save_weights(path)
    write_whole(cfg_beside(path), [with_mark(text, Path(path).read_bytes())])


def _with_sorted_facts(data: bytes) -> list[bytes | memoryview]:
    """The same file, the same each time: the library gives the metadata in a random order."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, memoryview(data)[end:]]


# --- reading -------------------------------------------------------------------------------------


def read_network(
    path: str | os.PathLike[str], cfg: Cfg | None = None, dialect: str | None = None
) -> tuple[Network, Cfg]:
    """The network of a .safetensors or .npz file (any other name is read as .npz), and its cfg.

    The network is made for one stream; the cfg has its batch and time_steps as they were.
    cfg: the network's, if not the one in the file. dialect: the network's; one that is not the
    file's changes formulas and order as `Network.load_weights` does.
    Raises WeightsError, CfgError, and DarknetError if a library is not installed.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise WeightsError(f"{path} is a folder, pipe or device; give a file of tensors")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the file: {error.strerror}") from error
    with contextlib.ExitStack() as stack:
        with _refusing_damage(path):
            stored = (_open_safetensors if _is_safetensors(path) else _open_npz)(path, stack)
        cfg = cfg or stored.cfg()
        origin = stored.dialect(dialect)
        net = Network(override(cfg, ONE_STREAM, "one stream"), origin)
        net.seen = stored.seen()
        parameters, infinite = net.tensors(), 0
        for parameter in parameters:
            values = stored.values(parameter)
            infinite += int(np.isinf(values).sum())
            np.copyto(parameter.values, values)
        stored.check_names([parameter.name for parameter in parameters])
    warn_of_infinite(path, infinite)
    chosen = DIALECTS[dialect] if dialect else origin
    return (net if chosen is origin else _converted(path, net, chosen)), cfg


@dataclass(frozen=True)
class _Stored:
    """What a file has, before its tensors are read. Its methods raise WeightsError.

    tensors: dtype and shape by name. facts: those of FACTS that are there. read: the tensor of a
    name.
    """

    path: str | os.PathLike[str]
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    facts: dict[str, str]
    read: Callable[[str], Array]

    def cfg(self) -> Cfg:
        """Raises CfgError too."""
        if "cfg" not in self.facts:
            raise WeightsError(
                f"{self.path} does not contain a cfg (its text under the name cfg); give it with "
                f"--cfg"
            )
        return parse_cfg(self.facts["cfg"], f"{self.path}: cfg")

    def dialect(self, default: str | None) -> Dialect:
        name, known = self.facts.get("dialect", default), " or ".join(DIALECTS)
        if name is None:
            raise WeightsError(
                f"{self.path} does not contain a dialect ({known}, under the name dialect); give "
                f"it with --dialect"
            )
        if name not in DIALECTS:
            raise WeightsError(f"{self.path}: dialect is {printable(name)}; it must be {known}")
        return DIALECTS[name]

    def seen(self) -> int:
        text = self.facts.get("seen", "0")
        if not re.fullmatch("[0-9]{1,19}", text) or int(text) >= _MAX_SEEN:
            raise WeightsError(f"{self.path}: seen is {printable(text)}, not a count of symbols")
        return int(text)

    def values(self, parameter: Parameter) -> Array:
        """Those of a parameter, read if there are as many as it has; all of them `usable`."""
        name = parameter.name
        if name not in self.tensors:
            raise WeightsError(
                f"{self.path} does not contain the tensor {name} of shape {parameter.shape}"
            )
        dtype, shape = self.tensors[name]
        if dtype not in ("F32", _FLOAT.name):
            raise WeightsError(
                f"{self.path}: {name} is of type {printable(dtype)}; it must be {_FLOAT.name}"
            )
        if shape != parameter.shape:
            raise WeightsError(
                f"{self.path}: {name} has the shape {shape}; the network needs {parameter.shape}"
            )
        with _refusing_damage(self.path):
            values = self.read(name)
        fine = usable(parameter, values)
        if not fine.all():
            place = np.unravel_index(int(np.argmin(fine)), values.shape)
            raise WeightsError(
                f"{self.path}: {name}{[int(index) for index in place]} is {values[place]}, not a "
                f"finite number"
            )
        return values

    def check_names(self, known: list[str]) -> None:
        """Make sure that there are no other tensors."""
        for name in self.tensors:
            if name not in known:
                raise WeightsError(
                    f"{self.path}: {printable(name)} is none of the {len(known)} tensors of its cfg"
                )


def _converted(path: str | os.PathLike[str], net: Network, dialect: Dialect) -> Network:
    """The network with the same parameters in another dialect. Raises WeightsError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        other = Network(net.cfg, dialect)
    other.seen = net.seen
    other.take_parameters(net, path)
    return other


def _is_safetensors(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).endswith(".safetensors")


def _refusing_damage(path: str | os.PathLike[str]) -> contextlib.AbstractContextManager[None]:
    kind = ".safetensors" if _is_safetensors(path) else ".npz"
    return refusing_damage(path, WeightsError, f"not a {kind} file")


def _open_safetensors(path: str | os.PathLike[str], stack: contextlib.ExitStack) -> _Stored:
    """What such a file has; it is open until the end of `stack`."""
    file = stack.enter_context(library("safetensors").safe_open(os.fspath(path), "numpy"))
    pieces = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    tensors = {
        name: (str(piece.get_dtype()), tuple(piece.get_shape())) for name, piece in pieces.items()
    }
    facts = {key: text for key, text in (file.metadata() or {}).items() if key in FACTS}
    return _Stored(path, tensors, facts, file.get_tensor)


def _open_npz(path: str | os.PathLike[str], stack: contextlib.ExitStack) -> _Stored:
    """What such a file has; it is open until the end of `stack`."""
    npz = stack.enter_context(open_npz(path))
    headers = {name: npz.header(name) for name in npz.names}
    facts = {}
    for name in [name for name in FACTS if name in headers]:
        dtype, shape = headers.pop(name)
        if dtype.kind not in "Uiu" or shape:
            found = f"{printable(str(dtype))} {shape}"
            raise WeightsError(f"{path}: {name} is {found}; it must be one text")
        if dtype.itemsize > 4 * MAX_CFG_BYTES:
            raise WeightsError(f"{path}: {name} is larger than 1 MiB; it must be a short text")
        facts[name] = str(npz.read(name)[()])
    tensors = {name: (dtype.name, shape) for name, (dtype, shape) in headers.items()}
    return _Stored(path, tensors, facts, npz.read)
