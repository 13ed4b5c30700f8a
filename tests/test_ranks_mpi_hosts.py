"""Ranks on two hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.commands import COMMAND, invoke
from tests.support.processes import start
from tests.support.runs import assert_same_run
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


def test_two_hosts_compute_what_one_process_computes(hosts: TwoHosts) -> None:
    assert invoke(*ARGS, "--batches", "30", "--out", "one").status == 0
    command = hosts.mpi([*COMMAND, *ARGS, "--batches", "30", "--out", "two"])
    process = start(command=command, environment=MPI_SETTINGS)
    said = process.communicate()[1].decode()
    assert process.returncode == 0, said
    assert_same_run("two", "one")
