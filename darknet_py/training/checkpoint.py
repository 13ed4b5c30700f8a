"""BASE.state: what a run was asked to do and where it stands, all that going on exactly needs.

The file is an .npz archive: `facts`, a JSON text as bytes, and arrays by name. It holds the
parameters too, so that one rename replaces a whole checkpoint by the next.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import whole
from darknet_py.errors import TrainingError
from darknet_py.files import writing_whole
from darknet_py.training.plan import Plan

FORMAT = 1
COUNTS = ("seen", "first_seen", "drawn", "updates")


@dataclass(frozen=True)
class Checkpoint:
    """A plan, what has been counted and measured, and arrays, all by name."""

    plan: Plan
    progress: dict[str, Any]
    arrays: dict[str, Array]


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write BASE.state whole or not at all. Raises OSError."""
    facts = {
        "format": FORMAT,
        "plan": checkpoint.plan.kept(),
        "progress": checkpoint.progress,
    }
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with writing_whole(path) as file:
        arrays: dict[str, Any] = {"facts": text, **checkpoint.arrays}
        np.savez(file, **arrays)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read BASE.state. Raises TrainingError where it is missing, damaged or of another kind."""
    return _read(path)


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Of BASE.state only what the run was asked to do. Raises as `read_checkpoint` does."""
    return _read(path, ("facts",)).plan


def _read(path: str | os.PathLike[str], names: tuple[str, ...] | None = None) -> Checkpoint:
    """The checkpoint with all arrays, or with only those of these names."""
    try:
        # A damaged archive would leave a file open that it opened itself.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names or archive.files}
        facts = json.loads(arrays.pop("facts").tobytes())
        if facts["format"] != FORMAT:
            raise TrainingError(
                f"{path} has format {facts['format']}; this version reads only format {FORMAT}"
            )
        plan, progress = Plan.of_kept(facts["plan"]), facts["progress"]
        for name in COUNTS:
            whole().take(progress[name])
        return Checkpoint(plan, progress, arrays)
    except FileNotFoundError as error:
        raise TrainingError(f"{path}: no such file; there is no run to resume") from error
    except OSError as error:
        raise TrainingError(f"{path}: cannot read the state: {error.strerror}") from error
    except TrainingError:
        raise
    except Exception as error:  # A damaged archive makes its readers raise anything.
        raise TrainingError(
            f"{path} is damaged ({type(error).__name__}) or is not the state of a run; start a new "
            f"run with --weights from its weights file"
        ) from error
