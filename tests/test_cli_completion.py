"""What shells complete, asked of real ones where they are installed."""

from __future__ import annotations

import os
import select
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
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with a text, a cfg, and a run in `backup`."""
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(words(600))
    Path("mine.cfg").write_text("[net]\ninputs=256\n[gru]\noutput=8\n[softmax]\n")
    small = {"rnn.output": 8, "batch": 4, "time_steps": 8}
    dn.train("tiny", "book.txt", batches=2, seed=1, processes=1, overrides=small)
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
    ("report backup t", {"tiny"}),
    ("completion z", {"zsh"}),
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


@posix
@needs_zsh
def test_zsh_completes(folder: Path) -> None:
    import pty

    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(folder)}
        os.execvp("zsh", ["zsh", "-f", "-i"])
    seen = b""
    try:
        os.write(terminal, b"autoload -Uz compinit; compinit -u\n")
        os.write(terminal, b'eval "$(darknet-py completion zsh)"; echo re""ady\n')
        for wanted, typed in ((b"ready", b"darknet-py train tiny-l\t"), (b"tiny-lstm", b"")):
            while wanted not in seen:
                assert select.select([terminal], [], [], 60)[0], seen
                seen += os.read(terminal, 1 << 16)
            os.write(terminal, typed)
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(child, 0)


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_installing_adds_one_line_once(
    shell: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    start = tmp_path / file
    start.write_text("alias ll='ls -l'")
    assert "added a line" in invoke("completion", "--install").stderr
    assert "already" in invoke("completion", "--install").stderr
    line = f'eval "$(darknet-py completion {shell})"'
    assert start.read_text() == f"alias ll='ls -l'\n{line}\n"


def test_fish_gets_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert invoke("completion", "fish", "--install").status == 0
    written = tmp_path / ".config" / "fish" / "completions" / "darknet-py.fish"
    assert written.read_bytes().strip() == invoke("completion", "fish").stdout.strip()


def test_an_unknown_shell_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    outcome = invoke("completion")
    assert outcome.status == 2
    assert "Give the shell" in outcome.stderr
