"""Going on with a run: from its folder to where it stopped."""

from __future__ import annotations

import dataclasses
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from darknet_py.cfg import Cfg, find_cfg, parse_cfg
from darknet_py.corpus import GIVEN, Streams
from darknet_py.dialect import DIALECTS
from darknet_py.engine import choose
from darknet_py.errors import CfgWarning, CostWarning, TrainingError, WeightsError
from darknet_py.files import base_name
from darknet_py.machine import memory, trainable_memory
from darknet_py.network import Network
from darknet_py.options import NetOptions, check_effect, override
from darknet_py.parallel import Communicator
from darknet_py.rand import Rand
from darknet_py.sizes import check_fits
from darknet_py.training import curves as plotting
from darknet_py.training.checkpoint import Checkpoint, read_checkpoint
from darknet_py.training.folder import RunFolder, resume_command, run_to_resume
from darknet_py.training.journal import Journal
from darknet_py.training.run import Run, batch_of_row, batch_of_sample
from darknet_py.training.settings import FREE, SAME, Plan, Settings
from darknet_py.training.start import (
    make_trainer,
    say_unused,
)
from darknet_py.training.texts import Texts, read_texts
from darknet_py.training.validation import Validation

log = logging.getLogger(__name__)

# Keys of [net] on which the meaning of a checkpoint's numbers depends.
_FIXED = ("inputs", "batch", "subdivisions", "time_steps", "tokenized")


