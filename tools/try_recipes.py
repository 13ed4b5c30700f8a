"""The bundled recipes on texts of other kinds: `python -m tools.try_recipes TEXT...`.

For each recipe and text a row: the training and the best held-out loss of every seed, beside the
entropy of the text's bytes by themselves, where a network stays that is stuck; and what a run says
of itself where its held-out loss rose.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from darknet_py.cli.outcome import explain_rise
from darknet_py.corpus import read_text
from darknet_py.training import Result, train

RECIPES = {"tiny": 1500, "tiny-gru": 1000, "tiny-lstm": 1000, "shakespeare": 500, "large": 200}


def entropy(text: np.ndarray) -> float:
    """Of the bytes by themselves, in nats."""
    shares = np.bincount(text) / len(text)
    return float(-sum(share * np.log(share) for share in shares if share))


def learns_by_heart(result: Result) -> bool:
    """Whether the command says so at the end."""
    best = result.best_val or 0.0
    facts = best, result.risen, result.avg, result.best_batch, result.batches
    return explain_rise(*facts) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    print("| recipe, batches | text, bytes | bytes alone | training | held out | by heart |")
    print("|---|---|---|---|---|---|")
    for name in options.recipes:
        for path in options.texts:
            text = read_text(path)
            results = []
            for seed in options.seeds:
                with tempfile.TemporaryDirectory() as out:
                    results.append(train(name, path, out=out, batches=RECIPES[name], seed=seed))
            losses = [
                ", ".join(f"{loss:.3f}" for loss in own)
                for own in ([r.avg for r in results], [r.best_val or 0.0 for r in results])
            ]
            by_heart = sum(map(learns_by_heart, results))
            print(
                f"| {name}, {RECIPES[name]} | {path.name}, {len(text):,} | {entropy(text):.3f} | "
                f"{losses[0]} | {losses[1]} | {by_heart} of {len(results)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
