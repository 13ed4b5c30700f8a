"""Generating text: feed a prompt, then draw a symbol, feed it, and so on."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import SEED, whole
from darknet_py.engine import writer
from darknet_py.errors import DarknetError
from darknet_py.inference.sampling import Sampling
from darknet_py.layers.base import Layer
from darknet_py.layers.softmax import SoftmaxLayer, exponentials
from darknet_py.model import NetworkState
from darknet_py.network import Network
from darknet_py.rand import Rand, seed_of_text
from darknet_py.text.symbols import check_network, check_symbols, cut_character

# Called with what is done and the number of all.
Progress = Callable[[int, int], object]
# Steps that a prompt or a text is fed in at once.
FEED_STEPS = 256
# Draws of a text that are made at once.
UNIFORM_BLOCK = 1024
# Of numpy, about: seconds of a symbol in addition to its operations, and operations a second.
CALLS, SPEED = 8e-5, 1e10
# Seconds that the engine must save, which takes about as long to load.
WORTH = 1.5
# Operations that are done before what was written is handed on.
AT_ONCE = 5e8


def generate(
    net: Network,
    prompt: str | Sequence[int] | np.ndarray = b"",
    length: int = 1000,
    temperature: float = 0.7,
    seed: int = 0,
    *,
    top_k: int = 0,
    top_p: float = 1.0,
    greedy: bool = False,
    stop: str | Sequence[int] | np.ndarray = b"",
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Iterator[int]:
    """Yield `length` symbols that follow `prompt` (which is not among them), from a zero state.

    Of a network of bytes, `bytes(generate(net)).decode(errors="replace")` is the text.

    prompt: a str, bytes or symbols; an empty one stands for symbol 0, as in C.
    seed: as in C, `srand(seed)` and the draws of the initial weights come before the first symbol.
    temperature, top_k, top_p, greedy: see Sampling; or all of them as `sampling`. stop: ends the
    text once it has these symbols. progress: called, while the prompt is read, with the symbols
    read so far and the number of all.
    The network's own states are left alone. Several threads may generate with one network.
    Raises CorpusError for a prompt with unknown symbols, CfgError where outputs are not inputs,
    ValueError for an argument that it cannot have; and with each symbol, DarknetError while another
    thread trains the network, or if its parameters have changed since the text was begun.
    """
    check_network(net)
    sampling = Sampling.of(sampling, temperature, top_k, top_p, greedy)
    length, seed = whole().checked("length", length), SEED.checked("seed", seed)
    end = check_symbols(net, stop, "stop").tolist()
    rows = _from_prompt(net, prompt, length, [seed], sampling, progress)
    symbols = (int(symbol) for (symbol,) in rows)
    return _until(symbols, end) if end else symbols


def _from_prompt(
    net: Network,
    prompt: str | Sequence[int] | np.ndarray,
    length: int,
    seeds: Sequence[int],
    sampling: Sampling,
    progress: Progress | None,
) -> Iterator[Array]:
    """`length` times the next symbols of texts from these seeds, which have all read the prompt."""
    net.check_symbols_match()
    net = at_temperature(net, sampling.temperature)
    symbols = check_symbols(net, prompt, "prompt")
    if not len(symbols):
        symbols = np.zeros(1, np.int64)
    count = len(seeds)
    with net.guard.reading():
        one = feed(net, symbols[:-1], net.initial_state(1), progress=progress)
        state = tuple(tuple(np.repeat(part, count, axis=0) for part in parts) for parts in one)
        predictor = _Predictor(net, state, count, pays(net, count, length))
    predictor.feed(np.repeat(symbols[-1:], count))
    rands = [Rand(seed, net.initial_draws) for seed in seeds]
    return _write(predictor, sampling, rands, length, UNIFORM_BLOCK)


def _write(
    predictor: _Predictor, sampling: Sampling, rands: Sequence[Rand], length: int, ahead: int = 1
) -> Iterator[Array]:
    """Draw the next symbol of each stream, feed it, yield them all, (streams,); `length` times.

    rands: where each stream's draws come from, `ahead` of them at once.
    """
    writes = predictor.writes and sampling.is_plain
    if writes:
        ahead = max(1, min(ahead, int(AT_ONCE / predictor.operations)))
    for place in range(length):
        if place % ahead == 0:
            count = min(ahead, length - place)
            uniform = np.array([rand.uniform(0, 1, count) for rand in rands], np.float32)
            if writes:
                chosen = predictor.write(uniform, sampling)
        if writes:
            yield chosen[place % ahead]
            continue
        p = predictor.probabilities(sampling.temperature)
        symbols = sampling.choose(p, uniform[:, place % ahead])
        predictor.feed(symbols)
        yield symbols


def at_temperature(net: Network, temperature: float) -> Network:
    """The network with this temperature in each [softmax] below the output layer, as `-temp` sets
    it in C: a view that shares everything else, or the network itself if it has no such layer.
    """

    def changed(layer: Layer) -> Layer:
        if not isinstance(layer, SoftmaxLayer) or layer is net.output_layer:
            return layer
        layer = copy.copy(layer)
        layer.temperature = temperature
        return layer

    layers = [changed(layer) for layer in net.layers]
    if layers == net.layers:
        return net
    view = object.__new__(type(net))
    vars(view).update(vars(net), layers=layers)
    return view


def pays(net: Network, streams: int, length: int) -> bool:
    """Whether so long a text is worth loading the engine for."""
    operations = streams * sum(layer.operations() for layer in net.layers)
    return length * (CALLS + operations / SPEED) > WORTH


def _until(symbols: Iterator[int], stop: list[int]) -> Iterator[int]:
    """The symbols up to the end of the first occurrence of `stop`."""
    recent: list[int] = []
    for symbol in symbols:
        yield symbol
        recent = [*recent, symbol][-len(stop) :]
        if recent == stop:
            return


def generate_samples(
    net: Network,
    prompt: str | Sequence[int] | np.ndarray,
    length: int,
    *,
    seed: int = 0,
    samples: int = 2,
    stop: Sequence[int] = (),
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Texts side by side, each a list of symbols: text k is that of seed + k.

    From seed 0, which C takes for 1, they are those of 1, 2, ...
    But for rare near-ties between two symbols, since the products are summed in another order; one
    text costs a fraction of what it costs alone. Parameters and errors as in `generate`.
    """
    seeds = [seed_of_text(seed, k) for k in range(samples)]
    drawn = np.empty((length, samples), np.int64)
    rows = _from_prompt(net, prompt, length, seeds, Sampling.of(sampling), progress)
    for place, symbols in enumerate(rows):
        drawn[place] = symbols
    texts = [text.tolist() for text in drawn.T]
    return [list(_until(iter(text), list(stop))) for text in texts] if stop else texts


