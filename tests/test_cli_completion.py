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
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")


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
    ("report backup t", {"tiny"}),
    ("train tiny book.txt --set = lea", {"learning_rate="}),
    ("train tiny book.txt --set mom = .9 --gradient ex", {"exact"}),
    ("generate backup --cfg = tiny-l", {"tiny-lstm"}),
    ("rnn train tiny-l", {"tiny-lstm"}),
]


@posix
@needs_bash
@pytest.mark.parametrize(
    ("typed", "is_open"), [("train tiny book.txt --set mom", True), ("train shak", False)]
)
def test_a_key_is_completed_without_a_space_behind_it(
    typed: str, is_open: bool, folder: Path
) -> None:
    shell = f"""
{invoke("completion", "bash").stdout.decode()}
compopt() {{ echo "compopt $*"; }}
COMP_WORDS=(darknet-py {typed}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_darknet_py_quietly darknet-py
"""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "--norc", "-c", shell], env=environment, capture_output=True)
    assert done.stdout == (b"compopt -o nospace\n" if is_open else b"")


# What is typed before the name of a file, or of a folder.
FILES = [
    "generate backup --prompt-file",
    "generate backup --temperature = 1 --prompt-file",
    "train tiny book.txt --val",
    "train tiny book.txt --val =",
    "train tiny book.txt --set mom = .9 --val",
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
_darknet_py_quietly darknet-py
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
    for typed in ("train --resume --out ba", "train --resume --out = ba"):
        for name, value in asked("bash", typed).items():
            monkeypatch.setenv(name, value)
        assert invoke().stdout == b"dir,ba\n"


# What is wrong in a line before its last word, and whether nothing is offered then.
WRONG = [
    ("trian tin", True),
    ("rnn generaternn ba", True),
    ("xyz --", True),
    ("train 'tin", False),
    ("-x tr", False),
    ("train broken.cfg book.txt --set no", False),
    ("train tiny book.txt --batches x --see", False),
    ("generate one two three ba", False),
    ("report none t", False),
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
@pytest.mark.parametrize(("typed", "is_nothing"), WRONG)
def test_what_is_wrong_in_a_line_is_told_only_when_it_is_run(
    typed: str, is_nothing: bool, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.cfg").write_text("[net\n")
    for name, value in asked(shell, typed).items():
        monkeypatch.setenv(name, value)
    outcome = invoke()
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not (is_nothing and outcome.stdout.strip())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMP_CWORD", "x")
        patch.setenv("COMP_WORDS", f"darknet-py {typed} = ")
        outcome = invoke()
        assert (outcome.status, outcome.stderr) == (0, "")
    # A shell that tells less than it should.
    for name in ("COMP_CWORD", "COMP_WORDS"):
        monkeypatch.delenv(name)
        outcome = invoke()
        assert (outcome.status, outcome.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_misspelled_command_completes_to_nothing(shell: str) -> None:
    done = subprocess.run(
        [PROGRAM], env={**os.environ, **asked(shell, "trian tin")}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def typed_at(shell: str, home: Path, *steps: tuple[str, str]) -> str:
    """What an interactive shell shows, with its start file in `home` and this program not on its
    PATH. steps: what is typed, and what is then waited for.
    """
    import pty

    child, terminal = pty.fork()
    if child == 0:
        folders = os.environ["PATH"].split(os.pathsep)
        without = [each for each in folders if not Path(each, PROGRAM.name).exists()]
        for name in ("ZDOTDIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            os.environ.pop(name, None)
        os.environ |= {"PATH": os.pathsep.join(without), "HOME": str(home), "TERM": "dumb"}
        os.execvp(shell, [shell, "-i"])
    seen = ""
    try:
        # What is typed is shown, too: what is waited for has quotes in it there.
        for typed, wanted in (('echo re""ady\n', "ready"), *steps):
            os.write(terminal, typed.encode())
            part = ""
            while wanted not in part:
                assert select.select([terminal], [], [], 60)[0], seen + part
                part += os.read(terminal, 1 << 16).decode("utf-8", "replace")
            seen += part
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(child, 0)
    return seen


COMPLAINTS = ("not found", "No such", "Unknown", "Traceback", "rror", "insecure")


@posix
@pytest.mark.parametrize(
    ("shell", "add"),
    [
        pytest.param("bash", f"PATH={PROGRAM.parent}:$PATH", marks=needs_bash),
        pytest.param("zsh", f"PATH={PROGRAM.parent}:$PATH", marks=needs_zsh),
        pytest.param("fish", f"set PATH {PROGRAM.parent} $PATH", marks=needs_fish),
    ],
)
def test_a_shell_completes_as_soon_as_the_program_is_on_its_path(
    shell: str, add: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(folder, monkeypatch)
    (folder / ".zshrc").touch()  # Else zsh asks a new user what to do.
    assert invoke("completion", shell, "--install").status == 0
    seen = typed_at(
        shell,
        folder,
        ("darknet-py tr\t", "tr"),
        ('\x15echo no""thing\n', "nothing"),
        (f'{add}; echo on_pa""th\n', "on_path"),
        ("darknet-py train tiny-l\t", "tiny-lstm"),
        ('\x15echo th""ere\n', "there"),
        ("darknet-py train tiny book.txt --set momen\t.9", "momentum=.9"),
        ('\x15echo af""ter\n', "after"),
        ("darknet-py trian tin\t", "tin"),
        ('\x15echo en""d\n', "end"),
    )
    assert not any(complaint in seen for complaint in COMPLAINTS), seen


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
    assert f"wrote {script}; added a line to {start};" in " ".join(told.split())
    assert script.read_bytes() == invoke("completion", shell).stdout
    before, line, end = start.read_text().split("\n")
    assert before == "alias ll='ls -l'"
    assert str(script) in line
    assert end == ""
    script.unlink()
    assert "already reads it" in " ".join(invoke("completion", "--install").stderr.split())
    assert start.read_text() == f"{before}\n{line}\n"
    assert script.exists()


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_installing_replaces_the_lines_of_earlier_versions(
    shell: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(tmp_path, monkeypatch)
    start = tmp_path / file
    earlier = f'eval "$(darknet-py completion {shell})"'
    mine = f"command -v darknet-py > /dev/null && {earlier}"
    start.write_text(f"one\n{earlier}\n{mine}\n  {earlier}  # twice\ntwo")
    start.chmod(0o600)
    told = " ".join(invoke("completion", shell, "--install").stderr.split())
    assert f"replaced the line for it in {start}" in told
    one, line, other, two = start.read_text().split("\n")
    assert (one, other, two) == ("one", mine, "two")
    assert "completion of darknet-py" in line
    if sys.platform != "win32":
        assert start.stat().st_mode & 0o777 == 0o600
    # One whose script is elsewhere.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "my data"))
    assert invoke("completion", shell, "--install").status == 0
    (line,) = (line for line in start.read_text().split("\n") if "completion of" in line)
    assert str(tmp_path / "my data") in line


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
