"""Small networks learn what no model without memory can: to repeat a symbol after a delay."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from darknet_py.cfg import parse_cfg
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.text.corpus import Streams
from tests.support.networks import Array, cfg_text

pytestmark = pytest.mark.filterwarnings("error")

LETTERS = 4
DELAY = 3
MARKER = LETTERS
PERIOD = DELAY + 2  # a letter at random, DELAY markers, the letter again


def text_of(blocks: int, seed: int) -> Array:
    text = np.full((blocks, PERIOD), MARKER)
    text[:, 0] = text[:, -1] = np.random.default_rng(seed).integers(0, LETTERS, blocks)
    return text.ravel()


def bound(window: int) -> float:
    """H(next | last `window` symbols) of an endless text, in nats: the least loss of a model that
    sees no more than these. Over all places in a block and all letters that can be seen.
    """
    blocks = -(-(window + 1) // PERIOD) + 1
    joint: Counter[tuple[int, ...]] = Counter()
    for letters in itertools.product(range(LETTERS), repeat=blocks):
        text = [s for letter in letters for s in (letter, *[MARKER] * DELAY, letter)]
        for place in range(PERIOD):
            joint[tuple(text[place : place + window + 1])] += 1
    seen: Counter[tuple[int, ...]] = Counter()
    for symbols, count in joint.items():
        seen[symbols[:-1]] += count
    total = sum(joint.values())
    nats = (n * math.log(n / seen[symbols[:-1]]) for symbols, n in joint.items())
    return -sum(nats) / total


def test_the_bounds_are_those_of_the_text() -> None:
    """And a model that sees the letter again needs to guess one symbol in a block only."""
    letter = math.log(LETTERS)
    after_marker = math.log(DELAY) / DELAY + math.log(DELAY / (DELAY - 1)) * (1 - 1 / DELAY)
    bigram = (2 * (math.log(2) + letter / 2) + DELAY * after_marker + letter) / PERIOD
    assert bound(1) == pytest.approx(bigram)
    assert bound(PERIOD) == pytest.approx(letter / PERIOD)
    bounds = [bound(window) for window in range(PERIOD + 1)]
    assert bounds == sorted(bounds, reverse=True)
    # With DELAY symbols the place in the block is known, but not the letter.
    assert bound(DELAY) > 1.9 * letter / PERIOD


def held_out_loss(net: Network) -> float:
    """The mean loss on a text of other letters, read as one stream from a zero state."""
    text = text_of(400, seed=2)
    losses, _ = net.losses(text[:-1, None], text[1:, None], net.initial_state(1))
    return float(losses.mean())


def trained(section: str) -> Network:
    options = "batch=16 time_steps=20 learning_rate=.01 adam=1 decay=0 state=carry"
    sections = [f"[net] inputs={LETTERS + 1} {options}", section]
    sections += [f"[connected] output={LETTERS + 1} activation=linear", "[softmax]"]
    net = Network(parse_cfg(cfg_text(*sections)))
    net.initialize(Rand(1))
    streams = Streams(text_of(4000, seed=1), net.streams, net.rand)
    for _ in range(300):
        net.train_batch(*streams.next_datum(net.options.time_steps))
        for stream in streams.jump():
            net.reset_state(stream)
    return net


@pytest.mark.parametrize(
    "section",
    [
        "[rnn] output=24 activation=tanh",
        "[rnn] output=24 activation=leaky batch_normalize=1",
        "[gru] output=24 tanh=1",
        "[lstm] output=24",
    ],
)
def test_recurrent_layers_remember(section: str) -> None:
    """Nearly all that can be: what is left is the guess at the first letter of each block."""
    loss = held_out_loss(trained(section))
    assert bound(PERIOD) - 0.01 < loss < 0.6 * bound(DELAY)


def test_a_network_without_memory_does_not() -> None:
    loss = held_out_loss(trained("[connected] output=24 activation=tanh"))
    assert bound(1) - 0.01 < loss < bound(0)
