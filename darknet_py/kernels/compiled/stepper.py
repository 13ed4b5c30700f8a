"""What a model steps through text by, compiled: see `Model.stepper`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.kernels.compiled import records
from darknet_py.kernels.compiled.jit import aligned
from darknet_py.kernels.compiled.walks import WALKS, Walk
from darknet_py.kernels.compiled.writing import WRITE


class CompiledStepper:
    """A function from one symbol of each stream to what comes into the output layer.

    It begins in the `state` that it is made with. The parameters are those of then.
    """

    def __init__(
        self, walks: Sequence[Walk], state: Any, streams: int, compute: Callable[[Array], None]
    ) -> None:
        self.walks = walks
        self.streams = streams
        self.compute = compute
        self.symbols = walks[0].bricks[0].symbols.reshape(streams)
        before: Array | None = None
        for walk, own in zip(walks, state, strict=True):
            walk.begin(own)
            walk.record["code"] = walk.code
            for place, brick in enumerate(walk.bricks):
                brick.begin(self.symbols[None] if before is None and place == 0 else None)
            if before is not None:
                walk.bricks[0].record["x"] = before.ctypes.data
            before = walk.outcome()[0]
        assert before is not None
        self.logits = before.reshape(streams, -1)
        self.job = np.zeros(1, WRITE)
        self.record: Any = self.job[0]
        self.addresses = np.array([walk.job.ctypes.data for walk in walks], np.int64)
        self.p = aligned(self.logits.size)
        self.record["code"] = records.WRITE
        self.record["layers"], self.record["walks"] = len(walks), self.addresses.ctypes.data
        self.record["streams"], self.record["width"] = self.logits.shape
        self.record["symbols"] = self.symbols.ctypes.data
        self.record["logits"], self.record["p"] = self.logits.ctypes.data, self.p.ctypes.data

    def __call__(self, symbols: Any) -> Array:
        """See `Model.stepper`."""
        self._read(symbols)
        self.record["count"] = 0
        self._compute()
        return self.logits[0] if self.streams == 1 else self.logits

    def write(self, symbols: Any, uniform: Array, temperature: float, greedy: bool) -> Array:
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

    def _write(self, symbols: Any, uniform: Array, temperature: float, greedy: bool) -> Array:
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
        return bool(self.walks[0].bricks[0].record["ready"])

    def _read(self, symbols: Any) -> None:
        """Raises IndexError for a symbol that there is not."""
        self.symbols[...] = symbols
        known = self.walks[0].bricks[0].connected.inputs
        if self.symbols.min() < 0 or self.symbols.max() >= known:
            raise IndexError(f"symbols must be from 0 to {known - 1}")

    def _compute(self) -> None:
        self.compute(self.job)
        # What was packed by the first call serves all others.
        if not self.is_packed:
            for walk in self.walks:
                for brick in walk.bricks:
                    brick.record["ready"] = 1


def make_stepper(
    layers: Sequence[Any], state: Any, streams: int, compute: Callable[[Array], None]
) -> CompiledStepper | None:
    """That of these layers; None where there is a kind that has no walk."""
    # Dropout does nothing where nothing is trained.
    own = [layer for layer in layers if layer.kind != "dropout"]
    if not own or any(layer.walk_kind not in WALKS for layer in own) or own[0].index != 0:
        return None
    if not own[0].takes_symbols or own[0].parameters()[0].values.dtype != np.float32:
        return None
    walks = [WALKS[layer.walk_kind](layer, (1, streams), False, compute) for layer in own]
    return CompiledStepper(walks, [state[layer.index] for layer in own], streams, compute)
