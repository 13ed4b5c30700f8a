"""Texts: what is read and refused, what is held out, and how the streams walk over the rest."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import logging
import lzma
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import CorpusError
from darknet_py.rand import Rand
from darknet_py.text.corpus import (
    Streams,
    check_known,
    read_lines,
    read_text,
    read_token_names,
    split,
)

pytestmark = pytest.mark.filterwarnings("error")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


class Stdin:
    """A stdin of these bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def refused(source: Path, tokenized: bool = False) -> str:
    """The message, which names the source, that reading it fails with."""
    with pytest.raises(CorpusError) as caught:
        read_text(source, tokenized)
    message = str(caught.value)
    assert message.startswith(str(source))
    assert "\n" not in message
    return message


# --- bytes ---------------------------------------------------------------------------------------


@given(data=st.binary(min_size=1).map(lambda data: data.replace(b"\0", b"\1")))
def test_a_text_is_its_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.txt", data)
    assert bytes(read_text(path)) == data
    assert bytes(read_text(str(path))) == data


def test_line_ends_of_every_kind_are_kept(tmp_path: Path) -> None:
    data = b"one\r\ntwo\rthree\n\r\n"
    assert bytes(read_text(write(tmp_path / "text", data))) == data


def test_a_byte_order_mark_is_kept_and_mentioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "text", b"\xef\xbb\xbfabc")
    with caplog.at_level(logging.INFO, "darknet_py"):
        assert bytes(read_text(path)) == b"\xef\xbb\xbfabc"
    assert str(path) in caplog.text
    assert "byte-order mark" in caplog.text


def test_an_ordinary_text_is_not_talked_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "darknet_py"):
        read_text(write(tmp_path / "text", "Grüße".encode()))
    assert caplog.text == ""


def test_a_nul_byte_is_refused_with_its_offset(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "text", b"abc\0de\0"))
    assert "NUL byte at offset 3" in message
    assert "UTF-16" not in message


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE"])
@pytest.mark.parametrize("tokenized", [False, True])
def test_a_text_in_utf_16_is_called_that(tmp_path: Path, encoding: str, tokenized: bool) -> None:
    path = write(tmp_path / "text", ("The quick brown fox.\n" * 30).encode(encoding))
    message = refused(path, tokenized)
    assert message.startswith(f"{path} is UTF-16 text; ")
    assert message.endswith(f": iconv -f UTF-16 -t UTF-8 {path} > new.txt")
    with pytest.raises(CorpusError, match="UTF-16"):
        read_text(path, nul="end")


COMPRESSED = {
    "gzip": gzip.compress(b"abc"),
    "xz": lzma.compress(b"abc"),
    "bzip2": bz2.compress(bytes(range(256)) * 9),
    "zstd": bytes.fromhex("28b52ffd0458190000616263996e4ad2"),
    "zip": b"PK\x03\x04\x14\0\0\0\0\0",
}


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("tokenized", [False, True])
def test_compressed_texts_are_called_that(tmp_path: Path, kind: str, tokenized: bool) -> None:
    path = write(tmp_path / "text", COMPRESSED[kind])
    assert refused(path, tokenized) == f"{path} is a {kind} file; decompress it first"
    with pytest.raises(CorpusError, match=kind):
        list(read_lines(path))


@pytest.mark.parametrize(
    "data",
    [b"abcdefg\0" * 50, b"abc\0de", b"\0abc", b"\0\0\0\0" * 20, bytes(range(256)) * 40],
    ids=["records", "one", "first", "only NUL", "all bytes"],
)
def test_other_texts_with_nul_bytes_are_not_called_utf_16(tmp_path: Path, data: bytes) -> None:
    message = refused(write(tmp_path / "text", data))
    assert message.endswith(
        f" is not a text: NUL byte at offset {data.index(0)}; give a plain text file"
    )


def test_reading_as_c_does_ends_before_the_first_nul_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "text", b"abc\0de")
    assert bytes(read_text(path, nul="end")) == b"abc"
    with pytest.raises(CorpusError, match="empty"):
        read_text(write(tmp_path / "text", b"\0abc"), nul="end")


def test_an_empty_text_is_refused(tmp_path: Path) -> None:
    assert "empty" in refused(write(tmp_path / "text", b""))


def test_a_missing_text_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nowhere")


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    refused(write(tmp_path / "text", b"abc") / "below")


