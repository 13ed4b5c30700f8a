"""A new run: its network, its texts and its folder, from what a user asks for."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import ExitStack

from darknet_py.cfg import INITIAL, Cfg, bundled_cfgs, find_cfg
from darknet_py.corpus import Streams
from darknet_py.engine import choose
from darknet_py.errors import CfgError, CfgWarning, CostWarning, TrainingError, counted
from darknet_py.files import base_name
from darknet_py.finding import find_weights, open_network
from darknet_py.loading import network_for_training
from darknet_py.machine import memory, trainable_memory
from darknet_py.network import Network
from darknet_py.options import check_effect, override
from darknet_py.parallel import Communicator
from darknet_py.rand import Rand, seed_from_clock
from darknet_py.replay import Replay
from darknet_py.symbols import unit_of
from darknet_py.tier import Tier
from darknet_py.trainer import BaseTrainer, Trainer
from darknet_py.training.folder import RunFolder
from darknet_py.training.run import Run
from darknet_py.training.settings import DEFAULTS, OPTIONS, Plan, Settings
from darknet_py.training.texts import Texts, read_texts
from darknet_py.training.transfer import take_layers
from darknet_py.training.validation import Validation
from darknet_py.weights import dialect_of

log = logging.getLogger(__name__)


def new_run(
    asked: Settings,
    cfg: str | Cfg | None,
    data: str | bytes | None,
    comm: Communicator,
    stack: ExitStack,
) -> Run:
    """A run before its first batch, its files begun; `stack` holds its folder.

    Raises CfgError, CorpusError, WeightsError, TrainingError and OSError.
    """
    if cfg is None or data is None:
        raise TrainingError("a new run needs a cfg and a text to train on")
    source = cfg if isinstance(cfg, Cfg) else find_cfg(cfg)
    gradient = asked.gradient or DEFAULTS["gradient"]
    keys = asked.net_keys()
    parsed = override(source, keys, "--set")
    check_effect(parsed.net, keys, None if gradient == "exact" else False)
    if gradient != "exact":
        # There a [cost] after a [softmax] counts.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", CostWarning)
        _say_ignored(parsed)
        parsed = parsed.as_darknet_draws()
    seed = comm.broadcast(seed_from_clock()) if asked.seed is None else asked.seed
    weights = None if asked.weights is None else find_weights(asked.weights)
    tier = choose(asked.engine or DEFAULTS["engine"])
    net = _make_network(asked, parsed, weights, Rand(seed), tier)
    try:
        trainer = make_trainer(net, gradient, comm)
    except CfgError as error:
        # Of darknet's cfgs, some are to generate with and have another one to train.
        other = f"{base_name(source.path)}.train"
        if other not in bundled_cfgs():
            raise
        raise CfgError(f"{error}; or train the bundled {other}") from error
    val = DEFAULTS["val"] if asked.val is None else asked.val
    val_from = asked.val_from or DEFAULTS["val_from"]
    texts = read_texts(net, data, val, comm, val_from)
    folder = RunFolder(asked.folder, base_name(source.path))
    # No file moves before all ranks have read theirs.
    comm.barrier()
    if comm.is_root:
        stack.enter_context(folder.claimed())
        folder.check_cfg()
        folder.check_read(texts.data, texts.val)
    if asked.clear:
        net.seen = 0
    settings = {own.name: own.default for own in OPTIONS if own.key}
    settings |= asked.given(*settings)
    settings |= {
        "overrides": keys,
        "val": texts.val,
        "seed": seed,
        "dialect": net.dialect.name,
        "engine": tier.name,
    }
    plan = Plan(
        **settings,
        cfg=net.cfg.text(),
        source=source.text(),
        cfg_path=os.path.abspath(source.path) if os.path.exists(source.path) else source.path,
        data=texts.data,
        digest=texts.digest,
        val_digest=texts.val_digest,
    )
    streams = Streams(texts.training, net.options.streams, net.rand)
    say_unused(asked, texts)
    validation = Validation(net, texts.held_out, plan.val_every, memory() // 2, comm)
    run = Run(plan, net, trainer, streams, validation, folder, comm)
    run.check_same()
    if run.limit and net.batch_number >= run.limit:
        raise TrainingError(
            f"{weights or source.path} is already at batch {net.batch_number}, and training ends "
            f"at batch {run.limit}; give a larger --batches, or --clear to count from 0"
        )
    if weights is not None and net.batch_number:
        log.info(
            "starting from %s, after %s: the next batch is number %d (--clear counts from 1)",
            *(weights, counted(net.seen, unit_of(net)), net.batch_number + 1),
        )
    elif weights is not None:
        log.info("starting from %s", weights)
    # They may know the text from before.
    run.is_unlike = weights is not None
    if asked.seed is None:
        log.info("seed %d (random; --seed %d repeats this run)", seed, seed)
    if not run.limit and run.time_limit is None:
        log.info("training until you stop it with Ctrl-C (--batches or --time ends it by itself)")
        if net.options.cooldown:
            log.info(
                "with --time or --batches the learning rate would fall towards the end, which "
                "makes a better network (cooldown in the cfg)"
            )
    _warn_of_no_context(net)
    if comm.is_root:
        folder.move_earlier_run()
        folder.write_cfg(net.cfg)
    run.begin()
    return run


def _make_network(
    asked: Settings,
    cfg: Cfg,
    weights: os.PathLike[str] | None,
    rand: Rand,
    tier: Tier,
) -> Network:
    """The network, with the weights that it starts from, or some of their layers."""
    if weights is None or asked.weights_layers is None:
        return network_for_training(cfg, weights, rand, asked.dialect, trainable_memory(), tier)
    dialect = asked.dialect or dialect_of(weights).name
    net = network_for_training(cfg, None, rand, dialect, trainable_memory(), tier)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CfgWarning)
        other = open_network(weights, asked.weights_cfg, option="--weights-cfg")
    taken = take_layers(net, other, asked.weights_layers, weights)
    log.info(f"{taken:,} of the {len(net.parameters):,} parameters are taken from {weights}")
    return net


def _warn_of_no_context(net: Network) -> None:
    """Tell where no state ever reaches a second symbol, as in darknet's cfgs to generate with."""
    options = net.options
    if options.time_steps == 1 and options.state == "zero" and net.state_size():
        log.warning(
            "warning: each update reads single %ss, without what stands before them: to train, add "
            "--set batch=16 --set time_steps=64",
            unit_of(net),
        )