class Session:
    """A text that a person and a network write together: the state carries on.

    seed: where the draws come from, as in `generate`. Raises CfgError if outputs are not inputs.
    It cannot be copied, and belongs to one thread; several may each have a Session with one
    network. Its methods raise DarknetError while another thread trains the network, and, until
    `reset`, if its parameters have changed. For example:

        session = Session(load_network("backup"), seed=1)
        session.feed(b"Once")
        print(bytes(session.write(100)).decode(errors="replace"))
    """

    def __init__(self, net: Network, seed: int = 0) -> None:
        check_network(net)
        net.check_symbols_match()
        self.net = net
        self.seed(seed)
        self.reset()

    def __getstate__(self) -> dict[str, Any]:
        """Raises DarknetError: what has been read is in a function, which a copy would share."""
        raise DarknetError(
            "a Session cannot be copied: make a new one with the same network and feed it the text"
        )

    def seed(self, seed: int) -> None:
        """Draw as a new session with this seed would, from now on. Raises ValueError."""
        self.rand = Rand(SEED.checked("seed", seed), self.net.initial_draws)

    def reset(self) -> None:
        """Forget everything read and written."""
        self._begin(self.net, None)

    def _begin(self, reader: Network, temperature: float | None) -> None:
        self._text: list[int] = []
        self._reader, self._temperature = reader, temperature
        self._predictor = _Predictor(reader, reader.initial_state(1), 1)

    def feed(self, symbols: Sequence[int]) -> None:
        """Let the network read these. Raises CorpusError for unknown symbols."""
        for symbol in check_symbols(self.net, symbols, "text"):
            self._text.append(int(symbol))
            self._predictor.feed(symbol[None])

    def _start(self, temperature: float) -> None:
        """As in C, let symbol 0 stand for an empty text.

        A text read at another temperature is read again if that makes a difference.
        """
        if self._predictor.is_new:
            self.feed([0])
        reader = at_temperature(self.net, temperature)
        if reader is not self.net and temperature != self._temperature:
            text = self._text
            self._begin(reader, temperature)
            self.feed(text)

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """Of each symbol to come next, (symbols,), f32, at this temperature.

        As in C, symbol 0 stands for an empty text.
        """
        self._start(temperature)
        return self._predictor.probabilities(temperature)[0]

    def likeliest(self, count: int, temperature: float = 1.0) -> list[tuple[float, bytes | int]]:
        """The most likely to come next with their probabilities, the most likely first: whole
        characters of UTF-8, or bytes that are none; of a network of tokens, tokens.
        """
        count = whole(1).checked("count", count)
        first = self.probabilities(temperature)
        if not self.net.writes_bytes:
            return [(float(first[symbol]), symbol) for symbol in _largest(first, count)]
        after: NetworkState | None = None
        found: list[tuple[float, bytes | int]] = []
        # What is taken is the most likely so far; what follows it cannot be likelier.
        begun = [(-float(first[symbol]), bytes([symbol])) for symbol in _largest(first, count)]
        heapq.heapify(begun)
        while begun and len(found) < count:
            p, character = heapq.heappop(begun)
            if cut_character(character) < len(character):
                found.append((-p, character))
                continue
            if after is None:
                after = feed(self._reader, np.array(self._text), self.net.initial_state(1))
            predictor = _Predictor(self._reader, after, 1)
            for symbol in character:
                predictor.feed(np.array([symbol]))
            following = predictor.probabilities(temperature)[0]
            for symbol in _largest(following, count):
                item = (p * float(following[symbol]), character + bytes([symbol]))
                heapq.heappush(begun, item)
        return found

    def write(self, length: int, sampling: Sampling | None = None) -> Iterator[int]:
        """Yield `length` symbols, drawn as `Sampling()` does or as this. If the caller stops
        early, the text ends there.
        """
        sampling = Sampling.of(sampling)
        if length > 0:
            self._start(sampling.temperature)
        for (symbol,) in _write(self._predictor, sampling, [self.rand], length):
            self._text.append(int(symbol))
            yield int(symbol)


