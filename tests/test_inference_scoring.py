"""Scoring a text in pieces side by side, beside scoring it in one stream."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.inference import scoring
from darknet_py.inference.evaluation import Evaluation, evaluate, rounded_perplexity
from darknet_py.inference.scoring import cut, score_pieces
from darknet_py.network import Network
from tests.support.commands import invoke
from tests.support.inputs import CONNECTED, NET, SOFTMAX, words, write_cfg
from tests.support.networks import make_network, randomized

TEXT = np.random.default_rng(5).integers(0, 9, 700)
PROMPT = np.array([4, 2])
KINDS = [
    "[rnn] output=5 activation=tanh",
    "[crnn] output=5 hidden=5 size=1 activation=tanh",
    "[gru] output=5",
    "[lstm] output=5 batch_normalize=1",
]


def network(section: str = KINDS[0]) -> Network:
    return make_network(
        "[net] inputs=9 batch=2 time_steps=3", section, "[connected] output=9", "[softmax]"
    )


@given(st.integers(1, 5000), st.integers(1, 300), st.one_of(st.none(), st.integers(1, 6000)))
def test_pieces_tile_the_text_or_take_a_part_of_each(
    symbols: int, streams: int, most: int | None
) -> None:
    pieces = cut(symbols, streams, most)
    ends = pieces.firsts + pieces.counts
    assert pieces.firsts[0] == 0
    assert (pieces.counts > 0).all()
    assert (ends[:-1] <= pieces.firsts[1:]).all()
    assert ends[-1] <= symbols
    if most is None or most >= symbols:
        assert pieces.symbols == symbols
    else:
        assert pieces.symbols <= max(most, len(pieces.firsts))


@pytest.mark.parametrize("section", KINDS)
@pytest.mark.parametrize("streams", [1, 2, 3, 7])
def test_each_piece_is_read_after_what_stands_before_it(
    section: str, streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one stream per piece, from a zero state, through the symbols of the warm-up."""
    monkeypatch.setattr(scoring, "WARM_UP", 120)
    net = network(section)
    pieces = cut(len(TEXT) - 1, streams)
    whole = np.concatenate([PROMPT, TEXT])
    expected = 0.0
    for first, count in zip(pieces.firsts, pieces.counts, strict=True):
        start = len(PROMPT) + first
        before = whole[: start + 1] if first == 0 else whole[max(0, start - 120) : start + 1]
        text = TEXT[first : first + count + 1]
        expected += evaluate(net, text, before[:-1]).nats * count
    score = score_pieces(net, TEXT, pieces, PROMPT)
    assert score.symbols == len(TEXT) - 1
    assert score.nats == pytest.approx(expected / score.symbols, rel=1e-11)


@pytest.mark.parametrize("rows", [1, 5, 64, 100_000])
def test_how_many_rows_are_computed_at_once_does_not_matter(rows: int) -> None:
    net = network("[lstm] output=5")
    pieces = cut(len(TEXT) - 1, 4, 333)
    expected = score_pieces(net, TEXT, pieces, PROMPT).nats
    assert score_pieces(net, TEXT, pieces, PROMPT, rows=rows).nats == pytest.approx(
        expected, rel=1e-11
    )


def test_one_piece_is_the_score_in_one_stream() -> None:
    net = network()
    one = score_pieces(net, TEXT, cut(len(TEXT) - 1, 1), PROMPT)
    assert one.nats == evaluate(net, TEXT, PROMPT).nats


def test_a_score_that_is_stopped_is_that_of_what_was_read() -> None:
    """Of the beginning of every piece."""
    net = network()
    pieces = cut(len(TEXT) - 1, 3)
    asked = iter([False, False, True])
    seen: list[tuple[int, int]] = []
    score = score_pieces(
        net,
        TEXT,
        pieces,
        PROMPT,
        rows=30,
        stop=lambda: next(asked),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert score.symbols == 3 * 30
    assert seen == [(0, 699), (30, 699), (60, 699), (90, 699)]
    part = cut(len(TEXT) - 1, 3, 90)
    assert score.nats == pytest.approx(score_pieces(net, TEXT, part, PROMPT).nats, rel=1e-12)


@pytest.mark.parametrize("streams", [0, -1])
def test_streams_are_at_least_one(streams: int) -> None:
    with pytest.raises(ValueError, match="streams"):
        evaluate(network(), TEXT, streams=streams)


def test_the_command_scores_in_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly as in one stream, even where the streams begin with hardly anything read."""
    monkeypatch.setattr(scoring, "WARM_UP", 1)
    cfg = write_cfg(tmp_path / "net.cfg", NET, "[lstm] output=12", CONNECTED, SOFTMAX)
    from darknet_py import load_network

    randomized(load_network(cfg)).save_weights(tmp_path / "net.weights")
    (tmp_path / "text.txt").write_bytes(words(3000).encode())
    scores = [
        json.loads(
            invoke(
                "valid",
                tmp_path / "net.weights",
                tmp_path / "text.txt",
                *("--json", "--streams", streams),
            ).stdout
        )
        for streams in ("1", "8")
    ]
    assert scores[0]["characters"] == scores[1]["characters"]
    assert scores[1]["nats"] == pytest.approx(scores[0]["nats"], abs=0.002)
    assert scores[1]["nats"] != scores[0]["nats"]
    ratio = math.log(scores[1]["word_perplexity"]) / math.log(scores[0]["word_perplexity"])
    assert ratio == pytest.approx(scores[1]["nats"] / scores[0]["nats"], rel=1e-9)
    both = invoke("valid", tmp_path, tmp_path / "text.txt", "--trace", "--streams", "2")
    assert both.status == 2


def test_a_score_is_printed_in_words_by_the_name_of_what_was_predicted() -> None:
    score = Evaluation(1234, 1.5, 2.164, 4.482, 2738.33)
    assert str(score) == (
        "1,234 bytes: 1.5000 nats per byte, 2.1640 bits per byte, perplexity 4.4820, "
        "word perplexity 2,738.3"
    )
    score = Evaluation(1, 1.5, 2.164, 4.482, None)
    assert str(score) == "1 token: 1.5000 nats per token, 2.1640 bits per token, perplexity 4.4820"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "1.0000"),
        (99.99, "99.9900"),
        (123.456, "123.5"),
        (65432.1, "65,432"),
        (1.2345e15, "1.2e+15"),
        (math.inf, "inf"),
    ],
)
def test_a_perplexity_has_the_digits_that_help(value: float, shown: str) -> None:
    assert rounded_perplexity(value) == shown
