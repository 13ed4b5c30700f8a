"""Going on with a run: what was stopped, killed or out of disk ends as if nothing had happened."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.errors import DarknetError
from darknet_py.files import writing_whole
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.folder import LOCK
from tests.support.clock import Clock
from tests.support.commands import invoke, run
from tests.support.disk import FailingDisk
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, SYMBOLS, words, write_cfg
from tests.support.processes import posix, start, wait_for_batch
from tests.support.runs import (
    all_files_are_readable,
    files_in,
    read_state,
    rows,
    same_files,
    write_state,
)

pytestmark = pytest.mark.usefixtures("run_inputs")

OPTIONS = ("--seed", "3", "--val-every", "3", "--save-every", "4", "--sample-every", "2", "-q")


KINDS: dict[str, tuple[str, ...]] = {
    "adam": (NET, RNN, CONNECTED, SOFTMAX),
    "momentum, carried state": (
        "[net] inputs=256 batch=4 time_steps=8 learning_rate=.1 momentum=.9 decay=.001 state=carry",
        "[rnn] output=8 activation=tanh",
        "[lstm] output=5",
        CONNECTED,
        SOFTMAX,
    ),
    "batch norm, subdivisions": (
        "[net] inputs=256 batch=8 subdivisions=2 time_steps=6 learning_rate=.1 policy=poly"
        " max_batches=100",
        "[rnn] output=8 activation=leaky batch_normalize=1",
        CONNECTED,
        SOFTMAX,
    ),
    "weight decay": (f"{NET} weight_decay=.5", RNN, CONNECTED, SOFTMAX),
    "averaged": (f"{NET} average=.3", RNN, CONNECTED, SOFTMAX),
    "dropconnect": (f"{NET} dropconnect=.3", RNN, "[lstm] output=5", CONNECTED, SOFTMAX),
    "dropout, random rates": (
        "[net] inputs=256 batch=4 time_steps=8 learning_rate=.1 policy=random power=1 state=carry",
        "[gru] output=8",
        "[dropout] probability=.4",
        CONNECTED,
        SOFTMAX,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stops", [(5,), (1, 2, 3), (4, 12), (23,)])
def test_a_stopped_run_ends_like_one_that_was_not(kind: str, stops: tuple[int, ...]) -> None:
    write_cfg(Path("net.cfg"), *KINDS[kind])
    options: dict[str, Any] = {"seed": 3, "val_every": 3, "save_every": 4, "sample_every": 2}
    dn.train("net.cfg", "text.txt", out="whole", batches=24, **options)
    reached = 0

    def note(row: dn.Row) -> None:
        nonlocal reached
        reached = row.batch

    for number, stop in enumerate((*stops, 24)):
        # The last time nothing stops it, the last validation included.
        at = stop if stop < 24 else 99
        until: dict[str, Any] = {"callback": note, "stop": partial(lambda at: reached >= at, at)}
        if number == 0:
            dn.train("net.cfg", "text.txt", out="stopped", batches=24, **options, **until)
        else:
            dn.train(resume=True, out="stopped", **until)
        assert reached == stop
    same_files(Path("whole"), Path("stopped"), but=(".backup",))
    assert files_in(Path("stopped"))


def test_the_c_net_of_the_c_program_goes_on_exactly() -> None:
    write_cfg(Path("net.cfg"), NET.replace("adam=1", "adam=0"), RNN, CONNECTED, SOFTMAX)
    common: dict[str, Any] = {"seed": 3, "val_every": 3, "gradient": "darknet-cpu"}
    dn.train("net.cfg", "text.txt", out="whole", batches=12, **common)
    dn.train("net.cfg", "text.txt", out="stopped", batches=6, **common)
    dn.train(out="stopped", resume=True, batches=12)
    same_files(Path("whole"), Path("stopped"))


def test_a_run_may_begin_to_average_and_end_to() -> None:
    """From the parameters that it has, as one that always did where the newest counts alone."""
    dn.train("net.cfg", "text.txt", out="begun", batches=4, seed=3)
    begun = dn.train(resume=True, out="begun", batches=5, overrides={"average": 0.2})
    always = dn.train(
        "net.cfg", "text.txt", out="always", batches=5, seed=3, overrides={"average": 0.2}
    )
    np.testing.assert_array_equal(begun.net.parameters, always.net.parameters)
    ended = dn.train(resume=True, out="always", batches=9, overrides={"average": 0})
    never = dn.train("net.cfg", "text.txt", out="never", batches=9, seed=3)
    np.testing.assert_array_equal(ended.net.parameters, never.net.parameters)


def test_tokens_are_remembered() -> None:
    Path("tokens.txt").write_text(" ".join(str(n * n % 200) for n in range(900)))
    common: dict[str, Any] = {"seed": 3, "val_every": 5, "tokenized": True}
    dn.train("net.cfg", "tokens.txt", out="whole", batches=12, **common)
    dn.train("net.cfg", "tokens.txt", out="stopped", batches=5, **common)
    dn.train(out="stopped", resume=True, batches=12)
    same_files(Path("whole"), Path("stopped"))


def test_a_finished_run_goes_on_with_more_batches_from_another_folder(tmp_path: Path) -> None:
    invoke("train", "net.cfg", "text.txt", "--batches", "24", "--out", "whole", *OPTIONS)
    invoke("train", "net.cfg", "text.txt", "--batches", "9", "--out", "runs/a", *OPTIONS)
    ended = invoke("train", "--resume", "--out", "runs/a").error()
    assert "batch 9" in ended
    assert "--batches" in ended
    (tmp_path / "elsewhere").mkdir()
    args = ("train", "--resume", "--batches", "24", "--out", tmp_path / "runs" / "a")
    again = run(*args, cwd=tmp_path / "elsewhere")
    assert again.status == 0, again.stderr
    assert "continuing after batch 9" in again.stderr
    same_files(Path("whole"), Path("runs/a"), but=(".backup",))


def test_elapsed_time_and_average_go_on(clock: Clock) -> None:
    clock.validation = 0.0
    first = dn.train("net.cfg", "text.txt", batches=6, seed=1)
    seen: list[dn.Row] = []
    second = dn.train(resume=True, batches=8, callback=seen.append)
    assert seen[0].batch == 7
    assert seen[0].seconds == first.seconds + clock.batch == 7
    assert seen[0].avg == pytest.approx(0.9 * first.avg + 0.1 * seen[0].loss)
    assert second.symbols == 8 * first.symbols // 6
    assert second.seconds == seen[-1].seconds == 8
    over = invoke(
        "train", "--resume", "--batches", "99", "--time", f"{first.seconds / 2:f}s"
    ).error()
    assert "--time" in over


# --- which run ---------------------------------------------------------------------------------


@pytest.fixture
def two_runs(run_inputs: None) -> None:
    """The run `net` in backup, and `net` and `other` in the folder `net`."""
    shutil.copy("net.cfg", "other.cfg")
    dn.train("net.cfg", "text.txt", batches=2, seed=1)
    dn.train("net.cfg", "text.txt", out="net", batches=3, seed=1)
    dn.train("net.cfg", "text.txt", out="runs/a", batches=4, seed=1)
    dn.train("other.cfg", "text.txt", out="both", batches=5, seed=1)
    dn.train("net.cfg", "text.txt", out="both", batches=6, seed=1)


@pytest.mark.parametrize(
    ("named", "batch"),
    [
        ("", 2),
        ("net.cfg", 2),
        ("net", 3),
        ("runs/a", 4),
        ("runs/a/net.state", 4),
        ("runs/a/net_final.weights", 4),
        ("runs/a/net_best.weights text.txt", 4),
        ("runs/a/net.cfg", 4),
        ("both/other.csv", 5),
        ("both/net.state", 6),
        ("other --out both", 5),
        ("--out runs/a", 4),
        ("--out runs/a net.cfg text.txt", 4),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_a_run_is_resumed_by_its_folder_a_file_of_it_or_its_name(named: str, batch: int) -> None:
    outcome = invoke("train", "--resume", *named.split(), "--batches", "9")
    assert outcome.status == 0, outcome.stderr
    assert f"continuing after batch {batch}\n" in outcome.stderr


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("net --out runs/a", "leave out --out runs/a"),
        ("both/net.state --out both", "leave out --out both"),
        ("both", "both holds several runs (net, other): name one"),
        ("empty", "empty holds no run"),
        ("third", "third.state is missing"),
        ("alone_final.weights", "--weights alone_final.weights"),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_what_names_no_run_is_told_apart(named: str, told: str) -> None:
    Path("empty").mkdir()
    shutil.copy("backup/net_final.weights", "alone_final.weights")
    assert told in invoke("train", "--resume", *named.split(), "--batches", "9").error()


@pytest.mark.usefixtures("two_runs")
def test_a_folder_without_a_run_hides_no_name() -> None:
    Path("other").mkdir()
    assert dn.train("other", out="both", resume=True, batches=9).weights.parent == Path("both")
    assert dn.train("runs/a", resume=True, batches=9).weights.parent == Path("runs/a")
    assert dn.report("both/other_final.weights").name == "other.html"


# --- what does not fit ---------------------------------------------------------------------------


def resume_error(*args: str | Path) -> str:
    before = {name: Path("backup", name).read_bytes() for name in files_in(Path("backup"))}
    error = invoke("train", "--resume", "--batches", "20", *args).error()
    assert before == {name: Path("backup", name).read_bytes() for name in files_in(Path("backup"))}
    return error


@pytest.fixture
def begun(run_inputs: None) -> None:
    outcome = invoke("train", "net.cfg", "text.txt", "--batches", "5", "--seed", "1", "-q")
    assert outcome.status == 0


@pytest.mark.usefixtures("begun")
def test_another_text_is_refused_unless_told_otherwise() -> None:
    Path("text.txt").write_bytes(words(500, seed=8).encode())
    error = resume_error()
    assert "text.txt" in error
    assert "--accept-changes" in error
    outcome = invoke("train", "--resume", "--batches", "9", "--accept-changes")
    assert outcome.status == 0, outcome.stderr
    assert "warning" in outcome.stderr
    assert invoke("train", "--resume", "--batches", "11").status == 0


@pytest.mark.usefixtures("begun")
def test_another_cfg_is_named_and_refused_unless_told_otherwise() -> None:
    write_cfg(Path("net.cfg"), NET.replace(".01", ".02"), RNN, CONNECTED, SOFTMAX)
    error = resume_error()
    assert "net.cfg" in error
    assert "in [net] learning_rate='.01' became '.02'" in error
    outcome = invoke("train", "--resume", "--batches", "9", "--accept-changes")
    assert outcome.status == 0, outcome.stderr
    assert "learning_rate=.02" in Path("backup/net.cfg").read_text()
    Path("net.cfg").unlink()
    assert invoke("train", "--resume", "--batches", "11").status == 0


@pytest.mark.usefixtures("begun")
def test_comments_of_a_cfg_may_change() -> None:
    Path("net.cfg").write_text("# a comment\n" + Path("net.cfg").read_text())
    assert invoke("train", "--resume", "--batches", "9").status == 0


@pytest.mark.usefixtures("begun")
def test_another_network_cannot_go_on() -> None:
    assert "--set rnn.output=9: with other layers" in resume_error("--set", "rnn.output=9")
    write_cfg(Path("net.cfg"), NET, RNN.replace("8", "9"), CONNECTED, SOFTMAX)
    for args in ((), ("--accept-changes",)):
        error = resume_error(*args)
        assert "in [rnn] output='8' became '9': with other layers a run cannot continue" in error
        assert "accept-changes" not in error
    write_cfg(Path("net.cfg"), NET, RNN, RNN, CONNECTED, SOFTMAX)
    assert "3 layers became 4: with other layers" in resume_error()
    write_cfg(Path("net.cfg"), NET, "[gru]\noutput=8\ntanh=1\n", CONNECTED, SOFTMAX)
    assert "[rnn] became [gru]: with other layers" in resume_error()
    write_cfg(Path("net.cfg"), NET.replace("adam=1", ""), RNN, CONNECTED, SOFTMAX)
    assert "does not fit" in resume_error("--accept-changes")


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("name", ["statistics_steps", "validation"])
def test_a_state_that_lacks_something_is_refused(name: str) -> None:
    state = Path("backup/net.state")
    facts, arrays = read_state(state)
    del facts["progress"][name]
    write_state(state, facts, arrays)
    assert name in resume_error("--accept-changes")


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--seed", "2"), "--seed 1"),
        (("--dialect", "alexeyab"), "--dialect upstream"),
        (("--gradient", "darknet-cpu"), "--gradient exact"),
        (("--set", "batch=8"), "batch=4"),
        (("--set", "time_steps=9"), "time_steps=8"),
        (("--weights", "backup/net_final.weights"), "--weights"),
        (("--clear",), "--clear"),
        (("--val", "0"), "--val 0"),
        (("other.cfg",), "other.state"),
        (("net.cfg", "missing.txt"), "missing.txt"),
        (("--out", "nowhere"), "nowhere"),
    ],
)
def test_options_that_cannot_change(args: tuple[str, ...], words: str) -> None:
    assert words in resume_error(*args)


@pytest.mark.usefixtures("begun")
def test_options_that_can_change() -> None:
    args = ("--set", "learning_rate=.003", "--save-every", "2", "--patience", "50", "--seed", "1")
    assert invoke("train", "--resume", "--batches", "9", *args).status == 0
    plan = read_checkpoint("backup/net.state").plan
    assert (plan.save_every, plan.patience, plan.batches) == (2, 50, 9)
    assert plan.overrides == {"learning_rate": ".003"}
    assert [row["rate"] for row in rows()] == ["0.01"] * 5 + ["0.003"] * 4


@pytest.mark.usefixtures("begun")
def test_several_runs_in_a_folder_need_a_name() -> None:
    shutil.copy("net.cfg", "two.cfg")
    invoke("train", "two.cfg", "text.txt", "--batches", "5", "-q")
    error = resume_error()
    assert "holds several runs (net, two): name one" in error
    assert invoke("train", "--resume", "two", "--batches", "6").status == 0


@pytest.mark.usefixtures("begun")
def test_a_text_from_stdin_is_asked_for_again() -> None:
    text = Path("text.txt").read_bytes()
    out = ("--out", "piped")
    assert invoke("train", "net.cfg", "-", "--batches", "5", *out, stdin=text).status == 0
    error = invoke("train", "--resume", "--batches", "6", *out).error()
    assert "did not come from a file; give the same text again" in error
    assert error.endswith("--out piped net -")
    assert invoke("train", "--resume", "net", "-", "--batches", "6", *out, stdin=text).status == 0


def test_without_resume_a_cfg_and_a_text_are_asked_for() -> None:
    for args in ((), ("net.cfg",)):
        outcome = invoke("train", *args)
        assert outcome.status == 2
        assert "--resume" in outcome.stderr


@pytest.mark.usefixtures("begun")
def test_a_damaged_state_is_one_line() -> None:
    state = Path("backup/net.state")
    whole = state.read_bytes()
    rng = random.Random(1)
    cuts = [
        0,
        1,
        21,
        len(whole) // 2,
        len(whole) - 1,
        *(rng.randrange(len(whole)) for _ in range(20)),
    ]
    for cut in cuts:
        state.write_bytes(whole[:cut])
        assert "net.state" in resume_error()
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        state.write_bytes(damaged)
        with suppress(DarknetError):  # Not every bit of an archive matters.
            dn.train(resume=True, batches=6)
    np.save("backup/net.npy", np.ones(3))
    shutil.move("backup/net.npy", state)
    assert "net.state" in resume_error()


# --- killed --------------------------------------------------------------------------------------


@posix
def test_runs_killed_at_random_moments_end_in_the_same_bytes() -> None:
    Path("text.txt").write_bytes(words(100).encode())
    args = ("net.cfg", "text.txt", "--seed", "3", "--val-every", "5", "--save-every", "1")
    # Without the compiler, which takes each process a second to load.
    common = ("--batches", "400", "--engine", "numpy")
    assert invoke("train", *args, *common, "--out", "whole").status == 0
    rng = random.Random(os.environ.get("PYTEST_SEED", "kill"))
    reached = kills = 0
    status = None
    way: tuple[str, ...] = args
    while status is None:
        process = start("train", *way, *common, "--out", "killed", "-v")
        try:
            if kills < 5:
                reached = wait_for_batch(process, reached + rng.randrange(2, 60))
                process.kill()
                process.communicate()
                if process.returncode == 0:
                    break
                kills += 1
                all_files_are_readable(Path("killed"))
                way = ("--resume",)
            else:
                _, error = process.communicate()
                status = process.returncode
                assert status == 0, error
        finally:
            process.kill()
    assert kills == 5
    same_files(Path("whole"), Path("killed"), but=(".backup",))


@posix
def test_a_second_run_in_a_folder_is_refused_and_a_killed_one_leaves_no_lock() -> None:
    endless = ("--batches", "1000000", "--save-every", "1", "-v")
    process = start("train", "net.cfg", "text.txt", *endless)
    try:
        wait_for_batch(process, 2)
        before = files_in(Path("backup"))
        shutil.copy("net.cfg", "two.cfg")
        for args in (("net.cfg", "text.txt"), ("two.cfg", "text.txt"), ("--resume",)):
            error = invoke("train", *args, "--batches", "3").error()
            assert "another run" in error
            assert str(Path("backup")) in error
        assert {name for name in files_in(Path("backup")) if not name.endswith(".part")} >= {
            name for name in before if not name.endswith(".part")
        }
    finally:
        process.kill()
        process.communicate()
    assert Path("backup", LOCK).exists()
    limit = read_checkpoint("backup/net.state").progress["seen"] // SYMBOLS + 1
    assert invoke("train", "--resume", "--batches", str(limit)).status == 0
    assert invoke("train", "net.cfg", "text.txt", "--batches", "2").status == 0


def leave_half(path: Path) -> None:
    """What a process leaves that is killed while it writes this file."""
    with suppress(KeyboardInterrupt), writing_whole(path):
        (half,) = path.parent.glob(f"{path.name}.*.part")
        shutil.copy(half, "half")
        raise KeyboardInterrupt
    shutil.move("half", half)


def test_what_a_crash_left_half_written_goes_at_the_next_start() -> None:
    invoke("train", "net.cfg", "text.txt", "--batches", "2", "-q")
    for name in ("net.state", "net_best.weights", "net_10000.weights"):
        leave_half(Path("backup", name))
    Path("backup/mine.part").write_bytes(b"not ours")
    with open("backup/net.csv", "a", encoding="utf-8") as file:
        file.write("3,96,5.5,5.5,.01,1,1,\n4,12")
    outcome = invoke("train", "--resume", "--batches", "3")
    assert outcome.status == 0
    assert len([line for line in outcome.lines if "removed" in line]) == 3
    assert [name for name in files_in(Path("backup")) if name.endswith(".part")] == ["mine.part"]
    assert [row["batch"] for row in rows()] == ["1", "2", "3"]


# --- a disk that fails ---------------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
def test_no_write_that_fails_loses_the_last_good_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each write of a run fails once: of its start, a checkpoint, what is kept, two validations,
    its end.

    The run goes on from each folder that is unlike the one that the failure before had left.
    """
    monkeypatch.setattr("darknet_py.training.loop.KEEP_EVERY", 2)
    Path("text.txt").write_bytes(words(60).encode())
    args = ("train", "net.cfg", "text.txt", "--batches", "3", "--seed", "3")
    every = ("--val-every", "2", "--save-every", "2", "--sample-every", "1", "-q")
    assert invoke(*args, *every, "--out", "whole").status == 0
    fails_at = with_state = 0
    left: dict[str, bytes] = {}
    while True:
        fails_at += 1
        out = Path(f"out-{fails_at}")
        with pytest.MonkeyPatch.context() as patch:
            disk = FailingDisk(patch, fails_at)
            outcome = invoke(*args, *every, "--out", out)
        if disk.calls < fails_at:
            break
        if outcome.status == 0:  # A folder that cannot be synced is no failure.
            continue
        assert "No space left" in outcome.error()
        before, left = left, {name: (out / name).read_bytes() for name in files_in(out)}
        if left == before:
            continue
        all_files_are_readable(out)
        if Path(out, "net.state").exists():
            with_state += 1
            again = invoke("train", "--resume", "--out", out)
        else:
            assert not Path(out, "net.backup").exists()
            shutil.rmtree(out, ignore_errors=True)
            again = invoke(*args, *every, "--out", out)
        assert again.status == 0, again.stderr
        same_files(Path("whole"), out, but=(".backup",))
    assert fails_at > 100
    assert with_state >= 5


