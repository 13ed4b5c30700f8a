"""Messages on a terminal: broken between words, with commands in one piece."""

from __future__ import annotations

import errno
import io
import os

import pytest

from darknet_py.terminal.messages import one_line, say, wrapped

TOLD = "the text is too short for the time steps that the cfg asks for"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> Terminal:
    made = Terminal()
    monkeypatch.setattr("sys.stderr", made)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((width, 24)))
    return made


@pytest.mark.parametrize("width", [40, 50, 80, 200])
def test_a_long_line_is_broken_between_words(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch, width)
    say(TOLD)
    first, *others = shown.getvalue().splitlines()
    assert len(first) < width
    assert all(len(line) < width and line.startswith("  ") for line in others)
    assert shown.getvalue().split() == TOLD.split()
    assert bool(others) == (width < 70)


def test_what_stands_before_a_message_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, 40)
    message = "x" * 34
    assert wrapped(message) == message
    assert wrapped(f"one {message}", "Error: ") == f"one\n  {message}"


def test_a_command_stays_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch, 40)
    command = "darknet-py train --resume --out 'some folder' tiny"
    say(f"to continue: {command}")
    assert shown.getvalue() == f"to continue:\n  {command}\n"


@pytest.mark.parametrize(
    "command",
    [
        "iconv -f WINDOWS-1251 -t UTF-8 old.txt > new.txt",
        "pip install safetensors and other things as well",
        "cat some/*.py other/*.py more/*.py > all.txt",
        "find a/folder -type f -name '*.py' -exec cat {} + > all.txt",
    ],
)
def test_a_command_of_the_shell_does_too(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch, 40)
    say(f"find and cat the files of this folder: {command}")
    assert shown.getvalue() == f"find and cat the files of this folder:\n  {command}\n"


def test_texts_of_several_lines_and_logs_are_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch, 40)
    sample = f"--- a sample:\n{TOLD}"
    say(sample)
    assert shown.getvalue() == f"{sample}\n"
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    say(TOLD)
    assert log.getvalue() == f"{TOLD}\n"


def test_a_full_disk_has_its_advice() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "backup/tiny.state")
    told = "backup/tiny.state: No space left on device; free some space and try again"
    assert one_line(error) == told
