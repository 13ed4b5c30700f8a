"""Characters of UTF-8 are longer than bytes: told apart where that matters, and never cut."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import darknet_py as dn
from darknet_py.arrays import Array
from darknet_py.cli.console import TextWriter
from darknet_py.text.symbols import Symbols, cut_character, first_not_utf8, utf8_characters
from tests.support.commands import invoke

GREEK = "αβγδε ζηθ\n" * 400


@given(st.text(), st.integers(0, 3))
def test_a_cut_character_is_found(text: str, kept: int) -> None:
    """Of the last character of a text, only some bytes."""
    data = text.encode("utf-8", "replace")
    assert cut_character(data) == 0
    last = "€".encode()[:kept]
    assert cut_character(data + last) == (kept if kept < 3 else 0)


@given(st.binary(max_size=8))
def test_what_is_cut_could_have_become_a_character(data: bytes) -> None:
    count = cut_character(data)
    assert 0 <= count <= 3
    if count:
        tail = data[-count:]
        ends = (b"\x80" * more for more in range(1, 4))
        others = (bytes([other]) * more for more in range(1, 4) for other in (0x90, 0xA0, 0xBF))
        assert any(_is_character(tail + end) for end in [*ends, *others])


def _is_character(data: bytes) -> bool:
    try:
        return len(data.decode()) == 1
    except UnicodeDecodeError:
        # Overlong forms and surrogates begin like characters.
        return data[0] in (0xE0, 0xED, 0xF0, 0xF4)


def test_whole_symbols_have_no_half_character_at_either_end() -> None:
    symbols = Symbols(256, False, None)
    data = "aßc€".encode()
    for first in range(len(data)):
        for end in range(first, len(data) + 1):
            whole = bytes(symbols.whole(list(data[first:end])))
            assert whole.decode() in "aßc€"
    assert symbols.whole([0x80] * 6) == [0x80] * 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("greek")
    (folder / "greek.txt").write_text(GREEK, encoding="utf-8")
    dn.train(
        *("tiny", folder / "greek.txt"),
        out=folder / "run",
        batches=250,
        seed=1,
        val_every=100,
        sample_every=1,
        overrides={"rnn.output": 32},
    )
    return folder


def test_a_text_is_not_cut_inside_a_character(run: Path) -> None:
    lengths = set()
    for length in range(30, 36):
        args = ("generate", str(run / "run"), "--length", str(length), "--seed", "3", "--greedy")
        prompt = ("--prompt", "αβγ", "--no-prompt")
        text = invoke(*args, *prompt).stdout
        assert text.decode("utf-8").endswith("\n")
        raw = invoke(*args, *prompt, "--raw").stdout
        assert len(raw) == length + 1
        assert raw.startswith(text.rstrip(b"\n"))
        lengths.add(len(raw) - len(text))
    assert lengths == {0, 1}
    *_, last = (run / "run" / "tiny.samples").read_text(encoding="utf-8").splitlines()
    assert not json.loads(last)["text"].endswith("\ufffd")


def test_the_likeliest_characters_are_whole(run: Path) -> None:
    """Against every way to spell one or two bytes of a Greek text, by the odds of each."""
    net = dn.load_network(run / "run")

    def odds_after(read: bytes) -> Array:
        session = dn.Session(net)
        session.feed(read)
        return session.probabilities(0.9)

    read = "αβ".encode()
    expected = []
    first = odds_after(read)
    for byte in range(256):
        character = bytes([byte])
        if cut_character(character):
            following = odds_after(read + character)
            expected += [
                (first[byte] * following[b], character + bytes([b]))
                for b in range(256)
                if cut_character(character + bytes([b])) < 2
            ]
        else:
            expected.append((first[byte], character))
    expected.sort(key=lambda pair: -pair[0])
    session = dn.Session(net, seed=1)
    session.feed(read[:2])
    session.feed(read[2:])
    found = session.likeliest(5, 0.9)
    assert [character for _, character in found] == [character for _, character in expected[:5]]
    assert found[0][1] == "γ".encode()
    np.testing.assert_allclose([p for p, _ in found], [p for p, _ in expected[:5]], rtol=1e-5)
    # Looking changes nothing, and what is written is read too.
    np.testing.assert_array_equal(session.probabilities(0.9), first)
    read += bytes(session.write(7, dn.Sampling(0.9)))
    assert session.likeliest(1, 0.9)[0][0] == pytest.approx(odds_after(read).max(), rel=0.2)


def test_bytes_and_characters_are_told_apart(run: Path) -> None:
    text = str(run / "greek.txt")
    printed = invoke("valid", str(run / "run"), text, "--val", ".1").stdout.decode()
    rows = dict(line.rsplit(maxsplit=1) for line in printed.splitlines())
    held_out = GREEK.encode()[-len(GREEK.encode()) // 10 :]
    facts = json.loads(invoke("valid", str(run / "run"), text, "--val", ".1", "--json").stdout)
    assert facts["bytes"] == int(rows["bytes"].replace(",", "")) == len(held_out) - 1
    assert facts["characters"] == int(rows["characters"].replace(",", ""))
    each = facts["bytes"] / facts["characters"]
    assert facts["nats_per_character"] == pytest.approx(facts["nats"] * each)
    assert float(rows["bits per character"]) == pytest.approx(facts["bits"] * each, abs=1e-4)
    plain = Path(text).with_name("plain.txt")
    plain.write_text("abc\n" * 100)
    rows_of_ascii = invoke("valid", str(run / "run"), str(plain)).stdout.decode()
    assert "nats per byte" in rows_of_ascii
    assert "character" not in rows_of_ascii


def test_characters_of_a_short_text_are_whole_ones(run: Path) -> None:
    """Also where the first one is split, since its first byte is only read."""
    text = "你好世界你好世界\n"
    facts = json.loads(invoke("valid", str(run / "run"), "--json", stdin=text.encode()).stdout)
    score = dn.evaluate(dn.load_network(run / "run"), text)
    assert facts == dataclasses.asdict(score)
    assert (score.symbols, score.bytes, score.characters) == (24, 24, 8)
    assert score.bits_per_character == pytest.approx(score.bits * 3)
    assert facts["nats_per_character"] == pytest.approx(facts["nats"] * 3)
    score = dn.evaluate(dn.load_network(run / "run"), list("é all".encode()))
    assert (score.symbols, score.characters) == (5, 4)
    assert dn.evaluate(dn.load_network(run / "run"), "你").bits_per_character is None


def test_characters_of_spread_blocks_are_whole_ones(run: Path) -> None:
    """Every block of a short text cuts some."""
    text = run / "chinese.txt"
    text.write_text("你好世界, 再见" * 99, encoding="utf-8")
    spread = ("--val", ".1", "--val-from", "spread", "--json")
    facts = json.loads(invoke("valid", str(run / "run"), str(text), *spread).stdout)
    assert 2 * facts["characters"] < facts["bytes"] < 4 * facts["characters"]


@given(st.text(max_size=30), st.binary(max_size=4), st.text(max_size=30), st.integers(1, 9))
def test_bytes_of_no_character_are_found(before: str, wrong: bytes, after: str, part: int) -> None:
    """By what Python's decoder says of the text without what is cut at its ends."""
    text = before.encode("utf-8", "replace") + wrong + after.encode("utf-8", "replace")
    begin = next((at for at, byte in enumerate(text[:3]) if byte & 0xC0 != 0x80), min(3, len(text)))
    whole = text[begin : len(text) - cut_character(text[begin:])]
    try:
        whole.decode()
        expected = None
    except UnicodeDecodeError as error:
        expected = begin + error.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darknet_py.text.symbols.PART", part)
        assert first_not_utf8(np.frombuffer(text, np.uint8)) == expected