def test_stdin_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"ab\r\n\xff"))
    assert bytes(read_text("-")) == b"ab\r\n\xff"


@pytest.mark.parametrize("data", [b"", b"ab\0"])
def test_what_is_refused_of_stdin_is_called_stdin(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    with pytest.raises(CorpusError, match=r"^stdin is (empty; give|not) a text"):
        read_text("-")


# --- folders -------------------------------------------------------------------------------------


def test_the_files_of_a_folder_are_read_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c", "B.txt", "a10", "a9"):
        write(tmp_path / name, f"<{name}>".encode())
    assert bytes(read_text(tmp_path)) == b"<B.txt>\n<a.txt>\n<a10>\n<a9>\n<b.txt>\n<c>"


def test_the_files_of_a_folder_do_not_run_into_each_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("a", b"Clara"), ("b", b"Anna\n"), ("c", b"Eve")):
        write(tmp_path / name, text)
    with caplog.at_level(logging.INFO, "darknet_py"):
        assert bytes(read_text(tmp_path)) == b"Clara\nAnna\nEve"
    assert caplog.messages == [f"{tmp_path}: 3 files read"]


def test_marks_inside_joined_files_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of files joined here, and of files that were joined before."""
    for name in ("a", "b", "c"):
        write(tmp_path / name, codecs.BOM_UTF8 + name.encode())
    with caplog.at_level(logging.INFO, "darknet_py"):
        assert bytes(read_text(tmp_path)) == b"a\nb\nc"
    (told,) = (message for message in caplog.messages if "byte-order" in message)
    assert "3 byte-order marks" in told
    joined = b"".join((tmp_path / name).read_bytes() for name in ("a", "b", "c"))
    assert bytes(read_text(joined)) == codecs.BOM_UTF8 + b"abc"
    write(tmp_path / "joined", joined)
    for nul in ("end", "keep"):
        assert bytes(read_text(tmp_path / "joined", nul=nul)) == joined


def test_a_mark_is_no_token(tmp_path: Path) -> None:
    path = write(tmp_path / "tokens", codecs.BOM_UTF8 + b"1 2")
    assert read_text(path, tokenized=True).tolist() == [1, 2]


def test_hidden_files_and_folders_within_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "a", b"text")
    write(tmp_path / ".hidden", b"\0")
    (tmp_path / "below").mkdir()
    write(tmp_path / "below" / "b", b"more")
    assert bytes(read_text(tmp_path)) == b"text"


def test_what_is_skipped_in_a_folder_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", ".hidden"):
        write(tmp_path / name, b"text")
    with caplog.at_level(logging.INFO, "darknet_py"):
        read_text(tmp_path)
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            write(tmp_path / folder / "c", b"text")
        read_text(tmp_path)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", f"{tmp_path}: 2 files read, 1 hidden file skipped"),
        (
            "WARNING",
            f"warning: {tmp_path}: 2 files read, 1 hidden file and 2 subfolders skipped",
        ),
    ]


def test_empty_files_of_a_folder_are_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "__init__.py", b"")
    write(tmp_path / "a.py", b"text")
    with caplog.at_level(logging.INFO, "darknet_py"):
        assert bytes(read_text(tmp_path)) == b"text"
    assert caplog.messages == [f"{tmp_path}: 1 file read, 1 empty file skipped"]
    write(tmp_path / "a.py", b"")
    assert "holds no text files (2 empty files skipped)" in refused(tmp_path)


def test_files_of_a_folder_that_cannot_be_text_are_skipped_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "a.py", b"good")
    for name in ("b", "c.zip", "d", "e.pyc"):
        write(tmp_path / name, b"PK\x03\x04\0 and a lot more" if "zip" in name else b"a\0b")
    (tmp_path / "__pycache__").mkdir()
    write(tmp_path / "__pycache__" / "a.pyc", b"\0\1")
    with caplog.at_level(logging.INFO, "darknet_py"):
        assert bytes(read_text(tmp_path)) == b"good"
    told = "1 file read, 4 binary files (b, c.zip, d, ...) and 1 subfolder skipped"
    assert caplog.messages == [f"warning: {tmp_path}: {told}"]
    (tmp_path / "a.py").unlink()
    assert "holds no text files (4 binary files" in refused(tmp_path)


def test_the_bad_file_of_a_folder_is_named(tmp_path: Path) -> None:
    """Text in another encoding is not left out, nor what has a stray byte far from its start."""
    write(tmp_path / "a", b"good")
    for data in ("wide".encode("utf-16"), b"long " * 20000 + b"\0"):
        bad = write(tmp_path / "b", data)
        with pytest.raises(CorpusError, match=f"^{re.escape(str(bad))} is "):
            read_text(tmp_path)


def test_tokens_of_a_folder_do_not_run_into_each_other(tmp_path: Path) -> None:
    write(tmp_path / "a", b"1 2")
    write(tmp_path / "b", b"3")
    assert read_text(tmp_path, tokenized=True).tolist() == [1, 2, 3]


# --- tokens --------------------------------------------------------------------------------------


@given(tokens=st.lists(st.integers(0, 999_999_999), min_size=1))
def test_tokens_are_integers_between_white_space(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[int]
) -> None:
    spaces = [b" ", b"\n", b"\t", b"\r\n", b"  "]
    data = b"".join(str(t).encode() + spaces[i % len(spaces)] for i, t in enumerate(tokens))
    path = write(tmp_path_factory.getbasetemp() / "any.tokens", data)
    assert read_text(path, tokenized=True).tolist() == tokens


@pytest.mark.parametrize(
    "bad", ["x", "-3", "1.5", "+2", "9" * 10, "9" * 5000, "1_0", "\u0663", "\0"]
)
def test_what_is_no_token_is_named_with_its_number(tmp_path: Path, bad: str) -> None:
    message = refused(write(tmp_path / "tokens", f"5 6\n{bad} 7".encode()), tokenized=True)
    assert "token 3 is" in message
    assert repr(bad[:40]) in message
    assert len(message) < len(str(tmp_path)) + 200


@pytest.mark.parametrize("data", [b"", b" \n\t "])
def test_a_text_without_tokens_is_refused(tmp_path: Path, data: bytes) -> None:
    refused(write(tmp_path / "tokens", data), tokenized=True)


def test_tokens_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"7 300"))
    assert read_text("-", tokenized=True).tolist() == [7, 300]


# --- symbols that a network knows ----------------------------------------------------------------


def test_text_symbols_below_inputs_are_known() -> None:
    check_known(np.array([0, 4, 2]), 5, "text")
    check_known(np.array([], np.int64), 5, "text")


def test_the_first_unknown_symbol_is_named_and_how_many_inputs_would_do() -> None:
    with pytest.raises(CorpusError) as caught:
        check_known(np.frombuffer(b"ab\xe4\xff", np.uint8), 128, "some.txt")
    message = str(caught.value)
    assert message.startswith(
        "some.txt: symbol 228 at offset 2 is not one of the network's, 0 to 127;"
    )
    assert "inputs=256" in message


# --- held-out text -------------------------------------------------------------------------------


@given(
    length=st.integers(0, 10_000),
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_the_end_of_a_text_is_held_out(length: int, fraction: float) -> None:
    text = np.arange(length)
    training, held_out = split(text, fraction)
    assert np.concatenate([training, held_out]).tolist() == text.tolist()
    assert len(held_out) == int(length * fraction)


@given(
    length=st.integers(0, 10_000),
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_blocks_from_all_over_a_text_are_held_out(length: int, fraction: float) -> None:
    """As many symbols as from the end; each tenth of the text gives a tenth of them, its last."""
    text = np.arange(length)
    training, held_out = split(text, fraction, "spread")
    assert len(held_out) == int(length * fraction)
    assert sorted([*training.tolist(), *held_out.tolist()]) == text.tolist()
    assert (np.diff(training) > 0).all()
    assert (np.diff(held_out) > 0).all()
    for block in range(10):
        first, end = length * block // 10, length * (block + 1) // 10
        own = held_out[(held_out >= first) & (held_out < end)]
        assert abs(len(own) - len(held_out) / 10) < 2
        assert own.tolist() == list(range(end - len(own), end))


def test_a_tenth_is_held_out() -> None:
    training, held_out = split(np.arange(105), 0.1)
    assert len(training) == 95
    assert held_out.tolist() == list(range(95, 105))


# --- streams -------------------------------------------------------------------------------------


class CStreams:
    """DARKNET.md's loop, a draw and a character at a time."""

    def __init__(self, text: list[int], streams: int, rand: Rand) -> None:
        self.text = text
        self.rand = rand
        self.offsets = []
        for _ in range(streams):
            self.offsets.append(self.draw_offset())

    def draw_offset(self) -> int:
        number = 0
        for shift in (56, 48, 40, 32, 24, 16, 8, 0):
            number |= (self.rand.rand() & 0xFF) << shift
        assert number < 2**64
        return number % len(self.text)

    def next_datum(self, time_steps: int) -> tuple[list[list[int]], list[list[int]]]:
        x = [[0] * len(self.offsets) for _ in range(time_steps)]
        y = [[0] * len(self.offsets) for _ in range(time_steps)]
        for stream in range(len(self.offsets)):
            for step in range(time_steps):
                x[step][stream] = self.text[self.offsets[stream] % len(self.text)]
                y[step][stream] = self.text[(self.offsets[stream] + 1) % len(self.text)]
                self.offsets[stream] = (self.offsets[stream] + 1) % len(self.text)
        return x, y

    def jump(self) -> list[int]:
        jumped = []
        for stream in range(len(self.offsets)):
            if self.rand.rand() % 64 == 0:
                self.offsets[stream] = self.draw_offset()
                jumped.append(stream)
        return jumped


