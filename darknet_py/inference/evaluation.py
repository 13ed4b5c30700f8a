"""How well a network predicts a text."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darknet_py import notebook
from darknet_py.checks import FUNCTION, whole
from darknet_py.errors import CorpusError, counted
from darknet_py.inference.generation import FEED_STEPS, Progress, feed
from darknet_py.inference.scoring import cut, score_pieces
from darknet_py.network import Network
from darknet_py.text.symbols import (
    DEFAULT_PROMPT,
    Symbols,
    check_network,
    check_symbols,
    unit_of,
    utf8_characters,
)

LONGEST_WORD = 30  # bytes on average from which on what stands between spaces is no word
_WORD_ENDS = np.frombuffer(b" \n\t", np.uint8)


@dataclass(frozen=True)
class Evaluation:
    """The score of a text.

    symbols: how many were predicted, one fewer than the text has.
    nats, bits: mean negative log probability per symbol, in nats and in bits.
    perplexity: 2 ** bits, as if each symbol were one of this many equally likely ones.
    word_perplexity: 2 ** (bits of the whole text / words).
    bytes, characters: that were predicted. A character of UTF-8 counts if all its bytes do; in a
    text that is not UTF-8 each byte is one.
    nats_per_character, bits_per_character: the losses of all symbols, divided by `characters`;
    None if there are none.
    has_words: whether white space separates the words of the text; Chinese, Japanese and Thai have
    none between theirs.
    For a network of tokens, what is about words, bytes and characters is None.
    `print` shows it in words: in bytes or tokens.
    """

    symbols: int
    nats: float
    bits: float
    perplexity: float
    word_perplexity: float | None
    bytes: int | None = None
    characters: int | None = None
    nats_per_character: float | None = None
    bits_per_character: float | None = None
    has_words: bool = True

    def _repr_html_(self) -> str:
        """For notebooks."""
        unit = "token" if self.word_perplexity is None else "byte"
        facts = {
            f"{unit}s": f"{self.symbols:,}",
            f"nats per {unit}": f"{self.nats:.4f}",
            f"bits per {unit}": f"{self.bits:.4f}",
            "perplexity": rounded_perplexity(self.perplexity),
        }
        return notebook.table(facts)

    def __str__(self) -> str:
        """In one line, by the name of what was predicted."""
        unit = "token" if self.word_perplexity is None else "byte"
        facts = [
            f"{self.nats:.4f} nats per {unit}",
            f"{self.bits:.4f} bits per {unit}",
            f"perplexity {rounded_perplexity(self.perplexity)}",
        ]
        if self.has_words and self.word_perplexity is not None:
            facts.append(f"word perplexity {rounded_perplexity(self.word_perplexity)}")
        return f"{counted(self.symbols, unit)}: {', '.join(facts)}"


def rounded_perplexity(value: float) -> str:
    """A perplexity with the digits that help: five or so, or its size if it is huge."""
    if value < 100:
        return f"{value:.4f}"
    if value < 1e4:
        return f"{value:,.1f}"
    return f"{value:,.0f}" if value < 1e9 else f"{value:.2g}"


def evaluate(
    net: Network,
    text: str | Sequence[int] | np.ndarray,
    prompt: str | Sequence[int] | np.ndarray = DEFAULT_PROMPT,
    *,
    streams: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Score `text` from a zero state, after `prompt`, which is not scored.

    The first symbol of the text is fed, the others are predicted. The network's own states are
    left alone. The default prompt is left out if the network has no newline, or is of tokens.
    streams: pieces of the text that are read side by side, each after the WARM_UP symbols before
    it: much faster, and nearly the same score. progress: called with the symbols scored so far and
    the number of all.
    Several threads may evaluate one network, one after the other; one that trains it waits.
    Raises CorpusError for unknown symbols or a text of fewer than two symbols, ValueError for
    an argument that it cannot have, such as the name of a file instead of its text,
    DarknetError while another thread trains the network.
    """
    streams = whole(1).checked("streams", streams)
    if progress is not None:
        FUNCTION.checked("progress", progress)
    symbols = _scorable(net, text)
    pieces, start = cut(len(symbols) - 1, streams), prompt_of(net, prompt)
    with net.guard.reading():
        score = score_pieces(net, symbols, pieces, start, progress=progress)
    nats = score.nats * score.symbols
    words = _words(net, symbols)
    if words is None:
        return score_of(nats, score.symbols, has_words=False)
    last, text = int(words[-1]), symbols.astype(np.uint8)
    return score_of(nats, score.symbols, last, utf8_characters(text[1:]), _has_words(text, last))


def trace(
    net: Network,
    text: str | Sequence[int] | np.ndarray,
    prompt: str | Sequence[int] | np.ndarray = DEFAULT_PROMPT,
) -> Iterator[Evaluation]:
    """The score of `text` up to each of its symbols but the first: `evaluate` as it goes, without
    what is about characters.

    Raises CorpusError and DarknetError like `evaluate`, and DarknetError if the parameters change
    before the text ends.
    """
    symbols = _scorable(net, text)
    words = _words(net, symbols)
    nats, count = 0.0, 0
    begun = net.guard.changes
    with net.guard.reading(begun):
        state = feed(net, prompt_of(net, prompt), net.initial_state(1))
    for first in range(0, len(symbols) - 1, FEED_STEPS):
        piece = symbols[first : first + FEED_STEPS + 1, None]
        with net.guard.reading(begun):
            losses, state = net.losses(piece[:-1], piece[1:], state)
        for loss in losses[:, 0].tolist():
            nats += loss
            count += 1
            yield score_of(nats, count, None if words is None else int(words[count - 1]))


