"""The names of symbols: read from a text, printed, and shown as labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import CorpusError
from darknet_py.text.symbols import Symbols


def symbols(*names: str, inputs: int = 40) -> Symbols:
    return Symbols(inputs, is_tokens=True, names=list(names), path="names")


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["a", "b"], " b\n\ta  39 ", [1, 0, 39]),
        (["a", "1", "2"], "1 2 3", [1, 2, 3]),
        (["a", "a", ""], "a 1 2", [0, 1, 2]),
        (["a", "a b", "b"], "a b a\nb b", [1, 0, 2, 2]),
        (["a", "\n"], "a\na \n a\r\n\n", [0, 1, 0, 1, 0, 1, 1]),
        (["a", " "], "a   a", [0, 1, 0]),
        (["York", "New York", "New Yorker"], "New Yorker New York York", [2, 1, 0]),
        (["a.b", "a c", "*"], "* a.b a c", [2, 0, 1]),
        ([], "5 6", [5, 6]),
    ],
)
def test_names_in_a_text(names: list[str], text: str, expected: list[int]) -> None:
    assert symbols(*names).read(text.encode(), "text").tolist() == expected


@given(
    names=st.lists(st.sampled_from(["a", "b c", "\n", " ", "d", " e", "f\n", "3"]), unique=True),
    data=st.data(),
)
def test_what_is_printed_reads_back(names: list[str], data: st.DataObject) -> None:
    known = symbols(*names)
    numbers = [n for n in range(20) if n >= len(names) and str(n) not in names]
    drawn = data.draw(st.lists(st.sampled_from([*range(len(names)), *numbers])))
    assert known.read(known.text(drawn).encode(), "text").tolist() == drawn


def test_a_word_that_is_no_name_is_named() -> None:
    with pytest.raises(CorpusError, match="text: word 2 is 'c', which is not a name in names"):
        symbols("a", "b").read(b"b c", "text")
    with pytest.raises(CorpusError, match="symbol 40 at offset 0"):
        symbols("a").read(b"40", "text")


def test_labels_are_one_line() -> None:
    known = symbols("a", "\n", "", " b", "New York")
    assert [known.label(n) for n in range(6)] == ["a", r"'\n'", "''", "' b'", "New York", "5"]
    plain = Symbols(256, is_tokens=False, names=None)
    characters = (b"\n", b"a", "\u03b1".encode(), b"\xc8", b"\xce ")
    told = [r"'\n'", "'a'", "'\u03b1'", "byte 0xc8", "bytes 0xce20"]
    assert [plain.label(character) for character in characters] == told
