"""The program: help, versions, exit statuses, names of files, bundled cfgs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

import darknet_py as dn
from darknet_py.cfg import bundled_cfgs
from darknet_py.cli import COMMANDS, main
from tests.support.commands import invoke, run
from tests.support.inputs import write_cfg
from tests.support.processes import posix

WEIGHTS = "net.weights"

pytestmark = pytest.mark.usefixtures("net")


def every_command() -> list[tuple[str, ...]]:
    """The words that lead to each command, the groups among them."""
    found: list[tuple[str, ...]] = [()]
    for name in COMMANDS:
        found.append((name,))
        command = command_of((name,))
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.commands]
    return found


def command_of(path: tuple[str, ...]) -> click.Command:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_help_of_every_command_has_examples_that_parse(path: tuple[str, ...]) -> None:
    short, long = invoke(*path, "-h"), invoke(*path, "--help")
    assert short.status == long.status == 0
    assert short.stdout == long.stdout
    assert short.stderr == ""
    lines = [line.strip() for line in short.stdout.decode().splitlines()]
    examples = [line for line in lines if re.match("darknet-py [^-]", line)]
    assert examples
    for example in examples:
        args = shlex.split(example.partition(" < ")[0])[1:]
        command, rest = command_of(()), args
        while isinstance(command, click.Group):
            command, rest = command_of(tuple(args[: len(args) - len(rest) + 1])), rest[1:]
        assert tuple(args[: len(path)]) == path
        command.make_context(args[0], rest, help_option_names=["-h", "--help"])


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_help_fits_a_terminal_of_100_columns(path: tuple[str, ...]) -> None:
    assert max(map(len, invoke(*path, "-h").stdout.decode().splitlines())) <= 100


def test_every_option_has_a_help_text() -> None:
    for path in every_command():
        for parameter in command_of(path).params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def test_the_program_as_a_module(tmp_path: Path) -> None:
    version = run("--version", cwd=tmp_path)
    assert (version.status, version.stderr) == (0, "")
    assert version.stdout.decode().strip() == f"darknet-py, version {dn.__version__}"
    for words in (("--version", "-v"), ("-v", "--version")):
        said = run(*words, cwd=tmp_path).stdout.decode().splitlines()
        facts = dict(line.split(": ", 1) for line in said[1:])
        assert facts["numpy"] == np.__version__
        assert {"Python", "system", "cores", "BLAS", "engine"} <= set(facts)
    shown = run("-h", cwd=tmp_path).stdout.decode()
    assert shown.startswith("Usage: ")
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)


def test_the_program_by_its_name(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("darknet-py")
    if not program.exists():
        pytest.skip("not installed as a program")
    done = subprocess.run([program, "--version"], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.decode().strip().endswith(dn.__version__)


@pytest.mark.parametrize(
    "args",
    [
        ("no-such-command",),
        ("--no-such-option",),
        ("rnn", "no-such-command"),
        ("generate",),
        ("train", "net.cfg"),
        ("valid",),
        ("vec",),
        ("info",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(args: tuple[str, ...]) -> None:
    outcome = invoke(*args)
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert outcome.lines[-1].startswith("Error: ")


def test_wrong_usage_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert run("no-such-command", cwd=tmp_path).status == 2
    assert run("generate", WEIGHTS, "--temperature", "-1", cwd=tmp_path).status == 2


@pytest.mark.parametrize("before", [(), ("-q",)], ids=["after", "before"])
@pytest.mark.parametrize(
    "args",
    [
        ("generate", WEIGHTS, "--length", "3"),
        ("valid", WEIGHTS),
        ("vec", WEIGHTS),
        ("info", "tiny"),
    ],
    ids=lambda args: args[0],
)
def test_quiet_commands_say_nothing_on_stderr(
    before: tuple[str, ...], args: tuple[str, ...]
) -> None:
    quiet = (*before, *args) if before else (*args, "-q")
    outcome = invoke(*quiet, stdin=b"some text\n")
    assert outcome.status == 0
    assert outcome.stdout
    assert outcome.stderr == ""


def test_messages_do_not_mix_into_the_product() -> None:
    outcome = invoke("valid", WEIGHTS, "-v", stdin=b"\xef\xbb\xbfabc")
    assert "byte-order mark" in outcome.stderr
    assert outcome.stdout.startswith(b"bytes  ")


def test_names_of_files_cannot_write_to_the_terminal() -> None:
    assert "\x1b" not in invoke("info", "no\x1b[31mwhere.cfg").error()
    outcome = invoke("info", "no\x1b[31mwhere\n.cfg")
    assert outcome.status == 2
    assert "\x1b" not in outcome.stderr
    assert outcome.lines[-1].startswith("Error: ")


@posix
def test_names_of_files_may_be_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.cfg")
    try:
        write_cfg(Path(name))
    except OSError:
        pytest.skip("the file system wants UTF-8")
    outcome = run("info", name, cwd=tmp_path)
    assert outcome.status == 0, outcome.stderr
    assert b"caf" in outcome.stdout


# --- cfg -----------------------------------------------------------------------------------------


NETWORKS = [  # in the order in which someone new meets them
    *("tiny", "tiny-gru", "tiny-lstm", "shakespeare", "large"),
    *("crnn.train", "gru", "gru.alexeyab", "lstm.train", "rnn", "rnn.train"),
]


def test_cfg_lists_what_is_bundled_each_with_a_word() -> None:
    lines = invoke("cfg").stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == NETWORKS
    for line in lines:
        assert len(line.split()) > 4
        assert len(line) <= 120
    assert sorted(NETWORKS) == sorted(bundled_cfgs())


def test_cfg_prints_a_cfg_or_writes_it_to_be_edited() -> None:
    text = bundled_cfgs()["tiny"].read_bytes()
    assert invoke("cfg", "tiny").stdout == text
    assert invoke("cfg", "tiny", "my.cfg").status == 0
    assert Path("my.cfg").read_bytes() == text
    Path("my.cfg").write_text("mine")
    assert "my.cfg" in invoke("cfg", "tiny", "my.cfg").error()
    assert Path("my.cfg").read_text() == "mine"
    assert "nonsense" in invoke("cfg", "nonsense").error()
