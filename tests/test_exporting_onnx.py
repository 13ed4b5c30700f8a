"""A network as an ONNX model: the same outputs in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_py.exporting.interchange import (
    facts_of,
    tensors_of,
)
from darknet_py.network import Network
from tests.support.commands import invoke
from tests.support.exports import (
    NETWORKS,
    STREAMS,
    assert_same_outputs,
    onnx_outputs,
    outputs_of,
    save,
    small,
    symbols_for,
    with_infinite_variances,
)
from tests.support.recorded import recorded_network

pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(small(), tmp_path / "net.weights")


def test_infinite_variances_go_into_onnx() -> None:
    net = with_infinite_variances(small())
    symbols = symbols_for(net)
    assert np.isfinite(outputs_of(net, symbols)).all()
    assert_same_outputs(onnx_outputs(net, symbols), outputs_of(net, symbols))


@pytest.mark.filterwarnings("ignore:overflow")
def test_onnx_computes_stair_of_infinity() -> None:
    net = recorded_network("stair-infinity")
    symbols = symbols_for(net)
    assert_same_outputs(onnx_outputs(net, symbols), outputs_of(net, symbols))


@given(net=NETWORKS, streams=st.integers(1, STREAMS))
@settings(max_examples=60)
def test_onnx_computes_the_same(net: Network, streams: int) -> None:
    symbols = symbols_for(net)[:, :streams]
    assert_same_outputs(onnx_outputs(net, symbols), outputs_of(net, symbols))


def test_an_onnx_file_has_names_facts_and_any_number_of_streams(
    weights: Path, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    assert invoke("export", weights, tmp_path / "net.onnx").status == 0
    model = onnx.load(tmp_path / "net.onnx")
    assert {prop.key: prop.value for prop in model.metadata_props} == facts_of(small())
    kept = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, values in tensors_of(small()).items():
        np.testing.assert_array_equal(kept[name], values)
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    for streams in (1, 5):
        feeds = {"0.s": (streams, 2), "1.h": (streams, 2), "1.c": (streams, 2)}
        zeros = {name: np.zeros(shape, np.float32) for name, shape in feeds.items()}
        p, *_ = session.run(None, {"symbols": np.arange(streams) % 4, **zeros})
        assert p.shape == (streams, 4)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
