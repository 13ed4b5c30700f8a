"""The search behind the bundled recipes: `python -m tools.search_recipes TEXT --seconds 240`.

Every candidate is a cfg made of layers and [net] keys. First the time of an update is measured for
each, with nothing else running; then each is trained for as many batches as the seconds are worth,
so that its loss does not depend on what else the machine does. Only the first nine tenths of TEXT
are used: trained on is their first nine tenths, and the choice goes by the loss on the rest, from a
zero state, of the best network, as `darknet-py valid --val .1` computes it. The last tenth of TEXT
is left for the loss that is published.

Results are added to a file of JSON lines, and shown as a table with --table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from darknet_py.cfg import parse_cfg
from darknet_py.corpus import read_text, split
from darknet_py.kernels import choose_kernels
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.training import train
from darknet_py.training.threads import Threads
from darknet_py.writing.evaluation import evaluate

COMMON = {
    "inputs": "256",
    "adam": "1",
    "decay": "0",
    "state": "carry",
    "clip_norm": "1",
}
OUTPUT = "[connected]\noutput=256\nactivation=linear\n\n[softmax]\n"


def layers(kind: str, count: int, width: int, dropout: float = 0) -> str:
    """Sections of `count` recurrent layers, and dropout after each."""
    options = {
        "rnn": "activation=leaky\nbatch_normalize=1\n",
        "rnn-tanh": "activation=tanh\n",
        "rnn-short": "activation=tanh\nbatch_normalize=1\nshortcut=1\n",
        "gru": "tanh=1\n",
        "gru-bn": "tanh=1\nbatch_normalize=1\n",
        "lstm": "",
    }[kind]
    section = f"[{kind.partition('-')[0]}]\noutput={width}\n{options}\n"
    if dropout:
        section += f"[dropout]\nprobability={dropout}\n\n"
    return section * count


def cfg_of(layer: tuple[object, ...], keys: dict[str, str]) -> str:
    net = "".join(f"{key}={value}\n" for key, value in {**COMMON, **keys}.items())
    return f"[net]\n{net}\n{layers(*layer)}{OUTPUT}"  # type: ignore[arg-type]


def keys(
    rate: float, streams: int = 32, steps: int = 64, cooldown: float = 0.7, **more: object
) -> dict[str, str]:
    settings: dict[str, object] = {
        "batch": streams,
        "time_steps": steps,
        "learning_rate": rate,
        "cooldown": cooldown,
        "burn_in": 100,
        "power": 1,
        **more,
    }
    return {key: str(value) for key, value in settings.items()}


CANDIDATES: dict[str, str] = {
    "gru 2x256, rate .004": cfg_of(("gru", 2, 256), keys(0.004)),
    "gru 2x256, rate .008": cfg_of(("gru", 2, 256), keys(0.008)),
    "gru 2x256, rate .002": cfg_of(("gru", 2, 256), keys(0.002)),
    "gru 2x256, rate .004, orthogonal": cfg_of(("gru", 2, 256), keys(0.004, init="orthogonal")),
    "gru 2x256, 64 streams, rate .006, orthogonal": cfg_of(
        ("gru", 2, 256), keys(0.006, streams=64, init="orthogonal")
    ),
    "gru 2x256, rate .006, orthogonal": cfg_of(("gru", 2, 256), keys(0.006, init="orthogonal")),
    "gru 2x256, rate .004, orthogonal, cooldown 1": cfg_of(
        ("gru", 2, 256), keys(0.004, init="orthogonal", cooldown=1)
    ),
    "gru 2x256, 16 streams, 128 steps, orthogonal": cfg_of(
        ("gru", 2, 256), keys(0.004, streams=16, steps=128, init="orthogonal")
    ),
    "gru with batch norm 2x256, rate .004, orthogonal": cfg_of(
        ("gru-bn", 2, 256), keys(0.004, init="orthogonal")
    ),
    "rnn 3x256, rate .004, orthogonal": cfg_of(("rnn", 3, 256), keys(0.004, init="orthogonal")),
    "gru 2x256, rate .004, no carry": cfg_of(("gru", 2, 256), keys(0.004, state="zero")),
    "gru 2x256, rate .004, no cooldown": cfg_of(("gru", 2, 256), keys(0.004, cooldown=0)),
    "gru 2x256, 64 streams, rate .006": cfg_of(("gru", 2, 256), keys(0.006, streams=64)),
    "gru 2x256, 16 streams, rate .003": cfg_of(("gru", 2, 256), keys(0.003, streams=16)),
    "gru 2x256, 32 steps, rate .004": cfg_of(("gru", 2, 256), keys(0.004, steps=32)),
    "gru 1x384, rate .004": cfg_of(("gru", 1, 384), keys(0.004)),
    "gru 1x512, rate .004": cfg_of(("gru", 1, 512), keys(0.004)),
    "gru 2x320, rate .004": cfg_of(("gru", 2, 320), keys(0.004)),
    "gru 3x192, rate .004": cfg_of(("gru", 3, 192), keys(0.004)),
    "gru with batch norm 2x256, rate .004": cfg_of(("gru-bn", 2, 256), keys(0.004)),
    "lstm 2x256, rate .004, forget 1": cfg_of(
        ("lstm", 2, 256), keys(0.004, forget_bias=1, init="orthogonal")
    ),
    "rnn 2x256, rate .004": cfg_of(("rnn", 2, 256), keys(0.004)),
    "rnn 3x256, rate .004": cfg_of(("rnn", 3, 256), keys(0.004)),
    "rnn 2x384, rate .003": cfg_of(("rnn", 2, 384), keys(0.003)),
    "rnn shortcut 2x256, rate .004": cfg_of(("rnn-short", 2, 256), keys(0.004)),
    "rnn tanh 2x256, rate .002, orthogonal": cfg_of(
        ("rnn-tanh", 2, 256), keys(0.002, init="orthogonal")
    ),
    "gru 2x256, rate .004, dropout .1": cfg_of(("gru", 2, 256, 0.1), keys(0.004)),
    "gru 2x256, rate .004, delta_clip 1": cfg_of(("gru", 2, 256), keys(0.004, delta_clip=1)),
}


def seconds_per_batch(cfg: str, text: np.ndarray) -> float:
    """The median time of an update."""
    net = Network(parse_cfg(cfg), kernels=choose_kernels("auto"))
    net.initialize(Rand(1))
    steps, streams = net.options.time_steps, net.streams
    rows = np.resize(text, (streams, steps + 1)).T
    times: list[float] = []
    with Threads(net) as threads:
        ended = time.perf_counter() + 4
        while time.perf_counter() < ended or len(times) < 20:
            begun = time.perf_counter()
            net.train_batch(rows[:-1], rows[1:])
            times.append(time.perf_counter() - begun)
            threads.batch_done(times[-1])
    return statistics.median(times[len(times) // 2 :])


def trained(
    cfg: str, text: Path, batches: int, seed: int, threads: int | None
) -> tuple[float, float]:
    """The loss of the best network on the held-out part of `text`, and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "candidate.cfg"
        source.write_text(cfg)
        result = train(
            source, text, out=Path(folder) / "run", batches=batches, seed=seed, threads=threads
        )
        assert result.best is not None
        single = parse_cfg(cfg).override("batch", 1, "search").override("time_steps", 1, "search")
        net = Network(single)
        net.load_weights(result.best)
        _, held_out = split(read_text(text), 0.1)
        return evaluate(net, held_out).nats, result.seconds


