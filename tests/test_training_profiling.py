"""Where the time of a run goes."""

from __future__ import annotations

import pytest

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
