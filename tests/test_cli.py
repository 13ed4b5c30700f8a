"""The command line: generate, valid, vec, info and rnn, help texts, exit statuses, the terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import math
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import darknet_py as dn
from darknet_py.cfg import bundled_cfgs
from darknet_py.cli import COMMANDS, main
from darknet_py.cli.console import TextWriter
from darknet_py.cli.options import escaped
from darknet_py.corpus import split
from darknet_py.network import Network
from darknet_py.terminal import visible
from darknet_py.weights import read_header
from darknet_py.writing.evaluation import hidden_vectors, rounded_perplexity
from darknet_py.writing.generation import Session
from darknet_py.writing.sampling import Sampling
from tests.support.commands import COMMAND, ENVIRONMENT, invoke, run
from tests.support.inputs import CONNECTED, NET, PARAMETERS, RNN, SOFTMAX, words, write_cfg
from tests.support.networks import randomized
from tests.support.processes import posix
from tests.support.recorded import RECORDED

WEIGHTS = "net.weights"


@pytest.fixture(autouse=True)
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """The network whose net.cfg and net.weights are in the folder where every test works."""
    monkeypatch.chdir(tmp_path)
    network = randomized(dn.load_network(write_cfg(Path("net.cfg")), batch=1, time_steps=1))
    network.seen = 320
    network.save_weights(WEIGHTS)
    return network


def text_of(net: Network, prompt: bytes, length: int, temperature: float, seed: int) -> bytes:
    """What `generate` prints of it."""
    return prompt + bytes(dn.generate(net, prompt, length, temperature, seed)) + b"\n"


# --- generate ------------------------------------------------------------------------------------


def test_generate_prints_the_prompt_and_the_text_of_the_function(
    tmp_path: Path, net: Network
) -> None:
    outcome = run("generate", WEIGHTS, "--seed", "7", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout == text_of(net, b"\n\n", 1000, 0.7, 7)
    assert "net.cfg" in outcome.stderr
    assert "seed" not in outcome.stderr


def test_what_is_piped_are_the_raw_bytes(net: Network) -> None:
    args = ("--seed", "1", "--temperature", "1", "--prompt", r"\xff\x00\r\n")
    outcome = invoke("generate", WEIGHTS, *args, "--length", "300")
    assert outcome.stdout == text_of(net, b"\xff\0\r\n", 300, 1, 1)
    assert max(outcome.stdout) > 127
    assert invoke("generate", WEIGHTS, *args, "--length", "300", "--raw").stdout == outcome.stdout


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    texts = [invoke("generate", WEIGHTS, "--seed", seed).stdout for seed in ("5", "5", "6")]
    assert texts[0] == texts[1] != texts[2]


def test_a_seed_from_the_clock_is_printed_and_repeats_the_text() -> None:
    outcome = invoke("generate", WEIGHTS)
    told = r"^seed (\d+) \(random; --seed \1 repeats this text\)$"
    found = re.search(told, outcome.stderr, re.MULTILINE)
    assert found
    assert invoke("generate", WEIGHTS, "--seed", found[1]).stdout == outcome.stdout


@pytest.mark.parametrize("temperature", ["0.2", "1", "3", "1e6", "0.01", "1e-30"])
def test_temperatures(net: Network, temperature: str) -> None:
    args = ("--seed", "2", "--length", "100", "--prompt", "a", "--temperature", temperature)
    outcome = invoke("generate", WEIGHTS, *args)
    assert outcome.status == 0
    assert outcome.stdout == text_of(net, b"a", 100, float(temperature), 2)


def test_a_low_temperature_takes_the_likeliest(net: Network) -> None:
    outcome = invoke(
        "generate", WEIGHTS, "--prompt", "a", "--length", "20", "--temperature", "1e-3"
    )
    text = outcome.stdout[:-1]
    assert len(text) == 21
    for symbol, following in itertools.pairwise(text):
        assert net.predict(np.array([[symbol]]))[0, 0].argmax() == following


@pytest.mark.parametrize("temperature", ["1e-39", "1e-50", "1e-320"])
def test_a_temperature_too_low_to_divide_by_is_refused_or_takes_the_likeliest(
    temperature: str,
) -> None:
    args = ("generate", WEIGHTS, "--seed", "1", "--length", "20", "-q", "--temperature")
    outcome = invoke(*args, temperature)
    assert outcome.status == 2 or outcome == invoke(*args, "1e-3")


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        (r"a\nb", b"a\nb"),
        (r"\t\r\n", b"\t\r\n"),
        (r"\\n", rb"\n"),
        (r"\x41\xff\x00", b"A\xff\0"),
        (r"\xg1\q\x4", rb"\xg1\q\x4"),
        ("Grüße €", "Grüße €".encode()),
        ("\\", b"\\"),
        ("-x", b"-x"),
    ],
)
def test_escapes_in_a_prompt(given: str, prompt: bytes) -> None:
    outcome = invoke("generate", WEIGHTS, f"--prompt={given}", "--length", "0")
    assert outcome.status == 0
    assert outcome.stdout == prompt + b"\n"


@given(data=st.binary())
def test_every_prompt_can_be_written_with_escapes(data: bytes) -> None:
    assert escaped("".join(f"\\x{byte:02x}" for byte in data)) == data


@given(text=st.text().filter(lambda text: "\\" not in text))
def test_a_prompt_without_escapes_is_its_utf_8(text: str) -> None:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    assert escaped(text) == data


@pytest.mark.parametrize("more", [(), ("--no-prompt",)])
def test_an_empty_prompt_feeds_symbol_0_as_c_does_and_prints_nothing(
    net: Network, more: tuple[str, ...]
) -> None:
    outcome = invoke("generate", WEIGHTS, "--prompt", "", "--length", "50", "--seed", "1", *more)
    assert outcome.stdout == text_of(net, b"\0", 50, 0.7, 1).removeprefix(b"\0")
    shown = invoke("generate", WEIGHTS, "--prompt", r"\x00", "--length", "50", "--seed", "1")
    assert shown.stdout == text_of(net, b"\0", 50, 0.7, 1)


def test_a_length_of_0_prints_the_prompt() -> None:
    assert invoke("generate", WEIGHTS, "--length", "0").stdout == b"\n\n\n"


def test_names_of_tokens_are_printed_with_a_space(net: Network) -> None:
    names = ["<NEWLINE>", *(f"w{n}" for n in range(1, 200))]
    Path("names").write_text("\n".join(names) + "\n")
    args = ("--prompt", r"\x00\x01\xfa", "--length", "60", "--seed", "1", "--temperature", "1")
    outcome = invoke("generate", WEIGHTS, "--tokens", "names", *args)
    printed = {**{n: f"w{n}" for n in range(1, 200)}, 0: "\n"}
    symbols = text_of(net, b"\0\1\xfa", 60, 1, 1)[:-1]
    expected = "".join(f"{printed.get(symbol, symbol)} " for symbol in symbols) + "\n"
    assert outcome.stdout.decode() == expected


def test_weights_may_be_a_folder_and_what_it_means_is_named(net: Network) -> None:
    Path("run").mkdir()
    write_cfg(Path("run/net.cfg"))
    common = ("--seed", "1", "--length", "30")
    for number, name in enumerate(["net.backup", "net_final.weights", "net_best.weights"]):
        randomized(net, number).save_weights(Path("run") / name)
        outcome = invoke("generate", "run", *common)
        assert outcome.stdout == text_of(net, b"\n\n", 30, 0.7, 1)
        assert outcome.lines[0] == f"weights: {Path('run') / name}"


def test_a_cfg_may_be_named(net: Network) -> None:
    Path("other").mkdir()
    Path("net.cfg").rename("other/some.cfg")
    error = invoke("generate", WEIGHTS, "--length", "5").error()
    for word in (WEIGHTS, "net.cfg", "--cfg", f"{PARAMETERS:,}"):
        assert word in error
    outcome = invoke("generate", WEIGHTS, "--cfg", "other/some.cfg", "--seed", "1", "--raw")
    assert outcome.stdout == text_of(net, b"\n\n", 1000, 0.7, 1)
    assert outcome.stderr == ""


def test_the_text_of_the_c_program() -> None:
    folder = RECORDED / "rnn-bn-leaky"
    case = json.loads((folder / "case.json").read_text())["generate"][0]
    args = ["--cfg", str(folder / "test.cfg"), "--seed", str(case["srand"])]
    args += ["--length", str(case["len"]), "--temperature", str(case["temp"])]
    prompt = case["seed"].replace("\\", "\\\\")
    outcome = invoke("generate", folder / "model.weights", *args, f"--prompt={prompt}")
    assert outcome.stdout == (folder / case["stdout"]).read_bytes()


@pytest.mark.parametrize(
    "args",
    [
        ("--temperature", "inf"),
        ("--temperature", "-1"),
        ("--temperature", "nan"),
        ("--temperature", "x"),
        ("--length", "-1"),
        ("--length", "x"),
        ("--seed", "-1"),
        ("--dialect", "other"),
        ("one-more",),
        ("--no-such-option",),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_generate_is_status_2(args: tuple[str, ...]) -> None:
    outcome = invoke("generate", WEIGHTS, *args)
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert outcome.lines[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda data: data[:-1], [f"{PARAMETERS - 1:,} numbers and 3 bytes", f"{PARAMETERS:,}"]),
        (lambda data: data[:-4], [f"{PARAMETERS - 1:,} numbers", f"{PARAMETERS:,}"]),
        (lambda data: data + b"\0\0\0\0", [f"{PARAMETERS + 1:,} numbers", f"{PARAMETERS:,}"]),
        (lambda data: data + b"\0", ["and 1 bytes", f"{PARAMETERS:,}"]),
        (lambda data: data[:20], ["0 numbers", f"{PARAMETERS:,}"]),
        (lambda data: data[:15], ["15 bytes"]),
        (lambda data: b"", ["0 bytes"]),
        (lambda data: b"\xff" * 12 + data[12:], ["version"]),
        (lambda data: data[:24] + struct.pack("<f", math.nan) + data[28:], ["offset 24", "nan"]),
        (lambda data: data[:24] + struct.pack("<f", math.inf) + data[28:], ["offset 24", "inf"]),
        (lambda data: None, ["No such file"]),
    ],
)
@pytest.mark.parametrize("command", ["generate", "valid", "vec"])
def test_damaged_weights_are_one_line(command: str, change: Any, named: list[str]) -> None:
    changed = change(Path(WEIGHTS).read_bytes())
    Path(WEIGHTS).unlink()
    if changed is not None:
        Path(WEIGHTS).write_bytes(changed)
    error = invoke(command, WEIGHTS, "-q", stdin=b"some text").error()
    for word in [WEIGHTS, *named]:
        assert word in error


def test_damaged_weights_in_a_process_of_its_own(tmp_path: Path) -> None:
    Path(WEIGHTS).write_bytes(Path(WEIGHTS).read_bytes()[:-4])
    outcome = run("generate", WEIGHTS, "--cfg", "net.cfg", "--seed", "1", cwd=tmp_path)
    assert WEIGHTS in outcome.error()
    verbose = run("generate", WEIGHTS, "-v", cwd=tmp_path)
    assert verbose.status == 1
    assert "Traceback" in verbose.stderr
    assert f"{PARAMETERS:,}" in verbose.lines[-1]


def test_a_prompt_of_symbols_that_the_network_does_not_know_is_an_error() -> None:
    small = ("[net] inputs=100", RNN, "[connected] output=100 activation=linear", SOFTMAX)
    dn.load_network(write_cfg(Path("small.cfg"), *small)).save_weights("small.weights")
    error = invoke("generate", "small.weights", "--prompt", "aé", "-q").error()
    assert "symbol 195 at offset 1" in error


def test_missing_names_of_tokens_are_an_error() -> None:
    assert "nowhere" in invoke("generate", WEIGHTS, "--tokens", "nowhere", "-q").error()


@posix
@pytest.mark.parametrize(
    "args",
    [
        ("generate", WEIGHTS, "--length", "1000000", "-q"),
        ("vec", WEIGHTS, "lines", "-q"),
        ("rnn", "generate", "net.cfg", WEIGHTS, "-len", "1000000", "-srand", "1"),
    ],
    ids=lambda args: " ".join(args[:2]),
)
def test_a_reader_that_goes_away_ends_the_program_silently(args: tuple[str, ...]) -> None:
    Path("lines").write_bytes(b"line\n" * 20_000)
    with subprocess.Popen(
        [*COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@posix
def test_an_interrupted_text_ends_with_status_130() -> None:
    with subprocess.Popen(
        [*COMMAND, "generate", WEIGHTS, "--length", "100000000", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait() == 130


# --- the terminal --------------------------------------------------------------------------------


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, newline="\n")

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


def shown(
    monkeypatch: pytest.MonkeyPatch, *pieces: bytes, raw: bool = False, encoding: str = "utf-8"
) -> str:
    """What a terminal is sent of these pieces of a text."""
    terminal = Terminal(encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        with TextWriter(raw, None) as writer:
            for piece in pieces:
                writer.write(piece)
    return terminal.text


def test_a_terminal_gets_a_text_with_a_newline_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, b"a b\tc\n", b"Gr", "üße".encode()) == "a b\tc\nGrüße\n"


def test_control_characters_become_visible_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, b"\x1b[2J\r\x00\x07\x7f") == "␛[2J␍␀␇␡\n"
    hidden = "\x9b31m\u202e\u2028\u2066".encode()
    assert not set("\x9b\u202e\u2028\u2066") & set(shown(monkeypatch, hidden))


def test_a_character_that_comes_in_pieces_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [bytes([byte]) for byte in "a€😀".encode()]
    assert shown(monkeypatch, *pieces) == "a€😀\n"


def test_wrong_utf_8_becomes_replacement_characters_and_a_cut_end_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown(monkeypatch, b"a\xffb") == "a\ufffdb\n"
    assert shown(monkeypatch, b"a\xe2\x82") == "a\n"
    assert shown(monkeypatch, b"a\xe2", b"b") == "a\ufffdb\n"
    assert "\ufffd" in shown(monkeypatch, b"\xed\xa0\x80")


def test_raw_bytes_reach_a_terminal_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with TextWriter(True, None) as writer:
        writer.write(b"\x1b\xff")
    assert terminal.bytes.getvalue() == b"\x1b\xff\n"


def test_a_terminal_that_cannot_show_a_character_gets_a_question_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown(monkeypatch, "aé€".encode(), encoding="latin-1") == "aé?\n"


@given(text=st.text())
def test_visible_text_has_no_control_characters_and_keeps_the_rest(text: str) -> None:
    result = visible(text)
    assert not {c for c in result if unicodedata.category(c) == "Cc"} - {"\n", "\t"}
    assert visible(result) == result
    if text.isprintable():
        assert result == text


def on_a_terminal(stream: str, *args: str) -> str:
    """What a command, which must succeed, sends to the terminal that is its stdout or stderr."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    streams: dict[str, Any] = {stream: theirs}
    data = b""
    with subprocess.Popen([*COMMAND, *args], env=ENVIRONMENT, **streams) as process:
        os.close(theirs)
        # Linux tells by an error, others by nothing, that the other end is closed.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 1000):
                data += piece
        assert process.wait() == 0
    os.close(ours)
    return data.decode().replace("\r\n", "\n")


