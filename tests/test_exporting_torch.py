"""A network as a PyTorch module: the same outputs, and a text for readers."""

from __future__ import annotations

import re
import warnings
from copy import copy
from pathlib import Path
from random import Random

import numpy as np
import pytest

from darknet_py.activations import ACTIVATIONS, sigmoid, tanh
from darknet_py.cfg import Section
from darknet_py.dialect import DIALECTS
from darknet_py.engine import choose
from darknet_py.errors import CfgError
from darknet_py.exporting.interchange import (
    tensors_of,
)
from darknet_py.exporting.torch_module import module_text
from darknet_py.layers import LAYERS, Layer
from darknet_py.layers.base import ForwardContext, Parameter, Setting, State
from darknet_py.layers.connected import Connected
from darknet_py.layers.recurrent import RecurrentLayer
from darknet_py.network import Network
from darknet_py.program import Value, Values
from tests.support.commands import invoke
from tests.support.exports import (
    PARTS,
    assert_same_outputs,
    network,
    outputs_of,
    random_network,
    run_in_torch,
    save,
    small,
    symbols_for,
)
from tests.support.networks import Array, make_network
from tests.support.recorded import recorded_network
from tests.support.runs import files_in

pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
safetensors = pytest.importorskip("safetensors")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(small(), tmp_path / "net.weights")


def torch_networks() -> dict[str, Network]:
    """Every kind of layer in every form, by name; then any."""
    head, tail = "[net] inputs=5 batch=2", ["[connected] output=5 activation=linear", "[softmax]"]
    found: dict[str, Network] = {}
    for dialect in DIALECTS.values():
        for norm in (0, 1):
            bn = f"batch_normalize={norm}"
            for kind, middle in {
                "rnn": f"[rnn] output=4 hidden=3 activation=tanh {bn}",
                "rnn_shortcut": f"[rnn] output=4 activation=logistic shortcut=1 {bn}",
                "rnn_self": f"[rnn] output=4 activation=leaky logistic=2 {bn}",
                "crnn": f"[crnn] output=4 hidden=3 size=1 activation=tanh {bn}",
                "crnn_wide": f"[crnn] output_filters=4 hidden_filters=3 shortcut=1 {bn}",
                "gru": f"[gru] output=4 {bn}",
                "gru_tanh": f"[gru] output=4 tanh=1 {bn}",
                "lstm": f"[lstm] output=4 {bn}",
                "connected": f"[connected] output=4 activation=tanh {bn}",
            }.items():
                twice = [middle, "[dropout] probability=.3", middle]
                name = f"{dialect.name}_{kind}_{norm}"
                found[name] = network(head, *twice, *tail, dialect=dialect)
            groups = f"[crnn] output=4 hidden=6 size=3 pad=1 groups=2 activation=leaky {bn}"
            name = f"{dialect.name}_crnn_groups_{norm}"
            found[name] = network(head, "[gru] output=4", groups, *tail, dialect=dialect)
        found[f"{dialect.name}_batchnorm"] = network(
            head, "[batchnorm]", "[gru] output=6", "[batchnorm]", "[softmax]", dialect=dialect
        )
    for name in ACTIVATIONS:
        found[f"activation_{name}"] = network(
            head, "[rnn] output=4 activation=linear", f"[activation] activation={name}", *tail
        )
        found[f"connected_{name}"] = network(
            head, f"[connected] output=4 activation={name}", tail[0], "[softmax] temperature=3"
        )
    gru = "[gru] output=6 tanh=1"
    for name, ends in {
        "groups": ["[softmax] groups=3 temperature=.3"],
        "cold": ["[softmax] temperature=1e-35"],
        "logistic": ["[logistic]"],
        "cost": ["[connected] output=3 activation=logistic", "[cost]"],
        "softmax_in_between": ["[softmax]", "[connected] output=3", "[softmax]", "[cost]"],
        "no_loss": ["[logistic]", "[softmax] noloss=1", "[dropout]"],
    }.items():
        found[f"end_{name}"] = network(head, gru, *ends)
    found["stair_infinity"] = recorded_network("stair-infinity")
    for seed in range(30):
        found[f"random_{seed}"] = random_network(Random(seed))
    return found


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    TORCH_NETWORKS = torch_networks()


