"""Pictures of a run's losses, with the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from darknet_py.checks import Check, number, whole
from darknet_py.errors import DarknetError
from darknet_py.files import write_whole
from darknet_py.training.journal import whole_lines

Point = tuple[float, float]
ONE, TWO = "#b5451b", "#1f5fa8"  # as in the report
# (batch, average loss) of every batch and (batch, loss) of every validation of a run
Losses = tuple[list[Point], list[Point]]


def check() -> None:
    """Raise DarknetError if the extra is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DarknetError(f"a plot needs matplotlib ({error}): pip install matplotlib") from error


def read_losses(table: Path) -> Losses:
    """The losses of a BASE.csv. Raises OSError and TrainingError."""
    rows = list(_rows(table))
    averages = [(row["batch"], row["avg"]) for row in rows]
    return averages, [(row["batch"], row["val"]) for row in rows if "val" in row]


def passes(table: Path) -> float | None:
    """How many times a run has read its text, by its BASE.csv. Raises as `read_losses`."""
    return max((row["epochs"] for row in _rows(table) if "epochs" in row), default=None)


def _rows(table: Path) -> Iterator[dict[str, float]]:
    """The whole rows of a BASE.csv, with what they have of these columns.

    What is no whole row, like the half of a line that a crash leaves, is skipped.
    """
    checks: dict[str, Check[Any]] = {
        "batch": whole(1),
        "avg": number(),
        "val": number(),
        "epochs": number(0),
    }
    lines = (line.decode("utf-8", "replace").split(",") for line in whole_lines(table))
    columns = next(lines, [])
    for cells in lines:
        named = dict(zip(columns, cells, strict=False))
        known = {name: cell for name, cell in named.items() if name in checks and cell}
        with suppress(ValueError):
            row = {name: checks[name].parsed(cell) for name, cell in known.items()}
            if len(cells) == len(columns) and {"batch", "avg"} <= row.keys():
                yield row


def write_curves(table: Path, picture: Path, unit: str) -> None:
    """Draw BASE.png from BASE.csv. unit: what a symbol is called. Raises OSError."""
    from matplotlib.figure import Figure

    averages, validations = read_losses(table)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(picture.stem)
    if averages:
        axes.plot(*zip(*averages, strict=True), label="training, average", color=ONE, linewidth=1)
    if validations:
        axes.plot(*zip(*validations, strict=True), label="held-out text", color=TWO)
        batch, loss = min(validations, key=lambda point: point[1])
        best = f"best {loss:.4f}, batch {batch:,.0f}"
        axes.plot([batch], [loss], "o", color=TWO, markersize=7, label=best)
    axes.set_xlabel("batch")
    axes.set_ylabel(f"nats per {unit}")
    axes.grid(alpha=0.3)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_whole(picture, [image.getvalue()], follow=False)
