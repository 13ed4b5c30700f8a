"""The search behind the bundled recipes, and the page of what it found.

    python -m benchmarks.search_recipes tiny TEXT gru:2x160 "learning_rate=.004 burn_in=50"
    python -m benchmarks.search_recipes tiny TEXT --best 10 --seeds 2 3
    python -m benchmarks.search_recipes            only the page

A candidate is a bundled recipe with some changes, in words: KEY=VALUE as --set takes them (KEY=
leaves the key out), and layers as KIND:LAYERSxWIDTH[:DROPOUT]. `@FILE` reads candidates from a
file, one on each line.

First the time of an update is measured for each candidate, with nothing else running. Then each is
trained for as many batches as fit into the time in which the recipe reads --bytes, so that a loss
does not depend on other work of the machine. Only the first nine tenths of TEXT are used: a
candidate is trained on the first nine tenths of these, and scored on their rest, with the best
network of its run. The last tenth of TEXT is left for the losses in docs/recipes.md.

Results are lines of JSON in benchmarks/recipes/RECIPE.jsonl, or in the file that --results names,
such as RECIPE.Python.jsonl for another kind of text. Each line has all values of its candidate, so
that it stays true when the recipe changes. What has a result is not trained again; another seed of
a candidate has the number of batches that the first one had.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import darknet_py as dn
from darknet_py.cfg import Cfg, bundled_cfgs, parse_cfg, read_cfg
from darknet_py.machine import processors
from darknet_py.text.corpus import read_text, split

FOLDER = Path(__file__).parent / "recipes"
PAGE = FOLDER / "README.md"
MARK = "<!-- Made by `python -m benchmarks.search_recipes`: -->\n"
RECIPES = ("tiny", "tiny-gru", "tiny-lstm", "shakespeare", "large")
HELD_OUT = 0.1
STREAMS = 16  # pieces of the held-out text that are read side by side
TURNS, UPDATES = 3, 60  # for measuring the time of an update
# Keys that change what an update learns and not how long it takes.
VALUES = {
    *("learning_rate", "burn_in", "cooldown", "B2", "clip_norm", "weight_decay"),
    *("init", "init_symbols", "forget_bias"),
}
OUTPUT = "[connected]\noutput=256\nactivation=linear\n\n[softmax]\n"
# The recurrent layers of candidates, by name.
KINDS = {
    "rnn": "[rnn]\nactivation=tanh\n",
    "rnn-bn": "[rnn]\nactivation=leaky\nbatch_normalize=1\n",
    "rnn-short": "[rnn]\nactivation=tanh\nbatch_normalize=1\nshortcut=1\n",
    "gru": "[gru]\ntanh=1\n",
    "gru-bn": "[gru]\ntanh=1\nbatch_normalize=1\n",
    "lstm": "[lstm]\n",
}
NAMES = {"gru": "GRU", "lstm": "LSTM", "rnn": "tanh RNN"}  # of PyTorch's networks

Candidate = dict[str, str]  # the keys of [net], and `layers`
Rows = list[dict[str, Any]]


# Candidates


def shortened(value: str) -> str:
    """A number as in the words: .5 for 0.5."""
    return re.sub(r"^0(?=\.)", "", value)


def layers_of(cfg: Cfg) -> str:
    """Equal recurrent layers as KIND:LAYERSxWIDTH[:DROPOUT], which `cfg_of` reads."""
    recurrent = [section for section in cfg.sections if section.name in KINDS]
    width = recurrent[0].options["output"].value
    dropouts = [section for section in cfg.sections if section.name == "dropout"]
    dropout = [shortened(section.options["probability"].value) for section in dropouts[:1]]
    return ":".join([recurrent[0].name, f"{len(recurrent)}x{width}", *dropout])


def recipe_itself(recipe: str) -> Candidate:
    """The values of a bundled cfg, except its time: a number of batches ends the runs here."""
    cfg = read_cfg(bundled_cfgs()[recipe])
    keys = {key: shortened(option.value) for key, option in cfg.net.options.items()}
    keys.pop("max_time", None)
    return {"layers": layers_of(cfg), **keys}


def candidate_of(recipe: str, words: str) -> Candidate:
    """The candidate that differs from the recipe by `words`."""
    found = recipe_itself(recipe)
    for word in words.split():
        key, equals, value = word.partition("=")
        if not equals:
            found["layers"] = word
        elif value:
            found[key] = shortened(value)
        else:
            found.pop(key, None)
    return found


def words_of(recipe: str, candidate: Candidate) -> str:
    """How a candidate differs from the recipe; empty for the recipe itself."""
    itself = recipe_itself(recipe)
    differing = [key for key in {**itself, **candidate} if candidate.get(key) != itself.get(key)]
    words = [f"{key}={candidate.get(key, '')}" for key in differing]
    return " ".join(word.removeprefix("layers=") for word in words)


def cfg_of(candidate: Candidate) -> Cfg:
    kind, size, *dropout = candidate["layers"].split(":")
    count, width = map(int, size.split("x"))
    layer = f"{KINDS[kind]}output={width}\n\n"
    layer += f"[dropout]\nprobability={dropout[0]}\n\n" if dropout else ""
    keys = [f"{key}={value}" for key, value in candidate.items() if key != "layers"]
    return parse_cfg("\n".join(["[net]", *keys, "", layer * count + OUTPUT]))


# The search


def update_seconds(candidates: Iterable[Candidate], text: bytes) -> list[float]:
    """The time of an update of each: the shortest of several turns, in which the machine may have
    been slow. Candidates that differ by nothing but VALUES have the same time.
    """
    work = [frozenset(item for item in c.items() if item[0] not in VALUES) for c in candidates]
    shortest = dict.fromkeys(work, float("inf"))
    for candidate in list(shortest) * TURNS:
        shortest[candidate] = min(shortest[candidate], median_seconds(dict(candidate), text))
    return [shortest[key] for key in work]


def median_seconds(candidate: Candidate, text: bytes) -> float:
    """The time of an update, when the run has found its number of threads."""
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        dn.train(
            cfg_of(candidate),
            text,
            out=out,
            batches=UPDATES,
            val=0,
            seed=1,
            callback=lambda row: seconds.append(row.seconds),
        )
    return statistics.median(seconds[UPDATES // 2 :])


def trained(
    candidate: Candidate, text: bytes, batches: int, seed: int, threads: int
) -> dict[str, float]:
    """What the best network of a run reaches on the held-out tenth of `text`."""
    with tempfile.TemporaryDirectory() as out:
        result = dn.train(
            cfg_of(candidate), text, out=out, batches=batches, seed=seed, threads=threads
        )
        assert result.best is not None
        net = dn.load_network(result.best)
    held_out = split(read_text(text), HELD_OUT)[1]
    nats = dn.evaluate(net, held_out, streams=STREAMS).nats
    return {"loss": nats, "parameters": len(net.parameters)}


def read_results(path: Path) -> Rows:
    """The rows of a file of results, which need not exist."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def by_words(recipe: str, rows: Rows) -> dict[str, Rows]:
    """The rows of each candidate, the best mean first."""
    found: dict[str, Rows] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        found.setdefault(words_of(recipe, row["candidate"]), []).append(row)
    return dict(sorted(found.items(), key=lambda item: mean_loss(item[1])))


