"""`darknet-py rnn ...`: the C program's command lines, on what the C program was recorded with."""

from __future__ import annotations

import os
import re
import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.cfg import bundled_cfgs, read_cfg
from darknet_py.dialect import ALEXEYAB
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.replay import training as replay_training
from tests.support.commands import BATCH_LINE, Outcome, invoke, run
from tests.support.inputs import write_cfg
from tests.support.networks import make_network
from tests.support.processes import posix, start, wait_for_batch
from tests.support.recorded import RECORDED, case, cases, recorded_network
from tests.support.runs import files_in

pytestmark = pytest.mark.filterwarnings("error")

NOTE = "replaying the C program's arithmetic"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, where ./backup goes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recorded(name: str) -> tuple[Path, dict[str, Any]]:
    return RECORDED / name, case(RECORDED / name / "case.json")


def train_recorded(name: str, *more: str | Path) -> Outcome:
    path, record = recorded(name)
    options = [] if not record.get("tokenized") else ["-tokenized"]
    text = path / record["text"]
    return invoke(
        *("rnn", "train", path / "train.cfg", *more, *options),
        *("-file", text, "-srand", record["srand"]),
    )


def log_of(outcome: Outcome) -> list[tuple[str, ...]]:
    """Number, loss, average, rate and epochs of each line, as printed."""
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b""
    assert NOTE in outcome.lines[0]
    assert outcome.lines[1].startswith("files: backup/")
    assert re.match(r"saved \S+\.weights; next: darknet-py rnn generate ", outcome.lines[-1])
    found = [BATCH_LINE.fullmatch(line) for line in outcome.lines[2:-1]]
    return [match.groups() for match in found if match is not None or pytest.fail(outcome.stderr)]


# --- train ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["rnn-subdivisions", "act-linear", "policy-steps", "tokenized", "two-softmax"]
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


TOKENS = "[net] inputs=5 batch=2 time_steps=3 learning_rate=.1 max_batches={}"
SMALL = ["[rnn] output=4 activation=tanh", "[connected] output=5 activation=linear", "[softmax]"]


def train_small(batches: int, name: str, text: bytes = b"0 1 2 3 4 3 2 1", *more: str) -> Outcome:
    write_cfg(Path(name), TOKENS.format(batches), *SMALL)
    Path("tokens.txt").write_bytes(text)
    return invoke("rnn", "train", name, "-file", "tokens.txt", "-tokenized", *more, "-srand", "3")