@posix
def test_generate_on_a_terminal_shows_what_would_disturb_it() -> None:
    args = ("generate", WEIGHTS, "--length", "0", "-q", "--prompt", r"a\x1b[2J\xff\x01é\nb")
    assert on_a_terminal("stdout", *args) == "a␛[2J\ufffd␁é\nb\n"


@posix
def test_training_on_a_terminal_draws_a_bar_instead_of_lines() -> None:
    Path("text.txt").write_text(words(500))
    args = ("train", "net.cfg", "text.txt", "--batches", "20", "--seed", "1")
    text = on_a_terminal("stderr", *args)
    assert " avg, " not in text
    assert re.search(r"batch 20: 100%\|.+\| 00:00 left, loss \d\.\d{3}, held out \d\.\d{3}", text)
    assert "next: darknet-py generate" in text


# --- generate: more ways to choose and to begin --------------------------------------------------


@pytest.mark.parametrize(
    ("options", "how"),
    [
        (("--top-k", "3"), {"top_k": 3}),
        (("--top-p", ".6"), {"top_p": 0.6}),
        (("--greedy",), {"greedy": True}),
        (("--stop", r"\x20"), {"stop": b" "}),
    ],
)
def test_restricted_texts(options: tuple[str, ...], how: dict[str, Any], net: Network) -> None:
    args = ("--length", "80", "--seed", "3", "--prompt", "a", "-q")
    outcome = invoke("generate", WEIGHTS, *args, *options)
    assert outcome.stdout == b"a" + bytes(dn.generate(net, b"a", 80, 0.7, 3, **how)) + b"\n"


