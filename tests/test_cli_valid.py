"""`darknet-py valid` and `darknet-py vec`: the numbers of the functions, in their formats."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.inference.evaluation import hidden_vectors, rounded_perplexity
from darknet_py.network import Network
from darknet_py.text.corpus import split
from tests.support.commands import invoke, run
from tests.support.inputs import words

WEIGHTS = "net.weights"

pytestmark = pytest.mark.usefixtures("net")


TEXT = words(150).encode()


@pytest.fixture
def text() -> str:
    Path("text.txt").write_bytes(TEXT)
    return "text.txt"


def test_valid_prints_the_numbers_of_evaluate(tmp_path: Path, net: Network, text: str) -> None:
    outcome = run("valid", WEIGHTS, text, cwd=tmp_path)
    assert outcome.status == 0
    score = dn.evaluate(net, TEXT)
    numbers = dict(re.findall(r"^(\w[\w ]*\w) {2,}(\S+)$", outcome.stdout.decode(), re.MULTILINE))
    assert numbers == {
        "bytes": f"{len(TEXT) - 1:,}",
        "nats per byte": f"{score.nats:.4f}",
        "bits per byte": f"{score.bits:.4f}",
        "perplexity": rounded_perplexity(score.perplexity),
        "word perplexity": rounded_perplexity(score.word_perplexity or 0),
    }


def test_valid_as_json_has_the_fields_of_evaluation(net: Network, text: str) -> None:
    outcome = invoke("valid", WEIGHTS, text, "--json")
    assert outcome.stdout.count(b"\n") == 1
    assert json.loads(outcome.stdout) == dataclasses.asdict(dn.evaluate(net, TEXT))


def test_valid_reads_stdin(net: Network) -> None:
    expected = dataclasses.asdict(dn.evaluate(net, TEXT))
    assert json.loads(invoke("valid", WEIGHTS, "--json", stdin=TEXT).stdout) == expected
    assert json.loads(invoke("valid", WEIGHTS, "-", "--json", stdin=TEXT).stdout) == expected


def test_valid_scores_the_part_that_training_held_out(net: Network, text: str) -> None:
    held_out = bytes(split(np.frombuffer(TEXT, np.uint8), 0.3)[1])
    outcome = invoke("valid", WEIGHTS, text, "--val", ".3", "--json")
    assert json.loads(outcome.stdout) == dataclasses.asdict(dn.evaluate(net, held_out))


def test_the_prompt_of_valid_is_fed_and_not_scored(net: Network, text: str) -> None:
    outcome = invoke("valid", WEIGHTS, text, "--prompt", r"ab\n", "--json")
    expected = dataclasses.asdict(dn.evaluate(net, TEXT, b"ab\n"))
    assert json.loads(outcome.stdout) == expected
    assert expected["nats"] != dn.evaluate(net, TEXT).nats


def test_a_network_that_is_always_wrong_is_still_json(net: Network, text: str) -> None:
    """A word perplexity that no number can hold must not make a file that is no JSON."""
    net.parameters[...] *= 400
    net.save_weights(WEIGHTS)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert dn.evaluate(net, TEXT).word_perplexity == math.inf
    json.loads(invoke("valid", WEIGHTS, text, "--json").stdout, parse_constant=refuse)


@pytest.mark.parametrize("text", ["无法打开文件\n不能\n", "ไม่พบ แฟ้ม ", "ひらがなと カナ ABC\n"])
def test_scripts_without_spaces_have_no_word_perplexity(net: Network, text: str) -> None:
    score = dn.evaluate(net, text * 9)
    assert not score.has_words
    assert "word" not in f"{score}"


@pytest.mark.parametrize(
    "text", ["Не удалось открыть файл. ", "파일을 열 수 없다 ", "ok 无 is one word "]
)
def test_words_of_other_scripts_are_words(net: Network, text: str) -> None:
    assert "word perplexity" in f"{dn.evaluate(net, text * 9)}"


def test_a_text_without_spaces_has_no_word_perplexity(net: Network) -> None:
    for length in (50, 2000):  # a large number, and one that no number holds
        Path("one.txt").write_text("x" * length)
        score = dn.evaluate(net, b"x" * length)
        assert score.word_perplexity is not None
        assert score.word_perplexity > 1e15
        assert "word" not in f"{score}"
        assert b"word" not in invoke("valid", WEIGHTS, "one.txt").stdout
    # Words that are much less likely than by chance are words too.
    for word in ("xx ", "x" * 20 + " "):
        Path("two.txt").write_text(word * 33)
        assert "word perplexity" in f"{dn.evaluate(net, word.encode() * 33)}"
        assert b"word perplexity" in invoke("valid", WEIGHTS, "two.txt").stdout


@pytest.mark.parametrize("data", [b"", b"a", b"abc\0d"])
def test_a_text_that_cannot_be_scored_is_an_error_that_names_it(data: bytes) -> None:
    Path("bad.txt").write_bytes(data)
    assert "bad.txt" in invoke("valid", WEIGHTS, "bad.txt", "-q").error()


def test_a_missing_text_is_an_error() -> None:
    assert "nowhere" in invoke("valid", WEIGHTS, "nowhere", "-q").error()


@pytest.mark.parametrize("val", ["0", "1", "x", "nan"])
def test_wrong_usage_of_valid_is_status_2(text: str, val: str) -> None:
    assert invoke("valid", WEIGHTS, text, "--val", val).status == 2


# --- vec -----------------------------------------------------------------------------------------


LINES = b"one line\n two\tlines \r\n\nlast"


def formatted(rows: Any) -> bytes:
    """The C program's format."""
    return b"".join(
        line + "".join(f",{number:g}" for number in vector.tolist()).encode() + b"\n"
        for line, vector in rows
    )


