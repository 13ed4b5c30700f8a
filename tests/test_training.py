"""Runs of training: their files, their numbers, how they end, and what stops them beforehand."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.cfg import read_cfg
from darknet_py.inference.scoring import PiecesScore
from darknet_py.loading.finding import open_network
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.text.corpus import Streams, read_text, split
from darknet_py.trainer.trainer import Trainer
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.interruption import Interruption
from darknet_py.training.run import CSV_COLUMNS, Row
from darknet_py.training.validation import Validation
from darknet_py.weights import read_header
from tests.support.clock import Clock
from tests.support.commands import BATCH_LINE, COMMAND, ENVIRONMENT, Outcome, invoke, run
from tests.support.inputs import (
    CONNECTED,
    NET,
    RNN,
    SOFTMAX,
    SYMBOLS,
    words,
    write_cfg,
)
from tests.support.networks import Array
from tests.support.processes import posix
from tests.support.runs import files_in
from tests.support.terminals import Terminal

pytestmark = pytest.mark.usefixtures("run_inputs")


def train(*args: str | Path, cfg: str = "net.cfg", text: str = "text.txt") -> Outcome:
    """`train` within this process, which must succeed."""
    outcome = invoke("train", cfg, text, *args)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b""
    return outcome


def rows(folder: str = "backup", base: str = "net") -> list[dict[str, str]]:
    with open(Path(folder) / f"{base}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def floats(path: str | Path) -> Array:
    """The numbers of a weights file."""
    return np.fromfile(path, "<f4", offset=read_header(path).length)


def lines_of_batches(outcome: Outcome) -> list[re.Match[str]]:
    return [match for line in outcome.lines if (match := BATCH_LINE.fullmatch(line))]


# --- a whole run ---------------------------------------------------------------------------------


def test_a_run_writes_its_files_and_says_what_it_does(tmp_path: Path) -> None:
    args = ["net.cfg", "text.txt", "--batches", "25", "--seed", "1", "--save-every", "10", "-v"]
    outcome = run("train", *args, cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout == b""
    assert files_in(tmp_path / "backup") == [
        "net.backup",
        "net.cfg",
        "net.csv",
        "net.state",
        "net_best.weights",
        "net_final.weights",
    ]
    assert [int(line["batch"]) for line in lines_of_batches(outcome)] == list(range(1, 26))
    others = [line for line in outcome.lines if not BATCH_LINE.fullmatch(line)]
    assert [line for line in others if re.fullmatch(r"\d+: \d\.\d{6} validation", line)]
    assert "saved" in outcome.stderr
    assert str(Path("backup/net_final.weights")) in outcome.stderr
    assert others[-1] == f"next: darknet-py generate {Path('backup/net_best.weights')}"
    assert run(*shlex.split(others[-1])[2:], cwd=tmp_path).status == 0


def test_the_table_is_consistent_in_itself_and_with_the_log() -> None:
    outcome = train("--batches", "30", "--seed", "1", "--val-every", "7", "-v")
    table = rows()
    assert tuple(table[0]) == CSV_COLUMNS
    assert ",".join(table[0]) == "batch,seen,loss,avg,rate,seconds,epochs,val"
    length = len(split(read_text("text.txt"), 0.1)[0])
    avg, elapsed = float(table[0]["loss"]), 0.0
    for number, (row, line) in enumerate(
        zip(table, lines_of_batches(outcome), strict=True), start=1
    ):
        assert int(row["batch"]) == number
        assert int(row["seen"]) == number * SYMBOLS
        avg = 0.9 * avg + 0.1 * float(row["loss"])
        assert float(row["avg"]) == pytest.approx(avg, abs=5e-6)
        assert float(row["rate"]) == pytest.approx(0.01)
        assert float(row["epochs"]) == pytest.approx(number * SYMBOLS / length, abs=2e-6)
        assert float(row["seconds"]) >= elapsed
        elapsed = float(row["seconds"])
        assert (row["val"] != "") == (number % 7 == 0 or number == 30)
        for key in ("batch", "loss", "avg", "epochs"):
            assert line[key] == row[key]
    assert len(table) == 30
    assert float(table[-1]["avg"]) < float(table[0]["avg"]) - 1


def test_the_losses_are_those_of_train_batch_on_the_streams_of_the_text() -> None:
    train("--batches", "6", "--seed", "3", "--engine", "numpy")
    net = dn.load_network("net.cfg", seed=3)
    rand = Rand(3, net.initial_draws)
    streams = Streams(split(read_text("text.txt"), 0.1)[0], 4, rand)
    for row in rows():
        assert float(row["loss"]) == pytest.approx(
            net.train_batch(*streams.next_datum(8)), abs=1e-6
        )
        streams.jump()
    assert net.parameters.tobytes() == floats("backup/net_final.weights").tobytes()


def test_the_name_of_the_files_is_that_of_the_cfg_up_to_its_first_dot() -> None:
    write_cfg(Path("my.net.cfg"))
    train("--batches", "2", "--out", "a/b", cfg="my.net.cfg")
    assert files_in(Path("a/b")) == [
        "my.cfg",
        "my.csv",
        "my.state",
        "my_best.weights",
        "my_final.weights",
    ]


def test_a_bundled_cfg_goes_by_its_name(tmp_path: Path) -> None:
    Path("text.txt").write_text(words(2000))
    train("--batches", "1", "--set", "batch=2", "--set", "time_steps=4", cfg="tiny")
    assert "tiny_final.weights" in files_in(tmp_path / "backup")


def test_a_text_from_stdin_and_a_folder_train_as_the_file_does(tmp_path: Path) -> None:
    text = Path("text.txt").read_bytes()
    Path("texts").mkdir()
    lines = text.splitlines(keepends=True)
    Path("texts/a").write_bytes(b"".join(lines[:20]))
    Path("texts/b").write_bytes(b"".join(lines[20:]))
    common = ("--batches", "3", "--seed", "1", "--out")
    train(*common, "of-file")
    train(*common, "of-folder", text="texts")
    outcome = run("train", "net.cfg", "-", *common, "of-stdin", cwd=tmp_path, stdin=text)
    assert outcome.status == 0
    expected = Path("of-file/net_final.weights").read_bytes()
    assert Path("of-folder/net_final.weights").read_bytes() == expected
    assert Path("of-stdin/net_final.weights").read_bytes() == expected


def test_carriage_returns_in_cfg_and_text_do_no_harm() -> None:
    train("--batches", "3", "--seed", "1", "--out", "plain", "--val", "0")
    cfg = Path("net.cfg").read_text().replace("\n", "\r\n")
    Path("net.cfg").write_bytes(cfg.encode())
    train("--batches", "3", "--seed", "1", "--out", "crlf", "--val", "0")
    assert floats("crlf/net_final.weights").tobytes() == floats("plain/net_final.weights").tobytes()
    text = Path("text.txt").read_bytes().replace(b"\n", b"\r\n")
    Path("crlf.txt").write_bytes(text)
    train("--batches", "3", "--out", "text", "--val", "0", text="crlf.txt")
    assert float(rows("text")[0]["epochs"]) == pytest.approx(SYMBOLS / len(text), abs=1e-6)
    assert dn.load_network("crlf/net.cfg", "crlf/net_final.weights").seen == 3 * SYMBOLS


# --- options -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        train("--batches", "5", "--seed", seed, "--out", name)
    first, again, other = (Path(f"{n}/net_final.weights").read_bytes() for n in "abc")
    assert first == again
    assert first != other


def test_a_seed_from_the_clock_is_printed_and_repeats_the_run() -> None:
    outcome = train("--batches", "3", "--out", "a")
    told = r"^seed (\d+) \(random; --seed \1 repeats this run\)$"
    found = re.search(told, outcome.stderr, re.MULTILINE)
    assert found
    again = train("--batches", "3", "--out", "b", "--seed", found[1])
    assert not any(line.startswith("seed ") for line in again.lines)
    assert Path("a/net_final.weights").read_bytes() == Path("b/net_final.weights").read_bytes()


def test_settings_go_into_the_run_and_into_its_cfg() -> None:
    train("--batches", "2", "--set", "batch=8", "--set", "learning_rate=.005", "--val", "0")
    assert [row["seen"] for row in rows()] == ["64", "128"]
    assert float(rows()[0]["rate"]) == pytest.approx(0.005)
    written = dn.load_network("backup/net.cfg").options
    assert written.batch == 8
    assert written.learning_rate == 0.005


def test_subdivisions_count_as_one_batch_whose_loss_is_their_mean() -> None:
    common = ("--batches", "1", "--seed", "1", "--val", "0")
    train(*common, "--set", "batch=4", "--set", "subdivisions=2")
    assert [(row["batch"], row["seen"]) for row in rows()] == [("1", "32")]
    net = dn.load_network("net.cfg", seed=1, batch=4, subdivisions=2)
    streams = Streams(read_text("text.txt"), 2, Rand(1, net.initial_draws))
    losses = []
    for _ in range(2):
        losses.append(net.train_batch(*streams.next_datum(8)))
        streams.jump()
    assert float(rows()[0]["loss"]) == pytest.approx(sum(losses) / 2, abs=1e-6)


def test_without_held_out_text_there_is_no_validation() -> None:
    outcome = train("--batches", "21", "--val", "0")
    assert files_in(Path("backup")) == ["net.cfg", "net.csv", "net.state", "net_final.weights"]
    assert {row["val"] for row in rows()} == {""}
    assert "validation" not in outcome.stderr
    assert "held-out" not in outcome.stderr
    assert outcome.lines[-1].endswith(str(Path("backup/net_final.weights")))


def test_the_whole_text_is_trained_on_where_the_held_out_text_is_a_file() -> None:
    Path("other.txt").write_bytes(words(100, seed=9).encode())
    train("--batches", "10", "--val", "other.txt", "--val-every", "5")
    assert [n for n, row in enumerate(rows(), 1) if row["val"]] == [5, 10]
    length = Path("text.txt").stat().st_size
    assert float(rows()[-1]["epochs"]) == pytest.approx(10 * SYMBOLS / length, abs=2e-6)
    Path("other.txt").write_bytes(words(100, seed=10).encode())
    before = rows()
    train("--batches", "10", "--val", "other.txt", "--val-every", "5")
    assert before[4]["val"] != rows()[4]["val"]


def test_the_best_weights_are_written_when_a_validation_has_a_new_lowest_loss() -> None:
    best = Path("backup/net_best.weights")
    lowest, written = math.inf, 0
    every, improved = 0, 0

    def note(row: dn.Row) -> None:
        nonlocal lowest, written, every, improved
        if row.val is not None:
            every += 1
            if row.val < lowest:
                improved += 1
                lowest, written = row.val, row.seen
        assert (read_header(best).seen if best.exists() else 0) == written

    rate = {"learning_rate": 0.5}
    result = dn.train(
        "net.cfg", "text.txt", batches=40, seed=1, val_every=3, overrides=rate, callback=note
    )
    assert every == 14
    assert 0 < improved < every
    assert result.best == best
    assert result.best_val is not None
    assert result.val is not None
    assert result.best_val <= result.val


def test_a_run_validates_samples_and_saves_the_average() -> None:
    """Of the parameters that runs without it end with; training itself is that of those."""
    options: dict[str, Any] = {"seed": 3, "val": "text.txt", "val_every": 1, "sample_every": 1}
    ends = [
        dn.train("net.cfg", "text.txt", out=f"plain{count}", batches=count, **options)
        for count in range(1, 7)
    ]
    averaged = dn.train(
        "net.cfg", "text.txt", out="run", batches=6, overrides={"average": 0.5}, **options
    )
    expected = ends[0].net.parameters
    for count, end in enumerate(ends[1:], 2):
        weight = 1 / max(1, 0.5 * count)
        expected = (1 - weight) * expected + weight * end.net.parameters
    for net in (averaged.net, dn.load_network("net.cfg", averaged.weights)):
        np.testing.assert_allclose(net.parameters, expected, rtol=1e-5, atol=1e-7)
    text = Path("text.txt").read_bytes()
    assert averaged.val == pytest.approx(dn.evaluate(averaged.net, text).nats, abs=1e-3)
    rows = [Path(f"{out}/net.csv").read_text().splitlines() for out in ("plain6", "run")]
    losses = [[row.split(",")[2] for row in lines] for lines in rows]
    assert losses[0] == losses[1]
    assert rows[0] != rows[1]
    with np.load("run/net.state") as state:
        np.testing.assert_array_equal(state["parameters"], ends[-1].net.parameters)
        np.testing.assert_array_equal(state["memory.average"], averaged.net.parameters)


def test_a_worse_end_does_not_become_the_best() -> None:
    """From good weights, a rate that is far too large; the first validation stays the best."""
    train("--batches", "60", "--seed", "1", "--out", "good")
    common = ("--seed", "1", "--val-every", "1", "--set", "learning_rate=.8")
    args = ("--weights", "good/net_final.weights", "--clear", "--batches", "20", *common)
    outcome = train(*args, "--set", "burn_in=10")
    table = [float(row["val"]) for row in rows()]
    best = table.index(min(table))
    assert best < 15
    assert read_header("backup/net_best.weights").seen == (best + 1) * SYMBOLS
    assert read_header("backup/net_final.weights").seen == 20 * SYMBOLS
    said = re.search(r"best: .*, (\d+\.\d+) nats", outcome.stderr)
    assert said
    assert float(said[1]) < table[-1]


def test_the_printed_loss_is_that_of_valid_on_the_same_part() -> None:
    Path("text.txt").write_bytes(words(6000).encode())
    outcome = train("--batches", "80", "--seed", "1", "--val", ".25")
    said = re.search(r"best: .*, (\d+\.\d+) nats per byte of all [0-9,]+ held out", outcome.stderr)
    assert said
    scored = invoke("valid", "backup/net_best.weights", "text.txt", "--val", ".25")
    nats = re.search(rb"nats per byte\s+([\d.]+)", scored.stdout)
    assert nats
    assert float(nats[1]) == pytest.approx(float(said[1]), abs=0.002)


def test_checkpoints_come_as_often_as_asked_for() -> None:
    at_batch = []

    def note(row: dn.Row) -> None:
        file = Path("backup/net.backup")
        at_batch.append(read_header(file).seen // SYMBOLS if file.exists() else 0)

    dn.train("net.cfg", "text.txt", batches=8, save_every=3, callback=note)
    assert at_batch == [0, 0, 3, 3, 3, 6, 6, 6]


def test_state_is_carried_from_batch_to_batch_where_asked_for() -> None:
    for state in ("carry", "zero"):
        train("--batches", "4", "--seed", "1", "--state", state, "--out", state)
        assert dn.load_network(f"{state}/net.cfg").options.state == state
    train("--batches", "4", "--seed", "1", "--out", "default")
    carried, zero, default = (
        floats(f"{name}/net_final.weights").tobytes() for name in ("carry", "zero", "default")
    )
    assert carried != zero == default


def test_the_carried_state_of_a_stream_that_jumps_is_zeroed() -> None:
    """After a jump a stream's first loss is that from a zero state."""
    write_cfg(Path("net.cfg"), NET + " state=carry", RNN, CONNECTED, SOFTMAX)
    states: list[Array] = []
    result: list[Network] = []
    accumulate = Trainer.accumulate

    def watched(trainer: Trainer, inputs: Array, targets: Array, state: Any, *more: bool) -> Any:
        states.append(state[0][0].copy())
        return accumulate(trainer, inputs, targets, state, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "accumulate", watched)
        result.append(dn.train("net.cfg", "text.txt", batches=60, seed=2, val=0).net)
    net = dn.load_network("net.cfg", seed=2)
    streams = Streams(read_text("text.txt"), 4, Rand(2, net.initial_draws))
    jumps = 0
    for state in states[1:]:
        streams.next_datum(8)
        jumped = streams.jump()
        assert [i for i in range(4) if not state[i].any()] == jumped
        jumps += len(jumped)
    assert jumps


