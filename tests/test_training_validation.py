"""Validation while a run trains: one measure, the best file, intervals, memory and the end."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.files import write_whole
from darknet_py.inference import scoring
from darknet_py.network import Network
from darknet_py.parallel import ALONE
from darknet_py.sizes import training_bytes
from darknet_py.text.corpus import read_text, split
from darknet_py.training import validation
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.progress import Progress
from darknet_py.training.run import Row
from darknet_py.training.validation import Validation, validation_rows
from darknet_py.weights import read_header
from tests.support.clock import Clock
from tests.support.commands import invoke
from tests.support.inputs import CONNECTED, NET, SOFTMAX, SYMBOLS, words, write_cfg
from tests.support.runs import rows

TALES = Path(__file__).parent.parent / "data" / "tales.txt"


pytestmark = pytest.mark.usefixtures("run_inputs")


def best_loss(folder: str = "backup", fraction: str = ".1", text: str = "text.txt") -> float:
    """What `valid` finds for the best file."""
    outcome = invoke("valid", f"{folder}/net_best.weights", text, "--val", fraction)
    found = re.search(rb"nats per byte\s+([\d.]+)", outcome.stdout)
    assert found, outcome.stderr
    return float(found[1])


def printed_loss(stderr: str) -> float:
    found = re.search(r"best: .*, (\d+\.\d+) nats", stderr)
    assert found, stderr
    return float(found[1])


# --- the best network -----------------------------------------------------------------------------


def test_the_best_network_survives_a_worse_continuation() -> None:
    """Also where only the last network of the first part was ever scored."""
    args = ("--seed", "1", "--val-every", "500", "--set", "learning_rate=.03")
    first = invoke("train", "net.cfg", "text.txt", "--batches", "60", *args)
    kept = Path("backup/net_best.weights").read_bytes()
    assert printed_loss(first.stderr) == pytest.approx(best_loss(), abs=2e-4)
    worse = invoke("train", "--resume", "--batches", "70", "--set", "learning_rate=3")
    assert worse.status == 0
    assert Path("backup/net_best.weights").read_bytes() == kept
    assert printed_loss(worse.stderr) == printed_loss(first.stderr)


@pytest.mark.parametrize("at", range(1, 12))
def test_the_best_file_survives_a_kill_at_any_write(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when a file has just been written, and gone on with in another way: at the end the
    best file has the lowest loss that any file of that name ever had.
    """
    overrides = {"learning_rate": ".1"}
    how: dict[str, Any] = {"val_every": 3, "save_every": 4, "seed": 1}
    written, lowest = 0, 99.0

    class Killed(BaseException):
        pass

    def write(path: Any, chunks: Any, follow: bool) -> None:
        nonlocal written
        write_whole(path, chunks, follow)
        written += 1
        if written == at:
            raise Killed

    def note() -> None:
        nonlocal lowest
        if Path("backup/net_best.weights").exists():
            lowest = min(lowest, best_loss())

    monkeypatch.setattr("darknet_py.weights.write_whole", write)
    try:
        dn.train(
            "net.cfg",
            "text.txt",
            batches=24,
            overrides=overrides,
            callback=lambda row: note(),
            **how,
        )
    except Killed:
        note()
    else:
        pytest.fail(f"only {written} files were written")
    monkeypatch.undo()
    if not Path("backup/net.state").exists():
        return
    result = dn.train(resume=True, batches=40, overrides={"learning_rate": "5"})
    assert result.best_val == pytest.approx(best_loss(), abs=2e-4)
    assert best_loss() <= lowest + 1e-4


def test_a_lost_best_file_is_written_again_from_the_state() -> None:
    invoke("train", "net.cfg", "text.txt", "--batches", "30", "--seed", "1", "--val-every", "5")
    best = Path("backup/net_best.weights")
    whole = best.read_bytes()
    for left in (None, b"", whole[:100]):
        best.unlink()
        if left is not None:
            best.write_bytes(left)
        batches = 31 if left is None else 31 + len(left) + 1
        result = dn.train(resume=True, batches=batches, overrides={"learning_rate": "0"})
        assert best.exists()
        assert result.best_val == pytest.approx(best_loss(), abs=2e-4)
        assert best_loss() <= printed_or_inf(whole) + 1e-4


