"""Checks of values: what they take from Python and from text, and what they say."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py import checks
from darknet_py.checks import Check, number, one_of, whole
from tests.support.commands import invoke

WORDS: list[tuple[Check[Any], str]] = [
    (whole(1), "a whole number of at least 1"),
    (whole(1, 256), "a whole number from 1 to 256"),
    (number(above=0), "a number above 0"),
    (number(above=0, most=1), "a number above 0 and up to 1"),
    (one_of("a", "b", "c"), "'a', 'b' or 'c'"),
    (checks.TEXT, "a str"),
    (checks.FLAG, "True or False"),
]


@pytest.mark.parametrize(("check", "words"), WORDS)
def test_the_message_names_the_argument_and_what_it_may_be(check: Check[Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^it must be {words}, not <object object"):
        check.checked("it", object())


def test_a_long_wrong_value_is_cut() -> None:
    with pytest.raises(ValueError, match="not 'xxx") as caught:
        whole().checked("it", "x" * 10_000)
    assert len(str(caught.value)) < 150
    with pytest.raises(ValueError, match="it is too large: a number of thousands of digits"):
        number().checked("it", 10**9999)
    with pytest.raises(ValueError, match="it must be a mapping"):
        checks.CFG_KEYS.checked("it", dict.fromkeys(map(str, range(1001)), 1))


def test_numbers_of_any_kind_become_those_of_python() -> None:
    assert type(whole().checked("it", np.uint8(5))) is int
    assert type(number().checked("it", np.float32(2))) is float
    assert number().checked("it", 2) == 2.0
    assert checks.FLAG.checked("it", np.True_) is True
    assert checks.FILE.checked("it", Path("a")) == "a"


TEXTS: list[tuple[Check[Any], str, Any]] = [
    (whole(), "0", 0),
    (whole(), "+007", 7),
    (whole(), "0" * 900 + "7", 7),
    (whole(-5, 5), "-5", -5),
    (number(), "-.5", -0.5),
    (number(), "5.", 5.0),
    (number(), "1E+2", 100.0),
    (number(least=0), "1e-400", 0.0),
    (checks.SECONDS, "5min", 300),
    (checks.SECONDS, "1 hour 2 minutes", 3720),
    (checks.SECONDS, "1h30m", 5400),
    (checks.SECONDS, "7 secs", 7),
    (checks.SECONDS, "2.5", 2.5),
    (checks.SECONDS_OR_0, "0", 0),
    (checks.FRACTION_OR_FILE, ".25", 0.25),
    (checks.FRACTION_OR_FILE, "0", 0),
    (checks.FRACTION_OR_FILE, "2nd.txt", "2nd.txt"),
    (checks.LAYERS, "0-2", {0: 0, 1: 1, 2: 2}),
    (checks.LAYERS, "0, 2=1", {0: 0, 2: 1}),
    (checks.CFG_KEYS, " adam = 1 ", {"adam": "1"}),
]


@pytest.mark.parametrize(("check", "text", "value"), TEXTS)
def test_what_a_text_means(check: Check[Any], text: str, value: Any) -> None:
    assert check.parsed(text) == value


@given(st.dictionaries(st.integers(0, 9999), st.integers(0, 9999), min_size=1, max_size=9))
def test_layers_survive_being_written(layers: dict[int, int]) -> None:
    text = ",".join(f"{a}={b}" if a != b else f"{a}" for a, b in layers.items())
    assert checks.LAYERS.parsed(text) == layers


WRONG: list[tuple[Check[Any], list[str]]] = [
    (whole(), ["", "x", "1.5", "-1", "1_0", "1k", "٣", " 1", "9" * 30, "9" * 900]),
    (whole(), [digit * 10**6 + end for digit in "09" for end in ("", "x")]),
    (whole(1, 9), ["0", "10", "9" * 9000]),
    (number(), ["", "x", "nan", "inf", "1,5", "0x1", "1e39", "-1e39", "1e999", "."]),
    (number(), ["9" * 10**6, "9" * 10**6 + "x", "." + "9" * 10**6 + "x", "1e" + "0" * 10**6]),
    (number(above=0, below=1), ["0", "1", "10%"]),
    (checks.SECONDS, ["", "0", "m", "5 mi", "min", "1h1h", "-5m", "1 2", "1..5", "1e9"]),
    (checks.FRACTION_OR_FILE, ["1", "1.5", "-.1", "10%", "a\nb"]),
    (checks.LAYERS, ["", "x", "2-1", "0,0", "0-1,1", "1-", "99999"]),
    (checks.CFG_KEYS, ["", "adam", "=1", "adam="]),
    (one_of("a", "b"), ["", "A", "c"]),
]


@pytest.mark.parametrize(
    ("check", "text"),
    [pytest.param(check, text, id=repr(text[:20])) for check, texts in WRONG for text in texts],
)
def test_a_text_that_means_nothing_is_told_what_it_should_be(check: Check[Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(check.typed or check.words)):
        check.parsed(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", 1e39])
def test_a_number_is_finite_and_fits_single_precision(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        number().checked("it", value)


@pytest.mark.parametrize(
    ("args", "wrong"),
    [
        (("generate", "x", "--length", "1k"), "'1k' is not a whole number of at least 0"),
        (("generate", "x", "--seed", "-1"), "'-1' is not a whole number from 0 to 4294967295"),
        (("generate", "x", "--top-p", "2"), "'2' is not a number above 0 and up to 1"),
        (("train", "tiny", "x", "--threads", "0"), "'0' is not a whole number from 1 to 1024"),
        (("train", "tiny", "x", "--val", "10%"), "'10%' is not a fraction from 0 to below 1"),
        (("train", "tiny", "x", "--time", "5 x"), "'5 x' is not a time above 0, like 90s"),
        (("train", "tiny", "some\ntext"), "'some\\ntext' is not a path"),
        (("train", "tiny", "x", "--batches", "9" * 5000), "999... is not a whole number of"),
    ],
)
def test_wrong_options_are_told_in_the_same_words(args: tuple[str, ...], wrong: str) -> None:
    outcome = invoke(*args)
    assert outcome.status == 2
    assert wrong in outcome.lines[-1]
    assert len(outcome.lines[-1]) < 200
