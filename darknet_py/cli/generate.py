"""darknet-py generate"""

from __future__ import annotations

import logging

import click

from darknet_py.cli.console import TextWriter
from darknet_py.cli.options import (
    CONTEXT,
    SEED,
    above_zero,
    cfg_option,
    dialect_option,
    prompt_option,
    prompt_or_default,
    verbosity_options,
)
from darknet_py.corpus import read_token_names
from darknet_py.finding import open_network
from darknet_py.generation import generate, generate_samples
from darknet_py.rand import seed_from_clock

log = logging.getLogger("darknet_py.generate")


@click.command("generate", context_settings=CONTEXT)
@click.argument("weights")
@cfg_option
@dialect_option
@click.option(
    "--length", type=click.IntRange(0), default=1000, show_default=True, help="Symbols to draw."
)
@click.option(
    "--temperature",
    type=above_zero,
    metavar="NUMBER",
    default=0.7,
    show_default=True,
    help="Below 1 is careful, above 1 is bold.",
)
@click.option("--seed", type=SEED, help="As srand(N); else drawn from the clock, and printed.")
@prompt_option
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Texts to write; the k-th is that of --seed N+k.",
)
@click.option("--tokens", metavar="FILE", help="Names of symbols, one a line; <NEWLINE> is one.")
@click.option("--raw", is_flag=True, help="Bytes as they are, also on a terminal.")
@verbosity_options
def command(
    weights: str,
    cfg: str | None,
    dialect: str,
    length: int,
    temperature: float,
    seed: int | None,
    prompt: bytes | None,
    samples: int,
    tokens: str | None,
    raw: bool,
) -> None:
    """Print text that the network of WEIGHTS writes, as it is drawn.

    WEIGHTS is a weights file, or a folder of a run: its best, else its final, else its backup
    file. With the same weights, seed, temperature, prompt and length the text is the C program's.

    \b
    Examples:
      darknet-py generate backup/tiny_best.weights
      darknet-py generate backup --temperature .5 --prompt "Once" --length 300
    """
    net = open_network(weights, cfg, dialect)
    if seed is None:
        seed = seed_from_clock()
        log.info("seed %d", seed)
    names = None
    if tokens is not None:
        names = read_token_names(tokens)
    elif net.net.tokenized or net.outputs > 256:
        names = [str(symbol) for symbol in range(net.outputs)]
    start = prompt_or_default(prompt, net.inputs) or b"\0"
    if samples > 1:
        for number, text in enumerate(
            generate_samples(net, start, length, temperature, seed, samples)
        ):
            click.echo(f"--- seed {seed + number}")
            with TextWriter(raw, names) as writer:
                writer.write(start)
                writer.write(text.tolist())
        return
    symbols = generate(net, start, length, temperature, seed)
    with TextWriter(raw, names) as writer:
        writer.write(start)
        for symbol in symbols:
            writer.write([symbol])
