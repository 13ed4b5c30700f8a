"""The public names, which stay: what `import darknet_py` gives, and the page that describes it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import darknet_py as dn
from tools.make_docs import DOCS, api_page

NAMES = {
    "CfgError",
    "CorpusError",
    "DarknetError",
    "DarknetWarning",
    "Evaluation",
    "Network",
    "Result",
    "Row",
    "Sampling",
    "Session",
    "TrainingError",
    "WeightsError",
    "__version__",
    "evaluate",
    "evaluate_lines",
    "export",
    "generate",
    "generate_text",
    "load_network",
    "report",
    "stream_text",
    "train",
}
NETWORK = {
    "load_weights",
    "parameters",
    "predict",
    "reset_state",
    "save_weights",
    "streams",
    "train_batch",
}


def test_the_public_names_are_these() -> None:
    assert set(dn.__all__) == NAMES
    assert set(dn.__all__) <= set(dir(dn))
    assert {name for name in dir(dn.Network) if not name.startswith("_")} >= NETWORK


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in dn.__all__:
        thing = getattr(dn, name)
        if name != "__version__":
            assert thing.__doc__, name
            assert not thing.__doc__.startswith(f"{name}("), f"{name}: a dataclass's own text"
    for name in NETWORK:
        assert inspect.getdoc(getattr(dn.Network, name)), name


def test_the_reference_of_the_api_is_what_the_docstrings_say() -> None:
    assert (DOCS / "api.md").read_text(encoding="utf-8") == api_page(), "make docs"


def test_the_import_alone_does_not_load_numpy() -> None:
    code = "import sys, darknet_py; assert 'numpy' not in sys.modules; darknet_py.train"
    subprocess.run([sys.executable, "-c", code], check=True)
