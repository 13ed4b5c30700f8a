"""The compiled twins of `kernels/plain.py`, and the engine, with the extra `fast`.

passes.py              the element-wise loops, each compiled by itself
engine.py              whole walks of layers, shared among threads: docs/engine.md

Nothing imports them unasked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darknet_py.arrays import Array
from darknet_py.kernels import KERNELS, Kernels, Writer
from darknet_py.kernels.compiled import passes
from darknet_py.kernels.compiled.engine import Engine
from darknet_py.kernels.compiled.jit import VECTOR
from darknet_py.kernels.compiled.stepper import make_stepper
from darknet_py.kernels.compiled.team import TEAM
from darknet_py.kernels.compiled.walks import Walk


class CompiledKernels(Kernels):
    """What numba compiles; what is not here is numpy's."""

    name = "compiled"
    has_team = VECTOR > 0

    bias_activate = staticmethod(passes.bias_activate)
    affine_activate = staticmethod(passes.affine_activate)
    activate_backward = staticmethod(passes.activate_backward)
    normalize_activate = staticmethod(passes.normalize_activate)
    normalize_activate_backward = staticmethod(passes.normalize_activate_backward)
    add_by_symbol = staticmethod(passes.add_by_symbol)
    lstm_step_backward = staticmethod(passes.lstm_step_backward)
    gru_mix = staticmethod(passes.gru_mix)
    gru_mix_backward = staticmethod(passes.gru_mix_backward)

    def __init__(self) -> None:
        self._engine = Engine()

    @property
    def threads(self) -> int:
        return self._engine.threads

    @threads.setter
    def threads(self, count: int) -> None:
        self._engine.threads = count

    def prepare(self) -> None:
        """Compile the engine, or read it from disk."""
        if self.has_team:
            TEAM.compile()

    def timed(self) -> tuple[str, ...]:
        return (*KERNELS, "compute")

    def compute(self, job: Array) -> None:
        """Compute the job of a walk (records.py)."""
        self._engine.run(job)

    def walk(self, layer: Any, x: Array, training: bool) -> Walk | None:
        return self._engine.walk(layer, x, training, lambda job: self.compute(job))

    def stepper(self, layers: Sequence[Any], state: Any, streams: int) -> Writer | None:
        if not VECTOR:
            return None
        return make_stepper(layers, state, streams, lambda job: self.compute(job))

    def softmax(self, *arguments: Any) -> None:
        if not self._engine.softmax(*arguments):
            super().softmax(*arguments)

    def softmax_delta(self, *arguments: Any) -> None:
        if not self._engine.softmax_delta(*arguments):
            super().softmax_delta(*arguments)

    def sgd(self, *arguments: Any) -> None:
        if not self._engine.sgd(*arguments):
            passes.sgd(*arguments)

    def adam(self, *arguments: Any) -> None:
        if not self._engine.adam(*arguments):
            passes.adam(*arguments)
