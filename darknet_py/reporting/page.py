"""One HTML page about a run: its losses, what it wrote over time, how it reads a passage, and the
network itself to write with, which is that of the exported page.

The page is complete in itself: nothing from the network, readable in light and dark and without a
mouse. Only the part that writes needs a script.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import TEXT, Facts, check_facts, number, whole
from darknet_py.exporting.html_page import Writer, page_of, part
from darknet_py.network import Network
from darknet_py.reporting.chart import chart, shown, thinned
from darknet_py.text.symbols import LONGER, Symbols, check_symbols
from darknet_py.training.curves import Losses
from darknet_py.training.journal import whole_lines

UNITS = 6  # of a layer that are shown
SAMPLES = 6  # of what it wrote
HEADINGS = "Losses", "What it wrote", "Try it", "How it reads"
SAMPLE: Facts = {"batch": whole(1), "val": number(), "text": TEXT}  # of a line of BASE.samples


@dataclass(frozen=True)
class Reading:
    """How a network reads a passage of n symbols.

    symbols: what they stand for. losses: -log p of each symbol but the first, (n - 1,), in nats.
    units: which units of the layer `layer` are shown; responses: their outputs after each symbol,
    (n, units).
    """

    passage: list[int]
    symbols: Symbols
    losses: Array
    layer: int
    units: list[int]
    responses: Array


def read_passage(
    net: Network, passage: Sequence[int] | Array, layer: int, symbols: Symbols
) -> Reading:
    """Let the network read a passage as one stream from a zero state.

    layer: whose units are shown, those that change most slowly along the text: what they answer to
    is longer than a symbol. symbols: what they stand for. Raises CorpusError for unknown symbols,
    ValueError for a layer that does not exist.
    """
    if not 0 <= layer < len(net.layers):
        raise ValueError(f"layer {layer}: the network has the layers 0 to {len(net.layers) - 1}")
    read = check_symbols(net, passage, "the passage")[:, None]
    losses, _ = net.losses(read[:-1], read[1:], net.initial_state(1))
    losses = losses[:, 0].astype(np.float64)
    outputs, _ = net.forward(read, net.initial_state(1), count=layer + 1)
    responses = outputs[:, 0].astype(np.float64)
    units = _slow_units(responses)
    return Reading(read[:, 0].tolist(), symbols, losses, layer, units, responses[:, units])


def _slow_units(responses: Array) -> list[int]:
    """Units whose output is most like the output one symbol before, of those that vary at all."""
    centered = responses - responses.mean(axis=0)
    power = (centered**2).sum(axis=0)
    slowness = (centered[1:] * centered[:-1]).sum(axis=0) / np.maximum(power, 1e-12)
    slowness[power < 1e-3 * power.max(initial=0)] = -math.inf
    return [int(unit) for unit in np.argsort(-slowness, kind="stable")[:UNITS]]


def recurrent_layer(net: Network) -> int:
    """The last layer with a state, whose units have the most to tell; 0 if there is none."""
    return max((layer.index for layer in net.layers if layer.state_sizes), default=0)


def read_samples(path: Path) -> list[tuple[str, str]]:
    """Headings and texts of a BASE.samples, at most SAMPLES, spread over the run.

    What is not a whole sample, like the half of a line that a crash leaves, is skipped.
    """
    samples = [sample for line in whole_lines(path) if (sample := _sample(line)) is not None]
    return thinned(samples, SAMPLES)


def _sample(line: bytes) -> tuple[str, str] | None:
    """Heading and text of a line of BASE.samples; None for any other line."""
    try:
        row = check_facts(json.loads(line), SAMPLE)
    except (ValueError, RecursionError):
        return None
    return f"after batch {row['batch']:,}, {row['val']:.3f} nats", row["text"]


def _mean(losses: Array, pieces: int, symbol: str) -> str:
    """Per symbol, and per character where those are longer. losses: of all but the first symbol."""
    words = f"{losses.mean():.3f} nats per {symbol}"
    if len(losses) + 1 > LONGER * pieces:
        words += f", {losses.sum() / max(1, pieces - 1):.3f} per character"
    return words


def page(
    title: str,
    facts: Sequence[tuple[str, str]],
    curves: Losses,
    samples: Sequence[tuple[str, str]],
    reading: Reading,
    writer: Writer | str,
) -> str:
    """The whole page. facts: rows of its first table. samples: headings and texts. writer: the
    network, or why no page can contain it.
    """
    losses, symbol = reading.losses, reading.symbols.unit
    seen = "token" if reading.symbols.is_tokens else "character"
    pieces = reading.symbols.parts(reading.passage)
    texts = [text for _, _, text in pieces]
    surprises = _surprises(pieces, losses)
    # All but the rarest surprises lie below the darkest color.
    top = max(1.0, float(np.quantile(surprises, 0.97)))
    darkest = '<span class="hot" style="--level: 1">\u00a0a\u00a0</span>'
    tabs = [("surprise", surprises / top)]
    after = [end - 1 for _, end, _ in pieces]
    tabs += [
        (f"unit {unit}", _signed(response)[after])
        for unit, response in zip(reading.units, reading.responses.T, strict=True)
    ]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _table(facts),
        _menu(HEADINGS),
        _heading("Losses"),
        chart({title: curves}, symbol),
        _heading("What it wrote"),
        *(f"<h3>{html.escape(name)}</h3><pre>{shown(text)}</pre>" for name, text in samples),
        _heading("Try it"),
        writer.body(heading=3, writes=True)
        if isinstance(writer, Writer)
        else f'<p class="note">This network cannot be tried here: {html.escape(writer)}.</p>',
        _heading("How it reads"),
        '<p class="note">A passage, read from a zero state. <b>surprise</b>: the redder a '
        f"{seen}, the less it was expected: from 0 to {darkest} {top:.1f} nats and "
        f"more. Mean: {_mean(losses, len(pieces), symbol)}. <b>unit</b>: the units of layer "
        f"{reading.layer} that change most slowly along the text; red if the unit's output is "
        "above its mean, blue below.</p>",
        _passage(tabs, texts),
        _greatest(pieces, surprises),
    ]
    return document(title, parts)


def _heading(name: str) -> str:
    return f'<h2 id="{_anchor(name)}">{name}</h2>'


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _menu(names: Iterable[str]) -> str:
    links = "".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in names)
    return f"<nav>{links}</nav>"


def _passage(tabs: Sequence[tuple[str, Array]], texts: Sequence[str]) -> str:
    """Texts that are colored by the tab that is chosen: its name, and a number from -1 (cold) over
    0 to 1 (hot) for each text.
    """
    choices, rules = [], []
    for place, (name, _) in enumerate(tabs):
        checked = "" if place else " checked"
        choices.append(
            f'<input type="radio" name="tab" id="tab{place}"{checked}>'
            f'<label for="tab{place}">{name}</label>'
        )
        rules.append(f"#tab{place}:checked ~ pre span {{ --level: var(--{_letter(place)}); }}")
    shades = np.clip([values for _, values in tabs], -1, 1).T
    spans = [
        f'<span style="{_levels(row)}">{shown(text)}</span>'
        for row, text in zip(shades.tolist(), texts, strict=True)
    ]
    return (
        f'<style>{" ".join(rules)}</style><div class="tabs">{"".join(choices)}'
        f"<pre>{''.join(spans)}</pre></div>"
    )


def _levels(shades: Iterable[float]) -> str:
    """One for each tab, in tenths."""
    return ";".join(f"--{_letter(place)}:{shade:.1f}" for place, shade in enumerate(shades))


def _letter(place: int) -> str:
    return chr(ord("a") + place)


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of these parts, which stand one below the other."""
    style = "".join([part("colors.css"), part("page.css"), part("report.css"), part("writer.css")])
    return page_of(title, style, "<main>\n{}\n</main>".format("\n".join(parts)))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = (f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows)
    return f'<table class="facts">{"".join(lines)}</table>'


def _surprises(pieces: Iterable[tuple[int, int, str]], losses: Array) -> Array:
    """The loss of each piece of a passage: that of all of its symbols, 0 for the first one."""
    padded = np.concatenate([[0.0], losses])
    return np.array([padded[first:end].sum() for first, end, _ in pieces])


def _signed(responses: Array) -> Array:
    """How far each response lies above or below their mean, relative to all but the rarest."""
    centered = responses - responses.mean()
    return centered / max(1e-9, float(np.quantile(np.abs(centered), 0.97)))


def _greatest(
    pieces: Sequence[tuple[int, int, str]], surprises: Array, most: int = 5, context: int = 24
) -> str:
    """A table of the least expected pieces, for those who do not see the colors."""
    texts = [shown(text).replace("\n", "⏎") for _, _, text in pieces]
    rows = [
        f"<tr><td class='n'>{surprises[place]:.2f}</td><td><code>"
        f"{''.join(texts[max(0, place - context) : place])}<b>{texts[place]}</b></code></td></tr>"
        for place in np.argsort(-surprises, kind="stable")[:most].tolist()
    ]
    return f"<table><caption>The greatest surprises, in nats</caption>{''.join(rows)}</table>"
