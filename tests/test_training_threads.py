"""How many threads train is found out as a run goes, and changes no bits."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.autotune import Autotuner
from darknet_py.engine import choose
from darknet_py.network import Network
from darknet_py.training import threads
from darknet_py.training.threads import Threads
from tests.support.networks import make_network


class Timed:
    """A run whose batches take the given time at each number of threads."""

    def __init__(self, net: Network, seconds: dict[int, float]) -> None:
        self.seconds = seconds
        self.threads = Threads(net)
        self.threads.autotuner = Autotuner(sorted(seconds, reverse=True))

    def run(self, batches: int) -> list[int]:
        used = []
        with self.threads:
            for _ in range(batches):
                used.append(self.threads.count)
                self.threads.batch_done(self.seconds[self.threads.count])
        return used


def test_the_faster_number_of_threads_is_kept_and_tried_again() -> None:
    net = make_network("[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[softmax]")
    run = Timed(net, {2: 1.0, 1: 1.5})
    used = run.run(300)
    assert used[:9] == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert used.count(2) > 240  # the second, slow choice is tried seldom
    run.seconds = {2: 9.0, 1: 3.0}
    assert run.run(300)[-100:].count(1) > 80


def test_a_trial_that_is_hopeless_is_over_with_its_first_batch() -> None:
    net = make_network("[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[softmax]")
    used = Timed(net, {2: 80.0, 1: 1.0}).run(200)
    assert used[:6] == [1, 1, 1, 2, 1, 1]
    assert used.count(2) == 1 + 200 // 1600


def test_a_narrow_network_has_one_thread_and_a_fixed_number_stays() -> None:
    net = make_network("[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[softmax]")
    assert Threads(net).autotuner.choices == [1]
    fixed = Threads(net, 2)
    with fixed:
        for _ in range(50):
            fixed.batch_done(1.0)
            assert fixed.count == 2


@pytest.mark.parametrize(
    ("width", "agree", "choices"),
    [(127, True, [1]), (128, True, [4, 1]), (128, False, [1]), (256, False, [4])],
)
def test_threads_are_chosen_only_where_their_number_changes_no_bits(
    width: int, agree: bool, choices: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "processors", lambda: 4)
    monkeypatch.setattr(threads, "_products_agree", lambda *_: agree)
    net = make_network(
        "[net] inputs=300 batch=2 time_steps=3", f"[rnn] output={width}", "[softmax]"
    )
    assert threads.thread_choices(net) == choices


def test_the_engines_threads_are_all_or_one_whatever_the_width(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "processors", lambda: 4)
    sections = ("[net] inputs=300 batch=2 time_steps=3", "[rnn] output=5", "[softmax]")
    tier = choose("compiled")
    net = make_network(*sections, dtype=np.float32, tier=tier)
    assert threads.thread_choices(net) == [4, 1]
    with Threads(net, 3):
        assert tier.team
        assert tier.team.threads == 3
    double = make_network(*sections, tier=tier)
    assert threads.thread_choices(double) == [1]


def test_batches_that_became_slow_are_a_reason_to_try_again() -> None:
    net = make_network("[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[softmax]")
    run = Timed(net, {2: 0.01, 1: 0.015})
    assert run.run(20)[-1] == 2
    run.seconds = {2: 0.05, 1: 0.02}
    assert run.run(40)[-20:] == [1] * 20


def test_products_are_compared_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    net = make_network("[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[softmax]")
    assert threads._products_agree(net, {(5, 7)}, (1, 1))
    monkeypatch.setattr(threads, "COMPARED", 100)
    assert not threads._products_agree(net, {(5, 7)}, (1, 1))
