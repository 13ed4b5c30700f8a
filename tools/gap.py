"""What a network's loss on tales is made of: `python -m tools.gap backup/tiny-gru_best.weights`.

The grammar that wrote data/tales.txt knows the probability of each of its characters. On the tenth
of the text that a run holds out, the network's loss is put beside that, by the place of a character
in its word: where it is above, the network does not know something that it could.
"""

from __future__ import annotations

import argparse
import math
from itertools import pairwise
from pathlib import Path

import numpy as np

from darknet_py.arrays import Array
from darknet_py.corpus import read_text, split
from darknet_py.finding import open_network
from darknet_py.network import Network
from darknet_py.writing.generation import feed
from tools.grammar import Choice, Reader, tales

PROMPT = np.frombuffer(b"\n\n", np.uint8)  # as of `valid`
AT_ONCE = 4096  # steps of a forward


class Surprisals(Reader):
    """The -log probability of each character of a text, in nats, as `each`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.each: list[float] = []

    def _score(self, choice: Choice, taken: str, nats: float) -> None:
        weights = [choice.total, *(choice.weight(taken[:k]) for k in range(1, len(taken) + 1))]
        self.each += [math.log(w / v) for w, v in pairwise(weights)]
        super()._score(choice, taken, nats)


def surprisals(text: str) -> Array:
    """The grammar's, of each character of whole tales, (characters,). Raises NotInLanguage."""
    reader = Surprisals(text)
    tales(reader)
    return np.array(reader.each)


def losses(net: Network, symbols: Array) -> Array:
    """The network's, of each symbol after the first, which follows PROMPT, (symbols - 1,)."""
    state = feed(net, PROMPT, net.initial_state(1))
    found = []
    for first in range(0, len(symbols) - 1, AT_ONCE):
        part = symbols[first : first + AT_ONCE + 1, None]
        nats, state = net.losses(part[:-1], part[1:], state)
        found.append(nats[:, 0])
    return np.concatenate(found)


def places(text: str) -> dict[str, Array]:
    """Which characters after the first stand where in their word, by name."""
    letters = np.array([character.isalpha() for character in text])
    before, now = letters[:-1], letters[1:]
    return {
        "first letters of words": now & ~before,
        "further letters": now & before,
        "what follows a word": ~now & before,
        "all else": ~now & ~before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("text", type=Path, nargs="?", default=Path("data/tales.txt"))
    options = parser.parse_args()
    symbols = read_text(options.text)
    held_out = split(symbols, 0.1)[1]
    text = symbols.tobytes().decode("ascii")
    bound = surprisals(text)[len(symbols) - len(held_out) + 1 :]
    found = losses(open_network(options.weights), held_out)
    print("| characters | share | network | grammar | of the gap |")
    print("|---|---|---|---|---|")
    gap = (found - bound).sum()
    for name, where in {**places(text[-len(held_out) :]), "all": np.ones(len(found), bool)}.items():
        own = (found - bound)[where].sum() / gap
        means = found[where].mean(), bound[where].mean()
        print(f"| {name} | {where.mean():.1%} | {means[0]:.4f} | {means[1]:.4f} | {own:.0%} |")


if __name__ == "__main__":
    main()