def test_train_saves_as_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BASE.backup every 100 iterations, BASE_N.weights every 10,000; BASE ends at the first dot."""
    assert replay_training.KEEP_EVERY == 10_000
    monkeypatch.setattr(replay_training, "KEEP_EVERY", 40)
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
    assert re.search(r"my\.cfg:\d+: \[\w+\]: the C program cannot .*train`", outcome.lines[-1])
    assert not (folder / "backup").exists()
    assert invoke(*command, "--gradient", "exact").status == 0
    assert (folder / "backup" / "my_final.weights").exists()


# --- generate ------------------------------------------------------------------------------------


def generate_args(name: str, run_: dict[str, Any]) -> list[str | Path]:
    args: list[str | Path] = ["-srand", str(run_["srand"]), "-temp", str(run_["temp"])]
    args += ["-len", str(run_["len"]), "-seed", run_["seed"]]
    if "tokens" in run_:
        args += ["-tokens", RECORDED / name / run_["tokens"]]
    return args


@pytest.mark.parametrize("name", cases("generate_in_c_order"))
def test_networks_that_c_accepts_print_the_recorded_bytes(name: str) -> None:
    """With one warning where a variance is infinite, one of symbols that are not known, and one of
    a file that is too short.
    """
    path, record = recorded(name)
    files = (path / "test.cfg", path / "model.weights")
    runs = [("generate", generate_args(name, each), each) for each in record["generate_in_c_order"]]
    runs += [
        (key, ["-seed", record[key]["seed"]], record[key])
        for key in ("valid", "vec")
        if key in record
    ]
    inputs = read_cfg(files[0]).net.integer("inputs", 0)
    for command, args, each in runs:
        stdin = (path / each["stdin"]).read_bytes() if "stdin" in each else b""
        outcome = invoke("rnn", command, *files, *args, stdin=stdin)
        assert outcome.status == 0
        assert outcome.stdout == (path / each["stdout"]).read_bytes()
        unknown = any(symbol >= inputs for symbol in [*each["seed"].encode(), *stdin])
        expected = ["infinite"] * name.startswith("inf") + ["fed as zeros"] * unknown
        expected += ["stay as they were drawn at random"] * (name == "crnn-upstream")
        assert len(outcome.lines) == len(expected)
        for line, word in zip(outcome.lines, expected, strict=True):
            assert line.startswith("warning: ")
            assert word in line


BUNDLED = sorted(bundled_cfgs())
COMMANDS = ["generate", "generatetactic", "valid", "validtactic", "vec"]


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_cfg_runs_through_every_command(name: str, folder: Path) -> None:
    more = ("-seed", "a", "-len", "2", "-srand", "1")
    lengths = {}
    for command in COMMANDS:
        outcome = invoke("rnn", command, name, *more, stdin=b">>a\n")
        assert outcome.status == 0, outcome.stderr
        told = ("[cost] after [softmax]", "no weights file is given")
        assert all(any(words in line for words in told) for line in outcome.lines)
        lengths[command] = len(outcome.stdout.splitlines()), len(outcome.stdout)
    assert lengths["generate"][1] == 1 + 2 + 1
    assert lengths["generatetactic"][1] == 2 + 1
    assert lengths["valid"][0] == 3
    assert lengths["validtactic"][0] == 2
    assert lengths["vec"][0] == 1


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_cfg_trains_or_says_why_not(name: str, folder: Path) -> None:
    """With a smaller batch; the layers are those of the cfg, narrower."""
    text = re.sub("(output|hidden)=(512|1024)", r"\1=16", bundled_cfgs()[name].read_text())
    for key, value in {"batch": 2, "subdivisions": 1, "time_steps": 2, "max_batches": 1}.items():
        text = re.sub(f"^{key} *=.*\n", "", text, flags=re.MULTILINE)
        text = text.replace("[net]\n", f"[net]\n{key}={value}\n")
    (folder / "my.cfg").write_text(text)
    (folder / "text.txt").write_bytes(b"as long as it is long")
    command = ("rnn", "train", "my.cfg", "-file", "text.txt", "-srand", "1")
    outcome = invoke(*command)
    if "[crnn]" in text:
        assert outcome.status == 1
        assert re.search(r"my\.cfg:\d+: \[crnn\]: is replayed forward only", outcome.lines[-1])
    elif "[gru]" in text or "[lstm]" in text:
        assert outcome.status == 1
        assert re.search(r"my\.cfg:\d+: \[\w+\]: the C program cannot .*train`", outcome.lines[-1])
    else:
        assert outcome.status == 0, outcome.stderr
    assert invoke(*command, "--gradient", "exact").status == 0
    generated = invoke("rnn", "generate", "my.cfg", "backup/my_final.weights", "-len", "3")
    assert generated.status == 0
    assert len(generated.stdout) == 2 + 3 + 1


@pytest.mark.parametrize("name", ["shakespeare", "large"])
def test_keys_of_our_own_do_not_change_what_c_draws(name: str, folder: Path) -> None:
    text = bundled_cfgs()[name].read_text()
    plain = re.sub("^(init|init_symbols|forget_bias) *=.*\n", "", text, flags=re.MULTILINE)
    assert plain != text
    (folder / "plain.cfg").write_text(plain)
    args = ("-len", "20", "-temp", ".1", "-srand", "4")
    outcomes = [invoke("rnn", "generate", cfg, *args).stdout for cfg in (name, "plain.cfg")]
    assert outcomes[0] == outcomes[1]


SMALLEST = ["rnn-subdivisions", "act-linear", "policy-steps", "tokenized", "gru-bn", "lstm"]


@pytest.mark.parametrize("name", SMALLEST)
def test_generate_prints_the_recorded_bytes(name: str) -> None:
    path, record = recorded(name)
    for each in record["generate"]:
        args = generate_args(name, each)
        outcome = invoke("rnn", "generate", path / "test.cfg", path / "model.weights", *args)
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout == (path / each["stdout"]).read_bytes()


def test_generate_in_a_process_of_its_own(folder: Path) -> None:
    """Also with a cfg that is made for training: it runs one stream."""
    path, record = recorded("policy-steps")
    args = generate_args("policy-steps", record["generate"][0])
    outcome = run(
        *("rnn", "generate", path / "train.cfg", path / "model.weights", *args), cwd=folder
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout == (path / record["generate"][0]["stdout"]).read_bytes()


@pytest.mark.parametrize("name", ["lstm", "gru-tanh"])
def test_generate_without_weights_draws_them(name: str) -> None:
    """The weights that -srand gives were recorded, and the numbers after them go on either way."""
    path, record = recorded(name)
    assert "initial ones" in record["note"]
    args = ["-srand", record["srand"], "-len", "60", "-seed", "ab"]
    outcomes = [
        invoke("rnn", "generate", path / "test.cfg", *weights, *map(str, args))
        for weights in ([], [path / "model.weights"])
    ]
    assert outcomes[0].status == 0
    assert len(outcomes[0].stdout) == 2 + 60 + 1
    assert outcomes[0].stdout == outcomes[1].stdout
    args[1] += 1
    other = invoke("rnn", "generate", path / "test.cfg", *map(str, args))
    assert other.stdout[:2] == b"ab"
    assert other.stdout != outcomes[0].stdout


def test_generate_by_default() -> None:
    """-len 1000 -temp .7 -seed of two newlines."""
    path, _ = recorded("policy-steps")
    command = ("rnn", "generate", path / "test.cfg", path / "model.weights", "-srand", "1")
    plain = invoke(*command).stdout
    assert len(plain) == 2 + 1000 + 1
    assert plain == invoke(*command, "-len", "1000", "-temp", ".7", "-seed", "\n\n").stdout
    assert plain != invoke(*command, "-temp", ".8").stdout
    hotter = invoke(*command, "-temp", "1.5", "-len", "5").stdout
    assert plain[:2] == hotter[:2] == b"\n\n"
    assert len(hotter) == 2 + 5 + 1


def test_generate_from_an_empty_prompt_prints_and_feeds_symbol_0() -> None:
    path, _ = recorded("policy-steps")
    command = ("rnn", "generate", path / "test.cfg", path / "model.weights", "-srand", "1")
    outcome = invoke(*command, "-len", "20", "-seed", "")
    assert len(outcome.stdout) == 1 + 20 + 1
    assert outcome.stdout[:1] == b"\0"


def test_generate_prints_the_bytes_of_a_character_that_is_cut_as_c_does() -> None:
    path, _ = recorded("policy-steps")
    command = ("rnn", "generate", path / "test.cfg", path / "model.weights", "-srand", "1")
    outcome = invoke(*command, "-len", "0", "-seed", os.fsdecode(b"a\xe2\x82"))
    assert outcome.stdout == b"a\xe2\x82\n"


def test_generate_takes_the_dialect_of_the_file() -> None:
    """AlexeyAB's lstm has another order of gates."""
    path, _ = recorded("alexeyab-lstm")
    outcome = invoke(
        *("rnn", "generate", path / "test.cfg", path / "model.weights"),
        *("-srand", "3", "-len", "30", "-seed", "ab", "-temp", ".2"),
    )
    net = recorded_network("alexeyab-lstm")
    assert outcome.stdout == b"ab" + drawn(net, b"ab", 30, 0.2, 3) + b"\n"