def resumed_run(
    asked: Settings,
    cfg: str | Cfg | None,
    data: str | bytes | None,
    comm: Communicator,
    stack: ExitStack,
) -> Run:
    """The run in the folder, standing where it stopped; `stack` holds the folder.

    Raises CfgError, CorpusError, TrainingError and OSError.
    """
    named = cfg.path if isinstance(cfg, Cfg) else cfg
    folder, is_place = run_to_resume(asked.out, named)
    if comm.is_root:
        stack.enter_context(folder.claimed())
        folder.check_cfg()
    where = folder.file(".state")
    checkpoint = read_checkpoint(where)
    old = checkpoint.plan
    if base_name(old.cfg_path) != folder.base:
        raise TrainingError(
            f"{where} belongs to a run of {old.cfg_path}, not of {folder.base}; rename it back"
        )
    for name, now in asked.given(*SAME).items():
        if now != getattr(old, name):
            raise TrainingError(
                f"{where}: the run began with --{name} {getattr(old, name)}, which cannot become "
                f"{now}"
            )
    if old.plot:
        plotting.check()
    if is_place or (cfg == folder.base and not os.path.isfile(folder.base)):
        cfg = None  # The run itself, not a cfg file.
    keys = asked.net_keys()
    overrides = {**old.overrides, **keys}
    source, changes = _source(cfg, old)
    if changes:
        parsed = override(source, overrides, "--set")
    else:
        parsed = override(parse_cfg(old.cfg, old.cfg_path), keys, "--set")
    check_effect(parsed.net, keys, None if old.gradient == "exact" else False)
    tier = choose(asked.engine or ("numpy" if old.engine == "numpy" else "auto"))
    with warnings.catch_warnings():
        # They were shown when the run began, unless the cfg has changed.
        if not changes:
            warnings.simplefilter("ignore", CfgWarning)
        elif old.gradient != "exact":
            warnings.simplefilter("ignore", CostWarning)
        net = Network(parsed, DIALECTS[old.dialect], tier=tier)
    _check_fixed(old, net.options, where)
    trainer = make_trainer(net, old.gradient, comm)
    check_fits(net, trainable_memory())
    _check_text(data, old, folder, comm)
    val = old.val if asked.val is None else asked.val
    val_from = asked.val_from or old.val_from
    texts = read_texts(net, data or old.data, val, comm, val_from)
    changes += _other_texts(old, texts, val_from)
    had = len(checkpoint.arrays.get("parameters", ()))
    if had != len(net.parameters):
        what = changes or [f"--set {key}={value}" for key, value in keys.items()] or [str(where)]
        raise TrainingError(
            f"{'; '.join(what)}: with other layers a run cannot continue ({had:,} parameters "
            f"before, {len(net.parameters):,} now); give what it began with, or begin a new run "
            f"with another --out"
        )
    if changes and not asked.accept_changes:
        raise TrainingError(
            f"{'; '.join(changes)}; give what it began with, or continue with what is there now by "
            f"--accept-changes"
        )
    settings = asked.given(*FREE)
    settings["overrides"] = overrides
    settings["engine"] = tier.name
    plan = dataclasses.replace(
        old,
        **settings,
        cfg=net.cfg.text(),
        source=source.text(),
        data=texts.data,
        digest=texts.digest,
        val=texts.val,
        val_from=val_from,
        val_digest=texts.val_digest,
    )
    net.use_rand(Rand(old.seed, checkpoint.progress["drawn"]))
    offsets = np.zeros(net.options.streams, np.int64)
    streams = Streams(texts.training, net.options.streams, net.rand, offsets)
    validation = Validation(net, texts.held_out, plan.val_every, memory() // 2, comm)
    run = Run(plan, net, trainer, streams, validation, folder, comm)
    _restore(run, checkpoint)
    run.is_unlike = True
    run.check_same()
    if (end := run.over()) and run.is_complete():
        batch = "" if str(net.batch_number) in end[0] else f" at batch {net.batch_number}"
        raise TrainingError(
            f"{where}: the run is complete: {end[0]}{batch}; give {end[1]} to continue"
        )
    say_unused(asked, texts)
    for change in changes:
        log.warning("warning: %s", change)
    if plan.engine != old.engine:
        log.warning(
            "warning: the run began with --engine %s and continues with %s: the last digits will "
            "differ",
            old.engine,
            plan.engine,
        )
    if comm.is_root:
        folder.write_cfg(net.cfg)
    log.info("continuing after batch %d", net.batch_number)
    return run


# --- what may have changed since the run began


def _check_text(data: str | bytes | None, old: Plan, folder: RunFolder, comm: Communicator) -> None:
    """Raise TrainingError where the text is to be that of before, and is not there."""
    command = resume_command(folder.path, folder.base)
    if data is None and old.data == "-":
        raise TrainingError(
            f"the text did not come from a file; give the same text again (in Python, as data): "
            f"cat mybook.txt | {command} -"
        )
    if data is None and comm.size == 1 and not os.path.exists(old.data):
        raise TrainingError(
            f"{old.data}: the text of the run is not there; if it has moved, name its new place: "
            f"{command} mybook.txt"
        )


def _source(cfg: str | Cfg | None, old: Plan) -> tuple[Cfg, list[str]]:
    """The cfg as it is now, where it can be found, and how it is unlike the run's."""
    was = parse_cfg(old.source, old.cfg_path)
    if cfg is not None:
        now = cfg if isinstance(cfg, Cfg) else find_cfg(cfg)
    elif os.path.exists(old.cfg_path):
        now = find_cfg(old.cfg_path)
    else:
        return was, []
    if difference := was.difference(now):
        return now, [f"{now.path} has changed since the run began: {difference}"]
    return was, []


def _other_texts(old: Plan, texts: Texts, val_from: str) -> list[str]:
    """How the texts are unlike the run's."""
    changes = []
    if texts.digest != old.digest:
        name = GIVEN if texts.data == "-" else texts.data
        changes.append(f"{name} is not the text that the run began with")
    if (texts.val, texts.val_digest) != (old.val, old.val_digest):
        changes.append(f"--val {texts.val} is not the held-out text that the run began with")
    elif isinstance(texts.val, float) and val_from != old.val_from:
        changes.append(f"--val-from {val_from}: the run began with --val-from {old.val_from}")
    return changes


def _check_fixed(old: Plan, now: NetOptions, where: Path) -> None:
    was = NetOptions.of(parse_cfg(old.cfg, old.cfg_path).net)
    for key in _FIXED:
        if getattr(was, key) != getattr(now, key):
            raise TrainingError(
                f"{where}: the run began with {key}={getattr(was, key)}, which cannot become "
                f"{getattr(now, key)}; start a new run with --weights"
            )


# --- standing where it stood


def _restore(run: Run, checkpoint: Checkpoint) -> None:
    """Stand where the run of `checkpoint` stood. Raises TrainingError where it does not fit."""
    progress, arrays, net = checkpoint.progress, checkpoint.arrays, run.net
    where = run.folder.file(".state")
    # A run may begin to average when it is resumed.
    arrays.setdefault("memory.average", arrays["parameters"])
    try:
        run.trainer.restore(arrays, int(progress["updates"]))
        np.copyto(run.streams.offsets, arrays["offsets"], casting="no")
        np.copyto(run.streams.fresh, arrays["fresh"], casting="no")
        net.seen = int(progress["seen"])
        run.first_seen = int(progress["first_seen"])
        run.avg = float(progress["avg"])
        run.elapsed_before = float(progress["seconds"])
        net.statistics_steps = progress["statistics_steps"]
        is_measured = run.validation.restore(progress["validation"], arrays.get("best"))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{where} does not fit this network ({error}); a run can only continue with the "
            f"same layers and optimizer"
        ) from error
    texts = [
        (own.digest, own.val, own.val_from, own.val_digest) for own in (checkpoint.plan, run.plan)
    ]
    _recover_best(run, is_measured and texts[0] == texts[1])
    if run.comm.is_root:
        _cut_back(run.table, batch_of_row, net.batch_number)
        _cut_back(run.samples, batch_of_sample, net.batch_number)


def _cut_back(journal: Journal, batch_of: Callable[[str], float], batch: int) -> None:
    """Leave out what was written after `batch`."""
    journal.cut_back(lambda line: batch_of(line) <= batch)


def _recover_best(run: Run, is_measured: bool) -> None:
    """Bring BASE_best.weights and the best network of the state together.

    A run that was killed may have written a better file after its last checkpoint.
    is_measured: whether the loss in the state is by the measure of this run.
    """
    validation, net, comm = run.validation, run.net, run.comm
    if not len(validation.text):
        return
    path = run.folder.file("_best.weights")
    if not is_measured and validation.best_parameters is not None:
        remembered, batch = validation.best_parameters, validation.best_batch
        validation.best_loss = None
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
            net.save_weights(path)
        finally:
            net.seen = seen
