"""What someone new types: mistakes are answered with what was meant, and help fits 40 columns."""

from __future__ import annotations

import io
import logging
import os
import warnings
from pathlib import Path

import click
import pytest

import darknet_py as dn
from darknet_py.cli import COMMANDS, main
from darknet_py.cli.commands import HINTS, SIMILAR
from darknet_py.cli.rnn import USED
from darknet_py.cli.run_options import above_zero
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


def test_hints_name_options_and_commands_that_exist() -> None:
    for path, hints in HINTS.items():
        own: click.Command = main
        for name in path.split():
            assert isinstance(own, click.Group)
            found = own.get_command(click.Context(own), name)
            assert found is not None
            own = found
        known = {option for parameter in own.params for option in parameter.opts}
        for typed, meant in hints.items():
            assert typed not in known
            assert any(word in known or word == "darknet-py" for word in meant.split())
    of_c = {f"rnn {name}" for name in USED}
    known = {*COMMANDS, *of_c, "--help", "--version", "train --resume"}
    assert set(SIMILAR.values()) <= known


def test_options_of_other_programs_are_answered_with_ours() -> None:
    assert "Use --set learning_rate=.002." in usage_error("train", "tiny", "text.txt", "--lr", ".1")
    told = "'--epochs': a run ends by --time 10m, --batches 5000 or max_batches=5000."
    assert told in usage_error("train", "tiny", "text.txt", "--epochs", "3")
    assert "'-temp'. Use --temperature." in usage_error("generate", "backup", "-temp", ".5")
    assert "Use --seed." in usage_error("generate", "backup", "-srand", "5")
    assert "--prompt for the text" in usage_error("generate", "backup", "-seed", "Once")
    assert "--length" in usage_error("generate", "backup", "--lenght", "5")
    told = usage_error("train", "tiny", "text.txt", "--tim", "5s")
    assert told.endswith("No such option '--tim'. Did you mean '--time'?")
    c = ("rnn", "generate", "net.cfg", "net.weights")
    assert usage_error(*c, "-temperature", "1").endswith("'-temperature'. Use -temp.")
    assert usage_error(*c, "--length", "9").endswith("'--length'. Use -len.")
    assert "Use -srand for the random numbers" in usage_error(*c, "--seed", "9")


def test_a_misspelled_command_is_answered_with_the_likely_one() -> None:
    assert usage_error("genrate").endswith("Did you mean darknet-py generate?")
    assert usage_error("ifno").endswith("Did you mean darknet-py info?")
    assert usage_error("resume").endswith("Did you mean darknet-py train --resume?")
    assert usage_error("sample").endswith("Did you mean darknet-py generate?")
    assert usage_error("help").endswith("Did you mean darknet-py --help?")
    assert usage_error("xyzzy").endswith("No such command 'xyzzy'.")
    assert usage_error("gen").endswith("Did you mean darknet-py generate?")
    assert usage_error("generatetactic").endswith("Did you mean darknet-py rnn generatetactic?")
    # Of a group its own, else those of the program.
    for typed, meant in (
        ("gen", "rnn generate"),
        ("genrate", "rnn generate"),
        ("test", "rnn valid"),
        ("help", "rnn --help"),
        ("info", "info"),
        ("list", "cfg"),
        ("exprt", "export"),
        ("version", "--version"),
    ):
        assert usage_error("rnn", typed).endswith(f"Did you mean darknet-py {meant}?")
    assert usage_error("rnn", "xyzzy").endswith("No such command 'xyzzy'.")


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ((), ("rnn",))])
def test_help_as_a_word_is_answered_with_the_option(path: tuple[str, ...]) -> None:
    told = f"Error: For help: darknet-py {' '.join(path)} --help"
    assert usage_error(*path, "help") == told