def test_vec_prints_a_line_and_its_vector(tmp_path: Path, net: Network) -> None:
    Path("lines").write_bytes(LINES)
    outcome = run("vec", WEIGHTS, "lines", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout == formatted(hidden_vectors(net, LINES.splitlines(keepends=True)))
    printed = outcome.stdout.splitlines()
    assert [line.split(b",")[0] for line in printed] == [b"oneline", b"twolines", b"", b"last"]
    for line in printed:
        assert re.fullmatch(rb"\w*(,-?\d+(\.\d+)?(e[+-]\d+)?){8}", line)
    assert invoke("vec", WEIGHTS, stdin=LINES).stdout == outcome.stdout


def test_the_vector_is_the_layers_output_after_the_last_symbol(net: Network) -> None:
    printed = invoke("vec", WEIGHTS, "--prompt", "ab", stdin=b"c d\n").stdout.split(b",")
    state = net.initial_state(1)
    y, _ = net.forward(np.frombuffer(b"abcd ", np.uint8)[:, None], state, count=1)
    np.testing.assert_allclose([float(n) for n in printed[1:]], y[-1, 0], rtol=2e-5)


def test_the_state_runs_on_from_line_to_line_where_asked_for(net: Network) -> None:
    lines = b"same\nsame\n"
    plain = invoke("vec", WEIGHTS, stdin=lines).stdout.splitlines()
    assert plain[0] == plain[1]
    carried = invoke("vec", WEIGHTS, "--carry", stdin=lines).stdout
    assert carried == formatted(hidden_vectors(net, lines.splitlines(), carry=True))
    assert carried.splitlines()[0] == plain[0] != carried.splitlines()[1]


def test_vectors_of_another_layer(net: Network) -> None:
    outcome = invoke("vec", WEIGHTS, "--layer", "2", stdin=b"a\n")
    assert outcome.stdout == formatted(hidden_vectors(net, [b"a"], layer=2))
    numbers = [float(n) for n in outcome.stdout.split(b",")[1:]]
    assert len(numbers) == 256
    assert sum(numbers) == pytest.approx(1, abs=1e-4)
    assert invoke("vec", WEIGHTS, "--layer", "3", stdin=b"a\n").status == 2


def test_vectors_are_saved_as_an_array(net: Network) -> None:
    outcome = invoke("vec", WEIGHTS, "--npy", "vectors.npy", stdin=LINES)
    array = np.load("vectors.npy")
    assert array.dtype == np.float32
    assert array.shape == (4, 8)
    expected = [vector for _, vector in hidden_vectors(net, LINES.splitlines())]
    np.testing.assert_array_equal(array, expected)
    assert outcome.stdout.count(b"\n") == 4


def test_without_lines_vec_prints_nothing() -> None:
    outcome = invoke("vec", WEIGHTS, "-q", "--npy", "none.npy", stdin=b"")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, b"", "")
    assert np.load("none.npy").shape[0] == 0


def test_missing_lines_are_an_error() -> None:
    assert "nowhere" in invoke("vec", WEIGHTS, "nowhere", "-q").error()
