"""Drawing, generating and scoring, against the recorded C program and against plain loops."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darknet_py.dialect import ALEXEYAB
from darknet_py.errors import CorpusError
from darknet_py.inference import generation, scoring
from darknet_py.inference.evaluation import evaluate
from darknet_py.inference.generation import generate, generate_samples
from darknet_py.inference.sampling import cut_off, draw
from darknet_py.network import Network
from darknet_py.rand import Rand
from tests.support.commands import invoke
from tests.support.networks import Array, make_network
from tests.support.recorded import RECORDED, case, cases, recorded_network

pytestmark = pytest.mark.filterwarnings("error")

f32 = np.float32


# --- the recorded texts --------------------------------------------------------------------------

TEXTS = [
    pytest.param(folder, run, id=f"{folder}-{run['srand']}")
    for folder in cases("generate")
    for run in case(RECORDED / folder / "case.json")["generate"]
]


def printed(symbols: Any, names: list[str]) -> str:
    """What C prints: a byte, or a name and a space; a newline at the end."""
    if not names:
        return bytes(symbols).decode("latin-1") + "\n"
    return "".join(f"{names[symbol]} " for symbol in symbols) + "\n"


def names_in(folder: str, run: dict[str, Any]) -> list[str]:
    if "tokens" not in run:
        return []
    lines = (RECORDED / folder / run["tokens"]).read_text().splitlines()
    return ["\n" if line == "<NEWLINE>" else line for line in lines]


@pytest.mark.parametrize(("folder", "run"), TEXTS)
def test_recorded_text(folder: str, run: dict[str, Any]) -> None:
    net = recorded_network(folder)
    prompt = run["seed"].encode()
    symbols = generate(net, prompt, run["len"], run["temp"], run["srand"])
    text = printed([*prompt, *symbols], names_in(folder, run))
    assert text.encode("latin-1") == (RECORDED / folder / run["stdout"]).read_bytes()


def test_there_are_texts_of_every_kind() -> None:
    folders = cases("generate")
    assert len(TEXTS) >= 28
    assert {"rnn-bn-leaky", "act-stair", "gru-custom", "lstm-bn", "tokenized"} <= set(folders)


@pytest.mark.parametrize("weights", ["v0.1.weights", "transposed.weights"])
def test_other_headers_give_the_same_text(weights: str) -> None:
    run = case(RECORDED / "rnn-bn-leaky" / "case.json")["generate"][0]
    net = recorded_network("headers", weights)
    prompt = run["seed"].encode()
    text = bytes([*prompt, *generate(net, prompt, run["len"], run["temp"], run["srand"])])
    assert text + b"\n" == (RECORDED / "rnn-bn-leaky" / run["stdout"]).read_bytes()


# --- drawing -------------------------------------------------------------------------------------


def c_draw(p: Array, uniform: Any) -> int:
    """sample_array of the C program, after its cut-off of small probabilities.

    It compares with the double .0001, and multiplies by the inverse of the sum.
    """
    kept = [x if float(x) >= 0.0001 else f32(0) for x in p]
    total = f32(0)
    for x in kept:
        total = total + x
    r = uniform
    inverse = f32(1 / float(total))
    for i, x in enumerate(kept):
        r = r - x * inverse
        if r <= 0:
            return i
    return len(kept) - 1


def softmax(logits: list[float]) -> Array:
    e = np.exp(np.array(logits) - max(logits))
    return (e / e.sum()).astype(f32)


PROBABILITIES = st.lists(st.floats(-12, 12), min_size=1, max_size=40).map(softmax)
UNIFORMS = st.integers(0, 2**31 - 1).map(lambda draw: f32(draw) / f32(2**31))


@given(PROBABILITIES, UNIFORMS)
@example(softmax([0, 0, 0]), f32(0))
@example(softmax([-40, 0, 0]), f32(0))
@example(softmax([0, 0, -40]), f32(1))
@example(softmax([0, 1, 2]), f32(1))
@example(softmax([-9.3, 0]), f32(0.00005))
def test_draw_is_that_of_the_c_program(p: Array, uniform: Any) -> None:
    assert draw(cut_off(p.copy()), uniform) == c_draw(p, uniform)


@given(st.integers(0, 2**32 - 1))
def test_draw_is_that_of_the_c_program_for_many_symbols(seed: int) -> None:
    """Sums of 256 numbers depend on their order."""
    rng = np.random.default_rng(seed)
    p = softmax(list(3 * rng.standard_normal(256)))
    total = f32(0)
    kept = np.where(p.astype(np.float64) >= 0.0001, p, f32(0))
    for x in kept:
        total = total + x
    expected = kept * f32(1 / float(total))
    np.testing.assert_array_equal(cut_off(p.copy()), expected)
    for uniform in rng.random(20, f32):
        assert draw(expected, uniform) == c_draw(p, uniform)


def test_a_draw_of_zero_takes_the_first_symbol_even_if_it_is_impossible() -> None:
    assert draw(np.array([0, 0, 1], f32), f32(0)) == 0
    assert draw(np.array([0, 0, 1], f32), np.nextafter(f32(0), f32(1))) == 2


def test_a_draw_above_the_sum_takes_the_last_symbol() -> None:
    p = np.array([0.5, 0.25, 0.125, 0], f32)
    assert draw(p, f32(0.875)) == 2
    assert draw(p, f32(0.9)) == 3


def test_the_cut_off_is_the_double_number() -> None:
    """f32(.0001) lies below .0001."""
    below = f32(0.0001)
    above = np.nextafter(below, f32(1))
    assert cut_off(np.array([above, 1], f32))[0] > 0
    assert cut_off(np.array([below, 1], f32))[0] == 0


def test_where_all_lie_below_the_cut_off_all_may_be_drawn() -> None:
    """The C program would divide by zero and draw the last symbol for ever."""
    p = np.full(20_000, 1 / 20_000, f32)
    odds = cut_off(p.copy())
    np.testing.assert_allclose(odds, p, rtol=1e-3)
    assert [draw(odds, f32(u)) // 1000 for u in (0.025, 0.525, 0.975)] == [0, 10, 19]


# --- generating ----------------------------------------------------------------------------------

NET = "[net] inputs=9"
RNN = "[rnn] output=5 activation=tanh"
END = ["[connected] output=9 activation=linear", "[softmax]"]
TEXT = np.random.default_rng(8).integers(0, 9, 700)


def network(*sections: str, dtype: Any = np.float32) -> Network:
    return make_network(NET, *(sections or (RNN,)), *END, dtype=dtype, reach=2)


def test_generate_feeds_what_it_draws() -> None:
    """Step by step: the prompt, then a draw from the temperature's odds, which is fed next."""
    net = network(dtype=np.float64)
    rand = Rand(6, net.initial_draws)
    expected: list[int] = []
    state = net.initial_state(1)
    for symbol in [3, 1, 4]:
        logits, state = net.logits(np.array([[symbol]]), state)
    for _ in range(50):
        p = softmax(list(logits[0, 0] / 1.5))
        expected.append(c_draw(p, rand.uniform(0, 1, 1)[0]))
        logits, state = net.logits(np.array([[expected[-1]]]), state)
    assert list(generate(net, bytes([3, 1, 4]), 50, 1.5, seed=6)) == expected
    assert len(set(expected)) > 3


