"""Export and import: round trips to the byte, damaged files, the commands."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darknet_py.cfg import parse_cfg, read_cfg
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.errors import CfgError, WeightsError
from darknet_py.exporting.interchange import (
    facts_of,
    read_network,
    tensors_of,
    write_npz,
    write_safetensors,
)
from darknet_py.exporting.onnx import onnx_model
from darknet_py.exporting.torch_module import module_text
from darknet_py.layers import LAYERS
from darknet_py.layers.base import Layer
from darknet_py.loading.finding import load_network
from darknet_py.network import Network
from tests.support.commands import invoke
from tests.support.exports import (
    NETWORKS,
    PARTS,
    network,
    save,
    small,
    with_infinite_variances,
)
from tests.support.networks import cfg_text, randomize
from tests.support.runs import files_in

pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
safetensors = pytest.importorskip("safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all generated examples."""
    return tmp_path_factory.mktemp("generated")


def below_mark(cfg: Path) -> str:
    """A cfg's text without its first line, by which a command knows that it wrote the file."""
    mark, _, text = cfg.read_text().partition("\n")
    assert re.fullmatch("# Written by darknet-py, [0-9a-f]{16}", mark)
    return text


# --- round trips ---------------------------------------------------------------------------------


@given(net=NETWORKS, suffix=st.sampled_from([".npz", ".safetensors"]))
@settings(max_examples=60)
def test_what_is_exported_comes_back_byte_for_byte(net: Network, suffix: str, folder: Path) -> None:
    source, between, back = folder / "a.weights", folder / f"b{suffix}", folder / "c.weights"
    save(net, source)
    outcome = invoke("export", source, between)
    assert (outcome.status, outcome.stdout) == (0, b""), outcome.stderr
    outcome = invoke("import", between, back)
    assert (outcome.status, outcome.stdout) == (0, b""), outcome.stderr
    assert back.read_bytes() == source.read_bytes()
    assert below_mark(back.with_suffix(".cfg")) == net.cfg.of_saved_weights().text()
    again = load_network(back.with_suffix(".cfg"), back)
    assert again.seen == net.seen
    np.testing.assert_array_equal(again.parameters, net.parameters)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_names_shapes_and_facts(suffix: str, dialect: Dialect, tmp_path: Path) -> None:
    net = small(dialect)
    path = tmp_path / f"net{suffix}"
    (write_npz if suffix == ".npz" else write_safetensors)(path, net)
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
        facts = {name: str(found.pop(name)) for name in ("cfg", "dialect", "seen")}
    else:
        with safetensors.safe_open(path, "numpy") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = file.metadata()
        assert facts.pop("origin").startswith("Written by darknet-py, ")
    assert facts == {"cfg": net.cfg.text(), "dialect": dialect.name, "seen": "123456789012"}
    assert {name: array.shape for name, array in found.items()} == {
        "0.input.weight": (2, 4),
        "0.self.weight": (2, 2),
        "0.output.weight": (3, 2),
        **{f"0.{part}.{kind}": (n,) for part, n in (("input", 2), ("self", 2), ("output", 3))
           for kind in ("bias", "scale", "rolling_mean", "rolling_variance")},
        **{f"1.u{gate}.weight": (2, 3) for gate in "fiog"},
        **{f"1.w{gate}.weight": (2, 2) for gate in "fiog"},
        **{f"1.{side}{gate}.bias": (2,) for side in "uw" for gate in "fiog"},
        "2.weight": (4, 2),
        "2.bias": (4,),
    }  # fmt: skip
    for tensor in net.tensors():
        assert found[tensor.name].dtype == np.float32
        np.testing.assert_array_equal(found[tensor.name], tensor.values)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".onnx", ".py"])
def test_the_same_export_has_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    source = save(small(), tmp_path / "net.weights")
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert invoke("export", source, tmp_path / name / f"out{suffix}").status == 0
        contents.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == (2 if suffix == ".py" else 1)