@given(
    length=st.integers(1, 300),
    streams=st.integers(1, 6),
    time_steps=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_streams_walk_as_in_c(length: int, streams: int, time_steps: int, seed: int) -> None:
    text = np.random.default_rng(length).integers(0, 256, length)
    ours = Streams(text, streams, Rand(seed))
    c = CStreams(text.tolist(), streams, Rand(seed))
    for _ in range(5):
        assert ours.offsets.tolist() == c.offsets
        inputs, targets = ours.next_datum(time_steps)
        c_inputs, c_targets = c.next_datum(time_steps)
        assert inputs.tolist() == c_inputs
        assert targets.tolist() == c_targets
        assert ours.jump() == c.jump()
    assert ours.rand.drawn == c.rand.drawn


def test_streams_jump_as_often_as_in_c() -> None:
    text = np.arange(1000)
    ours, c = Streams(text, 32, Rand(5)), CStreams(text.tolist(), 32, Rand(5))
    jumps = 0
    for _ in range(100):
        jumped = ours.jump()
        assert jumped == c.jump()
        assert ours.offsets.tolist() == c.offsets
        jumps += len(jumped)
    assert 30 < jumps < 75  # one in 64 of 3200


def test_a_stream_goes_round_its_text() -> None:
    streams = Streams(np.array([7, 8, 9]), 1, Rand(1))
    streams.offsets[0] = 2
    inputs, targets = streams.next_datum(5)
    assert inputs[:, 0].tolist() == [9, 7, 8, 9, 7]
    assert targets[:, 0].tolist() == [7, 8, 9, 7, 8]
    assert streams.offsets.tolist() == [1]


# --- lines and names -----------------------------------------------------------------------------


def test_lines_come_with_their_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "lines", b"a b\r\n\n\xff\nlast")
    assert list(read_lines(path)) == [b"a b\r\n", b"\n", b"\xff\n", b"last"]


