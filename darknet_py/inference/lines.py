"""The score of each line of a text by itself, many lines side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from darknet_py.checks import FUNCTION
from darknet_py.inference.evaluation import Evaluation, prompt_of, score_of
from darknet_py.inference.generation import Progress, feed
from darknet_py.inference.scoring import BYTES, ROWS, STEPS
from darknet_py.network import Network
from darknet_py.sizes import row_bytes
from darknet_py.text.symbols import DEFAULT_PROMPT, Symbols, check_network, utf8_characters

# Lines that are read side by side.
SIDE_BY_SIDE = 128


def evaluate_lines(
    net: Network,
    lines: Iterable[str | bytes],
    prompt: str | Sequence[int] | np.ndarray = DEFAULT_PROMPT,
    *,
    symbols: Symbols | None = None,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """The score of each line by itself, after `prompt`, which is not scored.

    All symbols of a line are predicted, the first after the prompt, and the newline at its end,
    which a network of bytes has even if the line does not. A line of no symbols, as one of
    tokens can be, has a loss of NaN.
    symbols: how tokens are written in the lines; by default as numbers. progress: called with the
    lines scored so far and the number of all.
    Raises CorpusError for unknown symbols, ValueError for an argument that it cannot have,
    DarknetError while another thread trains the network.
    """
    check_network(net)
    if isinstance(lines, (str, bytes)):
        raise ValueError("lines must be a sequence of lines, such as text.splitlines()")
    if progress is not None:
        FUNCTION.checked("progress", progress)
    known = symbols or Symbols.of(net)
    read = [_symbols_of(known, line, number) for number, line in enumerate(lines, 1)]
    start = prompt_of(net, prompt)
    if not len(start):
        start = np.zeros(1, np.int64)
    nats = np.zeros(len(read))
    # Lines of about the same length go together.
    order = np.argsort([len(line) for line in read], kind="stable")
    with net.guard.reading():
        before = feed(net, start[:-1], net.initial_state(1))
        for first in range(0, len(order), SIDE_BY_SIDE):
            chosen = order[first : first + SIDE_BY_SIDE]
            nats[chosen] = _losses(net, [read[place] for place in chosen], start[-1], before)
            if progress is not None:
                progress(first + len(chosen), len(read))
    return [_evaluation(net, line, loss) for line, loss in zip(read, nats.tolist(), strict=True)]


def _symbols_of(known: Symbols, line: str | bytes, number: int) -> np.ndarray:
    data = line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line
    if not known.is_tokens:
        data = data.removesuffix(b"\n") + (b"\n" if known.inputs > ord("\n") else b"")
    return known.read(data, f"line {number}").astype(np.int64)


def _losses(
    net: Network, lines: Sequence[np.ndarray], last: int, before: tuple[tuple[np.ndarray, ...], ...]
) -> np.ndarray:
    """The summed loss of each of these lines, (lines,), in nats.

    last, before: the last symbol of the prompt, and the state of one stream before it is read.
    """
    count, longest = len(lines), max(map(len, lines))
    padded = np.zeros((longest + 1, count), np.int64)
    padded[0] = last
    for place, line in enumerate(lines):
        padded[1 : len(line) + 1, place] = line
    lengths = np.array([len(line) for line in lines])
    state = tuple(tuple(np.repeat(part, count, axis=0) for part in parts) for parts in before)
    steps = max(1, min(STEPS, min(ROWS, BYTES // row_bytes(net)) // count))
    nats = np.zeros(count)
    for first in range(0, longest, steps):
        piece = padded[first : first + steps + 1]
        losses, state = net.losses(piece[:-1], piece[1:], state)
        is_of_line = np.arange(first, first + len(losses))[:, None] < lengths
        nats += np.sum(losses, axis=0, dtype=np.float64, where=is_of_line)
    return nats


def _evaluation(net: Network, line: np.ndarray, nats: float) -> Evaluation:
    if not net.writes_bytes:
        return score_of(nats, len(line), has_words=False)
    text = line.astype(np.uint8)
    words = max(1, len(bytes(text).split()))
    return score_of(nats, len(line), words, utf8_characters(text))


def split_lines(text: bytes) -> Iterator[bytes]:
    """The lines of a text, the empty ones too, without their newlines."""
    yield from text.removesuffix(b"\n").split(b"\n") if text else []
