"""What a terminal is sent: readable text, no control characters, a bar."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.cli.console import TextWriter
from darknet_py.terminal.messages import visible
from tests.support.commands import COMMAND, ENVIRONMENT
from tests.support.inputs import words
from tests.support.processes import posix

WEIGHTS = "net.weights"

pytestmark = pytest.mark.usefixtures("net")


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, newline="\n")

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


def shown(
    monkeypatch: pytest.MonkeyPatch, *pieces: bytes, raw: bool = False, encoding: str = "utf-8"
) -> str:
    """What a terminal is sent of these pieces of a text."""
    terminal = Terminal(encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        with TextWriter(raw, None) as writer:
            for piece in pieces:
                writer.write(piece)
    return terminal.text


def test_a_terminal_gets_a_text_with_a_newline_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, b"a b\tc\n", b"Gr", "üße".encode()) == "a b\tc\nGrüße\n"


def test_control_characters_become_visible_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, b"\x1b[2J\r\x00\x07\x7f") == "␛[2J␍␀␇␡\n"
    hidden = "\x9b31m\u202e\u2028\u2066".encode()
    assert not set("\x9b\u202e\u2028\u2066") & set(shown(monkeypatch, hidden))


def test_a_character_that_comes_in_pieces_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [bytes([byte]) for byte in "a€😀".encode()]
    assert shown(monkeypatch, *pieces) == "a€😀\n"


def test_wrong_utf_8_becomes_replacement_characters_and_a_cut_end_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown(monkeypatch, b"a\xffb") == "a\ufffdb\n"
    assert shown(monkeypatch, b"a\xe2\x82") == "a\n"
    assert shown(monkeypatch, b"a\xe2", b"b") == "a\ufffdb\n"
    assert "\ufffd" in shown(monkeypatch, b"\xed\xa0\x80")


def test_raw_bytes_reach_a_terminal_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with TextWriter(True, None) as writer:
        writer.write(b"\x1b\xff")
    assert terminal.bytes.getvalue() == b"\x1b\xff\n"


def test_a_terminal_that_cannot_show_a_character_gets_a_question_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown(monkeypatch, "aé€".encode(), encoding="latin-1") == "aé?\n"


@given(text=st.text())
def test_visible_text_has_no_control_characters_and_keeps_the_rest(text: str) -> None:
    result = visible(text)
    assert not {c for c in result if unicodedata.category(c) == "Cc"} - {"\n", "\t"}
    assert visible(result) == result
    if text.isprintable():
        assert result == text


def on_a_terminal(stream: str, *args: str) -> str:
    """What a command, which must succeed, sends to the terminal that is its stdout or stderr."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    streams: dict[str, Any] = {stream: theirs}
    data = b""
    with subprocess.Popen([*COMMAND, *args], env=ENVIRONMENT, **streams) as process:
        os.close(theirs)
        # Linux tells by an error, others by nothing, that the other end is closed.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 1000):
                data += piece
        assert process.wait() == 0
    os.close(ours)
    return data.decode().replace("\r\n", "\n")


@posix
def test_generate_on_a_terminal_shows_what_would_disturb_it() -> None:
    args = ("generate", WEIGHTS, "--length", "0", "-q", "--prompt", r"a\x1b[2J\xff\x01é\nb")
    assert on_a_terminal("stdout", *args) == "a␛[2J\ufffd␁é\nb\n"


@posix
def test_training_on_a_terminal_draws_a_bar_instead_of_lines() -> None:
    Path("text.txt").write_text(words(500))
    args = ("train", "net.cfg", "text.txt", "--batches", "20", "--seed", "1")
    text = on_a_terminal("stderr", *args)
    assert " avg, " not in text
    assert re.search(r"batch 20: 100%\|.+\| 00:00 left, loss \d\.\d{3}, held out \d\.\d{3}", text)
    assert "next: darknet-py generate" in text
