"""How far a piece of work is: a bar that fits the terminal, at any width from 40 columns up."""

from __future__ import annotations

import logging
import os

import pytest

from darknet_py.terminal.progress import progress_bar
from tests.support.terminals import Terminal


def draw_on(monkeypatch: pytest.MonkeyPatch, width: int = 80) -> Terminal:
    """A terminal of this width in the place of stderr."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((width, 24)))
    return terminal


@pytest.mark.parametrize("width", [40, 47, 80, 120])
def test_a_long_score_has_a_bar_that_fits(
    width: int, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = draw_on(monkeypatch, width)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.INFO)
    with progress_bar("scoring the text") as show:
        for done in range(1, 11):
            now[0] += 0.5
            show(done, 20)
    drawn = [line for line in terminal.lines if line]
    # A terminal writes ^C behind it without a new line.
    assert all(len(line + "^C") < width for line in drawn)
    assert drawn[-1].startswith("scoring the text:  50%|")
    assert "00:05" in drawn[-1]
    assert not terminal.lines[-1]  # It goes away.


def test_a_short_or_quiet_work_has_none(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = draw_on(monkeypatch)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.INFO)
    with progress_bar("scoring") as show:
        now[0] += 0.9
        show(1, 2)
    assert not any(terminal.lines)
    monkeypatch.setattr(logging.getLogger("darknet_py"), "level", logging.WARNING)
    with progress_bar("scoring") as show:
        now[0] += 20.0
        show(1, 2)
    assert not any(terminal.lines)
