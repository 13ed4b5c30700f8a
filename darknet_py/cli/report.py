"""darknet-py report"""

from __future__ import annotations

import os
from pathlib import Path

import click

from darknet_py.arrays import Array
from darknet_py.cli.console import say
from darknet_py.cli.options import CONTEXT, force_option, tokens_option, verbosity_options
from darknet_py.corpus import read_text, split
from darknet_py.errors import CorpusError, DarknetError, counted
from darknet_py.files import check_targets, with_mark, write_whole
from darknet_py.finding import WEIGHTS_SUFFIXES, open_network
from darknet_py.network import Network
from darknet_py.reporting.curves import read_losses
from darknet_py.reporting.page import page, read_passage, read_samples, recurrent_layer
from darknet_py.symbols import Symbols, check_symbols
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.folder import RunFolder, find_run
from darknet_py.training.settings import Plan
from darknet_py.writing.generation import generate

LENGTH = 1200  # symbols of the passage
SAMPLE = 400  # symbols of the last text


@click.command("report", context_settings=CONTEXT)
@click.argument("folder", metavar="DIR", default="backup")
@click.argument("name", required=False)
@click.option("--out", metavar="FILE", help="Page to write.  [default: DIR/BASE.html]")
@click.option(
    "--text",
    metavar="FILE",
    help="Text to take the passage from.  [default: the run's held-out text]",
)
@click.option(
    "--layer",
    type=click.IntRange(0),
    help="Layer whose units to show.  [default: the last recurrent layer]",
)
@tokens_option
@force_option
@verbosity_options
def command(
    folder: str,
    name: str | None,
    out: str | None,
    text: str | None,
    layer: int | None,
    force: bool,
    tokens: str | None,
) -> None:
    """Write an HTML page about the run in DIR; NAME chooses one of several runs.

    It shows the losses, what the network wrote over time (train --sample-every), how surprised it
    is by each symbol of a passage, and what single units of a layer respond to. A file that already
    exists is overwritten only if it is unchanged since darknet-py wrote it, or with --force.

    \b
    Examples:
      darknet-py report backup
      darknet-py report backup --text mybook.txt --out report.html
    """
    run = find_run(folder, name)
    checkpoint = read_checkpoint(run.file(".state"))
    weights = _weights(run)
    target = Path(out) if out is not None else run.file(".html")
    check_targets([target], read=_read_files(run, weights, checkpoint.plan, text), force=force)
    net = open_network(weights)
    symbols = Symbols.of(net, tokens)
    passage = _passage(net, symbols, checkpoint.plan, text)
    index = recurrent_layer(net) if layer is None else layer
    if index >= len(net.layers):
        raise click.BadParameter(
            f"--layer {index}: the network has the layers 0 to {len(net.layers) - 1}"
        )
    reading = read_passage(net, passage[:LENGTH], index, symbols)
    last = generate(net, symbols.default_prompt, SAMPLE, seed=checkpoint.plan.seed)
    heading = f"{weights.name}, temperature 0.7"
    samples = [
        (title, _renamed(net, symbols, sample))
        for title, sample in read_samples(run.file(".samples"))
    ]
    samples.append((heading, symbols.text(last)))
    best = checkpoint.progress["validation"].get("best_loss")
    facts = [
        ("weights", weights.name),
        ("parameters", f"{len(net.parameters):,}"),
        ("layers", ", ".join(f"{own.kind} {own.outputs}" for own in net.layers)),
        ("trained on", f"{net.seen:,} {symbols.unit}s of {Path(checkpoint.plan.data).name}"),
        ("time", f"{checkpoint.progress['elapsed']:,.0f} s"),
        ("best estimate", "none" if best is None else f"{best:.4f} nats per {symbols.unit}"),
    ]
    curves = read_losses(run.file(".csv"))
    written = page(f"{run.base}: a report", facts, curves, samples, reading)
    write_whole(target, [with_mark(written.encode("utf-8", "replace"))])
    say(f"wrote {target}")


def _weights(run: RunFolder) -> Path:
    for suffix in WEIGHTS_SUFFIXES:
        if run.file(suffix).exists():
            return run.file(suffix)
    raise DarknetError(f"{run.path} holds no weights of {run.base} ({run.base}_best.weights)")


def _read_files(run: RunFolder, weights: Path, plan: Plan, text: str | None) -> list[str | Path]:
    """The files of the run, its texts and `text`, none of which the page may replace."""
    files = [path for path in run.files() if path != run.file(".html")]
    texts = [plan.data, plan.cfg_path, plan.val, text]
    return [weights, *files, *(name for name in texts if isinstance(name, str))]


def _passage(net: Network, symbols: Symbols, plan: Plan, text: str | None) -> Array:
    """From `text` if it is given, from what the run held out, or from what it was trained on."""
    if text is not None:
        place, found = text, symbols.read_file(text)
    elif isinstance(plan.val, str):
        place, found = plan.val, read_text(plan.val, net.options.tokenized)
    elif plan.data == "-":
        raise CorpusError("the run's text came from stdin; give a passage with --text FILE")
    else:
        place, whole = plan.data, read_text(plan.data, net.options.tokenized)
        training, held_out = split(whole, plan.val, plan.val_from)
        found = held_out if len(held_out) > 1 else training
    if len(found) < 2:
        raise CorpusError(
            f"{place} has {counted(len(found), symbols.unit)}; a passage needs at least 2"
        )
    return check_symbols(net, found, os.fspath(place))


def _renamed(net: Network, symbols: Symbols, sample: str) -> str:
    """A sample of a run of tokens, which has their numbers, with their names instead."""
    if not symbols.path:
        return sample
    try:
        return symbols.text(Symbols.of(net).read(sample.encode("utf-8", "replace"), "sample"))
    except CorpusError:
        return sample
