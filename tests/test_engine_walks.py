"""The engine's walks compute what the layers' own, in numpy, do, with any number of threads."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import Array
from darknet_py.dialect import ALEXEYAB, UPSTREAM, Dialect
from darknet_py.engine import choose
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.layers import Fused
from darknet_py.layers.base import PREDICTION, ForwardContext, Layer
from darknet_py.network import Network
from tests.support.networks import draw_symbols, make_network

# No size is a whole number of vectors; two layers of a kind, so that one has symbols coming in.
SYMBOLS, WIDTH, STEPS, STREAMS = 23, 37, 6, 5
SECTIONS = [
    *(
        f"[rnn] output={WIDTH} hidden=51 activation={name} shortcut={shortcut}"
        for name, shortcut in (("leaky", 0), ("tanh", 1), ("selu", 0))
    ),
    f"[rnn] output={WIDTH} activation=leaky logistic=1",
    *(f"[gru] output={WIDTH} tanh={tanh}" for tanh in (0, 1)),
    f"[lstm] output={WIDTH}",
    *(f"[connected] output={WIDTH} activation={name}" for name in ("leaky", "loggy")),
]
CASES = list(itertools.product(SECTIONS, (0, 1)))
TRAINING = ForwardContext(training=True)


def make(section: str, engine: str, threads: int = 1, **options: Any) -> Network:
    dialect, precision = options.pop("dialect", UPSTREAM), options.pop("precision", "f32")
    tier = choose(engine, precision if engine == "compiled" else "f32")
    first = f"[net] inputs={SYMBOLS} batch={STREAMS} time_steps={STEPS}"
    first += "".join(f" {name}={value}" for name, value in options.items())
    last = (f"[connected] output={SYMBOLS} activation=leaky", "[softmax]")
    TEAM.threads = threads
    sections = (first, section, section, *last)
    return make_network(*sections, dialect=dialect, dtype=np.float32, reach=0.3, tier=tier)


def is_walked(layer: Layer) -> bool:
    """Whether the engine computed its last forward."""
    return isinstance(layer, Fused) and layer.walk is not None


def draw_state(net: Network, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return tuple(
        tuple(rng.standard_normal(part.shape).astype(np.float32) for part in layer)
        for layer in net.initial_state(STREAMS)
    )


def computed(net: Network, context: ForwardContext) -> list[Array]:
    """All that comes out of the layers of one datum, forward and, in training, backward."""
    state = draw_state(net, 1)
    x: Array = draw_symbols(net)[0]
    found: list[Array] = []
    layers = net.layers[:-1]
    for layer in layers:
        x, after = layer.forward(x, state[layer.index], context)
        assert is_walked(layer) == (net.tier.name == "compiled")
        found += [x.copy(), *after]
    if context.training:
        delta = np.random.default_rng(3).standard_normal(x.shape).astype(np.float32)
        for layer in reversed(layers):
            below = np.empty((STEPS, STREAMS, layer.inputs), np.float32) if layer.index else None
            layer.backward(delta, below)
            delta = below if below is not None else delta
            found.append(delta.copy())
        found.append(net.updates.copy())
    return [*found, net.parameters.copy()]


def assert_alike(
    section: str, context: ForwardContext, tolerance: float = 3e-5, **options: Any
) -> None:
    expected = computed(make(section, "numpy", **options), context)
    alone = computed(make(section, "compiled", **options), context)
    for ours, theirs in zip(alone, expected, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        if "precision" in options:
            # A few are far off, where an activation has a kink.
            assert np.linalg.norm(ours - theirs) < tolerance * max(1, float(np.linalg.norm(theirs)))
        else:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)
    for threads in (2, 3, 4):
        several = computed(make(section, "compiled", threads, **options), context)
        for ours, theirs in zip(several, alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too small for the engine."""
    monkeypatch.setattr("darknet_py.engine.layers.ROWS", 1)
    monkeypatch.setattr("darknet_py.engine.layers.STEPS", 1)
    monkeypatch.setattr("darknet_py.engine.vectors.SMALL", 1)


