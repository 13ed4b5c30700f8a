"""What holds for all tests: no deadlines, signals as a terminal has them, shared fixtures."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.clock import Clock
from tests.support.inputs import write_run_inputs
from tests.support.shared_runs import write_inputs

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
def shared_run_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a run that several processes share."""
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that runs read stands still but for what their batches and validations take."""
    return Clock(monkeypatch)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that progress bars read, which a test moves on."""
    time = [0.0]
    for read in ("tqdm.std.time", "darknet_py.training.progress.time.perf_counter"):
        monkeypatch.setattr(read, lambda: time[0])
    return time
