"""The memory that training takes is known before anything is allocated."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from darknet_py.cfg import find_cfg
from darknet_py.engine import choose
from darknet_py.errors import CfgError
from darknet_py.layers.connected import ConnectedLayer
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.layers.workspace import Workspace
from darknet_py.network import Network
from darknet_py.sizes import buffer_floats, check_fits, training_bytes
from tests.support.networks import draw_symbols, make_network

RNN = "[rnn] output=5 hidden=4 activation=tanh"
BN = f"{RNN} batch_normalize=1"
END = ("[connected] output=7 activation=linear", "[softmax]")
KINDS = {
    "rnn": [RNN],
    "rnn bn": [BN],
    "crnn": ["[crnn] output=6 hidden=4 size=3 pad=1", "[crnn] output=6 groups=2 hidden=4 pad=1"],
    "gru": ["[gru] output=5"],
    "gru bn": ["[gru] output=5 batch_normalize=1"],
    "lstm": ["[lstm] output=5"],
    "lstm bn": ["[lstm] output=5 batch_normalize=1"],
    "connected": ["[connected] output=5"],
    "connected bn": ["[connected] output=5 batch_normalize=1"],
    "others": [RNN, "[dropout]", "[batchnorm]", "[activation]"],
}


def workspaces(net: Network) -> list[Workspace]:
    """All that buffers of a network are in."""
    found = [net._scratch, *(layer.buffers for layer in net.layers)]
    for layer in net.layers:
        if isinstance(layer, RecurrentLayer):
            found += [connected.buffers for connected in layer.linears()]
        elif isinstance(layer, ConnectedLayer):
            found.append(layer.connected.buffers)
    return found


def allocated_floats(net: Network) -> int:
    return sum(len(flat) for workspace in workspaces(net) for flat in workspace.flat.values())


@pytest.mark.parametrize("end", [END[1:], ["[logistic]"], ["[cost]"]], ids=str)
@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_takes_the_memory_that_is_declared(kind: str, engine: str, end: list[str]) -> None:
    sections = ["[net] inputs=7 batch=6 time_steps=4", *KINDS[kind], *KINDS[kind]]
    dtype: Any = np.float32
    net = make_network(*sections, END[0], *end, dtype=dtype, tier=choose(engine))
    declared = buffer_floats(net, 4, 6)
    net.train_batch(*draw_symbols(net))
    allocated = allocated_floats(net)
    one_hot = 0 if net.layers[0].takes_symbols else 4 * 6 * 7
    assert allocated + one_hot == declared


def test_layers_that_are_not_trained_take_no_more() -> None:
    head = "[net] inputs=7 batch=6 time_steps=4"
    net = make_network(head, BN, f"{RNN} stopbackward=1", *END)
    net.train_batch(*draw_symbols(net))
    assert allocated_floats(net) < buffer_floats(net, 4, 6)


def test_published_training_cfgs_fit_with_subdivisions() -> None:
    cfg = find_cfg("rnn.train").override("subdivisions", "4", "test")
    assert training_bytes(Network(cfg)) < 3 << 30


@pytest.mark.parametrize("layer", [RNN, BN, "[gru] output=40", "[lstm] output=40"])
def test_what_does_not_fit_is_refused_with_the_subdivisions_that_do(layer: str) -> None:
    net = make_network("[net] inputs=7 batch=12 time_steps=300", layer, *END)
    needed = training_bytes(net)
    check_fits(net, needed)
    with pytest.raises(CfgError, match=f"training takes {needed:,} bytes") as told:
        check_fits(net, needed // 2)
    (parts,) = re.findall(r"try --set subdivisions=(\d+)$", str(told.value))
    section = f"[net] inputs=7 batch=12 subdivisions={parts} time_steps=300"
    check_fits(make_network(section, layer, *END), needed // 2)
    with pytest.raises(CfgError, match="make the network smaller"):
        check_fits(net, 1000)


def test_batch_norm_keeps_two_streams_in_each_part() -> None:
    net = make_network("[net] inputs=7 batch=12 time_steps=300", BN, *END)
    with pytest.raises(CfgError, match="subdivisions=6"):
        check_fits(net, training_bytes(net, 2))
    with pytest.raises(CfgError, match="make the network smaller"):
        check_fits(net, training_bytes(net, 1))
