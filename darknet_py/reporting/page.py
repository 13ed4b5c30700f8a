"""One HTML page about a run: its losses, what it wrote over time, how it reads a passage, and the
network itself to write with, which is that of the exported page.

The page is complete in itself: nothing from the network, readable in light and dark and without a
mouse. Only the part that writes needs a script.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import TEXT, Facts, check_facts, number, whole
from darknet_py.exporting.html_page import Writer, page_of, part
from darknet_py.network import Network
from darknet_py.terminal.messages import visible
from darknet_py.text.symbols import LONGER, Symbols, check_symbols
from darknet_py.training.curves import Losses, Point
from darknet_py.training.journal import whole_lines

UNITS = 6  # of a layer that are shown
SAMPLES = 6  # of what it wrote
LEVELS = 10  # of color
SAMPLE: Facts = {"batch": whole(1), "val": number(), "text": TEXT}  # of a line of BASE.samples
T = TypeVar("T")
WIDTH, HEIGHT = 600, 300
MARGIN = 60

STYLE = """
main { max-width: 46rem; }
h1 { margin-bottom: .9rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; }
h3 { font-size: .95rem; font-weight: 600; margin-bottom: .2rem; }
p.note, caption, figcaption { color: var(--faint); font-size: .9rem; text-align: left; }
p.note span { color: var(--ink); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.6 ui-monospace, monospace;
  border: 1px solid var(--line); border-radius: 4px; padding: .6rem .8rem; margin: .4rem 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; }
