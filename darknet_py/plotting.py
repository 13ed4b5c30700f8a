"""Pictures of a run's losses, with the extra `plot` (matplotlib)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from darknet_py.errors import DarknetError
from darknet_py.files import write_whole

Point = tuple[float, float]


def check() -> None:
    """Raise DarknetError where the extra is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DarknetError(
            f"--plot: {error}: expected the extra `plot`: pip install 'darknet-py[plot]'"
        ) from error


def read_losses(table: Path) -> tuple[list[Point], list[Point]]:
    """(batch, average loss) of every batch and (batch, loss) of every validation of a BASE.csv."""
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    averages = [(float(row["batch"]), float(row["avg"])) for row in rows]
    return averages, [(float(row["batch"]), float(row["val"])) for row in rows if row["val"]]


def write_curves(table: Path, picture: Path) -> None:
    """Draw BASE.png from BASE.csv. Raises OSError."""
    from matplotlib.figure import Figure

    averages, validations = read_losses(table)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    if averages:
        axes.plot(*zip(*averages, strict=True), label="training, average", linewidth=1)
    if validations:
        axes.plot(*zip(*validations, strict=True), "o-", label="held-out text", markersize=3)
    axes.set_xlabel("batch")
    axes.set_ylabel("nats per character")
    axes.grid(alpha=0.3)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_whole(picture, [image.getvalue()])
