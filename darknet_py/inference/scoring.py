"""The mean loss over a text that is read in pieces, side by side: quicker than in one stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from darknet_py.inference.generation import Progress, feed
from darknet_py.model import NetworkState
from darknet_py.network import Network
from darknet_py.parallel import ALONE, Communicator
from darknet_py.sizes import row_bytes

# Symbols that are read, unscored, before a piece that is not the beginning of its text.
WARM_UP = 256
# Rows of one forward, (time_steps * streams), and the bytes that they may take.
ROWS, BYTES = 4096, 1 << 28
# Of one forward at most: time steps between two looks at the clock and at Ctrl-C.
STEPS = 1024


@dataclass(frozen=True)
class Pieces:
    """Where a text is scored: piece k predicts `counts[k]` symbols, the first of them the one after
    `firsts[k]`.
    """

    firsts: np.ndarray
    counts: np.ndarray

    @property
    def symbols(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True)
class PiecesScore:
    """The mean loss in nats over `symbols` symbols: all pieces, or what there was time for."""

    nats: float
    symbols: int


def cut(symbols: int, streams: int, most: int | None = None) -> Pieces:
    """Cut `symbols` predictions into equal pieces, of which `most` symbols in all are scored."""
    streams = max(1, min(streams, symbols))
    firsts = np.arange(streams) * symbols // streams
    counts = np.diff(np.append(firsts, symbols))
    if most is not None and most < symbols:
        counts = np.minimum(counts, max(1, most // streams))
    return Pieces(firsts, counts)


def score_pieces(
    net: Network,
    symbols: np.ndarray,
    pieces: Pieces,
    prompt: np.ndarray,
    *,
    rows: int | None = None,
    comm: Communicator = ALONE,
    stop: Callable[[], bool] | None = None,
    progress: Progress | None = None,
) -> PiecesScore:
    """The mean loss over the pieces of a text `symbols` (count,), read side by side.

    The first starts after `prompt` (count,), the others after the WARM_UP symbols before them, all
    from a zero state.
    rows: of one forward, by default what BYTES allow. comm: the processes that share the work.
    stop: asked as it goes; once it is true, the mean is that of what has been scored.
    progress: see `evaluate`.
    """
    share = comm.share(len(pieces.firsts))
    firsts, counts = pieces.firsts[share], pieces.counts[share]
    width = max(1, len(pieces.firsts) // comm.size)
    if rows is None:
        rows = min(ROWS, BYTES // row_bytes(net))
    steps = max(1, min(STEPS, rows // width))
    if progress is not None:
        progress(0, pieces.symbols)
    state = _states_before(net, symbols, firsts, prompt, rows) if len(firsts) else ()
    longest = int(pieces.counts.max())
    nats, scored = 0.0, 0
    for first in range(0, longest, steps):
        end = min(first + steps, longest)
        if len(firsts):
            offsets = np.arange(first, end)[:, None]
            places = np.minimum(firsts + offsets, len(symbols) - 2)
            losses, state = net.losses(symbols[places], symbols[places + 1], state)
            nats += float(np.sum(losses, dtype=np.float64, where=offsets < counts))
        scored = int(np.minimum(pieces.counts, end).sum())
        if progress is not None:
            progress(scored, pieces.symbols)
        if stop is not None and comm.broadcast(stop()):
            break
    return PiecesScore(comm.all_reduce(nats) / scored, scored)


def _states_before(
    net: Network, symbols: np.ndarray, firsts: np.ndarray, prompt: np.ndarray, rows: int
) -> NetworkState:
    """The states in which pieces that start at `firsts`, in ascending order, are read."""
    whole = np.concatenate([prompt, symbols])
    starts = len(prompt) + firsts
    # Those near the beginning have less before them.
    early = int(np.count_nonzero((starts < WARM_UP) | (firsts == 0)))
    states = [feed(net, whole[:start], net.initial_state(1), rows) for start in starts[:early]]
    late = starts[early:]
    if len(late):
        state = net.initial_state(len(late))
        steps = max(1, rows // len(late))
        for first in range(0, WARM_UP, steps):
            ages = np.arange(WARM_UP - first, max(0, WARM_UP - first - steps), -1)
            _, state = net.forward(whole[late - ages[:, None]], state)
        states.append(state)
    return tuple(
        tuple(np.concatenate(parts) for parts in zip(*layer, strict=True))
        for layer in zip(*states, strict=True)
    )