def test_generate_is_a_function_of_seed_prompt_and_temperature() -> None:
    net = network()

    def text(seed: int = 1, prompt: Any = b"\1", temperature: float = 1) -> list[int]:
        return list(generate(net, prompt, 40, temperature, seed))

    assert text() == text() == text(prompt=[1])
    assert text() not in (text(seed=3), text(temperature=3))
    assert len({tuple(text(prompt=[symbol])) for symbol in range(9)}) > 1
    assert text()[:10] == list(generate(net, b"\1", 10, 1, 1))


def test_a_small_temperature_takes_the_likeliest() -> None:
    net = network()
    state = net.initial_state(1)
    symbol = 2
    for drawn in generate(net, [symbol], 20, 1e-4):
        logits, state = net.logits(np.array([[symbol]]), state)
        symbol = int(logits.argmax())
        assert drawn == symbol


def test_an_empty_prompt_stands_for_symbol_0() -> None:
    net = network()
    assert list(generate(net, b"", 30)) == list(generate(net, b"\0", 30))
    assert list(generate(net, length=0)) == []


@pytest.mark.parametrize("section", [RNN, "[gru] output=5", "[lstm] output=5 batch_normalize=1"])
def test_generating_and_scoring_leave_the_networks_own_states_alone(section: str) -> None:
    one, other = network(section), network(section)
    for net in (one, other):
        net.predict(np.array([[5], [6]]))
    text = generate(other, b"\1\2", 10)
    first = [next(text)]
    evaluate(other, TEXT[:20], [1])
    np.testing.assert_array_equal(one.predict(np.array([[7]])), other.predict(np.array([[7]])))
    assert first + list(text) == list(generate(one, b"\1\2", 10))