@pytest.fixture(scope="module")
def torch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every network as a module, with what PyTorch makes of it."""
    folder = tmp_path_factory.mktemp("torch")
    run_in_torch(folder, TORCH_NETWORKS)
    return folder


@pytest.mark.parametrize("name", TORCH_NETWORKS)
def test_pytorch_computes_the_same(name: str, torch_folder: Path) -> None:
    net = TORCH_NETWORKS[name]
    log_p = np.load(torch_folder / f"{name}.log_p.npy")
    expected = outputs_of(net, symbols_for(net))
    assert_same_outputs(np.exp(log_p), np.maximum(expected, 0))
    likely = expected > 1e-6
    np.testing.assert_allclose(log_p[likely], np.log(expected[likely]), rtol=1e-4, atol=1e-4)
    names = (torch_folder / f"{name}.names").read_text()
    shapes = {name: list(values.shape) for name, values in tensors_of(net).items()}
    assert dict(sorted(eval(names).items())) == dict(sorted(shapes.items()))


def test_a_module_reads_like_a_page(tmp_path: Path) -> None:
    """Lines of up to 100 columns, no class or function that is not used."""
    for name, net in TORCH_NETWORKS.items():
        text = module_text(net)
        compile(text, name, "exec")
        assert max(map(len, text.splitlines())) <= 100
        assert text.endswith("\n")
        for defined in re.findall(r"^(?:class|def) (\w+)", text, re.MULTILINE):
            if defined != "load":
                assert len(re.findall(rf"\b{defined}\b", text)) > 1, (name, defined)
        for imported in ("Callable", "json", "struct", "functional"):
            assert len(re.findall(rf"\b{imported}\b", text)) != 1, (name, imported)
        assert not re.search(r"LAST_INPUT|OUTPUTS|STATE|DEVIATION|MODULES|STEPS", text), name


def test_layers_of_the_engine_have_the_same_text() -> None:
    pytest.importorskip("numba")
    sections = ["[net] inputs=5 batch=2", *(f"[{kind}]" for kind in ("rnn", "crnn", "gru", "lstm"))]
    nets = [
        make_network(*sections, *PARTS, dtype=np.float32, tier=choose(name))
        for name in ("numpy", "compiled")
    ]
    assert type(nets[0].layers[2]) is not type(nets[1].layers[2])
    assert module_text(nets[1]) == module_text(nets[0])


@pytest.mark.parametrize("name", ["torch", "json", "struct"])
def test_a_module_does_not_hide_what_it_imports(name: str, weights: Path, tmp_path: Path) -> None:
    line = invoke("export", weights, tmp_path / f"{name}.py", "-q").error()
    assert f"would hide the module {name}" in line
    assert files_in(tmp_path) == ["net.cfg", "net.weights"]


def test_the_parameters_beside_a_module_can_be_imported(weights: Path, tmp_path: Path) -> None:
    assert invoke("export", weights, tmp_path / "torch_net.py").status == 0
    back = tmp_path / "back.weights"
    assert invoke("import", tmp_path / "torch_net.safetensors", back).status == 0
    assert back.read_bytes() == weights.read_bytes()


# --- the text of a step --------------------------------------------------------------------------


class Odd(RecurrentLayer):
    """A state that is passed on, an output that is no state, names that occur twice."""

    kind = "odd"

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting, 3, h=3, late=3)
        self.h, self.w, self.out = (
            Connected(
                f"{setting.index}.{name}",
                (setting.inputs if name == "h" else 3, 3),
                sigmoid,
                False,
                setting,
                symbols=setting.index == 0 and name == "h",
            )
            for name in ("h", "w", "out")
        )
        self.gain = Parameter(f"{setting.index}.gain", (3,))
        self.scale = 0.5

    def linears(self) -> list[Connected]:
        return [self.h, self.w, self.out]

    def parameters(self) -> list[Parameter]:
        return [*super().parameters(), self.gain]

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        """Two time steps of h come together."""
        h, late = state
        new = tanh(self.h(x)) - self.gain * self.w(h)
        late = new + self.scale * late
        late = late - self.gain * late
        return self.out(late), (new, h)

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Array, State]:
        rows = self.h.forward(x, False).copy()
        (h, late), gain = state, self.gain.values
        before = np.empty_like(rows)
        for t, row in enumerate(rows):
            w = self.w.forward(h[None], False)[0]
            new = np.tanh(row) - gain * w
            before[t] = (new + self.scale * late) * (1 - gain)
            h, late = new, h
        return self.out.forward(before, False), (h, late)


class Gated(Layer):
    """A layer without a state: a highway."""

    kind = "gated"

    def __init__(self, section: Section, setting: Setting) -> None:
        super().__init__(section, setting)
        self.carry, self.change = (
            Connected(
                f"{setting.index}.{name}", (setting.inputs, setting.inputs), f, False, setting
            )
            for name, f in (("carry", sigmoid), ("change", tanh))
        )

    def parameters(self) -> list[Parameter]:
        return [*self.carry.parameters(), *self.change.parameters()]

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        t = self.carry(x)
        return t * x + (1 - t) * self.change(x), state

    def forward(self, x: Array, state: State, context: ForwardContext) -> tuple[Array, State]:
        t = self.carry.forward(x, False)
        return t * x + (1 - t) * self.change.forward(x, False), state


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Network:
    """A network with both of them."""
    for kind in (Odd, Gated):
        monkeypatch.setitem(LAYERS, kind.kind, kind)
    sections = ["[odd]", "[gated]", "[odd]", "[connected] output=5 activation=linear", "[softmax]"]
    return network("[net] inputs=5 batch=2", *sections)


def test_layers_that_someone_adds(added: Network, tmp_path: Path) -> None:
    run_in_torch(tmp_path, {"added": added})
    expected = outputs_of(added, symbols_for(added))
    assert_same_outputs(np.exp(np.load(tmp_path / "added.log_p.npy")), expected)


def test_the_lines_of_a_step(added: Network) -> None:
    text = module_text(added)
    assert (
        """
        h_x = self.h(x)
        h, late = self.zeros(h_x[0]) if state is None else state
        ys = []
        for h_x_t in h_x:
            new = torch.tanh(h_x_t) - self.gain * self.w(h)
            late = new + self.scale * late
            late = late - self.gain * late
            ys.append(late)
            h, late = new, h
        return self.out(torch.stack(ys)), (h, late)
