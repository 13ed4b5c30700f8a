"""The folder of a run: its files, those of an earlier run, and what must not be overwritten."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from darknet_py.cfg import Cfg
from darknet_py.errors import TrainingError
from darknet_py.files import base_name, write_whole

log = logging.getLogger(__name__)

CFG_MARK = "# Written by darknet-py: the cfg of the weights beside it."


class RunFolder:
    """The run's files: BASE.backup, BASE_N.weights, BASE_best.weights, ..., in one folder."""

    def __init__(self, path: Path, cfg: Cfg) -> None:
        """Make the folder and check that files can be written there. Raises TrainingError."""
        self.path = path
        self.cfg = cfg
        self.base = base_name(cfg.path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_whole(path / f"{self.base}.probe", [b""])
            (path / f"{self.base}.probe").unlink()
        except OSError as error:
            raise TrainingError(f"{path}: cannot write there: {error.strerror}") from error
        own = self.file(".cfg")
        if own.exists() and not _is_ours(own):
            raise TrainingError(
                f"{own}: would be overwritten, and is not of an earlier run: expected another --out"
            )

    def file(self, suffix: str) -> Path:
        return self.path / f"{self.base}{suffix}"

    def begin(self) -> None:
        """Put an earlier run's files aside and write the cfg. Raises OSError."""
        earlier = self._earlier_files()
        if earlier:
            aside = next(p for n in range(1, 1 << 30) if not (p := self.path / f"old-{n}").exists())
            aside.mkdir()
            for file in earlier:
                os.replace(file, aside / file.name)
            log.info("moved an earlier run's files to %s", aside)
        text = f"{CFG_MARK}\n{self.cfg.of_saved_weights().text().removeprefix(CFG_MARK).lstrip()}"
        write_whole(self.file(".cfg"), [text.encode("utf-8", "surrogateescape")])

    def _earlier_files(self) -> list[Path]:
        name = re.compile(
            re.escape(self.base) + r"(_(final|best|\d+)\.weights|\.(backup|state|csv|png|cfg))"
        )
        return sorted(p for p in self.path.iterdir() if name.fullmatch(p.name) and p.is_file())


def _is_ours(cfg: Path) -> bool:
    try:
        with open(cfg, "rb") as file:
            return file.readline().strip() == CFG_MARK.encode()
    except OSError:
        return False
