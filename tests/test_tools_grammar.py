"""The grammar of the tales: what it writes it can read, and the probabilities add up exactly."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools import grammar
from tools.grammar import Choice

DATA = Path(__file__).parent.parent / "data"
score = grammar.negative_log_probability


def choice_of(**weights: float) -> Choice:
    return Choice((text, weight, {}, ()) for text, weight in weights.items())


@functools.cache
def short_text() -> str:
    return grammar.written(seed=5, size=6000)[0]


@pytest.fixture(scope="module")
def shipped() -> str:
    return (DATA / "tales.txt").read_bytes().decode("ascii")


def test_the_shipped_text_is_reproduced_and_has_its_figures(shipped: str) -> None:
    figures = json.loads((DATA / "tales.json").read_bytes())
    text, nats = grammar.written(grammar.SEED, grammar.SIZE)
    assert text == shipped
    assert figures["bytes"] == len(shipped)
    assert figures["sha256"] == hashlib.sha256(shipped.encode("ascii")).hexdigest()
    assert figures["nats_per_character"] == round(nats / len(shipped), 6)
    held_out = figures["held_out"]
    assert held_out["start"] == len(shipped) - len(shipped) // 10
    assert held_out["characters"] == len(shipped) - held_out["start"] - 1
    if "FUZZ_CASES" in os.environ:  # It takes half a minute.
        nats = score(shipped, held_out["start"] + 1)
        assert held_out["nats_per_character"] == round(nats / held_out["characters"], 6)


def test_the_shipped_text_is_plain(shipped: str) -> None:
    assert 1_000_000 <= len(shipped) <= 1_050_000
    assert set(shipped) <= set(map(chr, range(32, 127))) | {"\n"}
    assert "\n\n\n" not in shipped
    assert not set("0123456789") & set(shipped)


def test_the_reader_agrees_with_the_writer() -> None:
    text, nats = grammar.written(seed=3, size=20_000)
    assert score(text) == pytest.approx(nats, rel=1e-9)


# --- choices --------------------------------------------------------------------------------------


def test_an_option_that_is_a_prefix_of_another_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is a prefix of option 'an'"):
        choice_of(an=1, a=1)


def test_the_weight_of_a_prefix_is_that_of_its_options() -> None:
    choice = choice_of(cat=5, cow=3, dog=2)
    found = {prefix: choice.weight(prefix) for prefix in ("", "c", "co", "cow", "cows", "e")}
    assert found == {"": 10, "c": 8, "co": 3, "cow": 3, "cows": 0, "e": 0}


# --- probabilities --------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_chain_rule(data: st.DataObject) -> None:
    text = short_text()
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    assert score(text[:a]) + score(text[:b], a) == pytest.approx(score(text[:b]), rel=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 800))
def test_probabilities_after_any_prefix_sum_to_one(length: int) -> None:
    text = short_text()[:length]
    offsets = {chr(code): refusal(text + chr(code)) for code in range(128)}
    assert set(offsets.values()) <= {None, length}
    possible = [character for character, offset in offsets.items() if offset is None]
    assert sum(math.exp(-score(text + c, length)) for c in possible) == pytest.approx(1)
    assert short_text()[length] in possible


# --- what is refused ------------------------------------------------------------------------------


def refusal(text: str) -> int | None:
    """The offset at which a text is refused, or None."""
    try:
        score(text)
    except ValueError as error:
        return int(re.findall(r"byte (\d+): ", str(error))[0])
    return None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_foreign_character_is_refused_where_it_stands(data: st.DataObject) -> None:
    text = short_text()
    offset = data.draw(st.integers(0, len(text) - 1))
    foreign = data.draw(st.sampled_from("#~\0\r\t\xe9"))
    assert refusal(text[:offset] + foreign + text[offset + 1 :]) == offset


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(The dog that some cats feed sleeps.)", "(The dog that some cats feed sleep.)"),
        ("(Two dogs that the cat feeds sleep.)", "(Two dogs that the cat feeds sleeps.)"),
        ("(The dog [the cat sleeps] sleeps.)", "(The dog [the cat sleeps) sleeps.)"),
        ("There were two cats: a sad one and", "There were two cats: a sad one, a"),
        ("Every ox sleeps", "Every oxen sleep"),
        ("First came an owl", "First came a owl"),
        (
            """On the inn was written, "My aunt says, 'The dog sleeps.'" """,
            """On the inn was written, "My aunt says, 'The dog sleeps."' """,
        ),
    ],
)
def test_mistakes_are_refused(right: str, wrong: str, shipped: str) -> None:
    """A sentence in the place of one in brackets."""
    before = shipped[: shipped.index(" (") + 1]
    assert refusal(before + right) is None
    same = next(k for k, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b)
    offset = refusal(before + wrong)
    assert offset is not None
    assert same <= offset - len(before) < len(wrong)


def test_a_tale_ends_with_its_hero(shipped: str) -> None:
    end = re.search("So ended the tale of ([A-Z][a-z]+)", shipped)
    assert end is not None
    assert refusal(shipped[: end.start(1)] + "Prue") == end.start(1)


# --- the command ----------------------------------------------------------------------------------


def test_write_then_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grammar.write, "__defaults__", (3, 4000))
    out = tmp_path / "t.txt"
    grammar.main(["write", str(out)])
    text = out.read_bytes().decode("ascii")
    made: dict[str, Any] = json.loads((tmp_path / "t.json").read_bytes())
    assert made["bytes"] == len(text) >= 4000
    grammar.main(["score", str(out), "--from", "10"])
    mean = float(capsys.readouterr().out.split()[0])
    assert mean == pytest.approx(score(text, 10) / (len(text) - 10), abs=1e-6)
    grammar.main(["bound", str(tmp_path / "t.json")])
    assert f"{made['held_out']['nats_per_character']:.4f}" in capsys.readouterr().out


def test_a_text_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_bytes(b"The Tale of \xff")
    with pytest.raises(SystemExit, match="byte 12"):
        grammar.main(["score", str(path)])