def printed_or_inf(weights: bytes) -> float:
    Path("other").mkdir(exist_ok=True)
    Path("other/net_best.weights").write_bytes(weights)
    Path("other/net.cfg").write_bytes(Path("backup/net.cfg").read_bytes())
    return best_loss("other")


def test_with_another_held_out_text_the_best_network_is_scored_again() -> None:
    invoke("train", "net.cfg", "text.txt", "--batches", "30", "--seed", "1", "--val-every", "5")
    Path("hard.txt").write_bytes(bytes(range(33, 120)) * 4)
    args = ("--val", "hard.txt", "--accept-changes", "--set", "learning_rate=0")
    outcome = invoke("train", "--resume", "--batches", "31", *args)
    assert outcome.status == 0
    scored = invoke("valid", "backup/net_best.weights", "hard.txt", "--json")
    assert printed_loss(outcome.stderr) == pytest.approx(
        json.loads(scored.stdout)["nats"], abs=2e-4
    )


# --- what it costs --------------------------------------------------------------------------------


def test_validation_takes_under_a_twentieth_of_the_time_also_after_a_slow_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first batches and the first validation are slow, as where they compile."""
    clock = Clock(monkeypatch)
    clock.batch = clock.validation = 30.0
    begun: list[float] = []

    def note(row: dn.Row) -> None:
        clock.batch = 1.0 if row.batch < 300 else 0.25
        if row.val is not None:
            clock.validation = 4.0
        if row.batch == 60:
            clock.spent = 0.0
            begun.append(clock.now)

    dn.train("net.cfg", "text.txt", batches=3000, seed=1, threads=1, callback=note)
    share = (clock.spent - clock.validation) / (clock.now - begun[0])
    assert 0.01 < share < 0.05


def test_the_score_at_the_end_is_bounded_and_says_of_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By ten seconds, or a twentieth of the run: then it is that of what was scored."""
    monkeypatch.setattr(validation, "MOST", 600)
    monkeypatch.setattr(validation, "LEAST", 600)
    monkeypatch.setattr(validation, "PIECE", 100)
    monkeypatch.setattr(validation, "ROWS", 12)
    now = 0.0
    monkeypatch.setattr("darknet_py.training.run.time.perf_counter", lambda: now)
    calls: list[tuple[int, int]] = []

    def scored(done: int, total: int) -> None:
        nonlocal now
        now += 0.1
        calls.append((done, total))

    Path("text.txt").write_bytes(words(6000).encode())
    result = dn.train("net.cfg", "text.txt", batches=6, seed=1, val=0.5, scoring=scored)
    done, total = calls[-1]
    assert 600 < done < total
    assert (result.scored, result.held_out) == (done, total)
    assert not result.interrupted
    assert 100 <= len(calls) <= 102
    assert result.best_val is not None
    assert Path("backup/net_final.weights").exists()


