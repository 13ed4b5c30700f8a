"""The typed options of `[net]`, and setting them for one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from darknet_py.cfg import INT_MAX, Cfg, Section
from darknet_py.checks import SECONDS_OR_0
from darknet_py.errors import CfgError

_SIZES = ("height", "width", "channels")
POLICIES = ("constant", "step", "steps", "exp", "poly", "sigmoid", "random")


@dataclass(frozen=True)
class NetOptions:
    """The typed options of `[net]`, with darknet's defaults.

    `batch` counts streams over all `subdivisions`; one datum is `streams * time_steps` symbols.
    image: `height`, `width` and `channels` of the input, where all three are given.
    Keys of our own, which C ignores:
        clip, clip_norm  bounds of the gradient, see `bound_gradient`
        delta_clip       bounds each entry of the delta that comes into a connected layer, as
                         darknet's GPU code does with 1; 0 is off
        init             `orthogonal` makes the matrices that see the state orthogonal
        init_symbols     1 lets matrices that see symbols start as wide as is right for inputs of
                         which one is 1
        forget_bias      what the bias of an [lstm]'s forget gate starts from
        weight_decay     the pull of the matrices towards 0, apart from the gradient, see
                         `decay_weights`; 0 is off
        max_time         seconds of training after which a run ends where its user gives neither
                         time nor batches; 0: none
        cooldown         the last fraction of a run of known length over which the rate falls to 0
        dropconnect      the share of the entries of the matrices that multiply the state which are
                         zeroed in an update, see `DropConnect`; 0 is off
        average          the fraction of the updates so far, the last ones, over which parameters
                         are averaged, see `update_average`; 0 is off
        state            `carry`: the hidden state goes on from batch to batch
        tokenized        symbols are integers of a text rather than its bytes
    """

    inputs: int
    image: tuple[int, int, int] | None
    batch: int
    subdivisions: int
    time_steps: int
    learning_rate: float
    momentum: float
    decay: float
    adam: bool
    B1: float
    B2: float
    eps: float
    policy: str
    burn_in: int
    power: float
    max_batches: int
    max_time: float
    step: int
    scale: float
    steps: tuple[int, ...]
    scales: tuple[float, ...]
    gamma: float
    clip: float
    clip_norm: float
    delta_clip: float
    init: str
    init_symbols: bool
    forget_bias: float
    weight_decay: float
    cooldown: float
    dropconnect: float
    average: float
    state: str
    tokenized: bool

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
        batch = section.integer("batch", 1, minimum=1)
        subdivisions = section.integer("subdivisions", 1, minimum=1)
        if batch % subdivisions:
            raise section.error(
                f"batch={batch} is not divisible by subdivisions={subdivisions}: "
                f"expected a multiple, like batch={max(1, batch // subdivisions) * subdivisions}",
                "batch",
                "subdivisions",
            )
        policy = section.choice("policy", "constant", POLICIES)
        steps: list[int] = []
        scales: list[float] = []
        if policy == "steps":
            steps, scales = section.integers("steps", "policy"), section.numbers("scales", "policy")
            if len(steps) != len(scales):
                raise section.error(
                    f"steps has {len(steps)} entries and scales {len(scales)}; give one scale "
                    f"for each step",
                    "steps",
                    "scales",
                    "policy",
                )
        max_batches = section.integer("max_batches", 0)
        section.flag("try_fix_nan")  # AlexeyAB's, without effect here
        if policy == "poly" and max_batches == 0:
            raise section.error(
                "policy=poly needs max_batches, which is missing or 0", "policy", "max_batches"
            )
        return cls(
            inputs=inputs,
            image=(height, width, channels) if size else None,
            batch=batch,
            subdivisions=subdivisions,
            time_steps=section.integer("time_steps", 1, minimum=1),
            learning_rate=section.number("learning_rate", 0.001),
            momentum=section.number("momentum", 0.9),
            decay=section.number("decay", 0.0001),
            adam=section.flag("adam"),
            B1=section.number("B1", 0.9, minimum=0, maximum=0.999999),
            B2=section.number("B2", 0.999, minimum=0, maximum=0.999999),
            eps=section.number("eps", 1e-7, above=0),
            policy=policy,
            burn_in=section.integer("burn_in", 0),
            power=section.number("power", 4, minimum=0),
            max_batches=max_batches,
            max_time=section.read("max_time", 0.0, SECONDS_OR_0),
            step=section.integer("step", 1, minimum=1),
            scale=section.number("scale", 1),
            steps=tuple(steps),
            scales=tuple(scales),
            gamma=section.number("gamma", 1),
            clip=section.number("clip", 0, minimum=0),
            clip_norm=section.number("clip_norm", 0, minimum=0),
            delta_clip=section.number("delta_clip", 0, minimum=0),
            init=section.choice("init", "darknet", ("darknet", "orthogonal")),
            init_symbols=section.flag("init_symbols"),
            forget_bias=section.number("forget_bias", 0),
            weight_decay=section.number("weight_decay", 0, minimum=0),
            cooldown=section.number("cooldown", 0, minimum=0, maximum=1),
            dropconnect=section.number("dropconnect", 0, minimum=0, maximum=0.999),
            average=section.number("average", 0, minimum=0, maximum=1),
            state=section.choice("state", "zero", ("zero", "carry")),
            tokenized=section.flag("tokenized"),
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


def check_effect(net: Section, keys: Iterable[str], adam: bool | None = None) -> None:
    """Raise CfgError for one of these keys of `[net]` that the others leave without any effect.

    For keys that a user sets for one run: in a cfg file such keys are common and harmless.
    adam: whether that optimizer trains, where it does not go by `net`.
    """
    options = NetOptions.of(net)
    uses_adam = options.adam if adam is None else adam
    for key in keys:
        if (option := net.options.get(key)) is None:
            continue
        if key in _ACTS_WITH_POLICY:
            policies = _ACTS_WITH_POLICY[key]
            acts = options.policy in policies or (key == "power" and options.burn_in > 0)
            wanted = " or ".join(f"policy={policy}" for policy in policies)
            wanted += " or with burn_in" if key == "power" else ""
        elif key in ("B1", "B2", "eps"):
            acts, wanted = uses_adam, "adam=1"
        elif key == "momentum":
            acts, wanted = not uses_adam, "adam=0"
        elif key in _SIZES:
            acts, wanted = "inputs" not in net.options, "no inputs in [net]"
        else:
            continue
        if not acts:
            where = net.overrides(key) or option
            add = "" if key in _SIZES else f"; add --set {wanted.split()[0]}"
            raise CfgError(f"{where}: has no effect: {key} acts only with {wanted}{add}")


_ACTS_WITH_POLICY: dict[str, tuple[str, ...]] = {
    "steps": ("steps",),
    "scales": ("steps",),
    "scale": ("step",),
    "step": ("step", "sigmoid"),
    "gamma": ("exp", "sigmoid"),
    "power": ("poly", "random"),
}
