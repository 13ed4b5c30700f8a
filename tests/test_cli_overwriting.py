"""Nothing of the user's is overwritten: the one rule of all commands that write a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from darknet_py.files import MARK, is_as_written, with_mark
from tests.support.commands import invoke

# For each command that writes, its arguments and the files that it writes.
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "npz": (["export", "backup", "u.npz"], ["u.npz"]),
    "safetensors": (["export", "backup", "u.safetensors"], ["u.safetensors"]),
    "onnx": (["export", "backup", "u.onnx"], ["u.onnx"]),
    "py": (["export", "backup", "my.py"], ["my.py", "my.safetensors"]),
    "fold": (
        ["export", "backup", "mine.weights", "--fold-batchnorm"],
        ["mine.weights", "mine.cfg"],
    ),
    "import": (["import", "given.npz", "z.weights"], ["z.weights", "z.cfg"]),
    "import-best": (["import", "given.npz", "z_best.weights"], ["z_best.weights", "z.cfg"]),
    "report": (["report", "backup"], ["backup/net.html"]),
    "report-out": (["report", "backup", "--out", "page.html"], ["page.html"]),
    "vec": (["vec", "backup", "text.txt", "--npy", "v.npy"], ["v.npy"]),
    "cfg": (["cfg", "tiny", "my.cfg"], ["my.cfg"]),
}
NEEDS = {"safetensors": "safetensors", "py": "safetensors", "onnx": "onnx"}
UNMARKED = ("vec", "cfg")
every_command = pytest.mark.parametrize("name", COMMANDS)
MINE = b"# mine\n"


@pytest.fixture(autouse=True)
def _folder(run_inputs: None) -> None:
    """A run in backup/ and given.npz."""
    assert invoke("train", "net.cfg", "text.txt", "--batches", "3", "--seed", "1", "-q").status == 0
    assert invoke("export", "backup", "given.npz", "-q").status == 0


def prepared(name: str) -> tuple[list[str], list[str]]:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return COMMANDS[name]


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@every_command
def test_a_file_of_somebody_else_is_kept_without_force(name: str) -> None:
    args, files = prepared(name)
    for file in files:
        Path(file).write_bytes(MINE)
        before = contents()
        line = invoke(*args).lines[-1]
        assert line == (
            f"Error: {Path(file)} already exists; choose another name, or --force to overwrite it"
        )
        assert contents() == before
        assert invoke(*args, "--force", "-q").status == 0
        assert Path(file).read_bytes() != MINE
        for written in files:
            Path(written).unlink()


@every_command
def test_a_file_that_a_command_wrote_is_written_again(name: str) -> None:
    args, files = prepared(name)
    assert invoke(*args, "-q").status == 0
    before = contents()
    assert invoke(*args, "-q").status == (1 if name in UNMARKED else 0)
    assert contents() == before
    assert set(files) <= {path.replace(os.sep, "/") for path in before}


@every_command
@pytest.mark.parametrize("change", ["start", "middle", "end", "byte"])
def test_a_file_that_was_changed_since_is_the_users(name: str, change: str) -> None:
    args, files = prepared(name)
    for file in files:
        assert invoke(*args, "-q", "--force").status == 0
        path = Path(file)
        data = path.read_bytes()
        half = len(data) // 2
        path.write_bytes(
            {
                "start": b"#" + data,
                "middle": data[:half] + b"#" + data[half:],
                "end": data + b"\n",
                "byte": data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :],
            }[change]
        )
        before = contents()
        outcome = invoke(*args, "-q")
        assert outcome.status == 1
        assert "already exists" in outcome.stderr
        assert contents() == before


@pytest.mark.parametrize(
    "args",
    [
        ["export", "backup", "backup/net_best.weights", "--fold-batchnorm"],
        ["export", "backup", "backup/net_final.weights", "--fold-batchnorm"],
        ["import", "given.npz", "net.weights", "--cfg", "net.cfg"],
        ["import", "given.npz", "link.weights"],
        ["report", "backup", "--out", "backup/net.csv"],
        ["report", "backup", "--out", "backup/net.cfg"],
        ["report", "backup", "--out", "backup/net_final.weights"],
        ["report", "backup", "--out", "net.cfg"],
        ["report", "backup", "--out", "text.txt"],
        ["report", "backup", "--text", "other.txt", "--out", "other.txt"],
        ["vec", "backup", "text.txt", "--npy", "text.txt"],
        ["vec", "backup", "text.txt", "--npy", "backup/net_best.weights"],
        ["vec", "backup", "text.txt", "--npy", "backup/net.cfg"],
        ["cfg", "net.cfg", "net.cfg"],
        ["cfg", "./net.cfg", "link.cfg"],
    ],
)
def test_what_is_read_is_not_overwritten_even_with_force(args: list[str]) -> None:
    Path("other.txt").write_bytes(b"Once upon a time.")
    os.link("given.npz", "link.weights")
    os.link("net.cfg", "link.cfg")
    before = contents()
    outcome = invoke(*args, "--force")
    assert outcome.status == 1
    assert outcome.lines[-1].endswith("is what the command reads; choose another name")
    assert contents() == before


def test_the_files_of_a_run_are_not_of_import(tmp_path: Path) -> None:
    """The cfg of a run is marked as a run's, and an import would describe its weights wrongly."""
    before = contents()
    for out in ("backup/net_2.weights", "backup/net.weights"):
        line = invoke("import", "given.npz", out).error()
        assert f"{Path('backup/net.cfg')} already exists" in line
    assert contents() == before


