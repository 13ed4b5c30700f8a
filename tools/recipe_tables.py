"""docs/recipes-tried.md: tables of what the searches and the other networks came to.

They are made of the lines of JSON in benchmarks/recipes, which tools/search_recipes.py and
benchmarks/train_torch.py write: RECIPE.jsonl, RECIPE.TEXT.jsonl of another text than
tiny-shakespeare, and peers.PROCESSOR.jsonl.
"""

from __future__ import annotations

import itertools
from typing import Any

from tools.search_recipes import CANDIDATES, RESULTS, by_words, mean_loss, read_results

HEAD = """# What the recipes were chosen from

Made from `benchmarks/recipes/` by `make docs`; [recipes.md](recipes.md) says how each row came
about, and what follows from it. Losses are in nats per byte.

## Candidates

Layers by kind, number, width and dropout, then keys as `--set` takes them: where a candidate is not
like the recipe as it is now. `init_symbols=0` is darknet's start, `average=0` no average,
`weight_decay=0` none.
"""
PEERS_HEAD = """## PyTorch's networks

240 seconds each on two cores, on nine tenths of tiny-shakespeare, the loss on the last tenth
(`benchmarks/train_torch.py`). Two layers, but four of the transformer, whose context is 64 bytes.
The processors are those of recipes.md.
"""
NAMES = {"gru": "GRU", "lstm": "LSTM", "rnn": "tanh RNN"}


def recipe_table(recipe: str, rows: list[dict[str, Any]]) -> str:
    """The candidates of which there are results, the best mean first."""
    lines = ["| candidate | loss | seeds | parameters | bytes read |", "|---|---|---|---|---|"]
    for words, own in by_words(recipe, rows).items():
        losses = ", ".join(f"{row['loss']:.4f}" for row in own)
        lines.append(
            f"| {words or 'as it is'} | {mean_loss(own):.4f} | {losses} | "
            f"{own[0]['parameters']:,} | {own[0]['bytes']:,} |"
        )
    return "\n".join(lines)


def peers_table(rows: list[dict[str, Any]]) -> str:
    """Each network with its rates, the best first."""
    lines = [
        "| network | loss, at a rate of | at other rates | parameters | bytes read, by the best |",
        "|---|---|---|---|---|",
    ]
    rows = sorted(rows, key=lambda row: (row["kind"], row["width"], row["loss"]))
    for (kind, width), group in itertools.groupby(rows, lambda row: (row["kind"], row["width"])):
        own = list(group)
        best, *others = (f"{row['loss']:.4f} ({row['rate']:g})" for row in own)
        lines.append(
            f"| {NAMES.get(kind, kind)} of {width} | {best} | {', '.join(others)} | "
            f"{own[0]['parameters']:,} | {own[0]['bytes']:,} |"
        )
    return "\n".join(lines)


def tried_page() -> str:
    """docs/recipes-tried.md."""
    parts = [HEAD]
    for recipe in CANDIDATES:
        for path in sorted(RESULTS.glob(f"{recipe}.*"), key=lambda path: path.stem):
            _, *text = path.stem.split(".")
            heading = f"### `{recipe}`" + "".join(f", {name}" for name in text)
            parts.append(f"{heading}\n\n{recipe_table(recipe, read_results(path))}\n")
    parts.append(PEERS_HEAD)
    for path in sorted(RESULTS.glob("peers.*")):
        _, processor = path.stem.split(".")
        parts.append(f"### {processor}\n\n{peers_table(read_results(path))}\n")
    return "\n".join(parts)
