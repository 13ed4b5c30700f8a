"""What a run that ends no better than guessing is told about."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darknet_py import load_network
from darknet_py.cli.outcome import explain_outcome, explain_rise
from tests.support.commands import invoke
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, SYMBOLS, write_cfg
from tests.support.networks import randomized

pytestmark = pytest.mark.usefixtures("run_inputs")

BYTES = math.log(256)
CASES: list[tuple[str, dict[str, Any], str | None]] = [
    ("better", {"best_val": 5.0}, None),
    ("exactly guessing", {"best_val": BYTES}, None),
    ("better, and diverging since", {"best_val": 5.0, "avg": 40.0}, None),
    ("a rate of 0", {"top_rate": 0.0, "best_val": 5.6}, "learning rate was 0"),
    ("a rate of 0, few batches", {"top_rate": 0.0, "batches": 2}, "learning rate was 0"),
    ("healthy, two batches", {"batches": 2, "avg": 5.54}, "only 2 batches"),
    ("healthy, one batch", {"batches": 1, "avg": 5.56}, "only 1 batch;"),
    ("a little above, few batches", {"batches": 5, "avg": 5.9}, "only 5 batches"),
    ("still falling from bad weights", {"batches": 5, "first": 30.0, "avg": 25.0}, "only 5"),
    ("risen, few batches", {"batches": 5, "avg": 12.0}, "diverged"),
    ("risen", {"batches": 500, "avg": 7.0}, "diverged"),
    ("high from the start", {"first": 9.0, "avg": 9.0}, "loss is 9.00: train longer, or try"),
    ("high, the start unknown", {"first": None, "avg": 9.0, "batches": 5}, "only 5"),
    ("random bytes", {"avg": 5.5}, "nothing to learn"),
    ("memorized", {"avg": 2.0}, "memorized the training text"),
    ("not in nats", {"first": None, "avg": None}, "guessing (5.55)"),
]


@pytest.mark.parametrize(("changes", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_only_what_the_losses_show_is_claimed(
    changes: dict[str, Any], expected: str | None
) -> None:
    facts = {
        "batches": 200,
        "top_rate": 0.01,
        "first": 5.55,
        "avg": 5.5,
        "best_val": 5.7,
        "symbols": 256,
        **changes,
    }
    said = explain_outcome(**facts)
    if expected is None:
        assert said is None
        return
    assert said is not None
    assert expected in said
    assert "worse than guessing (5.55)" in said
    assert ("diverged" in said) == (expected == "diverged")
    assert "\n" not in said


def test_a_hair_above_guessing_is_not_called_worse() -> None:
    said = explain_outcome(2, 0.01, 5.55, 5.55, BYTES + 0.001, 256)
    assert said is not None
    assert said.startswith("that is no better than guessing (5.55): ")


# --- through the command


def said_after(*args: str, text: str = "text.txt") -> str:
    outcome = invoke("train", "net.cfg", text, "--seed", "1", *args)
    assert outcome.status == 0, outcome.stderr
    return outcome.stderr


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_healthy_batches_are_not_called_a_divergence(batches: int) -> None:
    said = said_after("--batches", str(batches), "--set", "learning_rate=.0001")
    assert "diverged" not in said
    assert "guessing" not in said or "train longer" in said


def test_a_learning_rate_of_0_is_named() -> None:
    randomized(load_network("net.cfg")).save_weights("bad.weights")
    said = said_after("--batches", "3", "--set", "learning_rate=0", "--weights", "bad.weights")
    assert "diverged" not in said
    assert "learning rate was 0" in said


def test_random_bytes_are_not_called_a_divergence() -> None:
    noise = np.random.default_rng(1).integers(1, 256, 20_000).astype(np.uint8)
    Path("noise").write_bytes(noise.tobytes())
    said = said_after("--batches", "150", text="noise")
    assert "diverged" not in said
    assert "there is nothing to learn" in said


def test_a_loss_that_rose_is_called_a_divergence() -> None:
    assert "diverged" in said_after("--batches", "20", "--set", "learning_rate=50")


def test_a_held_out_text_in_other_letters_is_named() -> None:
    Path("other.txt").write_bytes(bytes(range(128, 256)) * 8)
    said = said_after("--batches", "150", "--val", "other.txt")
    assert "diverged" not in said
    assert "the held-out text differs from the training text" in said


def test_losses_that_are_not_in_nats_are_not_compared() -> None:
    write_cfg(Path("net.cfg"), NET, RNN, "[connected] output=256 activation=linear", "[cost]")
    said = said_after("--batches", "120")
    assert "training loss" not in said
    write_cfg(Path("net.cfg"), NET.replace("adam=1", ""), RNN,
              "[connected] output=256 activation=linear", SOFTMAX, "[cost]")  # fmt: skip
    args = ("--batches", "120", "--set", "learning_rate=0.0001", "--gradient", "darknet-cpu")
    assert "training loss" not in said_after(*args)


def test_a_loss_beyond_all_numbers_of_likely_bytes_is_told() -> None:
    write_cfg(Path("net.cfg"), NET, RNN, CONNECTED, SOFTMAX)
    net = randomized(load_network("net.cfg"))
    net.parameters[:] *= 1e5
    net.save_weights("net.weights")
    outcome = invoke(
        *("train", "net.cfg", "text.txt", "--weights", "net.weights", "--clear", "--batches", "1"),
        *("--set", "learning_rate=1e-9", "--val", ".3", "--threads", "1"),
    )
    assert outcome.status == 0, outcome.stderr
    best = next(line for line in outcome.stderr.splitlines() if line.startswith("best: "))
    assert float(best.split(" nats")[0].split()[-1]) > 710
    assert best.endswith(" held out")
    assert "worse than guessing" in outcome.stderr


# --- memorizing


@pytest.mark.parametrize(
    ("best_val", "risen", "avg", "is_said"),
    [
        (1.7, 0.3, 0.5, True),
        (1.7, 0.3, 1.8, False),
        (1.7, 0.01, 0.5, False),
        (1.7, 0.0, 0.5, False),
        (1.7, math.nan, 0.5, False),
        (1.7, 0.3, math.nan, False),
        (1.7, math.inf, 0.5, True),
    ],
)
def test_learning_by_heart_is_told_where_the_held_out_loss_alone_rises(
    best_val: float, risen: float, avg: float, is_said: bool
) -> None:
    said = explain_rise(best_val, risen, avg, 600, 2000)
    assert (said is not None) == is_said
    if said is not None:
        assert "batch 600 of 2,000" in said


def test_a_run_that_learns_by_heart_says_so() -> None:
    rng = np.random.default_rng(1)
    Path("noise.txt").write_bytes(rng.integers(97, 123, 900, np.uint8).tobytes())
    write_cfg(Path("my.cfg"), NET, "[gru] output=48", CONNECTED, SOFTMAX)
    args = ("--batches", "900", "--seed", "1", "--val", ".3", "--val-every", "20")
    said = invoke("train", "my.cfg", "noise.txt", *args).stderr
    found = re.search(r"best at batch (\d+) of 900, held-out loss up", said)
    assert found, said
    assert load_network("backup").seen == SYMBOLS * int(found[1])
