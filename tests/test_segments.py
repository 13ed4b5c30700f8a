"""A datum in segments of a few time steps: the same numbers from less memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from darknet_py.dialect import UPSTREAM, Dialect
from darknet_py.errors import CfgError
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.sizes import segment_steps, training_bytes
from tests.support.networks import draw_symbols, make_network, norms

pytestmark = pytest.mark.filterwarnings("error")

STEPS = 7
NET = f"[net] inputs=7 batch=8 time_steps={STEPS} learning_rate=.3 momentum=.8 decay=.01"
RNN = "[rnn] output=5 hidden=4 activation=tanh"
DROP = "[dropout] probability=.2"
END = ["[connected] output=7 activation=linear", "[softmax]"]

KINDS = {
    "rnn": RNN,
    "shortcut": "[rnn] output=5 activation=leaky shortcut=1",
    "crnn": "[crnn] output=5 hidden=4 size=3 pad=1 activation=tanh",
    "gru": "[gru] output=5",
    "gru tanh": "[gru] output=5 tanh=1",
    "lstm": "[lstm] output=5",
}
kinds = pytest.mark.parametrize("section", KINDS.values(), ids=KINDS)


def same_training(net: Network, segments: Network, count: int = 3) -> None:
    """Train both: losses, updates, parameters (with rolling statistics), draws and states agree."""
    for each in (net, segments):
        each.use_rand(Rand(5))
    for seed in range(count):
        data = draw_symbols(net, seed)
        assert segments.train_batch(*data) == pytest.approx(net.train_batch(*data), rel=1e-12)
        assert segments.rand.drawn == net.rand.drawn
        assert segments.step.last_rate == net.step.last_rate
        np.testing.assert_allclose(segments.updates, net.updates, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(segments.parameters, net.parameters, rtol=1e-11, atol=1e-12)
        states = (sum(each.step.state, ()) for each in (segments, net))
        for one, other in zip(*states, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def pair(
    segment_steps: int, *sections: str, dialect: Dialect = UPSTREAM
) -> tuple[Network, Network]:
    whole, segments = (make_network(*sections, dialect=dialect) for _ in range(2))
    segments.step.segment_steps = segment_steps
    return whole, segments


@kinds
@norms
@pytest.mark.parametrize("segment_steps", [1, 3, STEPS - 1, STEPS])
def test_training_in_parts_is_the_same(
    segment_steps: int, section: str, bn: int, dialect: Dialect
) -> None:
    recurrent = f"{section} batch_normalize={bn}"
    sections = [f"{NET} state=carry", recurrent, DROP, recurrent, DROP, *END]
    whole, segments = pair(segment_steps, *sections, dialect=dialect)
    before = whole.parameters.copy()
    same_training(whole, segments)
    assert all(
        (tensor.values != before[tensor.span].reshape(tensor.shape)).any()
        for tensor in segments.tensors()
    )


@pytest.mark.parametrize(
    "options",
    ["state=zero", "adam=1", "clip=.01 clip_norm=.02", "policy=random power=1"],
)
def test_training_options_are_the_same_in_parts(options: str) -> None:
    """With dropouts."""
    rnn = f"{RNN} batch_normalize=1"
    same_training(*pair(3, f"{NET} {options}", DROP, rnn, DROP, "[gru] output=5", *END))


def test_subdivisions_are_the_same_in_parts() -> None:
    net = NET.replace("batch=8", "batch=16 subdivisions=2")
    same_training(*pair(2, net, f"{RNN} batch_normalize=1", DROP, *END), count=4)


def test_small_layers_are_the_same_in_parts() -> None:
    activation = "[activation] activation=loggy"
    softmax = "[softmax] noloss=1 temperature=2"
    for end in (["[softmax] temperature=.5"], ["[logistic]"], [softmax, "[cost] type=smooth"]):
        same_training(*pair(3, NET, "[lstm] output=5", activation, END[0], *end))


@pytest.mark.parametrize("stop", ["[connected] output=5 stopbackward=1", f"{RNN} stopbackward=1"])
def test_layers_below_stopbackward_are_the_same_in_parts(stop: str) -> None:
    """They drop nothing, and their statistics stay."""
    below = [f"{RNN} batch_normalize=1", DROP, stop]
    same_training(*pair(3, NET, *below, f"{RNN} batch_normalize=1", DROP, *END))


def test_dropout_in_every_place_drops_what_it_drops_in_one_piece() -> None:
    sections = ["[net] inputs=3 batch=4 time_steps=6", "[connected] output=3 activation=linear"]
    whole, segments = pair(4, *sections, DROP, "[dropout] probability=.6", "[cost]")
    same_training(whole, segments)


# --- the choice of segments ----------------------------------------------------------------------


def large(*sections: str, options: str = "") -> Network:
    net = f"[net] inputs=7 batch=8 time_steps=400 {options}"
    return make_network(net, *(sections or (RNN,)), *END, dtype=np.float32)


def smallest(net: Network) -> int:
    """The least memory: small segments, but not so many that the states between them weigh more."""
    return min(training_bytes(net, steps) for steps in range(1, net.options.time_steps + 1))


@kinds
@pytest.mark.parametrize("options", ["", "adam=1", "batch=16 subdivisions=2"])
def test_as_many_steps_as_a_budget_allows(options: str, section: str) -> None:
    net = large(section, DROP, options=options)
    whole = training_bytes(net, net.step.segment_steps)
    net.step.segment_steps = segment_steps(net, whole)
    assert net.step.segment_steps == 400
    for budget in (whole - 1, whole // 2, whole // 3, smallest(net)):
        net.step.segment_steps = segment_steps(net, budget)
        assert 1 <= net.step.segment_steps < 400
        assert training_bytes(net, net.step.segment_steps) <= budget
        assert training_bytes(net, net.step.segment_steps + 1) > budget
    net.step.segment_steps = segment_steps(net, whole)
    assert net.step.segment_steps == 400


@pytest.mark.parametrize("share", [1, 4, 9])
def test_a_budget_is_kept(share: int) -> None:
    """All that is allocated, but for a quarter: the count is "about"."""
    sections = ["[net] inputs=7 batch=8 time_steps=500", "[lstm] output=48", *END]
    budget = training_bytes(make_network(*sections, dtype=np.float32)) // share
    tracemalloc.start()
    try:
        net = make_network(*sections, dtype=np.float32)
        net.step.segment_steps = segment_steps(net, budget)
        net.train_batch(*draw_symbols(net))
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 1.25 * budget


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"


def test_a_budget_below_the_smallest_parts_is_refused_with_the_figures() -> None:
    net = large("[lstm] output=600")
    needed, budget = smallest(net), 9_000_000
    assert budget < needed
    with pytest.raises(CfgError) as caught:
        net.step.segment_steps = segment_steps(net, budget)
    assert str(caught.value).startswith("cfg: training needs ")
    assert megabytes(needed) in str(caught.value)
    assert megabytes(budget) in str(caught.value)


@pytest.mark.parametrize(
    ("section", "kind"),
    [("[batchnorm]", "batchnorm"), ("[connected] output=50 batch_normalize=1", "connected")],
)
def test_what_needs_a_whole_datum_is_refused_with_the_figures(section: str, kind: str) -> None:
    net = large("[rnn] output=900 activation=tanh", section)
    whole = training_bytes(net, net.step.segment_steps)
    net.step.segment_steps = segment_steps(net, whole)
    with pytest.raises(CfgError) as caught:
        net.step.segment_steps = segment_steps(net, whole - 1_000_000)
    assert f"[{kind}] with batch norm needs a whole batch" in str(caught.value)
    assert megabytes(whole) in str(caught.value)
    assert megabytes(whole - 1_000_000) in str(caught.value)


def test_one_step_cannot_be_divided() -> None:
    net = make_network("[net] inputs=7 batch=900", RNN, *END)
    net.step.segment_steps = segment_steps(net, training_bytes(net, net.step.segment_steps))
    assert net.step.segment_steps == 1
    with pytest.raises(CfgError, match="training needs"):
        net.step.segment_steps = segment_steps(net, training_bytes(net, net.step.segment_steps) - 1)


@pytest.mark.parametrize("section", [RNN, "[batchnorm]"])
def test_a_refused_budget_leaves_the_network_as_it_was(section: str) -> None:
    net, other = (large(section) for _ in range(2))
    with pytest.raises(CfgError):
        net.step.segment_steps = segment_steps(
            net, 1000 if section == RNN else training_bytes(net, net.step.segment_steps) - 1
        )
    assert net.step.segment_steps == 400
    assert net.train_batch(*draw_symbols(net)) == other.train_batch(*draw_symbols(other))
