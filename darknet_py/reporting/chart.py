"""The losses of runs as a picture (SVG) in a page, which needs no script."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import NamedTuple, TypeVar

import numpy as np

from darknet_py.terminal.messages import visible
from darknet_py.training.curves import Losses, Point

T = TypeVar("T")
WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 22, 40  # around the curves
BEGINNING = 0.1  # of a run, whose high losses would take most of the picture
HALF = 0.7  # of the height: the most that all but the beginning takes if that is left out
PARTS = 80  # of the width that tell their values under a pointer


class Scale(NamedTuple):
    """Where a batch and a loss stand in the picture; low, high: the losses at its edges."""

    last: float
    low: float
    high: float

    def right(self, batch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * batch / self.last

    def down(self, loss: float) -> float:
        share = (self.high - loss) / (self.high - self.low)
        return TOP + (HEIGHT - TOP - BOTTOM) * share


def shown(text: str) -> str:
    """Text for the page: control characters as pictures."""
    return html.escape(visible(text))


def chart(runs: Mapping[str, Losses], unit: str) -> str:
    """A picture of the losses of runs, by name: of several, each run's in its color.

    At first without the high losses of the beginning; a click shows these.
    """
    runs = {name: losses for name, losses in runs.items() if losses[0]}
    if not runs:
        return "<p class='note'>no batch yet</p>"
    points = [point for averages, validations in runs.values() for point in averages + validations]
    last = max(batch for batch, _ in points)
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    later = max(loss for batch, loss in points if batch > BEGINNING * last)
    pictures = f'<div class="whole">{_picture(runs, last, ticks(low, high))}</div>'
    if later - low < HALF * (high - low):
        choice = '<label class="range"><input type="checkbox"> show the high first losses</label>'
        close = f'<div class="later">{_picture(runs, last, ticks(low, later))}</div>'
        pictures = choice + close + pictures
    return f"<figure>{pictures}<figcaption>{_caption(runs, unit)}</figcaption></figure>"


def _picture(runs: Mapping[str, Losses], last: float, levels: list[float]) -> str:
    """The curves between the first and the last of `levels`, which the axis has."""
    scale = Scale(last, levels[0], levels[-1])
    curves = "".join(
        f"<g{_color(place, len(runs))}>{_curves(losses, scale)}</g>"
        for place, losses in enumerate(runs.values())
    )
    # A picture within the picture cuts off what is above its edge.
    x, y, width, height = LEFT, TOP - 6, WIDTH - LEFT, HEIGHT - TOP - BOTTOM + 12
    part = f'x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{x} {y} {width} {height}"'
    said = "; ".join(_in_words(name, losses) for name, losses in runs.items())
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f"{_axes(scale, levels)}"
        f"<svg {part}>{curves}</svg>"
        f"{_best(runs, scale)}{_values(runs, scale)}</svg>"
    )


def _color(place: int, count: int) -> str:
    """The class of one of several runs, whose hues are a golden angle apart."""
    return f' class="run" style="--hue: {(210 + 137.5 * place) % 360:g}"' if count > 1 else ""


def _curves(losses: Losses, scale: Scale) -> str:
    averages, validations = losses
    dots = "".join(
        f'<circle class="dot" r="2.5" cx="{scale.right(x):.1f}" cy="{scale.down(y):.1f}"/>'
        for x, y in thinned(validations, 60)
    )
    return _line("one", averages, scale) + _line("two", validations, scale) + dots


def _line(shape: str, curve: Sequence[Point], scale: Scale) -> str:
    places = " ".join(
        f"{scale.right(x):.1f},{scale.down(y):.1f}" for x, y in averaged(curve, scale.right)
    )
    return f'<polyline class="{shape}" points="{places}"/>'


def averaged(curve: Sequence[Point], right: Callable[[float], float]) -> list[Point]:
    """The mean of the points of each pixel."""
    pixels = groupby(curve, lambda point: int(right(point[0])))
    return [
        (fmean(x for x, _ in near), fmean(y for _, y in near))
        for near in (list(points) for _, points in pixels)
    ]


def _axes(scale: Scale, levels: list[float]) -> str:
    decimals = max(0, -math.floor(math.log10(levels[1] - levels[0]) + 1e-9))
    marks = []
    for level in levels:
        y = scale.down(level)
        marks.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{level:.{decimals}f}</text>'
        )
    for place, batch in enumerate(ticks(0, scale.last)):
        if batch <= scale.last and batch == round(batch):
            fine = ' class="fine"' if place % 2 else ""
            x = scale.right(batch)
            # In the middle of its mark, the last label would not fit, nor the first on a phone.
            anchor = "end" if x > WIDTH - 50 else "middle" if batch else "start"
            x = WIDTH - 2 if anchor == "end" else x
            marks.append(
                f'<text{fine} x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="{anchor}">'
                f"{'' if batch else 'batch '}{batch:,.0f}</text>"
            )
    return "".join(marks)


def _best(runs: Mapping[str, Losses], scale: Scale) -> str:
    """The best validation of each run, marked; with its value if there is one run."""
    marks = []
    for place, (_, validations) in enumerate(runs.values()):
        if not validations:
            continue
        batch, loss = min(validations, key=lambda point: point[1])
        x, y = scale.right(batch), scale.down(loss)
        mark = f'<circle class="dot" r="5" cx="{x:.1f}" cy="{y:.1f}"/>'
        if len(runs) == 1:
            anchor = "end" if x > WIDTH / 2 else "start"
            mark += (
                f'<text class="best" x="{x:.1f}" y="{y - 12:.1f}" text-anchor="{anchor}">'
                f"best {loss:.4f}</text>"
            )
        marks.append(f"<g{_color(place, len(runs))}>{mark}</g>")
    return "".join(marks)


def _values(runs: Mapping[str, Losses], scale: Scale) -> str:
    """Parts of the width that show their values while a pointer is over them."""
    told: dict[int, list[str]] = {}
    for name, (averages, validations) in runs.items():
        scored = {part: min(losses) for part, losses in _by_part(validations, scale.last)}
        for part, losses in _by_part(averages, scale.last):
            words = f"{shown(name)}: " if len(runs) > 1 else ""
            words += f"training {fmean(losses):.4f}"
            words += f", held out {scored[part]:.4f}" if part in scored else ""
            batch = f"about batch {scale.last * (part + 0.5) / PARTS:,.0f}"
            told.setdefault(part, [batch]).append(words)
    width, height = (WIDTH - LEFT - RIGHT) / PARTS, HEIGHT - TOP - BOTTOM
    return "".join(
        f'<g class="over"><rect x="{LEFT + part * width:.1f}" y="{TOP}" width="{width:.1f}" '
        f'height="{height}"/><text y="{TOP}" text-anchor="end">{_lines(lines)}</text></g>'
        for part, lines in sorted(told.items())
    )


def _lines(lines: Sequence[str]) -> str:
    """Lines of a text whose right edge is that of the picture."""
    return "".join(f'<tspan x="{WIDTH - RIGHT}" dy="1.3em">{line}</tspan>' for line in lines)


def _by_part(curve: Sequence[Point], last: float) -> Iterator[tuple[int, list[float]]]:
    for part, points in groupby(curve, lambda point: min(PARTS - 1, int(PARTS * point[0] / last))):
        yield part, [loss for _, loss in points]


def _in_words(name: str, losses: Losses) -> str:
    averages, validations = losses
    words = f"{shown(name)}: training average from {averages[0][1]:.2f} to {averages[-1][1]:.2f}"
    if validations:
        least = min(y for _, y in validations)
        words += f", held-out text from {validations[0][1]:.2f}, at best {least:.2f}"
    return words


def _caption(runs: Mapping[str, Losses], unit: str) -> str:
    if len(runs) == 1:
        curves = (
            "<b style='color:var(--one)'>training, average</b>, "
            "<b style='color:var(--two)'>held-out text</b>"
        )
        return f"nats per {unit}: {curves}; lower is better"
    names = ", ".join(
        f"<b{_color(place, len(runs))}><span style='color:var(--one)'>{shown(name)}</span></b>"
        for place, name in enumerate(runs)
    )
    return f"nats per {unit}: {names}, thin the training average, thick the held-out text"


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


def thinned(row: list[T], most: int = 600) -> list[T]:
    """At most `most`, at equal distances, the first and the last among them."""
    if len(row) <= most:
        return row
    return [row[i] for i in np.linspace(0, len(row) - 1, most).round().astype(int)]
