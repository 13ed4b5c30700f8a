"""`darknet-py rnn valid`, `validtactic` and `vec`, and what AlexeyAB's program has of its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.dialect import ALEXEYAB
from darknet_py.network import Network
from tests.support.c_program import (
    COMMANDS,
    recorded,
    write_chain,
)
from tests.support.commands import Outcome, invoke
from tests.support.inputs import write_cfg
from tests.support.networks import make_network
from tests.support.recorded import cases, recorded_network

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("folder")]


UPSTREAM_VALID = ["gru-bn", "gru-custom", "lstm", "lstm-bn"]
ALEXEYAB_VALID = [name for name in cases("valid") if name.startswith("alexeyab")]


def score(name: str, command: str) -> tuple[str, str]:
    """What the command printed, and what was recorded."""
    path, record = recorded(name)
    each = record[command]
    outcome = invoke(
        *("rnn", command, path / "test.cfg", path / "model.weights", "-seed", each["seed"]),
        stdin=(path / each["stdin"]).read_bytes(),
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    return outcome.stdout.decode(), (path / each["stdout"]).read_text()


@pytest.mark.parametrize("command", ["valid", "vec"])
@pytest.mark.parametrize("name", UPSTREAM_VALID)
def test_valid_and_vec_print_the_recorded_bytes(name: str, command: str) -> None:
    ours, theirs = score(name, command)
    assert ours == theirs
    assert ours


@pytest.mark.parametrize("command", ["valid", "vec"])
@pytest.mark.parametrize("name", ALEXEYAB_VALID)
def test_valid_and_vec_of_alexeyab(name: str, command: str) -> None:
    """Rounded differently in the last digit; without bits per character."""
    ours, theirs = score(name, command)
    number = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"
    assert re.sub(number, "#", ours) == re.sub(number, "#", theirs)
    assert "BPC" not in ours
    numbers = [[float(n) for n in re.findall(number, text)] for text in (ours, theirs)]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-5, atol=1e-6)
    if command == "valid":
        assert re.fullmatch(r"(\d+ Perplexity: \d+\.\d{4}    Word Perplexity: \d+\.\d{4}\n)+", ours)


def tactic_lines(net: Network, text: bytes, prompt: bytes) -> list[tuple[int, int, float, float]]:
    """`valid_tactic_rnn` of the C program, written out."""
    for symbol in prompt:
        net.predict(np.array([[symbol]]))
    lines = []
    total, count, words, inside = 0.0, 0, 1, False
    c = text[0]
    for following in text[1:]:
        out = net.predict(np.array([[c]]))[0, 0]
        if c == ord(".") and following == ord("\n"):
            inside = False
        if not inside:
            if c == ord(">") and following == ord(">"):
                inside = True
                words += 1
            c = following
            continue
        count += 1
        total += np.log2(float(out[following]))
        c = following
        lines.append((count, words, 2 ** (-total / count), 2 ** (-total / words)))
    return lines


@pytest.mark.parametrize(
    "text",
    [
        b"1+2>>3.\n4+1>>5.\nno\n>>>6.7. .\n\n>>x\n.",
        b">>a.\n.\n>>b",
        b"nothing. here > > is scored.\n",
    ],
)
def test_validtactic_scores_what_c_scores(text: bytes) -> None:
    path, _ = recorded("lstm")
    outcome = invoke(
        *("rnn", "validtactic", path / "test.cfg", path / "model.weights", "-seed", "q"),
        stdin=text,
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    expected = tactic_lines(recorded_network("lstm"), text, b"q")
    assert bool(expected) == (b">>" in text)
    printed = outcome.stdout.decode().splitlines()
    form = r"(\d+) (\d+) Perplexity: (\d+\.\d{4})    Word Perplexity: (\d+\.\d{4})"
    for line, numbers in zip(printed, expected, strict=True):
        found = re.fullmatch(form, line)
        assert found is not None
        assert (int(found[1]), int(found[2])) == numbers[:2]
        np.testing.assert_allclose([float(found[3]), float(found[4])], numbers[2:], rtol=1e-3)


def test_valid_scores_nul_bytes(folder: Path) -> None:
    chain = write_chain(folder, {"a": "\0", "\0": "b"})
    outcome = invoke("rnn", "valid", *chain, stdin=b"a\0b")
    assert outcome.status == 0
    last = outcome.stdout.splitlines()[-1]
    assert re.fullmatch(rb"2 BPC: -?0\.0000   Perplexity: 1\.0000    Word .*", last)


def test_one_character_has_nothing_to_score() -> None:
    path, _ = recorded("lstm")
    for command in ("valid", "validtactic"):
        files = (path / "test.cfg", path / "model.weights")
        assert invoke("rnn", command, *files, stdin=b"a") == Outcome(0, b"", "")


def test_vec_runs_on_from_line_to_line_and_feeds_no_blanks() -> None:
    path, _ = recorded("lstm")
    command = ("rnn", "vec", path / "test.cfg", path / "model.weights")
    lines = invoke(*command, stdin=b"one two\nonetwo\n\tone\ttwo").stdout.splitlines()
    assert [line.split(b",")[0] for line in lines] == [b"onetwo"] * 3
    assert len(set(lines)) == 3
    assert {line.count(b",") for line in lines} == {24}
    net = recorded_network("lstm")
    for line in lines:
        for symbol in b"\n\nonetwo ":
            y, net.prediction_state = net.forward(
                np.array([[symbol]]), net.prediction_state, count=1
            )
        found = [float(number) for number in line.split(b",")[1:]]
        np.testing.assert_allclose(found, y[0, 0], rtol=1e-4, atol=1e-6)


# --- what AlexeyAB's program has of its own ------------------------------------------------------

AB = ["[net] inputs=128", "[connected] output=128 activation=linear", "[softmax]"]


@pytest.fixture
def ab(folder: Path) -> list[str | Path]:
    """A cfg, and weights that say that they are AlexeyAB's."""
    write_cfg(folder / "ab.cfg", *AB)
    make_network(*AB, dialect=ALEXEYAB, dtype=np.float32, reach=0.2).save_weights("ab.weights")
    return ["ab.cfg", "ab.weights"]


