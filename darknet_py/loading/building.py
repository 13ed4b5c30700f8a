"""From a cfg and a weights file to a network."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

from darknet_py.cfg import Cfg, bundled_cfgs, read_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError
from darknet_py.layers.crnn import uses_keys_of_alexeyab
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.sizes import check_fits
from darknet_py.tier import NUMPY, Tier
from darknet_py.weights import dialect_of, read_header, read_weights


def settle_hidden(cfg: Cfg, weights: str | os.PathLike[str], dialect: Dialect) -> Cfg:
    """`cfg`, or if only that fits the weights file, `cfg` without its `hidden` keys.

    Upstream darknet since 2017 reads `hidden` and uses `output` for the state too, so that its
    files have the size that goes without. Raises CfgError and WeightsError.
    """
    if not any("hidden" in section.options for section in cfg.layers if section.name == "rnn"):
        return cfg
    floats = read_header(weights).floats
    plain = cfg.without("hidden", section="rnn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        if not Network(cfg, dialect).fits(floats) and Network(plain, dialect).fits(floats):
            return plain
    return cfg


def network_of_weights(
    cfg: Cfg, weights: str | os.PathLike[str], dialect: str = "auto", rand: Rand | None = None
) -> Network:
    """The network of `cfg` with the parameters of a weights file, in the file's dialect.

    rand: what layers with dontload=1 are drawn from. Raises CfgError and WeightsError.
    """
    origin = dialect_of(weights, dialect)
    net = Network(settle_hidden(cfg, weights, origin), origin)
    if any(layer.dontload or layer.dontloadscales for layer in net.layers):
        net.initialize(rand or Rand(0))
    _load(net, weights, origin.name)
    return net


def bundled_cfg_of(floats: int) -> Path | None:
    """The first bundled cfg whose network has exactly this number of parameters, if one has."""
    for path in bundled_cfgs().values():
        with warnings.catch_warnings(), contextlib.suppress(DarknetError):
            warnings.simplefilter("ignore", DarknetWarning)
            if len(Network(read_cfg(path)).parameters) == floats:
                return path
    return None


def _load(net: Network, weights: str | os.PathLike[str], dialect: str = "auto") -> None:
    """Read a weights file; if it is another network's, the error names the bundled cfg that it
    fits. Raises WeightsError.
    """
    try:
        net.load_weights(weights, dialect)
    except WeightsError as error:
        floats = read_header(weights).floats
        if net.fits(floats) or (fitting := bundled_cfg_of(floats)) is None:
            raise
        raise WeightsError(f"{error} ({fitting.stem} has {floats:,})") from error


def dialect_of_new(cfg: Cfg) -> Dialect:
    """Upstream's, unless a `hidden` unlike `output`, or the keys of a [crnn], need AlexeyAB's
    program. Raises CfgError.
    """
    hidden = [s for s in cfg.layers if s.name == "rnn" and "hidden" in s.options]
    differ = any(s.integer("hidden", 1) != s.integer("output", 1) for s in hidden)
    kernels = any(s.name == "crnn" and uses_keys_of_alexeyab(s) for s in cfg.layers)
    return ALEXEYAB if differ or kernels else UPSTREAM


def dialect_for_training(
    cfg: Cfg, weights: str | os.PathLike[str] | None, dialect: str | None
) -> Dialect:
    """That of the files that a run will write: `dialect`, or that of `weights`, or
    `dialect_of_new`. Raises CfgError and WeightsError.
    """
    if dialect is not None:
        return DIALECTS[dialect]
    return dialect_of_new(cfg) if weights is None else dialect_of(weights)


def network_for_training(
    cfg: Cfg,
    weights: str | os.PathLike[str] | None,
    rand: Rand,
    dialect: str | None = None,
    budget: int | None = None,
    tier: Tier = NUMPY,
) -> Network:
    """A new network, drawn from `rand`, then with the parameters and `seen` of a weights file.

    budget: bytes that training may take, refused before anything large is allocated.
    dialect: see `dialect_for_training`.
    Raises CfgError and WeightsError.
    """
    if weights is not None:
        cfg = settle_hidden(cfg, weights, dialect_of(weights))
    net = Network(cfg, dialect_for_training(cfg, weights, dialect), tier=tier)
    if budget is not None:
        check_fits(net, budget)
    net.initialize(rand)
    if weights is not None:
        _load(net, weights)
    return net


def network_as_in_c(cfg: Cfg, weights: str | os.PathLike[str] | None, seed: int) -> Network:
    """`network_of_cfg` for the C programs' own commands.

    They take any file. Here one must fit, but for networks with a [crnn], for whose keys the two
    programs have different names and defaults, so that files and cfgs are easily mixed up: where
    the numbers are too few, they are taken as far as they go, with a warning.
    Raises CfgError and WeightsError.
    """
    if weights is not None and any(section.name == "crnn" for section in cfg.layers):
        origin = dialect_of(weights)
        net = Network(settle_hidden(cfg, weights, origin), origin)
        if read_header(weights).floats < net.loaded_count:
            net.initialize(Rand(seed))
            loaded = [parameter for layer in net.layers for parameter in layer.loaded()]
            net.seen = read_weights(weights, loaded, is_partial=True).seen
            net.settle_statistics(net.layers)
            return net
    return network_of_cfg(cfg, weights, seed)


def network_of_cfg(
    cfg: Cfg, weights: str | os.PathLike[str] | None, seed: int, dialect: str = "auto"
) -> Network:
    """The network of a cfg, from a weights file or newly drawn; seed: as in `srand(seed)`.

    Raises CfgError and WeightsError.
    """
    if weights is None:
        chosen = dialect_of_new(cfg) if dialect == "auto" else DIALECTS[dialect]
        net = Network(cfg, chosen)
        net.initialize(Rand(seed))
    else:
        net = network_of_weights(cfg, weights, dialect, Rand(seed))
        net.use_rand(Rand(seed, net.initial_draws))
    return net
