"""Resuming a run: whether what is there now fits it, and standing where it stopped."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darknet_py.cfg import Cfg, parse_cfg, printable
from darknet_py.engine import bf16_way
from darknet_py.errors import TrainingError, WeightsError
from darknet_py.files import base_name
from darknet_py.npz import Npz
from darknet_py.options import NetOptions
from darknet_py.parallel import Communicator
from darknet_py.text.corpus import GIVEN
from darknet_py.training.checkpoint import STATES, Checkpoint, opened, read_checkpoint
from darknet_py.training.folder import RunFolder, resume_command, run_to_resume
from darknet_py.training.journal import batch_of_row, batch_of_sample
from darknet_py.training.plan import Plan
from darknet_py.training.run import Run
from darknet_py.training.settings import SAME, Settings
from darknet_py.training.texts import Texts, is_text_place

log = logging.getLogger(__name__)

AVERAGE = "memory.average"  # of the parameters, with the key `average`
# Keys of [net] on which the meaning of a checkpoint's numbers depends.
_FIXED = ("inputs", "batch", "subdivisions", "time_steps", "tokenized")


@dataclass(frozen=True)
class Previous:
    """The run that is resumed. cfg: that was given for it, None for what it began with."""

    folder: RunFolder
    checkpoint: Checkpoint
    cfg: str | Cfg | None

    @property
    def plan(self) -> Plan:
        return self.checkpoint.plan

    @property
    def state(self) -> Path:
        """Its BASE.state, which messages name."""
        return self.folder.file(".state")


def find_previous(
    asked: Settings, cfg: str | Cfg | None, comm: Communicator, stack: ExitStack
) -> Previous:
    """The run that is resumed; `stack` holds its folder. Raises TrainingError and OSError."""
    folder, is_place = run_to_resume(asked.out, cfg.path if isinstance(cfg, Cfg) else cfg)
    if comm.is_root:
        stack.enter_context(folder.claimed())
        folder.check_cfg()
    where = folder.file(".state")
    checkpoint = read_checkpoint(where)
    plan = checkpoint.plan
    if base_name(plan.cfg_path) != folder.base:
        raise TrainingError(
            f"{where} belongs to a run of {plan.cfg_path}, not of {folder.base}; rename it back"
        )
    for name, now in asked.given(*SAME).items():
        if now != getattr(plan, name):
            raise TrainingError(
                f"{where}: this run uses --{name} {getattr(plan, name)}; leave out --{name}, or "
                f"start a new run"
            )
    if is_place or (cfg == folder.base and not os.path.isfile(folder.base)):
        cfg = None  # The run itself, not a cfg file.
    return Previous(folder, checkpoint, cfg)


# --- what may have changed since the run began


def check_fixed(previous: Previous, now: NetOptions) -> None:
    """Raise TrainingError for a key of [net] that cannot change."""
    was = NetOptions.of(parse_cfg(previous.plan.cfg, previous.plan.cfg_path).net)
    for key in _FIXED:
        if getattr(was, key) != getattr(now, key):
            raise TrainingError(
                f"{previous.state}: the run began with {key}={getattr(was, key)}, which cannot "
                f"become {getattr(now, key)}; start a new run with --weights"
            )


def check_text(
    data: str | bytes | None, plan: Plan, previous: Previous, comm: Communicator
) -> None:
    """Raise TrainingError if a text is to be that of before, and is not there."""
    command = resume_command(previous.folder.path, previous.folder.base)
    if data is None and plan.data == "-":
        raise TrainingError(
            f"the text did not come from a file; give the same text again (in Python, as data): "
            f"cat mybook.txt | {command} -"
        )
    for place, option in ((plan.data if data is None else None, ""), (plan.val, "--val ")):
        if isinstance(place, str) and comm.size == 1 and not is_text_place(place):
            raise TrainingError(
                f"{place}: the text of the run is not there; if it has moved, name its new place: "
                f"{command} {option}mybook.txt"
            )


def check_changes(
    plan: Plan, asked: Settings, previous: Previous, texts: Texts, parameters: int
) -> Plan:
    """The plan with how the texts differ from those of before.

    parameters: how many the network has now. Raises TrainingError for changes that are not
    accepted, and for other layers.
    """
    changes = (*plan.changes, *_changes_of_texts(previous.plan, texts, plan.val_from))
    had = previous.checkpoint.parameters
    if had != parameters:
        keys = [f"--set {key}={value}" for key, value in asked.net_keys().items()]
        raise TrainingError(
            f"{'; '.join(changes or keys or [str(previous.state)])}: with other layers a run "
            f"cannot continue ({had:,} parameters before, {parameters:,} now); restore the "
            f"original, or start a new run with another --out"
        )
    if changes and not asked.accept_changes:
        raise TrainingError(f"{'; '.join(changes)}; restore the original, or use --accept-changes")
    return dataclasses.replace(plan, changes=changes)


def _changes_of_texts(old: Plan, texts: Texts, val_from: str) -> list[str]:
    """How the texts differ from the run's."""
    changes = []
    if texts.digest != old.digest:
        name = GIVEN if texts.data == "-" else texts.data
        changes.append(f"{name} is not the text that the run began with")
    if (texts.val, texts.val_digest) != (old.val, old.val_digest):
        changes.append(f"--val {texts.val} is not the held-out text that the run began with")
    elif isinstance(texts.val, float) and val_from != old.val_from:
        changes.append(f"--val-from {val_from}: the run began with --val-from {old.val_from}")
    return changes