def test_the_cfg_is_as_it_was_written_and_as_it_fits(tmp_path: Path) -> None:
    """The file has the size that goes without `hidden`, which upstream has ignored since 2017."""
    text = "# of mine: \u00e9\n" + cfg_text(
        "[net] inputs=4 batch=8 subdivisions=2 time_steps=5 momentum=.5",
        "[rnn] output=3 hidden=7 activation=tanh",
        *PARTS,
    )
    plain = text.replace("hidden=7\n", "")
    net = Network(parse_cfg(plain))
    randomize(net, 1)
    net.save_weights(tmp_path / "net.weights")
    (tmp_path / "net.cfg").write_bytes(text.encode("latin-1"))
    assert invoke("export", tmp_path / "net.weights", tmp_path / "out.npz").status == 0
    with np.load(tmp_path / "out.npz") as file:
        assert str(file["cfg"]) == plain.replace("\u00e9", "\ufffd")
    assert invoke("import", tmp_path / "out.npz", tmp_path / "back.weights").status == 0
    cfg = read_cfg(tmp_path / "back.cfg")
    assert parse_cfg(plain).difference(cfg) is None
    assert (tmp_path / "back.weights").read_bytes() == (tmp_path / "net.weights").read_bytes()


def test_layers_that_are_not_saved_or_not_loaded(tmp_path: Path) -> None:
    net = network(
        "[net] inputs=4 batch=2",
        "[rnn] output=3 activation=tanh",
        "[connected] output=4 dontsave=1",
        "[softmax]",
    )
    write_npz(tmp_path / "net.npz", net)
    assert invoke("import", tmp_path / "net.npz", tmp_path / "back.weights").status == 0
    net.save_weights(tmp_path / "net.weights")
    assert (tmp_path / "back.weights").read_bytes() == (tmp_path / "net.weights").read_bytes()
    assert invoke("generate", tmp_path / "back.weights", "--length", "3").status == 0


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_import_into_the_other_dialect(kind: str, tmp_path: Path) -> None:
    sections = ["[net] inputs=4 batch=2", f"[{kind}] output=3 batch_normalize=1", *PARTS]
    net = network(*sections, dialect=ALEXEYAB)
    net.save_weights(tmp_path / "net.weights")
    write_npz(tmp_path / "net.npz", net)
    expected = network(*sections)
    expected.load_weights(tmp_path / "net.weights")
    expected.save_weights(tmp_path / "expected.weights")
    out = tmp_path / "out.weights"
    assert invoke("import", tmp_path / "net.npz", out, "--dialect", "upstream").status == 0
    assert out.read_bytes() == (tmp_path / "expected.weights").read_bytes()


def test_biases_that_the_other_dialect_has_no_place_for(tmp_path: Path) -> None:
    net = network(
        "[net] inputs=4 batch=2", *PARTS[:1], "[batchnorm]", "[softmax]", dialect=ALEXEYAB
    )
    args = ("import", tmp_path / "net.npz", tmp_path / "out.weights", "--dialect", "upstream")
    write_npz(tmp_path / "net.npz", net)
    assert "1.bias does not exist in the upstream dialect; use --dialect alexeyab" in (
        invoke(*args).error()
    )
    tensors = {tensor.name: tensor.values for tensor in net.tensors()}
    tensors["1.bias"].fill(0)
    write_npz(tmp_path / "net.npz", net)
    assert invoke(*args).status == 0
    back, _ = read_network(tmp_path / "net.npz", dialect="upstream")
    assert back.dialect is UPSTREAM
    assert "1.bias" not in tensors_of(back)


def test_tensors_without_facts_need_a_cfg_and_a_dialect(tmp_path: Path) -> None:
    """Like the state_dict() of an exported module, saved by PyTorch's own means."""
    net = small()
    (tmp_path / "net.cfg").write_text(net.cfg.text())
    data = importlib.import_module("safetensors.numpy").save(tensors_of(net), {"format": "pt"})
    path, out = tmp_path / "tuned.safetensors", tmp_path / "tuned.weights"
    path.write_bytes(data)
    assert "does not contain a cfg (its text under the name cfg); give it with --cfg" in (
        invoke("import", path, out).error()
    )
    told = "does not contain a dialect (upstream or alexeyab, under the name dialect); give it with"
    assert f"{told} --dialect" in (
        invoke("import", path, out, "--cfg", tmp_path / "net.cfg").error()
    )
    args = ("--cfg", tmp_path / "net.cfg", "--dialect", "upstream")
    assert invoke("import", path, out, *args).status == 0
    net.seen = 0
    net.save_weights(tmp_path / "net.weights")
    assert out.read_bytes() == (tmp_path / "net.weights").read_bytes()


# --- damaged and foreign files -------------------------------------------------------------------


def npz_of(entries: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **entries)
    return file.getvalue()


def safetensors_of(entries: dict[str, Any]) -> bytes:
    facts = {k: str(v) for k, v in entries.items() if k in ("cfg", "dialect", "seen")}
    tensors = {k: np.asarray(v) for k, v in entries.items() if k not in facts}
    data: bytes = importlib.import_module("safetensors.numpy").save(tensors, facts)
    return data