def _say_ignored(cfg: Cfg) -> None:
    """Name the keys of our own that the replay of the C program does not know."""
    keys = (
        "state",
        "clip",
        "clip_norm",
        "delta_clip",
        "weight_decay",
        "cooldown",
        "average",
        "dropconnect",
        *INITIAL,
    )
    own = [key for key in keys if key in cfg.net.options]
    if own:
        log.warning(
            "warning: --gradient darknet-cpu ignores %s, as the C program does", ", ".join(own)
        )


# --- what a run that goes on needs too


def make_trainer(net: Network, gradient: str, comm: Communicator) -> BaseTrainer:
    """What trains the network. Raises CfgError and TrainingError if that is not possible."""
    if gradient == "exact":
        # The network's, so that copies of it are whole.
        net.trainer = Trainer(net, comm)
        return net.trainer
    replay = Replay(net)
    replay.check_trainable()
    log.info(
        "replaying the C program's arithmetic, mistakes included; --gradient exact trains "
        "correctly and faster"
    )
    if comm.size > 1:
        raise TrainingError(
            "--gradient darknet-cpu runs in one process only; start it without mpiexec"
        )
    return replay


def say_unused(asked: Settings, texts: Texts) -> None:
    """Name the options that need held-out text, where they were given and there is none."""
    needed = ("patience", "val_every", "sample_every")
    options = [own.flag for own in OPTIONS if own.name in needed and getattr(asked, own.name)]
    if not options or len(texts.held_out):
        return
    if texts.val == 0:
        why = "there is no held-out text (--val 0)"
    else:
        why = f"the text is too short to hold out a part of it (--val {texts.val})"
    verb = "has" if len(options) == 1 else "have"
    log.warning("warning: %s %s no effect: %s", ", ".join(options), verb, why)
