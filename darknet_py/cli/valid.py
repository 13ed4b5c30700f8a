"""darknet-py valid"""

from __future__ import annotations

import dataclasses
import logging
import os

import click

from darknet_py.checks import number, whole
from darknet_py.cli.commands import Command
from darknet_py.cli.console import print_json, write_line
from darknet_py.cli.options import cfg_option, dialect_option, prompt_option, tokens_option
from darknet_py.cli.values import FILE, Value
from darknet_py.dialect import ALEXEYAB
from darknet_py.errors import CorpusError, TrainingError, counted
from darknet_py.inference.evaluation import evaluate, rounded_perplexity, trace
from darknet_py.inference.lines import evaluate_lines, split_lines
from darknet_py.inference.scoring import WARM_UP
from darknet_py.loading.finding import find_weights, open_network, state_beside
from darknet_py.network import Network
from darknet_py.terminal.progress import progress_bar
from darknet_py.text.corpus import HELD_OUT_FROM, read_pieces, split
from darknet_py.text.symbols import LONGER, Symbols, warn_of_encoding
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.plan import Plan
from darknet_py.training.threads import scoring_threads

log = logging.getLogger("darknet_py.valid")

LONG = 100_000  # symbols that take one stream a while


@click.command("valid", cls=Command, short_help="Score how well a network predicts a text.")
@click.argument("weights", type=FILE)
@click.argument("text", default="-", type=FILE)
@cfg_option
@dialect_option
@click.option(
    "--val",
    type=Value(number(above=0, below=1)),
    metavar="FRACTION",
    help="Score only the part of TEXT that `train` held out with the same --val.",
)
@click.option(
    "--val-from",
    type=click.Choice(HELD_OUT_FROM),
    help="With --val: where `train` took the held-out part.  [default: as in the run, or end]",
)
@prompt_option
@tokens_option
@click.option(
    "--streams",
    type=Value(whole(1)),
    default=1,
    show_default=True,
    help=f"Score N pieces of TEXT side by side, each after the {WARM_UP} symbols before it: much "
    "faster, and nearly the same result.",
)
@click.option(
    "--trace", "as_trace", is_flag=True, help="Print the C program's line for each byte or token."
)
@click.option(
    "--lines", "as_lines", is_flag=True, help="Print the mean loss of each line, a tab, and it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    weights: str,
    text: str,
    cfg: str | None,
    dialect: str,
    val: float | None,
    val_from: str | None,
    prompt: bytes | None,
    tokens: str | None,
    streams: int,
    as_trace: bool,
    as_lines: bool,
    as_json: bool,
) -> None:
    """Score how well the network of WEIGHTS predicts TEXT.

    TEXT is a file, a folder, or - for stdin; for a network of tokens it holds their numbers, or
    their names with --tokens.
    The network starts from a zero state and reads the prompt, which is not scored. Of the text, the
    first symbol is read and the others are predicted, in one stream or in --streams.

    Prints the mean loss in nats and in bits, per byte or token and, if the text has characters of
    several bytes, per character. Lower is better. The perplexity is the number of equally likely
    symbols that would surprise as much.

    \b
    Examples:
      darknet-py valid backup/tiny_best.weights mybook.txt --val .1
      darknet-py valid backup mybook.txt --json
      darknet-py valid backup mybook.txt --streams 64
      darknet-py valid backup names.txt --lines
    """
    if as_trace + as_lines + (streams > 1) > 1:
        raise click.UsageError("Give one of --trace, --lines and --streams.")
    if as_lines and val is not None:
        raise click.UsageError("--lines scores all lines: leave out --val.")
    net = open_network(weights, cfg, dialect)
    known = Symbols.of(net, tokens)
    if as_lines:
        _score_lines(net, known, text, prompt, as_json)
        return
    symbols = known.read_file(text)
    if not known.is_tokens:
        warn_of_encoding(symbols, text, "scored")
    plan = _plan_of(weights)
    if val is not None:
        val_from = val_from or _as_in_run(plan)
        symbols = split(symbols, val, val_from)[1]
    _check_part(plan, text, val, val_from)
    if len(symbols) < 2:
        raise CorpusError(
            f"{text} has {counted(len(symbols), known.unit)} to score; at least 2 are needed"
        )
    start = known.prompt(prompt)
    if as_trace:
        for now in trace(net, symbols, start):
            bpc = "" if net.dialect == ALEXEYAB else f"BPC: {now.bits:4.4f}   "
            words = now.word_perplexity
            by_word = "" if words is None else f"    Word Perplexity: {words:4.4f}"
            click.echo(f"{now.symbols} {bpc}Perplexity: {now.perplexity:4.4f}{by_word}")
        return
    from threadpoolctl import threadpool_limits

    threads = scoring_threads(net) if streams > 1 else None
    if streams == 1 and len(symbols) >= LONG:
        log.info(
            "--streams 64 scores a text of this length much faster, with nearly the same result"
        )
    limits = threadpool_limits(threads, user_api="blas")
    with progress_bar("scoring the text") as progress, limits:
        score = evaluate(net, symbols, start, streams=streams, progress=progress)
    if as_json:
        print_json(dataclasses.asdict(score))
        return
    unit = known.unit
    rows = [(f"{unit}s", f"{score.symbols:,}")]
    rates = [(f"nats per {unit}", score.nats), (f"bits per {unit}", score.bits)]
    if score.characters and score.characters * LONGER < score.symbols:
        # A text with longer characters: what is predicted is a byte.
        rows.append(("characters", f"{score.characters:,}"))
        each = score.symbols / score.characters
        rates += [("nats per character", score.nats * each)]
        rates += [("bits per character", score.bits * each)]
    rows += [(name, f"{rate:.4f}") for name, rate in rates]
    rows.append(("perplexity", rounded_perplexity(score.perplexity)))
    if score.has_words and score.word_perplexity is not None:
        rows.append(("word perplexity", rounded_perplexity(score.word_perplexity)))
    for name, value in rows:
        click.echo(f"{name:20}{value}")


