"""The search of the recipes says in words where a candidate is not like the recipe."""

from __future__ import annotations

import pytest

from darknet_py.cfg import Cfg, bundled_cfgs, parse_cfg, read_cfg
from tools.search_recipes import CANDIDATES, candidate_of, cfg_of, recipe_itself, words_of


def values(cfg: Cfg) -> list[tuple[str, dict[str, str]]]:
    """What stands in a cfg, however its numbers are written."""
    return [
        (section.name, {key: option.value.lstrip("0") for key, option in section.options.items()})
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
