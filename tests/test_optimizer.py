"""Updates and learning rates against darknet's formulas, written out plainly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from darknet_py.arrays import Datum
from darknet_py.cfg import parse_cfg, read_cfg
from darknet_py.network import Network
from darknet_py.optimizer import cooldown_factor, learning_rate
from darknet_py.options import NetOptions
from darknet_py.rand import Rand
from tests.support.networks import Array, cfg_text, draw_symbols, make_network
from tests.support.recorded import RECORDED, case

pytestmark = pytest.mark.filterwarnings("error")

NET = "[net] inputs=6 time_steps=3 learning_rate=.5 momentum=.8 decay=.01"
BATCHES = ["batch=8", "batch=16 subdivisions=2"]
LAYERS = [
    "[rnn] output=4 activation=tanh batch_normalize=1 learning_rate=.25",
    "[connected] output=6 activation=linear",
    "[softmax]",
]


class Example:
    """A network, a copy of it that only says gradients, and its parameters by name."""

    def __init__(self, net_section: str) -> None:
        self.net = make_network(net_section, *LAYERS)
        self.copy = make_network(net_section, *LAYERS)
        self.symbols = self.net.options.batch * self.net.options.time_steps
        self.drawn = 0

    def update(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Train one batch; the parameters before it and minus their gradients."""
        self.copy.parameters[...] = self.net.parameters
        before = {tensor.name: tensor.values.copy() for tensor in self.net.tensors()}
        d = {tensor.name: np.zeros(tensor.shape) for tensor in self.net.tensors()}
        for _ in range(self.net.options.subdivisions):
            self.drawn += 1
            inputs, targets = draw_symbols(self.net, self.drawn)
            self.copy.trainer.accumulate(
                inputs, targets, self.copy.initial_state(self.copy.streams)
            )
            for tensor in self.copy.tensors():
                d[tensor.name] += tensor.updates
            self.net.train_batch(inputs, targets)
        return before, d

    def assert_parameters(self, expected: dict[str, Array]) -> None:
        for tensor in self.net.tensors():
            if tensor.name in expected:
                np.testing.assert_allclose(
                    tensor.values, expected[tensor.name], rtol=1e-9, atol=1e-12, err_msg=tensor.name
                )
            else:
                assert "rolling" in tensor.name


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("rate", [1, 0.1])
def test_sgd(batch: str, rate: float) -> None:
    """Momentum multiplies the buffers after the update; decay acts on matrices only."""
    example = Example(f"{NET} {batch} policy=exp gamma={rate}")
    B, momentum, decay = example.symbols, 0.8, 0.01
    buffers: dict[str, Any] = {}
    for n in range(1, 5):
        values, d = example.update()
        expected = {}
        for name, w in values.items():
            if "rolling" in name:
                continue
            lr = 0.5 * rate**n * (0.25 if name.startswith("0.") else 1)
            buffer = buffers.get(name, 0) + d[name]
            if name.endswith("weight"):
                buffer = buffer - decay * B * w
            expected[name] = w + lr / B * buffer
            buffers[name] = momentum * buffer
        example.assert_parameters(expected)


@pytest.mark.parametrize("batch", BATCHES)
def test_adam(batch: str) -> None:
    """The decay acts on biases and scales too."""
    example = Example(f"{NET} {batch} adam=1 B1=.7 B2=.95 eps=1e-3")
    B, B1, B2, eps, decay = example.symbols, 0.7, 0.95, 1e-3, 0.01
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    for t in range(1, 5):
        values, updates = example.update()
        expected = {}
        for name, w in values.items():
            if "rolling" in name:
                continue
            lr = 0.5 * (0.25 if name.startswith("0.") else 1)
            d = updates[name] - decay * B * w
            m = first[name] = B1 * first.get(name, 0) + (1 - B1) * d
            v = second[name] = B2 * second.get(name, 0) + (1 - B2) * d**2
            expected[name] = w + lr * (m / (1 - B1**t)) / (np.sqrt(v / (1 - B2**t)) + eps)
        example.assert_parameters(expected)