def resume(run: Run, old: Plan) -> None:
    """Tell how the run differs from what it was, and from where it continues.

    Raises TrainingError if it is at its end and has written its last weights.
    """
    net = run.net
    if (end := run.over()) and run.is_complete():
        batch = "" if str(net.batch_number) in end[0] else f" at batch {net.batch_number}"
        raise TrainingError(
            f"{run.folder.file('.state')}: the run is complete: {end[0]}{batch}; give {end[1]} to "
            f"continue"
        )
    for change in run.plan.changes:
        log.warning("warning: %s", change)
    if run.plan.engine != old.engine:
        log.warning(
            "warning: the run began with --engine %s and continues with %s: the last digits will "
            "differ",
            *(old.engine, run.plan.engine),
        )
    if run.plan.precision == "bf16" and bf16_way() == "loop":
        log.warning(
            "warning: the run began with --precision bf16, which is slow on this processor; "
            "--accept-changes --precision f32 continues faster, with other last digits"
        )
    if run.comm.is_root:
        run.folder.write_cfg(net.cfg)
    log.info("continuing after batch %d", net.batch_number)


# --- standing where it stood


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Stand where the run of `checkpoint` stood. Raises TrainingError if it does not fit."""
    progress, net = checkpoint.progress, run.net
    where = run.folder.file(".state")
    run.trainer.count = progress["updates"]
    net.seen, run.first_seen = progress["seen"], progress["first_seen"]
    run.avg = math.nan if progress["avg"] is None else progress["avg"]
    run.elapsed_before = progress["seconds"]
    is_measured = run.validation.restore(progress["validation"])
    if run.validation.best_loss is not None:
        run.validation.best_parameters = np.empty_like(net.parameters)
    if len(progress["statistics_steps"]) != len(net.statistics_steps):
        raise _misfit(where, "statistics_steps")
    net.statistics_steps = progress["statistics_steps"]
    with opened(where) as npz:
        _read_arrays(npz, run, where)
    texts = [
        (plan.digest, plan.val, plan.val_from, plan.val_digest)
        for plan in (checkpoint.plan, run.plan)
    ]
    _recover_best(run, is_measured and texts[0] == texts[1])
    if run.comm.is_root:
        # Without what was written after it.
        run.table.cut_back(batch_of_row, net.batch_number)
        run.samples.cut_back(batch_of_sample, net.batch_number)


def _misfit(where: Path, what: str) -> TrainingError:
    """The error of a state that is of another network. what: does not fit."""
    return TrainingError(
        f"{where} does not fit this network ({what}); a run can only continue with the same layers "
        f"and optimizer"
    )


def _read_arrays(npz: Npz, run: Run, where: Path) -> None:
    """Fill the arrays of the run. Raises TrainingError if others are stored, before any is read."""
    arrays, streams = run.arrays(), run.net.options.streams
    stored = set(npz.names) - {"facts"}
    # A run may begin to average when it is resumed, and end to.
    if differ := (arrays.keys() ^ stored) - {AVERAGE}:
        raise _misfit(where, printable(", ".join(sorted(differ)), 100))
    average = arrays.pop(AVERAGE, None) if AVERAGE not in stored else None
    for name, array in arrays.items():
        shape = (streams, *array.shape[1:]) if name.startswith(STATES) else array.shape
        if npz.header(name) != (array.dtype, shape):
            found = " ".join(map(str, npz.header(name)))
            raise _misfit(where, printable(f"{name} is {found}, not {array.dtype} {shape}", 100))
    for name, array in arrays.items():
        part = run.trainer.streams if name.startswith(STATES) else slice(None)
        array[...] = npz.read(name)[part]
    run.streams.offsets %= len(run.streams.text)
    if average is not None:
        np.copyto(average, run.net.parameters)


def _recover_best(run: Run, is_measured: bool) -> None:
    """Bring BASE_best.weights and the best network of the state together.

    A run that was killed may have written a better file after its last checkpoint.
    is_measured: whether the measure of this run gave the loss in the state.
    """
    validation, net, comm = run.validation, run.net, run.comm
    if not len(validation.text):
        return
    path = run.folder.file("_best.weights")
    if not is_measured and validation.best_parameters is not None:
        remembered, batch = validation.best_parameters, validation.best_batch
        validation.best_loss = validation.best_parameters = None
        validation.recover(net, remembered, batch)
        validation.lowest = validation.best_loss or validation.lowest
    try:
        found = comm.broadcast(net.read_saved(path) if comm.is_root else None)
    except (OSError, WeightsError):
        found = comm.broadcast(None)
    if found is not None:
        parameters, seen = found
        batch = seen // net.options.symbols
        if batch != validation.best_batch or validation.best_loss is None:
            validation.recover(net, parameters, batch)
    is_there = found is not None and batch == validation.best_batch
    if comm.is_root and validation.best_parameters is not None and not is_there:
        _write_best(run, path)


def _write_best(run: Run, path: Path) -> None:
    """Write the best network of the state. Raises OSError."""
    validation, net = run.validation, run.net
    best, seen = validation.best_parameters, net.seen
    assert best is not None
    with net.holding(best):
        net.seen = validation.best_batch * net.options.symbols + seen % net.options.symbols
        try:
            net.save_weights(path, follow=False)
        finally:
            net.seen = seen
