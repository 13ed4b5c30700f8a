"""Keys of [net] that darknet does not have: what they do to a network and to a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.cfg import parse_cfg
from darknet_py.kernels import Kernels, plain
from darknet_py.network import Network
from darknet_py.optimizer import cooldown_factor
from darknet_py.options import NetOptions
from darknet_py.rand import Rand
from tests.cli_helpers import CONNECTED, NET, RNN, SOFTMAX, invoke, write_cfg, write_run_inputs
from tests.helpers import draw_symbols, make_network

SIZES = "[net] inputs=7 batch=3 time_steps=4"
LAYERS = (
    "[rnn] output=6",
    "[lstm] output=5",
    "[gru] output=4",
    "[connected] output=7",
    "[softmax]",
)


def drawn(keys: str) -> Network:
    net = make_network(f"{SIZES} {keys}", *LAYERS)
    net.initialize(Rand(5))
    return net


def test_orthogonal_matrices_see_the_state_and_take_as_many_draws() -> None:
    plain, orthogonal = drawn(""), drawn("init=orthogonal")
    assert plain.rand.drawn == orthogonal.rand.drawn
    changed = 0
    for own, other in zip(plain.tensors(), orthogonal.tensors(), strict=True):
        part = own.name.split(".")[1]
        if own.decayed and part in ("self", "wf", "wi", "wo", "wg", "wz", "wr", "wh"):
            product = other.values @ other.values.T
            np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)
            changed += 1
        else:
            np.testing.assert_array_equal(own.values, other.values)
    assert changed == 1 + 4 + 3


def test_the_forget_gate_starts_from_its_bias() -> None:
    net = drawn("forget_bias=1.5")
    biases = {p.name: p.values for p in net.tensors() if p.name.endswith(".bias")}
    for name, values in biases.items():
        np.testing.assert_array_equal(values, 1.5 if name == "1.uf.bias" else 0)


@pytest.mark.parametrize("batch_normalize", [0, 1])
def test_delta_clip_bounds_what_comes_into_every_connected_layer(
    batch_normalize: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    name = "normalize_activate_backward" if batch_normalize else "activate_backward"
    real = getattr(plain, name)

    def note(delta: np.ndarray, *rest: object) -> None:
        seen.append(float(np.abs(delta).max()))
        real(delta, *rest)

    monkeypatch.setattr(Kernels, name, staticmethod(note))
    bounded = [layer.replace("]", f"] batch_normalize={batch_normalize}") for layer in LAYERS[:4]]
    for clip, least in (("0", 0.02), ("0.02", 0)):
        seen.clear()
        net = make_network(f"{SIZES} delta_clip={clip}", *bounded, "[softmax]")
        net.initialize(Rand(5))
        for tensor in net.tensors():
            if tensor.name.endswith("weight"):
                tensor.values *= 3
        net.train_batch(*draw_symbols(net))
        assert seen
        assert max(seen) > least
        if float(clip):
            assert max(seen) <= float(clip)


def test_the_rate_falls_to_0_over_the_last_part_of_a_run() -> None:
    net = NetOptions.of(parse_cfg("[net]\ninputs=3\ncooldown=.25\n[softmax]\n").net)
    factors = [cooldown_factor(net, progress) for progress in (0, 0.5, 0.75, 0.875, 1, 2)]
    assert factors == [1, 1, 1, 0.5, 0, 0]
    none = NetOptions.of(parse_cfg("[net]\ninputs=3\n[softmax]\n").net)
    assert cooldown_factor(none, 1) == 1


@pytest.mark.usefixtures("ticking")
def test_a_run_cools_down_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    write_cfg(Path("net.cfg"), NET + " cooldown=.5 max_batches=8", RNN, CONNECTED, SOFTMAX)
    rows: list[dn.Row] = []
    dn.train("net.cfg", "text.txt", seed=1, callback=rows.append)
    rates = [row.rate / 0.01 for row in rows]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    rows.clear()
    dn.train("net.cfg", "text.txt", seed=1, batches=10**9, seconds=0.5, callback=rows.append)
    assert rows[0].rate == pytest.approx(0.01)
    assert rows[-1].rate < 0.002
    write_cfg(Path("net.cfg"), NET + " cooldown=.5", RNN, CONNECTED, SOFTMAX)
    assert "cooldown" not in invoke("train", "net.cfg", "text.txt", "--batches", "2").stderr
