"""What the functions of the Python API do with values of the wrong kind: one line that names them,
and no other error.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.inference.evaluation import trace
from darknet_py.inference.generation import generate_samples
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, write_cfg

NO_SYMBOLS: list[Any] = [
    [1.5, 2.5],
    np.array([1.0, 2.0]),
    [1, math.nan],
    [True, False],
    np.array([True, False]),
    [[1, 2]],
    [[1], [2, 3]],
    ["a", "b"],
    5,
    None,
    {1: 2},
]
SYMBOLS: list[Any] = [
    b"ab",
    bytearray(b"ab"),
    memoryview(b"ab"),
    [97, 98],
    (97, 98),
    np.array([97, 98]),
    np.array([97, 98], np.uint64),
    np.array([97, 98], np.int8),
]


@pytest.fixture
def net(tmp_path: Path) -> dn.Network:
    path = write_cfg(tmp_path / "net.cfg", NET, RNN, CONNECTED, SOFTMAX)
    return dn.load_network(path, seed=1, batch=2, time_steps=3)


@pytest.mark.parametrize("wrong", NO_SYMBOLS, ids=repr)
def test_what_is_no_text_is_refused(net: dn.Network, wrong: Any) -> None:
    calls: list[tuple[str, Any]] = [
        ("prompt", lambda: dn.generate(net, wrong, 1)),
        ("stop", lambda: dn.generate(net, b"a", 1, stop=wrong)),
        ("prompt", lambda: generate_samples(net, wrong, 1)),
        ("text", lambda: dn.evaluate(net, wrong)),
        ("prompt", lambda: dn.evaluate(net, b"text", wrong)),
        ("text", lambda: next(trace(net, wrong))),
        ("text", lambda: dn.Session(net).feed(wrong)),
    ]
    for name, call in calls:
        with pytest.raises(
            ValueError, match=f"^{name} must be a str, bytes or a flat sequence of "
        ):
            call()


def test_the_name_of_a_file_is_no_text_to_score(
    net: dn.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("book.txt", "some text\n", "some text " * 1000, ".."):
        assert dn.evaluate(net, text) == dn.evaluate(net, text.encode())
    Path("book.txt").write_text("some text")
    told = r"give what is in it, Path\('book.txt'\).read_bytes\(\)$"
    for score in (dn.evaluate, lambda net, text: next(trace(net, text))):
        with pytest.raises(ValueError, match=told):
            score(net, "book.txt")
    tokens = write_cfg(tmp_path / "tokens.cfg", f"{NET} tokenized=1", RNN, CONNECTED, SOFTMAX)
    Path("tokens.txt").write_text("1 2 3")
    with pytest.raises(ValueError, match=r"Path\('tokens.txt'\).read_text\(\)$"):
        dn.evaluate(dn.load_network(tokens), "tokens.txt")


@pytest.mark.parametrize("text", ["[net]\ninputs=256\n" * 200, "This is a text. " * 100, "a\nb"])
def test_a_text_in_the_place_of_a_path_is_refused_in_short(text: str) -> None:
    calls: list[tuple[str, Any]] = [
        ("cfg", lambda: dn.load_network(text)),
        ("weights", lambda: dn.load_network("tiny", text)),
        ("cfg", lambda: dn.train(text, b"abc" * 1000)),
        ("data", lambda: dn.train("tiny", text)),
        ("val", lambda: dn.train("tiny", b"abc" * 1000, val=text)),
    ]
    for name, call in calls:
        with pytest.raises(ValueError, match=f"^{name} must be a ") as told:
            call()
        assert len(str(told.value)) < 150


@pytest.mark.parametrize("text", SYMBOLS, ids=lambda text: type(text).__name__)
def test_every_kind_of_text_is_the_same_text(net: dn.Network, text: Any) -> None:
    assert dn.evaluate(net, text) == dn.evaluate(net, b"ab")
    written = list(dn.generate(net, b"ab", 9, seed=3))
    assert list(dn.generate(net, text, 9, seed=3)) == written
    end: Any = np.array(written[:2])
    assert list(dn.generate(net, text, 9, seed=3, stop=end)) == written[:2]


def test_an_empty_text_of_any_kind_is_empty(net: dn.Network) -> None:
    empty: list[Any] = [b"", [], (), np.array([], np.int64), np.array([])]
    for text in empty:
        assert list(dn.generate(net, text, 5, seed=3)) == list(dn.generate(net, b"", 5, seed=3))
        with pytest.raises(dn.CorpusError, match="0 bytes; scoring needs at least 2"):
            dn.evaluate(net, text)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *[("length", wrong) for wrong in (-1, 2.5, True, "3", None)],
        *[("seed", wrong) for wrong in (-1, 1.5, True, "3", None, 1 << 32)],
        *[("temperature", wrong) for wrong in (0, -1, math.nan, math.inf, True, "1", None)],
        *[("top_k", wrong) for wrong in (-1, 1.0, True, None)],
        *[("top_p", wrong) for wrong in (0, 1.1, math.nan, True, None)],
        *[("greedy", wrong) for wrong in (1, 0, "no", None)],
    ],
)
def test_generate_refuses_settings_out_of_range_when_it_is_called(
    net: dn.Network, name: str, wrong: Any
) -> None:
    given: dict[str, Any] = {name: wrong}
    with pytest.raises(ValueError, match=f"^{name} must be "):
        dn.generate(net, b"a", **given)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2", None])
def test_counts_of_streams_and_texts(net: dn.Network, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^streams must be a whole number of at least 1"):
        dn.evaluate(net, b"text", streams=wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *("text", b"text", 5, None, [], [1, 2], [[1], [2, 3]], [[1, 2, 3]], [[True, True]] * 3),
        *([[1.0, 2.0]] * 3, [[1, math.nan]] * 3, np.zeros((3, 2), bool), np.zeros((0, 2), int)),
        *(np.zeros((3, 2, 1), int), [["a", "b"]] * 3),
    ],
    ids=repr,
)
def test_what_is_no_datum_is_refused(net: dn.Network, wrong: Any) -> None:
    good = np.ones((3, 2), int)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"^inputs must be integers of shape .* = \(any, 2\)"):
        net.predict(wrong)
    with pytest.raises(ValueError, match=r"^inputs must be integers of shape .* = \(3, 2\)"):
        net.train_batch(wrong, good)
    with pytest.raises(ValueError, match=r"^targets must be integers of shape .* = \(3, 2\)"):
        net.train_batch(good, wrong)
    np.testing.assert_array_equal(net.parameters, before)


def test_a_datum_may_be_lists_or_integers_of_any_width(net: dn.Network) -> None:
    symbols: Any = [[1, 2], [3, 4], [5, 6]]
    expected = net.predict(np.array(symbols))
    for dtype in (np.uint8, np.int16, np.uint64):
        net.reset_state()
        np.testing.assert_array_equal(net.predict(np.array(symbols, dtype)), expected)
    net.reset_state()
    np.testing.assert_array_equal(net.predict(symbols), expected)
    assert math.isfinite(net.train_batch(symbols, symbols))


def test_load_network_names_what_it_cannot_take(tmp_path: Path) -> None:
    path = write_cfg(tmp_path / "net.cfg")
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("cfg must be a path", 5, {}),
        ("cfg must be a path", None, {}),
        ("weights must be a path", path, {"weights": 7}),
        ("seed must be a whole number", path, {"seed": -1}),
        ("seed must be a whole number", path, {"seed": True}),
        ("dialect must be 'auto', ", path, {"dialect": "x"}),
    ]
    for words, cfg, given in cases:
        with pytest.raises(ValueError, match=f"^{words}"):
            dn.load_network(cfg, **given)
    overrides: list[dict[str, Any]] = [
        *({"batch": 2.5}, {"batch": "x"}, {"batch": None}, {"batch": [1]}),
        *({"learning_rate": math.nan}, {"learning_rate": math.inf}, {"policy": 3}),
    ]
    for given in overrides:
        (name,) = given
        with pytest.raises(dn.CfgError, match=f"^override: {name}="):
            dn.load_network(path, **given)
    with pytest.raises(dn.CfgError, match=r"^override temprature='1': \[net\] has no such key; "):
        dn.load_network(path, temprature=1)


@pytest.mark.parametrize("name", ["callback", "stop", "scoring"])
def test_what_is_called_must_be_a_function(name: str, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {name: 3}
    with pytest.raises(ValueError, match=f"{name} must be a function, not 3"):
        dn.train("tiny", b"a text " * 99, out=tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_a_wrong_prompt_is_shown_as_it_was_given(net: dn.Network) -> None:
    for wrong in (300, None, ["Once"], open):
        with pytest.raises(ValueError, match=rf", not {re.escape(repr(wrong))}$"):
            dn.generate(net, wrong)  # type: ignore[arg-type]
    session = dn.Session(net)
    with pytest.raises(ValueError, match=r"sampling must be a Sampling, .* not 0\.5"):
        next(session.write(5, 0.5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count must be a whole number of at least 1, not 'x'"):
        session.likeliest("x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"progress must be a function, not True"):
        dn.evaluate(net, b"abc", progress=True)  # type: ignore[arg-type]
