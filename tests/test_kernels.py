"""The compiled kernels compute what numpy's do, and are chosen where they can be had."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darknet_py.activations import ACTIVATIONS
from darknet_py.autotune import Autotuner
from darknet_py.dialect import DIALECTS
from darknet_py.errors import DarknetError
from darknet_py.kernels import KERNELS, Kernels, choose_kernels, plain
from darknet_py.kernels.compiled import CompiledKernels
from darknet_py.kernels.compiled import passes as compiled
from darknet_py.network import Network
from darknet_py.training import threads, train
from darknet_py.training.profiling import PASSES, PRODUCTS, UPDATE, VALIDATION, Profile
from darknet_py.training.threads import Threads
from tests.support.networks import draw_symbols, make_network

Array = NDArray[Any]
NAMES = ("numpy", "compiled")
DTYPES = (np.float32, np.float64)
# More columns than one block has, and not a whole number of vectors.
STEPS, STREAMS, FEATURES = 3, 5, compiled.BLOCK + 37


def draw(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(dtype)


def arguments(name: str, dtype: Any) -> list[Any]:
    """What the kernel is called with, drawn anew but always the same."""
    rng = np.random.default_rng(3)
    wide = (STEPS, STREAMS, FEATURES)
    sums = (STEPS, 1, FEATURES)
    gates = (STREAMS, 4 * FEATURES)
    one = (STREAMS, FEATURES)

    def array(*shape: int) -> Array:
        return draw(rng, dtype, *shape)

    def share(*shape: int) -> Array:
        return rng.uniform(0.1, 0.9, shape).astype(dtype)

    vector = FEATURES * 3
    made: dict[str, list[Any]] = {
        "bias_activate": [array(*wide), array(FEATURES)],
        "affine_activate": [array(*wide), array(FEATURES), array(FEATURES)],
        "activate_backward": [array(*wide), share(*wide), array(*sums)],
        "normalize_activate": [
            *(array(*wide), array(*wide), array(*sums), array(*sums)),
            *(array(FEATURES), array(FEATURES)),
        ],
        "normalize_activate_backward": [
            *(array(*wide), share(*wide), array(*wide), share(*sums)),
            *(array(FEATURES), array(*sums), array(*sums)),
        ],
        "add_by_symbol": [array(*wide), rng.integers(0, 7, wide[:2]), array(7, FEATURES)],
        "lstm_step_backward": [
            *(array(*one), array(*one), share(*gates), array(*one), share(*one), array(*gates)),
        ],
        "gru_mix": [share(*one), array(*one), array(*one), array(*one)],
        "gru_mix_backward": [
            *(array(*one), share(*one), array(*one), array(*one), array(*one), array(*one)),
        ],
        "softmax": [array(*wide), 0.7, array(*wide), array(STEPS, STREAMS, 1)],
        "softmax_delta": [share(STEPS, FEATURES), rng.integers(0, FEATURES, STEPS), 0.7],
        "sgd": [array(vector), array(vector), array(vector), 0.1, 0.9, 0.01],
        "adam": [
            *(array(vector), array(vector), array(vector), share(vector)),
            *(0.01, 0.9, 0.999, 1e-6, 0.01, 3),
        ],
    }
    return made[name]


def compare(name: str, dtype: Any, *rest: Any) -> None:
    ours, theirs = arguments(name, dtype), arguments(name, dtype)
    getattr(Kernels(), name)(*ours, *rest)
    getattr(CompiledKernels(), name)(*theirs, *rest)
    # y is used up by a backward, in ways of its own.
    used_up = {"activate_backward": [1], "normalize_activate_backward": [1]}.get(name, [])
    for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if isinstance(one, np.ndarray) and place not in used_up:
            scale = max(1.0, float(np.abs(one).max()))
            bound = scale * (2e-6 if dtype is np.float32 else 1e-13)
            np.testing.assert_allclose(other, one, rtol=0, atol=bound, err_msg=f"{name} {place}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["bias_activate", "affine_activate", "activate_backward"])
def test_compiled_activations_are_numpys(name: str, activation: str, dtype: Any) -> None:
    compare(name, dtype, ACTIVATIONS[activation])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["normalize_activate", "normalize_activate_backward"])
def test_compiled_batch_norm_is_numpys(
    name: str, activation: str, dialect: str, dtype: Any
) -> None:
    compare(name, dtype, ACTIVATIONS[activation], DIALECTS[dialect])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name",
    [
        *("add_by_symbol", "lstm_step_backward", "gru_mix", "gru_mix_backward", "softmax"),
        *("softmax_delta", "sgd", "adam"),
    ],
)
@pytest.mark.parametrize("small", [1, 1 << 20])
def test_the_other_compiled_kernels_are_numpys(
    name: str, dtype: Any, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darknet_py.kernels.compiled.engine.SMALL", small)
    compare(name, dtype)


def test_every_twin_is_compared() -> None:
    twins = [name for name in KERNELS if name in vars(CompiledKernels)]
    assert len(twins) > 10
    for name in twins:
        assert arguments(name, np.float32)


def test_a_value_that_is_not_finite_stays_so() -> None:
    x = np.full((2, 3, 70), np.nan, np.float32)
    compiled.bias_activate(x, np.zeros(70, np.float32), ACTIVATIONS["leaky"])
    assert np.isnan(x).all()
    with np.errstate(invalid="ignore"):
        y, sums = np.empty_like(x), np.empty((2, 1, 70), np.float32)
        x[...] = np.inf
        ones = np.ones(70, np.float32)
        compiled.normalize_activate(
            x, y, sums, sums.copy(), ones, ones, ACTIVATIONS["leaky"], DIALECTS["upstream"]
        )
    assert not np.isfinite(y).any()


@pytest.mark.parametrize(
    "kind", ["[rnn] output=9 activation=leaky", "[gru] output=9", "[lstm] output=9"]
)
@pytest.mark.parametrize("bn", [0, 1])
def test_a_datum_with_compiled_kernels(kind: str, bn: int) -> None:
    sections = (
        "[net] inputs=11 batch=4 time_steps=6",
        f"{kind} batch_normalize={bn}",
        "[connected] output=11 activation=linear",
        "[softmax]",
    )
    nets = [make_network(*sections, kernels=choose_kernels(name)) for name in NAMES]
    for net, choice in zip(nets, NAMES, strict=True):
        assert net.kernels.name == choice
        net.train_batch(*draw_symbols(net))
    np.testing.assert_allclose(nets[0].updates, nets[1].updates, atol=1e-12)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, atol=1e-12)


def test_each_network_has_kernels_of_its_own() -> None:
    net, other = (make_network("[net] inputs=3", "[softmax]") for _ in range(2))
    assert choose_kernels("auto").name == "compiled"
    with Profile().running(net.kernels):
        assert net.kernels.product is not plain.product
        assert other.kernels.product is plain.product
    assert net.kernels.product is plain.product


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "darknet_py.kernels.compiled", None)
    assert choose_kernels("auto").name == "numpy"
    with pytest.raises(
        DarknetError, match=r"^--kernels compiled needs numba .*: pip install numba$"
    ):
        choose_kernels("compiled")


def test_a_profile_counts_each_kind_once(tmp_path: Path) -> None:
    profile = Profile()
    net = make_network(
        "[net] inputs=7 batch=2 time_steps=3", "[rnn] output=5", "[connected] output=7", "[softmax]"
    )
    with profile.running(net.kernels):
        net.train_batch(*draw_symbols(net))
    assert {PRODUCTS, PASSES, UPDATE} <= set(profile.seconds)
    assert all(seconds > 0 for seconds in profile.seconds.values())
    assert sum(profile.seconds.values()) <= profile.total
    with profile.kind("outer"), profile.kind("inner"):
        pass
    assert profile.seconds["outer"] < profile.total
    shares = [float(line.split()[-1].rstrip("%")) for line in profile.lines()]
    assert sum(shares) == pytest.approx(100, abs=0.6)


def test_the_kernels_of_a_validation_count_as_validation() -> None:
    profile = Profile()
    a = np.ones((2, 2), np.float32)
    kernels = Kernels()
    with profile.running(kernels):
        with profile.kind(VALIDATION):
            kernels.product(a, a, out=a.copy())
        assert set(profile.seconds) == {VALIDATION}
        kernels.product(a, a, out=a.copy())
    assert set(profile.seconds) == {VALIDATION, PRODUCTS}


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
    kernels = choose_kernels("compiled")
    net = make_network(*sections, dtype=np.float32, kernels=kernels)
    assert threads.thread_choices(net) == [4, 1]
    with Threads(net, 3):
        assert kernels.threads == 3
    double = make_network(*sections, kernels=choose_kernels("compiled"))
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


def test_training_with_either_kernels_ends_alike(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"the cat sat on the mat. " * 200)
    ends = []
    for choice in ("numpy", "compiled"):
        out = tmp_path / choice
        result = train("tiny", text, out=out, batches=3, seed=1, kernels=choice, profile=True)
        ends.append(result.net.parameters.copy())
    np.testing.assert_allclose(ends[0], ends[1], atol=2e-5)