def test_a_prompt_comes_from_a_file_or_stdin_and_can_be_left_out(net: Network) -> None:
    Path("prompt.txt").write_bytes(b"the fox\n\xff")
    args = ("generate", WEIGHTS, "--length", "20", "--seed", "3", "-q")
    expected = text_of(net, b"the fox\n\xff", 20, 0.7, 3)
    assert invoke(*args, "--prompt-file", "prompt.txt").stdout == expected
    assert invoke(*args, "--prompt-file", "-", stdin=b"the fox\n\xff").stdout == expected
    bare = invoke(*args, "--prompt-file", "prompt.txt", "--no-prompt")
    assert bare.stdout == expected.removeprefix(b"the fox\n\xff")
    assert invoke(*args, "--prompt", "a", "--prompt-file", "prompt.txt").status == 2
    assert "missing.txt" in invoke(*args, "--prompt-file", "missing.txt").error()


def test_writing_in_turns(net: Network) -> None:
    """Texts are read and gone on from, commands obeyed; the state carries on until :reset."""
    session = Session(net, 5)
    turns: list[bytes] = []
    for text, temperature in ((b"the", 0.7), (b"\n\xff", 0.5), (b"", 0.5)):
        session.feed(text)
        turns.append(bytes(session.write(12, Sampling(temperature))))
    session.reset()
    session.feed(b"a")
    turns.append(bytes(session.write(12, Sampling(0.5))))
    lines = ["the", ":temperature .5", r"\n\xff", "", ":odds", ":reset", "a"]
    lines += [
        ":odds the",
        ":help",
        ":nonsense",
        ":temperature -1",
        ":temperature 0,5",
        ":length x",
        ":length 3",
        ":l",
        ":",
    ]
    stdin = "\n".join(lines).encode()
    args = ("generate", WEIGHTS, "--interactive", "--length", "12", "--seed", "5", "-q")
    outcome = invoke(*args, stdin=stdin)
    assert outcome.status == 0
    assert outcome.stdout == b"".join(turn + b"\n" for turn in turns)
    assert len(re.findall(r"^ +\d+\.\d\d%  ", outcome.stderr, re.MULTILINE)) == 10
    assert ":nonsense is no command; the commands are :temperature" in outcome.stderr
    assert ":temperature: '-1' is not a number of at least 0" in outcome.stderr
    assert ":temperature: '0,5' has a comma; write 0.5" in outcome.stderr
    assert ":length: 'x' is not a whole number" in outcome.stderr
    assert ":odds: it takes no text; type the text first, then :odds" in outcome.stderr
    started = invoke(*args, "--prompt", "the", stdin=b"")
    assert started.stdout == b"the" + turns[0] + b"\n"
    asked = invoke(*args, "--length", "0", stdin=b"exit\n")
    assert "read as a text; the command is :quit" in asked.stderr