def test_a_wrong_order_is_answered_with_the_right_one() -> None:
    first = "The network comes first, then the text: darknet-py train"
    assert usage_error("train", "text.txt", "tiny").endswith(f"{first} tiny text.txt")
    assert usage_error("train", "text.txt").endswith(f"{first} tiny text.txt")
    told = "or --resume to continue a run: darknet-py train tiny mybook.txt"
    assert usage_error("train", "tiny").endswith(f"Give a text after the network, {told}")
    assert usage_error("train").endswith(f"Give a network and a text, {told}")
    dn.train("net.cfg", "text.txt", out="run", batches=2, seed=1)
    assert usage_error("valid", "text.txt", "run").endswith("text: darknet-py valid run text.txt")
    for cfg in ("rnn", "net.cfg"):
        told = usage_error("generate", cfg, "old.weights")
        assert told.endswith(f"darknet-py generate old.weights --cfg {cfg}")
    for source, target in (("run", "net.html"), ("old.weights", "sub/net.npz")):
        told = usage_error("export", target, source)
        first = "The network comes first, then the file to write: darknet-py export"
        assert told.endswith(f"{first} {source} {target}")
    told = usage_error("import", "new.weights", "net.npz")
    first = "The tensors come first, then the weights file to write: darknet-py import"
    assert told.endswith(f"{first} net.npz new.weights")
    told = usage_error("generate", "run", "Once upon")
    assert told.endswith('(Once upon); to start from a text, give it with --prompt "..."')


def test_a_network_that_does_not_exist_is_told_before_a_missing_text() -> None:
    for typed in ("tinny", "tyni", "ityn", "tiyn"):
        told = f"{typed}: no such file, and no bundled cfg of that name; did you mean tiny?"
        assert invoke("train", typed).error().endswith(told)
    assert "the bundled cfgs are" in invoke("train", "xyzzy").error()
    told = usage_error("train", "txt.txt")
    assert told.endswith(
        "did you mean text.txt? The network comes first: darknet-py train tiny text.txt"
    )


def test_a_folder_of_texts_beside_a_text_is_answered_with_what_can_be_given() -> None:
    Path("sub").mkdir()
    Path("a.txt").write_text("some text")
    told = "give one text, or one folder that holds all texts (subfolders are not read)"
    for command in (("train", "tiny"), ("valid", "run")):
        for texts in (("a.txt", "sub"), ("sub", "a.txt"), ("sub", "sub")):
            assert usage_error(*command, *texts).endswith(f"({texts[1]}); {told}")


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


@pytest.mark.parametrize("text", ["a\nb", "some words " * 30], ids=["lines", "long"])
def test_a_text_in_the_place_of_a_file_is_told_in_short(text: str) -> None:
    told = f"is a text of {len(text)} characters; save it as a file, and give the name of that file"
    for args in (
        ("train", "tiny", text),
        ("train", text, "text.txt"),
        ("train", "tiny", "text.txt", "--val", text),
        ("train", "tiny", "text.txt", "--weights", text),
        ("generate", text),
        ("valid", "run", text),
        ("info", text),
    ):
        said = usage_error(*args)
        assert said.endswith(told)
        assert len(said) < 160


def test_values_that_are_none_are_told_in_plain_words() -> None:
    def told(*args: str) -> str:
        return usage_error(*args).rpartition(": ")[2]

    seeds = "from 0 to 4294967295"
    for option, value, whole in (
        ("--length", "1k", "of at least 0"),
        ("--length", f"1{' ' * 40}k", "of at least 0"),
        ("--samples", "0", "of at least 1"),
        ("--seed", "-1", seeds),
        ("--seed", "9" * 30, seeds),
    ):
        assert told("generate", "x", option, value) == f"'{value}' is not a whole number {whole}"
    given = ("train", "tiny", "x", "--threads", "0")
    assert told(*given) == "'0' is not a whole number from 1 to 1024"
    padded = f"1{' ' * 100}x"
    assert told("generate", "x", "--length", padded).endswith("is not a whole number of at least 0")
    for wrong in ("10%", "0", "1", "x"):
        assert "not a fraction between 0 and 1, like .1" in told("valid", "x", "y", "--val", wrong)
    assert "neither a fraction" in told("train", "tiny", "x", "--val", "10%")


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
    _say_result(result, None, "")
    *_, shown, last = capsys.readouterr().err.splitlines()
    command = f"darknet-py generate {Path('run/net.backup')}"
    assert shown == f"to see what it writes now: {command}"
    assert last == "to continue: darknet-py train --resume --out run"
    assert invoke(*command.split()[1:], "--length", "5").status == 0


