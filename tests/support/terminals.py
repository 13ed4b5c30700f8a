"""A terminal that keeps what is drawn on it."""

from __future__ import annotations

import io


class Terminal(io.StringIO):
    """A stderr that is a terminal, and keeps what is drawn."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.getvalue().replace("\n", "\r").split("\r")]
