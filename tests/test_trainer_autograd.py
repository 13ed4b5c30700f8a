"""Losses, gradients and updates against those that autograd found (tests/autograd/README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py.cfg import parse_cfg
from darknet_py.network import Network

pytestmark = pytest.mark.filterwarnings("error")

RECORDS = sorted(Path(__file__).parent.glob("autograd/*.npz"))

# Relative to the largest entry: of the gradient, after one update, after fifty.
TOLERANCES = {np.float32: (2e-5, 2e-6, 1.4e-5), np.float64: (1e-7, 1e-7, 1e-7)}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record(path: Path, dtype: Any) -> None:
    record = np.load(path)
    cfg = parse_cfg(str(record["cfg"]), path.name)
    net = Network(cfg, dtype=dtype)
    net.parameters[...] = record["parameters"]
    net.settle_statistics(net.layers)
    inputs, targets = record["inputs"], record["targets"]
    for_gradient, for_one, for_fifty = TOLERANCES[dtype]

    loss = net.train_batch(inputs[0], targets[0])
    assert loss == pytest.approx(float(record["loss"]), rel=1e-6 if dtype is np.float32 else 1e-12)
    assert_close(-net.updates, record["gradient"], for_gradient)
    assert_close(net.parameters, record["after_one"], for_one)
    for datum, truth in zip(inputs[1:], targets[1:], strict=True):
        net.train_batch(datum, truth)
    assert_close(net.parameters, record["after_fifty"], for_fifty)


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    largest = float(np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)


def test_the_records_are_there() -> None:
    assert len(RECORDS) > 20
