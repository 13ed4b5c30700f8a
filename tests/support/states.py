"""Changes of a run's state, for fuzzing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import strategies as st

# Values that no fact has, and some that one may have.
ODD = st.one_of(
    st.sampled_from([None, True, "", "x", "a\0b", "\ud800", "text.txt", "/dev/zero", [], [[]], {}]),
    st.sampled_from([-1, 0, 1, 7, 1 << 62, 1 << 63, 10**400, 0.5, -0.0, 1e38, 1e300]),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), [1], [-1, None], {"a": 1}]),
    st.text(max_size=4),
)
# What an array can be instead: of another type, of other axes, with other values.
ARRAYS: dict[str, Callable[[Any], Any]] = {
    "double": lambda array: array.astype(np.float64),
    "turned": lambda array: array.astype(array.dtype.newbyteorder()),
    "one": lambda array: array[:1],
    "longer": lambda array: np.append(array, array),
    "none": lambda array: array[:0],
    "point": lambda array: array.reshape(-1)[0],
    "deep": lambda array: array[None],
    "column": lambda array: np.asfortranarray(array[..., None]),
    "text": lambda array: np.array("x"),
    "objects": lambda array: np.array([None]),
    "bytes": lambda array: np.full(array.shape, 2, np.uint8).view(bool),
    "negative": lambda array: np.full_like(array, -9),
    "large": lambda array: np.full_like(array, np.iinfo(np.int64).max),
    "NaN": lambda array: np.full(array.shape, np.nan).astype(array.dtype),
}
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("fact"), st.integers(0, 99), ODD),
        st.tuples(st.just("fact"), st.integers(0, 99), ODD),
        st.tuples(st.sampled_from(["no fact", "more facts"]), st.integers(0, 99), ODD),
        st.tuples(st.sampled_from(sorted(ARRAYS)), st.integers(0, 99), st.none()),
        st.tuples(st.sampled_from(["no array", "more arrays"]), st.integers(0, 99), st.none()),
    ),
    min_size=1,
    max_size=2,
)


def change_state(
    facts: dict[str, Any], arrays: dict[str, Any], change: tuple[str, int, Any]
) -> None:
    """Change one thing in the facts or arrays of a state. change: what, where, to what."""
    what, number, value = change
    groups = (facts, facts["plan"], facts["progress"], facts["progress"].get("validation"))
    places = [(group, name) for group in groups if isinstance(group, dict) for name in group]
    group, name = places[number % len(places)]
    array = sorted(arrays)[number % len(arrays)]
    match what:
        case "fact":
            group[name] = value
        case "no fact":
            del group[name]
        case "more facts":
            group[str(value)] = value
        case "no array":
            del arrays[array]
        case "more arrays":
            arrays[f"{array}.1"] = arrays[array]
        case _:
            with suppress(IndexError, ValueError):  # Not everything can become anything.
                arrays[array] = ARRAYS[what](arrays[array])
