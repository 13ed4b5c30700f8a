"""The search of the recipes says in words where a candidate is not like the recipe."""

from __future__ import annotations

import pytest

from darknet_py.cfg import Cfg, bundled_cfgs, parse_cfg, read_cfg
from tools.make_docs import DOCS
from tools.recipe_tables import peers_table, recipe_table, tried_page
from tools.search_recipes import (
    CANDIDATES,
    alike,
    candidate_of,
    cfg_of,
    recipe_itself,
    shortened,
    words_of,
)


def values(cfg: Cfg) -> list[tuple[str, dict[str, str]]]:
    """What stands in a cfg, however its numbers are written."""
    return [
        (section.name, {key: shortened(option.value) for key, option in section.options.items()})
        for section in cfg.sections
    ]


@pytest.mark.parametrize("recipe", CANDIDATES)
def test_without_words_a_candidate_is_the_recipe(recipe: str) -> None:
    itself = cfg_of(recipe_itself(recipe))
    assert values(parse_cfg(itself)) == values(read_cfg(bundled_cfgs()[recipe]))
    assert words_of(recipe, candidate_of(recipe, "")) == ""


@pytest.mark.parametrize("recipe", CANDIDATES)
def test_words_of_a_candidate_mean_that_candidate(recipe: str) -> None:
    for words in (*CANDIDATES[recipe], "clip_norm= learning_rate=0.5 rnn:1x8:.1"):
        candidate = candidate_of(recipe, words)
        assert candidate_of(recipe, words_of(recipe, candidate)) == candidate


def test_words_are_short_and_in_the_order_of_the_recipe() -> None:
    assert words_of("tiny", candidate_of("tiny", "gru:2x64")) == "gru:2x64"
    candidate = candidate_of("tiny", "burn_in= rnn:1x8:.1 clip_norm=0.125 learning_rate=0.004")
    assert words_of("tiny", candidate) == "rnn:1x8:.1 learning_rate=.004 burn_in= clip_norm=.125"
    assert "burn_in" not in cfg_of(candidate)


def test_a_rate_changes_nothing_in_the_time_of_an_update() -> None:
    words = ["", "learning_rate=.5", "batch=8", "rnn:1x8", "batch=8 clip_norm=2"]
    candidates = {own: candidate_of("tiny", own) for own in words}
    assert alike(candidates) == [words[:2], ["batch=8", "batch=8 clip_norm=2"], ["rnn:1x8"]]


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


def test_the_page_of_what_was_tried_is_made_of_the_results() -> None:
    page = (DOCS / "recipes-tried.md").read_text(encoding="utf-8")
    assert page == tried_page(), "make docs"