@posix
def test_writing_in_turns_on_a_terminal_survives_ctrl_c_and_ends_with_ctrl_d() -> None:
    import pty

    ours, theirs = pty.openpty()
    args = ("generate", WEIGHTS, "--interactive", "--length", "100000000", "--seed", "5")
    streams: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen([*COMMAND, *args], env=ENVIRONMENT, **streams)
    os.close(theirs)
    seen, place = b"", 0

    def read_until(what: bytes, least: int = 0) -> None:
        """Until `what` comes after what was waited for before, and at least so many bytes."""
        nonlocal seen, place
        while what not in seen[place + least :]:
            seen += os.read(ours, 1000)
        place = seen.index(what, place + least) + len(what)

    read_until(b"> ")
    os.write(ours, b"the\r")
    read_until(b"t", least=400)
    process.send_signal(signal.SIGINT)
    read_until(b"> ")
    os.write(ours, b":odds\r")
    read_until(b"%")
    # What is typed before the prompt is there is the terminal's, not the line editor's.
    read_until(b"> ")
    os.write(ours, b"\x04")
    rest = b""
    with contextlib.suppress(OSError):
        while more := os.read(ours, 1000):
            rest += more
    assert process.wait() == 0
    assert b"Traceback" not in seen
    # What the shell prints next begins a line.
    assert rest.endswith(b"\n")
    os.close(ours)