def test_a_new_run_moves_the_users_files_and_overwrites_none() -> None:
    names = ("best.weights", "final.weights", "10.weights")
    mine = [f"own/net_{name}" for name in names]
    mine += [f"own/net.{kind}" for kind in ("html", "png", "csv", "samples", "backup", "state")]
    Path("own").mkdir()
    for file in mine:
        Path(file).write_text(f"my {file}")
    args = ("--batches", "2", "--seed", "1", "--out", "own", "-q")
    assert invoke("train", "net.cfg", "text.txt", *args).status == 0
    for file in mine:
        assert (Path("own/old-1") / Path(file).name).read_text() == f"my {file}"


def test_a_text_with_the_name_of_a_file_of_the_run_stays() -> None:
    text = Path("text.txt").read_bytes()
    Path("out").mkdir()
    for data, val in (("out/net.csv", "0.1"), ("text.txt", "out/net.samples")):
        for path in (data, val):
            if path.startswith("out"):
                Path(path).write_bytes(text)
        args = ("train", "net.cfg", data, "--val", val, "--batches", "1", "--out", "out")
        error = invoke(*args).error()
        assert "this run would overwrite " in error
        assert "a text that it reads; choose another --out" in error
    assert Path("out/net.csv").read_bytes() == Path("out/net.samples").read_bytes() == text


def test_a_cfg_that_no_run_wrote_is_kept_when_a_run_goes_on() -> None:
    Path("backup/net.cfg").write_bytes(MINE)
    before = contents()
    line = invoke("train", "--resume", "--batches", "5").error()
    assert f"{Path('backup/net.cfg')} already exists and no run wrote it" in line
    assert {**contents(), **before} == contents()


@pytest.mark.parametrize("suffix", [".png", ".samples", ".csv", "_best.weights"])
def test_a_folder_in_the_place_of_a_file_is_an_error_before_training(suffix: str) -> None:
    Path(f"out/net{suffix}").mkdir(parents=True)
    line = invoke("train", "net.cfg", "text.txt", "--batches", "1", "--out", "out").error()
    assert f"net{suffix}" in line


def test_rnn_train_writes_no_cfg() -> None:
    """It overwrites weights as the C program does."""
    cfg = Path("backup/net.cfg").read_bytes()
    Path("net.cfg").write_text(Path("net.cfg").read_text().replace("adam=1", "max_batches=2"))
    assert invoke("rnn", "train", "net.cfg", "-file", "text.txt", "-srand", "1", "-q").status == 0
    assert Path("backup/net.cfg").read_bytes() == cfg


def test_a_mark_vouches_for_all_of_the_files(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    data = with_mark(f"a {MARK} b {MARK} c".encode(), b"other")
    assert data.startswith(b"a ")
    first.write_bytes(data)
    second.write_bytes(b"other")
    assert is_as_written(first, second)
    assert not is_as_written(first)
    assert not is_as_written(second, first)
    assert not is_as_written(first, tmp_path / "missing")
    second.write_bytes(b"othe")
    assert not is_as_written(first, second)