def test_weights_continue_what_was_seen() -> None:
    train("--batches", "4", "--out", "first")
    train("--weights", "first/net_final.weights", "--batches", "6")
    assert [row["batch"] for row in rows()] == ["5", "6"]
    assert [int(row["seen"]) for row in rows()] == [5 * SYMBOLS, 6 * SYMBOLS]
    assert read_header("backup/net_final.weights").seen == 6 * SYMBOLS


def test_weights_may_be_the_folder_of_a_run() -> None:
    train("--batches", "4", "--out", "first", "--val", "0")
    train("--weights", "first", "--batches", "5")
    assert [row["batch"] for row in rows()] == ["5"]


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


TOKENS = "[net] inputs=300 batch=2 time_steps=4 learning_rate=.01"


def test_tokens_train_and_the_cfg_remembers_it() -> None:
    write_cfg(Path("net.cfg"), TOKENS, RNN, "[connected] output=300 activation=linear", SOFTMAX)
    tokens = " ".join(str(n * n % 300) for n in range(500))
    Path("tokens.txt").write_text(tokens)
    train("--batches", "3", "--tokenized", text="tokens.txt")
    assert dn.load_network("backup/net.cfg").options.tokenized
    printed = invoke("generate", "backup/net_final.weights", "--length", "5", "-q")
    assert len(printed.stdout.split()) == 5
    assert all(0 <= int(word) < 300 for word in printed.stdout.split())


