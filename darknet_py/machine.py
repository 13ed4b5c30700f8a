"""The machine: its processors and its memory."""

from __future__ import annotations

import importlib.util
import os


def processors() -> int:
    """The processors that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def memory() -> int:
    """The bytes of memory of this machine; 8 GiB if it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def trainable_memory() -> int:
    """The bytes of memory that the arrays of training may take."""
    return memory() - program_memory()


def program_memory() -> int:
    """The bytes that training takes before any array, about: Python and its libraries.

    Measured with Python 3.11 on Linux; several times more with the engine, whose compiler is in
    memory.
    """
    has_compiler = importlib.util.find_spec("numba") is not None
    return 155_000_000 if has_compiler else 36_000_000
