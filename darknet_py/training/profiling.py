"""Where a run's time goes: each layer forward and backward, the update, data and validation.

Of a layer that the engine computes also each of its products.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from darknet_py.layers.base import Layer
from darknet_py.model import Model, untimed

DATA, VALIDATION, REST = "data", "validation", "everything else"


class Profile:
    """Seconds by kind of work, while it is `running`; a kind within another counts alone.

    What a validation computes counts as validation.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        # Seconds and operations of a kind's parts, by the kind's name and theirs.
        self.parts: dict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
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
    def kind(self, kind: str, layer: Layer | None = None) -> Iterator[None]:
        """Count the time within as `kind`, but what is counted as another kind within it.

        layer: the one that does the work, which may know its parts.
        """
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
            parts = self.parts[kind]
            for name, (seconds, operations) in (layer.take_times() if layer else {}).items():
                before = parts.get(name, (0.0, 0))
                parts[name] = before[0] + seconds, before[1] + operations

    def lines(self) -> list[str]:
        """A table: seconds and share of each kind, the largest first, and below it its parts.

        A product also has the rate of one thread, in billions of operations a second.
        """
        rest = self.total - sum(self.seconds.values())
        rows = sorted([*self.seconds.items(), (REST, rest)], key=lambda row: -row[1])
        whole = self.total or 1.0
        table = []
        for kind, spent in rows:
            table.append((kind, spent, ""))
            for name, (seconds, operations) in self.parts[kind].items():
                rate = f"{operations / seconds / 1e9:8.1f} GFLOP/s" if operations else ""
                table.append((f"  {name}", seconds, rate))
        width = max(len(name) for name, _, _ in table)
        return [
            f"{name:<{width}} {spent:9.2f} s {spent / whole:6.1%}{rate}"
            for name, spent, rate in table
        ]
