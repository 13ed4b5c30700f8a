"""Copies of networks and of what works with them: whole and independent, or refused."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.c_exact import CNetwork
from darknet_py.cfg import parse_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS
from darknet_py.errors import DarknetError
from darknet_py.inference.generation import Session
from darknet_py.layers.base import PREDICTION
from darknet_py.network import Network
from darknet_py.parallel import Communicator
from darknet_py.rand import Rand
from darknet_py.trainer.trainer import Trainer
from tests.support.copies import COPIERS, SYMBOLS, bits, check_tensors_are_views, train
from tests.support.inputs import write_run_inputs
from tests.support.networks import cfg_text, draw_symbols

NET = f"[net] inputs={SYMBOLS} batch=4 subdivisions=2 time_steps=5 learning_rate=.05 state=carry"
END = (f"[connected] output={SYMBOLS} activation=linear", "[softmax]")
NETWORKS = {
    "rnn": (f"{NET} momentum=.9 decay=.01", "[rnn] output=6 activation=tanh shortcut=1", *END),
    "rnn-norm": (
        f"{NET} adam=1",
        "[rnn] output=6 hidden=4 activation=relu batch_normalize=1",
        *END,
    ),
    "gru": (
        f"{NET} adam=1 clip_norm=.1 dropconnect=.2",
        "[gru] output=6",
        "[dropout] probability=.3",
        *END,
    ),
    "lstm": (
        f"{NET} cooldown=.5 average=.4 weight_decay=.5 policy=random power=2",
        "[lstm] output=5",
        "[lstm] output=6",
        *END,
    ),
    "lstm-norm": (f"{NET} delta_clip=.1", "[lstm] output=6 batch_normalize=1", *END),
    "plain": (
        f"{NET} policy=steps steps=2,4 scales=.5,.5",
        "[connected] output=8 activation=leaky batch_normalize=1",
        "[batchnorm]",
        "[activation] activation=tanh",
        "[dropout] probability=.5",
        f"[connected] output={SYMBOLS} activation=linear learning_rate=2",
        "[logistic]",
    ),
    "crnn": (NET, "[crnn] output=6 hidden=4 size=3 pad=1 batch_normalize=1", *END),
    "c-exact": (NET, "[rnn] output=6", "[dropout]", "[connected] output=7", END[1]),
    "frozen": (NET, "[rnn] output=6 activation=tanh stopbackward=1", "[gru] output=6", *END),
    "cost": (NET, "[gru] output=6", END[0], "[activation] activation=tanh", "[cost] type=smooth"),
}
every_copier = pytest.mark.parametrize("copier", COPIERS.values(), ids=list(COPIERS))
every_network = pytest.mark.parametrize("name", NETWORKS)


def network(name: str, dialect: str = "upstream", dtype: Any = np.float32) -> Network:
    net = Network(parse_cfg(cfg_text(*NETWORKS[name])), DIALECTS[dialect], dtype)
    net.initialize(Rand(3))
    return net


@every_copier
@every_network
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("before", [0, 3])
def test_a_copy_trains_and_predicts_like_the_original(
    copier: Any, name: str, dialect: str, dtype: Any, before: int, tmp_path: Path
) -> None:
    """Three datums with two subdivisions: the copy is made in the middle of a batch."""
    net = network(name, dialect, dtype)
    train(net, range(before))
    net.predict(draw_symbols(net, 50)[0])
    twin = copier(net)
    assert bits(twin) == bits(net)
    check_tensors_are_views(twin)
    assert train(twin, range(10, 15)) == train(net, range(10, 15))
    assert np.array_equal(
        twin.predict(draw_symbols(net, 51)[0]), net.predict(draw_symbols(net, 51)[0])
    )
    assert bits(twin) == bits(net)
    for each in (net, twin):
        each.save_weights(tmp_path / f"{each is net}.weights")
    assert (tmp_path / "True.weights").read_bytes() == (tmp_path / "False.weights").read_bytes()


@every_copier
@every_network
def test_a_copy_is_independent(copier: Any, name: str) -> None:
    net = network(name)
    train(net, range(2))
    twin = copier(net)
    kept = bits(twin)
    train(net, range(20, 24))
    net.predict(draw_symbols(net, 52)[0])
    net.parameters[...] = 9
    net.updates[...] = 9
    net.rand.draws(5)
    for part in (*net.trainer.state, *net.prediction_state):
        for array in part:
            array[...] = 9
    assert bits(twin) == kept
    twin.parameters[...] = 4
    assert (net.parameters == 9).all()
    assert all((tensor.values == 4).all() for tensor in twin.tensors())


@every_copier
def test_what_a_program_has_set_is_copied(copier: Any) -> None:
    """Settings that are not in the cfg any more, and what only a layer knows."""
    net = network("gru")
    net.layers[0].learning_rate = 0.25
    net.layers[1].probability = 0.75  # type: ignore[attr-defined]
    net.check_trainable()
    twin = copier(net)
    assert train(twin, range(4)) == train(net, range(4))
    assert bits(twin) == bits(net)


@every_copier
def test_a_copy_of_a_copy_and_of_several_things(copier: Any) -> None:
    net = network("lstm")
    train(net, range(3))
    twin = copier(copier(net))
    assert bits(twin) == bits(net)
    if copier is not copy.copy:
        first, second = copier([net, net])
        assert first is second


def test_a_pickle_is_about_as_large_as_its_vectors() -> None:
    net = Network(parse_cfg(cfg_text(*NETWORKS["lstm"]).replace("output=6", "output=200")))
    net.initialize(Rand(1))
    train(net, range(2))
    vectors = 4 * net.parameters.nbytes
    assert vectors < len(pickle.dumps(net)) < 1.05 * vectors + 20_000


def test_a_network_of_several_ranks_is_not_copied() -> None:
    class Two(Communicator):
        size = 2

    net = network("gru")
    net.trainer = Trainer(net, Two())
    with pytest.raises(DarknetError, match="several processes"):
        copy.deepcopy(net)


def test_a_trained_result_is_copied_whole(tmp_path: Path) -> None:
    write_run_inputs(tmp_path)
    run = dn.train(
        tmp_path / "net.cfg", tmp_path / "text.txt", out=tmp_path / "out", batches=3, seed=1
    )
    twin = copy.deepcopy(run).net
    assert bits(twin) == bits(run.net)
    assert list(dn.generate(twin, b"a", 30)) == list(dn.generate(run.net, b"a", 30))
    twin.parameters[...] = 0
    assert run.net.parameters.any()


@every_copier
def test_what_works_with_a_network_is_not_copied(copier: Any) -> None:
    for kind, said in ((Session, "make a new one"), (CNetwork, "copy its network")):
        with pytest.raises(DarknetError, match=said):
            copier(kind(network("gru")))


@every_copier
def test_random_numbers_go_on_from_the_same_place(copier: Any) -> None:
    rand = Rand(5)
    rand.draws(100)
    rand.rand()
    twin = copier(rand)
    assert (twin.seed, twin.drawn) == (rand.seed, rand.drawn)
    assert [twin.rand() for _ in range(200)] == [rand.rand() for _ in range(200)]


@every_copier
def test_a_copy_has_the_same_dialect(copier: Any) -> None:
    assert copier(Network(parse_cfg(cfg_text(*NETWORKS["plain"])), ALEXEYAB)).dialect == ALEXEYAB


@pytest.mark.parametrize("copier", [COPIERS["deepcopy"], COPIERS["pickle"]])
@every_network
def test_a_layer_alone_is_copied_too(copier: Any, name: str) -> None:
    net = network(name, "alexeyab")
    x = np.random.default_rng(1).normal(size=(3, 2, net.layers[-1].inputs)).astype(np.float32)
    for layer in net.layers[1:]:
        given = np.resize(x, (3, 2, layer.inputs))
        state = layer.initial_state(2, net.dtype)
        twin = copier(layer)
        y = layer.forward(given, state, PREDICTION)[0].copy()
        assert np.array_equal(twin.forward(given, state, PREDICTION)[0], y)
