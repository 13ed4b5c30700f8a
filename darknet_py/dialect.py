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
    rolling: weight of one step's statistics in the rolling ones of a connected layer.
    rolling_batchnorm: the same in a `[batchnorm]` layer.
    """

    name: str
    revision: int
    root_epsilon: float
    deviation_epsilon: float
    rolling: float
    rolling_batchnorm: float


UPSTREAM = Dialect("upstream", 0, 0.0, 1e-6, 0.01, 0.01)
ALEXEYAB = Dialect("alexeyab", 5, 1e-5, 0.0, 0.05, 0.1)
DIALECTS = {dialect.name: dialect for dialect in (UPSTREAM, ALEXEYAB)}
