"""The recorded runs of the C programs (tests/recorded/README.md)."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from darknet_py.cfg import read_cfg
from darknet_py.errors import DarknetWarning
from darknet_py.loading.building import network_as_in_c
from darknet_py.network import Network

RECORDED = Path(__file__).parent.parent / "recorded"


def cases(key: str) -> list[str]:
    """The recorded folders whose case.json has `key`."""
    return sorted(path.parent.name for path in RECORDED.glob("*/case.json") if key in case(path))


def case(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def recorded_network(folder: str, weights: str = "model.weights", seed: int = 1) -> Network:
    """A recorded network, ready to generate, in the dialect that it was recorded in.

    seed: of what a file lacks, in `crnn-upstream`.
    """
    cfg = read_cfg(RECORDED / folder / "test.cfg")
    with warnings.catch_warnings():
        # Of infinite rolling variances, and of a file that is too short.
        warnings.simplefilter("ignore", DarknetWarning)
        return network_as_in_c(cfg, RECORDED / folder / weights, seed)