@pytest.mark.parametrize("adam", [0, 1])
@pytest.mark.parametrize("weight_decay", [0.3, 5])
def test_weight_decay_shrinks_matrices_beside_the_step(adam: int, weight_decay: float) -> None:
    """Loshchilov and Hutter's algorithm 2, at each layer's own rate."""
    net_section = f"{NET.replace('decay=.01', 'decay=0')} batch=8 adam={adam}"
    net = make_network(f"{net_section} weight_decay={weight_decay}", *LAYERS)
    plain = make_network(net_section, *LAYERS)
    own_rates = {"0": 0.25, "1": 1}
    before = [tensor.values.copy() for tensor in net.tensors()]
    for example in (net, plain):
        example.train_batch(*draw_symbols(example))
    shrunk = 0
    for tensor, other, values in zip(net.tensors(), plain.tensors(), before, strict=True):
        expected = other.values
        if tensor.name.endswith("weight"):
            rate = 0.5 * own_rates[tensor.name[0]]
            expected = expected - min(1, rate * weight_decay) * values
            shrunk += 1
        np.testing.assert_allclose(tensor.values, expected, rtol=1e-12, atol=1e-12)
    assert shrunk == 4


@pytest.mark.parametrize("adam", [0, 1])
def test_rolling_statistics_are_not_touched_by_an_update(adam: int) -> None:
    net = make_network(f"{NET} batch=8 adam={adam} learning_rate=9", *LAYERS)
    copy = make_network(f"{NET} batch=8", *LAYERS)
    inputs, targets = draw_symbols(net)
    net.train_batch(inputs, targets)
    copy.trainer.accumulate(inputs, targets, copy.initial_state(8))
    compared = 0
    for tensor, other in zip(net.tensors(), copy.tensors(), strict=True):
        if "rolling" in tensor.name:
            np.testing.assert_array_equal(tensor.values, other.values)
            compared += 1
    assert compared == 6


# --- bounds --------------------------------------------------------------------------------------


def gradient_of(options: str, magnified: float = 1, dtype: Any = np.float64) -> Array:
    """The bounded updates per symbol, read off the change of the parameters.

    magnified: as if the loss were so many times as large; the rate is as many times smaller.
    """
    section = f"[net] inputs=6 batch=8 time_steps=3 decay=0 momentum=0 {options}"
    net = make_network(f"{section} learning_rate={1 / magnified!r}", *LAYERS[1:], dtype=dtype)
    before = net.parameters.astype(np.float64)
    accumulate = net.trainer.accumulate

    def magnify(*datum: Any) -> Any:
        result = accumulate(*datum)
        np.multiply(net.updates, magnified, out=net.updates)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net.trainer, "accumulate", magnify)
        net.train_batch(*draw_symbols(net))
    return (net.parameters - before) * magnified


def test_clip_bounds_each_entry_divided_by_the_symbols() -> None:
    whole = gradient_of("")
    bound = float(np.median(np.abs(whole)))
    np.testing.assert_allclose(
        gradient_of(f"clip={bound!r}"), np.clip(whole, -bound, bound), rtol=1e-9, atol=1e-14
    )