def test_the_command_that_a_run_on_few_tokens_proposes_works() -> None:
    """Its default prompt, two newlines, is no pair of tokens of such a network."""
    sections = ("[rnn] output=4 activation=tanh", "[connected] output=6 activation=linear")
    write_cfg(Path("net.cfg"), "[net] inputs=6 batch=2 time_steps=4", *sections, SOFTMAX)
    Path("tokens.txt").write_text("0 1 2 3 4 5 " * 50)
    said = train("--batches", "3", "--tokenized", text="tokens.txt").lines[-1]
    again = invoke(*shlex.split(said.removeprefix("next: "))[1:])
    assert again.status == 0, again.stderr


def test_files_are_written_in_the_dialect_asked_for() -> None:
    train("--batches", "2", "--seed", "1", "--dialect", "alexeyab", "--out", "alexeyab")
    train("--batches", "2", "--seed", "1", "--out", "upstream")
    assert read_header("alexeyab/net_final.weights").revision == 5
    assert read_header("alexeyab/net_best.weights").revision == 5
    assert read_header("upstream/net_final.weights").revision == 0
    train("--weights", "alexeyab/net_final.weights", "--batches", "3")
    assert read_header("backup/net_final.weights").revision == 5


def test_the_c_net_of_c_ends_with_the_weights_of_rnn_train() -> None:
    sections = (
        NET.replace("adam=1", "momentum=.9") + " max_batches=5",
        "[rnn] output=6 activation=leaky batch_normalize=1",
        CONNECTED,
        SOFTMAX,
    )
    write_cfg(Path("net.cfg"), *sections)
    common = ("--gradient", "darknet-cpu", "--val", "0", "--seed", "4", "--out", "ours", "-v")
    ours = train(*common)
    c = invoke("rnn", "train", "net.cfg", "-file", "text.txt", "-srand", "4")
    assert c.status == 0
    assert (
        floats("ours/net_final.weights").tobytes() == floats("backup/net_final.weights").tobytes()
    )
    losses = [[line["loss"], line["avg"]] for line in lines_of_batches(ours)]
    assert losses == [[line["loss"], line["avg"]] for line in lines_of_batches(c)]
    assert len(losses) == 5