"""
        in text
    )
    assert (
        """
    def forward(self, x: Tensor) -> Tensor:
        t = self.carry(x)
        return t * x + (1 - t) * self.change(x)
"""
        in text
    )
    assert "h=Connected(5, 3, torch.sigmoid)" in text
    assert "gain=nn.Parameter(torch.zeros(3))" in text
    assert "sizes=(3, 3)" in text


class NoUnpacking(Odd):
    kind = "no_unpacking"

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        h = self.h(x)
        return h, (h, state[0])


class OtherFunctions(Odd):
    kind = "other_functions"

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        h, late = state
        return copy(self.h(x)), (h, late)


class TwoNames(Odd):
    kind = "two_names"

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        h, late = state
        h, late = self.h(x), h
        return h, (h, late)


class OtherParts(Odd):
    kind = "other_parts"

    def step(self, x: Value, state: Values) -> tuple[Value, Values]:
        h, late = state
        return self.h(x) * len(self.state_sizes), (h, late)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (NoUnpacking, "does not begin with `h, late = state`"),
        (OtherFunctions, "its step reads copy"),
        (TwoNames, "a line of its step gives no name: h, late = "),
        (OtherParts, "its step reads len"),
    ],
)
def test_a_step_that_has_no_such_text(
    kind: type[Odd], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAYERS, kind.kind, kind)
    net = network("[net] inputs=5 batch=2", f"[{kind.kind}]", PARTS[0], "[softmax]")
    with pytest.raises(CfgError, match=f"layer 0: .* has no PyTorch module, because .*{words}"):
        module_text(net)
