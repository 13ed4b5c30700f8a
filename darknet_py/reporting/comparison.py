"""One HTML page that compares runs: what they are, their losses, and what each wrote last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from darknet_py.reporting.chart import chart, shown
from darknet_py.reporting.page import document
from darknet_py.training.curves import Losses
from darknet_py.training.runs import RunSummary

HEAD = ("run", "network", "text", "parameters", "updates", "time")


def compared(
    runs: Sequence[tuple[RunSummary, Losses, Sequence[tuple[str, str]]]], is_fair: bool
) -> str:
    """The whole page. runs: each with its losses, and headings and texts of its samples. is_fair:
    whether all have the same held-out text.
    """
    units = {run.unit or "symbol" for run, _, _ in runs}
    unit = units.pop() if len(units) == 1 else "symbol"
    head = (*HEAD, f"best, nats per {unit}")
    rows = [f"<tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>"]
    for run, _, _ in runs:
        cells = "".join(f"<td>{shown(cell)}</td>" for cell in _cells(run))
        rows.append(f"<tr>{cells}</tr>")
    wrote = [
        f"<h3>{shown(run.name)}, {shown(title)}</h3><pre>{shown(text)}</pre>"
        for run, _, samples in runs
        for title, text in samples[-1:]
    ]
    parts = [
        f"<h1>{len(runs)} runs compared</h1>",
        f"<div class='runs'><table>{''.join(rows)}</table></div>",
        "<h2>Losses</h2>",
        chart({run.name: losses for run, losses, _ in runs}, unit),
    ]
    if not is_fair:
        parts.append(
            "<p class='note'>These runs hold out different texts, so their held-out losses cannot "
            "be compared.</p>"
        )
    if wrote:
        parts += ["<h2>What they wrote last</h2>", *wrote]
    return document("Runs compared", parts)


def _cells(run: RunSummary) -> list[str]:
    """The cells of a run."""
    text = Path(run.text or "").name or str(run.text)
    best = "" if run.best_val is None else f"{run.best_val:.4f}"
    time = str(timedelta(seconds=round(run.seconds or 0)))
    numbers = [f"{run.parameters or 0:,}", f"{run.batches or 0:,}", time, best]
    return [run.name, run.network or "", text, *numbers]