def drawn(net: Network, prompt: bytes, length: int, temperature: float, seed: int) -> bytes:
    """The text of `rnn generate`, written out: the logits' softmax, cut, divided, walked down."""
    net.reset_state()
    rand, symbols = Rand(seed, net.initial_draws), list(prompt)
    for symbol in prompt[:-1]:
        net.predict(np.array([[symbol]]))
    for _ in range(length):
        logits = np.log(np.maximum(net.predict(np.array([[symbols[-1]]]))[0, 0], 1e-300))
        p = np.exp(logits.astype(float) / temperature)
        p /= p.sum()
        p[p < 0.0001] = 0
        p /= p.sum()
        r, choice = float(rand.uniform(0, 1, 1)[0]), len(p) - 1
        for i in range(len(p)):
            r -= p[i]
            if r <= 0:
                choice = i
                break
        symbols.append(choice)
    return bytes(symbols[len(prompt) :])


# --- options and arguments as in C ---------------------------------------------------------------


def test_an_empty_weights_argument_means_none(folder: Path) -> None:
    path, _ = recorded("lstm")
    for command in COMMANDS:
        args = ("-srand", "5", "-len", "9")
        with_none, with_empty = (
            invoke("rnn", command, path / "test.cfg", *weights, *args, stdin=b">>ab.\n")
            for weights in ([], [""])
        )
        assert with_empty.status == 0
        assert with_empty == with_none
    write_cfg(folder / "my.cfg", TOKENS.format(2), *SMALL)
    (folder / "tokens.txt").write_bytes(b"0 1 2 3 4 3 2 1")
    train = ("rnn", "train", "my.cfg", "", "-file", "tokens.txt", "-tokenized", "-srand", "3")
    trained = []
    for more in ([], ["--gradient", "exact"]):
        assert invoke(*train, *more).status == 0
        trained.append((folder / "backup" / "my_final.weights").read_bytes())
    assert trained[0] != trained[1]


