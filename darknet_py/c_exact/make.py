"""From a section of the cfg to a C-exact layer: darknet's `parser.c`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array
from darknet_py.c_exact.base import CLayer, Tensor, Tensors, part_of
from darknet_py.c_exact.connected import Connected, ConnectedLayer
from darknet_py.c_exact.crnn import Convolution, CrnnLayer
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


def make_layers(net: Network, updates: Array) -> list[CLayer]:
    """The layers of `net.cfg` over the parameters of `net`, and `updates` of the same layout.

    Raises CfgError for a section that the C program cannot run.
    """
    tensors = _tensors(net, updates)
    layers: list[CLayer] = []
    for section in net.cfg.layers:
        layer = _make_layer(section, net, tensors, layers[-1] if layers else None)
        layer.stop_backward = section.flag("stopbackward")
        layers.append(layer)
    return layers


def _tensors(net: Network, updates: Array) -> Iterator[Tensors]:
    """The tensors of each layer that has some, named without the layer's number."""
    for layer in net.layers:
        if parameters := layer.parameters():
            yield {
                each.name.split(".", 1)[1]: Tensor(
                    each.values, updates[each.span].reshape(each.shape)
                )
                for each in parameters
            }


def _make_layer(
    section: Section, net: Network, tensors: Iterator[Tensors], below: CLayer | None
) -> CLayer:
    match section.name:
        case "rnn":
            return _make_rnn(section, net, next(tensors))
        case "crnn":
            return _make_crnn(section, net, next(tensors))
        case "connected":
            activation = _activation(section, "logistic")
            connected = Connected(next(tensors), activation, net.dialect)
            connected.learning_rate_scale = np.float32(section.number("learning_rate", 1))
            return ConnectedLayer(connected)
        case "gru":
            # AlexeyAB's ignores `tanh`.
            tanh = section.flag("tanh") and net.dialect != ALEXEYAB
            return GruLayer(next(tensors), net.dialect, tanh)
        case "lstm":
            return LstmLayer(next(tensors), net.dialect)
        case "softmax":
            groups = section.integer("groups", 1, minimum=1)
            temperature = section.number("temperature", 1, above=0)
            return SoftmaxLayer(groups, temperature, section.flag("noloss"))
        case "logistic":
            return LogisticLayer(net.dialect)
        case "cost":
            kind = section.choice("type", "sse", TYPES)
            return CostLayer(kind, section.number("scale", 1))
        case "dropout":
            if below is None:
                raise section.error(
                    "the C program cannot run a network that begins with it; use `darknet-py "
                    "train` and `darknet-py generate`, which can"
                )
            return DropoutLayer(below, section.number("probability", 0.5), net)
        case "activation":
            return ActivationLayer(_activation(section, "linear"), net.dialect)
        case "batchnorm" if net.dialect == ALEXEYAB:
            _check_width(section, net)
            return BatchnormLayer(next(tensors), net.dialect)
    raise section.error(
        "the C program cannot run it on a CPU; use `darknet-py train` and `darknet-py "
        "generate`, which can"
    )


# Layers that hand on the image that they got, and those whose outputs are none in AlexeyAB's.
_SAME_IMAGE = ("dropout", "activation", "batchnorm")
_NO_IMAGE = ("gru",)


def _check_width(section: Section, net: Network) -> None:
    """Raise CfgError where a [batchnorm] of AlexeyAB's program has a width of 0."""
    sections = net.cfg.layers
    below = sections[: next(i for i, other in enumerate(sections) if other is section)]
    source = next((layer for layer in reversed(below) if layer.name not in _SAME_IMAGE), None)
    has_image = net.options.image is not None if source is None else source.name not in _NO_IMAGE
    if not has_image:
        where = "at the start of a text network" if source is None else f"after [{source.name}]"
        raise section.error(
            f"AlexeyAB's program gives it a width of 0 {where}; use `darknet-py generate`, which "
            f"runs it"
        )


def _make_rnn(section: Section, net: Network, tensors: Tensors) -> RnnLayer:
    activation = _activation(section, "logistic")
    # AlexeyAB's key for the self layer.
    named = {1: "logistic", 2: "loggy"}
    self_activation = named.get(section.integer("logistic", 0), activation)

    def connected(part: str, function: str) -> Connected:
        return Connected(part_of(tensors, part), function, net.dialect)

    # In C the inner layers never see `learning_rate`.
    return RnnLayer(
        connected("input", activation),
        connected("self", self_activation),
        connected("output", activation),
        section.flag("shortcut"),
    )


def _make_crnn(section: Section, net: Network, tensors: Tensors) -> CrnnLayer:
    activation = _activation(section, "logistic")
    # Of the self layer, whose inputs are as many as its outputs.
    hidden, of_a_group = tensors["self.weight"].values.shape[:2]

    def convolution(part: str) -> Convolution:
        groups = hidden // of_a_group
        return Convolution(part_of(tensors, part), activation, net.dialect, groups)

    return CrnnLayer(
        convolution("input"),
        convolution("self"),
        convolution("output"),
        section.flag("shortcut"),
    )


def _activation(section: Section, default: str) -> str:
    return section.choice("activation", default, ACTIVATIONS)
