"""darknet's character-level recurrent networks in Python."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from darknet_py.__version__ import __version__

if TYPE_CHECKING:
    from darknet_py.errors import (
        CfgError,
        CorpusError,
        DarknetError,
        DarknetWarning,
        TrainingError,
        WeightsError,
    )
    from darknet_py.exporting.api import export
    from darknet_py.inference.evaluation import Evaluation, evaluate
    from darknet_py.inference.generation import Session, generate
    from darknet_py.inference.lines import evaluate_lines
    from darknet_py.inference.sampling import Sampling
    from darknet_py.inference.text import generate_text, stream_text
    from darknet_py.loading.finding import load_network
    from darknet_py.network import Network
    from darknet_py.reporting.api import report
    from darknet_py.training import train
    from darknet_py.training.run import Result, Row

__all__ = [
    "CfgError",
    "CorpusError",
    "DarknetError",
    "DarknetWarning",
    "Evaluation",
    "Network",
    "Result",
    "Row",
    "Sampling",
    "Session",
    "TrainingError",
    "WeightsError",
    "__version__",
    "evaluate",
    "evaluate_lines",
    "export",
    "generate",
    "generate_text",
    "load_network",
    "report",
    "stream_text",
    "train",
]

# Imported when they are asked for, so that `darknet-py --help` does not wait for numpy.
_PLACES = {
    "errors": (
        "CfgError",
        "CorpusError",
        "DarknetError",
        "DarknetWarning",
        "TrainingError",
        "WeightsError",
    ),
    "inference.evaluation": ("Evaluation", "evaluate"),
    "inference.generation": ("Session", "generate"),
    "inference.lines": ("evaluate_lines",),
    "inference.text": ("generate_text", "stream_text"),
    "loading.finding": ("load_network",),
    "exporting.api": ("export",),
    "reporting.api": ("report",),
    "network": ("Network",),
    "training.run": ("Result", "Row"),
    "inference.sampling": ("Sampling",),
    "training": ("train",),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"darknet_py.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