def test_the_first_of_an_option_given_twice_counts(folder: Path) -> None:
    path, record = recorded("policy-steps")
    each = record["generate"][0]
    others = ["-srand", "99", "-temp", "9", "-len", "5", "-seed", "zz"]
    args = [*generate_args("policy-steps", each), *others]
    outcome = invoke("rnn", "generate", path / "test.cfg", path / "model.weights", *args)
    assert outcome.stdout == (path / each["stdout"]).read_bytes()
    outcome = train_recorded("policy-steps", "-file", path / record["text"], "-srand", "12345")
    assert outcome.status == 0
    assert (folder / "backup" / "train_final.weights").read_bytes() != (
        path / "model.weights"
    ).read_bytes()
    names = folder / "names"
    names.write_text("x\n" * 256)
    tokens = invoke(
        *("rnn", "generate", path / "test.cfg", "-len", "1", "-seed", "a"),
        *("-tokens", names, "-tokens", "none.txt"),
    )
    assert tokens.stdout == b"x x \n"


def test_options_of_gpus_are_ignored() -> None:
    path, record = recorded("policy-steps")
    each = record["generate"][0]
    args = [*generate_args("policy-steps", each), "-nogpu", "-i", "3", "-gpus", "0,1"]
    files = (path / "test.cfg", path / "model.weights")
    for words in (
        ("rnn", "generate", "-i", "0"),
        ("-nogpu", "rnn", "generate", "-gpus", "0,1"),
        ("-i", "1", "rnn", "-gpus", "0", "generate"),
        ("-gpus", "0,1", "rnn", "-nogpu", "-i", "0", "generate"),
    ):
        outcome = invoke(*words, *files, *args)
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout == (path / each["stdout"]).read_bytes()
    for command in COMMANDS:
        ignored = ("-nogpu", "-i", "0", "-gpus", "0,1")
        assert invoke("rnn", command, *files, *ignored, stdin=b"ab").status == 0


def test_a_negative_srand_is_the_unsigned_number(folder: Path) -> None:
    path, _ = recorded("lstm")
    command = ("rnn", "generate", path / "test.cfg", "-len", "30", "-srand")
    for negative, positive in (("-1", "4294967295"), ("-2147483648", "2147483648")):
        outcome = invoke(*command, negative)
        assert outcome.status == 0
        assert outcome.stdout == invoke(*command, positive).stdout
    assert invoke(*command, "-1").stdout != invoke(*command, "1").stdout
    for gradient in ("darknet-cpu", "exact"):
        files = []
        for seed in ("-1", "4294967295"):
            outcome = train_small(2, "a.cfg", b"0 1 2 3 4", "-srand", seed, "--gradient", gradient)
            assert outcome.status == 0
            files.append((folder / "backup" / "a_final.weights").read_bytes())
        assert files[0] == files[1]


@pytest.mark.parametrize("temperature", ["0", "nan"])
@pytest.mark.parametrize("command", ["generate", "generatetactic"])
def test_a_temperature_of_0_draws_the_last_symbol(command: str, temperature: str) -> None:
    """x / 0, then infinity - infinity: all probabilities are NaN, and none ends the walk."""
    path, _ = recorded("lstm")
    args = ("-temp", temperature, "-len", "5", "-seed", "ab", "-srand", "1")
    outcome = invoke("rnn", command, path / "test.cfg", path / "model.weights", *args, stdin=b"ab")
    assert (outcome.status, outcome.stderr) == (0, "")
    last = recorded_network("lstm").outputs - 1
    assert outcome.stdout == (b"ab" if command == "generate" else b"") + bytes(5 * [last]) + b"\n"


def test_a_negative_temperature_turns_the_odds_round(folder: Path) -> None:
    chain = write_chain(folder, {"a": "b"})
    outcome = invoke("rnn", "generate", *chain, "-temp", "-1", "-seed", "a", "-len", "1")
    assert outcome.status == 0
    assert outcome.stdout[1:2] != b"b"