def test_threads_do_not_change_the_result() -> None:
    train("--batches", "3", "--seed", "1", "--out", "a")
    train("--batches", "3", "--seed", "1", "--out", "b", "--threads", "2")
    np.testing.assert_allclose(
        floats("a/net_final.weights"), floats("b/net_final.weights"), rtol=1e-4, atol=1e-6
    )


def test_quiet_training_says_nothing(tmp_path: Path) -> None:
    assert train("--batches", "3", "-q").stderr == ""
    assert run("train", "net.cfg", "text.txt", "--batches", "3", "-q", cwd=tmp_path).stderr == ""


# --- the folder ----------------------------------------------------------------------------------


def test_files_of_an_earlier_run_are_put_aside() -> None:
    train("--batches", "2", "--save-every", "1")
    first = {name: (Path("backup") / name).read_bytes() for name in files_in(Path("backup"))}
    Path("backup/notes.txt").write_text("mine")
    Path("backup/network_final.weights").write_text("another's")
    outcome = train("--batches", "3", "--val", "0")
    assert [line for line in outcome.lines if "moved" in line and str(Path("backup/old-1")) in line]
    for name, data in first.items():
        assert (Path("backup/old-1") / name).read_bytes() == data
    assert files_in(Path("backup/old-1")) == sorted(first)
    own = ["net.cfg", "net.csv", "net.state", "net_final.weights"]
    kept = [name for name in files_in(Path("backup")) if not name.startswith("old-")]
    assert kept == [*own, "network_final.weights", "notes.txt"]
    train("--batches", "1")
    assert "net_final.weights" in files_in(Path("backup/old-2"))
    assert files_in(Path("backup/old-1")) == sorted(first)


def test_a_first_run_puts_nothing_aside() -> None:
    assert "moved" not in train("--batches", "1").stderr


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


# --- the cfg beside the weights ------------------------------------------------------------------

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


# --- the function --------------------------------------------------------------------------------


def test_the_callback_gets_the_rows_of_the_table() -> None:
    seen: list[dn.Row] = []
    result = dn.train(
        "net.cfg", "text.txt", out="a", batches=5, seed=1, val_every=2, callback=seen.append
    )
    assert [row.val is not None for row in seen] == [False, True, False, True, True]
    assert [row.cells() for row in seen] == [list(row.values()) for row in rows("a")]
    assert [row.batch for row in seen] == [1, 2, 3, 4, 5]
    assert {row.limit for row in seen} == {5}
    assert all(row.batch_seconds <= row.seconds for row in seen)
    assert result.weights == Path("a/net_final.weights")
    assert result.batches == 5
    assert result.symbols == 5 * SYMBOLS
    assert result.avg == seen[-1].avg
    assert not result.interrupted
    assert result.net.parameters.tobytes() == floats(result.weights).tobytes()


def test_the_function_and_the_command_are_one_run() -> None:
    train("--batches", "5", "--seed", "1", "--out", "a")
    dn.train(read_cfg("net.cfg"), "text.txt", out="b", batches=5, seed=1)
    assert Path("a/net_final.weights").read_bytes() == Path("b/net_final.weights").read_bytes()
    assert Path("a/net.cfg").read_bytes() == Path("b/net.cfg").read_bytes()


