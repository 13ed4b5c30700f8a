"""What a run writes on a strict disk, in a folder with links, or beside an earlier run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import darknet_py as dn
from darknet_py.loading.finding import open_network
from darknet_py.training.folder import LOCK
from tests.support.commands import Outcome, invoke
from tests.support.disk import Calls, FailingDisk
from tests.support.inputs import write_cfg
from tests.support.processes import posix
from tests.support.runs import all_files_are_readable, files_in

pytestmark = pytest.mark.usefixtures("run_inputs")

OPTIONS = ("--val-every", "1", "--sample-every", "1", "--save-every", "1")
NEW = ("train", "net.cfg", "text.txt", "--seed", "1", *OPTIONS)
RESUME = ("train", "--resume")
SUFFIXES = (
    *(".csv", ".samples", ".state", ".backup", ".png", ".cfg"),
    *("_best.weights", "_final.weights", "_4.weights"),
)


def new_run(*more: str) -> Outcome:
    outcome = invoke(*NEW, "--batches", "2", *more)
    assert outcome.status == 0, outcome.stderr
    return outcome


# --- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["there", "missing", "missing/below", "itself"])
@pytest.mark.parametrize("how", [NEW, RESUME], ids=["new", "resumed"])
@posix
def test_a_run_writes_through_no_link_in_its_folder(
    how: tuple[str, ...], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("darknet_py.training.loop.KEEP_EVERY", 4)
    new_run()
    Path("there").mkdir()
    links = [Path(f"backup/net{suffix}") for suffix in SUFFIXES]
    for link in links:
        if link.suffix == ".state" and target != "there" and how is RESUME:
            continue  # Without it there is no run.
        if target == "there" and link.exists():
            link.rename(Path("there", link.name))
        link.unlink(missing_ok=True)
        link.symlink_to(link.name if target == "itself" else Path(target, link.name).absolute())
    before = {path: path.read_bytes() for path in Path("there").iterdir()}
    outcome = invoke(*how, "--batches", "4", "--plot")
    if target == "itself" and how is RESUME:
        assert "net.csv" in outcome.error()
    else:
        assert outcome.status == 0, outcome.stderr
        assert [link for link in links if link.is_symlink() or not link.is_file()] == []
        assert how is RESUME or all(Path("backup/old-1", p.name).is_symlink() for p in links)
    assert before == {path: path.read_bytes() for path in Path("there").iterdir()}
    assert not Path("missing").exists()


@posix
@pytest.mark.parametrize("how", [NEW, RESUME], ids=["new", "resumed"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_lock_that_is_a_link_is_refused(how: tuple[str, ...], is_there: bool) -> None:
    new_run()
    Path("backup", LOCK).unlink()
    if is_there:
        Path("mine").write_bytes(b"mine")
    Path("backup", LOCK).symlink_to(Path("mine").absolute())
    before = files_in(Path())
    assert f"{LOCK} is a link" in invoke(*how, "--batches", "4").error()
    assert files_in(Path()) == before
    assert not is_there or Path("mine").read_bytes() == b"mine"


@posix
def test_a_link_that_comes_while_a_run_trains_is_not_followed() -> None:
    Path("mine").write_bytes(b"mine")

    def link(row: dn.Row) -> None:
        for suffix in ("_best.weights", "_final.weights", ".state"):
            path = Path(f"backup/net{suffix}")
            path.unlink(missing_ok=True)
            path.symlink_to("../mine")

    dn.train("net.cfg", "text.txt", batches=3, val_every=1, seed=1, callback=link)
    assert Path("mine").read_bytes() == b"mine"

    def link_samples(row: dn.Row) -> None:
        if row.batch == 1:
            Path("backup/net.samples").symlink_to("../mine")

    late: dict[str, Any] = {"val_every": 2, "sample_every": 1, "callback": link_samples}
    with pytest.raises(OSError, match=r"net\.samples"):
        dn.train("net.cfg", "text.txt", batches=3, **late)
    assert Path("mine").read_bytes() == b"mine"


@posix
def test_what_is_named_to_be_written_may_be_a_link() -> None:
    Path("disk").mkdir()
    Path("backup").symlink_to("disk")
    new_run()
    for name in ("there.npz", "page.html"):
        Path(name).symlink_to(f"disk/{name}")
    assert invoke("export", "backup", "there.npz").status == 0
    assert invoke("report", "backup", "--out", "page.html").status == 0
    open_network("backup").save_weights("disk/first.weights")
    Path("link.weights").symlink_to("disk/first.weights")
    open_network("backup").save_weights("link.weights")
    assert {"net.state", "there.npz", "page.html", "first.weights"} <= set(files_in(Path("disk")))
    assert all(Path(name).is_symlink() for name in ("there.npz", "page.html", "link.weights"))


@posix
def test_a_report_in_the_folder_of_a_run_follows_no_link() -> None:
    new_run()
    Path("backup/net.html").symlink_to(Path("mine").absolute())
    assert invoke("report", "backup").status == 0
    assert not Path("mine").exists()
    assert not Path("backup/net.html").is_symlink()


@posix
def test_rnn_train_follows_no_link_in_its_folder() -> None:
    Path("net.cfg").write_text(Path("net.cfg").read_text().replace("adam=1", "max_batches=2"))
    Path("backup").mkdir()
    Path("backup/net_final.weights").symlink_to(Path("mine").absolute())
    assert invoke("rnn", "train", "net.cfg", "-file", "text.txt", "-srand", "1").status == 0
    assert not Path("mine").exists()
    assert Path("backup/net_final.weights").is_file()


# --- a power failure -----------------------------------------------------------------------------


@posix
def test_an_earlier_run_is_safe_in_its_new_place_before_it_leaves_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new_run()
    earlier = files_in(Path("backup"))
    calls = Calls(monkeypatch)
    new_run()
    moved = Path("backup/old-1")
    assert files_in(moved) == earlier
    linked = [calls.first("link", moved / name) for name in earlier]
    synced = [calls.first("fsync", moved / name) for name in earlier]
    folders = calls.first("fsync", moved), calls.first("fsync", Path("backup"), max(linked))
    gone = [calls.first("unlink", Path("backup", name)) for name in earlier]
    assert all(link < sync for link, sync in zip(linked, synced, strict=True))
    assert max(synced) < folders[0] < folders[1] < min(gone)
    assert max(gone) < calls.first("replace", Path("backup/net.cfg"))


@posix
def test_the_folders_above_a_new_run_are_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    new_run("--out", "one/two/three")
    first = calls.first("replace", Path("one/two/three/net.cfg"))
    for folder in (".", "one", "one/two"):
        assert calls.first("fsync", Path(folder)) < first
    calls.made.clear()
    Path("net.cfg").write_text(Path("net.cfg").read_text().replace("adam=1", "max_batches=2"))
    assert invoke("rnn", "train", "net.cfg", "-file", "text.txt", "-srand", "1").status == 0
    first = calls.first("replace", Path("backup/net_final.weights"))
    assert calls.first("fsync", Path()) < first


@posix
def test_a_journal_is_in_its_folder_before_a_state_counts_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls(monkeypatch)
    new_run("--save-every", "1")
    made = calls.first("open", Path("backup/net.samples"))
    saved = calls.first("replace", Path("backup/net.state"), made)
    assert calls.first("fsync", Path("backup"), made) < saved


def test_nothing_of_an_earlier_run_is_lost_when_the_disk_fails_as_it_is_moved() -> None:
    new_run()
    earlier = {name: Path("backup", name).read_bytes() for name in files_in(Path("backup"))}
    fails_at, failed = 0, 0
    while not Path("backup/old-1").exists() or failed:
        fails_at += 1
        with pytest.MonkeyPatch.context() as patch:
            FailingDisk(patch, fails_at)
            outcome = invoke(*NEW, "--batches", "1")
        failed = outcome.status
        for name, data in earlier.items():
            kept = [path for path in Path("backup").rglob(name) if path.read_bytes() == data]
            assert kept, (fails_at, name)
    all_files_are_readable(Path("backup"))


@pytest.mark.parametrize("error", [OSError, NotImplementedError])
def test_without_hard_links_an_earlier_run_is_moved_too(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise error("no links here")

    new_run()
    earlier = {name: Path("backup", name).read_bytes() for name in files_in(Path("backup"))}
    monkeypatch.setattr(os, "link", refuse)
    new_run()
    for name, data in earlier.items():
        assert Path("backup/old-1", name).read_bytes() == data


@posix
def test_an_earlier_run_does_not_go_where_a_link_points() -> None:
    new_run()
    Path("backup/old-1").symlink_to("missing")
    new_run()
    assert "net.state" in files_in(Path("backup/old-2"))


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [226, 240, 251])
def test_a_name_that_is_too_long_is_refused_before_training(length: int) -> None:
    name = "n" * length
    write_cfg(Path(f"{name}.cfg"))
    error = invoke("train", f"{name}.cfg", "text.txt", "--batches", "1").error()
    assert "give the cfg a shorter name" in error
    assert not Path("backup").exists()
    args = ("rnn", "train", f"{name}.cfg", "-file", "text.txt", "-q")
    Path(f"{name}.cfg").write_text(Path("net.cfg").read_text().replace("adam=1", "max_batches=2"))
    assert "shorter name" in invoke(*args).lines[-1]


def test_a_long_name_has_all_its_files() -> None:
    name = "n" * 200
    write_cfg(Path(f"{name}.cfg"))
    args = ("text.txt", "--batches", "2", "--val-every", "1", "--seed", "1")
    assert invoke("train", f"{name}.cfg", *args).status == 0
    assert invoke("train", f"{name}.cfg", *args).status == 0
    assert f"{name}_final.weights" in files_in(Path("backup/old-1"))
    assert invoke("report", "backup").status == 0
