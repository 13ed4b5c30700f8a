"""The texts of a run as `train` takes them: numbers for tokens, joined files, sorted lines."""

from __future__ import annotations

import codecs
import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import Outcome, invoke
from tests.support.inputs import SOFTMAX, write_cfg

pytestmark = pytest.mark.usefixtures("run_inputs")

RNN = "[rnn] output=4 activation=tanh"
TOKENS = "[net] inputs=300 batch=2 time_steps=4 learning_rate=.01"
OUTPUTS = "[connected] output=300 activation=linear"


def train(text: str, *args: str) -> Outcome:
    return invoke("train", "net.cfg", text, "--batches", "2", "--seed", "1", *args)


# --- networks of more than 256 symbols -----------------------------------------------------------


def test_a_network_of_many_symbols_refuses_a_plain_text() -> None:
    write_cfg(Path("net.cfg"), TOKENS, RNN, OUTPUTS, SOFTMAX)
    Path("book.txt").write_text("Grüße an alle. " * 90, encoding="utf-8")
    assert "book.txt: token 1 is 'Grüße'" in train("book.txt", "-q").error()
    assert "--tokenized" in train("book.txt", "-q").error()
    assert not Path("backup").exists()


def test_a_network_of_many_symbols_reads_the_same_numbers_in_every_command() -> None:
    """With --tokenized and without it."""
    write_cfg(Path("net.cfg"), TOKENS, RNN, OUTPUTS, SOFTMAX)
    Path("numbers.txt").write_text(" ".join(str(n * n % 300) for n in range(500)))
    weights = set()
    for args in ((), ("--tokenized",)):
        assert train("numbers.txt", *args).status == 0
        weights.add(Path("backup/net_final.weights").read_bytes())
        scored = invoke("valid", "backup", "numbers.txt", "--val", ".1").stdout
        assert scored.startswith(b"tokens              49\n")
        assert invoke("report", "backup", "--force").status == 0
    assert len(weights) == 1


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_the_text_of_its_files_joined() -> None:
    Path("texts").mkdir()
    words = Path("text.txt").read_bytes().strip()
    Path("texts/a.txt").write_bytes(codecs.BOM_UTF8 + words)
    Path("texts/b.txt").write_bytes(codecs.BOM_UTF8 + words)
    Path("joined.txt").write_bytes(words + b"\n" + words)
    weights = set()
    for text in ("texts", "joined.txt"):
        said = train(text)
        assert said.status == 0
        assert ("texts: 2 files read" in said.lines) == (text == "texts")
        assert said.stderr.count("byte-order mark") == (text == "texts")
        weights.add(Path("backup/net_final.weights").read_bytes())
    assert len(weights) == 1


# --- sorted lines --------------------------------------------------------------------------------


def names(count: int) -> list[str]:
    """So many words of four letters, shuffled."""
    words = ["".join(letters) for letters in itertools.product("abehkmrtz", repeat=4)]
    return [words[n] for n in np.random.default_rng(1).permutation(len(words))[:count]]


def is_warned(lines: list[str], *args: str) -> bool:
    Path("my names.txt").write_text("".join(f"{line}\n" for line in lines))
    said = train("my names.txt", *args)
    assert said.status == 0, said.stderr
    told = [line for line in said.lines if line.startswith("warning: the lines")]
    for line in told:
        assert "shuf 'my names.txt' > shuffled.txt" in line
        assert "--val-from spread" in line
    assert len(told) <= 1
    return bool(told)


@pytest.mark.parametrize("count", [120, 4000])
def test_sorted_lines_are_warned_of(count: int) -> None:
    lines = sorted(names(count))
    assert is_warned(lines)
    assert is_warned([line.title() for line in lines])
    assert not is_warned(lines, "--val-from", "spread")
    assert not is_warned(lines, "--val", "0")
    assert not is_warned(lines, "--val", "text.txt")


def test_only_where_all_lines_are_sorted() -> None:
    assert not is_warned(names(4000))
    assert not is_warned(sorted(names(50)))
    # Several lists, a log, and lines that are all the same.
    assert not is_warned(sorted(names(2000)) * 2)
    assert not is_warned([line for n in range(40) for line in sorted(names(4000)[n * 50 :][:50])])
    assert not is_warned([f"{2000 + n} {line}" for n, line in enumerate(names(4000))])
    assert not is_warned(["name"] * 4000)
