"""darknet-py generate"""

from __future__ import annotations

import logging
from typing import Any

import click

from darknet_py.cli.console import TextWriter
from darknet_py.cli.options import (
    CONTEXT,
    SEED,
    above_zero,
    cfg_option,
    dialect_option,
    escaped,
    prompt_option,
    prompt_or_default,
    up_to_one,
    verbosity_options,
)
from darknet_py.corpus import read_text, read_token_names
from darknet_py.finding import open_network
from darknet_py.generation import generate, generate_samples
from darknet_py.rand import seed_from_clock
from darknet_py.sampling import Sampling

log = logging.getLogger("darknet_py.generate")

SIDE_BY_SIDE = 64  # samples that are drawn at once, before the first is printed
LONGEST_SAMPLE = 10_000_000  # symbols


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
@click.option(
    "--top-k", type=click.IntRange(0), default=0, help="Draw from the K likeliest symbols only."
)
@click.option(
    "--top-p",
    type=up_to_one,
    metavar="NUMBER",
    default=1.0,
    help="Draw from the likeliest symbols that together have this probability.",
)
@click.option("--greedy", is_flag=True, help="Take the likeliest symbol each time.")
@click.option("--seed", type=SEED, help="As srand(N); else drawn from the clock, and printed.")
@prompt_option
@click.option("--prompt-file", metavar="FILE", help="Start from the text of a file; - is stdin.")
@click.option("--no-prompt", is_flag=True, help="Print only what follows the prompt.")
@click.option(
    "--stop", type=escaped, metavar="TEXT", help="End once this has been written; escapes as above."
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Texts to write; the k-th is that of --seed N+k.",
)
@click.option("--interactive", is_flag=True, help="Write in turns: type, and the text goes on.")
@click.option("--tokens", metavar="FILE", help="Names of symbols, one a line; <NEWLINE> is one.")
@click.option("--raw", is_flag=True, help="Bytes as they are, also on a terminal.")
@verbosity_options
def command(
    weights: str,
    cfg: str | None,
    dialect: str,
    length: int,
    temperature: float,
    top_k: int,
    top_p: float,
    greedy: bool,
    seed: int | None,
    prompt: bytes | None,
    prompt_file: str | None,
    no_prompt: bool,
    stop: bytes | None,
    samples: int,
    interactive: bool,
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
      darknet-py generate backup --top-p .9 --samples 4 --no-prompt
      darknet-py generate backup --interactive
    """
    if prompt is not None and prompt_file is not None:
        raise click.UsageError("--prompt and --prompt-file: expected one of them.")
    if samples > 1 and length > LONGEST_SAMPLE:
        raise click.UsageError(f"--samples: expected a --length of up to {LONGEST_SAMPLE:,}.")
    net = open_network(weights, cfg, dialect)
    if seed is None:
        seed = seed_from_clock()
        log.info("seed %d", seed)
    names = None
    if tokens is not None:
        names = read_token_names(tokens)
    elif not net.writes_bytes:
        names = [str(symbol) for symbol in range(net.outputs)]
    start: list[int] | bytes = prompt_or_default(prompt, net.inputs) or b"\0"
    if prompt_file is not None:
        start = read_text(prompt_file, net.net.tokenized).tolist()
    if interactive:
        from darknet_py.cli.interactive import Dialogue

        sampling = Sampling(temperature, top_k, top_p, greedy)
        given = start if prompt is not None or prompt_file is not None else b""
        Dialogue(net, seed, sampling, length, TextWriter(raw, names)).run(given)
        return
    how: dict[str, Any] = {"top_k": top_k, "top_p": top_p, "greedy": greedy, "stop": stop or b""}
    shown = b"" if no_prompt else start
    if samples > 1:
        for first in range(0, samples, SIDE_BY_SIDE):
            count = min(SIDE_BY_SIDE, samples - first)
            texts = generate_samples(net, start, length, temperature, seed + first, count, **how)
            for number, text in enumerate(texts, seed + first):
                click.echo(f"--- seed {number % 2**32}")
                with TextWriter(raw, names) as writer:
                    writer.write(shown)
                    writer.write(text)
        return
    symbols = generate(net, start, length, temperature, seed, **how)
    with TextWriter(raw, names) as writer:
        writer.write(shown)
        for symbol in symbols:
            writer.write([symbol])