def test_lines_of_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"a\nb"))
    assert list(read_lines("-")) == [b"a\n", b"b"]


def test_missing_lines_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    with pytest.raises(CorpusError, match=re.escape(str(path))):
        list(read_lines(path))


def test_names_of_tokens_are_a_line_each(tmp_path: Path) -> None:
    path = write(tmp_path / "names", "the\r\n<NEWLINE>\n\nGrüße\n a b\n".encode())
    assert read_token_names(path) == ["the", "\n", "", "Grüße", " a b"]


def test_lines_of_c_end_at_a_nul(tmp_path: Path) -> None:
    """And the next line, or the next piece of a buffer's 511 bytes, is read on behind."""
    long = b"a" * 600
    for data, lines in (
        (b"ab\r\ncd", [b"ab\r", b"cd"]),
        (b"ab\0c\nde\n", [b"abde"]),
        (b"\0c\nde\n\nf\0\n", [b"de", b"", b"f"]),
        (b"\0", [b""]),
        (b"", []),
        (long + b"\n" + long, [long, long]),
        (b"b\0" + long + b"\nc\n", [b"b" + long[509:], b"c"]),
    ):
        path = write(tmp_path / "lines", data)
        assert list(read_lines(path, as_in_c=True)) == lines


def test_bytes_of_names_that_are_no_utf_8_do_not_stop_reading(tmp_path: Path) -> None:
    assert read_token_names(write(tmp_path / "names", b"a\xff\nb")) == ["a\udcff", "b"]