@posix
@pytest.mark.parametrize("command", ["vec", "valid"])
def test_on_a_terminal_a_text_is_asked_for_and_ctrl_d_ends_it(command: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, command, WEIGHTS],
        env=ENVIRONMENT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    assert process.stderr
    seen = b""
    while b"from the keyboard; Ctrl-D ends" not in seen:
        line = process.stderr.readline()
        assert line
        seen += line
    os.write(ours, b"\x04")
    process.communicate()
    assert process.returncode == (0 if command == "vec" else 1)
    os.close(ours)


# --- valid ---------------------------------------------------------------------------------------

TEXT = words(150).encode()


@pytest.fixture
def text() -> str:
    Path("text.txt").write_bytes(TEXT)
    return "text.txt"


def test_valid_prints_the_numbers_of_evaluate(tmp_path: Path, net: Network, text: str) -> None:
    outcome = run("valid", WEIGHTS, text, cwd=tmp_path)
    assert outcome.status == 0
    score = dn.evaluate(net, TEXT)
    numbers = dict(re.findall(r"^(\w[\w ]*\w) {2,}(\S+)$", outcome.stdout.decode(), re.MULTILINE))
    assert numbers == {
        "bytes": f"{len(TEXT) - 1:,}",
        "nats per byte": f"{score.nats:.4f}",
        "bits per byte": f"{score.bpc:.4f}",
        "perplexity": rounded_perplexity(score.perplexity),
        "word perplexity": rounded_perplexity(score.word_perplexity or 0),
    }


def test_valid_as_json_has_the_fields_of_evaluation(net: Network, text: str) -> None:
    outcome = invoke("valid", WEIGHTS, text, "--json")
    assert outcome.stdout.count(b"\n") == 1
    assert json.loads(outcome.stdout) == dataclasses.asdict(dn.evaluate(net, TEXT))


def test_valid_reads_stdin(net: Network) -> None:
    expected = dataclasses.asdict(dn.evaluate(net, TEXT))
    assert json.loads(invoke("valid", WEIGHTS, "--json", stdin=TEXT).stdout) == expected
    assert json.loads(invoke("valid", WEIGHTS, "-", "--json", stdin=TEXT).stdout) == expected


def test_valid_scores_the_part_that_training_held_out(net: Network, text: str) -> None:
    held_out = bytes(split(np.frombuffer(TEXT, np.uint8), 0.3)[1])
    outcome = invoke("valid", WEIGHTS, text, "--val", ".3", "--json")
    assert json.loads(outcome.stdout) == dataclasses.asdict(dn.evaluate(net, held_out))


def test_the_prompt_of_valid_is_fed_and_not_scored(net: Network, text: str) -> None:
    outcome = invoke("valid", WEIGHTS, text, "--prompt", r"ab\n", "--json")
    expected = dataclasses.asdict(dn.evaluate(net, TEXT, b"ab\n"))
    assert json.loads(outcome.stdout) == expected
    assert expected["nats"] != dn.evaluate(net, TEXT).nats


def test_a_network_that_is_always_wrong_is_still_json(net: Network, text: str) -> None:
    """A word perplexity that no number can hold must not make a file that is no JSON."""
    net.parameters[...] *= 400
    net.save_weights(WEIGHTS)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert dn.evaluate(net, TEXT).word_perplexity == math.inf
    json.loads(invoke("valid", WEIGHTS, text, "--json").stdout, parse_constant=refuse)


@pytest.mark.parametrize("text", ["无法打开文件\n不能\n", "ไม่พบ แฟ้ม ", "ひらがなと カナ ABC\n"])
def test_scripts_without_spaces_have_no_word_perplexity(net: Network, text: str) -> None:
    score = dn.evaluate(net, text * 9)
    assert not score.has_words
    assert "word" not in f"{score}"


@pytest.mark.parametrize(
    "text", ["Не удалось открыть файл. ", "파일을 열 수 없다 ", "ok 无 is one word "]
)
def test_words_of_other_scripts_are_words(net: Network, text: str) -> None:
    assert "word perplexity" in f"{dn.evaluate(net, text * 9)}"


def test_a_text_without_spaces_has_no_word_perplexity(net: Network) -> None:
    for length in (50, 2000):  # a large number, and one that no number holds
        Path("one.txt").write_text("x" * length)
        score = dn.evaluate(net, b"x" * length)
        assert score.word_perplexity is not None
        assert score.word_perplexity > 1e15
        assert "word" not in f"{score}"
        assert b"word" not in invoke("valid", WEIGHTS, "one.txt").stdout
    # Words that are much less likely than by chance are words too.
    for word in ("xx ", "x" * 20 + " "):
        Path("two.txt").write_text(word * 33)
        assert "word perplexity" in f"{dn.evaluate(net, word.encode() * 33)}"
        assert b"word perplexity" in invoke("valid", WEIGHTS, "two.txt").stdout