@pytest.mark.parametrize(
    "args",
    [
        ("train", "tiny", "text.txt", "--val-every", "9" * 30),
        ("train", "tiny", "text.txt", "--batches", "9" * 5000),
        ("generate", "net.weights", "--length", "9" * 30),
        ("valid", "net.weights", "text.txt", "--streams", "9" * 30),
    ],
)
def test_a_number_beyond_all_use_is_refused(args: tuple[str, ...]) -> None:
    outcome = invoke(*args)
    assert outcome.status == 2
    assert outcome.lines[-1] == (f"Error: Invalid value for '{args[-2]}': {'9' * 30} is too large")


def test_several_texts_are_answered_with_the_command_that_joins_them() -> None:
    for name in ("a.py", "b.py", "c.py", "d d.py", "a.txt", "b.txt", "c.txt", "d.txt"):
        Path(name).write_text("some text\n")
    Path("sub").mkdir()
    Path("sub/e.py").write_text("some text\n")
    folder = "give one text, or the folder that holds them, or join the files: cat"
    told = usage_error("train", "tiny", "a.py", "b.py")
    assert told == f"Error: Got unexpected extra argument (b.py); {folder} a.py b.py > all.txt"
    sources = ["a.py", "b.py", "c.py", "d d.py"]
    told = usage_error("train", "tiny", *sources)
    assert told.endswith(f"(b.py c.py d d.py); {folder} *.py > all.txt")
    # The new file is none of those that are joined.
    texts = ["a.txt", "b.txt", "c.txt", "d.txt"]
    assert usage_error("train", "tiny", *texts).endswith(f"{folder} *.txt > all.text")
    assert usage_error("train", "tiny", *sources, "sub/e.py").endswith(
        f"{folder} a.py b.py c.py ... > all.txt"
    )
    assert usage_error("valid", "run", "a.txt", "b.txt").endswith("cat a.txt b.txt > all.text")
    joined = "give one text, or join the files: cat a.txt b.txt > all.text"
    assert usage_error("vec", "run", "a.txt", "b.txt").endswith(joined)
    assert usage_error("rnn", "train", "c.cfg", "-file", "a.txt", "w", "b.txt").endswith(joined)
    told = "Error: Got unexpected extra arguments (b c)"
    assert usage_error("train", "tiny", "a", "b", "c") == told
    told = "Error: Got unexpected extra arguments (1 2 3 ...)"
    assert usage_error("train", "tiny", *map(str, range(20))) == told


def test_an_option_is_no_value_of_another() -> None:
    told = usage_error("generate", "run", "--prompt", "--length", "50")
    assert told.endswith(
        "Option '--prompt' has no value: --length is another option; if it is meant, write "
        "--prompt=--length"
    )
    told = usage_error("train", "tiny", "a.txt", "--time", "3s", "--out", "--val", ".1")
    assert "Option '--out' has no value: --val" in told
    # Other words may begin as options do, and with = all may.
    for words in (["--prompt", "--prompt-of-mine"], ["--prompt=--length"], ["--", "--prompt"]):
        assert "has no value" not in invoke("generate", "nowhere", *words).stderr


def test_words_that_are_too_many_are_answered_with_where_they_belong() -> None:
    told = usage_error("generate", "run", "--prompt", "Once", "upon", "a", "time")
    quotes = "put a text with spaces into quotes:"
    assert told.endswith(f'{quotes} --prompt "Once upon a time"')
    told = usage_error("rnn", "generate", "c.cfg", "w", "Once", "upon")
    assert told.endswith('to start from a text, give it with -seed "..."')
    for name in ("valid", "validtactic", "vec", "generatetactic"):
        told = usage_error("rnn", name, "net.cfg", "old.weights", "text.txt")
        command = f"darknet-py rnn {name} net.cfg old.weights < text.txt"
        assert told.endswith(f"the text comes from stdin: {command}")


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_missing_argument_is_answered_with_an_example(path: tuple[str, ...]) -> None:
    outcome = invoke(*path)
    if outcome.status == 2 and "Missing argument" in outcome.stderr:
        example = " ".join(("darknet-py", *path))
        assert f"'; for example: {example} " in outcome.lines[-1]
    else:
        assert path in ((), ("train",), ("rnn",), ("cfg",), ("completion",), ("report",))


