"""What a bug report needs to know about the machine and the packages."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from darknet_py.engine import bf16_way, choose
from darknet_py.errors import DarknetError
from darknet_py.machine import memory, processors

PACKAGES = "numpy", "click", "numba", "llvmlite", "threadpoolctl", "tqdm", "filelock"


def facts() -> dict[str, str]:
    """They by name, as `darknet-py --version -v` prints them."""
    found = {
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": platform.platform(),
        "cores": f"{processors()} for this process",
        "memory": f"{memory() / 1e9:.1f} GB",
        "BLAS": _blas(),
    }
    return found | {name: _version(name) for name in PACKAGES} | _engine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _blas() -> str:
    """The library that numpy multiplies matrices with, as far as it tells."""
    import numpy as np  # noqa: F401
    from threadpoolctl import threadpool_info

    parts = ("internal_api", "version", "architecture")
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return ", ".join(" ".join(str(each.get(part)) for part in parts) for each in found) or "unknown"


def _engine() -> dict[str, str]:
    """Whether it computes here, and with which instructions."""
    try:
        choose("compiled")
    except DarknetError as error:
        return {"engine": f"no: {error}"}
    from darknet_py.engine.compiled.jit import VECTOR

    return {"engine": "yes", "vectors": f"{VECTOR} floats", "bf16": f"by {bf16_way()}"}
