"""darknet-py rnn: the C program's own command lines, with its options, formats and arithmetic."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click
import numpy as np

from darknet_py.cfg import find_cfg
from darknet_py.cli.console import TextWriter, say, write_line
from darknet_py.cli.options import (
    CONTEXT,
    SEED,
    above_zero,
    is_quiet,
    show_cfg_warnings,
    verbosity_options,
)
from darknet_py.corpus import check_known, read_lines, read_text, read_token_names
from darknet_py.dialect import UPSTREAM
from darknet_py.errors import CostWarning
from darknet_py.loading import load_network, network_for_training
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.replay import Replay
from darknet_py.replay import text as replay_text
from darknet_py.replay.training import train as replay_train

F = TypeVar("F", bound=Callable[..., object])
DEFAULT_FILE = "data/shakespeare.txt"
BACKUP = Path("backup")
EXAMPLES = {
    "train": "rnn.train -file mybook.txt",
    "valid": "rnn rnn.weights < mybook.txt",
    "validtactic": "rnn rnn.weights < proofs.txt",
    "vec": "rnn rnn.weights < words.txt",
    "generate": 'rnn rnn.weights -len 500 -temp .5 -srand 1 -seed "Once"',
    "generatetactic": "rnn rnn.weights -len 500 < prompt.txt",
}


@click.group("rnn", context_settings=CONTEXT)
@verbosity_options
def command() -> None:
    """The C program's commands, in its arithmetic: `darknet rnn ...` as it was meant.

    They are slow and exact to the last digit. For real work there are `darknet-py train` and
    `darknet-py generate`.

    \b
    Example:
      darknet-py rnn generate rnn rnn.weights -len 500 -temp .5 -srand 1
    """


def _command(name: str) -> Callable[[F], click.Command]:
    """A subcommand with the arguments and options that all of them accept, as in C."""

    def decorate(function: F) -> click.Command:
        example = f"darknet-py rnn {name} {EXAMPLES[name]}"
        function.__doc__ = f"{function.__doc__}\n\n\b\nExample:\n  {example}"
        wrapped = verbosity_options(function)
        for option in (
            click.option("-tokens", metavar="F", help="Names of symbols, one a line."),
            click.option("-tokenized", is_flag=True, help="The text is integers."),
            click.option("-clear", is_flag=True, help="Set `seen` to 0."),
            click.option("-srand", type=SEED, metavar="N", help="Seed; else the clock."),
            click.option(
                "-temp",
                default=0.7,
                show_default=True,
                metavar="T",
                help="Temperature.",
                type=above_zero,
            ),
            click.option(
                "-len", "length", default=1000, show_default=True, metavar="N", help="Symbols."
            ),
            click.option("-seed", default="\n\n", metavar="S", help="Prompt; else two newlines."),
            click.option(
                "-file", "data", default=DEFAULT_FILE, show_default=True, metavar="F", help="Text."
            ),
            click.argument("weights", required=False),
            click.argument("cfg"),
        ):
            wrapped = option(wrapped)
        return command.command(name, context_settings=CONTEXT)(wrapped)

    return decorate


def _clock() -> int:
    return int(time.time())


def _one_stream(cfg: str, weights: str | None, srand: int | None) -> Network:
    """The network at one stream and step, its random numbers where C's are after building it."""
    seed = _clock() if srand is None else srand
    return load_network(cfg, weights, seed=seed, batch=1, time_steps=1)


def _prompt(net: Network, seed: str) -> bytes:
    prompt = os.fsencode(seed)
    check_known(np.frombuffer(prompt, np.uint8), net.inputs, "-seed")
    return prompt


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


@_command("train")
@click.option(
    "--gradient",
    type=click.Choice(["darknet-cpu", "exact"]),
    default="darknet-cpu",
    help="exact trains as `darknet-py train` does.",
)
def train(
    cfg: str,
    weights: str | None,
    data: str,
    srand: int | None,
    clear: bool,
    tokenized: bool,
    gradient: str,
    **_: object,
) -> None:
    """Train as C does, digit for digit; files go to ./backup."""
    show_cfg_warnings()
    seed = _clock() if srand is None else srand
    if gradient == "exact":
        from darknet_py.cli.train import run_training

        run_training(
            cfg, data, weights=weights, clear=clear, seed=seed, val=0.0, tokenized=tokenized
        )
        return
    with warnings.catch_warnings():
        # In C's arithmetic a [cost] after a [softmax] counts.
        warnings.simplefilter("ignore", CostWarning)
        net = network_for_training(find_cfg(cfg).as_darknet_draws(), weights, Rand(seed))
    if clear:
        net.seen = 0
    text = read_text(data, tokenized or net.net.tokenized, until_nul=True)
    check_known(text, net.inputs, data)
    replay = Replay(net)
    replay.check_trainable()
    say("replaying the C program's arithmetic; for real work `darknet-py train` is the one to use")
    for line in replay_train(replay, text, BACKUP):
        if not is_quiet():
            say(line)


@_command("generate")
def generate(
    cfg: str,
    weights: str | None,
    seed: str,
    length: int,
    temp: float,
    srand: int | None,
    tokens: str | None,
    **_: object,
) -> None:
    """Print the prompt and generated text."""
    net = _one_stream(cfg, weights, srand)
    prompt = _prompt(net, seed)
    symbols = replay_text.generate(Replay(net), prompt, length, temp, net.rand)
    _print_symbols(symbols, tokens)


@_command("generatetactic")
def generatetactic(
    cfg: str,
    weights: str | None,
    length: int,
    temp: float,
    srand: int | None,
    tokens: str | None,
    **_: object,
) -> None:
    """Go on from stdin, to a line's end after a full stop."""
    net = _one_stream(cfg, weights, srand)
    prompt = read_text("-", until_nul=True)
    check_known(prompt, net.inputs, "stdin")
    symbols = replay_text.generate_tactic(Replay(net), prompt.tolist(), length, temp, net.rand)
    _print_symbols(symbols, tokens)


def _print_symbols(symbols: Iterable[int], tokens: str | None) -> None:
    names = None if tokens is None else read_token_names(tokens)
    with TextWriter(raw=False, names=names) as writer:
        for symbol in symbols:
            writer.write([symbol])


@_command("valid")
def valid(cfg: str, weights: str | None, seed: str, srand: int | None, **_: object) -> None:
    """Score the text on stdin, a line per character."""
    net = _one_stream(cfg, weights, srand)
    text, prompt = read_text("-").tolist(), _prompt(net, seed)
    _print_lines(replay_text.valid(Replay(net), text, prompt, bpc=net.dialect is UPSTREAM))


@_command("validtactic")
def validtactic(cfg: str, weights: str | None, seed: str, srand: int | None, **_: object) -> None:
    """Score the parts of stdin from >> to a full stop at a line's end."""
    net = _one_stream(cfg, weights, srand)
    text, prompt = read_text("-").tolist(), _prompt(net, seed)
    _print_lines(replay_text.valid_tactic(Replay(net), text, prompt))


@_command("vec")
def vec(cfg: str, weights: str | None, seed: str, srand: int | None, **_: object) -> None:
    """Print layer 0's outputs after each line of stdin."""
    net = _one_stream(cfg, weights, srand)
    prompt = _prompt(net, seed)
    for line in replay_text.vec(Replay(net), read_lines("-"), prompt):
        write_line(line)
