"""docs/adding-a-layer.md does what it says: its layer, outside the package and inside.

`test_docs.py` runs the page's commands.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from darknet_py.exporting.torch_module import module_text
from darknet_py.layers import LAYERS
from darknet_py.network import Network
from tests.support.commands import ENVIRONMENT
from tests.support.exports import (
    assert_same_outputs,
    onnx_outputs,
    outputs_of,
    run_in_torch,
    symbols_for,
)
from tests.support.gradients import check_gradient, random_state
from tests.support.networks import make_network
from tests.support.page import needs_node, of, run_page

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding-a-layer.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.M | re.S))
(CFG,) = re.findall(r"^cat > leaky.cfg <<END\n(.*?)^END", PAGE, re.M | re.S)
SECTIONS = ["[leaky] output=6", "[leaky] output=4", "[connected] output=5 activation=linear"]


@pytest.fixture(scope="module", autouse=True)
def _leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The page's file, imported, which registers the layer."""
    path = tmp_path_factory.mktemp("outside") / "leaky.py"
    path.write_text(FILES[path.name])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        yield
    del LAYERS["leaky"]


def leaky(*sections: str, dtype: type[np.floating] = np.float32) -> Network:
    head = "[net] inputs=5 batch=3 time_steps=4"
    return make_network(head, *(sections or SECTIONS), "[softmax]", dtype=dtype)


@pytest.mark.parametrize("begin", ["zero", "random"])
def test_its_gradient(begin: str) -> None:
    net = leaky(dtype=np.float64)
    check_gradient(net, None if begin == "zero" else random_state(net))


@needs_node
def test_it_is_exported_everywhere(tmp_path: Path) -> None:
    net = leaky()
    symbols = symbols_for(net)
    expected = outputs_of(net, symbols)
    assert_same_outputs(onnx_outputs(net, symbols), expected)
    (found,) = run_page({"do": "outputs", **of(net), "symbols": symbols[:, 0].tolist()})
    assert_same_outputs(np.array([step[-1] for step in found]), expected[:, 0])
    run_in_torch(tmp_path, {"leaky": net})
    assert_same_outputs(np.exp(np.load(tmp_path / "leaky.log_p.npy")), expected)


def test_its_pytorch_class_is_that_of_the_page() -> None:
    (shown,) = re.findall(r"^```\n(class Leaky.*?)^```", PAGE, re.M | re.S)
    assert shown in module_text(leaky())


def test_it_is_at_home_in_the_package(tmp_path: Path) -> None:
    """By the page's two steps; the text is that of the layer outside."""
    shutil.copytree(
        ROOT / "darknet_py",
        tmp_path / "darknet_py",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    layers = tmp_path / "darknet_py" / "layers"
    text = FILES["leaky.py"].replace("from darknet_py.layers import LAYERS\n", "")
    (layers / "leaky.py").write_text(text[: text.index("\n\nLAYERS[")])
    names = (layers / "__init__.py").read_text()
    names = names.replace("        LstmLayer,\n", "        LstmLayer,\n        LeakyLayer,\n")
    names = f"from darknet_py.layers.leaky import LeakyLayer\n{names}"
    (layers / "__init__.py").write_text(names)
    (tmp_path / "leaky.py").write_text(FILES["leaky.py"])
    (tmp_path / "leaky.cfg").write_text(CFG)
    (tmp_path / "text.txt").write_bytes((ROOT / "data" / "tales.txt").read_bytes()[:5000])
    weights: list[bytes] = []
    for home, command in ((tmp_path, ["-m", "darknet_py"]), (ROOT, ["leaky.py"])):
        out = f"run{len(weights)}"
        # Without the engine, which would compile for each home.
        asked = ["train", "leaky.cfg", "text.txt", "--engine", "numpy", "--seed", "1"]
        done = subprocess.run(
            [sys.executable, *command, *asked, "--batches", "3", "--out", out],
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONPATH": os.fspath(home)},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        weights.append((tmp_path / out / "leaky_final.weights").read_bytes())
    assert weights[0] == weights[1]
