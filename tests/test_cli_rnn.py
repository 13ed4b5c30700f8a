"""`darknet-py rnn train`, what all commands of `rnn` refuse, and what they say besides C."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.c_exact import training as c_training
from darknet_py.cfg import read_cfg
from darknet_py.network import Network
from tests.support.c_program import (
    NOTE,
    SMALL,
    TOKENS,
    log_of,
    recorded,
    refusal,
    train_recorded,
    train_small,
    write_chain,
    write_inputs,
)
from tests.support.commands import BATCH_LINE, invoke
from tests.support.inputs import write_cfg
from tests.support.networks import make_network
from tests.support.processes import posix, start, wait_for_batch
from tests.support.recorded import RECORDED
from tests.support.runs import files_in

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("folder")]


@pytest.mark.parametrize(
    "name",
    [
        *("rnn-subdivisions", "act-linear", "policy-steps", "tokenized", "two-softmax"),
        *("cost-below", "random-darknet-cpu"),
    ],
)
def test_train_prints_and_saves_what_was_recorded(name: str, folder: Path) -> None:
    path, record = recorded(name)
    lines = log_of(train_recorded(name))
    expected = [
        (str(row["batch"]), *(f"{row[key]:f}" for key in ("loss", "avg", "rate")))
        for row in record["train_log"]
    ]
    assert [line[:4] for line in lines] == expected
    assert files_in(folder) == ["backup/train_final.weights"]
    final = (folder / "backup" / "train_final.weights").read_bytes()
    assert final == (path / "model.weights").read_bytes()


def test_train_counts_datums_and_epochs_by_batches() -> None:
    """n * streams * time_steps / length in f32, with n as the rate's batch number."""
    path, record = recorded("rnn-subdivisions")
    lines = log_of(train_recorded("rnn-subdivisions"))
    length = len((path / record["text"]).read_bytes())
    assert len(lines) == 40
    for number, line in enumerate(lines, 1):
        assert line[0] == str(number)
        assert line[4] == f"{np.float32(number // 2 * 8 * 8) / np.float32(length):f}"


def test_train_starts_from_weights_and_their_count(folder: Path) -> None:
    """-clear counts from 0 again. What has nothing left to train is an error."""
    path, record = recorded("rnn-subdivisions")
    longer = folder / "my.train.cfg"
    text = (path / "train.cfg").read_text()
    longer.write_text(text.replace("max_batches=20", "max_batches=22"))
    start = (longer, path / "model.weights", "-file", path / record["text"], "-srand", "9")
    lines = log_of(invoke("rnn", "train", *start))
    assert [line[0] for line in lines] == ["41", "42", "43", "44"]
    assert float(lines[0][1]) < record["train_log"][0]["loss"] - 0.5
    assert lines[0][1] == lines[0][2]
    final = folder / "backup" / "my_final.weights"
    net = Network(read_cfg(longer))
    net.load_weights(final)
    assert net.seen == 22 * 16 * 8

    cleared = log_of(invoke("rnn", "train", *start, "-clear"))
    assert [line[0] for line in cleared] == [str(number) for number in range(1, 45)]
    assert cleared[0][1] == lines[0][1]

    again = invoke("rnn", "train", longer, final, "-file", path / record["text"])
    assert again.status == 1
    error = again.lines[-1]
    assert "already at batch 22" in error
    assert "max_batches=22" in error
    assert "-clear" in error