def test_nan_is_printed_by_its_sign(folder: Path) -> None:
    """The tanh of C is infinity / infinity here."""
    write_cfg(folder / "my.cfg", "[net] inputs=128", "[connected] output=128 activation=tanh")
    net = load_network(folder / "my.cfg")
    net.parameters[...] = 400
    net.save_weights(folder / "my.weights")
    number = "( nan|-nan)"
    for command, stdin, form in (
        ("vec", b"a", "a(,-?nan){128}\n"),
        ("valid", b"ab", f"1 BPC: {number}   Perplexity: {number}    Word Perplexity: {number}\n"),
    ):
        outcome = invoke("rnn", command, "my.cfg", "my.weights", stdin=stdin)
        assert outcome.status == 0
        assert re.fullmatch(form, outcome.stdout.decode())


def test_a_short_header_with_more_than_2_31_symbols_loads(folder: Path) -> None:
    chain = write_chain(folder, {"a": "b"})
    data = (folder / "chain.weights").read_bytes()
    expected = invoke("rnn", "generate", *chain, "-seed", "a", "-len", "1", "-srand", "1")
    header = struct.pack("<iiii", 0, 1, 0, -5)
    (folder / "chain.weights").write_bytes(header + data[20:])
    outcome = invoke("rnn", "generate", *chain, "-seed", "a", "-len", "1", "-srand", "1")
    assert outcome == expected
    assert outcome.status == 0
    shown = invoke("info", "chain.weights")
    assert shown.status == 0
    assert f"{2**32 - 5:,} bytes (`seen`)" in shown.stdout.decode()


@pytest.mark.parametrize("command", [*COMMANDS, "train"])
def test_weights_in_the_place_of_the_cfg_are_named_with_the_right_order(
    command: str, folder: Path
) -> None:
    path, _ = recorded("lstm")
    cfg, weights = path / "test.cfg", path / "model.weights"
    for args, order in (
        ((weights, cfg), f"darknet-py rnn {command} {cfg} {weights}"),
        ((weights,), f"darknet-py rnn {command} CFG {weights}"),
        ((weights, weights), f"darknet-py rnn {command} CFG {weights}"),
    ):
        line = refusal(command, *args, stdin=b"ab")
        assert line == f"Error: {weights} is a weights file: give the cfg first, like {order}"


def test_unknown_symbols_are_fed_as_zeros_with_one_warning() -> None:
    path, _ = recorded("tokenized")
    files = (path / "test.cfg", path / "model.weights")
    for command, args, stdin, name in (
        ("generate", ["-seed", "\1ab"], b"", "-seed: symbol 97 at offset 1"),
        ("generatetactic", [], b"\1\2ab", "stdin: symbol 97 at offset 2"),
        ("vec", ["-seed", "\1"], b"\1\n\2a\nbc\n", "stdin: line 2: symbol 97 at offset 1"),
        ("valid", ["-seed", "a"], b"\1\2", "-seed: symbol 97 at offset 0"),
    ):
        outcome = invoke("rnn", command, *files, "-len", "3", "-srand", "1", *args, stdin=stdin)
        assert outcome.status == 0, outcome.stderr
        (line,) = outcome.lines
        assert line.startswith(f"warning: {name} is not one of the network's 40;")


# --- what AlexeyAB's program has of its own -------------------------------------------------------

AB = ["[net] inputs=128", "[connected] output=128 activation=linear", "[softmax]"]


@pytest.fixture
def ab(folder: Path) -> list[str | Path]:
    """A cfg, and weights that say that they are AlexeyAB's."""
    write_cfg(folder / "ab.cfg", *AB)
    make_network(*AB, dialect=ALEXEYAB, dtype=np.float32, reach=0.2).save_weights("ab.weights")
    return ["ab.cfg", "ab.weights"]


def test_blanks_but_spaces_are_deleted_from_the_prompt_of_alexeyab(
    ab: list[str | Path], folder: Path
) -> None:
    """The default has newlines all the same."""
    for seed, printed in (
        ("a\nb\tc \rd", b"abc d"),
        ("\t\n", b"\0"),
        ("\n\n", b"\n\n"),
        (None, b"\n\n"),
    ):
        args = [] if seed is None else ["-seed", seed]
        outcome = invoke("rnn", "generate", *ab, *args, "-len", "0", "-srand", "1")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout == printed + b"\n"
    make_network(*AB, dtype=np.float32).save_weights("up.weights")
    outcome = invoke("rnn", "generate", "ab.cfg", "up.weights", "-seed", "a\nb", "-len", "0")
    assert outcome.stdout == b"a\nb\n"


