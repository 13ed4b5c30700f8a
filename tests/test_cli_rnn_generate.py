"""`darknet-py rnn generate` and `generatetactic`: the recorded texts, and options as in C."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.cfg import bundled_cfgs, read_cfg
from darknet_py.network import Network
from darknet_py.rand import Rand
from tests.support.c_program import (
    COMMANDS,
    SMALL,
    TOKENS,
    generate_args,
    recorded,
    train_recorded,
    train_small,
    write_chain,
)
from tests.support.commands import invoke, run
from tests.support.inputs import write_cfg
from tests.support.recorded import cases, recorded_network

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("folder")]


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
    if re.search(r"\[(crnn|gru|lstm)\]", text):
        assert outcome.status == 1
        assert re.search(r"my\.cfg:\d+: \[\w+\]: is C-exact forward only", outcome.lines[-1])
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


# --- generatetactic ------------------------------------------------------------------------------


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
