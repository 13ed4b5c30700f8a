"""Generating text as str: `generate` with the command's defaults, and whole characters."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence

import numpy as np

from darknet_py.checks import SEED
from darknet_py.inference.generation import generate
from darknet_py.network import Network
from darknet_py.rand import seed_from_clock
from darknet_py.text.symbols import DEFAULT_PROMPT, Symbols, check_network

PROMPT = DEFAULT_PROMPT.decode()


def generate_text(
    net: Network,
    prompt: str | Sequence[int] | np.ndarray = PROMPT,
    length: int = 1000,
    temperature: float = 0.7,
    seed: int | None = None,
    *,
    top_k: int = 0,
    top_p: float = 1.0,
    stop: str | Sequence[int] | np.ndarray = b"",
    tokens: str | os.PathLike[str] | None = None,
) -> str:
    """The text that follows `prompt`, which is not in it: `"".join(stream_text(...))`."""
    return "".join(
        stream_text(
            net,
            prompt,
            length,
            temperature,
            seed,
            top_k=top_k,
            top_p=top_p,
            stop=stop,
            tokens=tokens,
        )
    )


def stream_text(
    net: Network,
    prompt: str | Sequence[int] | np.ndarray = PROMPT,
    length: int = 1000,
    temperature: float = 0.7,
    seed: int | None = None,
    *,
    top_k: int = 0,
    top_p: float = 1.0,
    stop: str | Sequence[int] | np.ndarray = b"",
    tokens: str | os.PathLike[str] | None = None,
) -> Iterator[str]:
    """Yield the text that follows `prompt` as it is drawn: whole characters, or tokens with a space
    after each.

    length: symbols, bytes of a text. temperature: 0 takes the most likely symbol each time. seed:
    as that of the command; None is random. tokens: a file of their names. The rest is as in
    `generate`. What is not UTF-8 is U+FFFD, and a character that is cut at the end is left out.
    Raises what `generate` raises, and CorpusError for names that cannot be read.
    """
    check_network(net)
    symbols = Symbols.of(net, tokens)
    if isinstance(prompt, str):
        given = None if prompt == PROMPT else prompt.encode()
        prompt = symbols.prompt(given)
    if isinstance(stop, str):
        stop = symbols.read(stop.encode(), "stop")
    greedy = not isinstance(temperature, bool) and temperature == 0
    drawn = generate(
        net,
        prompt,
        length,
        1.0 if greedy else temperature,
        seed_from_clock() if seed is None else SEED.checked("seed", seed),
        top_k=top_k,
        top_p=top_p,
        greedy=greedy,
        stop=stop,
    )
    return _decoded(drawn, symbols)


def _decoded(drawn: Iterator[int], symbols: Symbols) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for symbol in drawn:
        text = symbols.text([symbol]) if symbols.is_tokens else decoder.decode(bytes([symbol]))
        if text:
            yield text
