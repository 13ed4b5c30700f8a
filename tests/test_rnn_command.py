"""`darknet-py rnn ...`: the C program's command lines, on what the C program was recorded with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.cfg import read_cfg
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.replay import training as replay_training
from tests.cli_helpers import Outcome, files_in, invoke, run, write_cfg
from tests.helpers import RECORDED, case, cases, make_network, recorded_network

pytestmark = pytest.mark.filterwarnings("error")

LINE = re.compile(
    r"(\d+): (\d+\.\d{6}), (\d+\.\d{6}) avg, (\d+\.\d{6}) rate, \d+\.\d{6} seconds, "
    r"(\d+\.\d{6}) epochs"
)
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
    found = [LINE.fullmatch(line) for line in outcome.lines[1:]]
    return [match.groups() for match in found if match is not None or pytest.fail(outcome.stderr)]


# --- train ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rnn-subdivisions", "act-linear", "policy-steps", "tokenized"])
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
    return invoke("rnn", "train", name, "-file", "tokens.txt", "-tokenized", "-srand", "3", *more)


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


def test_train_draws_other_numbers_without_srand_and_with_another() -> None:
    plain = log_of(train_small(2, "a.cfg"))
    assert log_of(train_small(2, "a.cfg")) == plain
    assert log_of(train_small(2, "a.cfg", b"0 1 2 3 4 3 2 1", "-srand", "4")) != plain


def test_train_is_silent_with_q() -> None:
    write_cfg(Path("a.cfg"), TOKENS.format(2), *SMALL)
    Path("tokens.txt").write_bytes(b"0 1 2")
    command = ("rnn", "train", "a.cfg", "-file", "tokens.txt", "-tokenized", "-q")
    outcome = invoke(*command)
    assert outcome.status == 0
    assert not any(LINE.fullmatch(line) for line in outcome.lines)
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
    outcome = invoke(*("rnn", "train", cfg, "-file", text, "-srand", "3", "--gradient", "exact"))
    assert outcome.status == 0
    assert NOTE not in outcome.stderr
    other = invoke("train", cfg, text, "--val", "0", "--seed", "3", "--out", "other")
    assert other.status == 0
    files = [folder / place / "train_final.weights" for place in ("backup", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = [
        [LINE.fullmatch(line) for line in each.lines if "avg" in line] for each in (outcome, other)
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
        outcome = invoke("rnn", "generatetactic", *chain, "-seed", "zz", stdin=prompt)
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
    assert line.startswith("Error: text: offset 5: character 255 ")
    assert outcome.stdout.count(b"\n") == (4 if command == "valid" else 2)


@pytest.mark.parametrize("temperature", ["0", "-1", "nan", "warm"])
@pytest.mark.parametrize("command", ["generate", "generatetactic"])
def test_wrong_temperatures_are_wrong_usage(command: str, temperature: str) -> None:
    path, _ = recorded("lstm")
    files = (path / "test.cfg", path / "model.weights")
    outcome = invoke("rnn", command, *files, "-temp", temperature, stdin=b"ab")
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert "-temp" in outcome.lines[-1]


@pytest.mark.parametrize(
    "wrong",
    [["-srand", "-1"], ["-srand", "x"], ["-len", "x"], ["--what"], ["--gradient", "none"]],
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


def test_missing_files_are_named(folder: Path) -> None:
    path, _ = recorded("lstm")
    cfg, weights = path / "test.cfg", path / "model.weights"
    for command in ("valid", "validtactic", "vec", "generate", "generatetactic"):
        assert "none.cfg" in refusal(command, "none.cfg", weights, stdin=b"ab")
        assert "none.weights" in refusal(command, cfg, "none.weights", stdin=b"ab")
    train_cfg = RECORDED / "act-linear" / "train.cfg"
    assert "none.txt" in refusal("train", train_cfg, "-file", "none.txt")
    assert "none.weights" in refusal("train", train_cfg, "none.weights", "-file", cfg)
    assert "data/shakespeare.txt" in refusal("train", train_cfg)
    assert "none.tokens" in refusal("generate", cfg, weights, "-tokens", "none.tokens")


def test_empty_texts_are_refused(folder: Path) -> None:
    train_cfg = RECORDED / "act-linear" / "train.cfg"
    (folder / "empty.txt").write_bytes(b"")
    (folder / "nul.txt").write_bytes(b"\0abc")
    assert "empty.txt: empty" in refusal("train", train_cfg, "-file", "empty.txt")
    assert "nul.txt: empty" in refusal("train", train_cfg, "-file", "nul.txt")
    path, _ = recorded("lstm")
    for command in ("valid", "validtactic"):
        assert "stdin: empty" in refusal(command, path / "test.cfg", path / "model.weights")


def test_symbols_that_the_network_does_not_know_are_refused(folder: Path) -> None:
    path, _ = recorded("tokenized")
    cfg, weights = path / "test.cfg", path / "model.weights"
    for command in ("generate", "valid", "vec"):
        assert "-seed: symbol 97 " in refusal(command, cfg, weights, "-seed", "a", stdin=b"\1")
    (folder / "text.txt").write_bytes(b"7 39 40")
    train_cfg = path / "train.cfg"
    args = ("-file", "text.txt", "-tokenized")
    assert re.search(r"text.txt: symbol 40 at offset 2", refusal("train", train_cfg, *args))
    assert "token 1" in refusal("train", train_cfg, "-file", train_cfg, "-tokenized")
    assert "symbol 97 " in refusal("generatetactic", cfg, weights, stdin=b"a")


def test_weights_of_another_network_are_refused() -> None:
    path, _ = recorded("lstm")
    line = refusal("generate", path / "test.cfg", RECORDED / "gru-bn" / "model.weights")
    assert f"{load_network(path / 'test.cfg').parameters.size:,} parameters" in line


def test_dropout_over_gates_generates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    end = ("[connected] output=256 activation=linear", "[softmax]")
    for name in ("gru", "lstm"):
        write_cfg(tmp_path / "net.cfg", "[net] inputs=256", f"[{name}] output=4", "[dropout]", *end)
        outcome = invoke("rnn", "generate", "net.cfg", "-len", "5", "-srand", "1", "-seed", "a")
        assert outcome.status == 0
        assert len(outcome.stdout) == 7
