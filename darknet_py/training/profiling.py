"""Where a run's time goes: each layer forward and backward, the update, data and validation."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from darknet_py.model import Model, untimed

DATA, VALIDATION, REST = "data", "validation", "everything else"


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
    def running(self, model: Model) -> Iterator[None]:
        """Time what the model does within."""
        model.timed = self.kind
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.total += time.perf_counter() - begun
            model.timed = untimed

    @contextmanager
    def kind(self, kind: str) -> Iterator[None]:
        """Count the time within as `kind`, but what is counted as another kind within it."""
        if self._validates:
            yield
            return
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
        width = max(len(kind) for kind, _ in rows)
        return [f"{kind:<{width}} {spent:9.2f} s {spent / whole:6.1%}" for kind, spent in rows]