def test_stop_ends_the_run_with_everything_saved() -> None:
    answers = iter([False, True])  # before the first batch, after it
    result = dn.train("net.cfg", "text.txt", batches=50, seed=1, stop=lambda: next(answers))
    assert result.interrupted
    assert result.batches == 1
    assert result.weights == Path("backup/net.backup")
    assert files_in(Path("backup")) == ["net.backup", "net.cfg", "net.csv", "net.state"]
    assert open_network("backup").parameters.tobytes() == result.net.parameters.tobytes()
    assert len(rows()) == 1


@pytest.mark.parametrize("val_every", [None, 10])
def test_a_stopped_run_leaves_its_network_as_the_best_one(val_every: int | None) -> None:
    """Else that of the first validation would be taken; but not where its batches were given."""
    answers = iter([False] * 35 + [True])
    dn.train(
        *("net.cfg", "text.txt"),
        batches=60,
        seed=1,
        val_every=val_every,
        stop=lambda: next(answers),
    )
    best = read_header("backup/net_best.weights").seen // SYMBOLS
    assert best in ((35,) if val_every is None else (10, 20, 30))
    whole = dn.train(resume=True)
    dn.train("net.cfg", "text.txt", batches=60, seed=1, val_every=val_every, out="whole")
    expected = Path("whole/net_final.weights").read_bytes()
    assert whole.weights.read_bytes() == expected


@posix
def test_what_a_terminal_writes_at_ctrl_c_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((60, 24)))
    with Interruption() as interruption:
        interruption.asked()
        terminal.write("batch 3^C")
        signal.raise_signal(signal.SIGINT)
    assert f"^C\r{' ' * 59}\rstopping after this batch" in terminal.getvalue()


def test_a_row_is_unchangeable() -> None:
    seen: list[dn.Row] = []
    dn.train("net.cfg", "text.txt", batches=1, val=0, callback=seen.append)
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen[0].loss = 0.0  # type: ignore[misc]


# --- interruptions -------------------------------------------------------------------------------


def test_the_first_interruption_is_remembered_and_the_second_acts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        assert not interruption.asked()
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked()
        assert "press Ctrl-C again to quit now without saving" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def interrupted(*args: str, after: str = "12: ", number: int = 2) -> Outcome:
    """A command in a process that gets a signal when a line of stderr starts with `after`."""
    with subprocess.Popen(
        [*COMMAND, *args, "-v"], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith(after):
                process.send_signal(number)
                break
        lines += list(process.stderr)
        return Outcome(process.wait(), b"", "".join(lines))


def way_on(outcome: Outcome) -> list[str]:
    """The arguments of the command that an interrupted run names, without the program."""
    found = re.search(r"^to continue: darknet-py (.*)$", outcome.stderr, re.MULTILINE)
    assert found, outcome.stderr
    return shlex.split(found[1])


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_the_command_that_it_names_goes_on(
    tmp_path: Path, number: int
) -> None:
    args = ("train", "net.cfg", "text.txt", "--batches", "1000000", "--out", "my run")
    outcome = interrupted(*args, number=number)
    assert outcome.status == 130
    assert "Traceback" not in outcome.stderr
    assert "stopping after this batch, then saving" in outcome.stderr
    header = read_header("my run/net.backup")
    assert header.seen // SYMBOLS == len(rows("my run"))
    assert open_network("my run/net.backup").seen == header.seen
    assert not list(tmp_path.rglob("*.part"))
    limit = header.seen // SYMBOLS + 3
    again = invoke(*way_on(outcome), "--batches", str(limit))
    assert again.status == 0, again.stderr
    assert [row["batch"] for row in rows("my run")] == [str(i + 1) for i in range(limit)]


def quit_at(batch: int, *args: str) -> Outcome:
    """`train ARGS` with Ctrl-C pressed twice before a batch, counted from 1."""
    asked, count = Interruption.asked, 0

    def twice(self: Interruption) -> bool:
        nonlocal count
        count += 1
        if count == batch:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return asked(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interruption, "asked", twice)
        outcome = invoke("train", *args)
    assert outcome.status == 130
    return outcome


def test_a_run_that_is_quit_says_what_is_left() -> None:
    """By a second Ctrl-C, before its first checkpoint and after it."""
    args = ("net.cfg", "text.txt", "--batches", "20", "--save-every", "5", "--out", "run")
    words = "nothing was saved that a run can continue from"
    assert quit_at(3, *args).lines[-2:] == [words, "interrupted"]
    resumed = invoke("train", "--resume", "--out", "run").error()
    assert resumed.endswith(
        "it is in its first batches still, or ended during them; start it again"
    )
    words = "the last checkpoint in run is whole; to continue from it: darknet-py train --resume"
    assert quit_at(8, *args).lines[-2:] == [f"{words} --out run", "interrupted"]
    assert invoke("train", "--resume", "--out", "run").status == 0


def test_what_is_left_of_a_run_is_not_that_of_another_in_its_folder() -> None:
    train("--batches", "2", "--seed", "1", "--out", "run")
    write_cfg(Path("other.cfg"), NET, RNN, CONNECTED, SOFTMAX)
    args = ("other.cfg", "text.txt", "--batches", "20", "--save-every", "5", "--out", "run")
    words = "nothing was saved that a run can continue from"
    assert quit_at(3, *args).lines[-2:] == [words, "interrupted"]
    words = "the last checkpoint in run is whole; to continue from it: darknet-py train --resume"
    assert quit_at(8, *args).lines[-2:] == [f"{words} --out run other", "interrupted"]
    assert invoke("train", "--resume", "--out", "run", "other").status == 0


def test_the_time_of_a_run_is_that_of_training(clock: Clock) -> None:
    """Without the score at its end, however long that takes."""
    own = Validation.compare

    def slowly(self: Validation, net: Network, progress: object) -> float:
        clock.now += 100
        return own(self, net)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "compare", slowly)
        result = dn.train("net.cfg", "text.txt", batches=5, val_every=100, seed=1)
    assert read_checkpoint("backup/net.state").progress["seconds"] == result.seconds < 100


