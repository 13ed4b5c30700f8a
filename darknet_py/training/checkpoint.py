"""BASE.state: what a run was asked to do and where it stands, all that going on exactly needs.

The file is an .npz archive: `facts`, a JSON text as bytes, and arrays by name. It holds the
parameters too, so that one rename replaces a whole checkpoint by the next.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import Facts, check_facts, items, number, optional, shown, whole
from darknet_py.errors import TrainingError
from darknet_py.files import writing_whole
from darknet_py.npz import Npz, open_npz, refusing_damage
from darknet_py.training.plan import PLAN, Plan

FORMAT = 1
STATES = "state."  # how the names of arrays begin that have a row for each stream
_MOST_BYTES = 1 << 24  # of the facts, most of them two cfg files whose bytes take up to six each
_COUNT, _LOSS = whole(), optional(number())

# What BASE.state contains about the best network and the validations so far: see `Validation`.
VALIDATION: Facts = {
    "symbols": _COUNT,
    "best_loss": _LOSS,
    "best_batch": _COUNT,
    "lowest": _LOSS,
    "whole_batch": _COUNT,
    "whole_loss": _LOSS,
    "whole_symbols": _COUNT,
    "number": _COUNT,
    "stale": _COUNT,
    "sampled": _COUNT,
    "due": optional(_COUNT),
}
# What it contains about the progress of the run: see `Run`.
PROGRESS: Facts = {
    "seen": _COUNT,
    "first_seen": _COUNT,
    "drawn": _COUNT,
    "updates": _COUNT,
    "avg": _LOSS,
    "seconds": number(least=0, most=1e12),
    "statistics_steps": items(_COUNT),
    "validation": VALIDATION,
}


@dataclass(frozen=True)
class Checkpoint:
    """A plan, what has been counted and measured by name, and the number of parameters."""

    plan: Plan
    progress: dict[str, Any]
    parameters: int


def write_checkpoint(
    path: str | os.PathLike[str], plan: Plan, progress: dict[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write BASE.state whole or not at all. Raises OSError."""
    facts = {"format": FORMAT, "plan": plan.kept(), "progress": progress}
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with writing_whole(path, follow=False) as file:
        named: dict[str, Any] = {"facts": text, **arrays}
        np.savez(file, **named)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read BASE.state, but for its arrays.

    Raises TrainingError if it is missing, damaged or of another kind.
    """
    with opened(path) as npz:
        dtype, shape = npz.header("facts")
        if dtype != np.uint8 or len(shape) != 1 or shape[0] > _MOST_BYTES:
            raise ValueError(f"facts must be no more than {_MOST_BYTES:,} bytes")
        facts = json.loads(npz.read("facts").tobytes())
        if isinstance(facts, dict) and facts.get("format") != FORMAT:
            raise TrainingError(
                f"{path} has format {shown(facts.get('format'))}; this version reads only format "
                f"{FORMAT}"
            )
        taken = check_facts(facts, {"format": whole(), "plan": PLAN, "progress": PROGRESS})
        if taken != facts:
            raise ValueError("a value that no run has")
        _, shape = npz.header("parameters")
        return Checkpoint(Plan(**facts["plan"]), facts["progress"], math.prod(shape))


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Npz]:
    """The archive of BASE.state. Raises TrainingError, even for what is raised within."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise TrainingError(f"{path} is a folder, pipe or device instead of the state of a run")
    advice = "is not the state of a run; start a new run with --weights from its weights file"
    with refusing_damage(path, TrainingError, advice):
        try:
            with open_npz(path) as npz:
                yield npz
        except FileNotFoundError as error:
            raise TrainingError(f"{path}: no such file; there is no run to resume") from error
        except OSError as error:
            raise TrainingError(f"{path}: cannot read the state: {error.strerror}") from error