MAKERS = {".npz": npz_of, ".safetensors": safetensors_of}


def entries_of(net: Network) -> dict[str, Any]:
    return {**facts_of(net), **tensors_of(net)}


def changed(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(entries: dict[str, Any]) -> None:
        entries[name] = value

    return change


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(entries: dict[str, Any]) -> None:
        del entries[name]

    return change


def with_nan(entries: dict[str, Any]) -> None:
    entries["0.self.weight"] = np.array([[0, 1], [np.nan, 1]], np.float32)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_infinite_variances_survive_a_round_trip(suffix: str, tmp_path: Path) -> None:
    """Each command warns once."""
    with_infinite_variances(small()).save_weights(tmp_path / "net.weights")
    (tmp_path / "net.cfg").write_text(small().cfg.text())
    weights, out, back = (
        tmp_path / name for name in ("net.weights", f"out{suffix}", "back.weights")
    )
    for outcome, source in (
        (invoke("export", weights, out), weights),
        (invoke("import", out, back), out),
    ):
        assert outcome.status == 0, outcome.stderr
        warned = [line for line in outcome.lines if "rolling" in line]
        what = "3 rolling variances are infinite; these outputs are normalized to 0"
        assert warned == [f"warning: {source}: {what}"]
    assert weights.read_bytes() == back.read_bytes()


DAMAGES = {
    "missing": (without("2.bias"), "does not contain the tensor 2.bias of shape (4,)"),
    "extra": (
        changed("3.bias", np.zeros(4, np.float32)),
        "3.bias is none of the 33 tensors of its cfg",
    ),
    "shape": (
        changed("0.input.weight", np.zeros((4, 2), np.float32)),
        "0.input.weight has the shape (4, 2); the network needs (2, 4)",
    ),
    "scalar": (
        changed("2.bias", np.float32(3)),
        "2.bias has the shape (); the network needs (4,)",
    ),
    "type": (changed("2.bias", np.zeros(4)), r"2.bias is of type .*64; it must be float32"),
    "nan": (with_nan, "0.self.weight[1, 0] is nan, not a finite number"),
    "infinite mean": (
        changed("0.self.rolling_mean", np.array([np.inf, 0], np.float32)),
        "0.self.rolling_mean[0] is inf, not a finite number",
    ),
    "variance": (
        changed("0.self.rolling_variance", np.array([np.inf, -np.inf], np.float32)),
        "0.self.rolling_variance[1] is -inf, not a finite number",
    ),
    "infinite": (
        changed("2.bias", np.array([0, 0, -np.inf, 0], np.float32)),
        "2.bias[2] is -inf, not a finite number",
    ),
    "cfg": (without("cfg"), "does not contain a cfg (its text under the name cfg)"),
    "empty cfg": (changed("cfg", ""), "cfg: no section found: expected [net]"),
    "wrong cfg": (
        changed("cfg", "[net]\ninputs=4\n[rnn]\noutput=x\n"),
        "cfg:4: output='x': expected a whole number",
    ),
    "large cfg": (changed("cfg", "#" * (1 << 20) + "\n"), "cfg is larger than 1 MiB"),
    "huge cfg": (
        changed("cfg", "[net]\ninputs=2000000000\n[rnn]\noutput=2000000000\n"),
        "parameters take .* GB, more than the .* GB of this machine",
    ),
    "other cfg": (
        changed("cfg", "[net]\ninputs=4\n[gru]\noutput=4\n[softmax]\n"),
        "does not contain the tensor 0.wz.bias of shape (4,)",
    ),
    "no dialect": (without("dialect"), "does not contain a dialect (upstream or alexeyab"),
    "dialect": (changed("dialect", "C\n"), r"dialect is C\\n; it must be upstream or alexeyab"),
    "seen": (changed("seen", "-3"), "seen is -3, not a count of symbols"),
    "large seen": (changed("seen", str(1 << 62)), f"seen is {1 << 62}, not a count of symbols"),
}


@pytest.mark.parametrize("suffix", MAKERS)
@pytest.mark.parametrize("kind", DAMAGES)
def test_a_foreign_file_is_refused_in_one_line(kind: str, suffix: str, tmp_path: Path) -> None:
    change, message = DAMAGES[kind]
    entries = entries_of(small())
    change(entries)
    path, out = tmp_path / f"net{suffix}", tmp_path / "out.weights"
    path.write_bytes(MAKERS[suffix](entries))
    line = invoke("import", path, out).error()
    assert re.match(rf"Error: {re.escape(str(path))}:? ", line)
    assert message in line or re.search(message, line), line
    assert line.isprintable()
    assert files_in(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", MAKERS)
def test_a_truncated_file(suffix: str, tmp_path: Path) -> None:
    path, out = tmp_path / f"net{suffix}", tmp_path / "out.weights"
    whole = MAKERS[suffix](entries_of(small()))
    kept = sorted({*range(40), *range(40, len(whole), 37), *range(len(whole) - 40, len(whole))})
    for length in kept:
        path.write_bytes(whole[:length])
        line = invoke("import", path, out).error()
        assert re.match(rf"Error: {re.escape(str(path))} is damaged or not a .+ file \(.+\)$", line)
    assert not out.exists()


def check_refusal(error: Exception, path: Path) -> None:
    assert re.match(rf"{re.escape(str(path))}:? ", str(error))
    assert str(error).isprintable()


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=300)
def test_a_flipped_bit_in_an_npz_file_is_found_or_means_nothing(
    place: float, bit: int, folder: Path
) -> None:
    """All contents have checksums."""
    net = small()
    data = bytearray(npz_of(entries_of(net)))
    data[int(place * len(data))] ^= 1 << bit
    path = folder / "flipped.npz"
    path.write_bytes(data)
    try:
        back, cfg = read_network(path)
    except (WeightsError, CfgError) as error:
        check_refusal(error, path)
        return
    np.testing.assert_array_equal(back.parameters, net.parameters)
    assert (back.seen, back.dialect, cfg.text()) == (net.seen, net.dialect, net.cfg.text())


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), in_header=st.booleans())
@settings(max_examples=300)
def test_a_flipped_bit_in_a_safetensors_file_gives_a_network_or_one_line(
    place: float, bit: int, in_header: bool, folder: Path
) -> None:
    data = bytearray(safetensors_of(entries_of(small())))
    size = 8 + int.from_bytes(data[:8], "little") if in_header else len(data)
    data[int(place * size)] ^= 1 << bit
    path = folder / "flipped.safetensors"
    path.write_bytes(data)
    try:
        net, _ = read_network(path)
    except (WeightsError, CfgError) as error:
        check_refusal(error, path)
        return
    assert np.isfinite(net.parameters).all()


