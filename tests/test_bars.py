"""How far a piece of work is: a line that fits the terminal, at any width from 40 columns up."""

from __future__ import annotations

import logging
import os

import pytest

from darknet_py.bars import Bar, clock, fitted, progress_bar
from tests.support.terminals import Terminal


def draw_on(monkeypatch: pytest.MonkeyPatch, width: int = 80) -> Terminal:
    """A terminal of this width in the place of stderr."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((width, 24)))
    return terminal


def test_the_first_form_that_fits_is_taken_and_a_bar_fills_the_rest() -> None:
    assert fitted(0.5, [["a" * 30], ["b"]], 20) == " 50%|#####      | b"
    assert fitted(0.5, [["loss", "val"], ["loss"]], 80).endswith("| loss  val")
    assert fitted(None, [["batch 3", "loss"]], 80) == "batch 3  loss"


def test_parts_move_together_before_one_is_left_out() -> None:
    forms = [["a" * 20, "b" * 5], ["a" * 10, "b" * 5, "c" * 5], ["a" * 10, "b" * 5]]
    assert fitted(None, forms, 25) == f"{'a' * 10}  {'b' * 5}  {'c' * 5}"
    assert fitted(None, forms, 24) == f"{'a' * 10} {'b' * 5} {'c' * 5}"
    assert fitted(None, forms, 22) == f"{'a' * 10} {'b' * 5}"
    assert fitted(None, [["a" * 50]], 40) == "a" * 39


def test_durations() -> None:
    assert [clock(seconds) for seconds in (0, 65, 7230.4)] == ["0:00", "1:05", "2:00:30"]


@pytest.mark.parametrize("width", [40, 47, 80, 120])
def test_a_long_score_has_a_bar_that_fits(
    width: int, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = draw_on(monkeypatch, width)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.INFO)
    with progress_bar("scoring the text", "scoring") as show:
        for done in range(1, 11):
            now[0] += 0.4
            show(done, 20)
    drawn = [line for line in terminal.lines if line]
    assert drawn
    # A terminal writes ^C behind it without a new line.
    assert all(len(line + "^C") < width for line in drawn)
    assert drawn[-1].startswith(" 50%|" if width > 40 else " 50%  ")
    assert "scoring" in drawn[-1]
    assert drawn[-1].endswith("0:04 left")
    assert not terminal.lines[-1]  # It goes away.


def test_a_short_or_quiet_work_has_none(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = draw_on(monkeypatch)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.INFO)
    with progress_bar("scoring") as show:
        now[0] = 0.9
        show(1, 2)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.WARNING)
    with progress_bar("scoring") as show:
        now[0] = 20.0
        show(1, 2)
    assert terminal.getvalue() == ""


def test_a_bar_is_not_drawn_more_often_than_is_of_use(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = draw_on(monkeypatch)
    bar = Bar(stays=True)
    for batch in range(1000):
        now[0] += 0.001
        bar.draw(batch / 1000, [[f"batch {batch}"]])
    bar.close()
    shown = {line for line in terminal.lines if "batch" in line}
    assert 5 <= len(shown) <= 12
