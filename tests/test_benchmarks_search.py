"""The search for recipes: candidates in words, runs that go on where they stopped, and the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import search_recipes
from benchmarks.search_recipes import (
    PAGE,
    RECIPES,
    candidate_of,
    cfg_of,
    page,
    peers_table,
    recipe_itself,
    recipe_table,
    shortened,
    words_of,
)
from darknet_py.cfg import Cfg, bundled_cfgs, read_cfg


def values(cfg: Cfg) -> list[tuple[str, dict[str, str]]]:
    """What stands in a cfg but its time, however its numbers are written."""
    found = []
    for section in cfg.sections:
        values = {key: shortened(option.value) for key, option in section.options.items()}
        values.pop("max_time", None)
        found.append((section.name, values))
    return found


@pytest.mark.parametrize("recipe", RECIPES)
def test_without_words_a_candidate_is_the_recipe(recipe: str) -> None:
    assert values(cfg_of(recipe_itself(recipe))) == values(read_cfg(bundled_cfgs()[recipe]))
    assert words_of(recipe, candidate_of(recipe, "")) == ""


def test_words_of_a_candidate_are_short_and_mean_that_candidate() -> None:
    candidate = candidate_of("tiny", "burn_in= rnn:1x8:.1 clip_norm=0.125 learning_rate=0.004")
    words = words_of("tiny", candidate)
    assert words == "rnn:1x8:.1 learning_rate=.004 burn_in= clip_norm=.125"
    assert candidate_of("tiny", words) == candidate
    assert "burn_in" not in cfg_of(candidate).net.options


def test_a_search_trains_what_has_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, readme = tmp_path / "tiny.jsonl", tmp_path / "README.md"
    readme.write_text("By hand.\n")
    monkeypatch.setattr(search_recipes, "PAGE", readme)
    monkeypatch.setattr(search_recipes, "UPDATES", 4)
    monkeypatch.setattr(search_recipes, "FOLDER", tmp_path)
    text = tmp_path / "text.txt"
    text.write_text("one two three four five six seven\n" * 60)
    candidates = [f"rnn:1x{width} batch=4 time_steps=5" for width in (4, 8)]
    command = ["search", "tiny", str(text), "--results", str(results), "--at-once", "1"]
    command += ["--bytes", "8000"]

    def search(*words: str) -> list[tuple[str, int]]:
        monkeypatch.setattr(sys, "argv", [*command, *words])
        search_recipes.main()
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        assert all(row["loss"] < 6 and row["bytes"] % 20 == 0 < row["bytes"] for row in rows)
        return [(words_of("tiny", row["candidate"]), row["seed"]) for row in rows]

    first = [(candidate, 1) for candidate in candidates]
    assert search(*candidates) == first
    assert search(*candidates[:1], "--seeds", "1", "2") == [*first, (candidates[0], 2)]
    assert readme.read_text().startswith("By hand.\n")
    assert "| rnn:1x8 batch=4 time_steps=5 |" in readme.read_text()


def test_a_table_has_the_best_mean_first() -> None:
    rows = [
        {
            "candidate": candidate_of("tiny", words),
            "seed": seed,
            "loss": loss,
            "parameters": 1,
            "bytes": 2,
        }
        for words, seed, loss in (("", 1, 1.5), ("rnn:2x64", 2, 1.4), ("rnn:2x64", 1, 1.5))
    ]
    assert recipe_table("tiny", rows).splitlines()[2:] == [
        "| rnn:2x64 | 1.4500 | 1.5000, 1.4000 | 1 | 2 |",
        "| as it is | 1.5000 | 1.5000 | 1 | 2 |",
    ]


def test_a_table_of_other_networks_has_the_best_rate_first() -> None:
    rows = [
        {"kind": "gru", "width": 512, "rate": rate, "loss": loss, "parameters": 1, "bytes": 2000}
        for rate, loss in ((0.002, 1.6), (0.004, 1.5), (0.008, 1.7))
    ]
    row = "| GRU of 512 | 1.5000 (0.004) | 1.6000 (0.002), 1.7000 (0.008) | 1 | 2,000 |"
    assert peers_table(rows).splitlines()[2:] == [row]


def test_the_page_has_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
