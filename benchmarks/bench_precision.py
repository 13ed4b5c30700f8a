"""The held-out loss with products of f32 and of bf16, after the same updates.

    make bench-precision TEXT=mybook.txt

The loss does not depend on the speed of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import darknet_py as dn
from darknet_py.engine import bf16_way

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
MARK = "<!-- Made by `make bench-precision`: -->\n"
NETWORKS = ("tiny", "tiny-gru", "tiny-lstm", "shakespeare", "large")
UPDATES = 300
SEEDS = (1, 2, 3)
PRECISIONS = ("f32", "bf16")
HEAD = f"""
## Losses of f32 and bf16

Nats per symbol of the last tenth of a text of {{size:,}} bytes, which was held out, after
{UPDATES} updates: the mean of {len(SEEDS)} seeds, and in brackets the lowest and the highest.
bf16 by {{way}}.

| network | f32 | bf16 | bf16 minus f32 |
|---|---|---|---|
"""


def loss(name: str, text: Path, precision: str, seed: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        best = dn.train(
            name,
            text,
            out=folder,
            batches=UPDATES,
            seed=seed,
            precision=precision,
            threads=1,
            val=0.1,
        ).best_val
    assert best is not None
    return best


def shown(losses: list[float]) -> str:
    return f"{statistics.mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f})"


def section(text: Path) -> Iterator[str]:
    yield HEAD.format(size=text.stat().st_size, way=bf16_way())
    differences = []
    for name in NETWORKS:
        f32, bf16 = ([loss(name, text, each, seed) for seed in SEEDS] for each in PRECISIONS)
        differences.append(statistics.mean(bf16) - statistics.mean(f32))
        yield f"| `{name}` | {shown(f32)} | {shown(bf16)} | {differences[-1]:+.4f} |\n"
    yield f"\nOver all of them the difference is {statistics.mean(differences):+.4f}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    made = ""
    for part in section(parser.parse_args().text):
        print(part, end="", flush=True)
        made += part
    page = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(page + MARK + made, encoding="utf-8")


if __name__ == "__main__":
    main()