@posix
def test_the_command_that_goes_on_has_the_options_of_the_run() -> None:
    """A run that goes on with other settings, another text or without its end is another run."""
    Path("tokens.txt").write_text(" ".join(str(n * n % 200) for n in range(900)))
    outcome = interrupted(
        *("train", "net.cfg", "tokens.txt", "--tokenized", "--batches", "1000000", "--val", "0"),
        *("--set", "learning_rate=.003", "--save-every", "7", "--dialect", "alexeyab"),
    )
    assert outcome.status == 130
    assert way_on(outcome) == ["train", "--resume"]
    before = read_checkpoint("backup/net.state").plan
    limit = read_header("backup/net.backup").seen // SYMBOLS + 1
    again = invoke(*way_on(outcome), "--batches", str(limit))
    assert again.status == 0, again.stderr
    after = read_checkpoint("backup/net.state").plan
    assert after == dataclasses.replace(before, batches=limit)
    assert (after.val, after.save_every, after.dialect) == (0, 7, "alexeyab")
    assert after.overrides == {"learning_rate": ".003", "tokenized": "1"}


@posix
def test_the_command_that_goes_on_with_rnn_train_by_the_exact_gradient_works() -> None:
    write_cfg(Path("net.cfg"), NET + " max_batches=1000000", RNN, CONNECTED, SOFTMAX)
    args = ("net.cfg", "-file", "text.txt", "-srand", "3", "--gradient", "exact")
    outcome = interrupted("rnn", "train", *args)
    assert outcome.status == 130
    limit = read_header("backup/net.backup").seen // SYMBOLS + 1
    resumed = invoke(*way_on(outcome), "--batches", str(limit))
    assert resumed.status == 0, resumed.stderr
    assert [row["batch"] for row in rows()] == [str(i + 1) for i in range(limit)]
    assert rows()[-1]["val"] == ""


# --- divergence ----------------------------------------------------------------------------------

WILD = (
    "[net] inputs=256 batch=4 time_steps=8 learning_rate=1e9",
    "[rnn] output=8 activation=linear",
    CONNECTED,
    SOFTMAX,
)


def test_a_run_that_diverges_ends_with_one_line_and_whole_files(tmp_path: Path) -> None:
    write_cfg(Path("net.cfg"), *WILD)
    args = ("train", "net.cfg", "text.txt", "--batches", "500", "--save-every", "1")
    outcome = run(*args, "--val-every", "1", "-q", cwd=tmp_path)
    assert outcome.status == 1
    *warnings, error = outcome.lines
    assert all("the held-out loss" in line for line in warnings)
    assert len(warnings) <= 1
    assert error.startswith("Error: ")
    assert "diverged at batch" in error
    assert "learning_rate" in error
    assert not list(tmp_path.rglob("*.part"))
    assert not Path("backup/net_final.weights").exists()
    for name in ("net.backup", "net_best.weights"):
        if (Path("backup") / name).exists():
            assert np.isfinite(floats(Path("backup") / name)).all()
    assert all(None not in row and None not in row.values() for row in rows())


def test_a_run_that_diverges_names_the_checkpoint_that_is_good() -> None:
    train("--batches", "5", "--out", "good")
    write_cfg(Path("net.cfg"), *WILD)
    steps = ("--set", "policy=steps", "--set", "steps=10", "--set", "scales=1e9")
    rate = ("--set", "learning_rate=.01")
    args = ("--batches", "500", "--save-every", "4", "--val", "0", *rate, *steps, "-q")
    outcome = invoke("train", "net.cfg", "text.txt", *args)
    assert "still usable: " in outcome.error()
    assert str(Path("backup/net.backup")) in outcome.error()
    assert np.isfinite(floats("backup/net.backup")).all()
    assert math.isfinite(open_network("backup/net.backup").parameters.sum())


# --- what is refused before training -------------------------------------------------------------


def bad_text(data: bytes) -> Any:
    def make() -> None:
        Path("text.txt").write_bytes(data)

    return make


def bad_cfg(*sections: str) -> Any:
    def make() -> None:
        write_cfg(Path("net.cfg"), *sections)

    return make


def remove(name: str) -> Any:
    def make() -> None:
        Path(name).unlink()

    return make


def folder_at(name: str) -> Any:
    def make() -> None:
        Path(name).unlink()
        Path(name).mkdir()

    return make


def other_weights() -> None:
    write_cfg(Path("wide.cfg"), NET, "[rnn] output=9 activation=tanh", CONNECTED, SOFTMAX)
    dn.load_network("wide.cfg").save_weights("some.weights")