@given(st.text(max_size=30), st.integers(1, 9))
def test_characters_are_counted(text: str, part: int) -> None:
    data = text.replace("\ufffd", "").encode("utf-8", "ignore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darknet_py.text.symbols.PART", part)
        assert utf8_characters(np.frombuffer(data, np.uint8)) == len(data.decode())
        wrong = b"\xff" * (len(text) + 1)
        assert utf8_characters(np.frombuffer(data + wrong, np.uint8)) == len(data + wrong)
        # What is cut at either end is no whole character.
        cut = "\u4f60".encode()
        found = utf8_characters(np.frombuffer(cut[1:] + data + cut[:2], np.uint8))
        assert found == len(data.decode())


@pytest.mark.parametrize("encoding", ["windows-1251", "iso-8859-7", "shift-jis", "latin-1"])
def test_a_text_that_is_not_utf8_is_told(encoding: str, tmp_path: Path) -> None:
    letters = {"windows-1251": "привет ", "iso-8859-7": "γεια ", "shift-jis": "こんにちは "}
    text = letters.get(encoding, "schön grün ") * 200
    (tmp_path / "old.txt").write_bytes(text.encode(encoding))
    (tmp_path / "new.txt").write_text(text, encoding="utf-8")
    args = ("--batches", "1", "--seed", "1", "--out", str(tmp_path / "run"))
    said = invoke("train", "tiny", str(tmp_path / "old.txt"), *args).stderr
    assert said.count("old.txt is not UTF-8 (byte ") == 1
    # The encoding cannot be told, and a wrong one would spoil the text without a word.
    command = f"iconv -f ENCODING -t UTF-8 {tmp_path / 'old.txt'} > new.txt"
    assert said.count("iconv -f") == said.count(command) == 1
    assert "characters" not in said
    said = invoke("train", "tiny", str(tmp_path / "new.txt"), *args).stderr
    assert "not UTF-8" not in said
    assert "characters) to train on" in said
    # Cut into blocks, it is UTF-8 still.
    spread = invoke("train", "tiny", str(tmp_path / "new.txt"), "--val-from", "spread", *args)
    assert "not UTF-8" not in spread.stderr