@pytest.fixture
def small_measure(run_inputs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A held-out text that is many times as long as what is scored of it during the run."""
    monkeypatch.setattr(validation, "MOST", 60)
    monkeypatch.setattr(validation, "LEAST", 60)
    Path("text.txt").write_bytes(words(6000).encode())


@pytest.mark.usefixtures("small_measure")
def test_ctrl_c_ends_the_score_at_the_end_of_a_run_that_is_complete() -> None:
    asked = False

    def scored(done: int, total: int) -> None:
        nonlocal asked
        asked = True

    result = dn.train(
        "net.cfg", "text.txt", batches=6, seed=1, val=0.5, scoring=scored, stop=lambda: asked
    )
    assert asked
    assert 0 < result.scored < result.held_out
    assert not result.interrupted
    assert read_header("backup/net_final.weights").seen == 6 * SYMBOLS
    with pytest.raises(
        dn.TrainingError, match="the run is complete: reached batch 6; give a larger --batches"
    ):
        dn.train(resume=True)


@pytest.mark.usefixtures("small_measure")
def test_ctrl_c_during_that_score_says_what_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def press(self: Progress, done: int, total: int) -> None:
        if done > total // 4:
            signal.raise_signal(signal.SIGINT)
            monkeypatch.setattr(Progress, "scoring", lambda *args: None)

    monkeypatch.setattr(Progress, "scoring", press)
    args = ("train", "net.cfg", "text.txt", "--batches", "6", "--seed", "1", "--val", ".5")
    outcome = invoke(*args)
    assert outcome.status == 0
    assert "ending the score of the held-out text; the run is saved" in outcome.stderr
    assert "stopping after this batch" not in outcome.stderr
    assert re.search(r"nats per byte of [0-9,]+ of the [0-9,]+ held out", outcome.stderr)


@pytest.mark.usefixtures("small_measure")
def test_a_second_ctrl_c_during_that_score_says_that_the_run_is_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def press(self: Progress, done: int, total: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "scoring", press)
    args = ("train", "net.cfg", "text.txt", "--batches", "6", "--seed", "1", "--val", ".5")
    outcome = invoke(*args)
    assert outcome.status == 130
    complete = "the run is complete; next: darknet-py generate backup"
    assert outcome.lines[-2:] == [complete, "interrupted"]
    assert invoke("generate", "backup", "--length", "3").status == 0


@pytest.mark.usefixtures("small_measure")
def test_a_run_that_is_stopped_is_saved_before_its_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score is shown, and a second Ctrl-C loses nothing."""

    def press(self: Progress, done: int, total: int) -> None:
        assert Path("backup/net.state").exists()
        signal.raise_signal(signal.SIGINT)

    def press_after(self: Progress, row: Row) -> None:
        shown(self, row)
        rows.append(row)
        if row.val is None and any(each.val is not None for each in rows):
            signal.raise_signal(signal.SIGINT)

    rows: list[Row] = []
    shown = Progress.__call__
    monkeypatch.setattr(Progress, "__call__", press_after)
    monkeypatch.setattr(Progress, "scoring", press)
    args = ("train", "net.cfg", "text.txt", "--batches", "60", "--seed", "1", "--val", ".5")
    outcome = invoke(*args)
    assert outcome.status == 130
    assert "stopping after this batch" in outcome.stderr
    whole = "the last checkpoint in backup is whole; to continue from it: darknet-py train --resume"
    assert outcome.lines[-2:] == [whole, "interrupted"]
    assert read_header("backup/net.backup").seen == len(rows) * SYMBOLS


@pytest.mark.usefixtures("small_measure")
def test_the_report_shows_that_score() -> None:
    """Of a run that has not come to its end, what it has measured of how much."""
    stop = iter([False] * 12 + [True])
    dn.train("net.cfg", "text.txt", batches=24, seed=1, val=0.5, stop=lambda: next(stop))
    shown = r"best held-out loss</th><td>([0-9.]+) nats per byte .*, over ([0-9,]+) bytes"
    found = re.search(shown, dn.report("backup").read_text(encoding="utf-8"))
    assert found
    assert found[2] == "60"
    result = dn.train(resume=True)
    found = re.search(shown, dn.report("backup").read_text(encoding="utf-8"))
    assert found
    assert found[1] == f"{result.best_val:.4f}"
    held_out = Path("text.txt").stat().st_size // 2
    assert found[2] == f"{held_out - 1:,}"
    assert result.scored == result.held_out == held_out - 1


@pytest.mark.usefixtures("small_measure")
def test_the_command_shows_that_score(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(Progress, "scoring", lambda self, done, total: shown.append((done, total)))
    outcome = invoke("train", "net.cfg", "text.txt", "--batches", "6", "--seed", "1")
    assert shown[-1][0] == shown[-1][1]
    assert re.search("of all [0-9,]+ held out", outcome.stderr)
    assert printed_loss(outcome.stderr) == pytest.approx(best_loss(), abs=0.002)


@pytest.mark.usefixtures("small_measure")
def test_what_a_run_says_last_is_what_it_has_written() -> None:
    """With the figures of the same networks on a part of the held-out text and on all of it."""
    args = ("--batches", "24", "--seed", "1", "--val-every", "10")
    said = invoke("train", "net.cfg", "text.txt", *args).stderr
    table = rows(Path("backup"))
    losses = [float(row["val"]) for row in table if row["val"]]
    shown = re.search(
        r"validation: ([0-9.]+) after batch 24, lowest ([0-9.]+): nats per byte of 60 of the "
        r"([0-9,]+) held out\nbest: (.+), ([0-9.]+) nats per byte of all ([0-9,]+) held out "
        r"\(perplexity ([0-9.]+)\)\n",
        said,
    )
    assert shown
    assert shown[1] == f"{float(table[-1]['val']):.4f}"
    assert shown[2] == f"{min(losses):.4f}"
    scored = invoke("valid", "backup", "text.txt", "--val", ".1", "--json", "--streams", "64")
    whole = json.loads(scored.stdout)
    assert shown[3] == shown[6] == f"{whole['characters']:,}"
    assert Path(shown[4]) == Path("backup/net_best.weights")
    assert float(shown[5]) == pytest.approx(whole["nats"], abs=2e-4)
    assert float(shown[7]) == pytest.approx(whole["perplexity"], rel=0.001, abs=0.1)
    seen: list[dn.Row] = []
    result = dn.train("net.cfg", "text.txt", batches=24, seed=1, val_every=10, callback=seen.append)
    assert [row.batch for row in seen if row.val is not None] == [10, 20, 24]
    assert (result.val, result.val_batch) == (seen[-1].val, 24)
    assert f"{result.lowest_val:.6f}" == f"{min(losses):.6f}"
    assert (result.measured, result.scored) == (60, result.held_out)
    assert f"{result.best_val:.4f}" == shown[5]


def test_a_stopped_run_validates_its_last_network(clock: Clock) -> None:
    seen: list[dn.Row] = []
    first = dn.train(
        "net.cfg", "text.txt", seed=1, callback=seen.append, stop=lambda: len(seen) >= 14
    )
    assert [row.batch for row in seen] == [*range(1, 15), 14]
    table = rows(Path("backup"))
    shown = [list(row.values()) for row in table]
    assert shown == [row.cells() for row in [*seen[:13], seen[-1]]]
    assert seen[-1].val == first.val is not None
    assert seen[-1].seconds == first.seconds
    second = dn.train(resume=True, batches=16, callback=seen.append)
    table = rows(Path("backup"))
    assert [row["batch"] for row in table] == [str(batch) for batch in range(1, 17)]
    assert table[-1]["val"] == f"{second.val:.6f}"
    assert second.seconds == seen[-1].seconds == float(table[-1]["seconds"])
    assert second.seconds == read_checkpoint("backup/net.state").progress["seconds"]


# --- held-out text that represents ----------------------------------------------------------------


def two_texts() -> bytes:
    """A text whose second half is harder than the first: bytes that nothing foretells."""
    easy = b"ab" * 8000
    return easy + np.random.default_rng(1).integers(100, 250, len(easy), np.uint8).tobytes()


def test_a_held_out_text_unlike_the_rest_is_told_once() -> None:
    Path("text.txt").write_bytes(two_texts())
    args = ("train", "net.cfg", "text.txt", "--batches", "140", "--seed", "1", "--val-every", "5")
    # Of a few bytes nothing is known yet.
    assert "differs from the rest" not in invoke(*args, "--batches", "60").stderr
    told = [line for line in invoke(*args).lines if "differs from the rest" in line]
    assert len(told) == 1
    assert "--val-from spread" in told[0]
    assert "differs from the rest" not in invoke(*args, "--val-from", "spread").stderr
    # Weights may know the text by heart.
    learned = ("--weights", "backup/net_best.weights", "--out", "other", "--clear")
    assert "differs from the rest" not in invoke(*args, *learned).stderr


@pytest.mark.parametrize("val_from", ["end", "spread"])
def test_valid_warns_where_the_part_is_not_the_one_held_out(val_from: str) -> None:
    args = ("--batches", "5", "--val", ".1", "--val-from", val_from)
    assert invoke("train", "net.cfg", "text.txt", *args).status == 0
    other = {"end": "spread", "spread": "end"}[val_from]
    for part, advice in (
        ((), "--val 0.1 scores"),
        (("--val", ".2"), "--val 0.1 scores"),
        (("--val", ".05", "--val-from", val_from), "--val 0.1 scores"),
        (("--val", ".1", "--val-from", other), f"--val 0.1 --val-from {val_from} scores"),
        (("--val", ".1"), None),
        (("--val", ".1", "--val-from", val_from), None),
    ):
        said = invoke("valid", "backup", "text.txt", *part, "-q").stderr
        assert ("warning: the network was trained on this text" in said) == (advice is not None)
        assert (advice or "") in said


def test_valid_warns_of_parts_where_another_file_was_held_out() -> None:
    Path("held.txt").write_bytes(Path("text.txt").read_bytes()[:900])
    args = ("train", "net.cfg", "text.txt", "--batches", "5", "--val", "held.txt")
    assert invoke(*args).status == 0
    said = invoke("valid", "backup", "text.txt", "--val", ".1", "-q").stderr
    assert "trained on this text" in said
    assert "held.txt" in said
    assert "warning" in invoke("valid", "backup", "held.txt", "--val", ".1", "-q").stderr
    assert invoke("valid", "backup", "held.txt", "-q").stderr == ""
    assert invoke(*args[:-1], "0").status == 0
    said = invoke("valid", "backup", "text.txt", "--val", ".1", "-q").stderr
    assert "trained on this text" in said


def test_valid_tells_of_a_text_that_was_trained_on() -> None:
    assert invoke("train", "net.cfg", "text.txt", "--batches", "5", "--val", ".25").status == 0
    Path("other.txt").write_bytes(Path("text.txt").read_bytes())
    told = "trained on this text; --val 0.25 scores only the part that was held out"
    for args, is_told in (
        (("backup", "text.txt"), True),
        (("backup/net_best.weights", Path("text.txt").absolute()), True),
        (("backup", "text.txt", "--val", ".25"), False),
        (("backup", "other.txt"), False),
    ):
        assert (told in invoke("valid", *args).stderr) == is_told
    assert invoke("train", "net.cfg", "text.txt", "--batches", "5", "--val", "0").status == 0
    assert "the network was trained on this text\n" in invoke("valid", "backup", "text.txt").stderr


def test_spread_blocks_are_what_valid_and_resume_take_again() -> None:
    Path("text.txt").write_bytes(two_texts())
    spread = ("--val-from", "spread")
    args = ("train", "net.cfg", "text.txt", "--seed", "1", "--batches")
    trained = invoke(*args, "30", *spread)
    assert "held out: 10 blocks" in trained.stderr
    found = []
    Path("apart").mkdir()
    for suffix in ("_best.weights", ".cfg"):
        shutil.copy(f"backup/net{suffix}", "apart")
    for run, where in (
        ("backup", spread),
        ("backup", ()),
        ("backup", ("--val-from", "end")),
        ("apart", ()),
    ):
        outcome = invoke("valid", run, "text.txt", "--val", ".1", *where, "--json")
        assert ("from spread, as in the run" in outcome.stderr) == (run == "backup" and not where)
        found.append(json.loads(outcome.stdout)["nats"])
    assert found[0] == pytest.approx(printed_loss(trained.stderr), abs=0.002)
    assert found[1] == found[0]
    assert found[2] == found[3]
    assert abs(found[2] - found[0]) > 0.1
    assert invoke("train", "--resume", "--batches", "33").status == 0
    other = invoke("train", "--resume", "--batches", "36", "--val-from", "end")
    assert other.status == 1
    # Before it, that the text is not UTF-8.
    assert other.lines[-1].startswith("Error: ")
    assert "--val-from end" in other.lines[-1]
    assert "--accept-changes" in other.lines[-1]


# --- memory ---------------------------------------------------------------------------------------


def test_validation_uses_as_many_rows_as_training_or_what_is_free() -> None:
    write_cfg(
        Path("tokens.cfg"),
        "[net] inputs=5000 batch=4 time_steps=8 tokenized=1",
        "[gru] output=8",
        "[connected] output=5000 activation=linear",
        SOFTMAX,
    )
    net = dn.load_network("tokens.cfg")
    needed = training_bytes(net)
    assert validation_rows(net, needed) == 32
    assert validation_rows(net, 1) == 32
    assert validation_rows(net, 1 << 40) == scoring.ROWS


def test_no_forward_of_a_run_has_more_rows_than_memory_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With memory that training just fits into, and after --resume."""
    write_cfg(Path("net.cfg"), NET + " tokenized=1", "[gru] output=8", CONNECTED, SOFTMAX)
    Path("tokens.txt").write_text(" ".join(str(n * n % 251) for n in range(3000)))
    net = dn.load_network("net.cfg")
    limit = training_bytes(net) + 1000
    rows: list[int] = []
    forward = Network.forward

    def watched(net: Network, symbols: Any, *args: Any, **named: Any) -> Any:
        rows.append(symbols.size)
        return forward(net, symbols, *args, **named)

    monkeypatch.setattr(Network, "forward", watched)
    monkeypatch.setattr("darknet_py.training.build.memory", lambda: 2 * limit)
    args = ("--tokenized", "--seed", "1", "--val-every", "2")
    invoke("train", "net.cfg", "tokens.txt", "--batches", "4", *args)
    invoke("train", "--resume", "--batches", "8")
    assert max(rows) == 32
    assert read_header("backup/net_final.weights").seen == 8 * SYMBOLS


# --- agreement ------------------------------------------------------------------------------------


def test_the_measure_is_what_valid_finds() -> None:
    """Exactly on a short text; nearly where the text is read in pieces."""
    for fraction, tolerance in ((0.1, 1e-5), (0.5, 0.002)):
        data = TALES.read_bytes()[:40_000]
        Path("tales.txt").write_bytes(data)
        result = dn.train(
            "net.cfg", "tales.txt", batches=60, seed=1, val=fraction, out=str(fraction)
        )
        net = dn.load_network(
            f"{fraction}/net.cfg", f"{fraction}/net_best.weights", batch=1, time_steps=1
        )
        held_out = split(read_text("tales.txt"), fraction)[1]
        assert result.scored == result.held_out
        assert dn.evaluate(net, held_out).nats == pytest.approx(result.best_val, abs=tolerance)


def test_text_symbols_of_the_measure_depend_on_the_network_alone() -> None:
    text = np.zeros(1_000_000, np.uint8)
    small = Validation(dn.load_network("tiny"), text, None, 1 << 30, ALONE)
    large = Validation(dn.load_network("rnn"), text, None, 1 << 30, ALONE)
    assert small.symbols == validation.MOST
    assert validation.LEAST <= large.symbols < validation.MOST
    assert Validation(dn.load_network("tiny"), text[:500], None, 1 << 30, ALONE).symbols == 499


def kept_samples(folder: str) -> list[int]:
    """The batches of the samples that a run has kept."""
    path = Path(folder, "net.samples")
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["batch"] for line in lines]


def test_a_few_samples_are_kept_once_the_loss_beats_letter_frequencies() -> None:
    args = ("train", "net.cfg", "text.txt", "--val-every", "8", "--seed", "1")
    outcome = invoke(*args, "--batches", "200", "--out", "whole")
    assert "---" not in outcome.stderr
    text = Path("text.txt").read_bytes()
    held_out = text[len(text) - int(len(text) * 0.1) :]
    shares = [count / (len(held_out) - 1) for count in Counter(held_out[1:]).values()]
    letters = -sum(share * math.log(share) for share in shares)
    losses = [float(row["val"]) for row in rows("whole") if row["val"]]
    first = next(number for number, loss in enumerate(losses, 1) if loss < letters)
    assert 1 < first < 12
    assert kept_samples("whole")[:2] == [first * 8, first * 16]
    assert len(kept_samples("whole")) < 6
    # The same in two parts, from between the first and the second.
    invoke(*args, "--batches", str(first * 8 + 3), "--out", "parts", "-q")
    assert kept_samples("parts") == [first * 8]
    invoke("train", "--resume", "parts", "--batches", "200", "-q")
    assert Path("parts/net.samples").read_bytes() == Path("whole/net.samples").read_bytes()
    invoke(*args, "--batches", "200", "--out", "none", "--sample-every", "0", "-q")
    assert kept_samples("none") == []
    losses = [float(row["val"]) for row in rows("none") if row["val"]]
    assert losses == [float(row["val"]) for row in rows("whole") if row["val"]]
