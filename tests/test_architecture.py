"""The rules of docs/architecture.md about imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("benchmarks", "darknet_py", "tests", "tools")
# What each folder may import of the others.
BELOW = {
    "darknet_py": set(),
    "tools": {"darknet_py"},
    "tests": {"benchmarks", "darknet_py", "tools"},
    "benchmarks": {"darknet_py", "tools"},
}


def modules(folder: str) -> dict[str, Path]:
    """The files of a folder by their names for `import`."""
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {name: path for folder in FOLDERS for name, path in modules(folder).items()}


def statements(body: list[ast.stmt], everywhere: bool) -> Iterator[ast.stmt]:
    """Those that run when a module is imported, or all but those for type checkers only."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from statements(node.orelse, everywhere)
            continue
        yield node
        if everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in ("body", "orelse", "finalbody"):
                yield from statements(getattr(node, name, []), everywhere)
            for handler in getattr(node, "handlers", []):
                yield from statements(handler.body, everywhere)


def imports(path: Path, everywhere: bool = False) -> set[str]:
    """The modules that a file imports, those within functions where it is `everywhere`."""
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")).body, everywhere):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_run_in_no_circle(folder: str) -> None:
    """Of the modules of a folder, where what is in a package may not import the package."""
    files = modules(folder)
    graph = {name: imports(path) & files.keys() - {name} for name, path in files.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_of_other_folders_run_down(folder: str) -> None:
    for name, path in modules(folder).items():
        tops = {wanted.partition(".")[0] for wanted in imports(path, everywhere=True)}
        above = tops & set(FOLDERS) - {folder} - BELOW[folder]
        assert not above, f"{name} imports {', '.join(above)}"


def test_no_test_module_imports_another() -> None:
    for name, path in modules("tests").items():
        found = [wanted for wanted in imports(path, everywhere=True) if "tests.test_" in wanted]
        assert not found, f"{name} imports {', '.join(found)}"


def test_every_test_module_is_named_after_what_it_tests() -> None:
    """A module or folder, and then perhaps a part of it: `test_training_resume.py`."""
    subjects = {name.split(".")[1] for name in modules("darknet_py") if "." in name}
    subjects |= {*FOLDERS, "api", "architecture", "docs", "fuzz"}
    for path in (ROOT / "tests").glob("test_*.py"):
        subject = f"{path.stem.removeprefix('test_')}_"
        assert any(subject.startswith(f"{name}_") for name in subjects), path.name


def floors() -> dict[str, int]:
    """The floor of each module or folder of darknet_py, by the table of the page."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", page, re.MULTILINE)
    return {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}


def test_every_module_has_a_floor() -> None:
    found = {name.split(".")[1] for name in modules("darknet_py") if "." in name}
    assert set(floors()) == found, "docs/architecture.md"


def test_no_import_runs_up() -> None:
    floor = floors()
    for name, path in modules("darknet_py").items():
        if "." not in name:
            continue  # The package itself gives the public names, of all floors.
        package = name.split(".")[1]
        for wanted in imports(path, everywhere=True):
            if wanted in MODULES and wanted.startswith("darknet_py."):
                other = wanted.split(".")[1]
                assert floor[other] <= floor[package], f"{name} imports {wanted}"
