"""A network as one HTML page that writes text in any browser, without a network connection.

The page is put together from the files of the folder `page`: markup, style, and modules of
JavaScript that compute the same forward as `layers`. A `Writer` is what a page needs of them, so
that other pages can have it too. It has

    the parts     markup (a <main> without it), style, and one script made of the modules
    the network   a description in JSON: layers, tensors with their shapes, what symbols stand for
    its numbers   in base64: tensors of 32 bits, then those of 16, little endian
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.cfg import Cfg
from darknet_py.errors import CfgError, DarknetError, counted
from darknet_py.files import MARK, base_name, with_mark, write_whole
from darknet_py.layers import Layer
from darknet_py.layers.activation import ActivationLayer
from darknet_py.layers.base import Parameter
from darknet_py.layers.connected import ConnectedLayer
from darknet_py.layers.crnn import Convolution, CrnnLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.network import Network
from darknet_py.symbols import Symbols, unit_of

# The modules in the order in which they need each other.
MODULES = (
    *("activations", "weights", "network", "rand", "sampling", "symbols", "session"),
    *("text_view", "odds_view", "view"),
)
# The kinds of layers that network.mjs computes.
KINDS = (
    *("rnn", "crnn", "gru", "lstm", "connected", "dropout", "activation", "batchnorm", "softmax"),
    *("logistic", "cost"),
)
# Browsers hold texts of up to half a billion letters, and base64 takes four for three bytes.
MAX_BYTES = 300_000_000
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Writer:
    """The parts of a page on which a network writes; see the module."""

    markup: str
    style: str
    script: str
    description: str
    numbers: str

    def body(self, heading: int = 2) -> str:
        """The markup, with the data and the script after it. heading: the level of its headings."""
        markup = re.sub(r"(</?)h2\b", rf"\g<1>h{heading}", self.markup)
        return (
            f"{markup}"
            f'<script type="application/json" id="network">{self.description}</script>\n'
            f'<script type="text/plain" id="numbers">{self.numbers}</script>\n'
            f"<script>{self.script}</script>\n"
        )


def write_page(
    path: str | os.PathLike[str],
    net: Network,
    cfg: Cfg | None = None,
    *,
    half: bool = False,
    tokens: str | os.PathLike[str] | None = None,
) -> None:
    """Write the page, whole or not at all.

    half: matrices in 16 bits. tokens: a file with the names of tokens. Raises OSError, CorpusError,
    and DarknetError for a network that no page can hold.
    """
    name = base_name(net.cfg.path)
    writer = writer_of(net, Symbols.of(net, tokens), half=half)
    seen = f"trained on {counted(net.seen, unit_of(net))}" if net.seen else "not trained"
    facts = f"{net.layers_in_words()} · {len(net.parameters):,} parameters · {seen}"
    text = page_of(
        name,
        part("colors.css") + part("page.css") + writer.style,
        f"<main>\n<header><h1>{html.escape(name)}</h1>\n<p>{html.escape(facts)}</p></header>\n"
        f"{writer.body()}</main>",
    )
    write_whole(path, [with_mark(text.encode("utf-8", "replace"))])


def page_of(title: str, style: str, body: str) -> str:
    """A whole page, which a browser lets load nothing from anywhere."""
    return (
        f'<!doctype html>\n<!-- {MARK} -->\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def writer_of(net: Network, symbols: Symbols, *, half: bool = False) -> Writer:
    """What a page needs to write with this network; arguments: see `write_page`.

    Raises CfgError for a network that writes no text or has a layer that pages do not know, and
    DarknetError for one that is too large.
    """
    net.check_symbols_match()
    tensors = [(tensor, 16 if half and tensor.decayed else 32) for tensor in _tensors(net)]
    tensors.sort(key=lambda pair: -pair[1])  # Stable: within each width the order stays.
    size = sum(tensor.size * bits // 8 for tensor, bits in tensors)
    if size > MAX_BYTES:
        hint = "" if half else "; --half needs half of that"
        raise DarknetError(
            f"{net.cfg.path}: a page holds up to {MAX_BYTES / 1e6:,.0f} MB of parameters, and this "
            f"network has {size / 1e6:,.0f} MB{hint}"
        )
    description = {
        "layers": [_described(net, layer) for layer in net.layers],
        "inputs": net.inputs,
        "outputs": net.outputs,
        "output_layer": net.output_layer.index,
        "initial_draws": net.initial_draws,
        "root_epsilon": net.dialect.root_epsilon,
        "deviation_epsilon": net.dialect.deviation_epsilon,
        "tensors": [[tensor.name, tensor.shape, bits] for tensor, bits in tensors],
        "symbols": {
            "inputs": net.inputs,
            "tokens": symbols.is_tokens,
            "names": symbols.names if symbols.is_tokens else None,
            "prompt": list(symbols.default_prompt),
        },
    }
    numbers = b"".join(_numbers(net, tensor, bits) for tensor, bits in tensors)
    return Writer(
        markup=part("writer.html"),
        style=part("writer.css"),
        script=script(),
        # No end tag or comment can begin within it.
        description=json.dumps(description, separators=(",", ":")).replace("<", "\\u003c"),
        numbers=base64.b64encode(numbers).decode(),
    )


def _tensors(net: Network) -> list[Parameter]:
    """Its parameters; in place of the kernels of a [crnn] the matrices that they are on text."""
    kernels = {
        brick.kernel.name: brick
        for layer in net.layers
        if isinstance(layer, CrnnLayer)
        for brick in layer.bricks()
        if isinstance(brick, Convolution)
    }
    tensors = net.tensors()
    for place, tensor in enumerate(tensors):
        if tensor.name in kernels:
            matrix = kernels[tensor.name].matrix()
            tensors[place] = Parameter(tensor.name, matrix.shape, decayed=True, values=matrix)
    return tensors


def _described(net: Network, layer: Layer) -> dict[str, Any]:
    """A layer with the options that its forward needs."""
    if layer.kind not in KINDS:
        raise CfgError(f"{net.cfg.path}: layer {layer.index}: no page can compute [{layer.kind}]")
    described: dict[str, Any] = {
        "kind": layer.kind,
        "outputs": layer.outputs,
        "takes_symbols": layer.index == 0 and layer.takes_symbols,
    }
    if isinstance(layer, RnnLayer):
        described["activation"] = layer.input_layer.activation.name
        described["self_activation"] = layer.self_layer.activation.name
        described["shortcut"] = layer.shortcut
    elif isinstance(layer, ConnectedLayer):
        described["activation"] = layer.connected.activation.name
    elif isinstance(layer, GruLayer | ActivationLayer):
        described["activation"] = layer.activation.name
    elif isinstance(layer, SoftmaxLayer):
        described["groups"] = layer.groups
        described["temperature"] = layer.temperature
    return described


def _numbers(net: Network, tensor: Parameter, bits: int) -> bytes:
    """The tensor as it is in the page. Raises DarknetError where 16 bits are too few."""
    values: Array = np.ascontiguousarray(tensor.values, "<f4")
    if bits == 32:
        return values.tobytes()
    if bool((np.isfinite(values) & (np.abs(values) > LARGEST_HALF)).any()):
        raise DarknetError(
            f"{net.cfg.path}: {tensor.name} has numbers above {LARGEST_HALF:,.0f}, the largest "
            f"that --half can hold; leave out --half"
        )
    return values.astype("<f2").tobytes()


def part(name: str) -> str:
    """The text of a file of the folder `page`."""
    file = resources.files("darknet_py.exporting") / "page" / name
    return file.read_text(encoding="utf-8")


def script() -> str:
    """The modules as one script: without their imports, and with what they export in common."""
    modules = [
        re.sub(r"^export ", "", re.sub(r"^import [^;]*;\n", "", text, flags=re.M), flags=re.M)
        for text in (part(f"{name}.mjs") for name in MODULES)
    ]
    # No end tag can be within a script.
    joined = "\n".join(modules).replace("</", "<\\/")
    return f'"use strict";\n(() => {{\n{joined}\n}})();\n'