def test_a_network_of_many_streams_generates_the_same() -> None:
    wide = make_network(f"{NET} batch=6 time_steps=3", RNN, *END, dtype=np.float32, reach=2)
    assert list(generate(wide, b"\1", 30)) == list(generate(network(), b"\1", 30))
    assert evaluate(wide, TEXT, [1]) == evaluate(network(), TEXT, [1])


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_a_temperature_that_is_not_above_0_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        generate(network(), b"\1", 5, temperature)


@pytest.mark.parametrize(("prompt", "offset"), [(b"\1\2\x09", 2), ([-1, 2], 0), ("é".encode(), 0)])
def test_unknown_symbols_are_named_with_their_offset(prompt: Any, offset: int) -> None:
    for name, function in (
        ("prompt", lambda: generate(network(), prompt)),
        ("prompt", lambda: evaluate(network(), [1, 2], prompt)),
        ("text", lambda: evaluate(network(), prompt, [1])),
    ):
        with pytest.raises(CorpusError, match=f"{name}: .* offset {offset} is not .* 0 to 8"):
            function()


# --- scoring -------------------------------------------------------------------------------------


# The state of the first two runs away from any change of the last digits, or beyond all numbers.
# Of the third the text is one symbol; to the last, in C, a character has a probability of 0.
NOT_SCORED = {"cost-below", "dropout-08", "ab-order-24", "inf-variance-213", "ab-order-37"}


@pytest.mark.parametrize("folder", sorted(set(cases("valid")) - NOT_SCORED))
def test_recorded_scores(folder: str) -> None:
    net = recorded_network(folder)
    run = case(RECORDED / folder / "case.json")["valid"]
    with np.errstate(over="ignore"):  # in stair-infinity
        score = evaluate(net, (RECORDED / folder / run["stdin"]).read_bytes(), run["seed"].encode())
    last = (RECORDED / folder / run["stdout"]).read_text().splitlines()[-1].replace(":", "").split()
    alexeyab = net.dialect is ALEXEYAB
    has_norm = any("scale" in tensor.name for tensor in net.tensors())
    tolerance = 1e-3 if alexeyab and has_norm else 1e-4
    assert score.symbols == int(last[0])
    assert score.perplexity == pytest.approx(float(last[-4]), rel=tolerance)
    assert score.word_perplexity == pytest.approx(float(last[-1]), rel=tolerance)
    if not alexeyab:
        assert last[1] == "BPC"
        assert score.bits == pytest.approx(float(last[2]), abs=1e-4)