@pytest.mark.parametrize("data", [b"", b"a", b"abc\0d"])
def test_a_text_that_cannot_be_scored_is_an_error_that_names_it(data: bytes) -> None:
    Path("bad.txt").write_bytes(data)
    assert "bad.txt" in invoke("valid", WEIGHTS, "bad.txt", "-q").error()


def test_a_missing_text_is_an_error() -> None:
    assert "nowhere" in invoke("valid", WEIGHTS, "nowhere", "-q").error()


@pytest.mark.parametrize("val", ["0", "1", "x", "nan"])
def test_wrong_usage_of_valid_is_status_2(text: str, val: str) -> None:
    assert invoke("valid", WEIGHTS, text, "--val", val).status == 2


# --- vec -----------------------------------------------------------------------------------------

LINES = b"one line\n two\tlines \r\n\nlast"


def formatted(rows: Any) -> bytes:
    """The C program's format."""
    return b"".join(
        line + "".join(f",{number:g}" for number in vector.tolist()).encode() + b"\n"
        for line, vector in rows
    )


def test_vec_prints_a_line_and_its_vector(tmp_path: Path, net: Network) -> None:
    Path("lines").write_bytes(LINES)
    outcome = run("vec", WEIGHTS, "lines", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout == formatted(hidden_vectors(net, LINES.splitlines(keepends=True)))
    printed = outcome.stdout.splitlines()
    assert [line.split(b",")[0] for line in printed] == [b"oneline", b"twolines", b"", b"last"]
    for line in printed:
        assert re.fullmatch(rb"\w*(,-?\d+(\.\d+)?(e[+-]\d+)?){8}", line)
    assert invoke("vec", WEIGHTS, stdin=LINES).stdout == outcome.stdout


def test_the_vector_is_the_layers_output_after_the_last_symbol(net: Network) -> None:
    printed = invoke("vec", WEIGHTS, "--prompt", "ab", stdin=b"c d\n").stdout.split(b",")
    state = net.initial_state(1)
    y, _ = net.forward(np.frombuffer(b"abcd ", np.uint8)[:, None], state, count=1)
    np.testing.assert_allclose([float(n) for n in printed[1:]], y[-1, 0], rtol=2e-5)


def test_the_state_runs_on_from_line_to_line_where_asked_for(net: Network) -> None:
    lines = b"same\nsame\n"
    plain = invoke("vec", WEIGHTS, stdin=lines).stdout.splitlines()
    assert plain[0] == plain[1]
    carried = invoke("vec", WEIGHTS, "--carry", stdin=lines).stdout
    assert carried == formatted(hidden_vectors(net, lines.splitlines(), carry=True))
    assert carried.splitlines()[0] == plain[0] != carried.splitlines()[1]


def test_vectors_of_another_layer(net: Network) -> None:
    outcome = invoke("vec", WEIGHTS, "--layer", "2", stdin=b"a\n")
    assert outcome.stdout == formatted(hidden_vectors(net, [b"a"], layer=2))
    numbers = [float(n) for n in outcome.stdout.split(b",")[1:]]
    assert len(numbers) == 256
    assert sum(numbers) == pytest.approx(1, abs=1e-4)
    assert invoke("vec", WEIGHTS, "--layer", "3", stdin=b"a\n").status == 2


def test_vectors_are_saved_as_an_array(net: Network) -> None:
    outcome = invoke("vec", WEIGHTS, "--npy", "vectors.npy", stdin=LINES)
    array = np.load("vectors.npy")
    assert array.dtype == np.float32
    assert array.shape == (4, 8)
    expected = [vector for _, vector in hidden_vectors(net, LINES.splitlines())]
    np.testing.assert_array_equal(array, expected)
    assert outcome.stdout.count(b"\n") == 4


def test_without_lines_vec_prints_nothing() -> None:
    outcome = invoke("vec", WEIGHTS, "-q", "--npy", "none.npy", stdin=b"")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, b"", "")
    assert np.load("none.npy").shape[0] == 0


def test_missing_lines_are_an_error() -> None:
    assert "nowhere" in invoke("vec", WEIGHTS, "nowhere", "-q").error()


# --- info ----------------------------------------------------------------------------------------


def facts(*args: str | Path) -> dict[str, Any]:
    outcome = invoke("info", *args, "--json")
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.count(b"\n") == 1
    return dict(json.loads(outcome.stdout))


def test_info_of_weights_shows_the_network_and_the_header(tmp_path: Path) -> None:
    outcome = run("info", WEIGHTS, cwd=tmp_path)
    assert outcome.status == 0
    shown = outcome.stdout.decode()
    for word in ("net.cfg", WEIGHTS, "0.2.0", "20 bytes", "upstream", "320 bytes (`seen`)"):
        assert word in shown
    assert f"{PARAMETERS:,}" in shown
    for kind in ("rnn", "connected", "softmax"):
        assert re.search(rf"^ +\d+  {kind} ", shown, re.MULTILINE)