@pytest.mark.parametrize("dialect", [UPSTREAM, ALEXEYAB], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(("section", "bn"), CASES)
def test_a_datum(section: str, bn: int, dialect: Dialect) -> None:
    assert_alike(f"{section} batch_normalize={bn}", TRAINING, dialect=dialect)


@pytest.mark.parametrize(("section", "bn"), CASES)
def test_a_datum_in_bf16(section: str, bn: int) -> None:
    """Kinks, and batch norm where it divides by what is small, make rounding larger."""
    assert_alike(f"{section} batch_normalize={bn}", TRAINING, (0.25, 0.4)[bn], precision="bf16")


@pytest.mark.parametrize(("section", "bn"), CASES)
def test_a_prediction_is_of_f32(section: str, bn: int) -> None:
    """Also that of a network which trains in bf16."""
    sections = f"{section} batch_normalize={bn}"
    ours, theirs = (
        computed(make(sections, "compiled", precision=precision), PREDICTION)
        for precision in ("bf16", "f32")
    )
    for array, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize(("section", "bn"), CASES)
def test_deltas_that_are_clipped(section: str, bn: int) -> None:
    assert_alike(f"{section} batch_normalize={bn}", TRAINING, delta_clip=0.05)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name: str) -> None:
    assert_alike(f"[rnn] output={WIDTH} activation={name}", TRAINING)


@pytest.mark.parametrize(("section", "bn"), CASES)
def test_a_prediction(section: str, bn: int) -> None:
    assert_alike(f"{section} batch_normalize={bn}", PREDICTION)


@pytest.mark.parametrize("adam", [0, 1])
@pytest.mark.parametrize("section", ["[rnn] output=150 activation=leaky batch_normalize=1",
                                     "[gru] output=70", "[lstm] output=70"])  # fmt: skip
def test_a_run_has_the_same_bits_with_any_number_of_threads(section: str, adam: int) -> None:
    ends = []
    for threads in (1, 2, 3, 4):
        net = make(section, "compiled", threads, adam=adam, clip_norm=1, state="carry")
        for seed in range(4):
            net.train_batch(*draw_symbols(net, seed))
        ends.append((net.parameters.tobytes(), net.statistics_steps))
    assert ends.count(ends[0]) == 4
    other = make(section, "numpy", adam=adam, clip_norm=1, state="carry")
    for seed in range(4):
        other.train_batch(*draw_symbols(other, seed))
    np.testing.assert_allclose(net.parameters, other.parameters, atol=2e-4)
    assert net.statistics_steps == other.statistics_steps


def test_double_precision_is_numpys() -> None:
    sections = ("[net] inputs=5 batch=3 time_steps=4", "[rnn] output=5", "[softmax]")
    net = make_network(*sections, tier=choose("compiled"))
    net.train_batch(*draw_symbols(net))
    assert not is_walked(net.layers[0])


def test_deltas_that_are_not_numbers_are_not_clipped() -> None:
    net = make("[rnn] output=5 activation=linear", "compiled", delta_clip=0.1)
    x = draw_symbols(net)[0]
    layer = net.layers[0]
    layer.forward(x, layer.initial_state(STREAMS, np.dtype(np.float32)), TRAINING)
    layer.backward(np.full((STEPS, STREAMS, 5), np.nan, np.float32), None)
    assert np.isnan(layer.parameters()[0].updates).all()


def test_a_walk_follows_parameters_that_move() -> None:
    net, other = (make(SECTIONS[0], "compiled") for _ in range(2))
    x = draw_symbols(net)[0]
    state = net.initial_state(STREAMS)[0]
    net.layers[0].forward(x, state, TRAINING)
    moved = 2 * net.parameters
    for tensor in net.layers[0].parameters():
        tensor.bind(tensor.span, moved, np.zeros_like(moved))
    other.parameters[...] *= 2
    found = net.layers[0].forward(x, state, TRAINING)[0]
    np.testing.assert_array_equal(found, other.layers[0].forward(x, state, TRAINING)[0])
