"""A network writes many symbols in one call of compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from darknet_py.arrays import Array, aligned
from darknet_py.engine.compiled import records
from darknet_py.engine.compiled.jit import Record
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.compiled.writing import WRITE
from darknet_py.engine.walks import AnyWalk, walk_of
from darknet_py.layers.base import State
from darknet_py.layers.workspace import Workspace
from darknet_py.machine import processors
from darknet_py.model import Model, NetworkState

# Parameters of a network that several threads write with.
SHARED = 1 << 19


class Writer:
    """A function from one symbol of each stream to what comes into the output layer, a buffer.

    It begins in the `state` that it is made with. The parameters are those of then. threads: that
    share the work.
    """

    def __init__(self, walks: Sequence[AnyWalk], state: Sequence[State], streams: int) -> None:
        self.walks = walks
        self.streams = streams
        self.threads = 1
        before: Array | None = None
        for walk, start in zip(walks, state, strict=True):
            walk.prepare((1, streams), training=False)
            walk.begin(start)
            walk.record["code"] = walk.code
            if before is None:
                self.symbols = walk.linears[0].symbols.reshape(streams)
            for place, linear in enumerate(walk.linears):
                is_first = before is None and place == 0
                linear.begin(self.symbols[None] if is_first else None)
            if before is not None:
                walk.linears[0].record["x"] = before.ctypes.data
            before = walk.outcome()[0]
        assert before is not None
        self.logits = before.reshape(streams, -1)
        self.job = np.zeros(1, WRITE)
        self.record: Record = self.job[0]
        self.addresses = np.array([walk.job.ctypes.data for walk in walks], np.int64)
        self.p = aligned(self.logits.size)
        self.record["code"] = records.WRITE
        self.record["layers"], self.record["walks"] = len(walks), self.addresses.ctypes.data
        self.record["streams"], self.record["width"] = self.logits.shape
        self.record["symbols"] = self.symbols.ctypes.data
        self.record["logits"], self.record["p"] = self.logits.ctypes.data, self.p.ctypes.data

    def __call__(self, symbols: ArrayLike) -> Array:
        """See `Model.stepper`."""
        self._read(symbols)
        self.record["count"] = 0
        self._compute()
        return self.logits[0] if self.streams == 1 else self.logits

    def write(self, symbols: ArrayLike, uniform: Array, temperature: float, greedy: bool) -> Array:
        """Read these symbols, (streams,), and write; returns what was written, (count, streams).

        uniform: (streams, count), f32, the draws. The last symbols written are not yet read.
        """
        # The first call packs all matrices for each of its symbols, so it writes only one.
        count = uniform.shape[1] if self.is_packed else 1
        chosen = self._write(symbols, uniform[:, :count], temperature, greedy)
        if count == uniform.shape[1]:
            return chosen
        rest = self._write(chosen[-1], uniform[:, count:], temperature, greedy)
        return np.concatenate([chosen, rest])

    def _write(self, symbols: ArrayLike, uniform: Array, temperature: float, greedy: bool) -> Array:
        self._read(symbols)
        uniform = np.ascontiguousarray(uniform, np.float32)
        chosen = np.empty(uniform.shape[::-1], np.int64)
        record = self.record
        record["count"], record["greedy"] = len(chosen), greedy
        record["inverse"] = min(1 / temperature, 1e30)
        record["uniform"], record["chosen"] = uniform.ctypes.data, chosen.ctypes.data
        self._compute()
        return chosen

    @property
    def is_packed(self) -> bool:
        return bool(self.walks[0].linears[0].record["ready"])

    def _read(self, symbols: ArrayLike) -> None:
        """Raises IndexError for a symbol that there is not."""
        self.symbols[...] = symbols
        known = self.walks[0].linears[0].connected.inputs
        if self.symbols.min() < 0 or self.symbols.max() >= known:
            raise IndexError(f"symbols must be from 0 to {known - 1}")

    def _compute(self) -> None:
        TEAM.run(self.job, self.threads)
        # What was packed by the first call serves all others.
        if not self.is_packed:
            for walk in self.walks:
                for linear in walk.linears:
                    linear.record["ready"] = 1


def make_writer(model: Model, state: NetworkState, streams: int) -> Writer | None:
    """See `engine.writer`."""
    # Dropout does nothing here.
    layers = [layer for layer in model.layers[: model.written_layers] if layer.kind != "dropout"]
    if not layers or not layers[0].takes_symbols or layers[0].index != 0:
        return None
    walks = [walk for layer in layers if (walk := walk_of(layer, Workspace()))]
    if len(walks) < len(layers):
        return None
    writer = Writer(walks, [state[layer.index] for layer in layers], streams)
    if len(model.parameters) > SHARED:
        writer.threads = processors()
    return writer
