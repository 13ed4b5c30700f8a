"""The recorded runs of the C programs (tests/recorded/README.md)."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from darknet_py.cfg import read_cfg
from darknet_py.dialect import ALEXEYAB, UPSTREAM
from darknet_py.errors import DarknetWarning
from darknet_py.network import Network

RECORDED = Path(__file__).parent.parent / "recorded"


def cases(key: str) -> list[str]:
    """The recorded folders whose case.json has `key`."""
    return sorted(path.parent.name for path in RECORDED.glob("*/case.json") if key in case(path))


def case(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def recorded_network(folder: str, weights: str = "model.weights") -> Network:
    """A recorded network, ready to generate, in the dialect that it was recorded in."""
    cfg = read_cfg(RECORDED / folder / "test.cfg")
    net = Network(cfg, ALEXEYAB if folder.startswith("alexeyab") else UPSTREAM)
    with warnings.catch_warnings():
        # Of infinite rolling variances.
        warnings.simplefilter("ignore", DarknetWarning)
        net.load_weights(RECORDED / folder / weights)
    return net