def test_damaged_last_weights_are_written_again() -> None:
    dn.train("net.cfg", "text.txt", batches=3, seed=1)
    final = Path("backup/net_final.weights")
    whole = final.read_bytes()
    for damaged in (b"", whole[:7], whole[:-4]):
        final.write_bytes(damaged)
        assert invoke("train", "--resume").status == 0
        assert final.read_bytes() == whole


@pytest.mark.parametrize("fails", ["darknet_py.files.open", "filelock.FileLock"])
def test_a_folder_that_cannot_be_written_is_named_itself(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "backup/tmp1x2y")

    monkeypatch.setattr(fails, refuse, raising=False)
    error = invoke("train", "net.cfg", "text.txt", "--batches", "2").error()
    assert error == "Error: backup: cannot write there: Permission denied"


def test_a_run_whose_text_has_moved_says_how_it_is_named() -> None:
    dn.train("net.cfg", "text.txt", out="my run", batches=2, seed=1)
    Path("text.txt").rename("moved.txt")
    error = invoke("train", "--resume", "--out", "my run", "--batches", "4").error()
    command = "darknet-py train --resume --out 'my run' net"
    assert "text.txt: the text of the run is not there; " in error
    assert error.endswith(f"if it has moved, name its new place: {command} mybook.txt")
    error = invoke("train", "--resume", "moved.txt", "--out", "my run").error()
    assert error.endswith(f"if moved.txt is the text, the run comes first: {command} moved.txt")
    error = invoke("report", "my run").lines[-1]
    assert error.endswith("text.txt: the run's text is not there; give one with --text FILE")
    assert invoke("report", "my run", "--text", "moved.txt").status == 0
    args = ("train", "--resume", "net", "moved.txt", "--out", "my run", "--batches", "4")
    outcome = invoke(*args)
    assert outcome.status == 0
    assert re.search(r"bytes in [0-9.]+ s, [0-9,]+ per second", outcome.stderr)
