"""Choosing the next symbol: darknet's way, and the restrictions that users know from elsewhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.inference.generation import Session, generate, generate_samples
from darknet_py.inference.sampling import Sampling, cut_off, draw
from darknet_py.network import Network
from darknet_py.rand import Rand
from tests.support.networks import make_network
from tests.support.recorded import RECORDED, recorded_network

ODDS = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=12).filter(lambda p: sum(p) > 0.1)


def normal(p: list[float]) -> np.ndarray:
    array = np.array(p, np.float32)
    return array / array.sum()


@pytest.fixture(name="net")
def _net() -> Network:
    net = make_network(
        "[net] inputs=9 batch=2 time_steps=3",
        "[gru] output=8",
        "[connected] output=9 activation=linear",
        "[softmax]",
    )
    net.initialize(Rand(3))
    for tensor in net.tensors():
        tensor.values *= 3
    return net


@given(ODDS, st.floats(0, 1, width=32))
def test_without_restrictions_it_is_darknets_draw(p: list[float], uniform: float) -> None:
    ours = Sampling().choose(normal(p), np.float32(uniform))
    assert ours == draw(cut_off(normal(p)), np.float32(uniform))


@given(ODDS, st.floats(0, 1, width=32), st.integers(1, 12))
def test_top_k_draws_one_of_the_k_likeliest(p: list[float], uniform: float, k: int) -> None:
    odds = Sampling(top_k=k).odds(normal(p))
    assert np.count_nonzero(odds) <= k
    assert odds.sum() == pytest.approx(1, abs=1e-5)
    chosen = Sampling(top_k=k).choose(normal(p), np.float32(uniform))
    assert np.count_nonzero(np.array(p, np.float32) > np.float32(p[chosen])) < k
    assert odds[chosen] > 0


@given(ODDS, st.floats(0, 1, width=32), st.floats(0.01, 1, exclude_max=True))
def test_top_p_draws_from_the_least_set_that_has_it(
    p: list[float], uniform: float, top_p: float
) -> None:
    before = cut_off(normal(p))
    odds = Sampling(top_p=top_p).odds(normal(p))
    kept = odds > 0
    assert before[kept].sum() >= top_p - 1e-4
    without_the_least = before[kept].sum() - before[kept].min()
    assert without_the_least < top_p + 1e-4
    assert before[~kept].max(initial=0) <= before[kept].min()
    assert odds[Sampling(top_p=top_p).choose(normal(p), np.float32(uniform))] > 0


def test_restrictions_keep_the_ratios() -> None:
    p = normal([5, 1, 3, 1])
    np.testing.assert_allclose(Sampling(top_k=2).odds(p.copy()), [0.625, 0, 0.375, 0], rtol=1e-6)
    np.testing.assert_allclose(Sampling(top_p=0.8).odds(p.copy()), [0.625, 0, 0.375, 0], rtol=1e-6)
    np.testing.assert_allclose(Sampling(top_p=0.5).odds(p.copy()), [1, 0, 0, 0])


@given(ODDS)
def test_greedy_takes_the_likeliest_and_top_k_of_1_too(p: list[float]) -> None:
    likeliest = int(np.argmax(np.array(p, np.float32)))
    assert Sampling(greedy=True).choose(normal(p), np.float32(0.9)) == likeliest
    chosen = int(Sampling(top_k=1).choose(normal(p), np.float32(0.9)))
    assert p[chosen] == pytest.approx(p[likeliest], rel=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], net: Network) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=next(iter(wrong))):
        generate(net, [1], 3, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sampling", "stop"),
    [
        (Sampling(top_k=3), []),
        (Sampling(top_p=0.6), []),
        (Sampling(greedy=True), []),
        (Sampling(), [4]),
    ],
)
def test_samples_are_restricted_as_one_text_is(
    sampling: Sampling, stop: list[int], net: Network
) -> None:
    how: dict[str, Any] = {"sampling": sampling, "stop": stop}
    for number, text in enumerate(generate_samples(net, [1, 2], 60, seed=5, samples=3, **how)):
        assert text == list(generate(net, [1, 2], 60, seed=5 + number, **how))


def test_a_text_ends_once_it_has_what_stops_it(net: Network) -> None:
    whole = list(generate(net, [1], 200, 1.0, seed=2))
    stop = whole[50:53]
    text = list(generate(net, [1], 200, 1.0, seed=2, stop=stop))
    assert text == whole[: len(text)]
    assert text[-3:] == stop
    first = next(i for i in range(200) if whole[i : i + 3] == stop)
    assert len(text) == first + 3


def test_a_session_writes_what_generate_writes_and_remembers_it(net: Network) -> None:
    session = Session(net, seed=4)
    session.feed([1, 2])
    expected = list(generate(net, [1, 2], 30, seed=4))
    assert list(session.write(10, Sampling())) + list(session.write(20, Sampling())) == expected
    # Whatever is asked in between changes nothing.
    session.probabilities(0.3)
    p = session.probabilities()
    np.testing.assert_array_equal(p, session.probabilities(1.0))
    assert p.sum() == pytest.approx(1)
    before = session.probabilities().copy()
    session.reset()
    assert np.abs(session.probabilities() - before).max() > 1e-6
    fresh = Session(net)
    np.testing.assert_array_equal(fresh.probabilities(), session.probabilities())


def test_the_temperature_acts_on_every_softmax() -> None:
    """As in C, and if it changes, on the whole text."""
    net = recorded_network("modern-temperature-below")
    session = Session(net, seed=3)
    session.feed(b'!"')
    session.probabilities(0.5)
    written = bytes(session.write(80, Sampling(0.3)))
    folder = RECORDED / "modern-temperature-below"
    assert b'!"' + written + b"\n" == (folder / "generate_3_0.3.txt").read_bytes()
    [likeliest, *_] = session.likeliest(1, 0.4)
    assert likeliest[0] == pytest.approx(session.probabilities(0.4).max())
    [sample, _] = generate_samples(net, b'!"', 80, seed=3, sampling=Sampling(0.3))
    assert bytes(sample) == written
    # Its own are kept.
    p = net.predict([[33], [34]])[-1, 0]
    session.reset()
    session.feed(b'!"')
    np.testing.assert_allclose(session.probabilities(1.0), p, rtol=1e-5)


def test_a_session_that_is_left_off_has_said_what_it_showed(net: Network) -> None:
    session, other = Session(net, seed=4), Session(net, seed=4)
    shown = list(itertools.islice(session.write(50, Sampling()), 7))
    list(other.write(len(shown), Sampling()))
    np.testing.assert_array_equal(session.probabilities(), other.probabilities())
