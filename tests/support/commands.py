"""The command line: in a process of its own, or quickly within this one."""

from __future__ import annotations

import inspect
import logging
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from darknet_py.cli import main
from darknet_py.cli.console import ConsoleHandler

COMMAND = [sys.executable, "-m", "darknet_py"]
# Keeps what is expected of an encoding the same on every machine.
ENVIRONMENT = {**os.environ, "PYTHONUTF8": "1", "COLUMNS": "100"}
# What `train` prints of each batch.
BATCH_LINE = re.compile(
    r"(?P<batch>\d+): (?P<loss>\d+\.\d{6}), (?P<avg>\d+\.\d{6}) avg, (?P<rate>\d+\.\d{6}) rate, "
    r"\d+\.\d{6} seconds, (?P<epochs>\d+\.\d{6}) epochs"
)


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