def _scorable(net: Network, text: str | Sequence[int] | np.ndarray) -> np.ndarray:
    check_network(net)
    if isinstance(text, str) and os.path.isfile(text):
        reads = "read_bytes" if net.writes_bytes else "read_text"
        raise ValueError(
            f"text is the name of a file, {text!r}: give what is in it, Path({text!r}).{reads}()"
        )
    symbols = check_symbols(net, text, "text")
    if len(symbols) < 2:
        raise CorpusError(
            f"text has {counted(len(symbols), unit_of(net))}; scoring needs at least 2"
        )
    return symbols


def _words(net: Network, symbols: np.ndarray) -> np.ndarray | None:
    """Words up to each of `symbols` but the first; None for tokens."""
    return 1 + np.cumsum(np.isin(symbols[1:], _WORD_ENDS)) if net.writes_bytes else None


def _has_words(text: np.ndarray, words: int) -> bool:
    """Whether white space separates the words of a text of bytes.

    words: how many there are if it does; their length and the script of the text tell.
    """
    if len(text) > LONGEST_WORD * words:
        return False
    # By the first two bytes of a character: CJK and kana; Thai and Lao, Myanmar, Khmer.
    one, two = text[:-1], text[1:]
    unspaced = (one >= 0xE3) & (one <= 0xE9)
    for first, low, high in ((0xE0, 0xB8, 0xBB), (0xE1, 0x80, 0x82), (0xE1, 0x9E, 0x9F)):
        unspaced |= (one == first) & (two >= low) & (two <= high)
    characters = int(((text & 0xC0) != 0x80).sum()) - (words - 1)
    return 2 * int(unspaced.sum()) <= characters


def prompt_of(net: Network, prompt: str | Sequence[int] | np.ndarray) -> np.ndarray:
    """The symbols of `prompt`, whose default is that of the network."""
    if prompt is DEFAULT_PROMPT:
        prompt = Symbols.of(net).default_prompt
    return check_symbols(net, prompt, "prompt")


def score_of(
    nats: float,
    symbols: int,
    words: int | None = None,
    characters: int | None = None,
    has_words: bool = True,
) -> Evaluation:
    """Of a summed loss in nats.

    words, characters: None if they are not known; without words the symbols are tokens.
    """
    mean = nats / symbols if symbols else math.nan
    bits = nats / math.log(2)
    return Evaluation(
        symbols=symbols,
        nats=mean,
        bits=mean / math.log(2),
        perplexity=_power_of_two(mean / math.log(2)),
        word_perplexity=None if words is None else _power_of_two(bits / words),
        bytes=None if words is None else symbols,
        characters=characters,
        nats_per_character=nats / characters if characters else None,
        bits_per_character=bits / characters if characters else None,
        has_words=has_words,
    )


def hidden_vectors(
    net: Network,
    lines: Iterable[bytes],
    prompt: str | Sequence[int] | np.ndarray = DEFAULT_PROMPT,
    layer: int = 0,
    carry: bool = False,
    symbols: Symbols | None = None,
) -> Iterator[tuple[bytes, np.ndarray]]:
    """For each line, it as it is fed, and the outputs (outputs,) of one layer.

    As `rnn vec` in C: the prompt is fed, the line without spaces and tabs, then one space. Of a
    network of tokens, the tokens of the line are fed and nothing after them, and the line comes
    with one space between its words; where nothing at all is to be fed, symbol 0 is.
    carry: the state continues from line to line, as in C, instead of starting from zero at each.
    symbols: how tokens are written in the lines; by default as numbers.
    Raises CorpusError for unknown symbols, ValueError for a layer that does not exist, DarknetError
    while another thread trains the network, or if its parameters change before the lines end.
    """
    if not 0 <= layer < len(net.layers):
        raise ValueError(f"layer {layer}: the network has the layers 0 to {len(net.layers) - 1}")
    if symbols is None:
        symbols = Symbols.of(net)
    start = prompt_of(net, prompt)
    begun = net.guard.changes
    state = net.initial_state(1)
    for number, line in enumerate(lines, 1):
        if symbols.is_tokens:
            shown = b" ".join(line.split())
            read = symbols.read(line.rstrip(b"\r\n"), f"line {number}")
        else:
            shown = line.translate(None, b" \t\r\n")
            read = symbols.read(shown + b" ", f"line {number}")
        if not carry:
            state = net.initial_state(1)
        everything = np.concatenate([start, read]).astype(np.int64)
        if not len(everything):
            everything = np.zeros(1, np.int64)
        with net.guard.reading(begun):
            state = feed(net, everything[:-1], state)
            y, state = net.forward(everything[-1:, None], state, count=layer + 1)
            vector = y[0, 0].copy()
        yield shown, vector


def _power_of_two(bits: float) -> float:
    return math.inf if bits >= 1024 else 2.0**bits
