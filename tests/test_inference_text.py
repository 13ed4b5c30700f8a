"""Texts as str, and the score of each line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.inference.lines import split_lines
from tests.support.commands import invoke

LINES = ["The fox", "", "Ünder the øld bridge, for a long time", "a", "the cat and the dog"]


@pytest.fixture(scope="module")
def net() -> dn.Network:
    return dn.load_network("tiny", seed=3, batch=1, time_steps=1)


def test_a_text_is_what_generate_draws(net: dn.Network) -> None:
    drawn = bytes(dn.generate(net, "Once", 60, seed=5))
    text = dn.generate_text(net, "Once", 60, seed=5)
    # But for a character that is cut at the end.
    assert drawn.decode("utf-8", "replace").startswith(text)
    assert "".join(dn.stream_text(net, "Once", 60, seed=5)) == text
    assert len(text) > 40


def test_temperature_0_is_greedy_and_no_seed_is_random(net: dn.Network) -> None:
    greedy = bytes(dn.generate(net, "\n\n", 30, greedy=True)).decode("utf-8", "replace")
    assert greedy.startswith(dn.generate_text(net, length=30, temperature=0))
    assert dn.generate_text(net, length=0) == ""


def test_a_text_of_tokens_has_their_names(tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("".join(f"word{number}\n" for number in range(256)))
    net = dn.load_network("tiny", seed=3, batch=1, time_steps=1, tokenized=1)
    text = dn.generate_text(net, "word1 word2", 5, seed=1, stop="word300x"[:5], tokens=names)
    assert [word[:4] for word in text.split()] == ["word"] * len(text.split())
    assert (
        dn.generate_text(net, [1, 2], 5, seed=1)
        == " ".join(map(str, dn.generate(net, [1, 2], 5, seed=1))) + " "
    )


def test_what_is_no_network_or_no_number_is_a_type_error(net: dn.Network) -> None:
    for call in (
        lambda: dn.generate("run"),  # type: ignore[arg-type]
        lambda: dn.generate_text("run"),  # type: ignore[arg-type]
        lambda: dn.generate(net, length="5"),  # type: ignore[arg-type]
        lambda: dn.evaluate(net, 5),  # type: ignore[arg-type]
        lambda: dn.train("tiny", 5),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=" must be "):
            call()


def test_one_stream_predicts_a_text(net: dn.Network) -> None:
    net.reset_state()
    expected = net.predict(np.frombuffer(b"Once", np.uint8)[:, None])
    for text in ("Once", b"Once"):
        net.reset_state()
        np.testing.assert_array_equal(net.predict(text), expected)
    with pytest.raises(ValueError, match="integers"):
        dn.load_network("tiny", batch=2, time_steps=1).predict("Once")


def test_the_public_names_are_all_that_dir_shows() -> None:
    assert dir(dn) == sorted(dn.__all__)


# --- lines


def test_a_line_has_the_score_of_its_symbols_after_the_prompt(net: dn.Network) -> None:
    """All of them, the first and the newline too."""
    scores = dn.evaluate_lines(net, LINES, "\nIt was")
    for line, score in zip(LINES, scores, strict=True):
        data = line.encode() + b"\n"
        # `evaluate` does not score the first symbol, here the last one of the prompt.
        alone = dn.evaluate(net, b"s" + data, "\nIt wa")
        assert score.symbols == len(data)
        assert score.nats == pytest.approx(alone.nats, rel=1e-4)
        assert score.perplexity == pytest.approx(alone.perplexity, rel=1e-4)
    assert scores[2].characters == len(LINES[2]) + 1
    again = dn.evaluate_lines(net, [line.encode() + b"\n" for line in LINES], "\nIt was")
    assert again == scores


def test_many_lines_have_the_scores_of_each(net: dn.Network) -> None:
    lines = [f"line {number % 7} " * (number % 5) for number in range(300)]
    together = [score.nats for score in dn.evaluate_lines(net, lines)]
    alone = [dn.evaluate_lines(net, [line])[0].nats for line in lines[:10]]
    np.testing.assert_allclose(together[:10], alone, rtol=1e-4)


def test_a_line_of_no_tokens_has_no_loss() -> None:
    net = dn.load_network("tiny", seed=3, batch=1, time_steps=1, tokenized=1)
    none, some = dn.evaluate_lines(net, ["", "5 6"])
    assert (none.symbols, some.symbols) == (0, 2)
    assert math.isnan(none.nats)
    assert math.isfinite(some.nats)


def test_a_text_instead_of_lines_is_refused(net: dn.Network) -> None:
    with pytest.raises(ValueError, match="splitlines"):
        dn.evaluate_lines(net, "one text")


@pytest.mark.parametrize(
    ("text", "lines"),
    [(b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"a\n\nb\n", [b"a", b"", b"b"])],
)
def test_lines_of_a_text(text: bytes, lines: list[bytes]) -> None:
    assert list(split_lines(text)) == lines


def test_the_command_scores_lines(tmp_path: Path, net: dn.Network) -> None:
    text, weights = tmp_path / "lines.txt", tmp_path / "tiny.weights"
    text.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    net.save_weights(weights)
    scored = invoke("valid", weights, text, "--lines", "-q")
    assert scored.status == 0
    rows = [row.split("\t") for row in scored.stdout.decode().splitlines()]
    expected = dn.evaluate_lines(net, LINES)
    assert [row[1] for row in rows] == LINES
    assert [row[0] for row in rows] == [f"{score.nats:.4f}" for score in expected]
    as_json = json.loads(invoke("valid", weights, text, "--lines", "--json", "-q").stdout)
    assert [each["line"] for each in as_json] == LINES
    assert as_json[2]["nats"] == pytest.approx(expected[2].nats, rel=1e-6)
    for more in (("--val", ".1"), ("--trace",), ("--streams", "2")):
        assert invoke("valid", weights, text, "--lines", *more).status == 2