def test_clip_norm_scales_the_whole_vector_down() -> None:
    whole = gradient_of("")
    norm = math.sqrt(float(whole @ whole))
    clipped = gradient_of(f"clip_norm={norm / 3!r}")
    np.testing.assert_allclose(clipped, whole / 3, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(gradient_of(f"clip_norm={norm * 3!r}"), whole, rtol=1e-9, atol=1e-14)


def test_clip_comes_before_clip_norm() -> None:
    whole = gradient_of("")
    bound = float(np.median(np.abs(whole)))
    clipped = np.clip(whole, -bound, bound)
    norm = math.sqrt(float(clipped @ clipped))
    both = gradient_of(f"clip={bound!r} clip_norm={norm / 2!r}")
    np.testing.assert_allclose(both, clipped / 2, rtol=1e-9, atol=1e-14)


def test_clip_norm_holds_for_a_gradient_whose_square_overflows() -> None:
    whole = gradient_of("", 1e25, np.float32)
    direction = whole / np.abs(whole).max()
    direction /= np.linalg.norm(direction)
    clipped = gradient_of("clip_norm=1e24", 1e25, np.float32)
    np.testing.assert_allclose(clipped / 1e24, direction, atol=1e-4)


@pytest.mark.parametrize("adam", [0, 1])
def test_bounds_act_on_the_gradient_before_decay_and_momentum(adam: int) -> None:
    """A gradient bounded to nearly nothing leaves what the decay does."""
    section = f"[net] inputs=6 batch=8 time_steps=3 learning_rate=.1 decay=.5 adam={adam}"
    bounded = make_network(f"{section} clip=1e-12", *LAYERS[1:])
    weights = bounded.tensors()[1]
    before = weights.values.copy()
    bounded.train_batch(*draw_symbols(bounded))
    expected = before - 0.1 * (np.sign(before) if adam else 0.5 * before)
    np.testing.assert_allclose(weights.values, expected, rtol=1e-5, atol=1e-6)


# --- learning rates ------------------------------------------------------------------------------


def options(text: str) -> NetOptions:
    return NetOptions.of(parse_cfg(cfg_text(f"[net] inputs=2 {text}", "[softmax]")).net)


def steps_rate(lr: float, steps: list[int], scales: list[float], n: int) -> float:
    for step, scale in zip(steps, scales, strict=True):
        if step > n:
            break
        lr *= scale
    return lr


NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 19, 20, 21, 300]


@pytest.mark.parametrize("n", NUMBERS)
def test_policies(n: int) -> None:
    def rate(text: str) -> float:
        return learning_rate(options(f"learning_rate=.4 {text}"), n)

    assert rate("policy=constant") == 0.4
    assert rate("policy=step step=4 scale=.5") == pytest.approx(0.4 * 0.5 ** (n // 4))
    assert rate("policy=exp gamma=.9") == pytest.approx(0.4 * 0.9**n)
    poly = 0.4 * (1 - n / 20) ** 3 if n < 20 else 0
    assert rate("policy=poly max_batches=20 power=3") == pytest.approx(poly)
    sigmoid = 0.4 / (1 + math.exp(0.5 * (n - 7)))
    assert rate("policy=sigmoid gamma=.5 step=7") == pytest.approx(sigmoid)
    stepped = 0.4 * math.prod(scale for step, scale in ((4, 0.5), (8, 3), (19, 0.1)) if step <= n)
    assert rate("policy=steps steps=4,8,19 scales=.5,3,.1") == pytest.approx(stepped)


def test_steps_end_at_the_first_that_is_not_reached() -> None:
    net = options("learning_rate=.4 policy=steps steps=12,4,20 scales=.5,.1,3")
    for n in NUMBERS:
        expected = steps_rate(0.4, [12, 4, 20], [0.5, 0.1, 3], n)
        assert learning_rate(net, n) == pytest.approx(expected)


@pytest.mark.parametrize("policy", ["constant", "step scale=.1", "exp gamma=.5", "random"])
@pytest.mark.parametrize("n", [1, 3, 7, 8, 9])
def test_burn_in_comes_before_any_policy(policy: str, n: int) -> None:
    warm = options(f"learning_rate=.4 burn_in=8 power=2 policy={policy}")
    if n < 8:
        assert learning_rate(warm, n, Rand(1)) == pytest.approx(0.4 * (n / 8) ** 2)
    else:
        cold = options(f"learning_rate=.4 power=2 policy={policy}")
        assert learning_rate(warm, n, Rand(1)) == learning_rate(cold, n, Rand(1))


def test_random_draws_anew_at_every_call() -> None:
    net = options("learning_rate=.4 policy=random power=2")
    rand, draws = Rand(5), Rand(5).uniform(0, 1, 3)
    rates = [learning_rate(net, 1, rand) for _ in range(3)]
    assert rates == pytest.approx([0.4 * float(u) ** 2 for u in draws])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("policy=exp gamma=10", math.inf),
        ("policy=step step=1 scale=1000", math.inf),
        ("policy=steps steps=1,1,1,1,1,1,1,1,1 scales=" + ",".join(["1e38"] * 9), math.inf),
        ("policy=exp gamma=.1", 0),
        ("policy=sigmoid gamma=3e38 step=1", 0),
        ("policy=sigmoid gamma=-3e38 step=1", 1),
        ("policy=poly max_batches=2 power=3e38", 0),
    ],
)
def test_extreme_rates_do_not_raise(text: str, expected: float) -> None:
    rate = learning_rate(options(f"learning_rate=1 {text}"), 1_000_000)
    assert rate == pytest.approx(expected)