def test_a_file_that_does_not_exist_is_answered_with_the_one_of_nearly_its_name() -> None:
    Path("sub").mkdir()
    for name in ("mybook.txt", "sub/mybook.txt", "my.cfg", "run_best.weights", "net.safetensors"):
        Path(name).write_text("some text\n")
    missing = "No such file or directory"
    for args, near in (
        (("train", "tiny", "mybok.txt"), "mybook.txt"),
        (("train", "tiny", "sub/my_book.txt"), str(Path("sub/mybook.txt"))),
        (("train", "tiny", "mybook.txt", "--val", "mybook.tx"), "mybook.txt"),
        (("generate", "run_bets.weights"), "run_best.weights"),
        (("generate", "subb"), "sub"),
        (("import", "nett.safetensors", "out.weights"), "net.safetensors"),
    ):
        assert invoke(*args).error().endswith(f"{missing}; did you mean {near}?")
    assert invoke("train", "mi.cfg", "mybook.txt").error() == (
        "Error: mi.cfg: no such file; did you mean my.cfg?"
    )
    # A hidden file, and what is like nothing there.
    Path(".notes").write_text("some text\n")
    for name in ("notes", "quite/another", "xyz"):
        assert invoke("train", "tiny", name).error().endswith(missing)


def test_weights_in_the_place_of_the_cfg_are_answered_with_how_to_start_from_them() -> None:
    assert invoke("train", "net.cfg", "text.txt", "--batches", "1", "--out", "run").status == 0
    how = "holds weights; to start from them, give a cfg first: darknet-py train"
    cfg = Path("run/net.cfg")
    for name in ("run", str(Path("run/net_final.weights"))):
        told = usage_error("train", name, "text.txt")
        command = f"{cfg} text.txt --weights {name}"
        assert told == f"Error: {name} {how} {command}"
        assert invoke("train", *command.split(), "--batches", "9", "--out", "b").status == 0
    cfg.unlink()
    assert usage_error("train", "run").endswith("train CFG mybook.txt --weights run")
    Path("empty").mkdir()
    told = "empty is a folder; give a cfg file, or the name of a bundled one"
    assert invoke("train", "empty", "text.txt").error() == f"Error: {told}"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("valid", "w", "--text", "a"), "Use darknet-py valid WEIGHTS TEXT."),
        (("train", "--data", "a"), "Use darknet-py train CFG TEXT."),
        (("generate", "w", "--max-tokens", "9"), "Use --length."),
        (("train", "tiny", "a", "--gpu"), "'--gpu': this program trains on the CPU."),
        (("train", "tiny", "a", "--num-layers", "3"), "writes a cfg to edit."),
        (("train", "tiny", "a", "--patiense", "3"), "Did you mean '--patience'?"),
        (("train", "tiny", "a", "--cpu-only"), "No such option '--cpu-only'."),
        (("info", "a", "-x"), "No such option '-x'."),
    ],
)
def test_an_option_that_does_not_exist_is_answered_by_what_is_meant_or_by_nothing(
    args: tuple[str, ...], told: str
) -> None:
    assert usage_error(*args).endswith(told)


OTHER_PATHS = [path for path in PATHS if "rnn" not in path]
# In front of them the command is missing, or what it has as its arguments.
BEFORE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("train",): ("tiny", "text.txt"),
    ("generate",): ("net.weights",),
}


@pytest.mark.parametrize("path", OTHER_PATHS, ids=" ".join)
@pytest.mark.parametrize("given", [("-nogpu",), ("-i", "0"), ("-gpus", "0,1"), ("--device=cuda",)])
def test_options_for_graphics_cards_are_answered_with_the_cpu(
    path: tuple[str, ...], given: tuple[str, ...]
) -> None:
    option = given[0].partition("=")[0]
    told = f"Error: No such option {option!r}: this program trains on the CPU."
    if path:
        assert usage_error(*path, *BEFORE.get(path, ()), *given) == told
    assert usage_error(*given, *(path or ("info", "tiny"))) == told


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_an_option_with_one_dash_is_named_as_it_was_typed(path: tuple[str, ...]) -> None:
    for typed in ("-xyzzy", "-x", "-vx", "-vxyzzy"):
        assert usage_error(*path, typed, "-y") == f"Error: No such option {typed!r}."
    assert usage_error(*path, "-xyzzy=5").endswith(" '-xyzzy'.")
    told = "Error: No such option '-verbos'. Did you mean '--verbose'?"
    assert usage_error(*path, "-verbos") == told


