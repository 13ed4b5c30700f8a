"""darknet's character-level recurrent networks in Python."""

from darknet_py.errors import (
    CfgError,
    CorpusError,
    DarknetError,
    DarknetWarning,
    TrainingError,
    WeightsError,
)
from darknet_py.evaluation import Evaluation, evaluate
from darknet_py.generation import generate
from darknet_py.loading import load_network
from darknet_py.network import Network
from darknet_py.training import Result, Row, train

__version__ = "0.1.0"
__all__ = [
    "CfgError",
    "CorpusError",
    "DarknetError",
    "DarknetWarning",
    "Evaluation",
    "Network",
    "Result",
    "Row",
    "TrainingError",
    "WeightsError",
    "evaluate",
    "generate",
    "load_network",
    "train",
]
