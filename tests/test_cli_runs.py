"""`runs`: what is below a folder, damaged runs included."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import darknet_py as dn
from darknet_py.training.runs import find_runs
from tests.support.commands import invoke
from tests.support.inputs import PARAMETERS, SYMBOLS
from tests.support.runs import read_state, rows, train, write_state

pytestmark = pytest.mark.usefixtures("run_inputs")


def listed(*args: str) -> dict[str, dict[str, Any]]:
    """What `runs --json` prints, by name."""
    outcome = invoke("runs", *args, "--json")
    assert outcome.status == 0, outcome.stderr
    runs = json.loads(outcome.stdout)
    return {run["name"].replace(os.sep, "/"): run for run in runs}


def test_runs_below_a_folder_are_listed_with_what_is_known_of_them() -> None:
    train("--batches", "6", "--val-every", "3", "--seed", "1", "--out", "runs/a")
    train("--batches", "2", "--seed", "1", "--out", "runs/a")
    result = dn.train("net.cfg", "text.txt", batches=4, val_every=2, seed=1, out="b")
    found = listed(".")
    assert set(found) == {"runs/a/net", "b/net"}
    assert set(listed("runs", "--all")) == {"runs/a/net", "runs/a/old-1/net"}
    run = found["b/net"]
    assert (run["network"], run["text"]) == ("net", os.path.abspath("text.txt"))
    assert (run["batches"], run["symbols"], run["unit"]) == (4, 4 * SYMBOLS, "byte")
    assert (run["parameters"], run["scored"]) == (PARAMETERS, result.scored)
    assert (run["best_val"], run["best_batch"]) == (result.best_val, result.best_batch)
    assert run["seconds"] == pytest.approx(result.seconds)
    files = [path for path in Path("b").iterdir() if not path.name.startswith(".")]
    assert run["size"] == sum(path.stat().st_size for path in files)
    assert (run["complete"], run["resumable"], run["problem"]) == (True, True, None)
    os.utime("b/net.state", (1e9, 1e9))
    assert listed()["b/net"]["date"].startswith("2001-09-09")
    table = invoke("runs").stdout.decode().splitlines()
    assert table[0].split()[:4] == ["name", "network", "text", "date"]
    assert [line.split()[0].replace(os.sep, "/") for line in table[1:]] == ["b/net", "runs/a/net"]
    assert all(line.endswith("complete") for line in table[1:])


def test_one_thing_has_one_name() -> None:
    """In the table of losses, for the callback, in JSON and in what `train` returns."""
    seen: list[dn.Row] = []
    args: dict[str, Any] = {
        "batches": 4,
        "val_every": 2,
        "sample_every": 1,
        "callback": seen.append,
    }
    result = dn.train("net.cfg", "text.txt", seed=1, **args)
    for row, cells in zip(seen, rows(), strict=True):
        for name, cell in cells.items():
            value = getattr(row, name)
            assert value == pytest.approx(float(cell), abs=1e-3) if cell else value is None, name
    sample = json.loads(Path("backup/net.samples").read_text().splitlines()[-1])
    assert (sample["batch"], sample["val"]) == (seen[-1].batch, seen[-1].val)
    run = listed()["backup/net"]
    shared = [name for name in run if hasattr(result, name)]
    assert len(shared) == 7
    assert [run[name] for name in shared] == [getattr(result, name) for name in shared]
    assert result.unit == seen[0].unit
    info = json.loads(invoke("info", "backup", "--json").stdout)
    assert info["weights"]["parameters"] == info["parameters"] == run["parameters"]
    assert info["symbols_per_update"] * result.batches == info["weights"]["seen"] == seen[-1].seen
    assert info["unit"] == result.unit


def test_the_name_of_a_run_is_what_commands_take() -> None:
    shutil.copy("net.cfg", "other.cfg")
    for cfg in ("net.cfg", "other.cfg"):
        train("--batches", "3", "--seed", "1", "--out", "two", cfg=cfg)
    os.chdir("two")
    for name in listed():
        assert invoke("generate", name, "--length", "3").status == 0
        assert invoke("info", name).status == 0
        assert invoke("report", name).status == 0
        assert invoke("train", "--resume", name, "--batches", "5", "-q").status == 0
    assert {run["batches"] for run in listed().values()} == {5}


def test_whether_a_run_can_be_resumed() -> None:
    during: list[dict[str, Any]] = []

    def look(row: dn.Row) -> None:
        during.append(listed()["backup/net"])

    dn.train("net.cfg", "text.txt", batches=9, save_every=1, seed=1, callback=look)
    assert "writing" in during[1]["problem"]
    assert not during[1]["resumable"]
    assert during[0]["batches"] == 1
    dn.train("net.cfg", "text.txt", batches=9, seed=1, stop=lambda: True, out="stopped")
    table = invoke("runs", "stopped").stdout.decode().splitlines()
    assert table[1].endswith("  yes")
    Path("text.txt").rename("moved.txt")
    run = listed()["stopped/net"]
    assert "text.txt" in run["problem"]
    assert not run["resumable"]


def test_a_run_that_has_saved_nothing_is_listed() -> None:
    seen: list[dict[str, Any]] = []
    dn.train("net.cfg", "text.txt", batches=2, callback=lambda _: seen.append(*listed().values()))
    assert seen[0]["name"].endswith("net")
    assert "nothing" in seen[0]["problem"]
    assert seen[0]["batches"] is None


def test_damaged_runs_are_listed_as_such() -> None:
    train("--batches", "3", "--seed", "1", "--out", "good")
    facts, arrays = read_state(Path("good/net.state"))
    damages: dict[str, Any] = {"cfg": "[nonsense", "data": 5, "cfg_path": "other.cfg"}
    for key, value in damages.items():
        shutil.copytree("good", key)
        plan = {**facts["plan"], key: value}
        write_state(Path(key, "net.state"), {**facts, "plan": plan}, arrays)
    shutil.copytree("good", "final")
    Path("final/net_final.weights").write_bytes(b"short")
    Path("empty").mkdir()
    Path("empty/a\x1b[31m.state").write_bytes(b"")
    os.utime("good/net.state", (1e11, 1e11))
    found = listed(".")
    assert len(found) == 6
    assert {name for name, run in found.items() if run["resumable"]} == {"good/net"}
    assert all(run["problem"] for name, run in found.items() if name != "good/net")
    outcome = invoke("runs")
    assert outcome.status == 0
    assert b"\x1b" not in outcome.stdout
    assert outcome.stderr == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_never_read() -> None:
    os.mkfifo("a.state")
    Path("b.state").mkdir()
    Path("c.state").symlink_to("/dev/zero")
    assert all(run.problem for run in find_runs("."))


def test_folders_without_runs() -> None:
    assert invoke("runs", "--json").stdout == b"[]\n"
    outcome = invoke("runs")
    assert outcome.stdout == b""
    assert "--all" in outcome.stderr
    assert "nowhere" in invoke("runs", "nowhere").error()
