"""The C-exact layers of a network: darknet's `parser.c`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from darknet_py.c_exact.base import CLayer
from darknet_py.c_exact.connected import ConnectedLayer
from darknet_py.c_exact.crnn import CrnnLayer
from darknet_py.c_exact.gates import GruLayer, LstmLayer
from darknet_py.c_exact.rnn import RnnLayer
from darknet_py.c_exact.small import (
    ActivationLayer,
    BatchnormLayer,
    CostLayer,
    DropoutLayer,
    LogisticLayer,
    SoftmaxLayer,
)
from darknet_py.cfg import Section
from darknet_py.dialect import ALEXEYAB
from darknet_py.layers.cost import TYPES
from darknet_py.network import Network

_LAYERS: dict[str, Callable[[Any, Network], CLayer]] = {
    "rnn": RnnLayer,
    "crnn": CrnnLayer,
    "gru": GruLayer,
    "lstm": LstmLayer,
    "connected": ConnectedLayer,
    "activation": ActivationLayer,
    "batchnorm": BatchnormLayer,
    "dropout": DropoutLayer,
    "softmax": SoftmaxLayer,
    "logistic": LogisticLayer,
}


def make_layers(net: Network) -> list[CLayer]:
    """The layers of `net.cfg`, over the parameters of `net` and their updates.

    Raises CfgError for a section that the C program cannot run.
    """
    # A [cost] that `net` ignores counts in C.
    exact = iter([layer for layer in net.layers if layer.kind != "cost"])
    layers: list[CLayer] = []
    for section in net.cfg.layers:
        _check(section, net, net.cfg.layers[: len(layers)])
        layer: CLayer
        if section.name == "cost":
            layer = CostLayer(section.choice("type", "sse", TYPES), section.number("scale", 1))
        else:
            layer = _LAYERS[section.name](next(exact), net)
        if isinstance(layer, DropoutLayer):
            layer.below = layers[-1]
        layer.stop_backward = section.flag("stopbackward")
        layers.append(layer)
    return layers


# Layers that hand on the image that they got, and those whose outputs are none in AlexeyAB's.
_SAME_IMAGE = ("dropout", "activation", "batchnorm")
_NO_IMAGE = ("gru",)


def _check(section: Section, net: Network, below: list[Section]) -> None:
    """Raise CfgError if the C program cannot run this layer above those below."""
    instead = "use `darknet-py train` and `darknet-py generate`, which can"
    if section.name == "dropout" and not below:
        raise section.error(f"the C program cannot run a network that begins with it; {instead}")
    is_norm = section.name == "batchnorm"
    if section.name not in ("cost", *_LAYERS) or (is_norm and net.dialect != ALEXEYAB):
        raise section.error(f"the C program cannot run it on a CPU; {instead}")
    if not is_norm:
        return
    source = next((layer for layer in reversed(below) if layer.name not in _SAME_IMAGE), None)
    has_image = net.options.image is not None if source is None else source.name not in _NO_IMAGE
    if not has_image:
        where = "at the start of a text network" if source is None else f"after [{source.name}]"
        raise section.error(
            f"AlexeyAB's program gives it a width of 0 {where}; use `darknet-py generate`, which "
            f"runs it"
        )
