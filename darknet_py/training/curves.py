"""Pictures of a run's losses, with the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from darknet_py.checks import number, whole
from darknet_py.errors import DarknetError
from darknet_py.files import write_whole
from darknet_py.training.journal import whole_lines

Point = tuple[float, float]
# (batch, average loss) of every batch and (batch, loss) of every validation of a run
Losses = tuple[list[Point], list[Point]]


def check() -> None:
    """Raise DarknetError where the extra is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DarknetError(f"a plot needs matplotlib ({error}): pip install matplotlib") from error


def read_losses(table: Path) -> Losses:
    """The losses of a BASE.csv.

    What is not a whole row, like the half of a line that a crash leaves, is skipped.
    Raises OSError and TrainingError.
    """
    lines = (line.decode("utf-8", "replace").split(",") for line in whole_lines(table))
    columns = next(lines, [])
    averages: list[Point] = []
    validations: list[Point] = []
    for cells in lines:
        row = dict(zip(columns, cells, strict=False))
        with suppress(KeyError, ValueError):
            batch, average = whole(1).parsed(row["batch"]), number().parsed(row["avg"])
            validation = number().parsed(row["val"]) if row.get("val") else None
            if len(cells) == len(columns):
                averages.append((batch, average))
                if validation is not None:
                    validations.append((batch, validation))
    return averages, validations


def write_curves(table: Path, picture: Path, unit: str) -> None:
    """Draw BASE.png from BASE.csv. unit: what a symbol is called. Raises OSError."""
    from matplotlib.figure import Figure

    averages, validations = read_losses(table)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    if averages:
        axes.plot(*zip(*averages, strict=True), label="training, average", linewidth=1)
    if validations:
        axes.plot(*zip(*validations, strict=True), "o-", label="held-out text", markersize=3)
    axes.set_xlabel("batch")
    axes.set_ylabel(f"nats per {unit}")
    axes.grid(alpha=0.3)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_whole(picture, [image.getvalue()], follow=False)
