"""What a run tells before its first batch, and that bytes are called bytes from there on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import invoke

pytestmark = pytest.mark.usefixtures("run_inputs")


def told(*args: str) -> dict[str, str]:
    """What stands behind each name, of a run of two batches."""
    outcome = invoke("train", "net.cfg", *args, "--seed", "1")
    assert outcome.status == 0, outcome.stderr
    pairs = (line.partition(": ") for line in outcome.lines)
    return {name: value for name, _, value in pairs}


def test_the_text_the_network_and_the_end() -> None:
    size = len(Path("text.txt").read_bytes())
    lines = told("text.txt", "--batches", "2", "--time", "90s")
    assert lines["text"] == f"{Path('text.txt').resolve()}, {size - size // 10:,} bytes to train on"
    assert lines["held out"] == f"the last {size // 10:,} bytes"
    assert lines["network"].endswith(" parameters")
    assert "streams x" in lines["batch"]
    assert lines["batch"].endswith(" bytes per update")
    assert lines["end"] == "at batch 2 or after 90 seconds of training, whichever comes first"
    assert lines["files"] == f"{Path('backup/net')}*"
    assert "weights" not in lines


def test_single_bytes_without_context_are_warned_of() -> None:
    words = "each update reads single bytes, which gives no context to learn from: add "
    args = ("text.txt", "--batches", "12", "--seed", "1")
    for added, is_said in (((), True), (("--set", "time_steps=2"), False)):
        said = invoke("train", "gru", *args, "--set", "gru.output=8", *added).stderr
        assert (words in " ".join(said.split())) == is_said
        assert "unlike the rest" not in said
    said = invoke("train", "gru", *args, "--set", "gru.output=8", "--state", "carry").stderr
    assert words not in " ".join(said.split())


def test_the_memory_has_the_text_in_it() -> None:
    text = Path("text.txt").read_bytes()
    Path("long.txt").write_bytes(text * (20_000_000 // len(text)))
    short, long = (
        int(told(name, "--batches", "2")["memory"].split()[1]) for name in ("text.txt", "long.txt")
    )
    assert long - short == pytest.approx(20, abs=1)


def test_one_end_is_told_alone() -> None:
    assert told("text.txt", "--batches", "2")["end"] == "at batch 2"


def test_a_run_from_weights_tells_where_it_counts_from() -> None:
    told("text.txt", "--batches", "2", "--out", "one")
    more = ("text.txt", "--weights", "one", "--out", "other")
    outcome = invoke("train", "net.cfg", *more, "--batches", "3", "--seed", "1")
    best = Path("one/net_best.weights")
    assert outcome.lines[0].startswith(f"starting from {best}, after ")
    assert outcome.lines[0].endswith("the next batch is number 3 (--clear counts from 1)")
    outcome = invoke("train", "net.cfg", *more, "--batches", "3", "--seed", "1", "--clear")
    assert outcome.lines[0] == f"starting from {best}"


def test_bytes_are_bytes_in_every_command() -> None:
    args = ("--batches", "4", "--val-every", "2", "--sample-every", "1", "--seed", "1")
    trained = invoke("train", "net.cfg", "text.txt", *args)
    scored = invoke("valid", "backup", "text.txt", "--val", ".1")
    shown = invoke("info", "backup")
    for text in (trained.stderr, scored.stdout.decode(), shown.stdout.decode()):
        assert "byte" in text
        assert "character" not in text
        assert "symbol" not in text
    assert invoke("report").status == 0
    page = Path("backup/net.html").read_text(encoding="utf-8")
    assert "nats per byte" in page
    assert "per character" not in page


def test_where_characters_are_longer_both_are_given() -> None:
    text = "ἄνδρα μοι ἔννεπε, μοῦσα\n" * 40
    Path("greek.txt").write_text(text, encoding="utf-8")
    lines = told("greek.txt", "--batches", "2", "--val", "0")
    assert f"{len(text.encode()):,} bytes ({len(text):,} characters)" in lines["text"]
    scored = invoke("valid", "backup", "greek.txt").stdout.decode()
    names = [line.rsplit(maxsplit=1)[0].strip() for line in scored.splitlines()]
    assert names == [
        *("bytes", "characters", "nats per byte", "bits per byte"),
        *("nats per character", "bits per character", "perplexity", "word perplexity"),
    ]


def test_windows_line_ends_are_told() -> None:
    for ends, is_told in (
        ("\r\n", True),
        ("\n", False),
        ("\r", False),
        ("\n" * 15 + "\r\n", False),
    ):
        Path("lines.txt").write_bytes(f"a line of some words{ends}".encode() * 60)
        said = invoke("train", "net.cfg", "lines.txt", "--batches", "1", "--val", "0").stderr
        assert ("dos2unix" in said) == is_told


def test_a_long_text_names_the_faster_way() -> None:
    told("text.txt", "--batches", "2")
    for size, streams, is_told in (
        (99_999, "1", False),
        (100_000, "1", True),
        (100_000, "8", False),
    ):
        Path("long.txt").write_bytes(b"a" * size)
        told_of = (
            "--streams 64" in invoke("valid", "backup", "long.txt", "--streams", streams).stderr
        )
        assert told_of == is_told


def test_a_text_that_one_update_reads_whole_is_told() -> None:
    said = " to train on, fewer than one update reads: this can only be memorized"
    for size, is_told in ((300, True), (1599, True), (1600, False)):
        Path("short.txt").write_bytes((b"some words " * 200)[:size])
        args = ("train", "tiny", "short.txt", "--batches", "1", "--val", "0")
        assert (f"short.txt has {size:,} bytes{said}" in invoke(*args).stderr) == is_told
