"""A network as one HTML page that writes text in any browser, without a network connection.

The page is put together from the files of the folder `page`: markup, style, and modules of
JavaScript, which carry out the network's `program`. A `Writer` is what a page needs of them, so
that other pages can contain one. It has

    the parts     markup (a <main> without it), style, and one script made of the modules
    the network   a description in JSON: the operations of each layer, tensors with their shapes,
                  what symbols stand for
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

from darknet_py.activations import Activation
from darknet_py.arrays import Array
from darknet_py.cfg import Cfg
from darknet_py.errors import DarknetError, counted
from darknet_py.files import MARK, base_name, with_mark, write_whole
from darknet_py.network import Network
from darknet_py.program import Operand, Operation, Value, joined
from darknet_py.symbols import Symbols, unit_of

# The modules in the order in which they need each other.
MODULES = (
    *("activations", "weights", "network", "rand", "sampling", "symbols", "session"),
    *("text_view", "odds_view", "view"),
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

    Raises CfgError for a network that writes no text or has a layer without a `step`, and
    DarknetError for one that is too large.
    """
    net.check_symbols_match()
    record = _Record(net, half)
    tensors = sorted(record.tensors.values(), key=lambda tensor: -tensor.bits)
    size = sum(tensor.values.size * tensor.bits // 8 for tensor in tensors)
    if size > MAX_BYTES:
        hint = "" if half else "; --half needs half of that"
        raise DarknetError(
            f"{net.cfg.path}: a page holds up to {MAX_BYTES / 1e6:,.0f} MB of parameters, and this "
            f"network has {size / 1e6:,.0f} MB{hint}"
        )
    names = [symbols.name(symbol) for symbol in range(len(symbols.names or ()))]
    description = {
        "layers": record.layers,
        "widths": [value.width for value in record.places],
        "outputs": net.outputs,
        "output_layer": net.output_layer.index,
        "initial_draws": net.initial_draws,
        "tensors": [[tensor.name, tensor.values.shape, tensor.bits] for tensor in tensors],
        "symbols": {
            "inputs": net.inputs,
            "tokens": symbols.is_tokens,
            "names": names if symbols.is_tokens else None,
            "prompt": list(symbols.default_prompt),
        },
    }
    numbers = b"".join(_numbers(net, tensor) for tensor in tensors)
    return Writer(
        markup=part("writer.html"),
        style=part("writer.css"),
        script=script(),
        # No end tag or comment can begin within it.
        description=json.dumps(description, separators=(",", ":")).replace("<", "\\u003c"),
        numbers=base64.b64encode(numbers).decode(),
    )


@dataclass(frozen=True)
class _Tensor:
    """Numbers of a page, of `bits` bits each."""

    name: str
    values: Array
    bits: int


class _Record:
    """A network's program as network.mjs takes it, and the tensors that it names.

    Batch norm is gains and shifts, and a convolution is the matrix that it is on text.
    """

    def __init__(self, net: Network, half: bool) -> None:
        program = net.program()
        self.half = half
        self.tensors: dict[str, _Tensor] = {}
        self.places: dict[Value, int] = {program.symbols: 0}
        self.layers = [
            {
                "kind": layer.kind,
                "outputs": layer.outputs,
                "operations": [self._described(operation) for operation in joined(part.operations)],
                "y": self._place(part.y),
                "states": [
                    [self._place(before), self._place(after)]
                    for before, after in zip(part.before, part.after, strict=True)
                ],
            }
            for layer, part in zip(net.layers, program.parts, strict=True)
        ]

    def _place(self, value: Value) -> int:
        return self.places.setdefault(value, len(self.places))

    def _tensor(self, name: str, values: Array, is_matrix: bool = False) -> str:
        self.tensors[name] = _Tensor(name, values, 16 if self.half and is_matrix else 32)
        return name

    def _input(self, x: Operand) -> int | str | dict[str, float]:
        if isinstance(x, Value):
            return self._place(x)
        return {"number": x} if isinstance(x, int | float) else self._tensor(x.name, x.values)

    def _described(self, operations: list[Operation]) -> dict[str, Any]:
        """An operation, or products of one x."""
        name = operations[0].name
        parameters = getattr(self, f"_{name}", None)
        return {
            "do": name,
            "x": [self._input(x) for x in operations[0].inputs],
            "y": [self._place(operation.y) for operation in operations],
            **(parameters(*(operation.by for operation in operations)) if parameters else {}),
        }

    # --- the parameters of an operation, by its name

    def _connect(self, *connected: Any) -> dict[str, list[str]]:
        rows = [self._tensor(part.kernel.name, part.matrix(), True) for part in connected]
        return {"rows": rows, **self._normalize(*(part.norm for part in connected))}

    def _normalize(self, *norms: Any) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {"gains": [], "shifts": []}
        for norm in norms:
            name = norm.biases.name.removesuffix(".bias")
            for kind, values in zip(found, norm.affine(), strict=True):
                if values is not None:
                    found[kind].append(self._tensor(f"{name}.{kind}", values))
        return found

    def _activate(self, activation: Activation) -> dict[str, str]:
        return {"f": activation.name}

    def _softmax(self, layer: Any) -> dict[str, float]:
        return {"groups": layer.groups, "temperature": layer.temperature}


def _numbers(net: Network, tensor: _Tensor) -> bytes:
    """The tensor as it is in the page. Raises DarknetError where 16 bits are too few."""
    values: Array = np.ascontiguousarray(tensor.values, "<f4")
    if tensor.bits == 32:
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
