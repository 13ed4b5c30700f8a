"""The typed options of `[net]`, and setting them for one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from darknet_py.cfg import INT_MAX, Cfg, Section
from darknet_py.checks import SECONDS_OR_0, number, whole
from darknet_py.errors import CfgError

_SIZES = ("height", "width", "channels")
POLICIES = ("constant", "step", "steps", "exp", "poly", "sigmoid", "random")


def _key(read: Callable[..., object], default: object, **bounds: object) -> Any:
    """A key with the method of Section that reads it, its default and what it may be."""
    return field(metadata={"read": partial(read, default=default, **bounds)})


@dataclass(frozen=True)
class NetOptions:
    """The typed options of `[net]`, with darknet's defaults.

    `batch` counts streams over all `subdivisions`; one datum is `streams * time_steps` symbols.
    image: `height`, `width` and `channels` of the input, if all three are given. steps, scales:
    empty if the policy is another one.
    """

    inputs: int
    image: tuple[int, int, int] | None
    steps: tuple[int, ...]
    scales: tuple[float, ...]
    batch: int = _key(Section.integer, 1, minimum=1)
    subdivisions: int = _key(Section.integer, 1, minimum=1)
    time_steps: int = _key(Section.integer, 1, minimum=1)
    learning_rate: float = _key(Section.number, 0.001)
    momentum: float = _key(Section.number, 0.9)
    decay: float = _key(Section.number, 0.0001)
    adam: bool = _key(Section.flag, False)
    B1: float = _key(Section.number, 0.9, minimum=0, maximum=0.999999)
    B2: float = _key(Section.number, 0.999, minimum=0, maximum=0.999999)
    eps: float = _key(Section.number, 1e-7, above=0)
    policy: str = _key(Section.choice, "constant", choices=POLICIES)
    burn_in: int = _key(Section.integer, 0)
    power: float = _key(Section.number, 4.0, minimum=0)
    max_batches: int = _key(Section.integer, 0)
    step: int = _key(Section.integer, 1, minimum=1)
    scale: float = _key(Section.number, 1.0)
    gamma: float = _key(Section.number, 1.0)

    # Keys that C ignores. Numbers are 0 if the key is off.
    # Seconds after which a run ends where its user gives neither time nor batches.
    max_time: float = _key(Section.read, 0.0, check=SECONDS_OR_0)
    # Bounds of the gradient, see `bound_gradient`.
    clip: float = _key(Section.number, 0.0, minimum=0)
    clip_norm: float = _key(Section.number, 0.0, minimum=0)
    # Bounds each entry of the delta into a connected layer, as darknet's GPU code does with 1.
    delta_clip: float = _key(Section.number, 0.0, minimum=0)
    # `orthogonal` makes the matrices that multiply the state orthogonal.
    init: str = _key(Section.choice, "darknet", choices=("darknet", "orthogonal"))
    # Matrices that multiply symbols start as wide as is right for inputs of which one is 1.
    init_symbols: bool = _key(Section.flag, False)
    # What the bias of an [lstm]'s forget gate starts from.
    forget_bias: float = _key(Section.number, 0.0)
    # The pull of the matrices towards 0, apart from the gradient.
    weight_decay: float = _key(Section.number, 0.0, minimum=0)
    # The last fraction of a run of known length over which the rate falls to 0.
    cooldown: float = _key(Section.number, 0.0, minimum=0, maximum=1)
    # The share of the state's matrices that an update zeroes, see `DropConnect`.
    dropconnect: float = _key(Section.number, 0.0, minimum=0, maximum=0.999)
    # The last fraction of the updates over which parameters are averaged.
    average: float = _key(Section.number, 0.0, minimum=0, maximum=1)
    # `carry`: the hidden state continues from batch to batch.
    state: str = _key(Section.choice, "zero", choices=("zero", "carry"))
    # Symbols are integers of a text rather than its bytes.
    tokenized: bool = _key(Section.flag, False)

    @property
    def streams(self) -> int:
        """Sequences that are read side by side."""
        return self.batch // self.subdivisions

    @property
    def symbols(self) -> int:
        """Symbols per update: darknet's `batch * time_steps`."""
        return self.batch * self.time_steps

    @classmethod
    def of(cls, section: Section) -> NetOptions:
        """Read `[net]`. Raises CfgError."""
        height, width, channels = (section.integer(key, 0) for key in _SIZES)
        size = height * width * channels
        inputs = section.integer("inputs", size, minimum=1)
        if inputs == 0:
            raise section.error(
                "inputs is missing: expected the number of symbols, like inputs=256", *_SIZES
            )
        if inputs > INT_MAX:
            raise section.error(
                f"inputs (height * width * channels) is {inputs}: expected up to {INT_MAX}",
                *_SIZES,
            )
        section.flag("try_fix_nan")  # AlexeyAB's, without effect here
        image = (height, width, channels) if size else None
        keys = {
            key.name: key.metadata["read"](section, key.name) for key in fields(cls) if key.metadata
        }
        steps: tuple[int, ...] = ()
        scales: tuple[float, ...] = ()
        if keys["policy"] == "steps":
            steps = section.items("steps", whole(0, INT_MAX), "policy")
            scales = section.items("scales", number(), "policy")
        options = cls(inputs, image, steps, scales, **keys)
        options._check(section)
        return options

    def _check(self, section: Section) -> None:
        """Raise CfgError if two keys contradict each other."""
        batch, subdivisions = self.batch, self.subdivisions
        if batch % subdivisions:
            raise section.error(
                f"batch={batch} is not divisible by subdivisions={subdivisions}: "
                f"expected a multiple, like batch={max(1, batch // subdivisions) * subdivisions}",
                *("batch", "subdivisions"),
            )
        if len(self.steps) != len(self.scales):
            raise section.error(
                f"steps has {len(self.steps)} entries and scales {len(self.scales)}; give one "
                f"scale for each step",
                *("steps", "scales", "policy"),
            )
        if self.policy == "poly" and self.max_batches == 0:
            raise section.error(
                "policy=poly needs max_batches, which is missing or 0", "policy", "max_batches"
            )


