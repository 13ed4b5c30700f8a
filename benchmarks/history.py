"""What `make bench` has measured, a line of JSON for each run, so that a slowdown shows.

A line holds commit (`None` outside a clone, with a + where files were changed), date, machine,
processor, and rows: for each network the numbers of its row in docs/benchmarks.md.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Rows = dict[str, dict[str, float]]
# What is compared: the smaller, the better. The second is a ratio measured in pairs, so that it
# holds even if the machine has other work to do.
COMPARED = ("f32, ms", "f32 / bare products")


def numbers(head: Sequence[str], cells: Sequence[str]) -> dict[str, float]:
    """The numbers that the cells of a row begin with, by their columns."""
    firsts = {name: cell.partition(" ")[0] for name, cell in zip(head, cells, strict=True)}
    return {name: float(text) for name, text in firsts.items() if re.fullmatch(r"[\d.]+", text)}


def commit() -> str | None:
    """The commit that is measured."""
    folder = Path(__file__).parent
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def entry(rows: Rows, processor: str, machine: str) -> dict[str, Any]:
    """What is kept of a run that ends now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "commit": commit(),
        "date": now.isoformat(timespec="seconds"),
        "processor": processor,
        "machine": machine,
        "rows": rows,
    }


def append(path: Path, new: dict[str, Any]) -> None:
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(new) + "\n")


def last(path: Path, processor: str) -> dict[str, Any] | None:
    """The last run on such a processor."""
    if not path.exists():
        return None
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return next((run for run in reversed(runs) if run["processor"] == processor), None)


def comparison(new: dict[str, Any], old: dict[str, Any] | None) -> Iterator[str]:
    """What has changed since another run, a line for each network that both measured."""
    if old is None:
        yield "no other run on this processor"
        return
    yield f"since {old['commit']} of {old['date']}:"
    for name, row in new["rows"].items():
        before = old["rows"].get(name, {})
        parts = []
        for column in COMPARED:
            if column in row and before.get(column):
                now, then = row[column], before[column]
                parts.append(f"{column} {then:g} -> {now:g} ({now / then - 1:+.0%})")
        if parts:
            yield f"  {name}: {'; '.join(parts)}"