def test_an_update_has_the_rate_of_the_batch_that_it_ends() -> None:
    """The first update is number 1; subdivisions do not count."""
    section = "[net] inputs=6 batch=8 subdivisions=2 policy=exp gamma=.5 learning_rate=1"
    net = make_network(section, *LAYERS[1:])
    assert net.batch_number == 0
    data = [Datum(*draw_symbols(net, seed), np.zeros(4, bool)) for seed in range(2)]
    numbers = [(net.trainer.update(data).rate, net.batch_number) for _ in range(2)]
    assert numbers == [(0.5, 1), (0.25, 2)]
    net.seen = 8 * 9
    assert net.trainer.update(data).rate == 0.5**10
    assert net.batch_number == 10


POLICY_FOLDERS = sorted(path.name for path in RECORDED.glob("policy-*"))


@pytest.mark.parametrize("folder", POLICY_FOLDERS)
def test_recorded_rates(folder: str) -> None:
    net = Network(read_cfg(RECORDED / folder / "train.cfg")).options
    log = case(RECORDED / folder / "case.json")["train_log"]
    assert len(log) == 20
    for row in log:
        # Below `step` C's unsigned difference wraps around and its sigmoid gives 0.
        if net.policy == "sigmoid" and row["batch"] < net.step:
            assert row["rate"] == 0
        else:
            assert f"{learning_rate(net, row['batch']):.6f}" == f"{row['rate']:.6f}"


def test_all_policies_are_recorded() -> None:
    assert len(POLICY_FOLDERS) == 6


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_the_average_of_the_parameters(share: float) -> None:
    """That of all updates where the share is 1; the newest alone while it is less than one."""
    example = Example(f"{NET} batch=8 average={share}")
    net, seen = example.net, []
    for count in range(1, 9):
        example.update()
        seen.append(net.parameters.copy())
        if share == 0:
            assert net.trainer.average is None
            continue
        expected = seen[0].astype(np.float64)
        for number, parameters in enumerate(seen[1:], 2):
            weight = 1 / max(1, share * number)
            expected = (1 - weight) * expected + weight * parameters
        with net.trainer.averaged():
            np.testing.assert_allclose(net.parameters, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(net.parameters, seen[-1])
        if share == 1:
            np.testing.assert_allclose(expected, np.mean(seen, axis=0), rtol=1e-5, atol=1e-7)
        if share * count < 1:
            np.testing.assert_array_equal(net.trainer.average, seen[-1])


def test_there_is_no_average_before_the_first_update() -> None:
    net = make_network(f"{NET} batch=8 average=.2", *LAYERS)
    before = net.parameters.copy()
    assert net.trainer.average is None
    with net.trainer.averaged():
        np.testing.assert_array_equal(net.parameters, before)
    net.trainer.take_average()
    np.testing.assert_array_equal(net.parameters, before)


def test_the_rate_falls_to_0_over_the_last_part_of_a_run() -> None:
    net = NetOptions.of(parse_cfg("[net]\ninputs=3\ncooldown=.25\n[softmax]\n").net)
    factors = [cooldown_factor(net, progress) for progress in (0, 0.5, 0.75, 0.875, 1, 2)]
    assert factors == [1, 1, 1, 0.5, 0, 0]
    none = NetOptions.of(parse_cfg("[net]\ninputs=3\n[softmax]\n").net)
    assert cooldown_factor(none, 1) == 1