@pytest.mark.parametrize("command", ["generate", "generatetactic"])
def test_names_of_newlines_are_printed_as_they_are_by_alexeyab(
    command: str, ab: list[str | Path], folder: Path
) -> None:
    (folder / "names").write_text("<NEWLINE>\n" * 128)
    args = ("-tokens", "names", "-len", "2", "-seed", "")
    outcome = invoke("rnn", command, *ab, *args, stdin=b"a")
    count = 3 if command == "generate" else 2
    assert outcome.stdout == b"<NEWLINE> " * count + b"\n"
    make_network(*AB, dtype=np.float32).save_weights("up.weights")
    outcome = invoke("rnn", command, "ab.cfg", "up.weights", *args, stdin=b"a")
    assert outcome.stdout == b"\n " * count + b"\n"


@pytest.mark.parametrize("layer", ["[batchnorm]", "[crnn] output=128 size=1 hidden=3"])
def test_every_command_runs_layers_that_only_alexeyab_has(layer: str, folder: Path) -> None:
    """[batchnorm] does not run in upstream's program, and is refused there."""
    sections = [*AB[:2], layer, AB[2]]
    write_cfg(folder / "my.cfg", *sections)
    make_network(*sections, dialect=ALEXEYAB, dtype=np.float32).save_weights("my.weights")
    for command in COMMANDS:
        args = ("my.cfg", "my.weights", "-len", "5", "-seed", "ab", "-srand", "1")
        outcome = invoke("rnn", command, *args, stdin=b">>ab.\n")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout
        assert b"BPC" not in outcome.stdout
    if layer == "[batchnorm]":
        make_network(*sections, dtype=np.float32).save_weights("my.weights")
        assert "the C program cannot run it" in invoke("rnn", "generate", *args[:2]).error()


@pytest.mark.parametrize("command", ["valid", "validtactic", "vec"])
def test_scores_draw_first_weights_from_seed_1_whatever_srand_is(command: str) -> None:
    """C calls `srand` in generate, generatetactic and train only."""
    path, _ = recorded("lstm")
    printed = {
        invoke("rnn", command, path / "test.cfg", *args, stdin=b">>ab.\n").stdout
        for args in ([], ["-srand", "5"], ["-srand", "1"])
    }
    assert len(printed) == 1
    net = load_network(path / "test.cfg", seed=1)
    net.save_weights("one.weights")
    drawn_ = invoke("rnn", command, path / "test.cfg", "one.weights", stdin=b">>ab.\n").stdout
    assert printed == {drawn_}


# --- generatetactic ------------------------------------------------------------------------------


def write_chain(folder: Path, follows: dict[str, str]) -> list[str | Path]:
    """A network in which each symbol is followed by one other; its cfg and weights."""
    sections = ["[net] inputs=128", "[connected] output=128 activation=linear", "[softmax]"]
    net = make_network(*sections, dtype=np.float32)
    net.parameters[...] = 0
    weight = next(tensor.values for tensor in net.tensors() if tensor.name == "0.weight")
    for symbol, following in follows.items():
        weight[ord(following), ord(symbol)] = 50
    write_cfg(folder / "chain.cfg", *sections)
    net.save_weights(folder / "chain.weights")
    return ["chain.cfg", "chain.weights"]


def test_generatetactic_stops_at_a_newline_after_a_full_stop_that_were_drawn(folder: Path) -> None:
    """Neither of the prompt, which is not printed, nor -seed count; the newline is not printed."""
    chain = write_chain(folder, {".": "\n", "\n": "a", "a": "b", "b": "."})
    for prompt, printed in (
        (b"ab.\n", b"ab."),
        (b"ab.", b"\nab."),
        (b"ab", b"."),
        (b"x.y\na", b"b."),
    ):
        outcome = invoke(
            "rnn", "generatetactic", *chain, "-seed", "zz", "-srand", "1", stdin=prompt
        )
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout == printed + b"\n"


def test_generatetactic_ends_after_len_symbols(folder: Path) -> None:
    chain = write_chain(folder, {"a": "b", "b": "\n", "\n": "a"})
    for length in (0, 1, 7):
        outcome = invoke("rnn", "generatetactic", *chain, "-len", str(length), stdin=b"\n")
        assert outcome.stdout == b"ab\nab\na"[:length] + b"\n"


def test_generatetactic_draws_as_generate_does() -> None:
    """As long as it does not stop."""
    path, _ = recorded("rnn-subdivisions")
    files = (path / "test.cfg", path / "model.weights")
    args = ("-srand", "4", "-len", "60", "-temp", ".6")
    tactic = invoke("rnn", "generatetactic", *files, *args, stdin=b"two")
    whole = invoke("rnn", "generate", *files, *args, "-seed", "two")
    assert whole.stdout == b"two" + tactic.stdout
    assert len(tactic.stdout) == 61


