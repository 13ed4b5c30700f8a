"""The two C programs whose files and formulas differ: pjreddie's darknet and AlexeyAB's fork."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """What the weights file's origin decides.

    name: as in `--dialect`.
    revision: third number of the header it writes (0.2.`revision`).
    root_epsilon: added to the variance under the root of batch norm.
    deviation_epsilon: added to the standard deviation itself.
    rolling: weight of one step's statistics in the rolling ones.
    """

    name: str
    revision: int
    root_epsilon: float
    deviation_epsilon: float
    rolling: float


UPSTREAM = Dialect("upstream", 0, root_epsilon=0.0, deviation_epsilon=1e-6, rolling=0.01)
ALEXEYAB = Dialect("alexeyab", 5, root_epsilon=1e-5, deviation_epsilon=0.0, rolling=0.05)
DIALECTS = {dialect.name: dialect for dialect in (UPSTREAM, ALEXEYAB)}