def _score_lines(
    net: Network, known: Symbols, source: str, prompt: bytes | None, as_json: bool
) -> None:
    """Print the score of each line of a text."""
    lines = [line for _, data in read_pieces(source) for line in split_lines(data)]
    with progress_bar("scoring the lines") as progress:
        scores = evaluate_lines(net, lines, known.prompt(prompt), symbols=known, progress=progress)
    if as_json:
        shown = (line.decode("utf-8", "replace") for line in lines)
        pairs = zip(shown, scores, strict=True)
        print_json([{"line": line, **dataclasses.asdict(score)} for line, score in pairs])
        return
    for line, score in zip(lines, scores, strict=True):
        write_line(f"{score.nats:.4f}\t".encode() + line)


def _plan_of(weights: str) -> Plan | None:
    """That of the run which made these weights, if it is known."""
    try:
        return read_checkpoint(state_beside(find_weights(weights))).plan
    except TrainingError:
        return None


def _as_in_run(plan: Plan | None) -> str:
    """Where the run took its held-out part."""
    if plan is None or plan.val_from == HELD_OUT_FROM[0]:
        return HELD_OUT_FROM[0]
    log.info("held-out part: from %s, as in the run; --val-from chooses another", plan.val_from)
    return plan.val_from


def _check_part(plan: Plan | None, text: str, val: float | None, val_from: str | None) -> None:
    """Warn if what is scored of the run's text is not what the run held out."""
    place = os.path.abspath(text)
    if plan is None or place not in (plan.data, plan.val):
        return
    if place != plan.data:
        if val is not None:
            log.warning("warning: the run held out all of this text: leave out --val to score it")
        return
    held_out = ""
    if isinstance(plan.val, str):
        held_out = f"; {plan.val} is the held-out text"
    elif plan.val:
        if (val, val_from) == (plan.val, plan.val_from):
            return
        where = "" if val_from in (None, plan.val_from) else f" --val-from {plan.val_from}"
        held_out = f"; --val {plan.val:g}{where} scores only the part that was held out"
    log.warning("warning: the network was trained on this text%s", held_out)