@pytest.mark.parametrize(
    "section", [RNN, f"{RNN} batch_normalize=1", "[gru] output=5", "[lstm] output=5"]
)
def test_a_score_is_the_mean_over_single_predictions(section: str) -> None:
    net = network(section, dtype=np.float64)
    net.predict(np.array([[4], [2]]))
    nats = []
    for symbol, truth in itertools.pairwise(TEXT):
        p = net.predict(np.array([[symbol]]))
        nats.append(-math.log(p[0, 0, truth]))
    score = evaluate(network(section, dtype=np.float64), TEXT, [4, 2])
    assert score.symbols == len(TEXT) - 1 == len(nats)
    assert score.nats == pytest.approx(np.mean(nats), rel=1e-11)
    assert score.bits == pytest.approx(np.mean(nats) / math.log(2), rel=1e-11)
    assert score.perplexity == pytest.approx(2**score.bits)


def test_words_are_counted_at_blanks_among_the_predicted_characters() -> None:
    net = make_network("[net] inputs=40", "[connected] output=40", "[softmax]")
    for text, words in ((b"\n !", 2), (b"! \n\t!", 4), (b"!!!", 1), (b" !!", 1), (b"!! ", 2)):
        score = evaluate(net, text)
        bits = score.bits * (len(text) - 1)
        assert score.word_perplexity == pytest.approx(2 ** (bits / words))