def test_a_value_that_looks_like_an_option_is_not_taken_for_the_wrong_one() -> None:
    told = "No such option '-xyz'."
    assert usage_error("generate", "w", "--prompt", "-xy", "-xyz").endswith(told)
    assert usage_error("rnn", "generate", "c", "w", "-seed", "-xy", "-xyz").endswith(told)
    assert usage_error("train", "tiny", "t", "-batches", "5").endswith("mean '--batches'?")
    assert usage_error("train", "tiny", "t", "-epochs", "5").endswith("or max_batches=5000.")
    assert usage_error("generate", "w", "-n500").endswith("'-n500'. Use --length.")


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
    monkeypatch.setattr("darknet_py.terminal.columns", lambda _: columns)
    monkeypatch.setattr("darknet_py.terminal.is_terminal", lambda _: True)
    outcome = invoke(*args)
    assert outcome.status == 2
    told = outcome.stderr[outcome.stderr.index("Error: ") :].splitlines()
    # A command to type stays in one piece.
    lines = [line for line in told if not line.startswith("  darknet-py ")]
    assert all(len(line) < columns for line in lines), lines


def test_a_time_of_two_words_is_answered_with_one() -> None:
    told = usage_error("train", "tiny", "book.txt", "--time", "5", "Mins")
    assert told.endswith("Got unexpected extra argument (Mins); a time is one word: --time 5m")
    for text, seconds in (
        ("5min", 300),
        ("1 hour 2 minutes", 3720),
        ("1h30m", 5400),
        ("7 secs", 7),
        ("2.5", 2.5),
        ("0.5", 0.5),
        ("2h", 7200),
    ):
        assert above_zero(text) == seconds
    for text in ("", "0", "m", "5 mi", "min", "1h1h", "-5m", "1 2"):
        with pytest.raises(click.BadParameter):
            above_zero(text)


def test_commands_of_the_c_program_for_images_are_told_apart() -> None:
    for name in ("detect", "detector", "classifier", "yolo"):
        told = "Of darknet's networks only those for text are here: darknet-py rnn."
        assert usage_error(name, "test", "cfg/yolo.cfg").endswith(f"'{name}'. {told}")


def test_a_file_to_write_text_into_is_the_shells() -> None:
    for option in ("--out", "-o", "--output"):
        told = usage_error("generate", "run", option, "text.txt")
        assert told.endswith("darknet-py generate backup > text.txt.")
    assert usage_error("completion", "install").endswith(
        "Give it as an option: darknet-py completion --install"
    )


def test_a_much_later_network_than_the_best_one_is_told_by_every_command() -> None:
    dn.train("net.cfg", "text.txt", out="run", batches=40, seed=1, val_every=10)
    for file in ("run/net_final.weights", "run/net.backup"):
        Path(file).unlink(missing_ok=True)
    net = dn.load_network("run")
    net.seen *= 3
    net.save_weights("run/net.backup")
    told = f"{Path('run/net.backup')} is of later in the run, after 3.0 times as much text"
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


def test_the_newest_of_several_runs_is_the_example_of_how_one_is_named() -> None:
    for name in ("b", "a"):
        Path(f"{name}.cfg").write_text(Path("net.cfg").read_text())
        dn.train(f"{name}.cfg", "text.txt", out="run", batches=20, seed=1, save_every=10)
    for suffix in ("_best.weights", ".state"):
        os.utime(f"run/a{suffix}", (1, 1))
    best = Path("run/b_best.weights")
    assert invoke("generate", "run").error().endswith(f"name one, e.g. {best}")
    assert invoke("report", "run").error().endswith("name one, e.g. darknet-py report run b")


def test_a_report_offers_no_option_that_it_does_not_have() -> None:
    dn.train("net.cfg", "text.txt", out="run", batches=2, seed=1)
    assert "chooses another" not in invoke("report", "run").stderr
    exported = invoke("export", "run", "net.npz").stderr
    assert "; --cfg chooses another" in exported