def _largest(p: Array, count: int) -> list[int]:
    """The symbols of the largest probabilities, (symbols,), the largest first."""
    return np.argsort(-p, kind="stable")[:count].tolist()


class _Predictor:
    """What comes next after each symbol that is fed to some streams, from a state on."""

    def __init__(
        self, net: Network, state: NetworkState, streams: int, is_long: bool = False
    ) -> None:
        self.streams = streams
        self.operations = streams * sum(layer.operations() for layer in net.layers)
        self._guard = net.guard
        with self._guard.reading():
            self._begun = self._guard.changes
            compiled = writer(net, state, streams) if is_long or net.tier.team else None
            self._step: Any = compiled or net.stepper(state, streams)
        self._softmax = net.output_layer if isinstance(net.output_layer, SoftmaxLayer) else None
        self._groups = self._softmax.groups if self._softmax else 1
        # Whether many symbols can be written in one call.
        has_one = self._softmax is not None and self._groups == 1
        self.writes = has_one and hasattr(self._step, "write")
        self.is_new = True
        # The last symbols, which are read when something is to follow them.
        self._waiting: Array | None = None

    def feed(self, symbols: Array) -> None:
        """One symbol of each stream, (streams,)."""
        if self._waiting is not None:
            with self._guard.reading(self._begun):
                self._read_waiting()
        self._waiting, self.is_new = symbols, False

    def _read_waiting(self) -> None:
        if self._waiting is not None:
            symbols = self._waiting if self.streams > 1 else self._waiting[0]
            self._y = self._step(symbols).reshape(self.streams, self._groups, -1)
            self._waiting = None

    def write(self, uniform: Array, sampling: Sampling) -> Array:
        """Read what waits and write a symbol for each draw, (streams, count)."""
        assert self._waiting is not None
        with self._guard.reading(self._begun):
            chosen = self._step.write(self._waiting, uniform, sampling.temperature, sampling.greedy)
        self._waiting = chosen[-1]
        return np.asarray(chosen)

    def probabilities(self, temperature: float) -> np.ndarray:
        """Of each symbol to come next, (streams, symbols), f32, a new array."""
        with self._guard.reading(self._begun):
            self._read_waiting()
            p = self._y
            if self._softmax is not None:
                exponents = np.empty_like(p)
                _, total = exponentials(p, temperature, exponents)
                p = np.divide(exponents, total, out=exponents)
            return p.reshape(self.streams, -1).astype(np.float32, copy=self._softmax is None)


def feed(
    net: Network,
    symbols: np.ndarray,
    state: NetworkState,
    steps: int | None = None,
    progress: Progress | None = None,
) -> NetworkState:
    """Run one stream's `symbols` (count,) through the network; returns the state after.

    steps: that are computed at once, by default FEED_STEPS. progress: see `generate`.
    """
    size = FEED_STEPS if steps is None else steps
    for first in range(0, len(symbols), size):
        if progress is not None:
            progress(first, len(symbols))
        _, state = net.forward(symbols[first : first + size, None], state)
    return state