@pytest.mark.parametrize("section", [RNN, "[gru] output=5", "[lstm] output=5 batch_normalize=1"])
def test_borders_of_chunks_do_not_matter(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def results() -> tuple[float, list[int]]:
        net = network(section, dtype=np.float64)
        return evaluate(net, TEXT, TEXT[:300].tolist()).nats, list(generate(net, TEXT.tolist(), 20))

    whole = results()
    for size in (1, 7, 299, 10_000):
        monkeypatch.setattr(generation, "FEED_STEPS", size)
        monkeypatch.setattr(scoring, "ROWS", size)
        pieces = results()
        assert pieces[0] == pytest.approx(whole[0], rel=1e-11)
        assert pieces[1] == whole[1]


def test_bytes_and_integers_score_alike() -> None:
    expected = evaluate(network(), TEXT, [1])
    assert evaluate(network(), bytes(TEXT.tolist()), b"\1") == expected
    assert evaluate(network(), TEXT.tolist(), [1]) == expected
    assert evaluate(network(), bytearray(TEXT.tolist()), [1]) == expected


def test_a_hopeless_score_is_infinite_rather_than_an_error() -> None:
    net = make_network(NET, "[connected] output=9 activation=linear", "[softmax]")
    net.parameters[...] = 0
    net.parameters[0] = 5000
    score = evaluate(net, [1, 1, 1], [1])
    assert score.nats == pytest.approx(5000)
    assert score.perplexity == score.word_perplexity == math.inf


@pytest.mark.parametrize("text", [b"", b"\1", []])
def test_a_text_too_short_to_score_is_refused(text: Any) -> None:
    with pytest.raises(CorpusError, match=f"text has {len(text)} .*at least 2"):
        evaluate(network(), text)


@pytest.mark.parametrize(
    ("folder", "tolerance"),
    [("rnn-bn-leaky", 1e-4), ("lstm", 1e-4), ("alexeyab-gru", 1e-3), ("alexeyab-rnn-bn", 1e-3)],
)
def test_a_trace_is_the_recorded_line_for_every_character(folder: str, tolerance: float) -> None:
    run = case(RECORDED / folder / "case.json")["valid"]
    weights, cfg = RECORDED / folder / "model.weights", RECORDED / folder / "test.cfg"
    text = RECORDED / folder / run["stdin"]
    outcome = invoke("valid", str(weights), str(text), "--cfg", str(cfg), "--trace", "-q")
    recorded = (RECORDED / folder / run["stdout"]).read_text().splitlines()
    traced = outcome.stdout.decode().splitlines()
    assert len(traced) == len(recorded)
    for line, expected in zip(traced, recorded, strict=True):
        words, others = line.split(), expected.split()
        assert len(words) == len(others)
        for word, other in zip(words[:-1], others[:-1], strict=True):
            if other[0].isdigit():
                assert float(word) == pytest.approx(float(other), rel=tolerance, abs=tolerance)
            else:
                assert word == other
        # The word perplexity is 2 to the bits of all characters: compare its logarithm.
        bits, expected_bits = math.log2(float(words[-1])), math.log2(float(others[-1]))
        assert bits == pytest.approx(expected_bits, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(
    "kind", ["[rnn] output=8", "[crnn] output_filters=8", "[gru] output=8", "[lstm] output=8"]
)
@pytest.mark.parametrize("bn", [0, 1])
def test_samples_are_the_texts_of_the_seeds_that_follow(kind: str, bn: int) -> None:
    net = make_network(
        "[net] inputs=9 batch=2 time_steps=3",
        f"{kind} batch_normalize={bn}",
        "[connected] output=9 activation=linear",
        "[softmax]",
    )
    texts = generate_samples(net, [1, 2, 3], 40, seed=7, samples=3)
    assert [len(text) for text in texts] == [40] * 3
    for number, text in enumerate(texts):
        assert text == list(generate(net, [1, 2, 3], 40, seed=7 + number))


@pytest.mark.parametrize(
    "sections",
    [
        ["[rnn] output=8 batch_normalize=1 shortcut=1", "[connected] output=9"],
        ["[rnn] output=8 logistic=1", "[dropout] probability=.5", "[connected] output=9"],
        ["[gru] output=8 tanh=1", "[gru] output=5", "[connected] output=9 batch_normalize=1"],
        ["[lstm] output=8 batch_normalize=1", "[lstm] output=5", "[connected] output=9"],
        ["[connected] output=6", "[activation] activation=tanh", "[connected] output=9"],
        ["[batchnorm]", "[connected] output=9"],
    ],
)
def test_a_stepper_gives_what_forward_gives(sections: list[str]) -> None:
    net = make_network("[net] inputs=9 batch=1 time_steps=1", *sections, "[softmax]")
    symbols = np.array([3, 1, 4, 1, 5, 8, 2, 6])
    start = tuple(tuple(np.full_like(part, 0.3) for part in own) for own in net.initial_state(1))
    logits, _ = net.logits(symbols[:, None], start)
    step = net.stepper(start)
    for symbol, expected in zip(symbols.tolist(), logits[:, 0], strict=True):
        np.testing.assert_allclose(step(symbol), expected, rtol=1e-12, atol=1e-12)


def test_samples_from_the_command_line() -> None:
    folder = RECORDED / next(iter(cases("generate")))
    path, cfg = str(folder / "model.weights"), ("--cfg", str(folder / "test.cfg"))
    options = ("--length", "30", "--seed", "5", "--prompt", "ab")
    outcome = invoke("generate", path, *cfg, *options, "--samples", "2")
    assert outcome.status == 0, outcome.stderr
    first, second = (
        invoke("generate", path, *cfg, *options[:3], str(seed), *options[4:]).stdout
        for seed in (5, 6)
    )
    assert outcome.stdout == first + second
    assert [line for line in outcome.lines if line.startswith("seed")] == ["seed 5", "seed 6"]
    parted = invoke("generate", path, *cfg, *options, "--samples", "2", "--separator", r"=\x3d")
    assert parted.stdout == first + b"==\n" + second
    greedy = invoke("generate", path, *cfg, *options, "--samples", "2", "--temperature", "0")
    assert greedy.stdout.startswith(b"ab")
    assert "one text" in greedy.stderr


def test_a_long_prompt_is_followed_and_a_session_draws_as_generate() -> None:
    net = make_network("[net] inputs=256", "[rnn] output=4", "[connected] output=256", "[softmax]")
    seen: list[tuple[int, int]] = []
    prompt = b"a" * 600
    text = list(generate(net, prompt, 9, seed=2, progress=lambda *done: seen.append(done)))
    assert seen == [(0, 599), (256, 599), (512, 599)]
    assert text == list(generate(net, prompt, 9, seed=2))
    seen.clear()
    generate_samples(net, prompt, 3, progress=lambda *done: seen.append(done))
    assert seen == [(0, 599), (256, 599), (512, 599)]
    session = generation.Session(net, 2)
    session.feed(prompt)
    assert list(session.write(9)) == text
