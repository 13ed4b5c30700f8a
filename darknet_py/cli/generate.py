"""darknet-py generate"""

from __future__ import annotations

import logging

import click

from darknet_py.checks import whole
from darknet_py.cli.commands import Command
from darknet_py.cli.console import TextWriter, write_line
from darknet_py.cli.options import (
    TEMPERATURE,
    cfg_option,
    dialect_option,
    escaped,
    prompt_option,
    sampling_of,
    tokens_option,
)
from darknet_py.cli.values import FILE, SEED, Value
from darknet_py.inference.generation import generate, generate_samples
from darknet_py.inference.sampling import TOP_P
from darknet_py.loading.finding import open_network
from darknet_py.rand import seed_from_clock, seed_of_text
from darknet_py.terminal.progress import progress_bar
from darknet_py.text.symbols import Symbols

log = logging.getLogger("darknet_py.generate")

SIDE_BY_SIDE = 64  # samples that are drawn at once, before the first is printed
LONGEST_SAMPLE = 10_000_000  # symbols


@click.command("generate", cls=Command, short_help="Let a network write text.")
@click.argument("weights", type=FILE)
@cfg_option
@dialect_option
@click.option(
    "--length",
    type=Value(whole()),
    default=1000,
    show_default=True,
    help="Bytes to write, or tokens; 300 a turn with --interactive.",
)
@click.option(
    "--temperature",
    type=Value(TEMPERATURE),
    default=0.7,
    show_default=True,
    help="Below 1 is more careful, above 1 bolder; 0 always takes the most likely symbol.",
)
@click.option(
    "--top-k",
    type=Value(whole()),
    default=0,
    help="Draw only from the K most likely symbols; 0 means all.",
)
@click.option(
    "--top-p",
    type=Value(TOP_P),
    default=1.0,
    help="Draw only from the most likely symbols that together have this probability.",
)
@click.option("--greedy", is_flag=True, help="Take the most likely symbol each time.")
@click.option(
    "--seed",
    type=SEED,
    help="Start of the random numbers: the same seed repeats a text.  [default: random, and "
    "printed]",
)
@prompt_option
@click.option(
    "--prompt-file",
    type=FILE,
    help="Start from the text of a file; - is stdin.",
)
@click.option("--no-prompt", is_flag=True, help="Print only what follows the prompt.")
@click.option(
    "--stop",
    type=escaped,
    metavar="TEXT",
    help="End once this has been written; same escapes as --prompt.",
)
@click.option(
    "--samples",
    type=Value(whole(1)),
    default=1,
    show_default=True,
    help="Number of texts, with the seeds N, N+1, ... (from --seed 0: 1, 2, ..., as in C).",
)
@click.option(
    "--separator",
    type=escaped,
    metavar="TEXT",
    help="A line between the texts of --samples; same escapes as --prompt.",
)
@click.option(
    "--interactive", is_flag=True, help="Write in turns: you type, the network continues."
)
@tokens_option
@click.option("--raw", is_flag=True, help="Write every byte as it is, even on a terminal.")
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
    separator: bytes | None,
    interactive: bool,
    tokens: str | None,
    raw: bool,
) -> None:
    """Print text that the network of WEIGHTS writes, as it is drawn.

    WEIGHTS is a weights file or the folder of a run, whose best weights are taken (or the final
    ones, the backup, or its only weights file). With the same weights, seed, temperature, prompt
    and length the text is the C program's.

    For a network of tokens, give --prompt and --stop as numbers, or with --tokens as names. Each
    number or name is printed with a space after it.

    \b
    Examples:
      darknet-py generate backup/tiny_best.weights
      darknet-py generate backup --temperature .5 --prompt "Once" --length 300
      darknet-py generate backup --top-p .9 --samples 4 --no-prompt
      darknet-py generate backup --interactive
    """
    if prompt is not None and prompt_file is not None:
        raise click.UsageError("Give --prompt or --prompt-file, not both.")
    if interactive and samples > 1:
        raise click.UsageError("--interactive writes one text: leave out --samples.")
    if samples > 1 and length > LONGEST_SAMPLE:
        raise click.UsageError(f"With --samples, --length can be at most {LONGEST_SAMPLE:,}.")
    net = open_network(weights, cfg, dialect)
    if seed is None:
        seed = seed_from_clock()
        log.info("seed %d (random; --seed %d repeats this text)", seed, seed)
    symbols = Symbols.of(net, tokens, names_of_bytes=True)
    # An empty prompt lets symbol 0 be fed, as in C, which is no part of the text.
    if prompt_file is None:
        start = symbols.prompt(prompt)
    else:
        start = symbols.read_file(prompt_file).tolist()
    until = symbols.read(stop or b"", "--stop").tolist()
    sampling = sampling_of(temperature, top_k, top_p, greedy)
    if interactive:
        from darknet_py.cli.interactive import TURN, Dialogue

        source = click.get_current_context().get_parameter_source("length")
        length = TURN if source is click.core.ParameterSource.DEFAULT else length
        given = start if prompt is not None or prompt_file is not None else []
        Dialogue(net, symbols, seed, sampling, length, raw).run(given)
        return
    shown = [] if no_prompt else start
    if samples > 1 and sampling.greedy:
        log.info("one text: without chance, all --samples would be the same")
        samples = 1
    if samples > 1:
        for first in range(0, samples, SIDE_BY_SIDE):
            count = min(SIDE_BY_SIDE, samples - first)
            begin = seed_of_text(seed, first)
            with progress_bar("reading the prompt") as progress:
                texts = generate_samples(
                    net,
                    start,
                    length,
                    seed=begin,
                    samples=count,
                    sampling=sampling,
                    stop=until,
                    progress=progress,
                )
            for number, text in enumerate(texts):
                if separator is not None and first + number:
                    write_line(separator)
                log.info("seed %d", seed_of_text(begin, number))
                with TextWriter(raw, symbols.names) as writer:
                    writer.write(shown)
                    writer.write(text)
        return
    with progress_bar("reading the prompt") as progress:
        drawn = generate(
            net, start, length, seed=seed, sampling=sampling, stop=until, progress=progress
        )
    with TextWriter(raw, symbols.names) as writer:
        writer.write(shown)
        for symbol in drawn:
            writer.write([symbol])
