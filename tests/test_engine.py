"""The engine computes what numpy does, and is chosen where it is possible."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py.arrays import Array
from darknet_py.engine import choose, writer
from darknet_py.errors import DarknetError
from darknet_py.layers import masks
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.options import NetOptions
from darknet_py.tier import NUMPY, Tier
from darknet_py.training import train
from tests.support.networks import draw_symbols, make_network

DTYPES = (np.float32, np.float64)
# Not a whole number of vectors.
STEPS, STREAMS, FEATURES = 3, 5, 165
small = pytest.mark.parametrize("small", [1, 1 << 20])
dtypes = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def _small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From how many numbers on the engine computes whole vectors."""
    if "small" in request.fixturenames:
        monkeypatch.setattr("darknet_py.engine.vectors.SMALL", request.getfixturevalue("small"))


def assert_alike(ours: list[Array], theirs: list[Array]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        scale = max(1.0, float(np.abs(one).max()))
        bound = scale * (2e-6 if one.dtype == np.float32 else 1e-13)
        np.testing.assert_allclose(other, one, rtol=0, atol=bound)


@small
@dtypes
@pytest.mark.parametrize("temperature", [1, 0.7])
def test_a_softmax_and_its_delta(dtype: Any, small: int, temperature: float) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((STEPS, STREAMS, FEATURES)).astype(dtype)
    targets = rng.integers(0, FEATURES, (STEPS, STREAMS))

    def computed(tier: Tier) -> list[Array]:
        head = f"[net] inputs={FEATURES} batch={STREAMS} time_steps={STEPS}"
        net = make_network(head, f"[softmax] temperature={temperature}", dtype=dtype, tier=tier)
        (layer,) = net.layers
        assert isinstance(layer, SoftmaxLayer)
        p = layer.probabilities(x, temperature).copy()
        layer.x, layer.p = x, p.copy()
        return [p, layer.losses(targets), layer.loss_delta(targets)]

    assert_alike(computed(NUMPY), computed(choose("compiled")))


@small
@dtypes
@pytest.mark.parametrize("adam", [0, 1])
def test_an_optimizers_step(dtype: Any, small: int, adam: int) -> None:
    def computed(tier: Tier) -> list[Array]:
        rng = np.random.default_rng(3)
        values, updates = rng.standard_normal((2, 3 * FEATURES)).astype(dtype)
        head = f"[net] inputs=3 batch=2 momentum=.9 B1=.9 B2=.999 eps=.000001 adam={adam}"
        options: NetOptions = make_network(head, "[softmax]").options
        optimizer = tier.optimizer(values, options)
        for rate in (0.1, 0.01):
            optimizer.count += 1
            optimizer.step(values, updates, slice(7, 470), rate, 0.01)
        return [values, *optimizer.memory.values()]

    assert_alike(computed(NUMPY), computed(choose("compiled")))


@pytest.mark.parametrize(
    "kind", ["[rnn] output=9 activation=leaky", "[gru] output=9", "[lstm] output=9"]
)
@pytest.mark.parametrize("bn", [0, 1])
def test_a_datum_in_double_precision(kind: str, bn: int) -> None:
    sections = (
        "[net] inputs=11 batch=4 time_steps=6",
        f"{kind} batch_normalize={bn}",
        "[connected] output=11 activation=linear",
        "[softmax]",
    )
    nets = [make_network(*sections, tier=choose(name)) for name in ("numpy", "compiled")]
    for net in nets:
        net.train_batch(*draw_symbols(net))
    np.testing.assert_array_equal(nets[0].updates, nets[1].updates)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "darknet_py.engine.compiled.jit", None)
    assert choose("auto") is NUMPY
    net = make_network("[net] inputs=5 batch=2", "[rnn] output=5", "[softmax]", dtype=np.float32)
    assert writer(net, net.initial_state(1), 1) is None
    with pytest.raises(
        DarknetError, match=r"^--engine compiled needs numba .*: pip install numba$"
    ):
        choose("compiled")


def test_on_a_processor_without_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darknet_py.engine.compiled.jit.VECTOR", 0)
    assert choose("auto") is NUMPY
    with pytest.raises(DarknetError, match="--engine numpy"):
        choose("compiled")


def test_training_with_and_without_ends_alike(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"the cat sat on the mat. " * 200)
    ends = []
    for choice in ("numpy", "compiled"):
        out = tmp_path / choice
        result = train("tiny", text, out=out, batches=3, seed=1, engine=choice, profile=True)
        ends.append(result.net.parameters.copy())
    np.testing.assert_allclose(ends[0], ends[1], atol=2e-5)


@pytest.mark.parametrize("entries", [1, 15, 16, 17, 48, 160])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_masks_are_numpys(entries: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, whichever part of a datum they are of."""
    monkeypatch.setattr("darknet_py.engine.vectors.SMALL", 1)
    monkeypatch.setattr("darknet_py.engine.vectors.TEAM.threads", threads)
    blocks = masks.blocks_of(entries)
    for together, apart in ((12, 12 * blocks), (4, 7 * blocks), (1, 0)):
        rows = 12 if apart else 1
        where = masks.Counted((2**63 + 5, 3), (2**40 + 1, 6, 1), together, apart)
        expected, found = (np.full((rows, entries), np.nan, np.float32) for _ in range(2))
        masks.fill_mask(expected, where, 0.3)
        choose("compiled").fill_mask(found, where, 0.3)
        np.testing.assert_array_equal(found, expected)