def test_info_of_a_cfg_counts_right() -> None:
    found = facts("net.cfg")
    assert found["weights"] is None
    assert found["parameters"] == PARAMETERS == sum(row["parameters"] for row in found["layers"])
    assert [row["kind"] for row in found["layers"]] == ["rnn", "connected", "softmax"]
    assert [row["outputs"] for row in found["layers"]] == [8, 256, 256]
    assert (found["streams"], found["time_steps"], found["subdivisions"]) == (4, 8, 1)
    assert found["symbols"] == 32
    assert found["memory"] > 4 * 3 * PARAMETERS


def test_info_of_a_cfg_by_any_name() -> None:
    """What `train` takes as a cfg is one here too."""
    Path("net.cfg").rename("my network")
    assert facts("my network")["parameters"] == PARAMETERS


def test_info_of_the_published_architecture() -> None:
    assert facts("rnn")["parameters"] == 8_950_016
    assert facts("tiny")["parameters"] == 460_544


@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize("name", sorted(bundled_cfgs()))
def test_info_of_every_bundled_cfg(name: str) -> None:
    found = facts(name)
    assert found["parameters"] == len(dn.load_network(name, batch=1, time_steps=1).parameters)
    outcome = invoke("info", name)
    assert outcome.status == 0
    assert f"{found['parameters']:,}" in outcome.stdout.decode()


def test_info_of_weights_as_json() -> None:
    found = facts(WEIGHTS)["weights"]
    assert found["version"] == "0.2.0"
    assert found["header_bytes"] == 20
    assert found["seen"] == 320
    assert found["floats"] == PARAMETERS
    assert found["dialect"] == "upstream"
    assert not found["transposed"]


def test_info_knows_other_headers() -> None:
    cfg = RECORDED / "rnn-bn-leaky" / "test.cfg"
    old = facts(RECORDED / "headers" / "v0.1.weights", "--cfg", cfg)["weights"]
    assert (old["version"], old["header_bytes"]) == ("0.1.0", 16)
    assert facts(RECORDED / "headers" / "transposed.weights", "--cfg", cfg)["weights"]["transposed"]


def test_info_says_where_the_counts_differ() -> None:
    write_cfg(Path("net.cfg"), NET, RNN, RNN, CONNECTED, SOFTMAX)
    count = len(dn.load_network("net.cfg").parameters)
    shown = invoke("info", WEIGHTS).stdout.decode()
    assert f"{PARAMETERS:,}" in shown
    assert f"the cfg has {count:,}" in shown


def test_info_of_weights_without_some_layers_finds_them_complete() -> None:
    """The numbers that the cfg says are not in the file are not missing from it."""
    write_cfg(Path("net.cfg"), NET, RNN, CONNECTED + " dontload=1", SOFTMAX)
    size = 256 * 8 + 8 + 2 * (8 * 8 + 8)
    Path(WEIGHTS).write_bytes(Path(WEIGHTS).read_bytes()[: 20 + 4 * size])
    assert invoke("generate", WEIGHTS, "--length", "3").status == 0
    assert "the cfg has" not in facts(WEIGHTS)["weights"]["fit"]


def test_info_of_a_file_in_alexeyabs_dialect() -> None:
    sections = (NET, "[rnn] output=8 hidden=5 activation=tanh", CONNECTED, SOFTMAX)
    Path("text.txt").write_bytes(TEXT)
    write_cfg(Path("net.cfg"), *sections)
    dn.train("net.cfg", "text.txt", batches=1, val=0)
    found = facts("backup/net_final.weights")
    assert found["weights"]["dialect"] == "alexeyab"
    assert found["weights"]["floats"] == found["parameters"]
    assert "the cfg has" not in found["weights"]["fit"]


def test_info_says_what_keeps_a_cfg_from_being_trained() -> None:
    Path("text.txt").write_bytes(TEXT)
    for name, *sections in (
        ("small.cfg", NET.replace("256", "64"), RNN, CONNECTED, SOFTMAX),
        ("norm.cfg", NET.replace("batch=4", ""), RNN + " batch_normalize=1", CONNECTED, SOFTMAX),
        ("loss.cfg", NET, RNN, CONNECTED),
    ):
        write_cfg(Path(name), *sections)
        refusal = invoke("train", name, "text.txt").error().removeprefix("Error: ")
        assert (facts(name)["trainable"], facts(name)["obstacle"]) == (False, refusal)
        outcome = invoke("info", name)
        assert outcome.status == 0
        _, _, shown = outcome.stdout.decode().partition("obstacle    not trainable as it is: ")
        obstacle, _, _ = shown.partition("\nbatch ")
        assert obstacle.split() == refusal.split()
        assert max(map(len, outcome.stdout.decode().splitlines())) <= 80
    assert (facts("net.cfg")["trainable"], facts("net.cfg")["obstacle"]) == (True, None)
    assert "not trainable" not in invoke("info", "net.cfg").stdout.decode()


def with_nan(data: bytes) -> bytes:
    return data[:100] + struct.pack("<f", math.nan) + data[104:]


