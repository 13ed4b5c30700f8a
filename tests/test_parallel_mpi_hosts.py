"""Ranks on two hosts."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import COMMAND, invoke
from tests.support.processes import start, wait_for_batch
from tests.support.runs import all_files_are_readable, assert_same_run
from tests.support.shared_runs import RUN
from tools.mpi import MPI_SETTINGS
from tools.two_hosts import TwoHosts, obstacle

OBSTACLE = obstacle()
pytestmark = [
    pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or ""),
    pytest.mark.usefixtures("shared_run_inputs"),
]
ARGS = ("train", "net.cfg", "text.txt", *RUN, "--threads", "1")


@pytest.fixture
def hosts() -> Iterator[TwoHosts]:
    with TwoHosts() as made:
        yield made


# A run that takes its time, and whose ranks say early that they wait.
SLOWLY = (
    sys.executable,
    "-c",
    """
import logging, sys, time
import darknet_py as dn
import darknet_py.parallel.waiting as waiting
from darknet_py.parallel.mpi import find_communicator
waiting.PATIENCE = 1.0
logging.basicConfig(format="%(message)s")

def tell(row):
    if find_communicator().is_root:
        print(f"{row.batch}: done", file=sys.stderr, flush=True)
    time.sleep(0.05)

dn.train(
    "net.cfg", "text.txt", out="two", batches=60, seed=3, val_every=10, save_every=7,
    engine="numpy", threads=1, callback=tell,
)
""",
)


def begin(hosts: TwoHosts, *command: str) -> subprocess.Popen[bytes]:
    """The command on both hosts, with stderr to read from."""
    return start(command=hosts.mpi(command), environment=MPI_SETTINGS)


def wait_for(process: subprocess.Popen[bytes], words: str) -> None:
    """Until it has said this."""
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line.decode()
        if re.search(words, line.decode()):
            return
    raise AssertionError(said)


def begin_slowly(hosts: TwoHosts) -> subprocess.Popen[bytes]:
    """The run of SLOWLY, 20 of its batches done; one process has made the same run, in `one`."""
    assert invoke(*ARGS, "--batches", "60", "--out", "one").status == 0
    process = begin(hosts, *SLOWLY)
    wait_for_batch(process, 20)
    return process


def test_two_hosts_compute_what_one_process_computes(hosts: TwoHosts) -> None:
    assert invoke(*ARGS, "--batches", "30", "--out", "one").status == 0
    process = begin(hosts, *COMMAND, *ARGS, "--batches", "30", "--out", "two")
    said = process.communicate()[1].decode()
    assert process.returncode == 0, said
    assert_same_run("two", "one")


def test_a_link_that_is_cut_and_mended_does_no_harm(hosts: TwoHosts) -> None:
    process = begin_slowly(hosts)
    hosts.cut()
    wait_for(process, f"waiting for rank 1 on {hosts.names[1]}, for [0-9]+ s so far")
    hosts.mend()
    wait_for(process, f"rank 1 on {hosts.names[1]} answers again: the run continues")
    said = process.communicate()[1].decode()
    assert process.returncode == 0, said
    assert_same_run("two", "one")


def test_a_run_that_has_lost_a_host_goes_on_without_it(hosts: TwoHosts) -> None:
    process = begin_slowly(hosts)
    hosts.kill(1)
    said = process.communicate()[1].decode()
    assert "Traceback" not in said
    all_files_are_readable(Path("two"))
    assert not Path("two/net_final.weights").exists()
    again = invoke("train", "--resume", "--out", "two", "--batches", "60")
    assert "continuing after batch" in again.stderr
    assert_same_run("two", "one")


def test_hosts_whose_texts_differ(hosts: TwoHosts) -> None:
    Path("first").mkdir()
    Path("second").mkdir()
    text = Path("text.txt").read_bytes()
    Path("first/text.txt").write_bytes(text)
    Path("second/text.txt").write_bytes(text[:-1])
    own = f'cd "$([ "$(hostname)" = {hosts.names[0]} ] && echo first || echo second)"'
    program = shlex.join([*COMMAND, "train", "../net.cfg", *ARGS[2:], "--batches", "3"])
    process = begin(hosts, "bash", "-c", f"{own} && exec {program}")
    said = process.communicate()[1].decode()
    assert process.returncode == 1
    assert f"rank 1 on {hosts.names[1]} has another text than rank 0 on {hosts.names[0]}" in said
