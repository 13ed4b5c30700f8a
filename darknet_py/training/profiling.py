"""Where a run's time goes: the kernels, timed by kind."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from darknet_py.kernels import Kernels

PRODUCTS, PASSES, UPDATE = "matrix products", "element-wise passes", "update"
DATA, VALIDATION, REST = "data", "validation", "everything else"
# Whole layers in compiled code, their products among them.
WALKS = "compiled walks"
_KINDS = {"product": PRODUCTS, "compute": WALKS, "sgd": UPDATE, "adam": UPDATE}


class Profile:
    """Seconds by kind of work, while it is `running`; a kind within another counts alone.

    What a validation computes counts as validation.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.total = 0.0
        self._inner = 0.0
        self._validates = False

    @contextmanager
    def running(self, kernels: Kernels) -> Iterator[None]:
        """Time each of a network's kernels within."""
        for name in kernels.timed():
            timed = self._timed(_KINDS.get(name, PASSES), getattr(kernels, name))
            setattr(kernels, name, timed)
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.total += time.perf_counter() - begun
            for name in kernels.timed():
                delattr(kernels, name)

    def _timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._validates:
                return function(*arguments, **named)
            with self.kind(kind):
                return function(*arguments, **named)

        return timed

    @contextmanager
    def kind(self, kind: str) -> Iterator[None]:
        """Count the time within as `kind`, but what is counted as another kind within it."""
        outer, self._inner = self._inner, 0.0
        self._validates = kind == VALIDATION
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            self.seconds[kind] += spent - self._inner
            self._inner = outer + spent
            self._validates = False

    def lines(self) -> list[str]:
        """A table: seconds and share of each kind, the largest first."""
        rest = self.total - sum(self.seconds.values())
        rows = sorted([*self.seconds.items(), (REST, rest)], key=lambda row: -row[1])
        whole = self.total or 1.0
        return [f"{kind:<20} {spent:9.2f} s {spent / whole:6.1%}" for kind, spent in rows]
