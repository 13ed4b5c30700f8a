"""Training: starting a run, or going on with one, from what a user asks for."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py import plotting
from darknet_py.cfg import Cfg, NetOptions, check_effect, find_cfg, override_net, parse_cfg
from darknet_py.corpus import Streams, check_known, read_text, split
from darknet_py.dialect import DIALECTS
from darknet_py.errors import CfgWarning, CorpusError, CostWarning, TrainingError
from darknet_py.files import base_name
from darknet_py.finding import find_weights, open_network
from darknet_py.kernel_choice import use_kernels
from darknet_py.layers.base import Array
from darknet_py.loading import network_for_training
from darknet_py.machine import memory
from darknet_py.network import Network
from darknet_py.parallel import Ranks, find_ranks
from darknet_py.rand import Rand, seed_from_clock
from darknet_py.replay import Replay
from darknet_py.scoring import Progress
from darknet_py.threads import Threads, process_choice, process_obstacle
from darknet_py.training.checkpoint import Plan, read_checkpoint
from darknet_py.training.folder import RunFolder, find_run
from darknet_py.training.run import Result, Row, Run, Trainer
from darknet_py.training.validation import Validation
from darknet_py.transfer import take_layers
from darknet_py.weights import dialect_of
from darknet_py.workers import Workers

log = logging.getLogger(__name__)

__all__ = ["Result", "Row", "train"]

VAL = 0.1
SAVE_EVERY = 100
# Keys of [net] on which the meaning of a checkpoint's numbers depends.
_FIXED = ("inputs", "batch", "subdivisions", "time_steps", "tokenized")


def train(
    cfg: str | os.PathLike[str] | Cfg | None = None,
    data: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] = "backup",
    resume: bool = False,
    accept_changes: bool = False,
    weights: str | os.PathLike[str] | None = None,
    weights_layers: Mapping[int, int] | None = None,
    weights_cfg: str | os.PathLike[str] | None = None,
    clear: bool = False,
    batches: int | None = None,
    seconds: float | None = None,
    overrides: Mapping[str, object] | None = None,
    seed: int | None = None,
    val: float | str | os.PathLike[str] | None = None,
    val_every: int | None = None,
    patience: int | None = None,
    save_every: int | None = None,
    sample_every: int | None = None,
    state: str | None = None,
    dialect: str | None = None,
    gradient: str | None = None,
    tokenized: bool = False,
    threads: int | None = None,
    processes: int | None = None,
    memory_limit: int | None = None,
    kernels: str | None = None,
    plot: bool = False,
    profile: bool = False,
    callback: Callable[[Row], object] | None = None,
    stop: Callable[[], bool] | None = None,
    scoring: Progress | None = None,
) -> Result:
    """Train the network of `cfg` on the text `data`: the run of `darknet-py train`.

    The parameters are the command's options, and None stands for its default; `seconds` is its
    `--time`, `overrides` its `--set`, `memory_limit` its `--memory` in bytes (default: half of the
    machine's). kernels: `auto`, `numpy` or `compiled`. processes: that share the streams, on this
    machine.
    weights_layers: where only some layers of `weights` are taken: for each layer of the new network
    the one that it starts from; `weights_cfg` describes them.
    resume: go on with the run in `out` where it stopped; what is not given is as it was. The cfg
    and the texts must be those of the run, unless `accept_changes`.
    callback: called after every batch. stop: asked before the first batch and after every one;
    true ends the run as Ctrl-C does, with everything saved. It is asked during the score of the
    best network at the end too, and then ends that. scoring: called as that score proceeds, with
    the symbols scored and the number of all.
    Messages go to the logger `darknet_py`.
    Raises CfgError, CorpusError and WeightsError before the first batch, TrainingError and OSError
    also later.
    """
    settings = {name: str(value) for name, value in (overrides or {}).items()}
    if state is not None:
        settings["state"] = state
    if tokenized:
        settings["tokenized"] = "1"
    given: dict[str, Any] = {
        "batches": batches,
        "seconds": seconds,
        "val_every": val_every,
        "patience": patience,
        "save_every": save_every,
        "sample_every": sample_every,
        "plot": plot or None,
        "threads": threads,
        "processes": processes,
    }
    asked = _Asked(
        cfg=cfg,
        data=None if data is None else os.fspath(data),
        out=Path(out),
        settings=settings,
        seed=seed,
        val=val if val is None or isinstance(val, (int, float)) else os.fspath(val),
        dialect=dialect,
        gradient=gradient,
        kernels=kernels,
        memory_limit=memory_limit,
        plan={name: value for name, value in given.items() if value is not None},
    )
    if plot:
        plotting.check()
    if (weights_layers is None or weights is None) and weights_cfg is not None:
        raise TrainingError("--weights-cfg: expected it with --weights and --weights-layers only")
    if weights_layers is not None and weights is None:
        raise TrainingError("--weights-layers: expected it with --weights only")
    if accept_changes and not resume:
        raise TrainingError("--accept-changes: expected it with --resume only")
    ranks = find_ranks()
    with ExitStack() as stack:
        if resume:
            if weights is not None or clear:
                raise TrainingError(
                    "--resume goes on from BASE.state: expected no --weights, --clear"
                )
            run = _resumed(asked, accept_changes, stack, ranks)
        else:
            start = None
            if weights is not None:
                start = _Start(find_weights(weights), weights_layers, weights_cfg)
            run = _started(asked, start, clear, stack, ranks)
        return _train(run, profile, callback, stop, scoring)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What `train` was given; None where it was not. plan: fields of `Plan`."""

    cfg: str | os.PathLike[str] | Cfg | None
    data: str | None
    out: Path
    settings: dict[str, str]
    seed: int | None
    val: float | str | None
    dialect: str | None
    gradient: str | None
    kernels: str | None
    memory_limit: int | None
    plan: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Start:
    """The weights that a run starts from, or some layers of theirs, which `cfg` describes."""

    weights: Path
    layers: Mapping[int, int] | None
    cfg: str | os.PathLike[str] | None


def _started(
    asked: _Asked,
    start: _Start | None,
    clear: bool,
    stack: ExitStack,
    ranks: Ranks,
) -> Run:
    """A new run, its folder claimed and its files begun."""
    if asked.cfg is None or asked.data is None:
        raise TrainingError("expected a cfg and a text to train on")
    source = asked.cfg if isinstance(asked.cfg, Cfg) else find_cfg(asked.cfg)
    parsed = override_net(source, asked.settings, "--set")
    gradient = asked.gradient or "exact"
    check_effect(parsed.net, asked.settings, None if gradient == "exact" else False)
    if gradient != "exact":
        # There a [cost] after a [softmax] counts.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", CostWarning)
        _say_ignored(parsed)
        parsed = parsed.as_darknet_draws()
    seed = ranks.decide(seed_from_clock()) if asked.seed is None else asked.seed
    limit = memory() // 2 if asked.memory_limit is None else asked.memory_limit
    if start is None or start.layers is None:
        weights = None if start is None else start.weights
        net = network_for_training(parsed, weights, Rand(seed), asked.dialect, limit)
    else:
        dialect = asked.dialect or dialect_of(start.weights).name
        net = network_for_training(parsed, None, Rand(seed), dialect, limit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CfgWarning)
            other = open_network(start.weights, start.cfg, option="--weights-cfg")
        taken = take_layers(net, other, start.layers, start.weights)
        log.info(
            f"{start.weights}: {taken:,} of the {len(net.parameters):,} parameters start as there"
        )
    trainer = _make_trainer(net, gradient)
    _share(net, ranks, gradient)
    processes = asked.plan.get("processes") or _process_choice(asked, net, limit)
    _check_processes(processes, gradient, net)
    texts = _read_texts(net, asked.data, VAL if asked.val is None else asked.val)
    folder = RunFolder(asked.out, base_name(source.path))
    # No file moves before all ranks have read theirs.
    ranks.total(0)
    if ranks.is_first:
        stack.enter_context(folder.claimed())
        folder.check_cfg()
        folder.check_read(texts.data, texts.val)
    if clear:
        net.seen = 0
    fixed: dict[str, Any] = {
        "cfg": net.cfg.text(),
        "source": source.text(),
        "cfg_path": os.path.abspath(source.path) if os.path.exists(source.path) else source.path,
        "overrides": asked.settings,
        "data": texts.data,
        "digest": texts.digest,
        "val": texts.val,
        "val_digest": texts.val_digest,
        "seed": seed,
        "dialect": net.dialect.name,
        "gradient": gradient,
        "kernels": _kernels(asked.kernels or "auto"),
        "segment_steps": net.segment_steps,
        "processes": processes,
        "memory": asked.memory_limit,
    }
    plan = Plan(**{**_OPEN, **fixed, **asked.plan})
    streams = Streams(texts.training, net.net.streams, net.rand)
    _say_unused(asked.plan, texts)
    validation = Validation(net, texts.held_out, plan.val_every, plan.memory or memory() // 2)
    run = Run(plan, net, trainer, streams, validation, folder)
    if run.limit and net.batch_number >= run.limit:
        where = source.path if start is None else start.weights
        raise TrainingError(
            f"{where}: already at batch {net.batch_number}, and training ends at batch "
            f"{run.limit}: expected a larger --batches, or --clear to count from 0"
        )
    if asked.seed is None:
        log.info("seed %d (from the clock; --seed %d begins in the same way)", seed, seed)
    if not run.limit and plan.seconds is None:
        log.info(
            "no max_batches, --batches or --time: training goes on until it is stopped (Ctrl-C)"
        )
    if net.net.cooldown and not run.limit and plan.seconds is None:
        log.info("cooldown waits for a run of known length: --time or --batches")
    if ranks.is_first:
        folder.move_earlier_run()
        folder.write_cfg(net.cfg)
    run.begin()
    return run


# A run's options that may change when it goes on, as they are where nobody sets them.
_OPEN: dict[str, Any] = {
    "batches": None,
    "seconds": None,
    "val_every": None,
    "patience": None,
    "save_every": SAVE_EVERY,
    "sample_every": 0,
    "plot": False,
    "threads": None,
}


def _share(net: Network, ranks: Ranks, gradient: str) -> None:
    """Divide the streams among the processes. Raises CfgError."""
    if ranks.size > 1 and gradient != "exact":
        raise TrainingError("--gradient darknet-cpu: one process only: expected no mpiexec with it")
    net.train_among(ranks)


def _process_choice(asked: _Asked, net: Network, memory_limit: int) -> int:
    """The processes that share the streams, where nobody says how many."""
    alone = net.ranks.size > 1 or asked.gradient == "darknet-cpu" or "threads" in asked.plan
    return 1 if alone else process_choice(net, memory_limit)


def _check_processes(count: int, gradient: str, net: Network) -> None:
    """Raise TrainingError where so many processes cannot train the network together."""
    if count == 1 or net.ranks.size > 1:
        return
    obstacle = process_obstacle(net, count)
    if gradient != "exact":
        obstacle = "the replay of the C program is one"
    if obstacle:
        raise TrainingError(f"--processes {count}: {obstacle}: expected fewer")


def _resumed(asked: _Asked, accept_changes: bool, stack: ExitStack, ranks: Ranks) -> Run:
    """The run in the folder, standing where it stopped."""
    named = asked.cfg.path if isinstance(asked.cfg, Cfg) else asked.cfg
    folder = find_run(asked.out, named)
    if ranks.is_first:
        stack.enter_context(folder.claimed())
        folder.check_cfg()
    where = folder.file(".state")
    checkpoint = read_checkpoint(where)
    old = checkpoint.plan
    if base_name(old.cfg_path) != folder.base:
        raise TrainingError(f"{where}: the state of {old.cfg_path}: expected that of {folder.base}")
    for name in ("seed", "dialect", "gradient"):
        was, now = getattr(old, name), getattr(asked, name)
        if now not in (None, was):
            raise TrainingError(f"{where}: the run has --{name} {was}: expected that, not {now}")
    if old.plot:
        plotting.check()
    changes: list[str] = []
    if asked.cfg == folder.base and not os.path.isfile(folder.base):
        asked = dataclasses.replace(asked, cfg=None)  # The name of the run, not of a cfg file.
    source = _source_of(asked, old, changes)
    overrides = {**old.overrides, **asked.settings}
    if changes:
        parsed = override_net(source, overrides, "--set")
    else:
        parsed = override_net(parse_cfg(old.cfg, old.cfg_path), asked.settings, "--set")
    check_effect(parsed.net, asked.settings, None if old.gradient == "exact" else False)
    with warnings.catch_warnings():
        # They were shown when the run began, unless the cfg has changed.
        if not changes:
            warnings.simplefilter("ignore", CfgWarning)
        elif old.gradient != "exact":
            warnings.simplefilter("ignore", CostWarning)
        net = Network(parsed, DIALECTS[old.dialect])
    _check_fixed(old, net.net, where)
    trainer = _make_trainer(net, old.gradient)
    _share(net, ranks, old.gradient)
    if asked.memory_limit is not None:
        net.limit_memory(asked.memory_limit)
    else:
        net.segment_steps = old.segment_steps
    data = asked.data
    if data is None and old.data == "-":
        raise TrainingError(
            f"{where}: the text came from stdin: expected it there again: "
            f"darknet-py train --resume --out {asked.out} {folder.base} -"
        )
    texts = _read_texts(net, data or old.data, old.val if asked.val is None else asked.val)
    if texts.digest != old.digest:
        changes.append(f"{texts.data}: not the text that the run began with")
    if texts.val != old.val or texts.val_digest != old.val_digest:
        changes.append(f"--val {texts.val}: not the held-out text that the run began with")
    if changes and not accept_changes:
        raise TrainingError(
            f"{'; '.join(changes)}: expected what was there, or --accept-changes to go on with this"
        )
    kernels = _kernels(asked.kernels or ("numpy" if old.kernels == "numpy" else "auto"))
    plan = dataclasses.replace(
        old,
        cfg=net.cfg.text(),
        source=source.text(),
        overrides=overrides,
        data=texts.data,
        digest=texts.digest,
        val=texts.val,
        val_digest=texts.val_digest,
        kernels=kernels,
        segment_steps=net.segment_steps,
        memory=asked.memory_limit or old.memory,
        **asked.plan,
    )
    _check_processes(plan.processes, plan.gradient, net)
    drawn = checkpoint.progress.get("drawn")
    net.use_rand(Rand(old.seed, drawn if isinstance(drawn, int) else 0))
    offsets = np.zeros(net.net.streams, np.int64)
    streams = Streams(texts.training, net.net.streams, net.rand, offsets)
    run = Run(
        plan,
        net,
        trainer,
        streams,
        Validation(net, texts.held_out, plan.val_every, plan.memory or memory() // 2),
        folder,
    )
    run.restore(checkpoint)
    if (end := run.over()) and run.is_complete():
        raise TrainingError(
            f"{where}: batch {net.batch_number}, and {end[0]}: expected {end[1]} to go on"
        )
    _say_unused(asked.plan, texts)
    for change in changes:
        log.warning("warning: %s", change)
    if kernels != old.kernels:
        log.warning(
            "warning: begun with %s loops, going on with %s ones: the last digits will differ",
            old.kernels,
            kernels,
        )
    if ranks.is_first:
        folder.write_cfg(net.cfg)
    log.info("going on after batch %d", net.batch_number)
    return run


def _source_of(asked: _Asked, old: Plan, changes: list[str]) -> Cfg:
    """The cfg as it is now, where it can be found; adds to `changes` what is unlike the run's."""
    was = parse_cfg(old.source, old.cfg_path)
    if asked.cfg is not None:
        now = asked.cfg if isinstance(asked.cfg, Cfg) else find_cfg(asked.cfg)
    elif os.path.exists(old.cfg_path):
        now = find_cfg(old.cfg_path)
    else:
        return was
    if difference := was.difference(now):
        changes.append(f"{now.path}: {difference}, unlike when the run began")
        return now
    return was


def _check_fixed(old: Plan, now: NetOptions, where: Path) -> None:
    was = NetOptions.of(parse_cfg(old.cfg, old.cfg_path).net)
    for key in _FIXED:
        if getattr(was, key) != getattr(now, key):
            raise TrainingError(
                f"{where}: the run has {key}={getattr(was, key)}, and {key}={getattr(now, key)} is "
                f"asked for: expected the same, or a new run with --weights"
            )


def _kernels(choice: str) -> str:
    """The name of the kernels that `choice` gives here. Raises DarknetError."""
    with use_kernels(choice) as name:
        return name


def _train(
    run: Run,
    profile: bool,
    callback: Callable[[Row], object] | None,
    stop: Callable[[], bool] | None,
    scoring: Progress | None,
) -> Result:
    plan = run.plan
    with ExitStack() as stack:
        processes = _share_streams(run, stack) if run.ranks.size == 1 else 1
        stack.enter_context(use_kernels(plan.kernels))
        fixed = plan.threads or (1 if processes > 1 else None)
        threads = stack.enter_context(Threads(run.net, fixed))
        # Where a run diverges its own message says so.
        stack.enter_context(np.errstate(all="ignore"))
        if profile:
            stack.enter_context(run.profile.running())

        def asked() -> bool:
            return run.ranks.decide(stop is not None and stop())

        interrupted = asked()
        for row in () if interrupted else run.batches():
            threads.batch_done(row.seconds)
            if callback is not None:
                callback(row)
            if asked():
                interrupted = run.over() is None
                break
        result = run.end(interrupted, asked, scoring)
    if plan.plot and run.ranks.is_first:
        plotting.write_curves(run.folder.file(".csv"), run.folder.file(".png"))
    if profile:
        whose = "" if processes == 1 else " of the first process"
        log.info("where the time%s went:\n%s", whose, "\n".join(run.profile.lines()))
    return result


def _share_streams(run: Run, stack: ExitStack) -> int:
    """Start the processes that the plan wants; returns how many there are, this one included."""
    plan = run.plan
    if plan.processes == 1:
        return 1
    workers = Workers(run.net, plan.processes, plan.kernels, plan.threads or 1)
    try:
        stack.enter_context(workers)
        with use_kernels(plan.kernels):  # Imports what they import, meanwhile.
            workers.wait()
    except TrainingError as error:
        log.warning("warning: %s: going on with one process", error)
        run.plan = dataclasses.replace(plan, processes=1)
        return 1
    log.info("%d processes share the streams (--processes 1: one alone)", plan.processes)
    return plan.processes


def _make_trainer(net: Network, gradient: str) -> Trainer:
    """What trains on one datum. Raises CfgError where that cannot train this network."""
    if gradient == "exact":
        net.check_trainable()
        return Trainer(net.train_batch, net.optimizer.memory)
    replay = Replay(net)
    replay.check_trainable()
    log.info("replaying the C program's arithmetic; --gradient exact is the one for real work")
    return Trainer(replay.train_datum, {"updates": replay.updates})


def _say_ignored(cfg: Cfg) -> None:
    """Name the keys of our own that the replay of the C program does not know."""
    keys = ("state", "clip", "clip_norm", "delta_clip", "cooldown", "init", "forget_bias")
    own = [key for key in keys if key in cfg.net.options]
    if own:
        log.warning("warning: --gradient darknet-cpu, like C, ignores %s", ", ".join(own))


def _say_unused(given: Mapping[str, Any], texts: _Texts) -> None:
    """Name the options that need held-out text, where they were given and there is none."""
    names = ("patience", "val_every", "sample_every")
    options = [f"--{name.replace('_', '-')}" for name in names if given.get(name)]
    if not options or len(texts.held_out):
        return
    if texts.val == 0:
        why = "no text is held out (--val 0)"
    else:
        why = f"the text is too short to hold out a part of it (--val {texts.val})"
    verb = "has" if len(options) == 1 else "have"
    log.warning("warning: %s %s no effect: %s", ", ".join(options), verb, why)


@dataclasses.dataclass(frozen=True)
class _Texts:
    """The text to train on and the held-out one, which is empty where there is none.

    data, val: where they came from, as a plan remembers it. digest, val_digest: of the symbols.
    """

    training: Array
    held_out: Array
    data: str
    val: float | str
    digest: str
    val_digest: str


def _read_texts(net: Network, data: str, val: float | str) -> _Texts:
    tokenized = net.net.tokenized
    if data == "-" and net.ranks.size > 1:
        # mpiexec gives it to one rank only, and Open MPI 5 loses its end, so that nobody would
        # know whether the text is whole.
        raise CorpusError("-: stdin cannot be shared by several processes: expected a text file")
    text = read_text(data, tokenized)
    digest, val_digest = _digest(text), ""
    check_known(text, net.inputs, data)
    if val == "-":
        raise CorpusError("--val -: expected a fraction or a file, which can be read again")
    if isinstance(val, str):
        held_out = read_text(val, tokenized)
        val_digest = _digest(held_out)
        check_known(held_out, net.inputs, val)
        if len(held_out) < 2:
            raise CorpusError(f"{val}: one symbol: expected at least 2 to score")
        val = os.path.abspath(val)
    else:
        text, held_out = split(text, val)
    least = net.net.time_steps + 1
    if len(text) < least:
        raise CorpusError(
            f"{data}: {len(text)} symbols to train on: expected at least {least} for the cfg's "
            f"time_steps={net.net.time_steps} (--set time_steps=N makes it shorter)"
        )
    if val != 0 and len(held_out) < 2:
        log.info("%s: too short for held-out text: training without validation", data)
    if len(held_out) < 2:
        held_out = held_out[:0]
    place = data if data == "-" else os.path.abspath(data)
    return _Texts(text, held_out, place, val, digest, val_digest)


def _digest(text: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(text).data).hexdigest()