def test_train_saves_as_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BASE.backup every 100 iterations, BASE_N.weights every 10,000; BASE ends at the first dot."""
    assert c_training.KEEP_EVERY == 10_000
    monkeypatch.setattr(c_training, "KEEP_EVERY", 40)
    log_of(train_small(90, "short.cfg"))
    log_of(train_small(100, "middle.cfg"))
    log_of(train_small(120, "long.train.cfg"))
    assert files_in(folder / "backup") == [
        *("long.backup", "long_120.weights", "long_40.weights", "long_80.weights"),
        "long_final.weights",
        *("middle.backup", "middle_40.weights", "middle_80.weights", "middle_final.weights"),
        *("short_40.weights", "short_80.weights", "short_final.weights"),
    ]
    files = {name: (folder / "backup" / name).read_bytes() for name in files_in(folder / "backup")}
    assert files["long.backup"] == files["middle.backup"] == files["middle_final.weights"]
    assert files["long_120.weights"] == files["long_final.weights"]
    assert len(set(files.values())) == 5


def test_train_draws_other_numbers_with_another_srand() -> None:
    """Of two the first counts."""
    plain = log_of(train_small(2, "a.cfg"))
    assert log_of(train_small(2, "a.cfg")) == plain
    assert log_of(train_small(2, "a.cfg", b"0 1 2 3 4 3 2 1", "-srand", "4")) != plain


def test_train_is_silent_with_q() -> None:
    write_cfg(Path("a.cfg"), TOKENS.format(2), *SMALL)
    Path("tokens.txt").write_bytes(b"0 1 2")
    command = ("rnn", "train", "a.cfg", "-file", "tokens.txt", "-tokenized", "-q")
    outcome = invoke(*command)
    assert outcome.status == 0
    assert not any(BATCH_LINE.fullmatch(line) for line in outcome.lines)
    assert Path("backup/a_final.weights").exists()


def test_train_reads_up_to_the_first_nul(folder: Path) -> None:
    path, record = recorded("act-linear")
    text = folder / "text.txt"
    text.write_bytes((path / record["text"]).read_bytes() + b"\0and more\0")
    outcome = invoke("rnn", "train", path / "train.cfg", "-file", text, "-srand", record["srand"])
    log_of(outcome)
    final = (folder / "backup" / "train_final.weights").read_bytes()
    assert final == (path / "model.weights").read_bytes()


def test_train_by_the_exact_gradient_trains_as_train_does(folder: Path) -> None:
    path, record = recorded("rnn-subdivisions")
    cfg, text = path / "train.cfg", path / record["text"]
    outcome = invoke(
        *("rnn", "train", cfg, "-file", text, "-srand", "3", "--gradient", "exact", "-v")
    )
    assert outcome.status == 0
    assert NOTE not in outcome.stderr
    other = invoke("train", cfg, text, "--val", "0", "--seed", "3", "--out", "other", "-v")
    assert other.status == 0
    files = [folder / place / "train_final.weights" for place in ("backup", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = [
        [BATCH_LINE.fullmatch(line) for line in each.lines if "avg" in line]
        for each in (outcome, other)
    ]
    assert len(lines[0]) == 20
    for one, two in zip(*lines, strict=True):
        assert one is not None
        assert two is not None
        assert one.groups() == two.groups()
    assert files[0].read_bytes() != (path / "model.weights").read_bytes()


@pytest.mark.parametrize("section", ["[gru] output=4", "[lstm] output=4", "[batchnorm]"])
def test_train_refuses_what_c_cannot_train(section: str, folder: Path) -> None:
    """And the exact gradient takes it."""
    write_cfg(folder / "my.cfg", TOKENS.format(2), section, *SMALL[1:])
    (folder / "tokens.txt").write_bytes(b"0 1 2 3 4 3 2 1")
    command = ("rnn", "train", "my.cfg", "-file", "tokens.txt", "-tokenized")
    outcome = invoke(*command)
    assert outcome.status == 1
    told = r"my\.cfg:\d+: \[\w+\]: (is C-exact forward only|the C program cannot).*train`"
    assert re.search(told, outcome.lines[-1])
    assert not (folder / "backup").exists()
    assert invoke(*command, "--gradient", "exact").status == 0
    assert (folder / "backup" / "my_final.weights").exists()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["valid", "validtactic"])
def test_byte_255_is_refused_where_it_stands(command: str) -> None:
    path, _ = recorded("lstm")
    files = (path / "test.cfg", path / "model.weights")
    outcome = invoke("rnn", command, *files, stdin=b"a>>b\xfe\xff")
    assert outcome.status == 1
    (line,) = outcome.lines
    assert line.startswith("Error: text: character 255 at offset 5, after 254, is not below ")
    assert outcome.stdout.count(b"\n") == (4 if command == "valid" else 2)


@pytest.mark.parametrize("command", ["generate", "generatetactic"])
def test_a_temperature_that_is_no_number_is_wrong_usage(command: str) -> None:
    path, _ = recorded("lstm")
    files = (path / "test.cfg", path / "model.weights")
    outcome = invoke("rnn", command, *files, "-temp", "warm", stdin=b"ab")
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert "-temp" in outcome.lines[-1]


@pytest.mark.parametrize(
    "wrong",
    [
        *(["-srand", "x"], ["-srand", "-2147483649"], ["-srand", "4294967296"], ["-i", "x"]),
        *(["-len", "x"], ["--what"], ["--gradient", "none"]),
    ],
    ids=" ".join,
)
def test_other_wrong_usage(wrong: list[str]) -> None:
    path, _ = recorded("lstm")
    outcome = invoke("rnn", "train", path / "test.cfg", *wrong)
    assert outcome.status == 2
    assert wrong[0].lstrip("-") in outcome.lines[-1]
    assert "Error: " in outcome.lines[-1]


@posix
def test_an_interrupted_run_tells_how_to_go_on(folder: Path) -> None:
    """And before that, where and when it saves."""
    write_inputs("max_batches=1000000")
    process = start("rnn", "train", "my.cfg", "-file", "text.txt", "-srand", "1")
    assert process.stderr
    said = process.stderr.readline() + process.stderr.readline()
    assert b"files: backup/my.backup every 100 batches, backup/my_N.weights every 10,000, " in said
    wait_for_batch(process, 110)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    words = b"darknet-py rnn train my.cfg backup/my.backup -file text.txt"
    assert b"stopped; to continue from backup/my.backup: " + words in said
    assert Path("backup/my.backup").exists()


@posix
@pytest.mark.parametrize("tokenized", [False, True])
def test_what_a_continued_run_saved_is_told_by_its_files(folder: Path, tokenized: bool) -> None:
    """C counts datums from the start of training, and saves after each hundred of those."""
    write_inputs("max_batches=1000000")
    net = load_network("my.cfg")
    net.seen = 150 * net.options.symbols
    net.save_weights("150.weights")
    own = ["-tokenized"] if tokenized else []
    Path("text.txt").write_text("1 2 3 4 5 6 7 8 9 " * 20)
    process = start("rnn", "train", "my.cfg", "150.weights", "-file", "text.txt", *own)
    wait_for_batch(process, 210)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode()
    words = " ".join(["my.cfg", "backup/my.backup", "-file", "text.txt", *own])
    assert said.splitlines()[-2].endswith(f"backup/my.backup: darknet-py rnn train {words}")


@posix
def test_a_continued_run_that_saved_nothing_names_what_it_began_with(folder: Path) -> None:
    write_inputs("max_batches=1000000")
    load_network("my.cfg").save_weights("old.weights")
    process = start("rnn", "train", "my.cfg", "old.weights", "-file", "text.txt")
    wait_for_batch(process, 5)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode().splitlines()
    assert said[-2].endswith(
        "from old.weights: darknet-py rnn train my.cfg old.weights -file text.txt"
    )


def test_missing_files_are_named(folder: Path) -> None:
    path, _ = recorded("lstm")
    cfg, weights = path / "test.cfg", path / "model.weights"
    for command in ("valid", "validtactic", "vec", "generate", "generatetactic"):
        assert "none.cfg" in refusal(command, "none.cfg", weights, stdin=b"ab")
        assert "none.weights" in refusal(command, cfg, "none.weights", stdin=b"ab")
    train_cfg = RECORDED / "act-linear" / "train.cfg"
    assert "none.txt" in refusal("train", train_cfg, "-file", "none.txt")
    assert "none.weights" in refusal("train", train_cfg, "none.weights", "-file", cfg)
    assert "give a text to train on: -file mybook.txt" in refusal("train", train_cfg)
    assert "none.tokens" in refusal("generate", cfg, weights, "-tokens", "none.tokens")


def test_a_cfg_that_does_not_train_promises_no_files(folder: Path) -> None:
    write_inputs("")
    outcome = invoke("rnn", "train", "my.cfg", "-file", "text.txt")
    assert outcome.status == 1
    assert "my.cfg has no max_batches in [net]" in outcome.stderr
    assert "files: " not in outcome.stderr


def test_empty_texts_are_refused(folder: Path) -> None:
    train_cfg = RECORDED / "act-linear" / "train.cfg"
    (folder / "empty.txt").write_bytes(b"")
    (folder / "nul.txt").write_bytes(b"\0abc")
    assert "empty.txt is empty; give a text" in refusal("train", train_cfg, "-file", "empty.txt")
    assert "nul.txt is empty; give a text" in refusal("train", train_cfg, "-file", "nul.txt")
    path, _ = recorded("lstm")
    for command in ("valid", "validtactic"):
        assert "stdin is empty; give a text" in refusal(
            command, path / "test.cfg", path / "model.weights"
        )


def test_text_symbols_that_the_network_does_not_know_are_refused(folder: Path) -> None:
    path, _ = recorded("tokenized")
    cfg, weights = path / "test.cfg", path / "model.weights"
    for command in ("valid", "validtactic"):
        told = "text: character 97 at offset 1, after 1, is not below "
        assert told in refusal(command, cfg, weights, "-seed", "", stdin=b"\1a")
    (folder / "text.txt").write_bytes(b"7 39 40")
    train_cfg = path / "train.cfg"
    args = ("-file", "text.txt", "-tokenized")
    assert re.search(r"text.txt: symbol 40 at offset 2", refusal("train", train_cfg, *args))
    assert "token 1" in refusal("train", train_cfg, "-file", train_cfg, "-tokenized")


def test_weights_of_another_network_are_refused() -> None:
    path, _ = recorded("lstm")
    line = refusal("generate", path / "test.cfg", RECORDED / "gru-bn" / "model.weights")
    assert f"{load_network(path / 'test.cfg').parameters.size:,} parameters" in line


# --- the other commands on what C accepts --------------------------------------------------------


@pytest.mark.parametrize("name", ["dropout-08", "inf-variance-145", "two-softmax"])
def test_the_exact_commands_take_these_networks_too(name: str, folder: Path) -> None:
    """With one warning where a variance is infinite."""
    path, _ = recorded(name)
    cfg = path / ("train.cfg" if name == "two-softmax" else "test.cfg")
    (folder / "text.txt").write_bytes(b"ab ab ab")
    for command, more in (
        ("generate", ["--length", "5", "--seed", "1"]),
        ("valid", ["text.txt"]),
        ("vec", ["text.txt"]),
    ):
        outcome = invoke(command, path / "model.weights", *more, "--cfg", cfg)
        assert outcome.status == 0, outcome.stderr
        assert outcome.stdout
        assert sum("rolling variance is infinite" in line for line in outcome.lines) == (
            name == "inf-variance-145"
        )


@pytest.mark.parametrize("gradient", ["exact", "darknet-cpu"])
@pytest.mark.parametrize("name", ["two-softmax", "cost-below", "random-darknet-cpu"])
def test_train_leaves_the_recorded_weights_by_the_gradient_of_c(
    name: str, gradient: str, folder: Path
) -> None:
    path, record = recorded(name)
    outcome = invoke(
        *("train", path / "train.cfg", path / record["text"], "--val", "0"),
        *("--seed", record["srand"], "--gradient", gradient),
    )
    assert outcome.status == 0, outcome.stderr
    final = (folder / "backup" / "train_final.weights").read_bytes()
    recorded_ = (path / "model.weights").read_bytes()
    assert (final == recorded_) == (gradient == "darknet-cpu")


def test_random_rates_are_those_of_c_by_the_exact_gradient(folder: Path) -> None:
    """Of a network whose gradient is exact in C too; the rate is drawn again to be printed."""
    path, record = recorded("rnn-linear-nobn")
    text = re.sub("max_batches=.*", "max_batches=9", (path / "train.cfg").read_text())
    (folder / "my.cfg").write_text(text.replace("[net]", "[net]\npolicy=random\nburn_in=3"))
    trained = []
    for gradient in ("darknet-cpu", "exact"):
        outcome = invoke(
            *("rnn", "train", "my.cfg", "-file", path / record["text"], "-srand", "4"),
            *("--gradient", gradient),
        )
        assert outcome.status == 0, outcome.stderr
        trained.append(load_network("my.cfg", "backup/my_final.weights").parameters)
    np.testing.assert_allclose(trained[0], trained[1], rtol=1e-4, atol=1e-6)


NET_OF_C = "[net] inputs=5 batch=2 time_steps=3 max_batches=2"
TO_5 = "[connected] output=5 activation=linear"


@pytest.mark.parametrize(
    ("section", "sections"),
    [
        ("cost", ["[cost]", "[cost]"]),
        ("cost", ["[cost]", TO_5, "[softmax]"]),
        ("softmax", ["[softmax] noloss=1", TO_5, "[softmax]"]),
        ("logistic", ["[logistic]", TO_5, "[softmax]"]),
        ("activation", ["[activation]", TO_5, "[softmax]"]),
        ("dropout", ["[dropout]", TO_5, "[softmax]"]),
        ("cost", ["[connected] output=6", "[cost]", TO_5, "[softmax]"]),
    ],
)
def test_networks_in_which_c_leaves_its_memory_are_refused_in_one_line(
    section: str, sections: list[str], folder: Path
) -> None:
    write_cfg(folder / "my.cfg", NET_OF_C, *sections)
    (folder / "tokens.txt").write_bytes(b"0 1 2 3 4 3 2 1")
    command = ("rnn", "train", "my.cfg", "-file", "tokens.txt", "-tokenized")
    assert re.search(rf"my\.cfg:.* \[{section}\]", invoke(*command).error())
    assert not (folder / "backup").exists()


def test_costs_predict_what_c_does(folder: Path) -> None:
    """The last layer but a [cost] predicts. Zeros come out of a [cost] below other layers, so that
    a [dropout] over it, which works in place, draws the last symbol.
    """
    args = ("-len", "30", "-srand", "3", "-seed", "\1")
    texts = []
    for above in (["[softmax]"], ["[softmax]", *["[cost]"] * 2], ["[cost]", "[dropout]"]):
        write_cfg(folder / "my.cfg", NET_OF_C, TO_5, *above)
        outcome = invoke("rnn", "generate", "my.cfg", *args)
        assert outcome.status == 0, outcome.stderr
        texts.append(outcome.stdout)
    assert texts[0] == texts[1]
    assert texts[2] == b"\1" + b"\4" * 30 + b"\n"


@pytest.mark.parametrize("gradient", ["exact", "darknet-cpu"])
def test_training_from_infinite_variances_works_or_says_why_not(
    gradient: str, folder: Path
) -> None:
    net = make_network(
        *("[net] inputs=128", "[connected] output=128 batch_normalize=1", "[softmax]"),
        dtype=np.float32,
    )
    next(t for t in net.tensors() if t.is_variance).values[0] = np.inf
    net.save_weights(folder / "old.weights")
    write_cfg(
        folder / "my.cfg",
        "[net] inputs=128 batch=4 time_steps=4 learning_rate=.001 max_batches=2",
        *("[connected] output=128 batch_normalize=1", "[softmax]"),
    )
    (folder / "text.txt").write_bytes(b"as long as it is long " * 9)
    outcome = invoke(
        *("train", "my.cfg", "text.txt", "--weights", "old.weights", "--val", "0"),
        *("--gradient", gradient),
    )
    errors = [line for line in outcome.lines if line.startswith("Error: ")]
    assert len(errors) == outcome.status
    trained = invoke("rnn", "train", "my.cfg", "old.weights", "-file", "text.txt")
    assert trained.status == 0
    assert sum("infinite" in line for line in trained.lines) == 1
    generated = invoke("rnn", "generate", "my.cfg", "backup/my_final.weights", "-len", "3")
    assert generated.status == 0
    assert len(generated.stdout) == 6


def test_dropout_over_gates_generates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    end = ("[connected] output=256 activation=linear", "[softmax]")
    for name in ("gru", "lstm"):
        write_cfg(tmp_path / "net.cfg", "[net] inputs=256", f"[{name}] output=4", "[dropout]", *end)
        outcome = invoke("rnn", "generate", "net.cfg", "-len", "5", "-srand", "1", "-seed", "a")
        assert outcome.status == 0
        assert len(outcome.stdout) == 7


# --- what is said beside the C program's own lines -----------------------------------------------


def test_a_seed_from_the_clock_is_told_and_repeats_the_text(folder: Path) -> None:
    files = write_chain(folder, {"a": "b"})
    for command, given in (("generate", ("-seed", "a")), ("generatetactic", ())):
        args = ("rnn", command, *files, "-temp", "9", "-len", "30", *given)
        first = invoke(*args, stdin=b"a")
        found = re.fullmatch(
            r"srand (\d+) \(the time; -srand \1 repeats this text\)\n", first.stderr
        )
        assert found
        again = invoke(*args, "-srand", found[1], stdin=b"a")
        assert (again.stdout, again.stderr) == (first.stdout, "")


def test_digits_as_the_text_to_start_from_are_told(folder: Path) -> None:
    files = write_chain(folder, {"a": "b"})
    told = "-seed 7 is the text to start from, as in C; for random numbers: -srand"
    assert told in invoke("rnn", "generate", *files, "-seed", "7", "-len", "1").lines
    assert invoke("rnn", "generate", *files, "-seed", "7", "-srand", "1", "-len", "1").stderr == ""


@pytest.mark.parametrize("command", ["valid", "validtactic", "vec", "generatetactic"])
def test_a_text_that_is_named_where_stdin_is_read_is_told(command: str, folder: Path) -> None:
    files = write_chain(folder, {"a": "b"})
    args = ("rnn", command, *files, "-srand", "1", "-len", "1")
    plain = invoke(*args, stdin=b">>ab.\n")
    named = invoke(*args, "-file", "my book.txt", stdin=b">>ab.\n")
    assert named.stdout == plain.stdout
    assert plain.stderr == ""
    told = (
        "warning: -file is only for rnn train; as in C, the text comes from stdin: < 'my book.txt'"
    )
    assert named.stderr == f"{told}\n"
