"""The command line from tests: in a process of its own, or quickly within this one."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from darknet_py.cli import main
from darknet_py.cli.console import ConsoleHandler
from darknet_py.network import Network
from darknet_py.training.folder import LOCK
from tests.helpers import cfg_text

COMMAND = [sys.executable, "-m", "darknet_py"]
# Keeps what is expected of an encoding the same on every machine.
ENVIRONMENT = {**os.environ, "PYTHONUTF8": "1", "COLUMNS": "100"}


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit status, the bytes of stdout and the text of stderr."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines of stderr."""
        return self.stderr.removesuffix("\n").split("\n") if self.stderr else []

    def error(self) -> str:
        """The one line that this outcome must have failed with."""
        assert self.status == 1, self.stderr
        assert self.stdout == b""
        (line,) = self.lines
        assert line.startswith("Error: ")
        return line


def run(*args: str | Path, cwd: Path, stdin: bytes = b"") -> Outcome:
    """The command in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, args)], cwd=cwd, input=stdin, capture_output=True, env=ENVIRONMENT
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode().replace("\r\n", "\n"))


def invoke(*args: str | Path, stdin: bytes = b"") -> Outcome:
    """The command within this process, in its working directory; what it sets is put back."""
    # click 8.1 mixes stderr into stdout unless it is told not to; 8.2 never does.
    apart: dict[str, Any] = {}
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        apart["mix_stderr"] = False
    logger = logging.getLogger("darknet_py")
    before = logger.level, logger.handlers, logger.propagate
    try:
        with warnings.catch_warnings():
            done = CliRunner(**apart).invoke(
                main, list(map(str, args)), input=stdin, prog_name="darknet-py"
            )
    finally:
        logger.setLevel(before[0])
        logger.handlers, logger.propagate = before[1:]
        assert not any(isinstance(handler, ConsoleHandler) for handler in logger.handlers)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Outcome(done.exit_code, done.stdout_bytes, done.stderr)


def words(count: int, seed: int = 1) -> str:
    """A text of `count` words, of a few letters, that a small network can learn a little of."""
    known = ["the", "fox", "jumps", "over", "a", "lazy", "dog", "and", "sleeps.\n", "quick"]
    return " ".join(known[i] for i in np.random.default_rng(seed).integers(0, len(known), count))


NET = "[net] inputs=256 batch=4 time_steps=8 learning_rate=.01 adam=1 decay=0"
RNN = "[rnn] output=8 activation=tanh"
CONNECTED = "[connected] output=256 activation=linear"
SOFTMAX = "[softmax]"
SYMBOLS = 32  # per batch of NET
PARAMETERS = 256 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 256 + 256  # of these sections


def write_cfg(path: Path, *sections: str) -> Path:
    """A cfg file of these sections; by default of a small network of bytes."""
    path.write_text(cfg_text(*(sections or (NET, RNN, CONNECTED, SOFTMAX))))
    return path


def write_run_inputs(folder: Path, count: int = 600) -> None:
    """`net.cfg` and `text.txt`, to train a small network with."""
    write_cfg(folder / "net.cfg")
    (folder / "text.txt").write_bytes(words(count).encode())


def randomized(net: Network, seed: int = 1) -> Network:
    """`net` with parameters so large that it has preferences."""
    net.parameters[...] = np.random.default_rng(seed).normal(0, 0.7, len(net.parameters))
    return net


def files_in(folder: Path) -> list[str]:
    """The names of all files below `folder` but a lock; none where it does not exist."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != LOCK)
    return sorted(str(p.relative_to(folder)) for p in files)