def test_generatetactic_feeds_nul_bytes(folder: Path) -> None:
    """It does not stop at them, and the last one that it reads goes before the first drawn."""
    chain = write_chain(folder, {"\0": "z", "a": "b", "b": "c"})
    for prompt, printed in ((b"a\0", b"z"), (b"\0a", b"b"), (b"\0", b"z")):
        outcome = invoke("rnn", "generatetactic", *chain, "-len", "1", "-srand", "1", stdin=prompt)
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout == printed + b"\n"


def test_generatetactic_refuses_an_empty_prompt(folder: Path) -> None:
    error = invoke("rnn", "generatetactic", *write_chain(folder, {"a": "b"})).error()
    assert "stdin" in error


# --- valid, validtactic, vec ---------------------------------------------------------------------

UPSTREAM_VALID = ["gru-bn", "gru-custom", "lstm", "lstm-bn"]
ALEXEYAB_VALID = [name for name in cases("valid") if name.startswith("alexeyab")]


def score(name: str, command: str) -> tuple[str, str]:
    """What the command printed, and what was recorded."""
    path, record = recorded(name)
    each = record[command]
    outcome = invoke(
        *("rnn", command, path / "test.cfg", path / "model.weights", "-seed", each["seed"]),
        stdin=(path / each["stdin"]).read_bytes(),
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    return outcome.stdout.decode(), (path / each["stdout"]).read_text()


@pytest.mark.parametrize("command", ["valid", "vec"])
@pytest.mark.parametrize("name", UPSTREAM_VALID)
def test_valid_and_vec_print_the_recorded_bytes(name: str, command: str) -> None:
    ours, theirs = score(name, command)
    assert ours == theirs
    assert ours


@pytest.mark.parametrize("command", ["valid", "vec"])
@pytest.mark.parametrize("name", ALEXEYAB_VALID)
def test_valid_and_vec_of_alexeyab(name: str, command: str) -> None:
    """Rounded differently in the last digit; without bits per character."""
    ours, theirs = score(name, command)
    number = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"
    assert re.sub(number, "#", ours) == re.sub(number, "#", theirs)
    assert "BPC" not in ours
    numbers = [[float(n) for n in re.findall(number, text)] for text in (ours, theirs)]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-5, atol=1e-6)
    if command == "valid":
        assert re.fullmatch(r"(\d+ Perplexity: \d+\.\d{4}    Word Perplexity: \d+\.\d{4}\n)+", ours)


def tactic_lines(net: Network, text: bytes, prompt: bytes) -> list[tuple[int, int, float, float]]:
    """`valid_tactic_rnn` of the C program, written out."""
    for symbol in prompt:
        net.predict(np.array([[symbol]]))
    lines = []
    total, count, words, inside = 0.0, 0, 1, False
    c = text[0]
    for following in text[1:]:
        out = net.predict(np.array([[c]]))[0, 0]
        if c == ord(".") and following == ord("\n"):
            inside = False
        if not inside:
            if c == ord(">") and following == ord(">"):
                inside = True
                words += 1
            c = following
            continue
        count += 1
        total += np.log2(float(out[following]))
        c = following
        lines.append((count, words, 2 ** (-total / count), 2 ** (-total / words)))
    return lines


