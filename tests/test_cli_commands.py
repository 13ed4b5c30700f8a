"""What someone new types: errors say what to do, and help fits 40 columns."""

from __future__ import annotations

import io
import logging
import os
import warnings
from pathlib import Path

import pytest

import darknet_py as dn
from darknet_py.cli import COMMANDS, main
from darknet_py.cli.rnn import USED
from darknet_py.cli.train import _say_result
from tests.support.commands import invoke

pytestmark = pytest.mark.usefixtures("run_inputs")


def usage_error(*args: str) -> str:
    outcome = invoke(*args)
    assert outcome.status == 2
    assert outcome.lines[0].startswith("Usage: ")
    return outcome.lines[-1]


PATHS = [*((name,) for name in COMMANDS), *(("rnn", name) for name in USED), ()]


@pytest.mark.parametrize("columns", [40, 51])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_fits_narrow_terminals(
    path: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = invoke(*path, "-h").stdout.decode()
    for line in text.splitlines():
        # Commands, and tables of formats, are as they are typed.
        as_written = line.startswith(("    darknet-py", "    eval", "  .", "    ."))
        assert as_written or len(line) < columns or len(line.split()) <= 2, line
        # Those of a width of 80 fit that.
        assert len(line) < 80
    assert "INTEGER" not in text
    assert "<=x" not in text


def test_every_command_is_listed_in_a_whole_sentence() -> None:
    text = invoke("-h").stdout.decode().partition("Commands:")[2]
    for name in COMMANDS:
        (line,) = (line for line in text.splitlines() if line.split()[:1] == [name])
        assert line.endswith(".")
        assert "..." not in line


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_exported_tensors_in_the_place_of_weights_are_answered_with_import(suffix: str) -> None:
    assert invoke("train", "net.cfg", "text.txt", "--batches", "1", "--out", "run").status == 0
    file = f"my net{suffix}"
    assert invoke("export", "run", file).status == 0
    words = f"import 'my net{suffix}' 'my net.weights'"
    told = f"Error: {file} holds exported tensors; turn it into a weights file and a cfg first: "
    for args in (
        ("info", file),
        ("generate", file),
        ("valid", file, "text.txt"),
        ("vec", file, "text.txt"),
        ("export", file, "page.html"),
        ("train", file, "text.txt"),
        ("train", "net.cfg", "text.txt", "--weights", file),
        ("rnn", "generate", file),
        ("rnn", "generate", "net.cfg", file),
    ):
        assert invoke(*args).error() == f"{told}darknet-py {words}", args
    assert invoke("import", file, "my net.weights").status == 0
    assert invoke("generate", "my net.weights", "--length", "5").status == 0


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ("generate", "tiny"),
            "give the folder of a run, or train it first: darknet-py train tiny",
        ),
        (("generate", "nothing"), "No such file or directory; give a weights file, or the folder"),
        (("generate", "text.txt"), "instead of a version number; give a .weights"),
        (("generate", "empty"), "give a weights file, or the folder of a run"),
        (("train", "net.cfg", "short.txt"), "has only 5 bytes to train on; time_steps="),
        (("train", "net.cfg", "text.txt", "--out", "text.txt"), "text.txt is a file; --out needs"),
        (("train", "--resume", "--out", "nothing"), "nothing: no such folder; give the one"),
        (("valid", "tiny", "text.txt"), "tiny is a bundled cfg, without weights; give the folder"),
        (("export", "tiny", "page.html"), "tiny is a bundled cfg, without weights; give the"),
        (("export", "net.cfg", "page.html"), "net.cfg is not a weights file"),
        (("train", "rnn", "text.txt"), "--set batch=16 --set time_steps=64; or train the bundled"),
    ],
)
def test_errors_name_what_to_do(args: tuple[str, ...], told: str) -> None:
    Path("empty").mkdir()
    Path("short.txt").write_text("hello")
    assert told in invoke(*args).error()


