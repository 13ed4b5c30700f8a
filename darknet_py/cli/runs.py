"""darknet-py runs"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path

import click

from darknet_py.cli.commands import Command
from darknet_py.cli.console import print_json
from darknet_py.cli.values import DIR
from darknet_py.errors import TrainingError
from darknet_py.terminal.messages import columns, is_terminal, visible
from darknet_py.training.runs import RunSummary, find_runs

log = logging.getLogger("darknet_py.runs")

# What a narrow terminal leaves out, the first one first.
LEAST = ("size", "time", "network", "text", "updates", "date", "best loss")
NUMBERS = ("time", "updates", "best loss", "size")


@click.command("runs", cls=Command, short_help="List the runs below a folder.")
@click.argument("folder", metavar="[DIR]", default=".", type=DIR)
@click.option("--all", "with_old", is_flag=True, help="Also list earlier runs, in folders old-N.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of one object per run.")
def command(folder: str, with_old: bool, as_json: bool) -> None:
    """List the runs in DIR and in the folders below it, the latest last.  [default: .]

    Each has a name, DIR/NAME, that `report`, `generate` and `train --resume` take. The date is that
    of its last checkpoint, the time that of training. The best loss is that of its best network on
    the held-out text, in nats per byte or token. The last column is whether the run is complete,
    and if not, whether `train --resume` can continue it. With --json the names are those of
    Result in Python, and sizes are in bytes.

    \b
    Examples:
      darknet-py runs
      darknet-py runs backup --all
    """
    if not os.path.isdir(folder):
        raise TrainingError(f"{folder}: no such folder; give one with runs in it, or below it")
    runs = find_runs(folder, with_old)
    if as_json:
        print_json([dataclasses.asdict(run) for run in runs])
        return
    if not runs:
        more = "" if with_old else "; --all also lists those in folders old-N"
        log.info("no runs in %s or below it%s", folder, more)
        return
    rows = [_cells(run) for run in runs]
    while is_terminal(sys.stdout) and _width(rows) >= columns(sys.stdout):
        if not (spare := next((name for name in LEAST if name in rows[0]), "")):
            break
        for row in rows:
            del row[spare]
    for cells in [{name: name for name in rows[0]}, *rows]:
        line = "  ".join(
            cell.rjust(_widest(rows, name)) if name in NUMBERS else cell.ljust(_widest(rows, name))
            for name, cell in cells.items()
        ).rstrip()
        click.echo(line[: columns(sys.stdout) - 1] if is_terminal(sys.stdout) else line)


def _cells(run: RunSummary) -> dict[str, str]:
    """What the table has of a run, by column."""
    resume = "complete" if run.complete else "yes"
    seconds = None if run.seconds is None else timedelta(seconds=round(run.seconds))
    cells = {
        "name": run.name,
        "network": run.network,
        "text": run.text and (Path(run.text).name or run.text),
        "date": run.date and run.date[:16].replace("T", " "),
        "time": seconds,
        "updates": None if run.batches is None else f"{run.batches:,}",
        "best loss": None if run.best_val is None else f"{run.best_val:.4f}",
        "size": None if run.size is None else f"{run.size / 1e6:,.1f} MB",
        "resume": resume if run.problem is None else f"no: {run.problem}",
    }
    told = ((name, "-" if cell is None else str(cell)) for name, cell in cells.items())
    return {name: visible(cell, keep="") for name, cell in told}


def _widest(rows: list[dict[str, str]], name: str) -> int:
    return max(len(name), *(len(row[name]) for row in rows))


def _width(rows: list[dict[str, str]]) -> int:
    """Of the table, but for the reasons in its last column."""
    return sum(_widest(rows, name) + 2 for name in rows[0] if name != "resume") + len("complete")