def table(results: Path) -> str:
    """The results as a table, the best first."""
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    lines = [
        "| candidate | loss | parameters | batches | bytes a second |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['loss']:.4f} | {row['parameters']:,} | {row['batches']:,} | "
        f"{row['rate']:,.0f} |"
        for row in sorted(rows, key=lambda row: row["loss"])
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--only", nargs="+", default=[""], help="names, or parts of names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="of the runs; the measurements choose")
    parser.add_argument("--results", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table and do nothing else")
    options = parser.parse_args()
    if options.table:
        print(table(options.results))
        return
    whole = read_text(options.text)
    chosen = {
        name: cfg
        for name, cfg in CANDIDATES.items()
        if any(only in name if only else True for only in options.only)
    }
    times = {name: seconds_per_batch(cfg, whole) for name, cfg in chosen.items()}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_bytes(split(whole, 0.1)[0].tobytes())
        for name, cfg in chosen.items():
            # Validations and checkpoints take about 1/20.
            batches = int(0.95 * options.seconds / times[name])
            loss, seconds = trained(cfg, text, batches, options.seed, options.threads)
            net = Network(parse_cfg(cfg), kernels=choose_kernels("auto"))
            row = {
                "name": name,
                "loss": loss,
                "seed": options.seed,
                "seconds": options.seconds,
                "batches": batches,
                "rate": net.options.symbols / times[name],
                "parameters": len(net.parameters),
                "took": seconds,
            }
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{loss:.4f} {name}: {batches} batches, {row['rate']:,.0f} a second", flush=True)


if __name__ == "__main__":
    main()
