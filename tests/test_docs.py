"""What the documentation says can be done, can be done.

Every ```sh block of a page runs, one after the other, in a folder that has nothing but mybook.txt
and the texts of data/, and then the ```python blocks as one program. A block that begins with
`# NAME.py` is this file, which is there from the start. The texts are cut, and every training ends
after five batches, whatever its time. numba is left out, so that no block waits for it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from darknet_py.cfg import bundled_cfgs
from tests.support.commands import ENVIRONMENT
from tests.support.processes import posix
from tools.make_docs import DOCS, cli_page, commands

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def shortened(text: str) -> str:
    """The same commands, with little to do and an end that does not depend on the clock."""
    text = re.sub(r"--batches \d+", "--batches 5", text)
    text = re.sub(r"(--resume .*--batches) 5", r"\1 8", text)
    text = re.sub(r"(py train)(?! --resume| -h)(?!.*--batches)", r"\1 --batches 5", text)
    text = re.sub(r"(py train --resume)(?!.*--batches)", r"\1 --batches 8", text)
    return re.sub(r"(dn\.train\()(?!.*batches)([^)]*)", r"\1\2, batches=5", text)


@posix
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_commands_and_snippets_work(page: Path, tmp_path: Path) -> None:
    shell, snippets = blocks(page, "sh"), blocks(page, "python")
    assert all(blocks(page, "text")), "make outputs"
    (tmp_path / "data").mkdir()
    for text in (ROOT / "data").glob("*.txt"):
        (tmp_path / "data" / text.name).write_bytes(text.read_bytes()[:20_000])
    (tmp_path / "mybook.txt").write_bytes((ROOT / "data" / "tales.txt").read_bytes()[:20_000])
    (tmp_path / "without" / "numba.py").parent.mkdir()
    (tmp_path / "without" / "numba.py").write_text("raise ImportError")
    paths = os.pathsep.join([str(tmp_path / "without"), str(ROOT)])
    own = {"SHELL": "/bin/bash", "HOME": str(tmp_path), "XDG_DATA_HOME": ""}
    environment = {**ENVIRONMENT, **own, "PYTHONPATH": paths}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for snippet in snippets:
        if name := re.match(r"# (\w+\.py)\n", snippet):
            (tmp_path / name[1]).write_text(snippet)
    for block in shell:
        done = subprocess.run(
            ["sh", "-ec", shortened(block)], cwd=tmp_path, env=environment, capture_output=True
        )
        assert done.returncode == 0, f"{block}\n{done.stderr.decode()[-2000:]}"
    snippets = [snippet for snippet in snippets if not re.match(r"# \w+\.py\n", snippet)]
    script = shortened("\n".join(snippets))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, f"{script}\n{done.stderr.decode()[-2000:]}"


def test_code_that_a_page_quotes_is_in_the_program() -> None:
    quoted = [block for page in PAGES for block in blocks(page, "py")]
    assert quoted
    for block in quoted:
        name, _, code = block.partition("\n")
        assert code in (ROOT / name.removeprefix("# ")).read_text(encoding="utf-8"), name


def test_the_reference_of_commands_is_what_they_say() -> None:
    """But for white space, where versions of click differ."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert page.split() == cli_page().split(), "make docs"
    assert ("rnn", "generate") in commands()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    asked = {**ENVIRONMENT, "_DARKNET_PY_COMPLETE": f"{shell}_source", "SHELL": "/bin/bash"}
    program = Path(sys.executable).parent / "darknet-py"
    done = subprocess.run([program], env=asked, capture_output=True, text=True)
    assert "darknet-py" in done.stdout
    asked["_DARKNET_PY_COMPLETE"] = f"{shell}_complete"
    asked |= {"COMP_WORDS": "darknet-py gene", "COMP_CWORD": "gene" if shell == "fish" else "1"}
    done = subprocess.run([program], env=asked, capture_output=True, text=True)
    assert "generate" in done.stdout


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            if target.startswith("try/"):  # What `make site` makes.
                continue
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_menu_of_the_site_has_every_page() -> None:
    menu = (DOCS / "zensical.toml").read_text(encoding="utf-8")
    pages = sorted(re.findall(r'= "([\w-]+\.md)"', menu))
    assert pages == sorted(page.name for page in DOCS.glob("*.md"))


def test_every_bundled_cfg_is_named_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in bundled_cfgs():
        assert f"`{name}`" in text, name
