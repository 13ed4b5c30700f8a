"""What the commands on pages print: `make outputs`, or with names of pages.

The ```sh blocks of a page run one after the other in a folder that has data/ and mybook.txt, which
is data/tales.txt. A ```text block after one of them is what it prints on stdout. A ```python block
that begins with `# NAME.py` is this file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.make_docs import DOCS

BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)

FILE = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.M | re.S)


def with_outputs(page: str, folder: Path) -> str:
    """The text of a page, with what its commands print now."""

    def run(found: re.Match[str]) -> str:
        print(found[1], file=sys.stderr)
        command = ["sh", "-ec", found[1]]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
        lines = done.stdout.decode(errors="replace").strip("\n").split("\n")
        printed = "".join(f"{line.rstrip()}\n" for line in lines)
        return found[0] if found[2] is None else f"```sh\n{found[1]}```\n\n```text\n{printed}```\n"

    return BLOCK.sub(run, page)


def main() -> None:
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for path in [Path(name) for name in sys.argv[1:]] or sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if "\n```text\n" not in page:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copytree(DOCS.parent / "data", folder / "data")
            shutil.copy(folder / "data" / "tales.txt", folder / "mybook.txt")
            for file, text in FILE.findall(page):
                (folder / file).write_text(text, encoding="utf-8")
            path.write_text(with_outputs(page, folder), encoding="utf-8")


if __name__ == "__main__":
    main()
