"""What compiles the engine: its cache on disk, and Ctrl-C while it works."""

from __future__ import annotations

import hashlib
import logging
import pickle
import signal
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from numba.core import config, types

from darknet_py.engine.compiled import jit
from tests.support.commands import run
from tests.support.disk import FailingDisk
from tests.support.processes import posix, start


def small(number: int) -> None:
    pass


def entry(number: int) -> int:
    return number + 1


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing has been compiled or said yet."""
    caplog.set_level(logging.INFO, "darknet_py")
    jit.sources()
    for name in ("_chosen_folder", "_warn"):
        monkeypatch.setattr(jit, name, lru_cache(getattr(jit, name).__wrapped__))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def is_read() -> bool:
    """Whether a function needs not be compiled."""
    function = jit.Exported(small)
    function.link()
    assert function.compiled.address
    return bool(function.compiled.cache_hits)


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of all that was said."""
    return [record.levelname for record in caplog.records]


def with_code(data: bytes, code: bytes) -> bytes:
    digests = data.split(b"\n")[0], hashlib.sha256(code).hexdigest().encode()
    return b"\n".join((*digests, code))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "short": lambda data: data[:-100],
    "headless": lambda data: data[:40],
    "long": lambda data: data + b"x",
    "zeros": lambda data: bytes(len(data)),
    "a bit": lambda data: data[:-500] + bytes([data[-500] ^ 1]) + data[-499:],
    "other classes": lambda data: with_code(data, b"cdarknet_py.engine.compiled.threads\nGone\n."),
    "other content": lambda data: with_code(data, pickle.dumps((1, 2))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again(
    place: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert [is_read(), is_read()] == [False, True]
    (file,) = place.iterdir()
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    caplog.clear()
    assert [is_read(), is_read()] == [False, True]
    assert levels(caplog) == ["WARNING"]
    assert str(place) in caplog.text
    assert list(place.iterdir()) == [file]


def test_code_of_other_sources_is_replaced(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not is_read()
    with monkeypatch.context() as other:
        other.setattr(jit, "sources", lambda: "others")
        assert [is_read(), is_read()] == [False, True]
    assert [is_read(), is_read()] == [False, True]
    assert levels(caplog) == ["INFO"]
    assert len(list(place.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_done_without(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.write_bytes(b"no folder")
    assert [is_read(), is_read()] == [False, False]
    assert levels(caplog) == ["INFO", "WARNING"]
    assert str(place) in caplog.text
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_a_full_disk_is_done_without(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    FailingDisk(monkeypatch, 1)
    assert [is_read(), is_read(), is_read()] == [False, False, True]
    assert levels(caplog) == ["INFO", "WARNING"]
    assert "No space left" in caplog.text
    assert len(list(place.iterdir())) == 1


@pytest.mark.parametrize("home", ["~/.cache", "home"])
def test_without_a_package_that_can_be_written_the_home_is_used_if_there_is_one(
    home: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    has_home = home == "home"
    home = str(folder / home) if has_home else home
    (folder / "package").write_bytes(b"no folder")
    monkeypatch.setattr(jit, "__file__", str(folder / "package" / "jit.py"))
    monkeypatch.setattr(jit, "AppDirs", lambda *_, **__: SimpleNamespace(user_cache_dir=home))
    monkeypatch.setattr(config, "CACHE_DIR", "")
    assert [is_read(), is_read()] == [False, has_home]
    assert levels(caplog) == ["INFO", "WARNING"][: 2 - has_home]
    assert not (folder / "~").exists()


@jit.instructions(types.void)
def interrupts(builder: object) -> None:
    """The user presses Ctrl-C while this is compiled."""
    signal.raise_signal(signal.SIGINT)


def interrupted(number: int) -> None:
    interrupts()


def test_an_interruption_waits_for_the_end_of_a_function(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = jit.Exported(interrupted), jit.Exported(small)
    monkeypatch.setattr(jit, "_EXPORTS", {"first": first, "second": second})
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        jit.link(entry, "intp(intp)")
    assert [bool(each.compiled) for each in (first, second)] == [True, False]
    assert "stopping" in caplog.messages[-1]
    assert signal.getsignal(signal.SIGINT) is handler
    assert jit.link(entry, "intp(intp)")(1) == 2
    assert second.compiled.address


@posix
def test_a_run_that_is_interrupted_while_compiling_has_moved_nothing(run_inputs: None) -> None:
    arguments = ("train", "net.cfg", "text.txt", "--batches", "1")
    assert run(*arguments, "--engine", "numpy", cwd=Path()).status == 0
    before = sorted(Path("backup").rglob("*"))
    process = start(*arguments, environment={"NUMBA_CACHE_DIR": "cache"})
    assert process.stderr
    assert any(line.startswith(b"compiling") for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said.startswith(b"stopping")
    assert said.endswith(b"interrupted\n")
    assert b"ignored" not in said
    assert sorted(Path("backup").rglob("*")) == before