def override(cfg: Cfg, overrides: Mapping[str, object], place: str = "override") -> Cfg:
    """`cfg` with each of `overrides` set; a `batch` alone sets `subdivisions` to 1.

    Their keys are those of `Cfg.override`. Raises CfgError.
    """
    changes = dict(overrides)
    if "batch" in changes:
        changes.setdefault("subdivisions", 1)
    for key, value in changes.items():
        cfg = cfg.override(key, int(value) if isinstance(value, bool) else value, place)
    return cfg


# What makes a key act: one of these.
_ACTS_WITH = {
    **dict.fromkeys(("steps", "scales"), "policy=steps"),
    "scale": "policy=step",
    "step": "policy=step or policy=sigmoid",
    "gamma": "policy=exp or policy=sigmoid",
    "power": "policy=poly or policy=random or with burn_in",
    **dict.fromkeys(("B1", "B2", "eps"), "adam=1"),
    "momentum": "adam=0",
    **dict.fromkeys(_SIZES, "no inputs in [net]"),
}


def check_effect(net: Section, keys: Iterable[str], adam: bool | None = None) -> None:
    """Raise CfgError for one of these keys of `[net]` that the others leave without any effect.

    For keys that a user sets for one run: in a cfg file such keys are common and harmless.
    adam: whether that optimizer trains, if `net` does not decide it.
    """
    options = NetOptions.of(net)
    uses_adam = options.adam if adam is None else adam
    facts = {f"policy={options.policy}", f"adam={uses_adam:d}"}
    if options.burn_in > 0:
        facts.add("with burn_in")
    if "inputs" not in net.options:
        facts.add("no inputs in [net]")
    for key in keys:
        option, wanted = net.options.get(key), _ACTS_WITH.get(key)
        if option is None or wanted is None or facts.intersection(wanted.split(" or ")):
            continue
        where = net.overrides(key) or option
        add = "" if key in _SIZES else f"; add --set {wanted.split()[0]}"
        raise CfgError(f"{where} has no effect: {key} needs {wanted}{add}")