@pytest.mark.parametrize(
    "text",
    [
        b"1+2>>3.\n4+1>>5.\nno\n>>>6.7. .\n\n>>x\n.",
        b">>a.\n.\n>>b",
        b"nothing. here > > is scored.\n",
    ],
)
def test_validtactic_scores_what_c_scores(text: bytes) -> None:
    path, _ = recorded("lstm")
    outcome = invoke(
        *("rnn", "validtactic", path / "test.cfg", path / "model.weights", "-seed", "q"),
        stdin=text,
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    expected = tactic_lines(recorded_network("lstm"), text, b"q")
    assert bool(expected) == (b">>" in text)
    printed = outcome.stdout.decode().splitlines()
    form = r"(\d+) (\d+) Perplexity: (\d+\.\d{4})    Word Perplexity: (\d+\.\d{4})"
    for line, numbers in zip(printed, expected, strict=True):
        found = re.fullmatch(form, line)
        assert found is not None
        assert (int(found[1]), int(found[2])) == numbers[:2]
        np.testing.assert_allclose([float(found[3]), float(found[4])], numbers[2:], rtol=1e-3)


def test_valid_scores_nul_bytes(folder: Path) -> None:
    chain = write_chain(folder, {"a": "\0", "\0": "b"})
    outcome = invoke("rnn", "valid", *chain, stdin=b"a\0b")
    assert outcome.status == 0
    last = outcome.stdout.splitlines()[-1]
    assert re.fullmatch(rb"2 BPC: -?0\.0000   Perplexity: 1\.0000    Word .*", last)


def test_one_character_has_nothing_to_score() -> None:
    path, _ = recorded("lstm")
    for command in ("valid", "validtactic"):
        files = (path / "test.cfg", path / "model.weights")
        assert invoke("rnn", command, *files, stdin=b"a") == Outcome(0, b"", "")


def test_vec_runs_on_from_line_to_line_and_feeds_no_blanks() -> None:
    path, _ = recorded("lstm")
    command = ("rnn", "vec", path / "test.cfg", path / "model.weights")
    lines = invoke(*command, stdin=b"one two\nonetwo\n\tone\ttwo").stdout.splitlines()
    assert [line.split(b",")[0] for line in lines] == [b"onetwo"] * 3
    assert len(set(lines)) == 3
    assert {line.count(b",") for line in lines} == {24}
    net = recorded_network("lstm")
    for line in lines:
        for symbol in b"\n\nonetwo ":
            y, net.prediction_state = net.forward(
                np.array([[symbol]]), net.prediction_state, count=1
            )
        found = [float(number) for number in line.split(b",")[1:]]
        np.testing.assert_allclose(found, y[0, 0], rtol=1e-4, atol=1e-6)


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


def refusal(*args: str | Path, stdin: bytes = b"") -> str:
    """The one line that `rnn ARGS` fails with, after the note of `rnn train`."""
    outcome = invoke("rnn", *args, stdin=stdin)
    assert outcome.status == 1
    assert outcome.stdout == b""
    *notes, line = outcome.lines
    assert all(NOTE in note for note in notes)
    assert line.startswith("Error: ")
    assert not Path("backup").exists()
    return line


def write_inputs(net: str) -> None:
    """`my.cfg` of a small network with these keys of [net], and `text.txt`."""
    Path("text.txt").write_bytes(b"a text of a few words\n" * 20)
    layers = ("[rnn] output=4", "[connected] output=256 activation=linear", "[softmax]")
    write_cfg(Path("my.cfg"), f"[net] inputs=256 batch=2 time_steps=3 {net}", *layers)


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
    assert b"stopped; to continue from what was saved last: " + words in said
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
    assert said.splitlines()[-2].endswith(f"saved last: darknet-py rnn train {words}")


@posix
def test_a_continued_run_that_saved_nothing_names_what_it_began_with(folder: Path) -> None:
    write_inputs("max_batches=1000000")
    load_network("my.cfg").save_weights("old.weights")
    process = start("rnn", "train", "my.cfg", "old.weights", "-file", "text.txt")
    wait_for_batch(process, 5)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode().splitlines()
    assert said[-2].startswith("stopped before anything new was saved; to start from old.weights")
    assert said[-2].endswith(": darknet-py rnn train my.cfg old.weights -file text.txt")


def test_a_text_in_the_place_of_the_weights_is_answered_with_how_it_is_given(folder: Path) -> None:
    write_inputs("max_batches=9")
    told = "text.txt is not a weights file; if it is the text: darknet-py rnn "
    assert refusal("train", "my.cfg", "text.txt").endswith(f"{told}train my.cfg -file text.txt")
    for command in ("valid", "vec", "generate"):
        assert refusal(command, "my.cfg", "text.txt").endswith(
            f"{told}{command} my.cfg WEIGHTS < text.txt"
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


def test_symbols_that_the_network_does_not_know_are_refused(folder: Path) -> None:
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
def test_a_softmax_below_the_last_layer_trains(gradient: str, folder: Path) -> None:
    path, record = recorded("two-softmax")
    outcome = invoke(
        *("train", path / "train.cfg", path / record["text"], "--val", "0"),
        *("--seed", record["srand"], "--gradient", gradient),
    )
    assert outcome.status == 0, outcome.stderr
    final = (folder / "backup" / "train_final.weights").read_bytes()
    recorded_ = (path / "model.weights").read_bytes()
    assert (final == recorded_) == (gradient == "darknet-cpu")


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
    replayed = invoke("rnn", "train", "my.cfg", "old.weights", "-file", "text.txt")
    assert replayed.status == 0
    assert sum("infinite" in line for line in replayed.lines) == 1
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


# --- what is said beside the C program's own lines ------------------------------------------------


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
