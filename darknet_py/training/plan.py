"""What a run is to do: from what a user asks for and, if a run is resumed, what it did so far."""

from __future__ import annotations

import dataclasses
import logging
import os
from dataclasses import dataclass
from typing import Any

from darknet_py.cfg import INITIAL, Cfg, bundled_cfgs, find_cfg, parse_cfg
from darknet_py.checks import DIGEST, FILE, TEXT, Check, optional
from darknet_py.engine import choose
from darknet_py.errors import TrainingError
from darknet_py.files import base_name
from darknet_py.loading.building import dialect_for_training
from darknet_py.loading.finding import (
    find_cfg_of,
    find_weights,
    holds_weights,
    say_cfg,
    say_newer,
)
from darknet_py.options import check_effect, override
from darknet_py.parallel import Communicator
from darknet_py.rand import seed_from_clock
from darknet_py.training import curves as plotting
from darknet_py.training.settings import DEFAULTS, KEPT, OPTIONS, Settings

# Keys of [net] that the C program does not know.
_BOUNDS = ("clip", "clip_norm", "delta_clip", "weight_decay")
UNKNOWN_TO_C = ("state", *_BOUNDS, "cooldown", "average", "dropconnect", *INITIAL)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Plan(Settings):
    """What a run is to do: its settings, each of them chosen, and what they stand for.

    cfg: the text in use, with `overrides` applied; source: that of the file at `cfg_path`.
    digest, val_digest: of the symbols of `data` and of the held-out file; these three are empty
    until the texts have been read.
    sections: `cfg` as it was parsed, with the places that messages name. changes: how the cfg and
    the texts differ from those of the run that is resumed. BASE.state has neither.
    """

    overrides: dict[str, str]
    val: float | str
    val_from: str
    seed: int
    dialect: str
    gradient: str
    save_every: int
    plot: bool
    engine: str
    precision: str
    cfg: str
    source: str
    cfg_path: str
    data: str
    digest: str
    val_digest: str
    sections: Cfg | None = dataclasses.field(default=None, compare=False)
    changes: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    def kept(self) -> dict[str, Any]:
        """What BASE.state has of it, by name, as JSON has it."""
        return {name: getattr(self, name) for name in PLAN}


# Each of these, and what it may be; an option that Plan does not declare again may be None.
PLAN: dict[str, Check[Any]] = {
    option.name: option.check if option.name in Plan.__annotations__ else optional(option.check)
    for option in OPTIONS
    if option.is_kept
} | {
    "cfg": TEXT,
    "source": TEXT,
    "cfg_path": FILE,
    "data": FILE,
    "digest": DIGEST,
    "val_digest": DIGEST,
}


def take_network(cfg: str | Cfg, asked: Settings) -> tuple[str | Cfg, Settings]:
    """If `cfg` is a trained network, its cfg and settings that start from its weights with `seen`
    at 0, unless other weights are asked for. Otherwise both as they are.

    cfg: a file or folder of weights, DIR/NAME of a run or what comes with the package; a bundled
    cfg comes before a folder of its name. Raises CfgError and WeightsError.
    """
    if isinstance(cfg, Cfg) or cfg in bundled_cfgs() or not holds_weights(cfg):
        return cfg, asked
    weights = find_weights(cfg)
    found = find_cfg_of(weights, how=f"darknet-py train my.cfg TEXT --weights {cfg} --clear")
    say_cfg(found, option=None)
    # A run may write the file again, so that its name alone is kept.
    found = dataclasses.replace(found, path=base_name(found.path))
    if asked.weights is not None:
        return found, asked
    say_newer(weights)
    return found, dataclasses.replace(asked, weights=os.fspath(weights), clear=True)


def make_plan(
    asked: Settings, cfg: str | Cfg | None, previous: Plan | None, comm: Communicator
) -> Plan:
    """What the run is to do, its texts unread. previous: of the run that is resumed, if one is.

    Raises CfgError, WeightsError, TrainingError and OSError.
    """
    before = DEFAULTS if previous is None else vars(previous)
    values = {name: before[name] for name in KEPT} | asked.given(*KEPT)
    if values["plot"]:
        plotting.check()
    keys = asked.net_keys()
    values["overrides"] = {**(before["overrides"] or {}), **keys}
    source, changes = _source(cfg, previous)
    if previous is None or changes:
        sections = override(source, values["overrides"], "--set")
    else:
        sections = override(parse_cfg(previous.cfg, previous.cfg_path), keys, "--set")
    is_exact = values["gradient"] == "exact"
    check_effect(sections.net, keys, None if is_exact else False)
    if previous is None:
        if not is_exact:
            _say_ignored(sections)
            sections = sections.as_darknet_draws()
        if values["seed"] is None:
            values["seed"] = comm.broadcast(seed_from_clock())
        weights = None if asked.weights is None else find_weights(asked.weights)
        values["weights"] = None if weights is None else os.fspath(weights)
        values["dialect"] = dialect_for_training(sections, weights, asked.dialect).name
    if asked.engine is None and values["engine"] != "numpy":
        values["engine"] = "auto"
    if is_exact:
        tier = choose(values["engine"], values["precision"])
        if values["precision"] == "auto" and comm.all_reduce(tier.precision == "f32"):
            tier = choose(values["engine"])  # Of several hosts, some have no tiles.
    elif asked.precision == "bf16":
        raise TrainingError("--gradient darknet-cpu computes as the C program, in f32 only")
    else:
        tier = choose(values["engine"])
    values["engine"], values["precision"] = tier.name, tier.precision
    if previous is not None and tier.precision != previous.precision:
        began = f"the run began with --precision {previous.precision}"
        changes.append(f"--precision {tier.precision}: {began}")
    place = source.path if previous is None else previous.cfg_path
    is_new_file = previous is None and os.path.exists(place)
    return Plan(
        **values,
        cfg=sections.text(),
        source=source.text(),
        cfg_path=os.path.abspath(place) if is_new_file else place,
        data="" if previous is None else previous.data,
        digest="",
        val_digest="",
        sections=sections,
        changes=tuple(changes),
    )


def _source(cfg: str | Cfg | None, previous: Plan | None) -> tuple[Cfg, list[str]]:
    """The cfg as it is now, and how it differs from that of the run that is resumed."""
    if previous is None:
        assert cfg is not None
        return (cfg if isinstance(cfg, Cfg) else find_cfg(cfg)), []
    was = parse_cfg(previous.source, previous.cfg_path)
    if cfg is None and not os.path.isfile(previous.cfg_path):
        return was, []
    now = cfg if isinstance(cfg, Cfg) else find_cfg(cfg or previous.cfg_path)
    if difference := was.difference(now):
        return now, [f"{now.path} has changed since the run began: {difference}"]
    return was, []


def _say_ignored(cfg: Cfg) -> None:
    """Name the keys of darknet-py that the C program does not know."""
    ignored = [key for key in UNKNOWN_TO_C if key in cfg.net.options]
    if ignored:
        log.warning(
            "warning: --gradient darknet-cpu ignores %s, as the C program does", ", ".join(ignored)
        )
