"""Pictures of a run's losses, with the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
import math
from pathlib import Path

from darknet_py.errors import DarknetError
from darknet_py.files import write_whole

Point = tuple[float, float]


def check() -> None:
    """Raise DarknetError where the extra is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DarknetError(f"a plot needs matplotlib ({error}): pip install matplotlib") from error


def read_losses(table: Path) -> tuple[list[Point], list[Point]]:
    """(batch, average loss) of every batch and (batch, loss) of every validation of a BASE.csv.

    What is not a whole row, like the half of a line that a crash leaves, is skipped.
    Raises OSError.
    """
    with open(table, "rb") as file:
        lines = [
            line.decode("utf-8", "replace").rstrip("\r\n").split(",")
            for line in file
            if line.endswith(b"\n")
        ]
    averages: list[Point] = []
    validations: list[Point] = []
    columns = lines[0] if lines else []
    for cells in lines[1:]:
        row = dict(zip(columns, cells, strict=False))
        numbers = [_number(row.get(column, "")) for column in ("batch", "avg", "val")]
        batch, average, validation = numbers
        if len(cells) != len(columns) or batch is None or batch < 1 or average is None:
            continue
        if validation is None and row.get("val"):
            continue
        averages.append((batch, average))
        if validation is not None:
            validations.append((batch, validation))
    return averages, validations


def _number(cell: str) -> float | None:
    """A finite number, or None for what is none."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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
    write_whole(picture, [image.getvalue()])