FROM_WEIGHTS = ("--weights", "some.weights")
REFUSED: list[tuple[str, Any, tuple[str, ...], tuple[str, ...]]] = [
    ("an empty text", bad_text(b""), (), ("text.txt", "empty")),
    ("a missing text", remove("text.txt"), (), ("text.txt", "No such file")),
    ("one character", bad_text(b"a"), (), ("text.txt", "time_steps=8")),
    ("a text as long as time_steps", bad_text(b"abcdefgh"), (), ("text.txt", "8 bytes")),
    ("a NUL byte", bad_text(b"ab\0cdefghijk"), (), ("text.txt", "NUL", "2")),
    ("UTF-16", bad_text("\ufeffabcdefghijk".encode("utf-16-le")), (), ("text.txt", "UTF-16")),
    ("an empty folder", folder_at("text.txt"), (), ("text.txt", "no text files")),
    (
        "too few inputs",
        bad_cfg("[net] inputs=100", RNN, "[connected] output=100 activation=linear", SOFTMAX),
        (),
        ("text.txt", "0 to 99", "offset", "inputs="),
    ),
    ("no tokens", bad_text(b"12 x"), ("--tokenized",), ("text.txt", "token 2")),
    ("a missing cfg", remove("net.cfg"), (), ("net.cfg", "tiny")),
    ("a folder as cfg", folder_at("net.cfg"), (), ("net.cfg",)),
    ("an empty cfg", lambda: Path("net.cfg").write_text(""), (), ("net.cfg",)),
    ("no cfg", lambda: Path("net.cfg").write_bytes(os.urandom(500)), (), ("net.cfg",)),
    ("only [net]", bad_cfg(NET), (), ("net.cfg",)),
    ("an unknown layer", bad_cfg(NET, "[crnn] output=3"), (), ("net.cfg:", "crnn")),
    ("a bad value", bad_cfg(NET, "[rnn] output=x", SOFTMAX), (), ("net.cfg:", "output='x'")),
    ("no loss", bad_cfg(NET, RNN, CONNECTED), (), ("net.cfg", "[softmax]")),
    ("other outputs", bad_cfg(NET, RNN, SOFTMAX), (), ("net.cfg", "8 outputs", "256")),
    ("a bad setting", lambda: None, ("--set", "batch=x"), ("--set", "batch='x'")),
    ("a missing validation text", lambda: None, ("--val", "nowhere"), ("nowhere",)),
    ("missing weights", lambda: None, FROM_WEIGHTS, ("some.weights", "No such file")),
    ("weights of another network", other_weights, FROM_WEIGHTS, ("some.weights", "4,504")),
    (
        "weights that are none",
        lambda: Path("some.weights").write_text("no weights, but some text"),
        FROM_WEIGHTS,
        ("some.weights", "version"),
    ),
]