def test_the_list_of_networks_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 1

    shown = Terminal()
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((40, 24)))
    monkeypatch.setattr("sys.stdout", shown)
    logger = logging.getLogger("darknet_py")
    for name in ("level", "handlers", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
    with warnings.catch_warnings():
        main(["cfg"], standalone_mode=False)
        main(["info", "tiny"], standalone_mode=False)
    assert "shakespeare" in shown.getvalue()
    assert "460,544" in shown.getvalue()
    assert all(len(line) < 40 for line in shown.getvalue().splitlines())


def test_a_stopped_run_names_its_latest_network_and_how_it_continues(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = dn.train("net.cfg", "text.txt", out="run", seed=1, stop=iter([False, True]).__next__)
    assert result.interrupted
    _say_result(result, None)
    *_, shown, last = capsys.readouterr().err.splitlines()
    command = f"darknet-py generate {Path('run/net.backup')}"
    assert shown == f"to see what it writes now: {command}"
    assert last == "to continue: darknet-py train --resume --out run"
    assert invoke(*command.split()[1:], "--length", "5").status == 0


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_missing_argument_is_answered_with_an_example(path: tuple[str, ...]) -> None:
    outcome = invoke(*path)
    if outcome.status == 2 and "Missing argument" in outcome.stderr:
        example = " ".join(("darknet-py", *path))
        assert f"'; for example: {example} " in outcome.lines[-1]
    else:
        assert path in ((), ("train",), ("rnn",), ("cfg",), ("completion",), ("runs",), ("report",))


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize(
    "args",
    [
        ("export", "run", "folder"),
        ("export", "run"),
        ("train", "tiny", "book.txt", "--time", "two minutes or three"),
        ("train", "tiny", "book.txt", "--val-from", "the middle of it all"),
        ("valid", "run", "book.txt", "--streams", "a word instead of a number"),
        ("generate", "run", "--no-such-option-at-all", "and a long text behind it"),
    ],
)
def test_what_is_put_before_a_usage_error_counts_where_its_lines_are_broken(
    args: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darknet_py.terminal.messages.columns", lambda _: columns)
    monkeypatch.setattr("darknet_py.terminal.messages.is_terminal", lambda _: True)
    outcome = invoke(*args)
    assert outcome.status == 2
    told = outcome.stderr[outcome.stderr.index("Error: ") :].splitlines()
    # A command to type stays in one piece.
    lines = [line for line in told if not line.startswith("  darknet-py ")]
    assert all(len(line) < columns for line in lines), lines


def test_a_much_later_network_than_the_best_one_is_told_by_every_command() -> None:
    """Of a run that was stopped, where it is not named."""
    dn.train("net.cfg", "text.txt", out="run", batches=40, seed=1, val_every=10)
    final, backup = Path("run/net_final.weights"), Path("run/net.backup")
    whole = final.read_bytes()
    final.unlink()
    net = dn.load_network("run")
    best = net.seen
    net.seen = best * 19 // 10
    net.save_weights(backup)
    assert "later in the run" not in invoke("generate", "run", "--length", "3").stderr
    net.seen = best * 3
    net.save_weights(backup)
    told = f"{backup} is newer (3.0 times the training)"
    for args in (
        ("generate", "run", "--length", "3"),
        ("valid", "run", "text.txt"),
        ("info", "run"),
        ("export", "run", "net.npz"),
        ("report", "run"),
    ):
        outcome = invoke(*args)
        assert outcome.status == 0, outcome.stderr
        assert outcome.stderr.count(told) == 1, (args, outcome.stderr)
    named = invoke("generate", "run/net_best.weights", "--length", "3")
    assert "later in the run" not in named.stderr
    final.write_bytes(whole)
    assert "later in the run" not in invoke("generate", "run", "--length", "3").stderr


def test_the_newest_of_several_runs_is_the_example_of_how_one_is_named() -> None:
    for name in ("b", "a"):
        Path(f"{name}.cfg").write_text(Path("net.cfg").read_text())
        dn.train(f"{name}.cfg", "text.txt", out="run", batches=20, seed=1, save_every=10)
    for suffix in ("_best.weights", ".state"):
        os.utime(f"run/a{suffix}", (1, 1))
    best = Path("run/b_best.weights")
    assert invoke("generate", "run").error().endswith(f"name one, e.g. {best}")
    assert invoke("report", "run").error().endswith("name one, e.g. darknet-py report run/b")


def test_a_report_offers_no_option_that_it_does_not_have() -> None:
    dn.train("net.cfg", "text.txt", out="run", batches=2, seed=1)
    assert "chooses another" not in invoke("report", "run").stderr
    dn.load_network("tiny", seed=1).save_weights("alone.weights")
    assert "; --cfg chooses another" in invoke("export", "alone.weights", "net.npz").stderr
