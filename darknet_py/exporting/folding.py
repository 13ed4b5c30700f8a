"""Batch norm as weights and biases.

With its rolling statistics batch norm is a factor and a sum for each output, which its connected
layer can do itself:

    gain = scale / deviation(rolling_variance)
    weight' = gain weight                            row by row
    bias'   = bias - gain rolling_mean
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from darknet_py.cfg import Cfg
from darknet_py.errors import DarknetWarning, WeightsError
from darknet_py.layers.norm import deviation
from darknet_py.network import Network


def folded_cfg(cfg: Cfg) -> Cfg:
    """`cfg` with batch_normalize=0 in every layer that had it. Raises CfgError."""
    sections = [
        section.changed(
            {"batch_normalize": replace(section.options["batch_normalize"], value="0")}
            if section.flag("batch_normalize")
            else {}
        )
        for section in cfg.layers
    ]
    return Cfg(cfg.path, cfg.lines, [cfg.net, *sections])


def fold_batchnorm(net: Network) -> Network:
    """A network that computes the same without batch norm in its connected layers, all of them
    within the recurrent layers included.

    A DarknetWarning names each [batchnorm] section, which stays, and says if there is nothing to
    fold. Raises WeightsError if a result is not finite.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        folded = Network(folded_cfg(net.cfg), net.dialect, net.dtype.type)
    folded.seen = net.seen
    old = {parameter.name: parameter.values for parameter in net.tensors()}
    new = {parameter.name: parameter.values for parameter in folded.tensors()}
    for name, values in new.items():
        np.copyto(values, old[name])
    normed = [name.removesuffix(".scale") for name in old if name.endswith(".scale")]
    if not normed:
        warnings.warn(f"{net.cfg.path}: no batch norm to fold", DarknetWarning, stacklevel=2)
    for name in normed:
        if f"{name}.scale" in new:
            message = (
                f"{net.cfg.path}: layer {name}: [batchnorm] is a layer of its own and is not folded"
            )
            warnings.warn(message, DarknetWarning, stacklevel=2)
            continue
        scale, mean, variance = (
            old[f"{name}.{kind}"].astype(np.float64)
            for kind in ("scale", "rolling_mean", "rolling_variance")
        )
        weight, bias = new[f"{name}.weight"], new[f"{name}.bias"]
        with np.errstate(all="ignore"):
            gain = scale / deviation(variance, net.dialect)
            weight[...] = (gain * weight.T).T
            bias[...] = bias - gain * mean
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise WeightsError(
                f"{net.cfg.path}: the batch norm of {name} cannot be folded: its rolling "
                f"statistics give weights that are not finite"
            )
    return folded