@pytest.mark.parametrize(
    ("make", "args", "named"), [pytest.param(*case, id=name) for name, *case in REFUSED]
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    tmp_path: Path, make: Any, args: tuple[str, ...], named: tuple[str, ...]
) -> None:
    make()
    before = files_in(tmp_path)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "2", *args).error()
    for word in named:
        assert word in error
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    "args",
    [
        ("--batches", "0"),
        ("--batches", "x"),
        ("--time", "soon"),
        ("--time", "0"),
        ("--time", "1..5s"),
        ("--set", "learning_rate"),
        ("--set", "=1"),
        ("--seed", "-1"),
        ("--seed", str(2**32)),
        ("--val", "1"),
        ("--val", "-0.1"),
        ("--val", "nan"),
        ("--val-every", "0"),
        ("--save-every", "0"),
        ("--state", "keep"),
        ("--dialect", "auto"),
        ("--gradient", "other"),
        ("--threads", "0"),
        ("--no-such-option",),
        ("one-more",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(tmp_path: Path, args: tuple[str, ...]) -> None:
    outcome = invoke("train", "net.cfg", "text.txt", *args)
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert outcome.lines[-1].startswith("Error: ")
    assert files_in(tmp_path) == ["net.cfg", "text.txt"]


def test_an_error_in_a_process_of_its_own(tmp_path: Path) -> None:
    Path("text.txt").write_bytes(b"ab\0c")
    args = ("train", "net.cfg", "text.txt", "--batches", "2")
    assert "NUL" in run(*args, cwd=tmp_path).error()
    verbose = run(*args, "-v", cwd=tmp_path)
    assert verbose.status == 1
    assert "Traceback" in verbose.stderr
    assert "NUL" in verbose.lines[-1]


def test_a_run_that_is_too_short_to_hold_text_out_trains_without() -> None:
    Path("text.txt").write_bytes(b"abcdefghijkl")
    outcome = train("--batches", "2")
    assert "without validation" in outcome.stderr
    assert files_in(Path("backup")) == ["net.cfg", "net.csv", "net.state", "net_final.weights"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak memory of a child process")
def test_info_predicts_the_peak_memory_of_training(tmp_path: Path) -> None:
    write_cfg(
        tmp_path / "net.cfg",
        "[net] inputs=256 batch=64 time_steps=100 adam=1",
        "[rnn] output=384 activation=leaky batch_normalize=1",
        "[lstm] output=256",
        CONNECTED,
        SOFTMAX,
    )
    (tmp_path / "text.txt").write_bytes(words(8000).encode())
    said = json.loads(run("info", "net.cfg", "--json", cwd=tmp_path).stdout)["peak_memory"]
    few = ("--batches", "2", "--val-every", "2", "--threads", "1")
    training = [*COMMAND, "train", "net.cfg", "text.txt", *few]
    watch = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, *training], cwd=tmp_path, capture_output=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert said == pytest.approx(int(done.stdout) * unit, rel=0.15)


def test_a_run_that_ends_worse_than_guessing_says_so() -> None:
    outcome = train("--batches", "20", "--seed", "1", "--set", "learning_rate=50")
    assert "worse than guessing (5.55)" in outcome.stderr
    assert "worse than" not in train("--batches", "20", "--seed", "1").stderr


# --- watching ------------------------------------------------------------------------------------


def test_patience_ends_a_run_that_gets_no_better() -> None:
    """From good weights at a rate that is far too large no validation beats the first."""
    train("--batches", "60", "--seed", "1", "--out", "good")
    common = ("--seed", "1", "--val-every", "1", "--set", "learning_rate=.8")
    args = ("--weights", "good/net_final.weights", "--clear", "--batches", "90", *common)
    outcome = train(*args, "--patience", "4")
    table = [float(row["val"]) for row in rows()]
    assert len(table) < 90
    assert table.index(min(table)) == len(table) - 5
    assert "no new best in 4 validations" in outcome.stderr
    assert "--patience" in invoke("train", "--resume").error()
    assert invoke("train", "--resume", "--patience", "6").status == 0
    assert len(rows()) > len(table)


def test_samples_are_shown_and_kept_as_often_as_asked_for() -> None:
    outcome = train("--batches", "12", "--val-every", "2", "--sample-every", "3", "--seed", "1")
    kept = [json.loads(line) for line in Path("backup/net.samples").read_text().splitlines()]
    assert [sample["batch"] for sample in kept] == [6, 12]
    for sample in kept:
        assert f"batch {sample['batch']}, held out {sample['val']:.3f}" in outcome.stderr
        assert len(sample["text"]) > 50
    train("--batches", "12", "--val-every", "2", "--out", "other", "--seed", "1")
    assert (
        floats("other/net_final.weights").tobytes() == floats("backup/net_final.weights").tobytes()
    )
    assert "net.samples" not in files_in(Path("other"))


def test_samples_of_tokens_are_numbers() -> None:
    Path("tokens.txt").write_text(" ".join(str(n * n % 200) for n in range(900)))
    args = ("--tokenized", "--batches", "2", "--val-every", "2", "--sample-every", "1")
    train(*args, text="tokens.txt")
    (line,) = Path("backup/net.samples").read_text().splitlines()
    assert all(word.isdecimal() for word in json.loads(line)["text"].split())


def test_the_curves_are_drawn_where_asked_for() -> None:
    train("--batches", "12", "--val-every", "4", "--plot")
    picture = Path("backup/net.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000


def test_without_matplotlib_a_plot_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "2", "--plot").error()
    assert "a plot needs matplotlib (" in error
    assert error.endswith(": pip install matplotlib")
    assert "net_final.weights" not in files_in(Path("backup"))


def test_a_held_out_loss_that_is_not_finite_stops_nothing_and_is_never_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is recorded, and its meaning is told once; the best network stays the finite one."""
    score = Validation._score
    bad = iter([False, False, True, True, True])

    def scored(self: Validation, *args: Any, **named: Any) -> PiecesScore:
        found = score(self, *args, **named)
        return PiecesScore(math.nan if next(bad, False) else found.nats, found.symbols)

    monkeypatch.setattr(Validation, "_score", scored)
    # The first is what gets the compiled loops ready.
    outcome = train("--batches", "8", "--val-every", "2", "--seed", "1")
    assert outcome.status == 0
    assert [row["val"] for row in rows() if row["val"]][1:] == ["nan"] * 3
    assert read_header("backup/net_best.weights").seen == 2 * SYMBOLS
    assert sum("the held-out loss at batch 4 is nan" in line for line in outcome.lines) == 1
    assert sum("training continues" in line for line in outcome.lines) == 1


def test_a_run_whose_held_out_loss_was_never_finite_ends_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Validation, "_score", lambda *_, **__: PiecesScore(math.inf, 10))
    outcome = train("--batches", "4", "--val-every", "2", "--seed", "1")
    assert outcome.status == 0
    assert "net_best.weights" not in files_in(Path("backup"))
    assert outcome.lines[-1].endswith(str(Path("backup/net_final.weights")))
    resumed = train("--resume", "--batches", "6")
    assert resumed.status == 0


@pytest.mark.parametrize("activation", ["leaky", "relu", "ramp", "linear", "tanh"])
def test_a_young_network_with_batch_norm_runs_freely(activation: str) -> None:
    """Its rolling statistics are a plain mean at first, so that it can be scored and can write."""
    layer = f"[rnn] output=16 activation={activation} batch_normalize=1"
    net = "[net] inputs=256 batch=8 time_steps=16 learning_rate=.02"
    write_cfg(Path("net.cfg"), net, layer, CONNECTED, SOFTMAX)
    train("--batches", "60", "--val-every", "60", "--seed", "1")
    assert float(rows()[-1]["val"]) < float(rows()[0]["loss"])


def test_ctrl_c_in_python_saves_the_run_before_it_is_raised(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def press(row: Row) -> None:
        if row.batch == 3:
            signal.raise_signal(signal.SIGINT)

    args: dict[str, Any] = {"out": "run", "batches": 6, "seed": 1}
    with pytest.raises(KeyboardInterrupt) as error:
        dn.train("net.cfg", "text.txt", progress=True, callback=press, **args)
    saved = f"interrupted; saved {Path('run/net.backup')}"
    assert str(error.value) == f"{saved}: train(resume=True, out='run') continues"
    assert "stopping after this batch" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert dn.train(resume=True, out="run").batches == 6
    dn.train("net.cfg", "text.txt", **{**args, "out": "whole"})
    assert Path("run/net_final.weights").read_bytes() == (
        Path("whole/net_final.weights").read_bytes()
    )


def test_a_handler_of_ones_own_and_a_thread_are_left_alone() -> None:
    presses: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: presses.append(number))
    try:
        with Interruption(only_keys=True) as interruption:
            signal.raise_signal(signal.SIGINT)
            assert presses == [signal.SIGINT]
            assert not interruption.is_asked
    finally:
        signal.signal(signal.SIGINT, before)
    with ThreadPoolExecutor() as pool:
        args: dict[str, Any] = {"out": "run", "batches": 2, "progress": True}
        assert pool.submit(dn.train, "net.cfg", "text.txt", **args).result().batches == 2
