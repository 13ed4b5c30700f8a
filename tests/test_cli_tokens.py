"""Networks of tokens in every command: numbers, or names from a file."""

from __future__ import annotations

import codecs
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.errors import DarknetError
from darknet_py.inference.evaluation import hidden_vectors, rounded_perplexity, trace
from darknet_py.inference.generation import Session, feed
from darknet_py.inference.sampling import Sampling
from darknet_py.network import Network
from darknet_py.text.symbols import Symbols
from tests.support.commands import invoke
from tests.support.inputs import write_cfg
from tests.support.networks import randomized

# Above and below the number of bytes; the second is of tokens because its cfg says so.
SIZES = [300, 20]
NAMES = ["<NEWLINE>", "New York", "the", "7", "New", "Grüße", *(f"w{n}" for n in range(6, 15))]
SEED = ("--seed", "3", "-q")


def name(symbol: int) -> str:
    """What is printed of a symbol with NAMES."""
    return "\n" if symbol == 0 else NAMES[symbol] if symbol < len(NAMES) else str(symbol)


def printed(symbols: Any, names: bool = False) -> str:
    return "".join(f"{name(symbol) if names else symbol} " for symbol in symbols)


@pytest.fixture(params=SIZES)
def net(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """The network of net.cfg and net.weights in the working directory, where NAMES is a file."""
    monkeypatch.chdir(tmp_path)
    Path("names").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    return saved(request.param)


def saved(size: int) -> Network:
    tokenized = "tokenized=1" if size <= 256 else ""
    sections = (
        f"[net] inputs={size} batch=4 time_steps=8 {tokenized}",
        "[rnn] output=8 activation=tanh",
        f"[connected] output={size} activation=linear",
        "[softmax]",
    )
    net = randomized(dn.load_network(write_cfg(Path("net.cfg"), *sections), batch=1, time_steps=1))
    net.save_weights("net.weights")
    return net


def name_all(net: Network) -> None:
    """Let the file of names have one for each token."""
    names = [*NAMES, *(f"w{n}" for n in range(len(NAMES), net.inputs))]
    Path("names").write_text("\n".join(names) + "\n", encoding="utf-8")


# --- generate ------------------------------------------------------------------------------------


def generated(*args: str, stdin: bytes = b"") -> str:
    outcome = invoke("generate", "net.weights", *SEED, "--length", "40", *args, stdin=stdin)
    assert outcome.status == 0, outcome.stderr
    return outcome.stdout.decode()


def test_a_prompt_is_numbers_or_names(net: Network) -> None:
    prompt = [1, 19, 2, 0, 3, 5]
    drawn = list(dn.generate(net, prompt, 40, seed=3))
    numbers = "1 19 2\n 0\t3 5"
    assert generated("--prompt", numbers) == printed(prompt + drawn) + "\n"
    assert generated("--prompt", numbers, "--no-prompt") == printed(drawn) + "\n"
    Path("prompt").write_text(numbers)
    assert generated("--prompt-file", "prompt") == printed(prompt + drawn) + "\n"
    names = ("--tokens", "names")
    expected = printed(prompt + drawn, names=True) + "\n"
    assert generated("--prompt", r"New York 19 the\n7 Grüße", *names) == expected
    Path("prompt").write_text("New York 19 the\n7 Grüße", encoding="utf-8")
    assert generated("--prompt-file", "prompt", *names) == expected
    assert generated("--prompt-file", "-", *names, stdin=Path("prompt").read_bytes()) == expected


def test_without_a_prompt_symbol_0_is_fed_and_not_printed(net: Network) -> None:
    drawn = printed(dn.generate(net, [0], 40, seed=3)) + "\n"
    assert generated() == generated("--prompt", "") == generated("--prompt", "  ") == drawn
    assert generated("--prompt", "0") == "0 " + drawn


def test_a_text_of_tokens_ends_at_the_stop(net: Network) -> None:
    drawn = list(dn.generate(net, [2], 40, seed=3))
    stop = drawn[10:12]
    end = next(n for n in range(1, 40) if drawn[n - 1 : n + 1] == stop) + 1
    text = " ".join(map(str, stop))
    assert generated("--prompt", "2", "--stop", text) == printed([2, *drawn[:end]]) + "\n"
    named = generated("--prompt", "the", "--tokens", "names", "--stop", printed(stop, names=True))
    assert named == printed([2, *drawn[:end]], names=True) + "\n"


def test_samples_of_tokens(net: Network) -> None:
    args = ("--samples", "2", "--prompt", "the", "--tokens", "names", "--separator", "===")
    texts = generated(*args).split("===\n")
    assert [text.split(" ")[0] for text in texts] == ["the", "the"]


@pytest.mark.parametrize("option", ["--prompt", "--stop"])
@pytest.mark.parametrize("wrong", ["Once", "-1", "1.5", "²", r"5 \xff", "5 1234567890123"])
def test_what_is_no_token_is_an_error_that_says_what_is_one(
    net: Network, option: str, wrong: str
) -> None:
    error = invoke("generate", "net.weights", *SEED, f"{option}={wrong}").error()
    for part in (option, f"word {len(wrong.split())} ", f"0 to {net.inputs - 1}", "--tokens FILE"):
        assert part in error
    name_all(net)
    args = (f"{option}={wrong}", "--tokens", "names")
    error = invoke("generate", "net.weights", *SEED, *args).error()
    for part in (option, f"word {len(wrong.split())} ", f"0 to {net.inputs - 1}", "name in names"):
        assert part in error


def test_a_number_beyond_the_network_is_an_error(net: Network) -> None:
    error = invoke("generate", "net.weights", *SEED, "--prompt", f"2 {net.inputs}").error()
    assert f"symbol {net.inputs} at offset 1" in error
    assert f"0 to {net.inputs - 1}" in error


def test_inference_tokens_in_turns(net: Network) -> None:
    session = Session(net, 3)
    turns, labels = [], [Symbols.of(net), Symbols.of(net, "names")]
    for text in ([2, 0, 1], [], [19]):
        session.feed(text)
        turns.append(list(session.write(6, Sampling(0.7))))
        if not text:
            likeliest = np.argsort(-session.probabilities(0.7), kind="stable")[:10].tolist()
    lines = {
        False: ["2 0 1", "", "zz", ":odds", ":help", "19"],
        True: [r"the\nNew York", "", "zz", ":odds", ":help", "19"],
    }
    for names, typed in lines.items():
        more = ("--tokens", "names") if names else ()
        args = ("generate", "net.weights", "--interactive", "--length", "6", *SEED, *more)
        outcome = invoke(*args, stdin="\n".join(typed).encode())
        expected = "".join(printed(turn, names) + "\n" for turn in turns)
        assert outcome.stdout.decode() == expected
        odds = re.findall(r"^ +\d+\.\d\d%  (.+)$", outcome.stderr, re.MULTILINE)
        assert odds == [labels[names].label(symbol) for symbol in likeliest]
        assert "word 1 is 'zz'" in outcome.stderr
        assert "works on tokens" in outcome.stderr
        started = invoke(*args, "--prompt", typed[0], stdin=b"").stdout.decode()
        assert started == printed([2, 0, 1, *turns[0]], names) + "\n"


# --- valid ---------------------------------------------------------------------------------------

TEXT = [2, 1, 0, 5, 19, 3, 3, 4]


def test_valid_scores_numbers_and_names(net: Network) -> None:
    Path("numbers").write_text(" ".join(map(str, TEXT)) + "\n")
    Path("text").write_text(printed(TEXT, names=True), encoding="utf-8")
    score = dn.evaluate(net, TEXT)
    assert score == dn.evaluate(net, TEXT, [])
    assert score.word_perplexity is None
    for args in (("numbers",), ("text", "--tokens", "names")):
        outcome = invoke("valid", "net.weights", *args, "-q")
        assert outcome.stdout.decode().splitlines() == [
            f"tokens              {len(TEXT) - 1}",
            f"nats per token      {score.nats:.4f}",
            f"bits per token      {score.bits:.4f}",
            f"perplexity          {rounded_perplexity(score.perplexity)}",
        ]
        found = json.loads(invoke("valid", "net.weights", *args, "--json", "-q").stdout)
        assert found["word_perplexity"] is None
        assert found["nats"] == score.nats
        lines = invoke("valid", "net.weights", *args, "--trace", "-q").stdout.decode().splitlines()
        assert lines == [
            f"{now.symbols} BPC: {now.bits:4.4f}   Perplexity: {now.perplexity:4.4f}"
            for now in trace(net, TEXT)
        ]


def test_the_prompt_of_valid_is_tokens(net: Network) -> None:
    Path("numbers").write_text(" ".join(map(str, TEXT)))
    Path("text").write_text(printed(TEXT, names=True), encoding="utf-8")
    expected = dn.evaluate(net, TEXT, [2, 1, 0]).nats
    assert expected != dn.evaluate(net, TEXT).nats
    for args in (
        ("numbers", "--prompt", "2 1 0"),
        ("text", "--tokens", "names", "--prompt", r"the New York \n"),
    ):
        found = json.loads(invoke("valid", "net.weights", *args, "--json", "-q").stdout)
        assert found["nats"] == expected
    assert "--prompt: word 1" in invoke("valid", "net.weights", "numbers", "--prompt", "x").stderr


def test_a_text_that_is_no_tokens_is_an_error_that_names_it(net: Network) -> None:
    Path("bad").write_bytes(b"2 1\nOnce upon")
    error = invoke("valid", "net.weights", "bad", "-q").error()
    assert "bad: word 3 is 'Once'" in error
    assert "--tokens" in error
    name_all(net)
    error = invoke("valid", "net.weights", "bad", "--tokens", "names", "-q").error()
    assert "word 4 is 'Once'" in error
    Path("bad").write_bytes(b" \n")
    assert "bad: no tokens" in invoke("valid", "net.weights", "bad", "-q").error()
    error = invoke("valid", "net.weights", "bad", "--tokens", "nowhere", "-q").error()
    assert "nowhere" in error


# --- vec -----------------------------------------------------------------------------------------


def test_vectors_of_lines_of_tokens(net: Network) -> None:
    def row(shown: str, symbols: list[int]) -> str:
        state = feed(net, np.array(symbols[:-1], int), net.initial_state(1))
        y, _ = net.forward(np.array(symbols[-1:])[:, None], state, count=1)
        return shown + "".join(f",{number:g}" for number in y[-1, 0].tolist())

    outcome = invoke("vec", "net.weights", "-q", stdin=b" 2  1\t19 \r\n\n3")
    assert outcome.stdout.decode().splitlines() == [
        row("2 1 19", [2, 1, 19]),
        row("", [0]),
        row("3", [3]),
    ]
    args = ("vec", "net.weights", "-q", "--tokens", "names", "--prompt", r"the\n")
    outcome = invoke(*args, stdin="the  New York\nGrüße\n\n".encode())
    assert outcome.stdout.decode().splitlines() == [
        row("the New York", [2, 0, 2, 1]),
        row("Grüße", [2, 0, 5]),
        row("", [2, 0]),
    ]
    assert "line 2: word 1 is 'x'" in invoke("vec", "net.weights", "-q", stdin=b"1\nx").stderr
    one, other = (vector for _, vector in hidden_vectors(net, [b"1", b"1"], carry=True))
    assert not np.array_equal(one, other)


# --- report --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_report_about_a_run_on_tokens(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(size)
    Path("names").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    tokens = [n * n % 17 for n in range(900)]
    Path("tokens").write_text(" ".join(map(str, tokens)))
    args = ("--batches", "20", "--val-every", "10", "--sample-every", "1", "--seed", "1", "-q")
    assert invoke("train", "net.cfg", "tokens", "--tokenized", *args).status == 0

    def page(*args: str) -> str:
        outcome = invoke("report", "backup", "-q", *args)
        assert outcome.status == 0, outcome.stderr
        text = Path("backup/net.html").read_text(encoding="utf-8")
        assert "nats per token" in text
        told = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
        assert "character" not in told
        return text

    def passages(text: str) -> list[str]:
        return [re.sub(r"<[^>]*>", "", pre) for pre in re.findall(r"<pre>(.*?)</pre>", text, re.S)]

    held_out = tokens[-90:]
    assert printed(held_out) in passages(page())
    named = passages(page("--tokens", "names"))
    assert printed(held_out, names=True) in named
    lines = Path("backup/net.samples").read_text(encoding="utf-8").splitlines()
    samples = [[int(word) for word in json.loads(line)["text"].split()] for line in lines]
    assert named[: len(samples)] == [printed(sample, names=True) for sample in samples]
    assert len(samples) == 2
    Path("text").write_text(printed(TEXT, names=True), encoding="utf-8")
    assert printed(TEXT, names=True) in passages(page("--text", "text", "--tokens", "names"))
    assert "text: word 1 is 'the'" in invoke("report", "backup", "-q", "--text", "text").error()


# --- files of names ------------------------------------------------------------------------------


def test_a_mark_is_no_part_of_the_first_name(net: Network) -> None:
    Path("marked").write_bytes(codecs.BOM_UTF8 + Path("names").read_bytes())
    texts = {generated("--prompt", r"the\n", "--tokens", file) for file in ("names", "marked")}
    assert len(texts) == 1
    Path("text").write_bytes(codecs.BOM_UTF8 + b"the\nNew York")
    assert Symbols.of(net, "marked").read_file("text").tolist() == [2, 0, 1]


@pytest.mark.parametrize("count", [3, 19, 20, 21])
def test_names_that_are_not_as_many_as_the_symbols_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """With both counts, in every command."""
    monkeypatch.chdir(tmp_path)
    saved(20)
    Path("names").write_text("".join(f"w{n}\n" for n in range(count)))
    Path("numbers").write_text("0 1 2 " * 200)
    run = ("--batches", "2", "--seed", "1", "--tokenized", "-q")
    assert invoke("train", "net.cfg", "numbers", *run).status == 0
    for command in (
        ("generate", "net.weights", "--length", "5"),
        ("valid", "net.weights", "numbers"),
        ("vec", "net.weights", "numbers"),
        ("report", "backup"),
        ("export", "net.weights", "page.html"),
        ("rnn", "generate", "net.cfg", "net.weights", "-len", "5", "-srand", "1"),
    ):
        option = "-tokens" if command[0] == "rnn" else "--tokens"
        outcome = invoke(*command, option, "names", "-q")
        assert outcome.status == 0
        told = [line for line in outcome.lines if f"{count} names" in line and "20 symbols" in line]
        assert len(told) == (count != 20)


# --- networks of bytes ---------------------------------------------------------------------------


def test_names_of_bytes_are_only_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    randomized(dn.load_network(write_cfg(Path("net.cfg")))).save_weights("net.weights")
    Path("names").write_text("a\nb\n")
    Path("text").write_text("some text")
    for command in ("valid", "vec"):
        error = invoke(command, "net.weights", "text", "--tokens", "names", "-q").error()
        assert "tokenized=1" in error
    with pytest.raises(DarknetError, match="tokenized=1"):
        Symbols.of(dn.load_network("net.cfg"), "names")


@pytest.mark.parametrize(
    ("seed", "seeds"),
    [("0", [1, 2, 3]), ("1", [1, 2, 3]), ("4294967295", [4294967295, 1, 2])],
)
def test_texts_of_neighboring_seeds_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: str, seeds: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    net = saved(20)
    args = ("generate", "net.weights", "-q", "--length", "20", "--seed", seed, "--samples", "3")
    for side_by_side in (64, 2, 1):
        monkeypatch.setattr("darknet_py.cli.generate.SIDE_BY_SIDE", side_by_side)
        texts = (printed(dn.generate(net, length=20, seed=n)) for n in seeds)
        expected = "".join(f"{text}\n" for text in texts)
        assert invoke(*args).stdout.decode() == expected


def test_a_text_from_an_empty_prompt_can_be_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = randomized(dn.load_network(write_cfg(Path("net.cfg"))))
    net.parameters[-256:] += np.where(np.arange(256) < 32, -100, 0)
    net.save_weights("net.weights")
    outcome = invoke("generate", "net.weights", "--prompt", "", *SEED, "--length", "300")
    Path("text").write_bytes(outcome.stdout)
    assert b"\0" not in outcome.stdout
    assert invoke("train", "net.cfg", "text", "--batches", "1", "--val", "0", "-q").status == 0


def test_a_folder_with_one_weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(20)
    Path("one").mkdir()
    shutil.copy("net.cfg", "one/model.cfg")
    shutil.copy("net.weights", "one/model.weights")
    Path("one/._model.weights").touch()
    Path("one/other.weights").mkdir()
    expected = invoke("generate", "net.weights", *SEED).stdout
    outcome = invoke("generate", "one", "--seed", "3")
    assert outcome.stdout == expected
    assert outcome.lines[0] == f"weights: {Path('one') / 'model.weights'}"
    shutil.copy("net.weights", "one/more.weights")
    assert "(model.weights, more.weights)" in invoke("generate", "one", *SEED).error()
