"""A network as one HTML page that writes text in any browser, without a network connection.

The page is put together from the files of the folder `page`: markup, style, and modules of
JavaScript, which carry out the network's `program`. The part that writes is a `Writer`, which other
pages can contain too, with the style of `writer.css`.
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
from darknet_py.errors import DarknetError, counted
from darknet_py.files import MARK, base_name, with_mark, write_whole
from darknet_py.network import Network
from darknet_py.numpy_step import together
from darknet_py.program import Operand, Operation, Value, joined
from darknet_py.text.symbols import Symbols, unit_of

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
    """What a page needs to write with a network.

    description: JSON: the operations of each layer, tensors with their shapes, what symbols stand
    for. numbers: base64: tensors of 32 bits, then those of 16, little endian.
    """

    description: str
    numbers: str

    def body(self, heading: int = 2, writes: bool = False) -> str:
        """The markup, with the data and the script after it. heading: the level of its headings.

        writes: it begins with a text.
        """
        markup = re.sub(r"(</?)h2\b", rf"\g<1>h{heading}", part("writer.html"))
        if writes:
            markup = markup.replace('class="writer"', 'class="writer" data-writes', 1)
        return (
            f"{markup}"
            f'<script type="application/json" id="network">{self.description}</script>\n'
            f'<script type="text/plain" id="numbers">{self.numbers}</script>\n'
            f"<script>{script()}</script>\n"
        )


def write_page(
    path: str | os.PathLike[str],
    net: Network,
    *,
    half: bool = False,
    tokens: str | os.PathLike[str] | None = None,
) -> None:
    """Write the page, whole or not at all.

    half: matrices in 16 bits. tokens: a file with the names of tokens. Raises OSError, CorpusError,
    and DarknetError for a network that no page can hold.
    """
    name = base_name(net.cfg.path)
    seen = f"trained on {counted(net.seen, unit_of(net))}" if net.seen else "not trained"
    facts = f"{net.layers_in_words()} · {len(net.parameters):,} parameters · {seen}"
    text = page_of(
        name,
        part("colors.css") + part("page.css") + part("writer.css"),
        f"<main>\n<header><h1>{html.escape(name)}</h1>\n<p>{html.escape(facts)}</p></header>\n"
        f"{writer_of(net, Symbols.of(net, tokens), half=half).body()}</main>",
    )
    write_whole(path, [with_mark(text.encode("utf-8", "replace"))])


def page_of(title: str, style: str, body: str) -> str:
    """A whole page, which a browser lets load nothing from anywhere."""
    return (
        f'<!doctype html>\n<!-- {MARK} -->\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
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
    record = _Record(net)
    tensors = [
        (name, values, 16 if half and values.ndim > 1 else 32)
        for name, values in record.tensors.items()
    ]
    tensors.sort(key=lambda tensor: -tensor[2])
    size = sum(values.size * bits // 8 for _, values, bits in tensors)
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
        "tensors": [[name, values.shape, bits] for name, values, bits in tensors],
        "symbols": {
            "inputs": net.inputs,
            "tokens": symbols.is_tokens,
            "names": names if symbols.is_tokens else None,
            "prompt": list(symbols.default_prompt),
        },
    }
    numbers = b"".join(
        _half(net, name, values) if bits == 16 else values.astype("<f4").tobytes()
        for name, values, bits in tensors
    )
    # No end tag or comment can begin within it.
    data = json.dumps(description, separators=(",", ":")).replace("<", "\\u003c")
    return Writer(data, base64.b64encode(numbers).decode())


class _Record:
    """A network's program as network.mjs takes it, and the tensors that it names.

    Batch norm is gains and shifts, and a convolution is the matrix that it is on text.
    """

    def __init__(self, net: Network) -> None:
        program = net.program()
        self.tensors: dict[str, Array] = {}
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

    def _input(self, x: Operand) -> int | str | dict[str, float]:
        if isinstance(x, Value):
            return self._place(x)
        return {"number": x} if isinstance(x, int | float) else self._tensor(x.name, x.values)

    def _tensor(self, name: str, values: Array) -> str:
        self.tensors[name] = values
        return name

    def _described(self, operations: list[Operation]) -> dict[str, Any]:
        """An operation, or products of one x."""
        return {
            "do": operations[0].name,
            "x": [self._input(x) for x in operations[0].inputs],
            "y": [self._place(operation.y) for operation in operations],
            **self._parameters(operations[0].name, [operation.by for operation in operations]),
        }

    def _parameters(self, name: str, by: list[Any]) -> dict[str, Any]:
        """What else network.mjs reads of the operation `name`."""
        match name:
            case "connect":
                matrix, gains, shifts = together(by)
                of = ", ".join(part.kernel.name for part in by)
                return {"rows": self._tensor(of, matrix), **self._affine(of, gains, shifts)}
            case "normalize":
                return self._affine(by[0].norm.scales.name, *by[0].norm.affine())
            case "activate":
                return {"f": by[0].name}
            case "softmax":
                return {"groups": by[0].groups, "temperature": by[0].temperature}
        return {}

    def _affine(self, of: str, gains: Array | None, shifts: Array) -> dict[str, str]:
        found = {"shifts": self._tensor(f"shifts of {of}", shifts)}
        return found if gains is None else found | {"gains": self._tensor(f"gains of {of}", gains)}


def _half(net: Network, name: str, values: Array) -> bytes:
    """A tensor in 16 bits. Raises DarknetError if these are too few."""
    if bool((np.isfinite(values) & (np.abs(values) > LARGEST_HALF)).any()):
        raise DarknetError(
            f"{net.cfg.path}: {name}: numbers above {LARGEST_HALF:,.0f}, the largest that --half "
            f"can hold; leave out --half"
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
