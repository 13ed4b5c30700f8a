"""Runs that several processes share, with MPI or without, and what they must have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darknet_py.training.checkpoint import read_checkpoint
from tests.cli_helpers import CONNECTED, RNN, SOFTMAX, files_in, words, write_cfg

KINDS = {
    "gates, dropout, carried state": (
        "[net] inputs=256 batch=9 time_steps=8 learning_rate=.01 adam=1 decay=0 state=carry",
        RNN,
        "[dropout] probability=.2",
        "[lstm] output=6",
        "[dropout] probability=.4",
        CONNECTED,
        SOFTMAX,
    ),
    "momentum, subdivisions": (
        "[net] inputs=256 batch=16 subdivisions=2 time_steps=6 learning_rate=.1 clip_norm=1",
        "[gru] output=8",
        "[connected] output=300 activation=linear",
        "[gru] output=8 tanh=1",
        CONNECTED,
        SOFTMAX,
    ),
}
SYMBOLS = 72  # per batch of the first kind
RUN = ("--seed", "3", "--val-every", "10", "--save-every", "7")


def write_inputs(folder: Path) -> None:
    """`net.cfg`, of the first kind, and `text.txt`."""
    (folder / "text.txt").write_bytes(words(1500).encode())
    write_cfg(folder / "net.cfg", *KINDS["gates, dropout, carried state"])


def parameters(folder: str) -> np.ndarray:
    """Those that a run has ended with."""
    return np.fromfile(f"{folder}/net_final.weights", "<f4", offset=20)


def assert_same_run(folder: str, alone: str) -> None:
    """The same files, and parameters to 1e-6, which are about 1; all else to rounding."""
    assert files_in(Path(folder)) == files_in(Path(alone))
    np.testing.assert_allclose(parameters(folder), parameters(alone), atol=1e-6)
    own, shared = (read_checkpoint(f"{name}/net.state") for name in (alone, folder))
    for name, array in own.arrays.items():
        np.testing.assert_allclose(shared.arrays[name], array, atol=2e-5, err_msg=name)


def processes_below(parent: int) -> list[int]:
    """The processes of darknet_py that descend from a process."""
    parents, found = {parent}, []
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            status = (entry / "status").read_text()
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        own = int(status.partition("PPid:")[2].split()[0])
        if own in parents:
            parents.add(int(entry.name))
            if b"darknet_py" in line and b"mpiexec" not in line:
                found.append(int(entry.name))
    return found
