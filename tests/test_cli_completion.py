"""What shells complete, asked of real ones where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import darknet_py as dn
from tests.support.commands import invoke
from tests.support.inputs import words

PROGRAM = Path(sys.executable).with_name("darknet-py")
posix = pytest.mark.skipif(sys.platform == "win32", reason="no bash and no terminals as here")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with a text, a cfg, and a run in `backup`."""
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(words(600))
    Path("mine.cfg").write_text("[net]\ninputs=256\n[gru]\noutput=8\n[softmax]\n")
    small = {"rnn.output": 8, "batch": 4, "time_steps": 8}
    dn.train("tiny", "book.txt", batches=2, seed=1, overrides=small)
    return tmp_path


# What is typed, and what is offered for the last word.
TYPED = [
    ("tr", {"train"}),
    ("train ti", {"tiny", "tiny-gru", "tiny-lstm"}),
    ("train mi", {"mine.cfg"}),
    ("train --see", {"--seed"}),
    ("train --gradient d", {"darknet-cpu"}),
    ("train tiny book.txt --set mom", {"momentum="}),
    ("train mine.cfg book.txt --set gru.", {"gru.output="}),
    ("report backup/t", {"backup/tiny"}),
    ("rnn train tiny-l", {"tiny-lstm"}),
]


# What is typed before the name of a file, or of a folder.
FILES = [
    "generate backup --prompt-file",
    "train tiny book.txt --val",
    "report backup --text",
    "report backup --out",
    "vec backup --npy",
    "rnn train mine.cfg",
    "rnn train mine.cfg -file",
    "rnn generate mine.cfg old.weights -tokens",
]


@posix
@needs_bash
@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_bash_is_offered(typed: str, offered: set[str], folder: Path) -> None:
    script = invoke("completion", "bash").stdout.decode()
    shell = f"""
{script}
COMP_WORDS=(darknet-py {typed}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_darknet_py_completion darknet-py
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", shell],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize("typed", FILES)
def test_files_are_offered_for_files(
    typed: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in asked("bash", f"{typed} bo").items():
        monkeypatch.setenv(name, value)
    assert invoke().stdout == b"file,bo\n"


def test_folders_are_offered_for_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in asked("bash", "train --resume --out ba").items():
        monkeypatch.setenv(name, value)
    assert invoke().stdout == b"dir,ba\n"


WRONG_LINES = [
    "trian tin",
    "rnn generaternn ba",
    "-x tr",
    "train broken.cfg book.txt --set no",
    "train tiny book.txt --batches x --see",
    "generate one two three ba",
    "report none t",
]


def asked(shell: str, typed: str) -> dict[str, str]:
    """The variables by which a shell asks for what completes a line."""
    words = typed.split()
    place = words[-1] if shell == "fish" else str(len(words))
    return {
        "_DARKNET_PY_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": f"darknet-py {typed}",
        "COMP_CWORD": place,
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("typed", WRONG_LINES)
def test_what_is_wrong_in_a_line_is_told_only_when_it_is_run(
    typed: str, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.cfg").write_text("[net\n")
    for name, value in asked(shell, typed).items():
        monkeypatch.setenv(name, value)
    outcome = invoke()
    assert (outcome.status, outcome.stderr) == (0, "")


def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("ZDOTDIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_installing_adds_one_line_once(
    shell: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(tmp_path, monkeypatch)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    start = tmp_path / file
    start.write_text("alias ll='ls -l'")
    script = tmp_path / ".local" / "share" / "darknet-py" / f"completion.{shell}"
    told = invoke("completion", "--install").stderr
    assert f"wrote {script} and added a line to {start};" in " ".join(told.split())
    assert script.read_bytes() == invoke("completion", shell).stdout
    before, line, end = start.read_text().split("\n")
    assert before == "alias ll='ls -l'"
    assert str(script) in line
    assert end == ""
    script.unlink()
    assert "added" not in invoke("completion", "--install").stderr
    assert start.read_text() == f"{before}\n{line}\n"
    assert script.exists()


def test_fish_gets_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(tmp_path, monkeypatch)
    assert invoke("completion", "fish", "--install").status == 0
    written = tmp_path / ".config" / "fish" / "completions" / "darknet-py.fish"
    assert written.read_bytes().strip() == invoke("completion", "fish").stdout.strip()


def test_an_unknown_shell_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    outcome = invoke("completion")
    assert outcome.status == 2
    assert "Give the shell" in outcome.stderr
