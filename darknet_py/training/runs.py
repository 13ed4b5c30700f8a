"""The runs below a folder, as their files describe them. Nothing in these files is trusted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from darknet_py.cfg import bundled_name, parse_cfg
from darknet_py.errors import DarknetError
from darknet_py.files import base_name
from darknet_py.options import NetOptions
from darknet_py.terminal.messages import one_line
from darknet_py.training.checkpoint import Checkpoint, read_checkpoint
from darknet_py.training.folder import RunFolder
from darknet_py.training.texts import is_text_place
from darknet_py.weights import read_header

_OLD = re.compile(r"old-\d+")


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What is known of a run; None is what its files do not tell.

    name: DIR/NAME, as commands take it. text: the path of what it trains on. date: of its last
    checkpoint, or of its start before the first, in ISO 8601. size: bytes of all its files.
    parameters: how many. batches, symbols, seconds, best_val, scored, best_batch: as in `Result`.
    unit: what a symbol is called.
    complete: whether it reached its end. resumable: whether `train --resume` continues it, a
    complete one with a later end; if not, problem says why.
    """

    name: str
    date: str | None = None
    size: int | None = None
    network: str | None = None
    text: str | None = None
    parameters: int | None = None
    batches: int | None = None
    symbols: int | None = None
    unit: str | None = None
    seconds: float | None = None
    best_val: float | None = None
    best_batch: int | None = None
    scored: int | None = None
    complete: bool = False
    resumable: bool = False
    problem: str | None = None


def find_runs(folder: str | os.PathLike[str], with_old: bool = False) -> list[RunSummary]:
    """The runs in a folder and in those below it, the latest last.

    with_old: also those that were moved aside, to old-1, old-2, ... Links to folders and hidden
    folders are left out.
    """
    runs = []
    for path, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (with_old or not _OLD.fullmatch(name))
        ]
        names = {Path(name).stem for name in files if name.endswith((".state", ".cfg"))}
        found = (RunFolder(Path(path), name) for name in names)
        runs += [summarize(run) for run in found if run.exists()]
    return sorted(runs, key=lambda run: (run.date or "", run.name))


def summarize(run: RunFolder) -> RunSummary:
    """What the files of a run tell. A run that is damaged has a `problem`; nothing is raised."""
    known: dict[str, Any] = {"name": os.path.join(run.path, run.base)}
    try:
        found = {path.name: path.lstat() for path in run.files()}
        known["size"] = sum(file.st_size for file in found.values())
        last = found.get(f"{run.base}.state") or found.get(f"{run.base}.cfg")
        known["date"] = last and _date(last.st_mtime)
        if not run.file(".state").exists():
            return RunSummary(**known, problem="it has saved nothing yet")
        checkpoint = read_checkpoint(run.file(".state"))
        known |= _progress(run, checkpoint)
    except (DarknetError, OSError) as error:
        return RunSummary(**known, problem=one_line(error))
    problem = _problem(run, checkpoint)
    return RunSummary(**known, resumable=problem is None, problem=problem)


def _date(seconds: float) -> str:
    """In local time; of a file whose time no calendar has, the nearest that one has."""
    moment = datetime.fromtimestamp(min(max(seconds, 1e5), 2.5e11))
    return moment.astimezone().isoformat(timespec="seconds")


def best_of(validation: dict[str, Any]) -> tuple[float | None, int]:
    """The loss of the best network as the run told it at its end, or before that as it was
    measured on a part of the text; and of how many symbols it is.

    validation: that of BASE.state.
    """
    is_scored = validation["whole_batch"] == validation["best_batch"]
    if validation["whole_loss"] is not None and is_scored:
        return validation["whole_loss"], validation["whole_symbols"]
    return validation["best_loss"], validation["symbols"]


def _progress(run: RunFolder, checkpoint: Checkpoint) -> dict[str, Any]:
    """Raises DarknetError if the plan is of no network, or the last weights are damaged."""
    plan, progress = checkpoint.plan, checkpoint.progress
    options = NetOptions.of(parse_cfg(plan.cfg, plan.cfg_path).net)
    final = run.file("_final.weights")
    best_val, scored = best_of(progress["validation"])
    is_tokens = options.tokenized or options.inputs > 256
    return {
        "network": bundled_name(plan.cfg_path) or Path(plan.cfg_path).name.removesuffix(".cfg"),
        "text": plan.data,
        "parameters": checkpoint.parameters,
        "batches": progress["seen"] // options.symbols,
        "symbols": progress["seen"] - progress["first_seen"],
        "unit": "token" if is_tokens else "byte",
        "seconds": progress["seconds"],
        "best_val": best_val,
        "best_batch": None if best_val is None else progress["validation"]["best_batch"],
        "scored": 0 if best_val is None else scored,
        "complete": final.is_file() and read_header(final).seen == progress["seen"],
    }


def _problem(run: RunFolder, checkpoint: Checkpoint) -> str | None:
    """Why a run cannot be resumed as it stands, if it cannot."""
    plan = checkpoint.plan
    if run.is_held():
        return "a run is writing in its folder"
    if base_name(plan.cfg_path) != run.base:
        return f"it is a run of {plan.cfg_path}; rename it back"
    if plan.data == "-":
        return "its text did not come from a file; give the same text again"
    missing = [p for p in (plan.data, plan.val) if isinstance(p, str) and not is_text_place(p)]
    return f"{missing[0]} is not there" if missing else None
