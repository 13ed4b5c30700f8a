"""What a person sees of a run: a line that fits the terminal, or a log that does not grow wild."""

from __future__ import annotations

import io
import logging
import os
from typing import Any

import pytest

from darknet_py.training import Row, progress
from darknet_py.training.progress import Progress
from tests.support.terminals import Terminal


def row(batch: int, **values: Any) -> Row:
    """A row of a run of 1000 batches, two a second, that has come to this batch."""
    made: dict[str, Any] = {
        "batch": batch,
        "seen": 2048 * batch,
        "loss": 1.5,
        "avg": 1.523,
        "rate": 0.01,
        "seconds": batch / 2,
        "batch_seconds": 0.5,
        "epochs": 0.1,
        "val": None,
        "limit": 1000,
    }
    return Row(**made | values)


def draw(monkeypatch: pytest.MonkeyPatch, now: list[float], columns: int, *rows: Row) -> str:
    """What is on the line after these rows."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    with Progress() as shown:
        begun = now[0] - rows[0].seconds
        for each in rows:
            now[0] = begun + each.seconds
            shown(each)
    assert all(len(line) < columns for line in terminal.lines)
    return [line for line in terminal.lines if line][-1]


@pytest.mark.parametrize("columns", range(40, 201, 5))
def test_the_line_fits_any_width_and_keeps_what_matters(
    columns: int, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = draw(monkeypatch, now, columns, row(1, val=1.7), row(420))
    assert " 42%" in line
    for word in ("1.523", "1.700", "04:49"):
        assert word in line
    assert ("batch  420" in line) == ("4.10k bytes/s" in line) == (columns >= 80)


def test_a_run_whose_end_nobody_knows_has_no_percentage(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = draw(monkeypatch, now, 80, row(1, limit=0), row(50, limit=0))
    assert line == "batch    50: 00:24, loss 1.523, held out   ..., 4.10k bytes/s"


def test_the_bar_keeps_its_width(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(1), row(2), row(20, val=1.7), row(999)]
    lines = [draw(monkeypatch, now, 100, *rows[: count + 1]) for count in range(1, len(rows))]
    assert len({line.index("|") for line in lines}) == 1
    assert len({line.rindex("|") for line in lines}) == 1


def test_a_limit_of_time_counts_also_where_the_run_goes_on(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first row is that of the part that goes on, at batch 501."""
    line = draw(monkeypatch, now, 60, row(501, time_limit=500), row(600, time_limit=500))
    assert line.startswith(" 60%")
    assert "03:1" in line


def test_the_score_at_the_end_has_a_bar_of_its_own(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.INFO)
    with Progress() as shown:
        shown(row(1000))
        for done in (1, 5, 10):
            now[0] += 2
            shown.scoring(done, 10)
    assert any("scoring:  50%" in line for line in terminal.lines)


def test_a_log_has_a_line_every_few_seconds(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(progress, "say", said.append)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    quiet, usual, all_batches = (
        Progress(quiet=True),
        Progress(),
        Progress(every_batch=True),
    )
    # Four of 5 seconds, and the last; darknet's for every batch, and one of the validation.
    for shown, expected in ((quiet, 0), (usual, 5), (all_batches, 1001)):
        said.clear()
        for batch in range(1, 1001):
            now[0] += 0.02
            shown(row(batch, val=1.6 if batch == 700 else None))
        assert len(said) == expected
        assert (expected == 1001) == ("700: 1.600000 validation" in said)
        if expected == 5:
            assert said[0] == "batch 1: loss 1.5230, 0%"
            assert "loss 1.5230, held out 1.6000, 4,096 bytes/s, 75%, 0:02:04 left" in said[3]
