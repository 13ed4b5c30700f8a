"""The generator against the C library, and against its recurrence written out plainly."""

import copy
import ctypes
import math
import pickle
import platform

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from darknet_py import rand as rand_module
from darknet_py.rand import Rand

SEEDS = st.integers(0, 2**32 - 1)
EDGE_SEEDS = [0, 1, 2, 42, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1]

# Small counts stay within the prepared draws, large ones leave them.
COUNTS = st.one_of(st.integers(0, 80), st.integers(0, 9000))
OPERATIONS = st.lists(st.tuples(st.sampled_from(["rand", "draws"]), COUNTS), max_size=8)

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="compares with glibc's rand(), and this is not glibc"
)


def reference(seed: int, count: int) -> list[int]:
    """The first ``count`` draws, one word at a time; 0 <= seed < 2**32."""
    word = seed - 2**32 if seed >= 2**31 else seed
    if word == 0:
        word = 1
    r = [word]
    for _ in range(30):
        # C's division truncates toward zero, and the remainder has the dividend's sign.
        sign = -1 if word < 0 else 1
        hi = sign * (abs(word) // 127773)
        lo = sign * (abs(word) % 127773)
        word = 16807 * lo - 2836 * hi
        if word < 0:
            word += 2147483647
        r.append(word)
    r += r[:3]
    for i in range(34, 34 + 310 + count):
        r.append((r[i - 3] + r[i - 31]) % 2**32)
    return [word >> 1 for word in r[34 + 310 :]]


def c_library(seed: int, count: int) -> list[int]:
    """The first ``count`` results of the C library's own ``rand()`` after ``srand(seed)``."""
    libc = ctypes.CDLL(None)
    libc.srand.argtypes = [ctypes.c_uint]
    libc.srand.restype = None
    libc.rand.argtypes = []
    libc.rand.restype = ctypes.c_int
    libc.srand(seed)
    return [libc.rand() for _ in range(count)]


def test_first_draws_of_seed_42() -> None:
    generator = Rand(42)
    assert [generator.rand(), generator.rand()] == [71876166, 708592740]
    assert generator.seed == 42
    assert generator.drawn == 2


@needs_glibc
@pytest.mark.parametrize("seed", EDGE_SEEDS)
def test_matches_the_c_library_for_edge_seeds(seed: int) -> None:
    expected = c_library(seed, 1000)
    generator = Rand(seed)
    assert [generator.rand() for _ in range(1000)] == expected
    assert Rand(seed).draws(1000).tolist() == expected


@needs_glibc
@settings(deadline=None)
@given(seed=SEEDS)
def test_matches_the_c_library(seed: int) -> None:
    assert Rand(seed).draws(400).tolist() == c_library(seed, 400)


@pytest.mark.parametrize("seed", EDGE_SEEDS)
def test_matches_the_reference_for_edge_seeds(seed: int) -> None:
    assert Rand(seed).draws(1000).tolist() == reference(seed, 1000)


@settings(deadline=None)
@given(seed=SEEDS, operations=OPERATIONS)
@example(seed=42, operations=[("rand", 1), ("draws", 63), ("rand", 1), ("draws", 127)])
@example(seed=42, operations=[("rand", 1), ("draws", 64), ("draws", 65), ("rand", 1)])
def test_any_mixture_continues_the_same_sequence(
    seed: int, operations: list[tuple[str, int]]
) -> None:
    expected = reference(seed, sum(count for _, count in operations) + 1)
    generator = Rand(seed)
    drawn = 0
    for operation, count in operations:
        following = expected[drawn : drawn + count]
        if operation == "rand":
            assert [generator.rand() for _ in range(count)] == following
        else:
            assert generator.draws(count).tolist() == following
        drawn += count
        assert generator.drawn == drawn
    assert Rand(seed, drawn).rand() == expected[drawn]
    assert generator.rand() == expected[drawn]


@pytest.mark.parametrize("before", [0, 10])
def test_bulk_draws(before: int) -> None:
    count = 300_000
    expected = reference(7, before + count + 1)
    generator = Rand(7)
    for _ in range(before):
        generator.rand()
    draws = generator.draws(count)
    assert draws.dtype == np.uint32
    assert draws.shape == (count,)
    np.testing.assert_array_equal(draws, expected[before:-1])
    assert generator.drawn == before + count
    assert generator.rand() == expected[-1]


def test_many_scalar_draws() -> None:
    generator = Rand(7)
    assert [generator.rand() for _ in range(20_000)] == reference(7, 20_000)


@settings(deadline=None)
@given(seed=SEEDS, drawn=st.integers(0, 20_000))
def test_resuming_equals_drawing(seed: int, drawn: int) -> None:
    original = Rand(seed)
    original.draws(drawn)
    resumed = Rand(original.seed, original.drawn)
    assert resumed.drawn == drawn
    assert [resumed.rand() for _ in range(100)] == [original.rand() for _ in range(100)]


@settings(deadline=None)
@given(seed=SEEDS, first=st.integers(0, 10**12), second=st.integers(0, 10**12))
def test_far_jumps_add_up(seed: int, first: int, second: int) -> None:
    state = np.array(Rand(seed).draws(31))
    in_two = rand_module._advanced(rand_module._advanced(state, first), second)
    np.testing.assert_array_equal(in_two, rand_module._advanced(state, first + second))


@given(seed=st.integers())
def test_seed_is_taken_modulo_2_to_the_32(seed: int) -> None:
    generator = Rand(seed)
    assert generator.seed == seed % 2**32
    assert generator.rand() == Rand(seed % 2**32).rand()


@settings(deadline=None)
@given(
    seed=SEEDS,
    low=st.floats(-1e6, 1e6),
    high=st.floats(-1e6, 1e6),
    count=st.integers(0, 200),
)
@example(seed=42, low=2.0, high=-1.0, count=5)
def test_uniform_rounds_every_operation(seed: int, low: float, high: float, count: int) -> None:
    least, most = np.float32(min(low, high)), np.float32(max(low, high))
    expected = [
        np.float32(draw) / np.float32(2147483647) * (most - least) + least
        for draw in reference(seed, count)
    ]
    generator = Rand(seed)
    values = generator.uniform(low, high, count)
    assert values.dtype == np.float32
    assert values.shape == (count,)
    np.testing.assert_array_equal(values, np.array(expected, np.float32))
    assert generator.drawn == count


def normals(seed: int, count: int) -> tuple[list[float], int]:
    """darknet's `rand_normal()`, a number at a time, and how many draws it took."""
    rand, found = Rand(seed), list[float]()
    while len(found) < count:
        u, v = (rand.rand() / (2**31 - 1) for _ in range(2))
        reach = math.sqrt(-2 * math.log(max(u, 1e-100)))
        found += [reach * math.cos(v * 2 * math.pi), reach * math.sin(v * 2 * math.pi)]
    return found[:count], rand.drawn


@settings(deadline=None)
@given(seed=SEEDS, counts=st.lists(st.integers(0, 60), max_size=8))
def test_normal_keeps_the_second_of_a_pair(seed: int, counts: list[int]) -> None:
    rand = Rand(seed)
    found = [float(x) for count in counts for x in rand.normal(count)]
    expected, drawn = normals(seed, sum(counts))
    assert found == [float(np.float32(x)) for x in expected]
    assert rand.drawn == drawn


def test_normal_to_the_last_bit() -> None:
    """Where numpy's own functions round otherwise than those of C, they are asked."""
    found = Rand(7).normal(300_001)
    expected = np.array(normals(7, 300_001)[0]).astype(np.float32)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    assert abs(found.mean()) < 0.01
    assert abs(found.std() - 1) < 0.01


def test_normal_asks_the_c_library_where_numpy_may_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a doubt so large that it is asked each time; and with numpy off in a last bit."""
    expected = Rand(3).normal(500)
    cos = np.cos
    monkeypatch.setattr(np, "cos", lambda x: np.nextafter(cos(x), 2))
    np.testing.assert_array_equal(Rand(3).normal(500), expected)
    monkeypatch.setattr(rand_module, "_DOUBT", 1.0)
    monkeypatch.setattr(np, "cos", lambda x: 0 * x + 0.5)
    np.testing.assert_array_equal(Rand(3).normal(500), expected)


def test_a_copy_keeps_the_second_of_a_pair_too() -> None:
    rand = Rand(5)
    rand.normal(3)
    for other in (copy.copy(rand), copy.deepcopy(rand), pickle.loads(pickle.dumps(rand))):
        twin = copy.copy(rand)
        np.testing.assert_array_equal(other.normal(4), twin.normal(4))
        assert other.rand() == twin.rand()


def test_what_is_left_waits_while_others_are_drawn() -> None:
    """As in C: for the next normal number."""
    one, other = Rand(5), Rand(5)
    expected = other.normal(2)
    assert one.normal(1)[0] == expected[0]
    assert one.uniform(0, 1, 1)[0] == other.uniform(0, 1, 1)[0]
    assert one.normal(1)[0] == expected[1]
    assert one.rand() == other.rand()


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="drawn"):
        Rand(1, -1)
    generator = Rand(1)
    with pytest.raises(ValueError, match="count"):
        generator.draws(-1)
    with pytest.raises(ValueError, match="count"):
        generator.uniform(0.0, 1.0, -1)
    assert generator.drawn == 0
