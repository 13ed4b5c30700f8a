"""The folder of a run: its files, its lock, those of an earlier run, and what must not be
overwritten.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from darknet_py.cfg import Cfg
from darknet_py.errors import TrainingError
from darknet_py.files import (
    TEMPORARY,
    WEIGHTS,
    base_name,
    check_file_place,
    check_run_place,
    move,
    newest,
    sync,
    under_mark,
    write_whole,
)
from darknet_py.training.journal import Journal

log = logging.getLogger(__name__)

CFG_MARK = "# Written by darknet-py: the cfg of the weights next to it."
# Seconds that another run, which is just ending, has to let go of the folder.
ENDING = 3.0
DEFAULT_FOLDER = "backup"  # the folder of a run, where none is given
LOCK = ".darknet-py.lock"
_OWN = r"(_(final|best|\d+)\.weights|\.(backup|state|csv|samples|png|html|cfg))"


class RunFolder:
    """The run's files: BASE.backup, BASE_N.weights, BASE_best.weights, ..., in one folder."""

    def __init__(self, path: Path, base: str) -> None:
        self.path = path
        self.base = base

    def file(self, suffix: str) -> Path:
        return self.path / f"{self.base}{suffix}"

    def journal(self, suffix: str, header: str = "") -> Journal:
        return Journal(self.file(suffix), header)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder and hold it against other runs; what a crash left half-written goes.

        A run that fails before it has written anything leaves no new folder and no new lock.
        The lock is the system's, which gives it back however a process ends. Raises TrainingError
        where files cannot be written or another run is at work.
        """
        made = [p for p in (self.path, *self.path.parents) if not os.path.exists(p)]
        before = self._names()
        try:
            with self._acquired(made):
                try:
                    for stale in self.files(TEMPORARY):
                        stale.unlink()
                        log.info("removed %s, left unfinished by an earlier run", stale)
                    yield
                except BaseException:
                    if self._names() - before == {LOCK}:
                        # While it is held; if that is not possible, filelock removes it.
                        with contextlib.suppress(OSError):
                            (self.path / LOCK).unlink()
                    raise
        except BaseException:
            with contextlib.suppress(OSError):
                for folder in made:
                    folder.rmdir()
            raise

    def _acquired(self, made: Iterable[Path]) -> contextlib.AbstractContextManager[Any]:
        """The lock of the folder, of which `made`, and those above it, are new."""
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in made:
                sync(folder.parent)
            check_run_place(self.path / self.base)
            for place in self._places():
                check_file_place(place, follow=False)
            if (self.path / LOCK).is_symlink():
                raise TrainingError(f"{self.path / LOCK} is a link; remove it")
            try:
                return FileLock(self.path / LOCK, timeout=ENDING).acquire()
            except OSError as error:
                error.filename = self.path  # Not of a file that no one knows.
                raise
        except Timeout as error:
            raise TrainingError(
                f"{self.path}: another run is writing there; wait for it, or choose another --out"
            ) from error
        except OSError as error:
            where = error.filename or self.path
            if isinstance(error, FileExistsError):
                raise TrainingError(f"{where} is a file; --out needs a folder") from error
            raise TrainingError(f"{where}: cannot write there: {error.strerror}") from error

    def exists(self) -> bool:
        """Whether a run has begun there: it has a state, or a cfg and a table of its own."""
        has_begun = _is_ours(self.file(".cfg")) and self.file(".csv").is_file()
        return self.file(".state").exists() or has_begun

    def is_held(self) -> bool:
        """Whether a run is writing in the folder now."""
        from filelock import FileLock, Timeout

        if (self.path / LOCK).is_symlink() or not (self.path / LOCK).is_file():
            return False
        try:
            with FileLock(self.path / LOCK, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # A folder that can only be read is no place to write.
            return False

    def check_cfg(self) -> None:
        """Raise TrainingError if BASE.cfg is not of a run."""
        cfg = self.file(".cfg")
        if cfg.exists() and not _is_ours(cfg):
            raise TrainingError(
                f"{cfg} already exists and no run wrote it; move it to another folder, or choose "
                f"another --out"
            )

    def check_read(self, *texts: str | float) -> None:
        """Raise TrainingError if a text of the new run has the name of one of its files."""
        for file in self.files():
            for text in texts:
                is_path = isinstance(text, str) and os.path.exists(text)
                if is_path and file.exists() and os.path.samefile(file, str(text)):
                    raise TrainingError(
                        f"this run would overwrite {file}, a text that it reads; choose another "
                        f"--out"
                    )

    def move_earlier_run(self) -> None:
        """Put an earlier run's files aside. Raises OSError."""
        earlier = self.files()
        if not earlier:
            return
        places = (self.path / f"old-{n}" for n in range(1, 1 << 30))
        aside = next(place for place in places if not os.path.lexists(place))
        move(earlier, aside)
        log.info("moved an earlier run's files to %s", aside)
        if any(file.suffix in WEIGHTS for file in earlier):
            log.info("to use that run: %s", shlex.join(["darknet-py", "generate", str(aside)]))
        if self.file(".state") in earlier:
            log.info("to continue it: %s", resume_command(aside))

    def write_cfg(self, cfg: Cfg) -> None:
        """Write BASE.cfg, which describes the weights that training writes. Raises OSError."""
        text = under_mark(cfg.of_saved_weights().text(), CFG_MARK)
        write_whole(self.file(".cfg"), [text.encode("utf-8", "surrogateescape")], follow=False)

    def _names(self) -> set[str]:
        """Of the files in the folder; none if it cannot be read."""
        try:
            return set(os.listdir(self.path))
        except OSError:
            return set()

    def files(self, ending: str = "") -> list[Path]:
        """Those in the folder that have the names of this run's, with this regex after them, and
        links with these names.
        """
        return [p for p in self._places(ending) if p.is_file() or p.is_symlink()]

    def _places(self, ending: str = "") -> list[Path]:
        """Whatever has such a name."""
        name = re.compile(re.escape(self.base) + _OWN + ending)
        return sorted(p for p in self.path.iterdir() if name.fullmatch(p.name))


