"""Batch norm as weights and biases: the same outputs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from darknet_py.errors import WeightsError
from darknet_py.exporting.folding import fold_batchnorm
from darknet_py.exporting.interchange import (
    tensors_of,
)
from darknet_py.loading.finding import load_network
from darknet_py.network import Network
from tests.support.commands import invoke
from tests.support.exports import (
    NETWORKS,
    assert_same_outputs,
    outputs_of,
    save,
    small,
    symbols_for,
    with_infinite_variances,
)

pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(small(), tmp_path / "net.weights")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all generated examples."""
    return tmp_path_factory.mktemp("generated")


def below_mark(cfg: Path) -> str:
    """A cfg's text without its first line, by which a command knows that it wrote the file."""
    mark, _, text = cfg.read_text().partition("\n")
    assert re.fullmatch("# Written by darknet-py, [0-9a-f]{16}", mark)
    return text


def test_infinite_variances_fold_to_0() -> None:
    net = with_infinite_variances(small())
    folded = fold_batchnorm(net)
    assert np.isfinite(folded.parameters).all()
    symbols = symbols_for(net)
    assert_same_outputs(outputs_of(folded, symbols), outputs_of(net, symbols))


@given(net=NETWORKS)
@settings(max_examples=60)
def test_a_folded_network_computes_the_same(net: Network, folder: Path) -> None:
    source, out = save(net, folder / "plain.weights"), folder / "folded.weights"
    outcome = invoke("export", source, out, "--fold-batchnorm")
    assert outcome.status == 0, outcome.stderr
    folded = load_network(out.with_suffix(".cfg"), out)
    assert folded.seen == net.seen
    assert folded.dialect is net.dialect
    symbols = symbols_for(net)
    assert_same_outputs(outputs_of(folded, symbols), outputs_of(net, symbols))
    own = [layer.index for layer in net.layers if layer.kind == "batchnorm"]
    left = {int(name.split(".")[0]) for name in tensors_of(folded) if "rolling" in name}
    assert left == set(own)
    for index in own:
        told = f"layer {index}: [batchnorm] is a layer of its own and is not folded"
        assert told in outcome.stderr
    has_any = any("rolling" in name for name in tensors_of(net))
    assert ("no batch norm to fold" in outcome.stderr) == (not has_any)


def test_only_the_keys_change_in_a_folded_cfg(weights: Path, tmp_path: Path) -> None:
    before = small().cfg.text()
    assert invoke("export", weights, tmp_path / "out.weights", "--fold-batchnorm").status == 0
    after = below_mark(tmp_path / "out.cfg")
    assert after == before.replace("batch_normalize=1", "batch_normalize=0")
    assert invoke("generate", tmp_path / "out.weights", "--length", "2").status == 0


@pytest.mark.parametrize("variance", [-1.0, float("inf")])
def test_statistics_that_cannot_be_folded(variance: float) -> None:
    net = small()
    tensors = {tensor.name: tensor.values for tensor in net.tensors()}
    tensors["0.self.rolling_variance"][1] = variance
    if variance > 0:
        tensors["0.self.scale"][1] = np.inf
    with pytest.raises(WeightsError, match=r"the batch norm of 0\.self cannot be folded"):
        fold_batchnorm(net)
