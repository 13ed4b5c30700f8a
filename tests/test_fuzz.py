"""Cases that nobody thought of: damaged files, odd options, runs that fail and go on, copies.

Whatever comes, the program does its work or says in one line why not. `make fuzz` runs many more
cases than the tests do; FUZZ_CASES is their number, of which every target has its share.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import darknet_py as dn
from darknet_py.cfg import bundled_cfgs, parse_cfg, read_cfg
from darknet_py.dialect import DIALECTS
from darknet_py.errors import DarknetError
from darknet_py.inference.generation import generate
from darknet_py.loading.finding import open_network
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.text.corpus import check_known, read_text
from darknet_py.training.folder import LOCK
from tests.support.commands import Outcome, invoke
from tests.support.copies import COPIERS, SYMBOLS, bits, check_tensors_are_views, train
from tests.support.disk import FailingDisk
from tests.support.inputs import CONNECTED, NET, SOFTMAX, write_cfg, write_run_inputs
from tests.support.networks import cfg_text, draw_symbols
from tests.support.processes import posix
from tests.support.runs import read_state, same_files, write_state
from tests.support.states import CHANGES, change_state

F = TypeVar("F", bound=Callable[..., Any])
TOTAL = int(os.environ.get("FUZZ_CASES", "800"))
CASES: Counter[str] = Counter()
SLOWEST = [(0.0, "")]


def cases(share: float, kind: str, *drawn: st.SearchStrategy[Any]) -> Callable[[F], Any]:
    """Run a target with its share of all cases; they are counted, and the slowest is kept."""
    limits = settings(
        max_examples=max(10, int(share * TOTAL)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    def decorate(target: F) -> Any:
        @wraps(target)
        def one_case(*arguments: Any, **named: Any) -> None:
            CASES[kind] += 1
            began = perf_counter()
            target(*arguments, **named)
            SLOWEST[0] = max(SLOWEST[0], (perf_counter() - began, kind))

        return limits(given(*drawn)(one_case))

    return decorate


pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")


@pytest.fixture(scope="module", autouse=True)
def _report() -> Iterator[None]:
    yield
    found = ", ".join(f"{name} {count:,}" for name, count in sorted(CASES.items()))
    print(f"\nfuzzed: {found}; {sum(CASES.values()):,} cases")
    print("the slowest took {:.1f} s ({})".format(*SLOWEST[0]), end="")
    if os.name == "posix":
        import resource

        print(f"; at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


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
    write_run_inputs(folder, 200)
    with chdir(folder):
        usual: dict[str, Any] = {"batches": 5, "seed": 1, "val_every": 2, "save_every": 2}
        dn.train("net.cfg", "text.txt", sample_every=1, **usual)
        Path("cfg").mkdir()
        write_cfg(
            Path("cfg/net.cfg"),
            f"{NET} state=carry average=.3",
            "[rnn] output=5 activation=tanh batch_normalize=1",
            "[lstm] output=4",
            *(CONNECTED, SOFTMAX),
        )
        dn.train("cfg/net.cfg", "text.txt", out="rich", val="text.txt", **usual)
        Path("tokens.txt").write_text(" ".join(str(n % 200) for n in range(300)))
        write_cfg(
            Path("token.cfg"),
            "[net] inputs=200 batch=4 time_steps=4 learning_rate=.01 tokenized=1",
            "[gru] output=4",
            "[connected] output=200 activation=linear",
            "[softmax]",
        )
        dn.train("token.cfg", "tokens.txt", out="tokens", **usual)
        Path("names.txt").write_text("".join(f"n{number}\n" for number in range(200)))
    return folder


@pytest.fixture(autouse=True, scope="module")
def _leave_nothing() -> Iterator[None]:
    yield
    if trained.cache_info().currsize:
        shutil.rmtree(trained())
        trained.cache_clear()
        compiled_code.cache_clear()


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


@cases(0.23, "cfg files", st.sampled_from(sorted(bundled_cfgs().values())), DAMAGE)
def test_any_cfg_is_a_network_or_one_line(source: Path, damage: list[Any]) -> None:
    path = trained() / "fuzzed.cfg"
    path.write_bytes(damaged(source.read_bytes(), damage))
    with suppress(DarknetError):
        cfg = read_cfg(path)
        event("parsed")
        net = Network(cfg)
        event("a network")
        net.check_trainable()
        event("can be trained")


@cases(0.15, "weights files", st.sampled_from(["net_best.weights", "net.backup"]), DAMAGE)
def test_any_weights_are_loaded_or_one_line(name: str, damage: list[Any]) -> None:
    path = trained() / "fuzzed.weights"
    path.write_bytes(damaged((trained() / "backup" / name).read_bytes(), damage))
    with suppress(DarknetError):
        net = open_network(path, trained() / "net.cfg")
        event("loaded")
        assert len(list(generate(net, b"a", 3))) == 3


@cases(0.13, "texts", st.sampled_from(["text.txt", "tokens.txt"]), DAMAGE, st.booleans())
def test_any_text_is_read_or_one_line(name: str, damage: list[Any], tokenized: bool) -> None:
    path = trained() / "fuzzed.txt"
    path.write_bytes(damaged((trained() / name).read_bytes(), damage))
    with suppress(DarknetError):
        text = read_text(path, tokenized)
        check_known(text, 256, str(path))
        event("read")
        assert text.min() >= 0


def check_outcome(name: str, outcome: Outcome) -> None:
    """The command did its work, or said in one line why not."""
    event(f"{name}: status {outcome.status}")
    assert outcome.status in (0, 1, 2)
    assert "Traceback" not in outcome.stderr
    if outcome.status == 1:
        assert [one for one in outcome.lines if one.startswith("Error: ")] == outcome.lines[-1:]
    if outcome.status == 2:
        assert outcome.lines[-1].startswith("Error: ")


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
            *("--weights", "--dialect", "--threads", "--sample-every", "--tokenized"),
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


@cases(0.17, "command lines", command_lines())
def test_any_command_line_works_or_says_why_not(line: list[str]) -> None:
    with chdir(trained()):
        outcome = invoke(*line, "-q", stdin=b"some text from stdin\n")
    check_outcome(line[0], outcome)


# Tokens as they should be, and words that are none or none of the network's.
TOKENS = st.one_of(
    st.integers(0, 199).map(str),
    st.integers(0, 199).map(str),
    st.integers(0, 199).map("n{}".format),
    NUMBERS,
    st.text(CHARACTERS, max_size=4),
)
TOKEN_TEXTS = st.builds(
    lambda words, spaces: "".join(itertools.chain(*zip(words, spaces, strict=False))),
    st.lists(TOKENS, max_size=40),
    st.lists(st.sampled_from([" ", " ", "\n", "\t", "  ", "\r\n", ","]), min_size=40, max_size=40),
)


@cases(
    0.08,
    "tokens",
    st.one_of(st.just("0 1 2 3 4 5 6 7 8 9 "), TOKEN_TEXTS),
    st.sampled_from(["read", "train", "valid", "generate", "prompt", "stop"]),
    st.booleans(),
)
def test_any_tokens_are_read_or_one_line(text: str, use: str, named: bool) -> None:
    names = ["--tokens", "names.txt"] if named else []
    with chdir(trained()):
        path = Path("fuzzed.tokens")
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        shutil.rmtree("fuzzed", ignore_errors=True)
        line: list[str | Path]
        match use:
            case "read":
                with suppress(DarknetError):
                    assert read_text(path, tokenized=True).min() >= 0
                    event("read")
                return
            case "train":
                line = ["train", "token.cfg", path, "--tokenized", "--batches", "1", "--seed", "1"]
                line += ["--out", "fuzzed", "--val", "0"]
            case "valid":
                line = ["valid", "tokens", path]
            case "generate":
                line = ["generate", "tokens", "--prompt-file", path, "--length", "3", *names]
            case _:
                line = ["generate", "tokens", f"--{use}", text, "--length", "3", *names]
        outcome = invoke(*line, "-q")
    check_outcome(f"tokens, {use}", outcome)


USES = {
    "resume": ["train", "--resume", "--out", "fuzzed", "--batches", "7", "-q"],
    "accept": ["train", "--resume", "--out", "fuzzed", "--batches", "7", "--accept-changes", "-q"],
    "report": ["report", "fuzzed", "-q"],
    "valid": ["valid", "fuzzed", "text.txt", "--val", ".1", "-q"],
    "info": ["info", "fuzzed/net.state", "-q"],
    "runs": ["runs", "fuzzed", "-q"],
    "compare": ["report", "fuzzed", "fuzzed", "--out", "fuzzed/page.html", "-q"],
}


@contextmanager
def fuzzed_run(name: str) -> Iterator[Path]:
    """A copy of a run to be changed: the folder `fuzzed` of the working directory."""
    with chdir(trained()):
        shutil.rmtree("fuzzed", ignore_errors=True)
        shutil.copytree(name, "fuzzed")
        yield Path("fuzzed")


@cases(
    0.06,
    "states",
    st.sampled_from(["backup", "rich"]),
    CHANGES,
    st.sampled_from(sorted(USES)),
    st.booleans(),
)
def test_any_state_is_read_or_one_line(
    run: str, changes: list[tuple[str, int, Any]], use: str, compressed: bool
) -> None:
    with fuzzed_run(run) as folder:
        facts, arrays = read_state(folder / "net.state")
        for change in changes:
            if isinstance(facts.get("plan"), dict) and isinstance(facts.get("progress"), dict):
                change_state(facts, arrays, change)
        write_state(folder / "net.state", facts, arrays, compressed)
        outcome = invoke(*USES[use])
    check_outcome(f"{use} with a state", outcome)


CELLS = st.sampled_from(
    [
        *(b"1", b"2", b"5", b"0", b"-1", b"1\x1d", b"9" * 5000, b"1e999", b"1e38", b"nan", b"-inf"),
        *(b"", b" 3", b"1_0", b"0x1", b"\xff", b"\xd9\xa3", b"\0", b"1.5", b"1e17", b'"', b"x"),
    ]
)
JSON_VALUES = st.sampled_from(
    [
        *(b"1", b"-1", b"1.5", b"1e999", b"9" * 5000, b"1" + b"0" * 400, b"NaN", b"-Infinity"),
        *(b"null", b"true", b'"a"', b'"\\ud800"', b'"\\u0000"', b"{}", b"[]", b"[" * 100_000),
    ]
)
ROWS = st.lists(CELLS, max_size=9).map(b",".join)
SAMPLES = st.builds(
    lambda *values: b'{"batch": %b, "val": %b, "text": %b}' % values,
    *(JSON_VALUES, JSON_VALUES, JSON_VALUES),
)


@cases(
    0.04,
    "journals",
    st.sampled_from([".csv", ".samples"]),
    st.lists(st.one_of(ROWS, SAMPLES, JSON_VALUES, st.binary(max_size=9)), min_size=1, max_size=4),
    st.floats(0, 1),
    st.sampled_from(["resume", "report", "compare"]),
)
def test_odd_lines_of_a_journal_are_left_out(
    suffix: str, odd: list[bytes], place: float, use: str
) -> None:
    with fuzzed_run("backup") as folder:
        path = folder / f"net{suffix}"
        lines = path.read_bytes().splitlines()
        at = round(place * len(lines))
        path.write_bytes(b"\n".join([*lines[:at], *odd, *lines[at:], b""]))
        outcome = invoke(*USES[use])
    check_outcome(f"{use} with odd lines", outcome)
    assert outcome.status == 0, outcome.stderr


HALF_WRITTEN = ("net.csv", "net.samples", "net.state", "net.cfg", "net.backup", "net_best.weights")


@cases(
    0.05,
    "half-written files",
    st.sampled_from(HALF_WRITTEN),
    st.one_of(st.floats(0, 1), DAMAGE),
    st.sampled_from(["resume", "report", "runs", "compare", "generate"]),
)
def test_a_run_with_a_half_written_file_goes_on_or_one_line(
    name: str, harm: float | list[Any], use: str
) -> None:
    """A number is the part of the file that is there."""
    with fuzzed_run("backup") as folder:
        path = folder / name
        whole = path.read_bytes()
        cut = whole[: int(harm * len(whole))] if isinstance(harm, float) else damaged(whole, harm)
        path.write_bytes(cut)
        outcome = invoke(*USES.get(use, ["generate", "fuzzed", "--length", "3", "-q"]))
    check_outcome(f"{use} with half of {name}", outcome)


LINKED = [f"net{suffix}" for suffix in (".cfg", ".csv", ".samples", ".state", ".backup", ".html")]
LINKED += ["net_best.weights", "net_final.weights", "net_2.weights", "net.png", "old-1"]
LINKED += [LOCK]
TARGETS = ("outside", "outside/file", "outside/new", "missing/new", "fuzzed", "/dev/null")
NEW_RUN = ["train", "net.cfg", "text.txt", "--out", "fuzzed", "--batches", "3", "--seed", "1", "-q"]


@posix
@cases(
    0.03,
    "links",
    st.dictionaries(st.sampled_from(LINKED), st.sampled_from(TARGETS), min_size=1, max_size=3),
    st.sampled_from(["new", "resume", "report", "info"]),
)
def test_links_in_a_run_let_nothing_be_written_elsewhere(links: dict[str, str], use: str) -> None:
    with fuzzed_run("backup") as folder:
        outside = Path("outside")
        shutil.rmtree(outside, ignore_errors=True)
        outside.mkdir()
        Path("outside/file").write_bytes(b"mine")
        for name, target in links.items():
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(Path(target).absolute())
        outcome = invoke(*(NEW_RUN if use == "new" else USES[use]))
        assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"file": b"mine"}
        assert not Path("missing").exists()
    check_outcome(f"{use} with links", outcome)


def twice(number: int) -> None:
    """A function to compile."""
    2 * number


@cache
def compiled_code() -> tuple[Path, bytes]:
    """A file of compiled code, and what it holds."""
    from numba.core import config

    from darknet_py.engine.compiled import jit

    folder = trained() / "compiled"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "CACHE_DIR", str(folder))
        patch.setattr(jit, "_chosen_folder", lambda: folder)  # It chooses once in a process.
        jit.Exported(twice).link()
    (file,) = folder.iterdir()
    return file, file.read_bytes()


@cases(0.02, "compiled code", DAMAGE)
def test_damaged_compiled_code_is_not_used(damage: list[Any]) -> None:
    jit = pytest.importorskip("darknet_py.engine.compiled.jit")
    from numba.core.registry import cpu_target

    file, whole = compiled_code()
    harmed = damaged(whole, damage)
    file.write_bytes(harmed)
    found = jit._Kept(twice)._read(file.parent, cpu_target.target_context)
    assert (found is not None) == (harmed == whole)


SIZES = st.integers(1, 6)
FLAG = st.integers(0, 1)
LAYERS = st.one_of(
    st.builds(
        "[rnn] output={} hidden={} activation=tanh batch_normalize={} shortcut={}".format,
        *(SIZES, SIZES, FLAG, FLAG),
    ),
    st.builds("[gru] output={} batch_normalize={} tanh={}".format, SIZES, FLAG, FLAG),
    st.builds(
        "[crnn] output={} hidden={} size={} pad=1 batch_normalize={}".format,
        SIZES,
        SIZES,
        st.sampled_from([1, 3]),
        FLAG,
    ),
    st.builds("[crnn] output_filters={} batch_normalize={}".format, SIZES, FLAG),
    st.builds("[lstm] output={} batch_normalize={}".format, SIZES, FLAG),
    st.builds("[connected] output={} activation=leaky batch_normalize={}".format, SIZES, FLAG),
    st.sampled_from(["[batchnorm]", "[dropout] probability=.4", "[activation] activation=elu"]),
)
OPTIONS = st.lists(
    st.sampled_from(
        [
            *("adam=1", "state=carry", "clip=.1", "clip_norm=.2", "delta_clip=.1", "momentum=.5"),
            *("subdivisions=2", "policy=random", "cooldown=.5", "decay=.1", "init=orthogonal"),
            "average=.3",
        ]
    ),
    unique=True,
)


@cases(
    0.08,
    "copies",
    st.lists(LAYERS, min_size=1, max_size=4),
    OPTIONS,
    st.sampled_from(sorted(DIALECTS)),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 3),
    st.sampled_from(sorted(COPIERS)),
)
def test_any_copy_trains_as_the_original_does(
    layers: list[str], options: list[str], dialect: str, dtype: Any, before: int, copier: str
) -> None:
    head = f"[net] inputs={SYMBOLS} batch=4 time_steps=3 learning_rate=.01 {' '.join(options)}"
    end = (f"[connected] output={SYMBOLS} activation=linear", "[softmax]")
    net = Network(parse_cfg(cfg_text(head, *layers, *end)), DIALECTS[dialect], dtype)
    net.initialize(Rand(2))
    with np.errstate(all="ignore"):
        train(net, range(before))
        net.predict(draw_symbols(net, 60)[0])
        twin = COPIERS[copier](net)
        check_tensors_are_views(twin)
        kept = bits(twin)
        assert kept == bits(net)
        assert repr(train(net, range(10, 13))) == repr(train(twin, range(10, 13)))
        assert bits(net) == bits(twin) != kept
        twin.parameters.fill(1)
        assert bits(net) != bits(twin)


@cases(
    0.01, "interrupted runs", st.lists(st.one_of(st.integers(1, 4), st.integers(5, 80)), max_size=4)
)
def test_runs_that_stop_and_fail_end_like_one_that_did_not(steps: list[int]) -> None:
    """Small numbers stop after so many batches, large ones let that write to the disk fail."""
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