def test_blanks_but_spaces_are_deleted_from_the_prompt_of_alexeyab(
    ab: list[str | Path], folder: Path
) -> None:
    """The default has newlines all the same."""
    for seed, printed in (
        ("a\nb\tc \rd", b"abc d"),
        ("\t\n", b"\0"),
        ("\n\n", b"\n\n"),
        (None, b"\n\n"),
    ):
        args = [] if seed is None else ["-seed", seed]
        outcome = invoke("rnn", "generate", *ab, *args, "-len", "0", "-srand", "1")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout == printed + b"\n"
    make_network(*AB, dtype=np.float32).save_weights("up.weights")
    outcome = invoke("rnn", "generate", "ab.cfg", "up.weights", "-seed", "a\nb", "-len", "0")
    assert outcome.stdout == b"a\nb\n"


@pytest.mark.parametrize("command", ["generate", "generatetactic"])
def test_names_are_printed_as_their_bytes(command: str, ab: list[str | Path], folder: Path) -> None:
    args = ("-tokens", "names", "-len", "2", "-seed", "")
    count = 3 if command == "generate" else 2
    make_network(*AB, dtype=np.float32).save_weights("up.weights")
    for name, by_alexeyab, by_upstream in (
        (b"<NEWLINE>", b"<NEWLINE>", b"\n"),
        (b"<NEWLINE>\r", b"<NEWLINE>", b"<NEWLINE>\r"),
        (b"caf\xe9\r\r", b"caf\xe9\r", b"caf\xe9\r\r"),
    ):
        (folder / "names").write_bytes((name + b"\n") * 128)
        outcome = invoke("rnn", command, *ab, *args, stdin=b"a")
        assert outcome.stdout == (by_alexeyab + b" ") * count + b"\n"
        outcome = invoke("rnn", command, "ab.cfg", "up.weights", *args, stdin=b"a")
        assert outcome.stdout == (by_upstream + b" ") * count + b"\n"


@pytest.mark.parametrize("layer", ["[batchnorm]", "[crnn] output=128 size=1 hidden=3"])
def test_every_command_runs_layers_that_only_alexeyab_has(layer: str, folder: Path) -> None:
    """[batchnorm] does not run in upstream's program, and is refused there."""
    sections = [*AB[:2], layer, AB[2]]
    write_cfg(folder / "my.cfg", *sections)
    make_network(*sections, dialect=ALEXEYAB, dtype=np.float32).save_weights("my.weights")
    for command in COMMANDS:
        args = ("my.cfg", "my.weights", "-len", "5", "-seed", "ab", "-srand", "1")
        outcome = invoke("rnn", command, *args, stdin=b">>ab.\n")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout
        assert b"BPC" not in outcome.stdout
    if layer == "[batchnorm]":
        make_network(*sections, dtype=np.float32).save_weights("my.weights")
        assert "the C program cannot run it" in invoke("rnn", "generate", *args[:2]).error()


@pytest.mark.parametrize("command", ["valid", "validtactic", "vec"])
def test_scores_draw_first_weights_from_seed_1_whatever_srand_is(command: str) -> None:
    """C calls `srand` in generate, generatetactic and train only."""
    path, _ = recorded("lstm")
    printed = {
        invoke("rnn", command, path / "test.cfg", *args, stdin=b">>ab.\n").stdout
        for args in ([], ["-srand", "5"], ["-srand", "1"])
    }
    assert len(printed) == 1
    net = load_network(path / "test.cfg", seed=1)
    net.save_weights("one.weights")
    drawn_ = invoke("rnn", command, path / "test.cfg", "one.weights", stdin=b">>ab.\n").stdout
    assert printed == {drawn_}
