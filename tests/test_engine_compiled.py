"""The compiled engine's product, functions and team of threads."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darknet_py.activations import ACTIVATIONS
from darknet_py.arrays import aligned
from darknet_py.engine import choose
from darknet_py.engine.compiled import functions, product, records, team
from darknet_py.engine.compiled.jit import Rows, compiled
from darknet_py.engine.compiled.product import Sizes
from darknet_py.engine.compiled.team import TEAM
from darknet_py.engine.compiled.threads import THREAD, share
from darknet_py.engine.compiled.vectors import PASS
from darknet_py.inference.generation import generate
from tests.support.networks import draw_symbols, make_network

Array = NDArray[Any]
# Sizes around those of tiles and panels, and some within and far beyond.
SIZES = sorted(
    {
        1,
        2,
        3,
        4,
        5,
        7,
        product.ROWS,
        product.PANEL - 1,
        product.PANEL,
        product.PANEL + 1,
        50,
        97,
        130,
    }
)


@compiled
def multiply_(a: Rows, packed: Rows, c: Rows, sizes: Sizes, keep: int, spare: int) -> None:
    product.multiply(a, packed, c, sizes, keep, spare)


@compiled
def gradient(d: Rows, x: Rows, sizes: Sizes, g: int, scratch: int, me: int) -> None:
    product.gradient(d, x, sizes, g, scratch, me)


@compiled
def pack(w: Rows, depth: int, columns: int, out: Rows) -> None:
    product.pack(w, depth, 0, columns, out)


@compiled
def pack_transposed(w: Rows, depth: int, columns: int, out: Rows) -> None:
    product.pack_transposed(w, depth, 0, columns, out.at)


@pytest.fixture(autouse=True, scope="module")
def engine() -> None:
    TEAM.compile()


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def address(array: Array) -> int:
    return array.ctypes.data


def rows_of(array: Array) -> Rows:
    return Rows(address(array), array.strides[0] // 4)


def multiply(a: Array, packed: Array, columns: int, c: Array, keep: int) -> None:
    spare = aligned(product.ROWS * product.PANEL)
    rows, depth = a.shape
    panels = Rows(address(packed), depth * product.PANEL)
    multiply_(rows_of(a), panels, rows_of(c), Sizes(rows, depth, columns), keep, address(spare))


@pytest.mark.parametrize("case", range(40))
def test_products_are_numpys(case: int) -> None:
    rng = np.random.default_rng(case)
    rows, depth, columns = (int(rng.choice(SIZES)) for _ in range(3))
    keep = case % 2
    a = draw(rng, rows, depth + 3)[:, :depth]
    weights = draw(rng, columns, depth)
    packed = aligned(product.packed_floats(depth, columns))
    packed.fill(np.nan)
    wide = np.ones((rows, columns + 5), np.float32)
    panels = Rows(address(packed), depth * product.PANEL)
    if case % 4 < 2:
        pack_transposed(rows_of(weights), depth, columns, panels)
    else:
        transposed = weights.T.copy()
        pack(rows_of(transposed), depth, columns, panels)
    multiply(a, packed, columns, wide[:, :columns], keep)
    expected = a.astype(np.float64) @ weights.T.astype(np.float64) + keep
    np.testing.assert_allclose(wide[:, :columns], expected, rtol=0, atol=3e-6 * depth)
    assert (wide[:, columns:] == 1).all()


@pytest.mark.parametrize("case", range(25))
def test_gradients_are_numpys(case: int) -> None:
    rng = np.random.default_rng(case)
    outputs, inputs = (int(rng.choice(SIZES)) for _ in range(2))
    rows = int(rng.choice([1, 7, product.DEPTH, product.DEPTH + 1, 3 * product.DEPTH + 5]))
    d = draw(rng, rows, outputs + 2)[:, :outputs]
    x = draw(rng, rows, inputs + 1)[:, :inputs]
    g = np.ones((outputs, inputs), np.float32)
    scratch = aligned(product.gradient_floats(outputs, inputs))
    spare = aligned(product.ROWS * product.PANEL)
    counters = aligned(32, np.int64)
    me = np.array([(0, 1, address(counters), address(spare))], THREAD)
    sizes = Sizes(outputs, rows, inputs)
    gradient(rows_of(d), rows_of(x), sizes, address(g), address(scratch), address(me))
    expected = 1 + d.T.astype(np.float64) @ x.astype(np.float64)
    np.testing.assert_allclose(g, expected, rtol=0, atol=3e-6 * max(8, rows))


def test_a_number_that_is_not_finite_stays_in_its_row() -> None:
    a = np.ones((3, 20), np.float32)
    a[1, 7] = np.inf
    weights = np.ones((33, 20), np.float32)
    packed = aligned(product.packed_floats(20, 33))
    pack_transposed(rows_of(weights), 20, 33, Rows(address(packed), 20 * product.PANEL))
    c = np.zeros((3, 33), np.float32)
    multiply(a, packed, 33, c, 0)
    assert (c[[0, 2]] == 20).all()
    assert np.isposinf(c[1]).all()


@pytest.mark.parametrize("columns", [1, 16, 100, 128, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_shares_are_whole_panels_and_all_columns(columns: int, threads: int) -> None:
    ranks = np.array([(rank, threads, 0, 0) for rank in range(threads)], THREAD)
    shares = [share(columns, product.PANEL, address(me)) for me in np.split(ranks, threads)]
    assert shares[0][0] == 0
    assert shares[-1][1] == columns
    for (_, end), (first, _) in itertools.pairwise(shares):
        assert end == first or first >= columns
        assert first % product.PANEL == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_functions_are_those_of_activations(name: str) -> None:
    rng = np.random.default_rng(4)
    special = [0, 1, -1, 4, -4, 0.5, 3, 2, 90, -90, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan]
    x = np.concatenate([3 * draw(rng, 2000), 0.01 * draw(rng, 500), special]).astype(np.float32)
    kind, below = functions.CODES[name]
    with np.errstate(over="ignore", invalid="ignore"):
        y, expected = x.copy(), x.astype(np.float64)
        functions.activate(y, kind, np.float32(below))
        ACTIVATIONS[name].apply(expected)
        wanted = expected.astype(np.float32)
        known = np.abs(x) < 80
        np.testing.assert_allclose(y[known], wanted[known], rtol=3e-7, atol=2e-7)
        np.testing.assert_allclose(y[-3:], wanted[-3:], rtol=1e-6, atol=1e-6)
        # The slope, of the output.
        values = wanted[known]
        slope = np.ones_like(values)
        if (of := ACTIVATIONS[name].slope) is not None:
            of(values, slope)
        d = np.full_like(values, 2)
        functions.times_slope(d, values, kind, np.float32(below))
        np.testing.assert_allclose(d, 2 * slope, rtol=1e-6, atol=1e-7)


def soft(threads: int, rows: int = 1001) -> bytes:
    """A job of the team: softmax of some rows, all the bytes that come out."""
    x = draw(np.random.default_rng(1), rows, 37)
    p, logarithms = np.empty_like(x), np.empty(rows, np.float32)
    job = np.zeros(1, PASS)
    job["code"], job["count"], job["width"] = records.SOFTMAX, rows, 37
    job["first"], job["second"], job["third"] = map(address, (x, p, logarithms))
    job["numbers"][0, 0] = 1
    TEAM.run(job, threads)
    return p.tobytes() + logarithms.tobytes()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    expected = soft(1)
    for threads in (2, 3, 1, 4, 2, 2):
        assert soft(threads) == expected


def test_threads_that_sleep_are_woken() -> None:
    expected = soft(1)
    for _ in range(3):
        assert soft(3) == expected
        posts = TEAM._posts
        while not posts[team._ASLEEP // 8 + 16 :: 16][: TEAM.size - 1].all():
            os.sched_yield() if hasattr(os, "sched_yield") else None


def test_several_python_threads_may_use_the_team() -> None:
    expected = soft(1)
    found: list[bytes] = []

    def use() -> None:
        found.extend(soft(2) for _ in range(20))

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert found == [expected] * 60


def test_a_team_that_was_stopped_starts_again() -> None:
    expected = soft(2)
    TEAM.stop()
    assert TEAM.size == 1
    assert soft(2) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_begins_without_threads() -> None:
    expected = soft(2)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if TEAM.size == 1 and soft(2) == expected else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert soft(2) == expected


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_a_program_with_a_team_ends(end: str) -> None:
    program = (
        f"from tests.test_engine_compiled import soft\nsoft(2)\nprint('done', flush=True)\n{end}"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "done\n"
    assert ended.returncode == (3 if "3" in end else ended.returncode)
    assert (ended.returncode == 0) == (end == "pass")


def trained_and_written() -> str:
    """A digest of networks of several kinds, trained and running freely, compiled."""
    digest = hashlib.sha256()
    for layer in ("rnn", "rnn batch_normalize=1 activation=leaky", "gru", "lstm"):
        kind, _, options = layer.partition(" ")
        net = make_network(
            "[net] inputs=256 batch=12 time_steps=9 learning_rate=.1 adam=1",
            f"[{kind}] output=24 {options}",
            "[connected] output=256 activation=linear",
            "[softmax]",
            dtype=np.float32,
            tier=choose("compiled"),
        )
        inputs, targets = draw_symbols(net)
        for _ in range(3):
            loss = net.train_batch(inputs, targets)
            digest.update(np.float64(loss).tobytes())
        digest.update(net.parameters.tobytes())
        digest.update(bytes(generate(net, seed=1, length=200)))
    return digest.hexdigest()


# Threads fall asleep at once in what this compiles. A thread that missed a job would wait forever.
SLEEPY = """
import faulthandler
import numpy as np
from darknet_py.engine import choose
from darknet_py.engine.compiled import jit, team
from tests.support.networks import make_network
from tests.test_engine_compiled import trained_and_written

team.IDLE = team.SPINS = 0
faulthandler.dump_traceback_later(3000, exit=True)
print(trained_and_written(), *{each.compiled.cache_hits for each in jit._EXPORTS.values()})
sections = ("[net] inputs=16 batch=2 time_steps=2", "[rnn] output=8", "[connected] output=16")
net = make_network(*sections, "[softmax]", dtype=np.float32, tier=choose("compiled"))
team.TEAM.threads = 2
symbols = np.ones((2, 2), np.int64)
for _ in range(100):
    net.train_batch(symbols, symbols)
print(net.batch_number)
"""


def test_just_compiled_and_read_from_disk_have_the_same_bits_and_miss_no_job(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", SLEEPY],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    )
    assert (first[1], second[1]) == ("0", "1")
    assert first[0] == second[0]
    assert first[2] == second[2] == "100"
