"""What the machine gives a run: threads for BLAS, chosen by the width of the layers, memory, and
compiled kernels where they are installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from darknet_py import kernels
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from darknet_py.network import Network

# Below this width a product is so short that waking a second thread costs more than it saves.
WIDE = 256


def choose_threads(net: Network) -> int:
    """One for narrow networks, every processor that this process may use for wide ones."""
    matrices = [tensor.shape for tensor in net.tensors() if len(tensor.shape) == 2]
    width = max((min(shape) for shape in matrices), default=1)
    return processors() if width >= WIDE else 1


class Threads:
    """A context in which BLAS uses the number of threads with which batches are fastest.

    Where another process keeps a processor busy, a product on all of them waits for it and takes
    several times as long as on one. So one thread and all of them are tried for a few batches in
    turn, at first and then every AGAIN seconds. Narrow networks get one.
    """

    TRIED = 3  # batches of a trial, the first of which does not count
    AGAIN = 30.0  # seconds between trials; more where they would take over 1/20 of the time

    def __init__(self, net: Network, fixed: int | None = None) -> None:
        everyone = choose_threads(net)
        self.choices = [fixed] if fixed else sorted({1, everyone}, reverse=True)
        self.count = self.choices[0]
        self._trials = list(self.choices) if len(self.choices) > 1 else []
        self._times: dict[int, float] = {}
        self._batches: list[float] = []
        self._wait = 0.0

    def batch_done(self, seconds: float) -> None:
        """Take note of a batch's time, and change the number of threads where that is due."""
        if len(self.choices) < 2:
            return
        self._wait -= seconds
        if not self._trials:
            if self._wait > 0:
                return
            self._trials = sorted(self.choices, key=lambda count: count == self.count)
            self._set(self._trials[0])
            return
        self._batches.append(seconds)
        if len(self._batches) < self.TRIED:
            return
        self._times[self._trials.pop(0)] = min(self._batches[1:])
        if self._trials:
            self._set(self._trials[0])
            return
        spent = sum(self._times.values()) * self.TRIED
        self._wait = max(self.AGAIN, 20 * spent)
        self._set(min(self.choices, key=lambda count: self._times[count]))

    def _set(self, count: int) -> None:
        self._batches = []
        self.count = count
        for library in self._libraries:
            library.set_num_threads(count)

    def __enter__(self) -> Threads:
        from threadpoolctl import ThreadpoolController

        controller = ThreadpoolController()
        self._libraries = controller.select(user_api="blas").lib_controllers
        self._limit = controller.limit(limits=self.count, user_api="blas")
        return self

    def __exit__(self, *_: object) -> None:
        self._limit.restore_original_limits()


def processors() -> int:
    """The processors that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def memory() -> int:
    """The bytes of memory of this machine; 8 GiB where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def program_memory() -> int:
    """The bytes that training takes before any array, about: Python and its libraries.

    Measured with Python 3.11 on Linux; several times as many with compiled kernels, whose compiler
    is in memory.
    """
    has_compiler = importlib.util.find_spec("numba") is not None
    return 155_000_000 if has_compiler else 36_000_000


@contextmanager
def use_kernels(choice: str) -> Iterator[str]:
    """Compute with the kernels of this name within; gives the name of those in use.

    choice: "numpy"; "compiled", which needs the extra `fast`; "auto", compiled where they can be
    had. Raises DarknetError where they cannot.
    """
    if choice == "numpy":
        yield "numpy"
        return
    try:
        from darknet_py import compiled
    except ImportError as error:
        if choice == "compiled":
            raise DarknetError(
                f"compiled kernels: {error}: expected the extra `fast`: "
                f"pip install 'darknet-py[fast]'"
            ) from error
        yield "numpy"
        return
    with kernels.replaced(compiled.TWINS):
        yield "compiled"
