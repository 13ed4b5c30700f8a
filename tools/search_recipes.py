"""The search behind the bundled recipes: `python -m tools.search_recipes tiny TEXT --bytes 7e6`.

Every candidate is a bundled recipe with some keys set as `--set` sets them, or with other layers.
First the time of an update is measured for each, in turns and with nothing else running; then each
is trained for as many batches as it has time for while the recipe itself reads so many bytes, so
that its loss does not depend on what else the machine does. Only the first nine tenths of TEXT are
used: trained on are their first nine tenths, and the choice goes by the loss on the rest, of the
best network, as `darknet-py valid --val .1` computes it. The last tenth of TEXT is left for the
loss that is published.

Results are lines of JSON in benchmarks/recipes/RECIPE.jsonl, each with all values of its candidate,
so that they stay true when the recipe changes; `make docs` makes docs/recipes-tried.md of them. A
search that was stopped goes on with what is missing there, and another seed of a candidate has as
many batches as the first: `--best 10 --seeds 2 3` are those of the ten best.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py.cfg import Cfg, bundled_cfgs, parse_cfg, read_cfg
from darknet_py.corpus import read_text, split
from darknet_py.kernels import choose_kernels
from darknet_py.machine import processors
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.training import train
from darknet_py.training.threads import Threads, thread_choices
from darknet_py.writing.scoring import cut, score_pieces

RESULTS = Path(__file__).parent.parent / "benchmarks" / "recipes"
STREAMS = 16  # pieces of the held-out text that are read side by side
TURNS = 3  # of measuring the times of updates
# Keys that change what an update learns and not how long it takes.
VALUES = {
    *("learning_rate", "burn_in", "cooldown", "B2", "clip_norm", "weight_decay"),
    *("init", "init_symbols", "forget_bias"),
}
OUTPUT = "[connected]\noutput=256\nactivation=linear\n\n[softmax]\n"
# Recurrent layers other than a recipe's own, by name.
KINDS = {
    "rnn": "[rnn]\nactivation=tanh\n",
    "rnn-bn": "[rnn]\nactivation=leaky\nbatch_normalize=1\n",
    "rnn-short": "[rnn]\nactivation=tanh\nbatch_normalize=1\nshortcut=1\n",
    "gru": "[gru]\ntanh=1\n",
    "gru-bn": "[gru]\ntanh=1\nbatch_normalize=1\n",
    "lstm": "[lstm]\n",
}
# By recipe: candidates beside those that have results already, as words: `KEY=VALUE` as --set takes
# them (`KEY=` leaves the key out), and layers as KIND:LAYERSxWIDTH[:DROPOUT].
CANDIDATES = {
    "tiny": (
        "",
        "learning_rate=.002",
        "learning_rate=.004",
        "rnn:2x320",
        "rnn:2x256:.05",
        "clip_norm=.5",
        "init=orthogonal",
        "gru:2x160 init=orthogonal learning_rate=.006 B2=.999 clip_norm=1",
    ),
    "tiny-gru": (
        "",
        "gru:2x128",
        "gru:2x192",
        "gru:2x192 learning_rate=.004",
        "gru:2x160:.05",
        "weight_decay=0",
        "cooldown=1",
    ),
    "tiny-lstm": (
        "",
        "weight_decay=.2",
        "learning_rate=.004",
        "learning_rate=.008",
        "clip_norm=.25",
        "B2=.99",
        "batch=16",
        "forget_bias=2",
        "lstm:2x192 weight_decay=.1 learning_rate=.004",
        "lstm:1x192 weight_decay=.1",
    ),
    "shakespeare": (
        "",
        "learning_rate=.005",
        "gru:2x256:.05",
        "gru:2x256",
        "time_steps=80",
        "batch=64 learning_rate=.008",
        "batch=16 time_steps=128",
        "gru:2x224:.1",
        "gru:2x288:.1",
        "gru:3x192:.1",
        "gru:1x384:.1",
        "cooldown=1",
        "cooldown=.5",
        "B2=.99",
        "clip_norm=.5",
        "burn_in=10",
        "burn_in=400",
        "init=darknet",
        "init_symbols=0",
        "dropconnect=.05",
        "delta_clip=1",
        "decay=.00001",
        "lstm:2x224:.1 forget_bias=1",
        "rnn:3x256:.1 learning_rate=.003",
        "rnn-bn:3x256:.1",
        "gru-bn:2x256:.1 batch=64",
    ),
    "large": (
        "",
        "weight_decay=.2",
        "weight_decay=.5",
        "dropconnect=0",
        "dropconnect=0 weight_decay=.4",
        "dropconnect=.1",
        "dropconnect=.1 weight_decay=.5",
        "dropconnect=.25",
        "learning_rate=.003",
        "gru:2x512:.4",
        "gru:2x512:.2",
        "gru:2x640:.3",
        "gru:2x384:.3",
        "gru:3x384:.3",
        "time_steps=64",
    ),
}


Candidate = dict[str, str]  # the keys of [net], and `layers`


def shortened(value: str) -> str:
    """A number as the words have it: .5 for 0.5."""
    return re.sub(r"^0(?=\.)", "", value)


def layers_of(cfg: Cfg) -> str:
    """Equal recurrent layers as KIND:LAYERSxWIDTH[:DROPOUT], which `cfg_of` reads."""
    recurrent = [section for section in cfg.sections if section.name in KINDS]
    width = recurrent[0].options["output"].value
    dropouts = [section for section in cfg.sections if section.name == "dropout"]
    dropout = [shortened(section.options["probability"].value) for section in dropouts[:1]]
    return ":".join([recurrent[0].name, f"{len(recurrent)}x{width}", *dropout])


def recipe_itself(recipe: str) -> Candidate:
    """The values of a bundled cfg."""
    cfg = read_cfg(bundled_cfgs()[recipe])
    own = {key: shortened(option.value) for key, option in cfg.net.options.items()}
    return {"layers": layers_of(cfg), **own}


def candidate_of(recipe: str, words: str) -> Candidate:
    """What words mean, which say where a candidate is not like the recipe."""
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
    """Where a candidate is not like the recipe; empty for the recipe itself."""
    own = recipe_itself(recipe)
    differing = [key for key in {**own, **candidate} if candidate.get(key) != own.get(key)]
    words = [f"{key}={candidate.get(key, '')}" for key in differing]
    return " ".join(word.removeprefix("layers=") for word in words)


def cfg_of(candidate: Candidate) -> str:
    """The cfg of a candidate."""
    kind, size, *dropout = candidate["layers"].split(":")
    count, width = map(int, size.split("x"))
    layer = f"{KINDS[kind]}output={width}\n\n"
    layer += f"[dropout]\nprobability={dropout[0]}\n\n" if dropout else ""
    keys = [f"{key}={value}" for key, value in candidate.items() if key != "layers"]
    return "\n".join(["[net]", *keys, "", layer * count + OUTPUT])


def alike(candidates: dict[str, Candidate]) -> list[list[str]]:
    """The words of candidates, in groups whose updates are the same work."""
    groups: dict[frozenset[tuple[str, str]], list[str]] = {}
    for words, candidate in candidates.items():
        work = frozenset(item for item in candidate.items() if item[0] not in VALUES)
        groups.setdefault(work, []).append(words)
    return list(groups.values())


def update_seconds(candidates: dict[str, Candidate], text: np.ndarray) -> dict[str, float]:
    """The time of an update of each candidate: the shortest of several turns, so that a slow moment
    of the machine counts against none of them.
    """
    found = dict.fromkeys(candidates, float("inf"))
    for group in alike(candidates) * TURNS:
        seconds = seconds_per_batch(cfg_of(candidates[group[0]]), text)
        found |= {words: min(found[words], seconds) for words in group}
    return found


def seconds_per_batch(cfg: str, text: np.ndarray) -> float:
    """The median time of an update, with as many threads as are quickest."""
    net = Network(parse_cfg(cfg), kernels=choose_kernels("auto"))
    net.initialize(Rand(1))
    net.kernels.prepare()
    steps, streams = net.options.time_steps, net.streams
    rows = np.resize(text, (streams, steps + 1)).T
    medians = []
    for count in thread_choices(net):
        times: list[float] = []
        with Threads(net, count):
            ended = time.perf_counter() + 1
            while time.perf_counter() < ended or len(times) < 9:
                begun = time.perf_counter()
                net.train_batch(rows[:-1], rows[1:])
                times.append(time.perf_counter() - begun)
        medians.append(statistics.median(times))
    return min(medians)


def trained(cfg: str, text: bytes, batches: int, seed: int, threads: int) -> float:
    """The loss of the best network on the held-out tenth of `text`."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "candidate.cfg"
        source.write_text(cfg)
        run = Path(folder) / "run"
        result = train(source, text, out=run, batches=batches, seed=seed, threads=threads)
        assert result.best is not None
        net = Network(parse_cfg(cfg), kernels=choose_kernels("auto"))
        net.load_weights(result.best)
        held_out = split(read_text(text), 0.1)[1]
        pieces = cut(len(held_out) - 1, STREAMS)
        return score_pieces(net, held_out, pieces, np.frombuffer(b"\n\n", np.uint8)).nats


