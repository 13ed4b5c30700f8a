"""Generating text: feed a prompt, then draw a symbol, feed it, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from darknet_py.errors import CorpusError
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.network import Network, NetworkState
from darknet_py.rand import Rand
from darknet_py.sampling import cut_off, draw

# Steps that a prompt or a text is fed in at once.
FEED_STEPS = 256


def generate(
    net: Network,
    prompt: Sequence[int] = b"",
    length: int = 1000,
    temperature: float = 0.7,
    seed: int = 0,
) -> Iterator[int]:
    """Yield `length` symbols that follow `prompt` (which is not among them), from a zero state.

    prompt: bytes or symbols; an empty one stands for symbol 0, as in C.
    temperature: divides what comes into the softmax; small is careful, 1 is the network's own odds.
    seed: as in C, `srand(seed)` and the draws of the initial weights come before the first symbol.
    The network's own states are left alone. Raises CorpusError for a prompt with unknown symbols,
    CfgError where outputs are not inputs, ValueError for a temperature that is not above 0.
    """
    last, state = _after_prompt(net, prompt, temperature)
    rand = Rand(seed, net.initial_draws)
    return _draw_symbols(_odds(net, state, 1, temperature), last, rand, length)


def _draw_symbols(
    odds: Callable[[Any], np.ndarray], symbol: int, rand: Rand, length: int
) -> Iterator[int]:
    for _ in range(length):
        symbol = int(draw(odds(symbol)[0], rand.uniform(0, 1, 1)[0]))
        yield symbol


def generate_samples(
    net: Network,
    prompt: Sequence[int] = b"",
    length: int = 1000,
    temperature: float = 0.7,
    seed: int = 0,
    samples: int = 2,
) -> np.ndarray:
    """So many texts side by side, symbols (samples, length): text k is that of seed + k.

    But for rare near-ties between two symbols, since the products are summed in another order; one
    text costs a fraction of what it costs alone. Raises as `generate` does.
    """
    last, one = _after_prompt(net, prompt, temperature)
    rands = [Rand((seed + number) & 0xFFFFFFFF, net.initial_draws) for number in range(samples)]
    uniform = np.array([rand.uniform(0, 1, length) for rand in rands], np.float32)
    state = tuple(tuple(np.repeat(part, samples, axis=0) for part in own) for own in one)
    odds = _odds(net, state, samples, temperature)
    drawn = np.empty((length + 1, samples), np.int64)
    drawn[0] = last
    for place in range(length):
        symbols = drawn[place] if samples > 1 else drawn[place, 0]
        drawn[place + 1] = draw(odds(symbols), uniform[:, place])
    return drawn[1:].T


def _after_prompt(
    net: Network, prompt: Sequence[int], temperature: float
) -> tuple[int, NetworkState]:
    """The last symbol of the prompt and the state before it. Raises as `generate` does."""
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: expected a number above 0")
    net.check_symbols_match()
    symbols = check_symbols(net, prompt if len(prompt) else [0], "prompt")
    return int(symbols[-1]), feed(net, symbols[:-1], net.initial_state(1))


def _odds(
    net: Network, state: NetworkState, streams: int, temperature: float
) -> Callable[[Any], np.ndarray]:
    """A function from one symbol of each stream to the odds (streams, symbols) to draw from."""
    step = net.stepper(state, streams)
    softmax = net.output_layer if isinstance(net.output_layer, SoftmaxLayer) else None

    def odds(symbols: Any) -> np.ndarray:
        p = step(symbols).reshape(1, streams, -1)
        if softmax is not None:
            p = softmax.probabilities(p, temperature)
        return cut_off(p[0].astype(np.float32))

    return odds


def feed(net: Network, symbols: np.ndarray, state: NetworkState) -> NetworkState:
    """Run one stream's `symbols` (count,) through the network; returns the state after."""
    for first in range(0, len(symbols), FEED_STEPS):
        _, state = net.forward(symbols[first : first + FEED_STEPS, None], state)
    return state


def check_symbols(net: Network, text: Sequence[int] | np.ndarray, name: str) -> np.ndarray:
    """`text` as an array of symbols. Raises CorpusError where the network does not know one."""
    symbols = np.frombuffer(text, np.uint8) if isinstance(text, bytes) else np.asarray(text)
    unknown = (symbols >= net.inputs) | (symbols < 0)
    if unknown.any():
        offset = int(unknown.argmax())
        raise CorpusError(
            f"{name}: symbol {symbols[offset]} at offset {offset}: the network knows "
            f"0 to {net.inputs - 1} (inputs={net.inputs})"
        )
    return symbols