caption { white-space: nowrap; }
td, th { padding: .1rem .9rem .1rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
code { white-space: pre-wrap; }
figure { margin: 0; }
svg text { fill: var(--faint); font: 14px system-ui, sans-serif; }
@media (max-width: 32rem) { svg text { font-size: 24px; } svg text.fine { display: none; } }
.grid { stroke: var(--line); }
.one { stroke: var(--one); fill: none; stroke-width: 1.2; }
.two { stroke: var(--two); fill: none; stroke-width: 1.6; }
.dot { fill: var(--two); }
.run { --one: hsl(var(--hue), 60%, var(--tone)); --two: var(--one); --tone: 38%; }
.run .one { opacity: .45; }
@media (prefers-color-scheme: dark) { .run { --tone: 70%; } }
"""


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
    """Units whose output is most like their own one symbol before, of those that vary at all."""
    centered = responses - responses.mean(axis=0)
    power = (centered**2).sum(axis=0)
    slowness = (centered[1:] * centered[:-1]).sum(axis=0) / np.maximum(power, 1e-12)
    slowness[power < 1e-3 * power.max(initial=0)] = -math.inf
    return [int(unit) for unit in np.argsort(-slowness, kind="stable")[:UNITS]]


def recurrent_layer(net: Network) -> int:
    """The last layer with a state, whose units have the most to tell; 0 where there is none."""
    return max((layer.index for layer in net.layers if layer.state_sizes), default=0)


def read_samples(path: Path) -> list[tuple[str, str]]:
    """Headings and texts of a BASE.samples, at most SAMPLES, spread over the run.

    What is not a whole sample, like the half of a line that a crash leaves, is skipped.
    """
    samples = [sample for line in whole_lines(path) if (sample := _sample(line)) is not None]
    return _thinned(samples, SAMPLES)


def _sample(line: bytes) -> tuple[str, str] | None:
    """Heading and text of a line of BASE.samples; None for what is none."""
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
    network, or why no page can have it.
    """
    losses, symbol = reading.losses, reading.symbols.unit
    seen = "token" if reading.symbols.is_tokens else "character"
    pieces = reading.symbols.parts(reading.passage)
    texts = [text for _, _, text in pieces]
    surprises = _surprises(pieces, losses)
    # All but the rarest surprises lie below the darkest color.
    top = max(1.0, float(np.quantile(surprises, 0.97)))
    darkest = _shaded([1], ["\u00a0a\u00a0"])
    after = [end - 1 for _, end, _ in pieces]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _table(facts),
        "<h2>Losses</h2>",
        chart({title: curves}, symbol),
        "<h2>What it wrote</h2>",
        *(f"<h3>{html.escape(name)}</h3><pre>{shown(text)}</pre>" for name, text in samples),
        "<h2>Try it</h2>",
        writer.body(heading=3)
        if isinstance(writer, Writer)
        else f'<p class="note">This network cannot be tried here: {html.escape(writer)}.</p>',
        "<h2>How surprised it is</h2>",
        '<p class="note">A passage, read from a zero state. The redder a '
        f"{seen}, the less it was expected: from 0 to {darkest} {top:.1f} nats and "
        f"more. Mean: {_mean(losses, len(pieces), symbol)}.</p>",
        f"<pre>{_shaded(surprises / top, texts)}</pre>",
        _greatest(pieces, surprises),
        f"<h2>What single units of layer {reading.layer} answer to</h2>",
        '<p class="note">The units that change most slowly along the text. Each '
        f"{seen} is colored by the unit's output after it: red above the unit's mean, blue below."
        "</p>",
        *(
            f"<h3>unit {unit}</h3><pre>{_shaded(_signed(response)[after], texts)}</pre>"
            for unit, response in zip(reading.units, reading.responses.T, strict=True)
        ),
    ]
    return document(title, parts)


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of these parts, which stand one below the other."""
    style = "".join([part("colors.css"), part("page.css"), STYLE, part("writer.css")])
    return page_of(title, style, "<main>\n{}\n</main>".format("\n".join(parts)))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = (f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(lines)}</table>"


def shown(text: str) -> str:
    """Text for the page: control characters as pictures."""
    return html.escape(visible(text))


def _surprises(pieces: Iterable[tuple[int, int, str]], losses: Array) -> Array:
    """The loss of each piece of a passage: that of all of its symbols, 0 for the first one."""
    padded = np.concatenate([[0.0], losses])
    return np.array([padded[first:end].sum() for first, end, _ in pieces])


def _signed(responses: Array) -> Array:
    """How far each response lies above or below their mean, relative to all but the rarest."""
    centered = responses - responses.mean()
    return centered / max(1e-9, float(np.quantile(np.abs(centered), 0.97)))


def _shaded(shades: Iterable[float], texts: Iterable[str]) -> str:
    """Texts, each colored by a number from -1 (cold) over 0 to 1 (hot)."""
    spans = []
    levels = (round(LEVELS * max(-1, min(1, shade))) for shade in shades)
    for level, same in groupby(zip(levels, texts, strict=True), key=itemgetter(0)):
        how = f' class="{"hot" if level > 0 else "cold"}" style="--level: {abs(level) / LEVELS}"'
        spans.append(
            f"<span{how if level else ''}>{shown(''.join(text for _, text in same))}</span>"
        )
    return "".join(spans)


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


def chart(runs: Mapping[str, Losses], unit: str) -> str:
    """A picture of the losses of runs, by name: of several, each run's in its color."""
    runs = {name: losses for name, losses in runs.items() if losses[0]}
    if not runs:
        return "<p class='note'>no batch yet</p>"
    points = [point for averages, validations in runs.values() for point in averages + validations]
    last = max(x for x, _ in points)
    levels = ticks(min(y for _, y in points), max(y for _, y in points))
    low, high = levels[0], levels[-1]

    def right(batch: float) -> str:
        return f"{MARGIN + (WIDTH - MARGIN - 20) * batch / last:.1f}"

    def down(loss: float, below: int = 0) -> str:
        return f"{20 + below + (HEIGHT - MARGIN - 12) * (high - loss) / (high - low):.1f}"

    def line(shape: str, curve: list[Point]) -> str:
        places = " ".join(f"{right(x)},{down(y)}" for x, y in _thinned(curve))
        return f'<polyline class="{shape}" points="{places}"/>'

    decimals = max(0, -math.floor(math.log10(levels[1] - levels[0]) + 1e-9))
    marks = [
        f'<line class="grid" x1="{MARGIN}" x2="{WIDTH - 8}" y1="{down(level)}" y2="{down(level)}"/>'
        f'<text x="{MARGIN - 8}" y="{down(level, below=5)}" text-anchor="end">'
        f"{level:.{decimals}f}</text>"
        for level in levels
    ]
    for place, batch in enumerate(ticks(0, last)):
        if batch <= last and batch == round(batch):
            fine = ' class="fine"' if place % 2 else ""
            marks.append(
                f'<text{fine} x="{right(batch)}" y="{HEIGHT - 8}" text-anchor="middle">'
                f"{'' if batch else 'batch '}{batch:,.0f}</text>"
            )
    said, names = [], []
    for place, (name, (averages, validations)) in enumerate(runs.items()):
        # Hues a golden angle apart stay different for any number of runs.
        its = (
            f' class="run" style="--hue: {(210 + 137.5 * place) % 360:g}"' if len(runs) > 1 else ""
        )
        marks += [f"<g{its}>", line("one", averages), line("two", validations)]
        marks += [
            f'<circle class="dot" r="2.5" cx="{right(x)}" cy="{down(y)}"/>'
            for x, y in _thinned(validations, 60)
        ]
        marks.append("</g>")
        words = f"training average from {averages[0][1]:.2f} to {averages[-1][1]:.2f}"
        if validations:
            least = min(y for _, y in validations)
            words += f"; held-out text from {validations[0][1]:.2f}, at best {least:.2f}"
        said.append(f"{shown(name)}: {words}" if its else words)
        names.append(f"<b{its}><span style='color:var(--one)'>{shown(name)}</span></b>")
    curves = "thin the training average, thick the held-out text"
    if len(runs) == 1:
        curves = (
            "<b style='color:var(--one)'>training, average</b>, "
            f"<b style='color:var(--two)'>held-out text</b>; {said[0]}"
        )
        names = []
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{"; ".join(said)}">'
        f"{''.join(marks)}</svg>"
        f"<figcaption>nats per {unit}: {', '.join([*names, curves])}</figcaption></figure>"
    )


def ticks(low: float, high: float) -> list[float]:
    """Two to nine round numbers at equal distances, the first at or below `low`, the last at or
    above `high`.
    """
    # Losses that hardly differ for their size would have no numbers between them.
    width = max(high - low, 0.001, 1e-9 * max(abs(low), abs(high)))
    power = 10.0 ** math.floor(math.log10(width))
    step = next(step * power for step in (0.1, 0.2, 0.5, 1, 2) if width / (step * power) <= 6)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [step * number for number in range(first, last + 1)]


def _thinned(row: list[T], most: int = 600) -> list[T]:
    """At most so many, at equal distances, the first and the last among them."""
    if len(row) <= most:
        return row
    return [row[i] for i in np.linspace(0, len(row) - 1, most).round().astype(int)]
