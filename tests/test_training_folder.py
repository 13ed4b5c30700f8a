"""A run's folder and what a run begins with: earlier files, weights, the cfg next to them."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

import pytest

import darknet_py as dn
from darknet_py.loading.finding import open_network
from darknet_py.rand import Rand
from darknet_py.text.corpus import Streams, read_text
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.weights import read_header
from tests.support.commands import invoke
from tests.support.inputs import (
    CONNECTED,
    NET,
    RNN,
    SOFTMAX,
    SYMBOLS,
    write_cfg,
)
from tests.support.runs import FILES, files_in, rows, train

pytestmark = pytest.mark.usefixtures("run_inputs")


@pytest.mark.parametrize("weights", ["first", "first/net_final.weights"])
def test_weights_continue_what_was_seen(weights: str) -> None:
    train("--batches", "4", "--out", "first", "--val", "0")
    train("--weights", weights, "--batches", "6")
    assert [row["batch"] for row in rows()] == ["5", "6"]
    assert [int(row["seen"]) for row in rows()] == [5 * SYMBOLS, 6 * SYMBOLS]
    assert read_header("backup/net_final.weights").seen == 6 * SYMBOLS


def test_training_starts_from_the_weights_and_draws_after_the_initial_ones() -> None:
    train("--batches", "4", "--out", "first")
    train("--weights", "first/net_final.weights", "--batches", "5", "--seed", "9", "--val", "0")
    net = dn.load_network("net.cfg", "first/net_final.weights")
    streams = Streams(read_text("text.txt"), 4, Rand(9, net.initial_draws))
    loss = net.train_batch(*streams.next_datum(8))
    assert float(rows()[0]["loss"]) == pytest.approx(loss, abs=1e-6)


def test_nothing_left_to_train_is_an_error_with_both_numbers_and_the_ways_out(
    tmp_path: Path,
) -> None:
    train("--batches", "7", "--out", "first")
    args = ("train", "net.cfg", "text.txt", "--weights", "first/net_final.weights")
    error = invoke(*args, "--batches", "5").error()
    for word in ("batch 7", "batch 5", "--clear", "--batches", "net_final.weights"):
        assert word in error
    assert files_in(tmp_path / "backup") == []
    invoke(*args, "--batches", "7").error()


def test_clear_counts_from_zero() -> None:
    train("--batches", "7", "--out", "first")
    train("--weights", "first/net_final.weights", "--batches", "5", "--clear")
    assert [row["batch"] for row in rows()] == ["1", "2", "3", "4", "5"]
    assert read_header("backup/net_final.weights").seen == 5 * SYMBOLS


def test_weights_in_the_folder_of_the_run_itself_are_read_before_they_are_moved() -> None:
    train("--batches", "4")
    train("--weights", "backup/net_final.weights", "--batches", "6")
    assert [row["batch"] for row in rows()] == ["5", "6"]
    assert read_header("backup/old-1/net_final.weights").seen == 4 * SYMBOLS


def test_files_of_an_earlier_run_are_put_aside() -> None:
    assert "moved" not in train("--batches", "2", "--save-every", "1").stderr
    first = {name: (Path("backup") / name).read_bytes() for name in files_in(Path("backup"))}
    Path("backup/notes.txt").write_text("mine")
    Path("backup/network_final.weights").write_text("another's")
    outcome = train("--batches", "3", "--val", "0")
    assert [line for line in outcome.lines if "moved" in line and str(Path("backup/old-1")) in line]
    for words in (["darknet-py", "generate"], ["darknet-py", "train", "--resume"]):
        (line,) = (line for line in outcome.lines if " ".join(words) in line and "old-1" in line)
        used = invoke(*shlex.split(line.partition("darknet-py ")[2]), "-q")
        # The run is complete, and told so.
        assert used.status == 0 or "--batches" in used.error()
    for name, data in first.items():
        assert (Path("backup/old-1") / name).read_bytes() == data
    assert files_in(Path("backup/old-1")) == sorted(first)
    kept = [name for name in files_in(Path("backup")) if not name.startswith("old-")]
    assert kept == [*FILES, "network_final.weights", "notes.txt"]
    train("--batches", "1")
    assert "net_final.weights" in files_in(Path("backup/old-2"))
    assert files_in(Path("backup/old-1")) == sorted(first)


def test_a_cfg_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    before = Path("net.cfg").read_bytes()
    error = invoke("train", "net.cfg", "text.txt", "--batches", "1", "--out", ".").error()
    assert "net.cfg" in error
    assert "--out" in error
    assert Path("net.cfg").read_bytes() == before
    assert files_in(tmp_path) == ["net.cfg", "text.txt"]


def test_the_cfg_of_a_run_trains_on_in_its_own_folder() -> None:
    train("--batches", "2", "--out", "a")
    train("--batches", "3", "--out", "a", "--weights", "a/net_final.weights", cfg="a/net.cfg")
    assert [row["batch"] for row in rows("a")] == ["3"]
    assert Path("a/net.cfg").read_text().count("Written by") == 1


@pytest.mark.parametrize("out", ["text.txt", "text.txt/below"])
def test_an_out_that_can_be_no_folder_is_an_error_before_training(out: str) -> None:
    before = Path("text.txt").read_bytes()
    error = invoke("train", "net.cfg", "text.txt", "--batches", "1", "--out", out).error()
    assert out in error.replace(os.sep, "/")
    assert Path("text.txt").read_bytes() == before


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes = 0

    def fail(descriptor: int) -> None:
        nonlocal writes
        writes += 1
        if writes > 2 * 10:  # each file and its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("darknet_py.files.os.fsync", fail)
    args = ("train", "net.cfg", "text.txt", "--batches", "50", "--save-every", "1", "-q")
    error = invoke(*args, "--val", "0").error()
    assert os.strerror(errno.ENOSPC) in error
    assert files_in(Path("backup")) == ["net.backup", "net.cfg", "net.csv", "net.state"]
    # After the cfg and the table: the table, the state and the weights of each batch.
    assert open_network("backup/net.backup").seen == 3 * SYMBOLS
    assert read_checkpoint("backup/net.state").progress["seen"] == 3 * SYMBOLS
    assert "net." in error


DRAW = ("--length", "40", "--seed", "3", "--prompt", "a", "-q")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rnn": RNN + " batch_normalize=1 shortcut=1"},
        {"rnn": RNN + " hidden=5"},
        {"rnn": "[gru] output=8 batch_normalize=1"},
        {"rnn": "[lstm] output=8"},
        {"connected": CONNECTED + " batch_normalize=1 dontloadscales=1"},
        {"connected": CONNECTED + " dontload=1"},
        {"connected": CONNECTED + " dontsave=1"},
        {"rnn": RNN + " dontsave=1"},
        {"rnn": RNN + " dontload=1 stopbackward=1"},
    ],
    ids=lambda changes: next(iter(changes.values()), "plain"),
)
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
def test_the_weights_alone_are_enough_afterwards(changes: dict[str, str]) -> None:
    sections = {"rnn": RNN, "connected": CONNECTED, **changes}
    write_cfg(Path("net.cfg"), NET, *sections.values(), SOFTMAX)
    net = dn.train("net.cfg", "text.txt", batches=3, seed=1).net
    Path("net.cfg").unlink()
    final = Path("backup/net_final.weights")
    loaded = open_network(final)
    kept = [
        parameter
        for parameter in loaded.tensors()
        if not loaded.layers[int(parameter.name.split(".")[0])].dontload
    ]
    trained = {parameter.name: parameter.values for parameter in net.tensors()}
    assert kept
    for parameter in kept:
        assert parameter.values.tobytes() == trained[parameter.name].tobytes()
    if not any("dontsave" in section for section in sections.values()):
        assert loaded.parameters.tobytes() == net.parameters.tobytes()
    outcome = invoke("generate", final, *DRAW)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b"a" + bytes(dn.generate(loaded, b"a", 40, seed=3)) + b"\n"
    assert invoke("info", final).status == 0


def test_a_whole_file_starts_a_network_whose_last_layer_is_not_loaded() -> None:
    train("--batches", "3", "--seed", "1", "--out", "whole")
    write_cfg(Path("net.cfg"), NET, RNN, CONNECTED + " dontload=1", SOFTMAX)
    train("--batches", "4", "--seed", "2", "--weights", "whole/net_final.weights")
    count = sum(p.size for p in dn.load_network("net.cfg").tensors())
    assert read_header("backup/net_final.weights").floats == count
    assert "dontload" not in Path("backup/net.cfg").read_text()
    # The other way round: what was trained here loads whole.
    assert open_network("backup/net_final.weights").seen == 4 * SYMBOLS
