"""The options of a training run: each stands here once, with its bounds and its help.

The options of `darknet-py train`, the checks of `train` and the settings in BASE.state all come
from these fields. To add an option, add a field here and an argument with its name to `train`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from darknet_py.checks import (
    CFG_KEYS,
    FILE,
    FLAG,
    FRACTION_OR_FILE,
    LAYERS,
    SECONDS,
    SEED,
    Check,
    one_of,
    path,
    whole,
)
from darknet_py.dialect import DIALECTS
from darknet_py.text.corpus import HELD_OUT_FROM
from darknet_py.training.folder import DEFAULT_FOLDER


class OnResume(Enum):
    """What an option does if a run is resumed."""

    CALL = "it holds for one call, and is not remembered"
    NEW = "it is for a new run only"
    FREE = "it may change, and is as before if it is not given"
    ACCEPT = "it may change with accept_changes"
    SAME = "it must be as it was"
    KEY = "it sets a key of the cfg, which is remembered"


@dataclass(frozen=True)
class Option:
    """One option of a run.

    name: of the argument of `train`. flag: of the command, like `--val-every`.
    default: what a new run takes where nothing is given; None if that is chosen when it starts,
    or if the option is off.
    """

    name: str
    flag: str
    check: Check[Any]
    help: str
    resume: OnResume
    default: Any

    @property
    def is_kept(self) -> bool:
        """Whether it is in BASE.state, under its name."""
        return self.resume in (OnResume.FREE, OnResume.ACCEPT, OnResume.SAME)


def option(
    check: Check[Any],
    help: str,
    resume: OnResume = OnResume.FREE,
    *,
    default: Any = None,
    flag: str | None = None,
) -> Any:
    """A field of Settings. flag: by default made of the field's name."""
    about = {"check": check, "help": help, "resume": resume, "default": default}
    return dataclasses.field(default=None, metadata={**about, "flag": flag})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user asks of a run; None if an option was not given.

    Raises ValueError, naming the option, for a value that it cannot have.
    """

    out: str | None = option(
        path("DIR"), "Folder for checkpoints.", OnResume.CALL, default=DEFAULT_FOLDER
    )
    weights: str | None = option(
        FILE,
        "Start from these weights, and from their `seen`: the symbols trained on so far.",
        OnResume.NEW,
    )
    weights_layers: dict[int, int] | None = option(
        LAYERS,
        "Take only these layers of --weights: 0-1, or 0,2=1 (layer 2 from layer 1 there). `seen` "
        "starts at 0.",
        OnResume.NEW,
    )
    weights_cfg: str | None = option(
        path("CFG"),
        "With --weights-layers: the cfg of --weights.  [default: found from them]",
        OnResume.NEW,
    )
    clear: bool | None = option(FLAG, "Set `seen` to 0.", OnResume.NEW)
    resume: bool | None = option(
        FLAG,
        "Continue the run in --out where it stopped, or the run whose folder, file or name comes "
        "first.",
        OnResume.CALL,
    )
    accept_changes: bool | None = option(
        FLAG, "With --resume: continue although the cfg or the text has changed.", OnResume.CALL
    )
    batches: int | None = option(whole(1), "Stop at this batch.  [default: the cfg's max_batches]")
    seconds: float | None = option(
        SECONDS,
        "Stop after this much training: 90s, 10m, 2h.  [default: the cfg's max_time, unless "
        "--batches is given]",
        flag="--time",
    )
    overrides: dict[str, str] | None = option(
        CFG_KEYS,
        "Override a key of the cfg: learning_rate=.01 in [net], rnn.output=64 in each [rnn], "
        "2.probability=.3 in layer 2.",
        flag="--set",
    )
    seed: int | None = option(
        SEED,
        "Start of the random numbers: the same seed repeats a run.  [default: random, and printed]",
        OnResume.SAME,
    )
    val: float | str | None = option(
        FRACTION_OR_FILE,
        "Held-out text: the last fraction of DATA (0 for none), or a file.",
        OnResume.ACCEPT,
        default=0.1,
    )
    val_from: str | None = option(
        one_of(*HELD_OUT_FROM),
        "Where the held-out fraction is taken: the end of DATA, or ten blocks spread over it (for "
        "several texts in one).",
        OnResume.ACCEPT,
        default="end",
    )
    val_every: int | None = option(
        whole(1),
        "Batches between validations.  [default: chosen so that they take less than 5 % of the "
        "time]",
    )
    patience: int | None = option(
        whole(1), "Stop after this many validations without a new best.  [default: off]"
    )
    save_every: int | None = option(
        whole(1), "Batches between checkpoints; there is one at least every 5 minutes.", default=100
    )
    sample_every: int | None = option(
        whole(0),
        "Show a short sample every N validations; 0 for none.  [default: a few are kept for the "
        "report, and none is shown]",
    )
    state: str | None = option(
        one_of("carry", "zero"),
        "Hidden state between batches: kept (carry) or reset (zero).  [default: the cfg's `state`, "
        "or zero]",
        OnResume.KEY,
    )
    dialect: str | None = option(
        one_of(*sorted(DIALECTS, reverse=True)),
        "Format of the weights written.  [default: that of --weights, or upstream]",
        OnResume.SAME,
    )
    gradient: str | None = option(
        one_of("exact", "darknet-cpu"),
        "darknet-cpu computes as the C program does, digit for digit (slow).",
        OnResume.SAME,
        default="exact",
    )
    tokenized: bool | None = option(
        FLAG, "DATA consists of integers, separated by white space.", OnResume.KEY
    )
    engine: str | None = option(
        one_of("auto", "numpy", "compiled"),
        "Train with numpy alone, or with layers that numba compiles; auto compiles if numba is "
        "installed.",
        default="auto",
    )
    precision: str | None = option(
        one_of("auto", "f32", "bf16"),
        "Of what matrix products multiply; auto is bf16 if the processor multiplies it in tiles "
        "(Intel AMX).",
        OnResume.ACCEPT,
        default="auto",
    )
    plot: bool | None = option(
        FLAG, "Also draw the losses, in BASE.png (needs matplotlib).", default=False
    )
    profile: bool | None = option(FLAG, "At the end, show how the time was spent.", OnResume.CALL)
    threads: int | None = option(
        whole(1, 1024),
        "Threads that compute.  [default: chosen by width and load]",
    )

    def __post_init__(self) -> None:
        for each in OPTIONS:
            if (value := getattr(self, each.name)) is not None:
                object.__setattr__(self, each.name, each.check.checked(each.name, value))

    @property
    def folder(self) -> Path:
        """That of the run, `out`."""
        return Path(DEFAULTS["out"] if self.out is None else self.out)

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these options that were given, by name; a flag that is not set was not."""
        values = ((name, getattr(self, name)) for name in names)
        return {name: value for name, value in values if not (value is None or value is False)}

    def net_keys(self) -> dict[str, str]:
        """The keys of [net] that the options set: `overrides`, `state` and `tokenized`."""
        keys = dict(self.overrides or {})
        if self.state is not None:
            keys["state"] = self.state
        if self.tokenized:
            keys["tokenized"] = "1"
        return keys


def _option(field: dataclasses.Field[Any]) -> Option:
    about = dict(field.metadata)
    flag = about.pop("flag") or f"--{field.name.replace('_', '-')}"
    return Option(name=field.name, flag=flag, **about)


OPTIONS = tuple(_option(field) for field in fields(Settings))

KEPT = tuple(each.name for each in OPTIONS if each.is_kept)
SAME = tuple(each.name for each in OPTIONS if each.resume is OnResume.SAME)
DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in OPTIONS}
