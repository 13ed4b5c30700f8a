"""Networks to export, and what they compute elsewhere: in onnxruntime and in PyTorch."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from darknet_py.activations import ACTIVATIONS
from darknet_py.dialect import ALEXEYAB, UPSTREAM, Dialect
from darknet_py.exporting.onnx import onnx_model
from darknet_py.exporting.torch_module import write_torch_module
from darknet_py.network import Network
from tests.support.networks import Array, make_network

TIME_STEPS, STREAMS = 6, 3
PARTS = ["[connected] output=4 activation=linear", "[softmax]"]


def network(*sections: str, dialect: Dialect = UPSTREAM, seed: int = 1) -> Network:
    """The network of these sections, float32, its parameters drawn."""
    return make_network(*sections, dialect=dialect, dtype=np.float32, seed=seed)


def small(dialect: Dialect = UPSTREAM, **how: Any) -> Network:
    """A network with every kind of tensor."""
    sections = [
        "[net] inputs=4 batch=2 time_steps=3",
        "[rnn] output=3 hidden=2 activation=tanh batch_normalize=1",
        "[lstm] output=2",
        *PARTS,
    ]
    net = network(*sections, dialect=dialect, **how)
    net.seen = 123_456_789_012
    return net


def random_sections(random: Random) -> list[str]:
    """The sections of a small network of any layers."""
    size = random.randint(1, 5)
    sections = [f"[net] inputs={size} batch=2 time_steps=2"]
    for _ in range(random.randint(1, 4)):
        kind = random.choice(
            ["rnn", "crnn", "gru", "lstm", "connected", "dropout", "activation", "batchnorm"]
        )
        output, norm = random.randint(1, 5), random.randint(0, 1)
        activation = f"activation={random.choice(list(ACTIVATIONS))}"
        sizes = [
            f"output={output} hidden={random.randint(1, 4)} size=1",
            f"output={output} hidden={random.randint(1, 4)} size=3 pad=1",
            f"output_filters={output} hidden_filters={random.randint(1, 4)}",
        ]
        options = {
            "rnn": f"output={output} hidden={random.randint(1, 4)} {activation} "
            f"batch_normalize={norm} shortcut={random.randint(0, 1)} "
            f"logistic={random.randint(0, 2)}",
            "crnn": f"{random.choice(sizes)} {activation} batch_normalize={norm} "
            f"shortcut={random.randint(0, 1)}",
            "gru": f"output={output} batch_normalize={norm} tanh={random.randint(0, 1)}",
            "lstm": f"output={output} batch_normalize={norm}",
            "connected": f"output={output} {activation} batch_normalize={norm}",
            "activation": activation,
        }
        sections.append(f"[{kind}] {options.get(kind, '')}")
        size = output if "output" in options.get(kind, "") else size
    groups = random.choice([n for n in range(1, size + 1) if size % n == 0])
    temperature = random.choice(["1", ".5", "2", ".1"])
    softmax = f"[softmax] groups={groups} temperature={temperature}"
    ending = random.choice(["", softmax, softmax, f"{softmax}\n[cost]", "[logistic]", "[cost]"])
    return sections + ending.split("\n") if ending else sections


def random_network(random: Random) -> Network:
    dialect = random.choice([UPSTREAM, ALEXEYAB])
    net = network(*random_sections(random), dialect=dialect, seed=random.randint(0, 1 << 30))
    net.seen = random.randint(0, 1 << 40)
    return net


NETWORKS = st.randoms(use_true_random=False).map(random_network)


def outputs_of(net: Network, symbols: Array) -> Array:
    """symbols (time_steps, streams) -> the network's outputs, (time_steps, streams, outputs)."""
    y, _ = net.forward(symbols, net.initial_state(symbols.shape[1]))
    return y.copy()


def symbols_for(net: Network, seed: int = 3) -> Array:
    return np.random.default_rng(seed).integers(0, net.inputs, (TIME_STEPS, STREAMS))


def assert_same_outputs(actual: Array, expected: Array) -> None:
    """To 1e-5, and relative to it for outputs that are no probabilities."""
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def save(net: Network, path: Path) -> Path:
    """A weights file and its cfg beside it."""
    net.save_weights(path)
    path.with_suffix(".cfg").write_text(net.cfg.text())
    return path


def with_infinite_variances(net: Network) -> Network:
    """`net` with the first variance of each batch norm infinite."""
    for tensor in net.tensors():
        if tensor.name.endswith("rolling_variance"):
            tensor.values[0] = np.inf
    return net


def onnx_outputs(net: Network, symbols: Array) -> Array:
    """The same as `outputs_of`, step by step in onnxruntime."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = onnx_model(net)
    onnx.checker.check_model(model, full_check=True)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    first, *states = session.get_inputs()
    assert (first.name, first.type, first.shape) == ("symbols", "tensor(int64)", ["streams"])
    names = [output.name for output in session.get_outputs()]
    assert names == ["probabilities", *(f"{state.name}.after" for state in states)]
    zeros = [part for own in net.initial_state(symbols.shape[1]) for part in own]
    assert [state.shape[1] for state in states] == [part.shape[1] for part in zeros]
    values, rows = zeros, []
    for row in symbols:
        feeds = {state.name: value for state, value in zip(states, values, strict=True)}
        y, *values = session.run(None, {"symbols": row, **feeds})
        rows.append(y)
    return np.array(rows)


# Run by a python that has PyTorch, beside the exported modules and with nothing of this project.
IN_TORCH = """
import importlib.util, sys
from pathlib import Path
import numpy as np
import torch

for path in sorted(Path(sys.argv[1]).glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    symbols = torch.from_numpy(np.load(path.with_suffix(".symbols.npy")))
    with torch.no_grad():
        start, state = network(symbols[:2])
        middle, state = network(symbols[2:3], state)
        end, state = network(symbols[3:], state)
    np.save(path.with_suffix(".log_p.npy"), torch.cat([start, middle, end]).numpy())
    names = {name: list(value.shape) for name, value in network.state_dict().items()}
    path.with_suffix(".names").write_text(repr(names))
    if list(network.parameters()):
        network(symbols)[0].exp().sum().backward()
assert not {"darknet_py", "safetensors"} & set(sys.modules)
"""


def torch_python() -> str:
    """A python that has PyTorch: the one of the environment, or this one."""
    if found := os.environ.get("DARKNET_TORCH_PYTHON"):
        return os.path.abspath(found)
    if importlib.util.find_spec("torch") is None:
        pytest.skip("no PyTorch here: DARKNET_TORCH_PYTHON names a python that has it")
    return sys.executable


def run_in_torch(folder: Path, nets: Mapping[str, Network]) -> None:
    """Write each network as a module, with what PyTorch makes of it next to it."""
    python = torch_python()
    for name, net in nets.items():
        write_torch_module(folder / f"{name}.py", net)
        np.save(folder / f"{name}.symbols.npy", symbols_for(net))
    command = [python, "-I", "-W", "error", "-c", IN_TORCH, str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
