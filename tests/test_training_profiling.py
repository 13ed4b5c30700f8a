"""Where the time of a run goes."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.engine import choose
from darknet_py.training.profiling import VALIDATION, Profile
from tests.support.networks import draw_symbols, make_network

SECTIONS = "[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[connected] output=7"


def test_a_profile_counts_each_kind_once() -> None:
    profile = Profile()
    net = make_network(*SECTIONS, "[softmax]")
    with profile.running(net):
        net.train_batch(*draw_symbols(net))
    layers = {f"0 [rnn] {way}ward" for way in ("for", "back")}
    assert {*layers, "2 [softmax] forward", "update"} <= set(profile.seconds)
    assert all(seconds > 0 for seconds in profile.seconds.values())
    assert sum(profile.seconds.values()) <= profile.total
    with profile.kind("outer"), profile.kind("inner"):
        pass
    assert profile.seconds["outer"] < profile.total
    shares = [float(line.split()[-1].rstrip("%")) for line in profile.lines()]
    assert sum(shares) == pytest.approx(100, abs=0.6)


def test_the_layers_of_a_validation_count_as_validation() -> None:
    profile = Profile()
    net = make_network(*SECTIONS, "[softmax]")
    inputs, targets = draw_symbols(net)
    with profile.running(net):
        with profile.kind(VALIDATION):
            net.losses(inputs, targets, net.initial_state(2))
        assert set(profile.seconds) == {VALIDATION}
        net.predict(inputs)
    assert "0 [rnn] forward" in profile.seconds
    net.predict(inputs)
    assert profile.seconds["0 [rnn] forward"] < profile.total


def test_products_of_the_engine_are_counted_with_their_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of the first thread."""
    monkeypatch.setattr("darknet_py.engine.compiled.team.TEAM.threads", 1)
    profile = Profile()
    net = make_network(*SECTIONS, "[softmax]", dtype=np.float32, tier=choose("compiled"))
    with profile.running(net):
        for _ in range(2):
            net.train_batch(*draw_symbols(net))
    forward, backward = profile.parts["0 [rnn] forward"], profile.parts["0 [rnn] backward"]
    rows, hidden = 2 * 3 * 2, 5
    assert forward["self product"][1] == 2 * rows * hidden * hidden
    assert forward["input product"][1] == 0  # Looked up, not multiplied.
    assert backward["output delta"][1] == backward["output gradient"][1]
    # The first time step has none before it.
    assert backward["self delta"][1] == forward["self product"][1] * 2 // 3
    assert sum(spent for spent, _ in forward.values()) < profile.seconds["0 [rnn] forward"]
    assert any("GFLOP/s" in line for line in profile.lines())