def resume_command(out: str | os.PathLike[str], base: str | None = None) -> str:
    """The command that continues with the run in a folder, or with the one of this name there."""
    folder = [] if Path(out) == Path(DEFAULT_FOLDER) else ["--out", os.fspath(out)]
    name = [] if base is None else [base]
    return shlex.join(["darknet-py", "train", "--resume", *folder, *name])


def run_to_resume(out: str | None, typed: str | os.PathLike[str] | None) -> tuple[RunFolder, bool]:
    """The run that is resumed, and whether its folder or one of its files was named.

    typed: a folder, DIR/NAME or file of a run; otherwise the name of a run in `out`, or its cfg.
    Raises TrainingError.
    """
    if typed is None or not (_holds_runs(typed) or _named_run(typed)):
        return find_run(DEFAULT_FOLDER if out is None else out, typed), False
    if out is not None:
        raise TrainingError(f"{typed} names a run and its folder; leave out --out {out}")
    return find_run(typed, None), True


def find_run(
    out: str | os.PathLike[str],
    cfg: str | os.PathLike[str] | None,
    command: str = "darknet-py train --resume",
) -> RunFolder:
    """The run in the folder `out` that can be gone on with: that of `cfg`, or the only one.

    out: a folder, DIR/NAME, or a file of the run. command: what is typed before DIR/NAME.
    Raises TrainingError.
    """
    if cfg is None and (run := _named_run(out)):
        return run
    folder = Path(out)
    typed = None if cfg is None else os.fspath(cfg)
    wanted = None if typed is None else base_name(typed)
    pattern = "*.state" if wanted is None else f"{glob.escape(wanted)}.state"
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise TrainingError(_why_no_run(folder, pattern, wanted, typed))
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise TrainingError(
            f"{folder} holds several runs ({names}): name one, e.g. "
            f"{command} {shlex.quote(os.fspath(newest(found).with_suffix('')))}"
        )
    return RunFolder(folder, found[0].name.removesuffix(".state"))


def _holds_runs(folder: str | os.PathLike[str]) -> bool:
    return any(Path(folder).glob("*.state"))


def _named_run(place: str | os.PathLike[str]) -> RunFolder | None:
    """The run that DIR/NAME or one of its files names, if its state is there."""
    path = Path(place)
    found = re.fullmatch(f"(.+?){_OWN}", path.name)
    if path.is_file():
        run = None if found is None else RunFolder(path.parent, found[1])
    else:
        run = RunFolder(path.parent, path.name) if os.path.dirname(place) else None
    is_run = run is not None and not path.is_dir() and run.file(".state").is_file()
    return run if is_run else None


def _why_no_run(folder: Path, pattern: str, wanted: str | None, typed: str | None) -> str:
    """What is wrong with a folder without a run, and what to do.

    wanted: the run's name; typed: what was given for it.
    """
    if folder.is_file():
        return f"{folder} is not a file of a run with a state; give the folder of a run"
    if typed is not None and os.path.isdir(typed):
        return _why_no_run(Path(typed), "*.state", None, None)
    if not folder.exists():
        return f"{folder}: no such folder; give the one that the run was started with (--out)"
    table = pattern.removesuffix(".state") + ".csv"
    if any(folder.glob(table)):
        return (
            f"{folder}: the run there has saved nothing to resume from: it is in its first batches "
            f"still, or ended during them; start it again"
        )
    message = f"{folder} holds no run ({pattern} is missing)"
    if typed is not None and typed.endswith(WEIGHTS) and os.path.isfile(typed):
        return (
            f"{typed} has no state next to it; to start from these weights: darknet-py train CFG "
            f"TEXT --weights {shlex.quote(typed)}"
        )
    runs = sorted(folder.glob("*.state"))
    if typed is not None and os.path.isfile(typed) and len(runs) == 1:
        words = f"{resume_command(folder, runs[0].stem)} {shlex.quote(typed)}"
        return f"{message}; if {typed} is the text, the run comes first: {words}"
    return f"{message}; give the folder that the run was started with (--out)"


def _is_ours(cfg: Path) -> bool:
    try:
        with open(cfg, "rb") as file:
            return file.readline().strip() == CFG_MARK.encode()
    except OSError:
        return False
