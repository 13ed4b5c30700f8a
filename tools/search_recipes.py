"""The search behind the bundled recipes: `python -m tools.search_recipes tiny TEXT --bytes 7e6`.

Every candidate is a bundled recipe with some keys set as `--set` sets them, or with other layers.
First the time of an update is measured for each, with nothing else running; then each is trained
for as many batches as it has time for while the recipe itself reads so many bytes, so that its loss
does not depend on what else the machine does. Only the first nine tenths of TEXT are used: trained
on are their first nine tenths, and the choice goes by the loss on the rest, of the best network, as
`darknet-py valid --val .1` computes it. The last tenth of TEXT is left for the loss that is
published.

Results are lines of JSON in benchmarks/recipes/RECIPE.jsonl. A search that was stopped goes on with
what is missing there; --table shows it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py.cfg import bundled_cfgs, parse_cfg, read_cfg
from darknet_py.corpus import read_text, split
from darknet_py.kernels import choose_kernels
from darknet_py.machine import processors
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.training import train
from darknet_py.training.threads import Threads, thread_choices
from darknet_py.writing.scoring import cut, score_pieces

STREAMS = 16  # pieces of the held-out text that are read side by side
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
# them, and KIND:LAYERSxWIDTH[:DROPOUT].
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
    "shakespeare": (
        "",
        "weight_decay=.1",
        "learning_rate=.004",
        "learning_rate=.006",
        "gru:2x320:.05",
        "gru:2x320:.05 weight_decay=.3",
        "gru:2x320:.15",
        "gru:2x320:.2",
        "gru:2x320",
        "time_steps=96",
        "time_steps=80",
        "batch=24",
        "gru:2x288:.1",
        "gru:2x352:.1",
        "gru:2x384:.1",
        "gru:3x256:.1",
        "gru:1x512:.1",
        "cooldown=1",
        "cooldown=.5",
        "B2=.99",
        "B2=.99 learning_rate=.004",
        "clip_norm=.5",
        "batch=64 learning_rate=.008",
        "batch=16 time_steps=128",
        "burn_in=10",
        "burn_in=400",
        "init=darknet",
        "init_symbols=0",
        "dropconnect=.05",
        "delta_clip=1",
        "decay=.00001",
        "lstm:2x256:.1 forget_bias=1",
        "lstm:2x320:.1 forget_bias=1",
        "rnn:3x384:.1 learning_rate=.003",
        "rnn-bn:3x256:.1",
        "gru-bn:2x256:.1 batch=64",
    ),
    "large": (
        "",
        "dropconnect=0 weight_decay=.1",
        "dropconnect=0 weight_decay=.2",
        "dropconnect=0 weight_decay=.3",
        "dropconnect=0 weight_decay=.2 learning_rate=.003",
        "dropconnect=0 weight_decay=.3 learning_rate=.003",
        "dropconnect=.1 weight_decay=.2",
        "dropconnect=.2 weight_decay=.2",
        "dropconnect=.1",
        "gru:2x512:.4 dropconnect=0 weight_decay=.2",
        "gru:2x640:.3 dropconnect=.1 weight_decay=.2",
        "gru:2x640:.3",
        "gru:2x384:.3",
        "gru:3x384:.3",
        "time_steps=64",
        "decay=.00001",
    ),
}


def candidate(recipe: str, words: str) -> str:
    """The cfg of a candidate."""
    cfg = read_cfg(bundled_cfgs()[recipe])
    own = {key: option.value for key, option in cfg.net.options.items()}
    layers = ""
    for word in words.split():
        key, _, value = word.partition("=")
        if value:
            own[key] = value
            continue
        kind, size, *dropout = word.split(":")
        count, width = map(int, size.split("x"))
        layers = f"{KINDS[kind]}output={width}\n\n"
        layers += f"[dropout]\nprobability={dropout[0]}\n\n" if dropout else ""
        layers = layers * count + OUTPUT
    if not layers:
        text = cfg.text()
        layers = text[text.index("[", text.index("[net]") + 1) :]
    return "\n".join(["[net]", *(f"{key}={value}" for key, value in own.items()), "", layers])


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


def read_results(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of results, which need not be there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """The candidates of which there are results, the best mean first."""
    by_words: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if "loss" in row:
            by_words.setdefault(row["words"], []).append(row)
    lines = ["| candidate | loss | seeds | parameters | bytes read |", "|---|---|---|---|---|"]
    for words, own in sorted(by_words.items(), key=lambda item: mean_loss(item[1])):
        losses = ", ".join(f"{row['loss']:.4f}" for row in sorted(own, key=lambda row: row["seed"]))
        lines.append(
            f"| {words or 'as it is'} | {mean_loss(own):.4f} | {losses} | "
            f"{own[0]['parameters']:,} | {own[0]['bytes']:,} |"
        )
    return "\n".join(lines)


def mean_loss(rows: list[dict[str, Any]]) -> float:
    return statistics.mean(row["loss"] for row in rows)


def search(options: argparse.Namespace) -> None:
    """Train what is missing in the results."""
    known = read_results(options.results)
    whole = read_text(options.text)
    text = split(whole, 0.1)[0].tobytes()
    tried = (row["words"] for row in known if "loss" in row)
    words_of_all = dict.fromkeys((*CANDIDATES[options.recipe], *tried))
    cfgs = {words: candidate(options.recipe, words) for words in words_of_all}
    if options.only:
        cfgs = {words: cfg for words, cfg in cfgs.items() if words in options.only}
    seconds = {row["words"]: row["milliseconds"] / 1e3 for row in known if "milliseconds" in row}

    def keep(row: dict[str, Any]) -> None:
        with open(options.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    for words in ("", *cfgs):
        if words not in seconds:
            seconds[words] = seconds_per_batch(candidate(options.recipe, words), whole)
            keep({"words": words, "milliseconds": 1e3 * seconds[words]})
    symbols = parse_cfg(candidate(options.recipe, "")).net
    budget = options.bytes / symbols.integer("batch", 1) / symbols.integer("time_steps", 1)
    done = {(row["words"], row["seed"]) for row in known if "loss" in row}
    jobs = {}
    threads = max(1, processors() // options.at_once)
    with ProcessPoolExecutor(options.at_once, get_context("spawn")) as pool:
        for seed in options.seeds:
            for words, cfg in cfgs.items():
                batches = int(budget * seconds[""] / seconds[words])
                if (words, seed) not in done:
                    job = pool.submit(trained, cfg, text, batches, seed, threads)
                    jobs[job] = words, cfg, batches, seed
        for job in as_completed(jobs):
            words, cfg, batches, seed = jobs[job]
            net = Network(parse_cfg(cfg))
            row = {
                "words": words,
                "seed": seed,
                "loss": job.result(),
                "bytes": batches * net.options.symbols,
                "parameters": len(net.parameters),
            }
            keep(row)
            print(f"{row['loss']:.4f} {words or 'as it is'}, seed {seed}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=CANDIDATES)
    parser.add_argument("text", type=Path)
    parser.add_argument("--bytes", type=float, default=7e6, help="that the recipe itself reads")
    parser.add_argument("--only", nargs="+", help="candidates, in their words")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--at-once", type=int, default=processors(), help="runs side by side")
    parser.add_argument("--results", type=Path, help="another file")
    parser.add_argument("--table", action="store_true", help="print the table and do nothing else")
    options = parser.parse_args()
    options.results = options.results or Path("benchmarks/recipes") / f"{options.recipe}.jsonl"
    if not options.table:
        search(options)
    print(table(read_results(options.results)))


if __name__ == "__main__":
    main()