@pytest.mark.parametrize(
    ("damage", "is_shown"),
    [(with_nan, True), (lambda data: data[:1000], True), (lambda data: data[:7], False)],
    ids=["nan", "cut", "no header"],
)
def test_info_of_weights_that_cannot_be_loaded_ends_as_generate_does(
    damage: Callable[[bytes], bytes], is_shown: bool
) -> None:
    Path(WEIGHTS).write_bytes(damage(Path(WEIGHTS).read_bytes()))
    refusal = invoke("generate", WEIGHTS, "-q").error()
    for more in ((), ("--json",)):
        outcome = invoke("info", WEIGHTS, *more)
        assert outcome.status == 1
        assert outcome.lines == [refusal]
        assert (f"{PARAMETERS}" in outcome.stdout.decode().replace(",", "")) == is_shown


@pytest.mark.parametrize("cfg", [None, "[net]\ninputs=many\n", "[net]\ninputs=3\n"])
def test_info_of_weights_without_a_cfg_that_fits_shows_their_header(cfg: str | None) -> None:
    """None at all, one that cannot be read, and one that is no network."""
    Path("net.cfg").unlink()
    if cfg is not None:
        Path("net.cfg").write_text(cfg)
    refusal = invoke("generate", WEIGHTS, "-q").error()
    header = read_header(WEIGHTS)
    outcome = invoke("info", WEIGHTS)
    assert (outcome.status, outcome.lines) == (1, [refusal])
    assert dict(line.split(maxsplit=1) for line in outcome.stdout.decode().splitlines()) == {
        "weights": WEIGHTS,
        "header": "version 0.2.0 (20 bytes, upstream)",
        "trained": f"on  {header.seen:,} symbols (`seen`)",
        "parameters": f"{header.floats:,}",
    }
    outcome = invoke("info", WEIGHTS, "--json")
    assert (outcome.status, outcome.lines) == (1, [refusal])
    told = json.loads(outcome.stdout)
    assert told["cfg"] is None
    assert told["weights"]["seen"] == header.seen
    assert told["weights"]["floats"] == header.floats


def test_info_of_a_folder_with_the_name_of_a_bundled_cfg() -> None:
    Path("tiny").mkdir()
    assert facts("tiny")["weights"] is None
    Path(WEIGHTS).rename("tiny/net_best.weights")
    Path("net.cfg").rename("tiny/net.cfg")
    assert facts("tiny")["weights"]["file"] == str(Path("tiny/net_best.weights"))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.cfg", "nowhere.weights"])
def test_info_of_what_is_not_there_is_an_error(name: str) -> None:
    assert name in invoke("info", name).error()


def test_info_of_a_damaged_cfg_names_its_line() -> None:
    Path("bad.cfg").write_text("[net]\ninputs=256\n[rnn]\noutput=many\n")
    assert "bad.cfg:4" in invoke("info", "bad.cfg").error()


# --- rnn -----------------------------------------------------------------------------------------


def test_rnn_generate_in_a_process_of_its_own(tmp_path: Path) -> None:
    folder = RECORDED / "rnn-bn-leaky"
    case = json.loads((folder / "case.json").read_text())["generate"][0]
    args = ["-srand", str(case["srand"]), "-len", str(case["len"]), "-temp", str(case["temp"])]
    args += ["-seed", case["seed"]]
    files = (folder / "test.cfg", folder / "model.weights")
    outcome = run("rnn", "generate", *files, *args, cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout == (folder / case["stdout"]).read_bytes()


def test_rnn_valid_and_vec_print_a_line_for_each_character_and_line() -> None:
    scored = invoke("rnn", "valid", "net.cfg", WEIGHTS, stdin=b"abc d").stdout.decode()
    assert len(scored.splitlines()) == 4
    number = r"\d+\.\d{4}"
    for row, line in enumerate(scored.splitlines(), 1):
        pattern = rf"{row} BPC: {number}   Perplexity: {number}    Word Perplexity: {number}"
        assert re.fullmatch(pattern, line)
    vectors = invoke("rnn", "vec", "net.cfg", WEIGHTS, stdin=b"a b\nc\n").stdout
    assert [line.split(b",")[0] for line in vectors.splitlines()] == [b"ab", b"c"]


def test_rnn_train_writes_its_files_into_backup() -> None:
    write_cfg(Path("net.cfg"), "[net] inputs=256 max_batches=3", RNN, CONNECTED, SOFTMAX)
    Path("text.txt").write_bytes(TEXT + b"\0 not read any more")
    outcome = invoke("rnn", "train", "net.cfg", "-file", "text.txt", "-srand", "1")
    assert outcome.status == 0
    assert read_header("backup/net_final.weights").seen == 3
    assert [line.split(":")[0] for line in outcome.lines[-4:-1]] == ["1", "2", "3"]
    error = invoke("rnn", "train", "net.cfg", "backup/net_final.weights", "-file", "text.txt", "-q")
    assert "-clear" in error.stderr
    assert error.status == 1


def test_a_missing_file_of_rnn_train_is_one_line() -> None:
    write_cfg(Path("net.cfg"), "[net] inputs=256 max_batches=3", RNN, CONNECTED, SOFTMAX)
    outcome = invoke("rnn", "train", "net.cfg", "-file", "nowhere")
    assert outcome.status == 1
    assert "nowhere" in outcome.lines[-1]
    assert not Path("backup").exists()


# --- the program ---------------------------------------------------------------------------------


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
