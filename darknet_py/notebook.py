"""What a notebook shows of an object."""

from __future__ import annotations

import html
from collections.abc import Mapping


def table(rows: Mapping[str, str]) -> str:
    """Names and values as HTML."""
    left = "style='text-align: left'"
    cells = (
        f"<tr><th {left}>{html.escape(name)}</th><td {left}>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"
