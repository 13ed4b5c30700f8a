"""Programs in processes of their own, waited for by what they print and by their end."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.commands import COMMAND, ENVIRONMENT

posix = pytest.mark.skipif(
    sys.platform == "win32", reason="signals, pipes, terminals and a shell of POSIX"
)


def start(
    *args: str | Path,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """The command, with pipes from stdout and stderr, and nothing on stdin."""
    return subprocess.Popen(
        [*command, *map(str, args)],
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # communicate() gives all that the waits below have not read.
    )


def wait_for_batch(process: subprocess.Popen[bytes], batch: int) -> int:
    """Until a run has printed this batch or a later one, which is returned.

    All files of the batches before it are then written.
    """
    assert process.stderr
    lines = []
    for line in process.stderr:
        found = re.match(rb"(\d+): ", line)
        if found and int(found[1]) >= batch:
            return int(found[1])
        lines.append(line.decode())
    raise AssertionError("".join(lines))


def wait_for_import(process: subprocess.Popen[bytes], module: str) -> None:
    """Until a Python that was started with `-X importtime` has imported this module."""
    assert process.stderr
    for line in process.stderr:
        if line.decode().rpartition("|")[2].strip() == module:
            return
    raise AssertionError(f"ended without importing {module}")


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
