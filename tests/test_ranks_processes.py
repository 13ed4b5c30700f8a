"""Several processes on this machine compute what one computes, and end together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.shared import SharedTraining, shared_training
from darknet_py.cfg import parse_cfg
from darknet_py.errors import TrainingError
from darknet_py.finding import load_network, open_network
from darknet_py.machine import processors
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.ranks.processes import StartedProcesses
from darknet_py.sizes import segment_steps, training_bytes
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.threads import process_choice, process_obstacle
from tests.support.commands import invoke, run
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, write_cfg
from tests.support.networks import cfg_text, draw_symbols
from tests.support.processes import (
    linux,
    processes_below,
    start,
    wait_for_batch,
    wait_for_ends,
    watch,
)
from tests.support.runs import all_files_are_readable, assert_same_run, parameters
from tests.support.shared_runs import KINDS, RUN, SYMBOLS

pytestmark = [
    pytest.mark.usefixtures("shared_run_inputs"),
    pytest.mark.skipif(sys.platform == "win32", reason="one process only on Windows"),
]


def network(kind: str) -> Network:
    net = Network(parse_cfg(cfg_text(*KINDS[kind])))
    net.initialize(Rand(5))
    return net


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps_at_once", [2, 100])
def test_the_gradient_of_a_datum_is_the_same(kind: str, steps_at_once: int) -> None:
    alone, shared = network(kind), network(kind)
    for net in (alone, shared):
        net.step.segment_steps = segment_steps(net, training_bytes(net, steps_at_once))
    data = [draw_symbols(alone, seed) for seed in range(4)]
    with shared_training(shared, 3) as ranks:
        losses = []
        for datum in data:
            alone.train_batch(*datum)
            ranks.train_batch(*datum)
            losses.append((alone.step.loss, shared.step.loss))
        own, state = shared.step.own_streams, shared.step.state
    for one, of_all in losses:
        # NaN until a batch is complete.
        assert of_all == pytest.approx(one, rel=1e-6, nan_ok=True)
    np.testing.assert_allclose(shared.parameters, alone.parameters, rtol=1e-5, atol=1e-6)
    assert shared.rand.drawn == alone.rand.drawn
    for ours, theirs in zip(state, alone.step.state, strict=True):
        for part, wanted in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(part, wanted[own], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_several_processes_is_that_of_one(kind: str) -> None:
    """Over 50 updates, to 1e-6 of the parameters, which are about 1."""
    write_cfg(Path("net.cfg"), *KINDS[kind])
    args = ("train", "net.cfg", "text.txt", "--batches", "50", *RUN, "--processes")
    assert invoke(*args, "1", "--out", "one").status == 0
    for count in ("2", "3"):
        done = invoke(*args, count, "--out", f"of{count}")
        assert done.status == 0, done.stderr
        assert f"training with {count} processes (--processes 1 for one)" in done.stderr
        assert_same_run(f"of{count}", "one")


def test_a_run_in_two_sittings_is_a_run_in_one() -> None:
    """Byte for byte, with as many processes; with another number nearly. Compiled if it can be."""
    args = ("train", "net.cfg", "text.txt", *RUN, "--kernels", "auto", "--processes", "2")
    assert invoke(*args, "--batches", "30", "--out", "whole").status == 0
    assert invoke(*args, "--batches", "13").status == 0
    assert "2 processes" in invoke("train", "--resume", "--batches", "30").stderr
    np.testing.assert_array_equal(parameters("backup"), parameters("whole"))
    assert invoke(*args, "--batches", "13", "--out", "other").status == 0
    alone = invoke("train", "--resume", "--out", "other", "--batches", "30", "--processes", "1")
    assert "processes" not in alone.stderr
    np.testing.assert_allclose(parameters("other"), parameters("whole"), atol=1e-6)


# --- ends


def started_run() -> tuple[subprocess.Popen[bytes], list[int]]:
    """A run without an end that has saved a checkpoint, and its workers."""
    process = start(
        "train", "net.cfg", "text.txt", "--batches", "1000000", *RUN, "--processes", "3"
    )
    wait_for_batch(process, 8)
    return process, processes_below(process.pid)


@linux
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_run(how: signal.Signals) -> None:
    process, workers = started_run()
    assert len(workers) == 2
    watched = watch(workers)
    process.send_signal(how)
    process.communicate()
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    wait_for_ends(watched)
    all_files_are_readable(Path("backup"))
    batch = read_checkpoint("backup/net.state").progress["seen"] // SYMBOLS + 3
    assert invoke("train", "--resume", "--batches", str(batch)).status == 0
    assert open_network("backup/net_final.weights").seen == SYMBOLS * batch


@linux
def test_a_worker_that_is_killed_ends_the_run_in_one_line() -> None:
    process, workers = started_run()
    watched = watch(workers)
    os.kill(workers[0], signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 1
    (line,) = (row for row in said.decode().splitlines() if not re.match(r"\d+: ", row))
    assert re.match(r"Error: process [23] of 3 ended unexpectedly \(status -9\); .* --resume", line)
    wait_for_ends(watched)
    all_files_are_readable(Path("backup"))


def train_on_nothing(shared: SharedTraining) -> None:
    """What the other ranks refuse."""
    shared.ranks.decide((np.zeros((1, 1)), np.zeros((1, 1))))
    shared.ranks.total(0)


def test_what_a_rank_cannot_do_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("momentum, subdivisions")
    with (
        pytest.raises(TrainingError, match="process 2 of 2: ValueError: inputs must be"),
        shared_training(net, 2) as shared,
    ):
        train_on_nothing(shared)
    with (
        pytest.raises(TrainingError, match=r"process 2 of 2 ended unexpectedly \(status 3\)"),
        StartedProcesses(2, 1, 1, "raise SystemExit(3)") as ranks,
    ):
        ranks.total(0)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(TrainingError, match=r"cannot start 2 processes: .*No such file"):
        StartedProcesses(2, 1, 1, "pass")
    # A network that failed so trains alone again.
    assert net.train_batch(*draw_symbols(net)) > 0


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_sums_are_shared_out(count: int) -> None:
    """Vectors that are longer than what is added up at once, and shorter than the ranks."""
    code = (
        "import numpy as np; from darknet_py.ranks.processes import join; ranks = join(*place); "
        f"vector = np.arange({count}.) + ranks.rank; more = vector[:2].copy(); "
        "ranks.finish_adding(vector, more); ranks.gather(vector[:, None])"
    )
    with StartedProcesses(3, 400, 1, code) as ranks:
        vector = np.arange(float(count))
        more = vector[:2].copy()
        ranks.finish_adding(vector, more)
        np.testing.assert_array_equal(vector, 3 * np.arange(count) + 3)
        np.testing.assert_array_equal(more, vector[:2])
        rows = ranks.gather(vector[:, None])
        np.testing.assert_array_equal(rows, np.tile(vector, 3)[:, None])


def test_divergence_is_said_as_ever() -> None:
    wild = "[net] inputs=256 batch=4 time_steps=8 learning_rate=1e9"
    write_cfg(Path("net.cfg"), wild, "[rnn] output=8 activation=linear", CONNECTED, SOFTMAX)
    args = ("train", "net.cfg", "text.txt", "--batches", "50", "-q", "--processes", "2")
    done = run(*args, cwd=Path())
    assert "diverged at batch" in done.error()


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_where_no_process_can_be_started_one_trains(
    python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("train", "net.cfg", "text.txt", "--batches", "5", *RUN, "--processes")
    assert invoke(*args, "1", "--out", "one").status == 0
    monkeypatch.setattr(sys, "executable", python)
    done = invoke(*args, "2", "--out", "two")
    assert done.status == 0
    assert "continuing with one process" in done.stderr
    assert read_checkpoint("two/net.state").plan.processes == 1
    np.testing.assert_array_equal(parameters("two"), parameters("one"))


# --- how many


def test_where_it_does_not_pay_there_is_one_process() -> None:
    def choice(*sections: str) -> int:
        return process_choice(Network(parse_cfg(cfg_text(*sections))), 1 << 32)

    wide = "[rnn] output=128 activation=tanh"
    many, few = NET.replace("batch=4", "batch=32"), NET.replace("batch=4", "batch=12")
    assert choice(many, wide, CONNECTED, SOFTMAX) == min(4, processors())
    assert choice(few, wide, CONNECTED, SOFTMAX) == 1
    assert choice(many, wide + " batch_normalize=1", CONNECTED, SOFTMAX) == 1
    assert choice(many, RNN, CONNECTED, SOFTMAX) == 1
    assert choice(many, wide.replace("128", "1024"), CONNECTED, SOFTMAX) == 1
    net = load_network("tiny")
    assert process_choice(net, training_bytes(net, net.step.segment_steps)) == 1
    net.step.segment_steps = segment_steps(net, training_bytes(net, 9))
    assert process_choice(net, 1 << 32) == 1
    assert process_obstacle(net, 32) == ""
    assert "32 streams" in process_obstacle(net, 33)


def test_too_many_processes_are_one_line() -> None:
    run = ("train", "net.cfg", "text.txt", "--batches", "2", "--seed", "1")
    assert "the network has 9 streams" in invoke(*run, "--processes", "10").error()
    write_cfg(Path("net.cfg"), NET, RNN, CONNECTED, SOFTMAX)
    replay = invoke(*run, "--processes", "2", "--gradient", "darknet-cpu")
    assert replay.lines[-1].endswith("the replay of the C program uses one; use fewer")
    norm = RNN.replace("]", "] batch_normalize=1")
    write_cfg(Path("net.cfg"), NET, norm, CONNECTED, SOFTMAX)
    assert "batch norm needs all streams in one process" in invoke(*run, "--processes", "2").error()
    assert not Path("backup").exists()
