"""DropConnect on the matrices that multiply the state: exact gradients of masked matrices, the same
masks whoever computes, none outside training.
"""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.trainer.dropconnect import DropConnect
from tests.support.gradients import STEP, TOLERANCE
from tests.support.networks import Array, draw_symbols, make_network, summed_loss

NET = "[net] inputs=7 batch=8 time_steps=4"
LINEAR = "[connected] output=7 activation=linear"
LAYERS = {
    "rnn": "[rnn] output=5 hidden=4 activation=tanh",
    "rnn, batch norm": "[rnn] output=5 activation=tanh batch_normalize=1",
    "gru": "[gru] output=4 tanh=1",
    "lstm": "[lstm] output=4",
    "crnn": "[crnn] output=4 hidden=4 size=1 activation=tanh",
}


def dropping(layer: str, share: float = 0.4, net: str = NET) -> Network:
    made = make_network(f"{net} dropconnect={share}", layer, layer, LINEAR, "[softmax]")
    made.use_rand(Rand(4))
    return made


@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_the_gradient_is_that_of_the_masked_network(layer: str) -> None:
    net = dropping(layer)
    inputs, targets = draw_symbols(net)
    state = net.initial_state(net.streams)
    trainer = net.trainer

    def loss() -> float:
        with trainer.dropped():
            return summed_loss(net, inputs, targets, state)

    with trainer.dropped():
        nats, _ = trainer.accumulate(inputs, targets, state)
    assert trainer.dropconnect is not None
    trainer.dropconnect.mask_updates()
    assert nats == pytest.approx(loss(), rel=1e-12)
    assert abs(nats - summed_loss(net, inputs, targets, state)) > 1e-3
    numeric = np.empty_like(net.parameters)
    for place, value in enumerate(net.parameters.tolist()):
        net.parameters[place] = value + STEP
        above = loss()
        net.parameters[place] = value - STEP
        numeric[place] = (above - loss()) / (2 * STEP)
        net.parameters[place] = value
    limit = TOLERANCE * np.abs(numeric).max()
    np.testing.assert_allclose(-net.updates, numeric, rtol=0, atol=limit)


def masks_of(net: Network, update: int) -> list[Array]:
    own = DropConnect(net)
    with own.acting(net.rand.seed, update):
        return [factor.copy() for factor in own.factors]


def test_a_share_of_the_entries_is_zeroed_and_the_rest_enlarged() -> None:
    """Others in each update, each matrix and each run."""
    net = dropping("[gru] output=40", 0.3)
    first, second = masks_of(net, 0), masks_of(net, 1)
    assert [factor.shape for factor in first] == 6 * [(40, 40)]
    for factor in first:
        assert set(np.unique(factor)) == {0, 1 / 0.7}
        assert (factor == 0).mean() == pytest.approx(0.3, abs=0.03)
    assert all((one != two).any() for one, two in zip(first, second, strict=True))
    assert (first[0] != first[2]).any()
    for one, two in zip(first, masks_of(net, 0), strict=True):
        np.testing.assert_array_equal(one, two)
    net.use_rand(Rand(5))
    assert (masks_of(net, 0)[0] != first[0]).any()


def test_outside_an_update_the_matrices_are_whole() -> None:
    net = dropping(LAYERS["gru"])
    before = net.parameters.copy()
    with net.trainer.dropped():
        assert (net.parameters != before).any()
    np.testing.assert_array_equal(net.parameters, before)

    def interrupted() -> None:
        with net.trainer.dropped():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    np.testing.assert_array_equal(net.parameters, before)


def test_all_data_of_an_update_have_its_masks() -> None:
    """One datum of 8 streams is two of 4."""
    found = []
    for parts in (1, 2):
        net = dropping(LAYERS["gru"], net=f"{NET} subdivisions={parts}")
        inputs, targets = draw_symbols(dropping(LAYERS["gru"]))
        for part in range(parts):
            own = slice(8 // parts * part, 8 // parts * (part + 1))
            net.train_batch(inputs[:, own], targets[:, own])
        found.append(net.parameters.copy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-12)