def end_with_the_search() -> None:
    """Let a process of the search end when the search is killed."""

    def wait() -> None:
        search = parent_process()
        assert search is not None
        search.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def read_results(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of results, which need not be there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def by_words(recipe: str, rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each candidate, that of the best mean first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        found.setdefault(words_of(recipe, row["candidate"]), []).append(row)
    return dict(sorted(found.items(), key=lambda item: mean_loss(item[1])))


def mean_loss(rows: list[dict[str, Any]]) -> float:
    return statistics.mean(row["loss"] for row in rows)


def search(options: argparse.Namespace) -> None:
    """Train what is missing in the results."""
    known = read_results(options.results)
    whole = read_text(options.text)
    text = split(whole, 0.1)[0].tobytes()
    known_by_words = by_words(options.recipe, known)
    bytes_read = {words: rows[0]["bytes"] for words, rows in known_by_words.items()}
    done = {(words, row["seed"]) for words, rows in known_by_words.items() for row in rows}
    candidates = {}
    best = list(bytes_read)[: options.best]
    for words in options.only or best or (*CANDIDATES[options.recipe], *bytes_read):
        candidate = candidate_of(options.recipe, words)
        candidates[words_of(options.recipe, candidate)] = candidate
    itself = recipe_itself(options.recipe)
    recipe_symbols = Network(parse_cfg(cfg_of(itself))).options.symbols
    new = {words: own for words, own in candidates.items() if words not in bytes_read}
    seconds = update_seconds({"": itself, **new}, whole) if new else {}
    jobs = {}
    threads = max(1, processors() // options.at_once)
    with ProcessPoolExecutor(options.at_once, get_context("spawn"), end_with_the_search) as pool:
        for seed in options.seeds:
            for words, candidate in candidates.items():
                if (words, seed) in done:
                    continue
                cfg = cfg_of(candidate)
                net = Network(parse_cfg(cfg))
                row = {"candidate": candidate, "seed": seed, "parameters": len(net.parameters)}
                if words in bytes_read:
                    batches = bytes_read[words] // net.options.symbols
                else:
                    batches = int(options.bytes / recipe_symbols * seconds[""] / seconds[words])
                job = pool.submit(trained, cfg, text, batches, seed, threads)
                jobs[job] = words, {**row, "bytes": batches * net.options.symbols}
        for job in as_completed(jobs):
            words, row = jobs[job]
            row["loss"] = job.result()
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{row['loss']:.4f} {words or 'as it is'}, seed {row['seed']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=CANDIDATES)
    parser.add_argument("text", type=Path)
    parser.add_argument("--bytes", type=float, default=7e6, help="that the recipe itself reads")
    parser.add_argument("--only", nargs="+", help="candidates, in words like those of the table")
    parser.add_argument("--best", type=int, default=0, help="only so many of the best so far")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--at-once", type=int, default=processors(), help="runs side by side")
    parser.add_argument("--results", type=Path, help="another file")
    options = parser.parse_args()
    options.results = options.results or RESULTS / f"{options.recipe}.jsonl"
    search(options)


if __name__ == "__main__":
    main()
