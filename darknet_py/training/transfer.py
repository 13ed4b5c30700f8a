"""Starting a new network from some layers of another one, which may know fewer symbols."""

from __future__ import annotations

import os
from collections.abc import Mapping

from darknet_py.errors import WeightsError
from darknet_py.layers.base import Layer, Parameter
from darknet_py.network import Network


def take_layers(
    net: Network, other: Network, layers: Mapping[int, int], origin: str | os.PathLike[str]
) -> int:
    """Copy layers of `other` into `net`, both counted from 0: `{1: 0}` is net's layer 1 from 0.

    A layer must have the same kind and the same sizes in both, but may read or write more symbols
    in `net`: what it knows of the symbols that both have is copied, and the new ones stay as they
    were. origin: the weights file that messages name.
    Returns how many numbers were copied. Raises WeightsError, and then leaves `net` as it was.
    """
    if other.dialect != net.dialect:
        translated = Network(other.cfg, net.dialect, other.dtype.type)
        translated.take_parameters(other, origin)
        other = translated
    pairs = [
        pair
        for target, source in layers.items()
        for pair in _fitted(net, _layer(net, target), other, _layer(other, source), origin)
    ]
    for target, its in pairs:
        target.values[tuple(slice(extent) for extent in its.shape)] = its.values
    net.settle_statistics(net.layers[target] for target in layers)
    return sum(its.size for _, its in pairs)


def _layer(net: Network, index: int) -> Layer:
    if index >= len(net.layers):
        raise WeightsError(
            f"{net.cfg.path} has no layer {index}, only 0 to {len(net.layers) - 1} "
            f"(darknet-py info lists them)"
        )
    return net.layers[index]


def _fitted(
    net: Network, layer: Layer, other: Network, source: Layer, origin: str | os.PathLike[str]
) -> list[tuple[Parameter, Parameter]]:
    """Each parameter of `layer` with the one of `source` that goes into it. Raises WeightsError."""
    where = f"{origin}: layer {source.index}"
    wanted = f"layer {layer.index} of {net.cfg.path}"
    if source.kind != layer.kind:
        raise WeightsError(f"{where} is [{source.kind}], and {wanted} is [{layer.kind}]")
    its = {_part(parameter): parameter for parameter in source.parameters()}
    pairs = []
    for target in layer.parameters():
        found = its.pop(_part(target), None)
        if found is None:
            raise WeightsError(f"{where} has no {_part(target)}, and {wanted} has one")
        if not _fits(net, layer, target, other, source, found):
            raise WeightsError(
                f"{where}: {_part(target)} is {_sizes(found)}, and that of {wanted} is "
                f"{_sizes(target)}"
            )
        pairs.append((target, found))
    if its:
        raise WeightsError(f"{where} has {next(iter(its))}, and {wanted} has none")
    return pairs


def _fits(
    net: Network, layer: Layer, target: Parameter, other: Network, source: Layer, found: Parameter
) -> bool:
    """Whether the shapes are alike, but for symbols that only `net` knows."""
    if len(target.shape) != len(found.shape):
        return False
    reads_symbols = layer.index == source.index == 0
    writes_symbols = _is_last(net, layer) and _is_last(other, source)
    grown = {
        (axis, was, now)
        for axis, (was, now) in enumerate(zip(found.shape, target.shape, strict=True))
        if was != now
    }
    if any(was > now for _, was, now in grown):
        return False
    allowed = {(1, other.inputs, net.inputs)} if reads_symbols else set()
    if writes_symbols:
        allowed.add((0, other.outputs, net.outputs))
    return grown <= allowed


def _is_last(net: Network, layer: Layer) -> bool:
    """Whether it is the last layer with parameters, whose rows are symbols."""
    return not any(later.parameters() for later in net.layers[layer.index + 1 :])


def _part(parameter: Parameter) -> str:
    """`input.weight` of `0.input.weight`."""
    return parameter.name.partition(".")[2]


def _sizes(parameter: Parameter) -> str:
    return "x".join(map(str, parameter.shape))
