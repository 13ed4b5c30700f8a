"""What holds for all tests: no deadlines, signals as a terminal has them, shared fixtures."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from darknet_py import Network, load_network
from tests.support.clock import Clock
from tests.support.inputs import write_cfg, write_run_inputs
from tests.support.networks import randomized
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
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A network whose net.cfg and net.weights are in the working folder."""
    monkeypatch.chdir(tmp_path)
    network = randomized(load_network(write_cfg(Path("net.cfg")), batch=1, time_steps=1))
    network.seen = 320
    network.save_weights("net.weights")
    return network


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
