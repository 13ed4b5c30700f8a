"""The engine writes what numpy writes, many symbols a call, with any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darknet_py.engine import choose, writer
from darknet_py.inference import generation
from darknet_py.inference.generation import Session, generate, generate_samples
from darknet_py.inference.sampling import Sampling
from darknet_py.network import Network
from tests.support.networks import make_network

SECTIONS = [
    "[rnn] output=37 activation=leaky batch_normalize=1 shortcut=1",
    "[rnn] output=37 hidden=20 activation=tanh",
    "[gru] output=37 tanh=1",
    "[gru] output=20 batch_normalize=1",
    "[lstm] output=37",
    "[connected] output=37 activation=leaky batch_normalize=1",
]
LENGTH = 150


def make(section: str, engine: str = "numpy") -> Network:
    sections = (section, "[dropout]", section, "[connected] output=31 activation=linear")
    first = "[net] inputs=31 batch=2 time_steps=3"
    return make_network(
        first, *sections, "[softmax]", dtype=np.float32, reach=0.4, tier=choose(engine)
    )


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of some dozen symbols each."""
    monkeypatch.setattr(generation, "AT_ONCE", 4e5)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("options", [{}, {"greedy": True}, {"top_k": 5}], ids=str)
def test_texts_are_numpys(
    section: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(generate(make(section), [3, 1, 4], LENGTH, seed=5, **options))
    monkeypatch.setattr("darknet_py.engine.generation.SHARED", 0)
    net = make(section, "compiled")
    for threads in (1, 2, 3):
        monkeypatch.setattr("darknet_py.engine.generation.processors", lambda n=threads: n)
        assert list(generate(net, [3, 1, 4], LENGTH, seed=5, **options)) == expected


@pytest.mark.parametrize("section", SECTIONS)
def test_many_texts_at_once_are_each_alone(section: str) -> None:
    net = make(section, "compiled")
    texts = generate_samples(net, [1], LENGTH, seed=5, samples=7)
    for number, text in enumerate(texts):
        assert text == list(generate(make(section), [1], LENGTH, seed=5 + number))


def test_a_text_ends_where_it_is_to_stop() -> None:
    net = make(SECTIONS[0], "compiled")
    whole = list(generate(net, [1], LENGTH))
    stop = whole[40:43]
    end = next(k for k in range(LENGTH) if whole[k : k + 3] == stop) + 3
    assert list(generate(net, [1], LENGTH, stop=stop)) == whole[:end]


def test_a_session_may_be_left_off_anywhere() -> None:
    said = []
    for engine in ("numpy", "compiled"):
        session = Session(make(SECTIONS[2], engine), seed=3)
        text = [next(session.write(9, Sampling())) for _ in range(30)]
        session.feed([1, 2, 3])
        said.append([*text, *session.write(20, Sampling())])
    assert said[0] == said[1]


def test_layers_without_a_walk_are_numpys() -> None:
    net = make_network(
        *("[net] inputs=5 batch=2 time_steps=3", "[rnn] output=5", "[activation]", "[softmax]"),
        dtype=np.float32,
        tier=choose("compiled"),
    )
    assert writer(net, net.initial_state(1), 1) is None
    assert len(list(generate(net, [1], 20))) == 20


def test_long_texts_are_worth_loading_the_engine() -> None:
    net = make(SECTIONS[0])
    assert not generation.pays(net, 1, 1000)
    assert generation.pays(net, 1, 10**6)
    compiled = writer(net, net.initial_state(1), 1)
    assert compiled
    assert compiled.threads == 1


def test_networks_in_double_precision_write_by_numpy() -> None:
    net = make_network("[net] inputs=5 batch=2", "[rnn] output=5", "[softmax]")
    assert writer(net, net.initial_state(1), 1) is None
