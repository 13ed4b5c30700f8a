"""The modules of an exported page, run by node."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from darknet_py.exporting.html_page import writer_of
from darknet_py.network import Network
from darknet_py.text.symbols import Symbols

RUNNER = Path(__file__).with_name("page_run.mjs")
MODULES = Path(str(resources.files("darknet_py.exporting"))) / "page"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def run_page(*tasks: dict[str, Any]) -> list[Any]:
    """What the modules make of each task; see `page_run.mjs`."""
    done = subprocess.run(
        ["node", str(RUNNER), str(MODULES)],
        input=json.dumps(tasks).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    results: list[Any] = json.loads(done.stdout)
    return results


def of(net: Network, half: bool = False, symbols: Symbols | None = None) -> dict[str, Any]:
    """A network as tasks take it."""
    writer = writer_of(net, symbols or Symbols.of(net), half=half)
    return {"description": json.loads(writer.description), "numbers": writer.numbers}
