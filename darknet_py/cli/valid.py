"""darknet-py valid"""

from __future__ import annotations

import dataclasses

import click

from darknet_py.cli.console import print_json
from darknet_py.cli.options import (
    CONTEXT,
    cfg_option,
    dialect_option,
    part_of_one,
    prompt_option,
    prompt_or_default,
    verbosity_options,
)
from darknet_py.corpus import check_known, read_text, split
from darknet_py.dialect import ALEXEYAB
from darknet_py.errors import CorpusError
from darknet_py.evaluation import evaluate, trace
from darknet_py.finding import open_network


@click.command("valid", context_settings=CONTEXT)
@click.argument("weights")
@click.argument("text", default="-")
@cfg_option
@dialect_option
@click.option(
    "--val",
    type=part_of_one,
    metavar="FRACTION",
    help="Score only the last fraction of TEXT, which `train` with this value held out.",
)
@prompt_option
@click.option("--trace", "as_trace", is_flag=True, help="The C program's line per character.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@verbosity_options
def command(
    weights: str,
    text: str,
    cfg: str | None,
    dialect: str,
    val: float | None,
    prompt: bytes | None,
    as_trace: bool,
    as_json: bool,
) -> None:
    """Score how well the network of WEIGHTS predicts TEXT.

    TEXT is a file, a folder, or - for stdin.
    The prompt is fed first and not scored; of the text, the first character is fed and the others
    are predicted, in one stream from a zero state.

    \b
    Examples:
      darknet-py valid backup/tiny_best.weights mybook.txt --val .1
      darknet-py valid backup mybook.txt --json
    """
    net = open_network(weights, cfg, dialect)
    symbols = read_text(text, net.net.tokenized)
    check_known(symbols, net.inputs, text)
    if val is not None:
        symbols = split(symbols, val)[1]
    if len(symbols) < 2:
        raise CorpusError(f"{text}: {len(symbols)} symbols: expected at least 2 to score")
    start = prompt_or_default(prompt, net.inputs)
    if as_trace:
        for now in trace(net, symbols, start):
            bpc = "" if net.dialect is ALEXEYAB else f"BPC: {now.bpc:4.4f}   "
            click.echo(
                f"{now.characters} {bpc}Perplexity: {now.perplexity:4.4f}    "
                f"Word Perplexity: {now.word_perplexity:4.4f}"
            )
        return
    score = evaluate(net, symbols, start)
    if as_json:
        print_json(dataclasses.asdict(score))
        return
    click.echo(f"characters          {score.characters:,}")
    click.echo(f"nats per character  {score.nats:.4f}")
    click.echo(f"bits per character  {score.bpc:.4f}")
    click.echo(f"perplexity          {score.perplexity:.4f}")
    click.echo(f"word perplexity     {score.word_perplexity:.4f}")
