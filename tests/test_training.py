"""Runs of training: their files, their numbers, and what options make of them."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.cfg import read_cfg
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.text.corpus import Streams, read_text, split
from darknet_py.trainer.trainer import Trainer
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.run import CSV_COLUMNS
from darknet_py.training.validation import Validation
from darknet_py.weights import read_header
from tests.support.clock import Clock
from tests.support.commands import BATCH_LINE, COMMAND, invoke, run
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
from tests.support.runs import FILES, files_in, floats, lines_of_batches, rows, train

pytestmark = pytest.mark.usefixtures("run_inputs")


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
    assert others[-2] == f"next: darknet-py generate {Path('backup/net_best.weights')}"
    assert others[-1] == "to see how it went: darknet-py report backup"
    for line in others[-2:]:
        command = line.partition("darknet-py ")[2]
        assert run(*shlex.split(command), cwd=tmp_path).status == 0


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
    assert files_in(Path("backup")) == FILES
    assert {row["val"] for row in rows()} == {""}
    assert "validation" not in outcome.stderr
    assert "held-out" not in outcome.stderr
    assert outcome.lines[-2].endswith(str(Path("backup/net_final.weights")))


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
    said = train("--batches", "3", "--tokenized", text="tokens.txt").lines[-2]
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


def test_quiet_training_says_nothing() -> None:
    assert train("--batches", "3", "-q").stderr == ""


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
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen[0].loss = 0.0  # type: ignore[misc]


def test_the_function_and_the_command_are_one_run() -> None:
    train("--batches", "5", "--seed", "1", "--out", "a")
    dn.train(read_cfg("net.cfg"), "text.txt", out="b", batches=5, seed=1)
    assert Path("a/net_final.weights").read_bytes() == Path("b/net_final.weights").read_bytes()
    assert Path("a/net.cfg").read_bytes() == Path("b/net.cfg").read_bytes()


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
    outcome = train("--batches", "12", "--val-every", "4", "--plot")
    assert f"curves: {Path('backup/net.png')}" in outcome.lines
    picture = Path("backup/net.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000


@pytest.mark.parametrize("activation", ["leaky", "relu", "ramp", "linear", "tanh"])
def test_a_young_network_with_batch_norm_runs_freely(activation: str) -> None:
    """Its rolling statistics are a plain mean at first, so that it can be scored and can write."""
    layer = f"[rnn] output=16 activation={activation} batch_normalize=1"
    net = "[net] inputs=256 batch=8 time_steps=16 learning_rate=.02"
    write_cfg(Path("net.cfg"), net, layer, CONNECTED, SOFTMAX)
    train("--batches", "60", "--val-every", "60", "--seed", "1")
    assert float(rows()[-1]["val"]) < float(rows()[0]["loss"])
