"""A run from its plan: new, or standing where the one that is resumed stopped."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from contextlib import ExitStack

import numpy as np

from darknet_py.c_exact import CNetwork
from darknet_py.cfg import bundled_cfgs
from darknet_py.dialect import DIALECTS
from darknet_py.engine import choose
from darknet_py.errors import CfgError, CfgWarning, CostWarning, TrainingError, counted
from darknet_py.files import base_name
from darknet_py.loading.building import network_for_training
from darknet_py.loading.finding import open_network
from darknet_py.machine import memory, trainable_memory
from darknet_py.network import Network
from darknet_py.parallel import Communicator
from darknet_py.rand import Rand
from darknet_py.sizes import check_fits
from darknet_py.text.corpus import Streams
from darknet_py.text.symbols import unit_of
from darknet_py.trainer.trainer import BaseTrainer, Trainer
from darknet_py.training.folder import RunFolder
from darknet_py.training.plan import Plan
from darknet_py.training.resume import (
    Previous,
    check_changes,
    check_fixed,
    check_text,
    restore,
    resume,
)
from darknet_py.training.run import Run
from darknet_py.training.settings import OPTIONS, Settings
from darknet_py.training.texts import Texts, read_texts
from darknet_py.training.transfer import take_layers
from darknet_py.training.validation import Validation

log = logging.getLogger(__name__)


def build(
    plan: Plan,
    asked: Settings,
    data: str | bytes | None,
    previous: Previous | None,
    comm: Communicator,
    stack: ExitStack,
) -> Run:
    """The run of `plan`, before its next batch; `stack` holds the folder of a new one.

    asked: what was typed this time. data: the text; None for that of before.
    Raises CfgError, CorpusError, WeightsError, TrainingError and OSError.
    """
    net = _make_network(plan, asked, previous)
    trainer = _make_trainer(net, plan.gradient, comm)
    if previous is not None:
        check_text(data, plan, previous, comm)
    texts = read_texts(net, plan.data if data is None else data, plan.val, comm, plan.val_from)
    if previous is None:
        folder, offsets = RunFolder(asked.folder, base_name(plan.cfg_path)), None
        # No file moves before all ranks have read theirs.
        comm.barrier()
        if comm.is_root:
            stack.enter_context(folder.claimed())
            folder.check_cfg()
            folder.check_read(texts.data, texts.val)
    else:
        folder = previous.folder
        plan = check_changes(plan, asked, previous, texts, len(net.parameters))
        offsets = np.zeros(net.options.streams, np.int64)
    plan = dataclasses.replace(
        plan,
        cfg=net.cfg.text(),
        data=texts.data,
        digest=texts.digest,
        val=texts.val,
        val_digest=texts.val_digest,
    )
    streams = Streams(texts.training, net.options.streams, net.rand, offsets)
    validation = Validation(net, texts.held_out, plan.val_every, memory() // 2, comm)
    run = Run(plan, net, trainer, streams, validation, folder)
    if previous is not None:
        restore(run, previous.checkpoint)
    # A network that is not new may know the text from before.
    run.is_unlike = previous is not None or plan.weights is not None
    run.check_same()
    _say_unused(asked, texts)
    # That may be interrupted, and no file has moved yet.
    if net.tier.team:
        net.tier.team.compile()
    if previous is None:
        _begin(run, asked)
    else:
        resume(run, previous.plan)
    return run


def _make_network(plan: Plan, asked: Settings, previous: Previous | None) -> Network:
    """The network: a new one, or that of the run that is resumed, without its parameters."""
    assert plan.sections is not None
    tier = choose(plan.engine, plan.precision)
    with warnings.catch_warnings():
        if previous is not None and not plan.changes:
            # They were shown when the run began.
            warnings.simplefilter("ignore", CfgWarning)
        elif plan.gradient != "exact":
            # There a [cost] after a [softmax] counts.
            warnings.simplefilter("ignore", CostWarning)
        if previous is not None:
            net = Network(plan.sections, DIALECTS[plan.dialect], tier=tier)
            check_fixed(previous, net.options)
            check_fits(net, trainable_memory())
            net.use_rand(Rand(plan.seed, previous.checkpoint.progress["drawn"]))
            return net
        weights = None if asked.weights_layers else plan.weights
        rand, budget = Rand(plan.seed), trainable_memory()
        net = network_for_training(plan.sections, weights, rand, plan.dialect, budget, tier)
    if asked.weights_layers is not None and plan.weights is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CfgWarning)
            other = open_network(plan.weights, asked.weights_cfg, option="--weights-cfg")
        taken = take_layers(net, other, asked.weights_layers, plan.weights)
        every = len(net.parameters)
        log.info(f"{taken:,} of the {every:,} parameters are taken from {plan.weights}")
    if asked.clear:
        net.seen = 0
    return net


def _make_trainer(net: Network, gradient: str, comm: Communicator) -> BaseTrainer:
    """What trains the network. Raises CfgError and TrainingError if that is not possible."""
    try:
        if gradient == "exact":
            # The network's, so that copies of it are whole.
            net.trainer = Trainer(net, comm)
            return net.trainer
        c_net = CNetwork(net)
        c_net.check_trainable()
    except CfgError as error:
        # Of darknet's cfgs, some are to generate with and have another one to train.
        other = f"{base_name(net.cfg.path)}.train"
        if other not in bundled_cfgs():
            raise
        raise CfgError(f"{error}; or train the bundled {other}") from error
    log.info(
        "training C-exactly, the C program's mistakes included; --gradient exact trains "
        "correctly and faster"
    )
    if comm.size > 1:
        raise TrainingError(
            "--gradient darknet-cpu runs in one process only; start it without mpiexec"
        )
    return c_net


def _begin(run: Run, asked: Settings) -> None:
    """Tell what a new run starts from and how it ends, and begin its files.

    Raises TrainingError if it would end before its first batch, OSError.
    """
    net, plan, options = run.net, run.plan, run.net.options
    if run.limit and net.batch_number >= run.limit:
        raise TrainingError(
            f"{plan.weights or net.cfg.path} is already at batch {net.batch_number}, and training "
            f"ends at batch {run.limit}; give a larger --batches, or --clear to count from 0"
        )
    if plan.weights is not None and net.batch_number:
        log.info(
            "starting from %s, after %s: the next batch is number %d (--clear counts from 1)",
            *(plan.weights, counted(net.seen, unit_of(net)), net.batch_number + 1),
        )
    elif plan.weights is not None:
        log.info("starting from %s", plan.weights)
    if asked.seed is None:
        log.info("seed %d (random; --seed %d repeats this run)", plan.seed, plan.seed)
    if not run.limit and run.time_limit is None:
        log.info("training until you stop it with Ctrl-C (--batches or --time ends it by itself)")
        if options.cooldown:
            log.info(
                "with --time or --batches the learning rate would fall towards the end, which "
                "makes a better network (cooldown in the cfg)"
            )
    if options.time_steps == 1 and options.state == "zero" and net.state_size():
        # No state ever reaches a second symbol, as in darknet's cfgs to generate with.
        log.warning(
            "warning: each update reads single %ss, which gives no context to learn from: add "
            "--set batch=16 --set time_steps=64",
            unit_of(net),
        )
    if run.comm.is_root:
        run.folder.move_earlier_run()
        run.folder.write_cfg(net.cfg)
        run.table.begin()
        run.samples.begin()


def _say_unused(asked: Settings, texts: Texts) -> None:
    """Name the options that need held-out text, if they were given and there is none."""
    needed = ("patience", "val_every", "sample_every")
    options = [each.flag for each in OPTIONS if each.name in needed and getattr(asked, each.name)]
    if not options or len(texts.held_out):
        return
    if texts.val == 0:
        why = "there is no held-out text (--val 0)"
    else:
        why = f"the text is too short to hold out a part of it (--val {texts.val})"
    verb = "has" if len(options) == 1 else "have"
    log.warning("warning: %s %s no effect: %s", ", ".join(options), verb, why)
