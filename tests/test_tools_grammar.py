"""The grammar of the tales: what it writes it can read, and the probabilities add up exactly."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import random
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools import grammar

DATA = Path(__file__).parent.parent / "data"


def recording_writer(seed: int, size: int) -> tuple[Any, dict[Any, None]]:
    """A writer that has written, and every choice it met, in order of first use."""
    met: dict[Any, None] = {}

    class RecordingWriter(grammar.Writer):
        def take(self, choice: Any) -> str:
            met[choice] = None
            return str(super().take(choice))

    writer = RecordingWriter(seed, size)
    grammar.tales(writer)
    return writer, met


@functools.cache
def short_text() -> str:
    writer = grammar.Writer(seed=5, size=6000)
    grammar.tales(writer)
    return "".join(writer.pieces)


def score(text: str, start: int = 0, stop: int | None = None) -> float:
    return float(grammar.negative_log_probability(text, start, stop))


@pytest.fixture(scope="module")
def shipped() -> str:
    return (DATA / "tales.txt").read_bytes().decode("ascii")


@pytest.fixture(scope="module")
def figures() -> Any:
    return json.loads((DATA / "tales.json").read_bytes())


@pytest.fixture(scope="module")
def rewritten(figures: Any) -> tuple[Any, dict[Any, None]]:
    """The shipped text once more, from the seed and the size in its figures."""
    words = figures["made_by"].split()
    return recording_writer(figures["seed"], int(words[words.index("--size") + 1]))


class TestShippedText:
    def test_is_reproduced_to_the_byte(
        self, shipped: str, rewritten: tuple[Any, dict[Any, None]]
    ) -> None:
        assert "".join(rewritten[0].pieces) == shipped

    def test_is_plain_text_of_about_a_megabyte(self, shipped: str) -> None:
        assert 1_000_000 <= len(shipped) <= 1_050_000
        assert set(shipped) <= set(map(chr, range(32, 127))) | {"\n"}
        assert shipped.endswith(".\n")
        assert "\n\n\n" not in shipped

    def test_bytes_and_hash_match_the_figures(self, shipped: str, figures: Any) -> None:
        assert figures["bytes"] == len(shipped)
        assert figures["sha256"] == hashlib.sha256(shipped.encode("ascii")).hexdigest()

    def test_entropies_match_the_figures(
        self, shipped: str, figures: Any, rewritten: tuple[Any, dict[Any, None]]
    ) -> None:
        whole = rewritten[0].nats
        assert figures["nats_per_character"] == round(whole / len(shipped), 6)
        held_out = figures["held_out"]
        start = len(shipped) - int(len(shipped) * held_out["fraction"])
        assert held_out["start"] == start
        assert held_out["characters"] == len(shipped) - start - 1
        nats = score(shipped, start + 1)
        assert held_out["nats_per_character"] == round(nats / held_out["characters"], 6)

    def test_reader_agrees_with_the_writer(
        self, shipped: str, rewritten: tuple[Any, dict[Any, None]]
    ) -> None:
        assert score(shipped) == pytest.approx(rewritten[0].nats, rel=1e-9)


class TestChoices:
    def test_no_option_met_is_a_prefix_of_another(
        self, rewritten: tuple[Any, dict[Any, None]]
    ) -> None:
        for choice in rewritten[1]:
            # Whatever lies between a word and its continuation in sorted order continues it too.
            for shorter, longer in pairwise(sorted(choice.texts)):
                assert not longer.startswith(shorter)

    @pytest.mark.parametrize("options", [{"a": 1, "an": 1}, {"": 1, "a": 1}, {}, {"a": 0}])
    def test_bad_options_are_refused(self, options: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=r"prefix|needs options"):
            grammar.Choice(options)

    def test_a_shared_option_is_refused(self) -> None:
        with pytest.raises(ValueError, match="two of the joined"):
            grammar.joined(({"a": 1, "b": 1}, 1), ({"b": 1, "c": 1}, 1))

    def test_probabilities_of_the_next_character_sum_to_one(
        self, rewritten: tuple[Any, dict[Any, None]]
    ) -> None:
        choices = random.Random(0).sample(list(rewritten[1]), 40)
        for choice in choices:
            prefixes = {text[:k] for text in choice.texts for k in range(len(text))}
            for prefix in prefixes:
                following = {text[len(prefix)] for text in choice.texts if text.startswith(prefix)}
                weights = [choice.weight(prefix + character) for character in following]
                assert sum(weights) == choice.weight(prefix)
            assert sum(math.exp(-choice.nats(text)) for text in choice.texts) == pytest.approx(1)

    def test_characters_of_a_choice_have_the_conditional_probabilities(self) -> None:
        choice = grammar.Choice({"cat": 5, "cow": 3, "dog": 2})

        def nats(text: str, start: int) -> float:
            reader = grammar.Reader(text, start)
            with suppress(grammar.EndOfText):
                while True:
                    reader.take(choice)
            return float(reader.nats)

        assert nats("c", 0) == pytest.approx(math.log(10 / 8))
        assert nats("co", 1) == pytest.approx(math.log(8 / 3))
        assert nats("cow", 2) == 0
        assert nats("cowd", 0) == pytest.approx(math.log(10 / 3) + math.log(10 / 2))


def refusal(text: str) -> int | None:
    """The offset at which a text is refused, or None."""
    try:
        score(text)
    except grammar.NotInLanguage as error:
        return int(error.offset)
    return None


class TestReader:
    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_chain_rule(self, data: st.DataObject) -> None:
        text = short_text()
        a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        assert score(text, 0, a) + score(text, a, b) == pytest.approx(score(text, 0, b), rel=1e-9)

    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def test_stretch_is_the_sum_of_its_characters(self, data: st.DataObject) -> None:
        text = short_text()
        start = data.draw(st.integers(0, len(text) - 12))
        characters = [score(text, k, k + 1) for k in range(start, start + 12)]
        assert min(characters) >= 0
        assert sum(characters) == pytest.approx(score(text, start, start + 12), abs=1e-9)

    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2000))
    def test_probabilities_after_any_prefix_sum_to_one(self, length: int) -> None:
        text = short_text()[:length]
        offsets = {chr(code): refusal(text + chr(code)) for code in range(128)}
        assert set(offsets.values()) <= {None, length}
        possible = [character for character, offset in offsets.items() if offset is None]
        assert sum(math.exp(-score(text + c, length)) for c in possible) == pytest.approx(1)
        assert short_text()[length] in possible

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_a_foreign_character_is_refused_where_it_stands(self, data: st.DataObject) -> None:
        text = short_text()
        offset = data.draw(st.integers(0, len(text) - 1))
        foreign = data.draw(st.sampled_from("#~\0\r\t\xe9"))
        assert refusal(text[:offset] + foreign + text[offset + 1 :]) == offset

    def test_the_error_tells_what_was_expected(self) -> None:
        with pytest.raises(grammar.NotInLanguage) as caught:
            score("The Talk")
        assert str(caught.value) == "byte 7: found 'k', expected one of 'e'"

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ("Once a merry", "Once an merry"),
            ("s were ", "s was "),
            ("counted to three: one ", "counted to three: two "),
            (".'\"", ".\"'"),
            ("] ", ") "),
            ("So ended the tale of Prue", "So ended the tale of Dora"),
        ],
    )
    def test_mistakes_are_refused(self, shipped: str, right: str, wrong: str) -> None:
        at = shipped.index(right)
        same = next(k for k, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b)
        offset = refusal(shipped[:at] + wrong + shipped[at + len(right) :])
        assert offset is not None
        assert at + same <= offset < at + len(wrong)

    def test_empty_text_and_empty_stretch_have_probability_one(self) -> None:
        assert score("") == 0
        assert score(short_text(), 100, 100) == 0

    @pytest.mark.parametrize("bounds", [(-1, 5), (5, 4), (0, 10**9)])
    def test_bounds_outside_the_text_are_refused(self, bounds: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="cannot score"):
            score(short_text(), *bounds)


class TestCommand:
    def test_write_then_score(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "t.txt"
        grammar.main(["write", str(out), "--seed", "3", "--size", "4000"])
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.txt"]
        text = out.read_bytes().decode("ascii")
        made = json.loads((tmp_path / "t.json").read_bytes())
        assert made["seed"] == 3
        assert made["bytes"] == len(text) >= 4000

        grammar.main(["score", str(out), "--from", "10", "--to", "1010"])
        nats, characters, mean = capsys.readouterr().out.splitlines()
        assert float(nats.split()[-1]) == pytest.approx(score(text, 10, 1010), abs=1e-6)
        assert characters == "characters 1000"
        assert float(mean.split()[-1]) == pytest.approx(score(text, 10, 1010) / 1000, abs=1e-6)

    def test_writing_is_all_or_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "t.txt"
        out.write_text("before")

        def fail(*_: object) -> None:
            raise OSError("no")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(SystemExit):
            grammar.main(["write", str(out), "--size", "1000"])
        assert out.read_text() == "before"
        assert list(tmp_path.iterdir()) == [out]

    def test_a_text_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "other.txt"
        path.write_bytes(b"The Tale of \xff")
        with pytest.raises(SystemExit, match="byte 12"):
            grammar.main(["score", str(path)])
