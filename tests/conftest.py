"""What holds for all tests: no deadlines, signals as a terminal has them, shared fixtures."""

import itertools
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.cli_helpers import write_run_inputs

# How long a generated example takes depends on the machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell that starts the tests in the background has SIGINT ignored, and programs that the tests
# start would inherit that and could not be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same with SIGHUP under nohup.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def run_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is an empty one but for `net.cfg` and `text.txt` of a small run."""
    write_run_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on by a millisecond whenever it is read, and by nothing else."""
    now = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(now) / 1000)