class Planted:
    """What a pickle would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["cfg", "2.bias"])
def test_nothing_is_unpickled(name: str, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    entries = entries_of(small())
    entries[name] = np.array(Planted(planted), object)
    path = tmp_path / "net.npz"
    path.write_bytes(npz_of(entries))
    with np.load(path, allow_pickle=True) as file:
        _ = file[name]
    assert planted.exists()
    planted.unlink()
    assert f"{name} is" in invoke("import", path, tmp_path / "out.weights").error()
    np.save(path.with_suffix(".npy"), entries[name], allow_pickle=True)
    os.replace(path.with_suffix(".npy"), path)
    assert "damaged" in invoke("import", path, tmp_path / "out.weights").error()
    assert not planted.exists()


def test_a_name_that_is_there_twice_and_an_entry_that_is_too_long(tmp_path: Path) -> None:
    path, out = tmp_path / "net.npz", tmp_path / "out.weights"
    path.write_bytes(npz_of(entries_of(small())))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("2.bias.npy", members["2.bias.npy"])
    assert (
        "is damaged or not a .npz file (a name that occurs twice)"
        in invoke("import", path, out).error()
    )
    members["2.bias.npy"] += b"\0"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert (
        "is damaged or not a .npz file (2.bias is longer than its shape)"
        in invoke("import", path, out).error()
    )


@pytest.mark.parametrize("suffix", MAKERS)
def test_files_that_cannot_be_read(suffix: str, tmp_path: Path) -> None:
    path, out = tmp_path / f"net{suffix}", tmp_path / "out.weights"
    assert f"{path}: cannot read the file: No such file" in invoke("import", path, out).error()
    path.mkdir()
    assert "a folder, pipe or device" in invoke("import", path, out).error()
    path.rmdir()
    for content in (b"", b"PK\x03\x04", b"[net]\ninputs=3\n" * 99, b"\xff" * 64):
        path.write_bytes(content)
        assert (
            f"{path} is damaged or not a {path.suffix} file ("
            in invoke("import", path, out).error()
        )


# --- the commands --------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(small(), tmp_path / "net.weights")


@pytest.mark.parametrize("out", ["out", "out.bin", ".npz", "out.weights", "out.npz.gz"])
def test_an_unknown_suffix(out: str, weights: Path, tmp_path: Path) -> None:
    outcome = invoke("export", weights, tmp_path / out)
    assert outcome.status == 2
    assert "must end in .safetensors, .npz, .html, .onnx or .py" in outcome.lines[-1]
    assert files_in(tmp_path) == ["net.cfg", "net.weights"]


def test_unknown_suffixes_of_import(weights: Path, tmp_path: Path) -> None:
    outcome = invoke("import", weights, tmp_path / "out.weights")
    assert outcome.status == 2
    assert "FILE" in outcome.lines[-1]
    assert "must end in .safetensors or .npz" in outcome.lines[-1]
    outcome = invoke("import", tmp_path / "net.npz", tmp_path / "out.cfg")
    assert outcome.status == 2
    assert "must end in .weights" in outcome.lines[-1]


def test_what_is_read_is_not_overwritten(weights: Path, tmp_path: Path) -> None:
    best = tmp_path / "net_best.weights"
    best.write_bytes(weights.read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for out in (weights, tmp_path / "net_final.weights"):
        line = invoke("export", best if out != weights else out, out, "--fold-batchnorm").error()
        assert "is what the command reads; choose another name" in line
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_places_that_cannot_be_written(weights: Path, tmp_path: Path) -> None:
    line = invoke("export", weights, tmp_path / "no" / "out.npz").error()
    assert "no such folder" in line
    (tmp_path / "out.safetensors").mkdir()
    assert (
        "this is a folder; give the name of a file"
        in invoke("export", weights, tmp_path / "out.py").error()
    )
    assert not (tmp_path / "out.py").exists()
    (tmp_path / "out.cfg").mkdir()
    write_npz(tmp_path / "net.npz", small())
    assert "this is a folder; give the name of a file" in (
        invoke("import", tmp_path / "net.npz", tmp_path / "out.weights").error()
    )
    assert not (tmp_path / "out.weights").exists()


def test_the_cfg_of_an_import_is_found_again(tmp_path: Path) -> None:
    write_npz(tmp_path / "net.npz", small())
    out = tmp_path / "net_best.weights"
    assert invoke("import", tmp_path / "net.npz", out).status == 0
    assert files_in(tmp_path) == ["net.cfg", "net.npz", "net_best.weights"]
    assert invoke("generate", out, "--length", "1").status == 0


def test_a_folder_of_a_run_and_what_is_said(weights: Path, tmp_path: Path) -> None:
    os.replace(weights, tmp_path / "net_best.weights")
    outcome = invoke("export", tmp_path, tmp_path / "out.npz")
    count = len(small().parameters)
    assert outcome.lines == [
        f"weights: {tmp_path / 'net_best.weights'}",
        f"wrote {tmp_path / 'out.npz'}: {count} parameters",
    ]
    outcome = invoke("import", tmp_path / "out.npz", tmp_path / "back.weights", "-q")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, b"", "")


@pytest.mark.parametrize(
    ("suffix", "missing"),
    [(".safetensors", "safetensors"), (".py", "safetensors"), (".onnx", "onnx")],
)
def test_without_the_extra(
    suffix: str, missing: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    line = invoke("export", weights, tmp_path / f"out{suffix}", "-q").error()
    assert f"this format needs {missing} (" in line
    assert line.endswith(f": pip install {missing}")
    assert files_in(tmp_path) == ["net.cfg", "net.weights"]
    if missing == "safetensors":
        (tmp_path / "x.safetensors").write_bytes(b"")
        args = ("import", tmp_path / "x.safetensors", tmp_path / "x.weights")
        assert invoke(*args).error().endswith(": pip install safetensors")


def test_a_layer_of_a_kind_that_other_programs_do_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that somebody has added, by docs/adding-a-layer.md."""

    class Doubling(Layer):
        kind = "doubling"

    monkeypatch.setitem(LAYERS, "doubling", Doubling)
    net = network("[net] inputs=4", PARTS[0], "[doubling]", "[softmax]")
    makers = [module_text, onnx_model] if importlib.util.find_spec("onnx") else [module_text]
    for make in makers:
        with pytest.raises(CfgError, match=r"layer 1: \[doubling\] has no step"):
            make(net)
    write_npz(tmp_path / "net.npz", net)