def mean_loss(rows: Rows) -> float:
    return statistics.mean(row["loss"] for row in rows)


def search(options: argparse.Namespace) -> None:
    """Train what has no result yet."""
    recipe, results = options.recipe, options.results
    known = by_words(recipe, read_results(results))
    batches = {words: rows[0]["bytes"] // symbols_of(rows[0]) for words, rows in known.items()}
    asked = [*options.candidates, *list(known)[: options.best]] or ["", *known]
    candidates = {}
    for candidate in (candidate_of(recipe, words) for words in asked):
        candidates[words_of(recipe, candidate)] = candidate
    text = split(read_text(options.text), HELD_OUT)[0].tobytes()
    new = [words for words in candidates if words not in known]
    if new:
        itself = recipe_itself(recipe)
        first, *others = update_seconds([itself, *(candidates[words] for words in new)], text)
        updates = options.bytes / symbols_of({"candidate": itself})
        batches |= {w: int(updates * first / t) for w, t in zip(new, others, strict=True)}
    threads = max(1, processors() // options.at_once)
    jobs = {}
    with ProcessPoolExecutor(options.at_once, get_context("spawn")) as pool:
        for seed, (words, candidate) in itertools.product(options.seeds, candidates.items()):
            if all(row["seed"] != seed for row in known.get(words, [])):
                job = pool.submit(trained, candidate, text, batches[words], seed, threads)
                jobs[job] = words, seed
        for job in as_completed(jobs):
            words, seed = jobs[job]
            row = {"candidate": candidates[words], "seed": seed, **job.result()}
            row["bytes"] = batches[words] * symbols_of(row)
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{row['loss']:.4f} {words or 'as it is'}, seed {seed}", flush=True)


def symbols_of(row: dict[str, Any]) -> int:
    """What an update of a row's candidate reads."""
    return int(row["candidate"]["batch"]) * int(row["candidate"]["time_steps"])


# The page


def recipe_table(recipe: str, rows: Rows) -> str:
    """The candidates that have results, the best mean first."""
    lines = ["| candidate | loss | seeds | parameters | bytes read |", "|---|---|---|---|---|"]
    for words, group in by_words(recipe, rows).items():
        losses = ", ".join(f"{row['loss']:.4f}" for row in group)
        lines.append(
            f"| {words or 'as it is'} | {mean_loss(group):.4f} | {losses} | "
            f"{group[0]['parameters']:,} | {group[0]['bytes']:,} |"
        )
    return "\n".join(lines)


def peers_table(rows: Rows) -> str:
    """PyTorch's networks with their rates, the best first (benchmarks/train_torch.py)."""
    lines = [
        "| network | loss, at a rate of | at other rates | parameters | bytes read, by the best |",
        "|---|---|---|---|---|",
    ]
    rows = sorted(rows, key=lambda row: (row["kind"], row["width"], row["loss"]))
    for (kind, width), group in itertools.groupby(rows, lambda row: (row["kind"], row["width"])):
        first, *rest = list(group)
        best, *others = (f"{row['loss']:.4f} ({row['rate']:g})" for row in (first, *rest))
        lines.append(
            f"| {NAMES.get(kind, kind)} of {width} | {best} | {', '.join(others)} | "
            f"{first['parameters']:,} | {first['bytes']:,} |"
        )
    return "\n".join(lines)


def page() -> str:
    """The README of benchmarks/recipes: what is written by hand in it, then the tables."""
    parts = [PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK]
    for name in (*RECIPES, "peers"):
        for path in sorted(FOLDER.glob(f"{name}.*jsonl"), key=lambda path: path.stem):
            _, *where = path.stem.split(".")
            heading = ", ".join([f"`{name}`" if name in RECIPES else "PyTorch", *where])
            rows = read_results(path)
            table = recipe_table(name, rows) if name in RECIPES else peers_table(rows)
            parts.append(f"## {heading}\n\n{table}\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        fromfile_prefix_chars="@",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", choices=RECIPES, nargs="?")
    parser.add_argument("text", type=Path, nargs="?")
    parser.add_argument("candidates", nargs="*", default=[], help="default: all with results")
    parser.add_argument("--bytes", type=float, default=7e6, help="that the recipe itself reads")
    parser.add_argument("--best", type=int, default=0, help="the number of the best so far")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--at-once", type=int, default=processors(), help="runs side by side")
    parser.add_argument("--results", type=Path, help="another file")
    options = parser.parse_intermixed_args()
    if options.recipe:
        if options.text is None:
            parser.error("TEXT is missing")
        options.results = options.results or FOLDER / f"{options.recipe}.jsonl"
        search(options)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
