"""Cases that nobody thought of: damaged files, odd options, runs that fail and go on.

Whatever comes, the program does its work or says in one line why not. `make fuzz` runs many more
cases than the tests do; FUZZ_CASES is their number, of which every target has its share.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import darknet_py as dn
from darknet_py.cfg import bundled_cfgs, read_cfg
from darknet_py.corpus import check_known, read_text
from darknet_py.errors import DarknetError
from darknet_py.finding import open_network
from darknet_py.generation import generate
from darknet_py.network import Network
from tests.cli_helpers import invoke, write_run_inputs
from tests.test_resume import FailingDisk, same_files

F = TypeVar("F", bound=Callable[..., Any])
TOTAL = int(os.environ.get("FUZZ_CASES", "800"))
CASES: Counter[str] = Counter()


def cases(share: float) -> Callable[[F], F]:
    """How many of all cases a target gets."""
    return settings(
        max_examples=max(10, int(share * TOTAL)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")


@pytest.fixture(scope="module", autouse=True)
def _report() -> Iterator[None]:
    yield
    found = ", ".join(f"{name} {count:,}" for name, count in sorted(CASES.items()))
    print(f"\nfuzzed: {found}; {sum(CASES.values()):,} cases")


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@cache
def trained() -> Path:
    """A folder with a small run of five batches."""
    folder = Path(tempfile.mkdtemp())
    write_run_inputs(folder)
    with chdir(folder):
        dn.train("net.cfg", "text.txt", batches=5, seed=1, val_every=2, save_every=2)
        Path("tokens.txt").write_text(" ".join(str(n % 200) for n in range(300)))
    return folder


@pytest.fixture(autouse=True, scope="module")
def _leave_nothing() -> Iterator[None]:
    yield
    if trained.cache_info().currsize:
        shutil.rmtree(trained())


# Damage: what is cut out of a file from a place on, and what is put there instead.
DAMAGE = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from([0, 0, 1, 1, 4, 8, 100, 1 << 20]),
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from([b"\0", b"=", b"[", b"]", b"\n", b"-1", b"9" * 12, b"1e39", b"nan"]),
        ),
    ),
    min_size=1,
    max_size=3,
)


def damaged(whole: bytes, damage: list[tuple[float, int, bytes]]) -> bytes:
    for place, cut, put in damage:
        at = int(place * len(whole))
        whole = whole[:at] + put + whole[at + cut :]
    return whole


@cases(0.4)
@given(st.sampled_from(sorted(bundled_cfgs().values())), DAMAGE)
def test_any_cfg_is_a_network_or_one_line(source: Path, damage: list[Any]) -> None:
    CASES["cfg files"] += 1
    path = trained() / "fuzzed.cfg"
    path.write_bytes(damaged(source.read_bytes(), damage))
    with suppress(DarknetError):
        cfg = read_cfg(path)
        event("parsed")
        net = Network(cfg)
        event("a network")
        net.check_trainable()
        event("can be trained")


@cases(0.2)
@given(st.sampled_from(["net_best.weights", "net.backup"]), DAMAGE)
def test_any_weights_are_loaded_or_one_line(name: str, damage: list[Any]) -> None:
    CASES["weights files"] += 1
    path = trained() / "fuzzed.weights"
    path.write_bytes(damaged((trained() / "backup" / name).read_bytes(), damage))
    with suppress(DarknetError):
        net = open_network(path, trained() / "net.cfg")
        event("loaded")
        assert len(list(generate(net, b"a", 3))) == 3


@cases(0.15)
@given(st.sampled_from(["text.txt", "tokens.txt"]), DAMAGE, st.booleans())
def test_any_text_is_read_or_one_line(name: str, damage: list[Any], tokenized: bool) -> None:
    CASES["texts"] += 1
    path = trained() / "fuzzed.txt"
    path.write_bytes(damaged((trained() / name).read_bytes(), damage))
    with suppress(DarknetError):
        text = read_text(path, tokenized)
        check_known(text, 256, str(path))
        event("read")
        assert text.min() >= 0


@cases(0.04)
@given(DAMAGE)
def test_any_state_is_gone_on_with_or_one_line(damage: list[Any]) -> None:
    CASES["states"] += 1
    with chdir(trained()):
        shutil.rmtree("fuzzed", ignore_errors=True)
        Path("fuzzed").mkdir()
        state = damaged(Path("backup/net.state").read_bytes(), damage)
        Path("fuzzed/net.state").write_bytes(state)
        with suppress(DarknetError):
            dn.train(resume=True, out="fuzzed", batches=6)
            event("gone on")


NUMBERS = st.one_of(
    st.integers(-3, 40).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["0", "-0", "1e99", "9" * 30, "1_0", "0x10", " 1", "½", "", "nan", "inf", "-inf"]
    ),
)
# What a command line can hold: no NUL, and as surrogates only bytes that are no UTF-8.
CHARACTERS = st.one_of(
    st.characters(min_codepoint=1, exclude_categories=["Cs"]),
    st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
)
WORDS = st.one_of(
    NUMBERS,
    st.text(CHARACTERS, max_size=8),
    st.sampled_from(["net.cfg", "text.txt", "tokens.txt", "backup", "tiny", "missing", "/", "-"]),
    st.sampled_from(["\\n", "\\x00", "\\xff", "a=b", "learning_rate=1", "batch=0", "clip=-1"]),
)
SMALL = st.one_of(st.integers(-2, 12).map(str), st.text(CHARACTERS, max_size=3))
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "generate": (
        ["backup"],
        ["--length", "--temperature", "--seed", "--prompt", "--samples", "--cfg", "--dialect"],
    ),
    "valid": (["backup", "text.txt"], ["--val", "--prompt", "--cfg", "--json", "--trace"]),
    "vec": (["backup", "text.txt"], ["--layer", "--prompt", "--carry", "--cfg"]),
    "info": (["backup"], ["--cfg", "--json"]),
    "train": (
        ["net.cfg", "text.txt"],
        [
            *("--seed", "--set", "--val", "--val-every", "--save-every", "--state", "--patience"),
            *("--weights", "--dialect", "--threads", "--memory", "--sample-every", "--tokenized"),
        ],
    ),
}
FLAGS = ("--json", "--trace", "--carry", "--tokenized")
BOUNDS = {"generate": ["--length", "9"], "train": ["--batches", "2", "--out", "fuzzed"]}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(sorted(COMMANDS)))
    arguments, options = COMMANDS[name]
    is_odd = [draw(st.sampled_from([False] * 9 + [True])) for _ in arguments]
    words = [draw(WORDS) if odd else usual for usual, odd in zip(arguments, is_odd, strict=True)]
    line = [name, *words, *BOUNDS.get(name, [])]
    for option in draw(st.lists(st.sampled_from(options), max_size=3)):
        if option in ("--length", "--samples"):
            line += [
                option,
                draw(st.one_of(st.integers(-2, 12).map(str), st.text(CHARACTERS, max_size=3))),
            ]
        elif option in FLAGS:
            line.append(option)
        else:
            line += [option, draw(WORDS)]
    return line


@cases(0.2)
@given(command_lines())
def test_any_command_line_works_or_says_why_not(line: list[str]) -> None:
    CASES["command lines"] += 1
    with chdir(trained()):
        outcome = invoke(*line, "-q", stdin=b"some text from stdin\n")
    event(f"{line[0]}: status {outcome.status}")
    assert outcome.status in (0, 1, 2)
    assert "Traceback" not in outcome.stderr
    if outcome.status == 1:
        assert [one for one in outcome.lines if one.startswith("Error: ")] == outcome.lines[-1:]
    if outcome.status == 2:
        assert outcome.lines[-1].startswith("Error: ")


@cases(0.01)
@given(st.lists(st.one_of(st.integers(1, 4), st.integers(5, 80)), max_size=4))
def test_runs_that_stop_and_fail_end_like_one_that_did_not(steps: list[int]) -> None:
    """Small numbers stop after so many batches, large ones let that write to the disk fail."""
    CASES["interrupted runs"] += 1
    options: dict[str, Any] = {"val_every": 3, "save_every": 2, "sample_every": 1, "seed": 2}
    with chdir(trained()):
        if not Path("whole").exists():
            dn.train("net.cfg", "text.txt", out="whole", batches=9, **options)
        shutil.rmtree("fuzzed", ignore_errors=True)
        for step in [*steps, 0]:
            going_on = Path("fuzzed/net.state").exists()
            if not going_on:
                shutil.rmtree("fuzzed", ignore_errors=True)
            what = (None, None) if going_on else ("net.cfg", "text.txt")
            more: dict[str, Any] = {"resume": True} if going_on else {"batches": 9, **options}
            left = [step]

            def stop(left: list[int] = left) -> bool:
                left[0] -= 1
                return left[0] == 0

            with pytest.MonkeyPatch.context() as patch:
                if step > 4:
                    FailingDisk(patch, step)
                # The disk fails, or the run has ended already.
                with suppress(OSError, DarknetError):
                    result = dn.train(*what, out="fuzzed", stop=stop, **more)
                    event("stopped" if result.interrupted else "ended")
        same_files(Path("whole"), Path("fuzzed"), but=(".backup",))
