"""What `rnn train|generate|valid|vec` print, in the C program's arithmetic.

Formulas and formats: darknet's `examples/rnn.c`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.arithmetic import c_log, c_pow, double, sum_rows
from darknet_py.c_exact.network import CNetwork
from darknet_py.dialect import ALEXEYAB, Dialect
from darknet_py.errors import CorpusError
from darknet_py.inference.sampling import draw
from darknet_py.rand import Rand
from darknet_py.text.corpus import read_lines

FULL_STOP, NEWLINE, GREATER = b".\n>"
WORD_ENDS = b" \n\t"


def running_average(average: float | None, loss: float) -> float:
    """The average that `rnn train` prints: f32(.9 average + .1 loss), from the first loss on."""
    return float(np.float32((loss if average is None else average) * 0.9 + loss * 0.1))


def printed(number: float, spec: str) -> str:
    """The number as C's printf has it, for a `spec` like 4.4f: including the sign of NaN."""
    if not math.isnan(number):
        return f"{number:{spec}}"
    width = int(re.match("[0-9]*", spec)[0] or 0)  # type: ignore[index]
    return ("-nan" if math.copysign(1, number) < 0 else "nan").rjust(width)


# --- generating ----------------------------------------------------------------------------------


def generate(
    c_net: CNetwork, prompt: Sequence[int], length: int, temperature: float, rand: Rand
) -> Iterator[int]:
    """The symbols that `rnn generate` prints: the prompt, then `length` drawn ones.

    rand: after the draws of the initial weights. An empty prompt stands for symbol 0.
    """
    c_net.set_temperature(temperature)
    *before, symbol = prompt or [0]
    for fed in before:
        c_net.predict(fed)
        yield fed
    yield symbol
    for _ in range(length):
        symbol = sample(c_net.predict(symbol), rand)
        yield symbol


def generate_tactic(
    c_net: CNetwork, prompt: Sequence[int], length: int, temperature: float, rand: Rand
) -> Iterator[int]:
    """The symbols that `rnn generatetactic` prints after `prompt`, up to a newline after a full
    stop that was drawn. Raises CorpusError for an empty prompt, with which C crashes.
    """
    if not prompt:
        raise CorpusError("the prompt on stdin is empty; give at least one character")
    c_net.set_temperature(temperature)
    for fed in prompt:
        p = c_net.predict(fed)
    last = None
    for _ in range(length):
        symbol = sample(p, rand)
        if last == FULL_STOP and symbol == NEWLINE:
            break
        yield symbol
        last = symbol
        p = c_net.predict(symbol)


def sample(p: Array, rand: Rand) -> int:
    """`sample_array`, after what is below .0001 has been zeroed; p (outputs,) is used up."""
    p[double(p) < 0.0001] = 0
    with np.errstate(all="ignore"):
        np.multiply(p, np.float32(1 / double(sum_rows(p[:, None]))), out=p)
    return int(draw(p, rand.uniform(0, 1, 1)[0]))


# --- scoring -------------------------------------------------------------------------------------


class Score:
    """The bits of a text so far, summed in f32, with its characters and words."""

    def __init__(self) -> None:
        self.bits = np.float32(0)
        self.characters = 0
        self.words = 1

    def add(self, p: np.float32) -> None:
        """Count one character, which had probability p."""
        self.characters += 1
        self.bits = np.float32(float(self.bits) + c_log(float(p)) / float(np.float32(math.log(2))))

    @property
    def bits_per_character(self) -> float:
        return float(-self.bits / np.float32(self.characters))

    def perplexities(self) -> str:
        per_character = c_pow(2, self.bits_per_character)
        per_word = c_pow(2, float(-self.bits / np.float32(self.words)))
        return (
            f"Perplexity: {printed(per_character, '4.4f')}    "
            f"Word Perplexity: {printed(per_word, '4.4f')}"
        )


def valid(
    c_net: CNetwork, text: Sequence[int], prompt: Sequence[int], bpc: bool = True
) -> Iterator[str]:
    """The lines of `rnn valid`: one for each character of `text` but the first.

    bpc: False for AlexeyAB's line, which lacks the bits per character.
    Raises CorpusError at a character that the network does not know.
    """
    score = Score()
    for _, following, p in _predictions(c_net, text, prompt):
        if following in WORD_ENDS:
            score.words += 1
        score.add(p)
        start = f"{score.characters} "
        if bpc:
            start += f"BPC: {printed(score.bits_per_character, '4.4f')}   "
        yield start + score.perplexities()


def valid_tactic(c_net: CNetwork, text: Sequence[int], prompt: Sequence[int]) -> Iterator[str]:
    """The lines of `rnn validtactic`, which scores from a `>>` to the next line's end after a full
    stop. Raises CorpusError at a character that the network does not know.
    """
    score = Score()
    inside = False
    for symbol, following, p in _predictions(c_net, text, prompt):
        if symbol == FULL_STOP and following == NEWLINE:
            inside = False
        if not inside:
            if symbol == following == GREATER:
                inside = True
                score.words += 1
            continue
        score.add(p)
        yield f"{score.characters} {score.words} {score.perplexities()}"


def _predictions(
    c_net: CNetwork, text: Sequence[int], prompt: Sequence[int]
) -> Iterator[tuple[int, int, np.float32]]:
    """Each character, the one that follows it, and the probability that this had."""
    for symbol in prompt:
        c_net.predict(symbol)
    inputs = c_net.net.options.inputs
    for offset in range(1, len(text)):
        symbol, following = text[offset - 1], text[offset]
        if following >= min(255, inputs) or symbol >= inputs:
            raise CorpusError(
                f"text: character {following} at offset {offset}, after {symbol}, is not below "
                f"{min(255, inputs)}"
            )
        yield symbol, following, c_net.predict(symbol)[following]


# --- names of tokens -----------------------------------------------------------------------------


def read_token_names(path: str, dialect: Dialect) -> list[str]:
    """What is printed of each token: the lines of the file of `-tokens`, its bytes as they are.

    Upstream's program prints a newline for `<NEWLINE>`; AlexeyAB's drops a carriage return at the
    end of a line. Raises CorpusError.
    """
    lines = (line.decode("utf-8", "surrogateescape") for line in read_lines(path, as_in_c=True))
    if dialect == ALEXEYAB:
        return [line.removesuffix("\r") for line in lines]
    return ["\n" if line == "<NEWLINE>" else line for line in lines]


# --- hidden vectors ------------------------------------------------------------------------------


def vec(c_net: CNetwork, lines: Iterable[bytes], prompt: Sequence[int]) -> Iterator[bytes]:
    """The lines of `rnn vec`: each line of a text without its blanks, and layer 0's outputs at its
    end. The state runs on from line to line, as in C on a CPU.

    lines: as C reads them, without newlines.
    """
    blanks = b" \t\r" if c_net.net.dialect == ALEXEYAB else b" \t"
    for line in lines:
        stripped = line.translate(None, blanks)
        for symbol in (*prompt, *stripped, ord(" ")):
            c_net.predict(symbol)
        numbers = "".join("," + printed(x, "g") for x in c_net.hidden(0).tolist())
        yield stripped + numbers.encode()
