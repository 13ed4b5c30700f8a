"""What the machine gives a run: threads for BLAS, chosen by the width of the layers, and memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darknet_py.network import Network

# Below this width a product is so short that waking a second thread costs more than it saves.
WIDE = 512


def choose_threads(net: Network) -> int:
    """One for narrow networks, every processor that this process may use for wide ones."""
    matrices = [tensor.shape for tensor in net.tensors() if len(tensor.shape) == 2]
    width = max((min(shape) for shape in matrices), default=1)
    return processors() if width >= WIDE else 1


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


def limit_threads(count: int) -> Any:
    """A context manager in which BLAS uses `count` threads."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(count, user_api="blas")
