"""`darknet-py generate`: prompts, sampling, folders, tokens, damaged weights, writing in turns."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import re
import signal
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import darknet_py as dn
from darknet_py.cli.options import escaped
from darknet_py.inference.generation import Session
from darknet_py.inference.sampling import Sampling
from darknet_py.network import Network
from tests.support.commands import COMMAND, ENVIRONMENT, invoke, run
from tests.support.inputs import PARAMETERS, RNN, SOFTMAX, write_cfg
from tests.support.networks import randomized
from tests.support.processes import posix
from tests.support.recorded import RECORDED

WEIGHTS = "net.weights"

pytestmark = pytest.mark.usefixtures("net")


def text_of(net: Network, prompt: bytes, length: int, temperature: float, seed: int) -> bytes:
    """What `generate` prints of it."""
    return prompt + bytes(dn.generate(net, prompt, length, temperature, seed)) + b"\n"


def test_generate_prints_the_prompt_and_the_text_of_the_function(
    tmp_path: Path, net: Network
) -> None:
    outcome = run("generate", WEIGHTS, "--seed", "7", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout == text_of(net, b"\n\n", 1000, 0.7, 7)
    assert "net.cfg" not in outcome.stderr
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


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        (r"\textbf{", r"\\t"),
        (r"a\\\rho", r"\\r"),
        (r"\\textbf{", None),
        (r"\n\n", None),
        (r"\x41b", None),
    ],
)
def test_an_escape_within_a_word_is_told(prompt: str, meant: str | None) -> None:
    args = ("generate", WEIGHTS, f"--prompt={prompt}", "--length", "0", "--seed", "1")
    said = invoke(*args).stderr
    assert ("backslash" in said) == (meant is not None)
    assert meant is None or meant in said
    assert "backslash" not in invoke(*args, "-q").stderr


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
        ("--temperature", "-1"),
        ("--length", "-1"),
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


# --- more ways to choose and to begin ------------------------------------------------------------


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


def test_inference_in_turns(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
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
        ":length x",
        ":length 3",
        ":",
        ":s",
    ]
    stdin = "\n".join(lines).encode()
    args = ("generate", WEIGHTS, "--interactive", "--length", "12", "--seed", "5", "-q")
    outcome = invoke(*args, stdin=stdin)
    assert outcome.status == 0
    assert outcome.stdout == b"".join(turn + b"\n" for turn in turns)
    assert len(re.findall(r"^ +\d+\.\d\d%  ", outcome.stderr, re.MULTILINE)) == 10
    for told in (":nonsense is no command", ":temperature: '-1'", ":length: 'x'", ":odds: 'the'"):
        assert told in outcome.stderr
    assert ":s may be :seed, :save" in outcome.stderr
    started = invoke(*args, "--prompt", "the", stdin=b"")
    assert started.stdout == b"the" + turns[0] + b"\n"
    asked = invoke(*args, "--length", "0", stdin=b"exit\n")
    assert "read as a text; the command is :quit" in asked.stderr
    monkeypatch.setenv("HOME", os.getcwd())
    monkeypatch.setenv("USERPROFILE", os.getcwd())
    usual = invoke(
        *args[:3], "--seed", "5", stdin=b"the\n:length -3\n:save said.txt\n:save ~/said.txt\n"
    )
    assert len(usual.stdout) == 300 + 1
    assert Path("said.txt").read_bytes() == b"the" + usual.stdout[:-1]
    assert ":length: '-3' is not a whole number of at least 0" in usual.stderr
    assert "said.txt is what the command reads" not in usual.stderr
    assert usual.stderr.count("said.txt") == 2
    again = invoke(*args, stdin=b"the\n:seed 5\n:reset\n:top-p .3\nthe\n")
    narrow = invoke(*args, "--top-p", ".3", stdin=b"the\n")
    assert again.stdout == turns[0] + b"\n" + narrow.stdout


@posix
def test_inference_in_turns_on_a_terminal_survives_ctrl_c_and_ends_with_ctrl_d() -> None:
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
