"""The tutorial and "How a recurrent network works" as notebooks, executed: `make notebooks`.

Each block of Python is a cell, and each block of shell commands too. Pictures that the page shows
are links, as on the page.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
TEXT = DOCS.parent / "data" / "tales.txt"
NAMES = ("tutorial", "how-it-works")
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n", re.M | re.S)


def cells(page: str) -> list[dict[str, Any]]:
    """The cells of a page, without outputs."""
    found: list[dict[str, Any]] = []

    def add(kind: str, text: str) -> None:
        if text.strip():
            more: dict[str, Any] = (
                {} if kind == "markdown" else {"outputs": [], "execution_count": None}
            )
            id = f"cell-{len(found)}"
            found.append(
                {"cell_type": kind, "id": id, "metadata": {}, "source": text.strip(), **more}
            )

    place = 0
    for block in BLOCK.finditer(page):
        add("markdown", page[place : block.start()])
        shell = "%%bash\n" if block[1] == "sh" else ""
        add("code", shell + block[2])
        place = block.end()
    add("markdown", page[place:])
    return found


def notebook(page: str) -> dict[str, Any]:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells(page),
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def main() -> None:
    import nbformat
    from nbclient import NotebookClient

    for name in NAMES:
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        made = nbformat.from_dict(notebook(page))
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(TEXT, Path(folder) / "mybook.txt")
            os.environ["NO_COLOR"] = "1"
            place = {"metadata": {"path": folder}}
            NotebookClient(made, timeout=1200, resources=place, coalesce_streams=True).execute()
            # Messages name files with their folder.
            text = nbformat.writes(made).replace(f"{folder}{os.sep}", "")
            picture = Path(folder) / "states.png"
            if picture.exists():
                shutil.copy(picture, DOCS / "pictures" / "states.png")
        (DOCS / f"{name}.ipynb").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