def test_a_turn_ends_with_a_character(run: Path) -> None:
    for length in range(20, 26):
        args = [
            *("generate", str(run / "run"), "--interactive", "--length", str(length), "-q"),
            *("--seed", "3", "--temperature", "0"),
        ]
        turn = invoke(*args, stdin="αβγ\n".encode()).stdout
        assert turn.decode("utf-8").endswith("\n")
        raw = invoke(*args, "--raw", stdin="αβγ\n".encode()).stdout
        assert len(raw) == length + 1
        assert len(turn) == len(raw) + cut_character(raw[:-1])
        assert turn.startswith(raw[:-1])


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_a_turn_that_is_stopped_ends_with_a_character(
    run: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever Ctrl-C comes."""
    whole = TextWriter.write
    written: list[int] = []

    def write(self: TextWriter, symbols: list[int]) -> None:
        whole(self, symbols)
        written.extend(symbols)
        if len(written) == most:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TextWriter, "write", write)
    args = ("--interactive", "--length", "20", "-q", "--seed", "3", "--temperature", "0")
    turn = invoke("generate", str(run / "run"), *args, stdin="αβγ\n".encode()).stdout
    assert turn.decode("utf-8").endswith("\n")
    assert most <= len(turn) - 1 < most + 4


def test_what_is_not_utf8_is_named_by_every_command_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = "привет ".encode("windows-1251") * 200
    Path("texts").mkdir()
    Path("texts/b.txt").write_bytes(old)
    Path("a.txt").write_bytes(b"text " * 200)
    args = ("--batches", "1", "--seed", "1")
    told = "is not UTF-8 (byte 239 at offset 0): it is"
    for data in ("texts", "texts/b.txt"):
        said = invoke("train", "tiny", data, *args).stderr
        assert f"warning: {data} {told} learned and written byte by byte" in said
    said = invoke("train", "tiny", "a.txt", "--val", "texts/b.txt", *args).stderr
    assert f"texts/b.txt {told} scored byte by byte" in said
    assert f"texts/b.txt {told} scored" in invoke("valid", "backup", "texts/b.txt").stderr
    assert f"stdin {told} scored" in invoke("valid", "backup", stdin=old).stderr


def test_a_run_ends_with_its_loss_per_character_where_characters_are_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure that `valid` prints."""
    monkeypatch.chdir(tmp_path)
    Path("greek.txt").write_text(GREEK, encoding="utf-8")
    Path("latin.txt").write_text(
        "alpha beta – gamma delta epsilon, zeta and eta\n" * 200, encoding="utf-8"
    )
    args = ("--batches", "3", "--seed", "1", "--set", "rnn.output=8")
    said = invoke("train", "tiny", "greek.txt", *args).stderr
    score = json.loads(invoke("valid", "backup", "greek.txt", "--val", ".1", "--json").stdout)
    both = f"{score['nats']:.4f} nats per byte ({score['nats_per_character']:.4f} per character)"
    assert f"{both} of all {score['bytes']:,} held out" in said
    # A dash here and there makes no other language.
    assert "per character" not in invoke("train", "tiny", "latin.txt", *args).stderr
    result = dn.train("tiny", "greek.txt", out="run", batches=1, overrides={"rnn.output": 8})
    assert result.bytes_per_character == score["bytes"] / score["characters"]
    result = dn.train("tiny", "greek.txt", out="run", batches=1, val=0)
    assert result.bytes_per_character == 1
