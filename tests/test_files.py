"""Writing a file whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from darknet_py.files import writing_whole
from tests.support.processes import posix


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_two_writers_of_a_file_both_succeed_and_a_reader_sees_a_whole_one(path: Path) -> None:
    path.write_bytes(b"old")
    with writing_whole(path) as first, writing_whole(path) as second:
        for _ in range(2):
            first.write(b"first ")
            second.write(b"second ")
            assert path.read_bytes() == b"old"
        first.flush()
        second.flush()
        halves = [half.read_bytes() for half in path.parent.iterdir() if half != path]
        assert sorted(halves) == [b"first first ", b"second second "]
    assert path.read_bytes() == b"first first "
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_does_no_harm_to_another_one(path: Path) -> None:
    with writing_whole(path) as first:
        first.write(b"first")
        with suppress(RuntimeError), writing_whole(path):
            raise RuntimeError
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


@posix
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_written_through_or_replaced(path: Path, is_there: bool) -> None:
    target = path.with_name("target")
    path.symlink_to(target)
    if is_there:
        target.write_bytes(b"mine")
    with writing_whole(path) as file:
        file.write(b"through")
    assert path.is_symlink()
    assert target.read_bytes() == b"through"
    with writing_whole(path, follow=False) as file:
        file.write(b"instead")
    assert not path.is_symlink()
    assert (target.read_bytes(), path.read_bytes()) == (b"through", b"instead")
