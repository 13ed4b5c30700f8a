"""Training a network on a text.

api.py         `train`: checks its arguments, starts or resumes a run, trains
settings.py    the options of a run, each with its bounds and its help
plan.py        what a run is to do; build.py: a run from its plan; texts.py: its texts
resume.py      whether a run can be resumed, and standing where it stopped
loop.py        the loop, and what surrounds it; interruption.py: Ctrl-C
run.py         a run as it stands, and saving it
validation.py  the held-out text, and the best network so far
checkpoint.py  BASE.state; folder.py: the folder of a run; journal.py: files that grow by lines
runs.py        the runs below a folder, at a glance
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darknet_py.training.api import train
    from darknet_py.training.run import Result, Row

__all__ = ["Result", "Row", "train"]

# Imported when they are asked for, so that `info` and `report` do not wait for all of training.
_PLACES = {"train": "api", "Result": "run", "Row": "run"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
