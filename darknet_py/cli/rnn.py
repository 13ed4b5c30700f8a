"""darknet-py rnn: the C program's own command lines, with its options, formats and arithmetic."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from darknet_py.c_exact import CNetwork
from darknet_py.c_exact import text as c_text
from darknet_py.c_exact.training import KEEP_EVERY, SAVE_EVERY
from darknet_py.c_exact.training import train as c_train
from darknet_py.cfg import find_cfg
from darknet_py.checks import unknown_symbol, whole
from darknet_py.cli.commands import Command, Group, is_quiet
from darknet_py.cli.console import TextWriter, write_line
from darknet_py.cli.options import graphics_options, show_cfg_warnings
from darknet_py.cli.values import CFG, FILE, Value
from darknet_py.dialect import ALEXEYAB, UPSTREAM
from darknet_py.errors import CorpusError, CostWarning, DarknetWarning
from darknet_py.files import base_name
from darknet_py.loading.building import network_as_in_c, network_for_training
from darknet_py.loading.finding import ONE_STREAM
from darknet_py.network import Network
from darknet_py.options import override
from darknet_py.rand import Rand
from darknet_py.terminal.messages import is_terminal, say
from darknet_py.text.corpus import check_known, read_lines, read_text
from darknet_py.text.symbols import warn_of_count

log = logging.getLogger("darknet_py.rnn")

DEFAULT_FILE = "data/shakespeare.txt"
DEFAULT_PROMPT = b"\n\n"
BACKUP = Path("backup")
# What C's `rand` starts from where nothing calls `srand`, as in valid, validtactic and vec.
UNSEEDED = 1
SEED = Value(whole(-(2**31), 2**32 - 1))  # an int or unsigned int of C
# Of C's options, those that a command uses; it accepts the others, which its help leaves out.
USED = {
    "train": ("-file", "-clear", "-tokenized", "-srand"),
    "valid": ("-seed",),
    "validtactic": ("-seed",),
    "vec": ("-seed",),
    "generate": ("-seed", "-len", "-temp", "-srand", "-tokens"),
    "generatetactic": ("-len", "-temp", "-srand", "-tokens"),
}
EXAMPLES = {
    "train": "rnn.train -file mybook.txt",
    "valid": "rnn rnn.weights < mybook.txt",
    "validtactic": "rnn rnn.weights < proofs.txt",
    "vec": "rnn rnn.weights < words.txt",
    "generate": 'rnn rnn.weights -len 500 -temp .5 -seed "Once"',
    "generatetactic": "rnn rnn.weights -len 500 < prompt.txt",
}


@click.group("rnn", cls=Group, short_help="Run the C program's own command lines.")
@graphics_options
def command() -> None:
    """The C program's `darknet rnn ...` commands, in its arithmetic.

    They are exact to the last digit, and slow. For real work use `darknet-py train` and `darknet-py
    generate`.

    \b
    Example:
      darknet-py rnn generate rnn rnn.weights -len 500 -temp .5 -srand 1
    """


def _value(
    names: str, metavar: str, about: str, kind: Any = str, default: object = None
) -> click.Option:
    """An option with a value; as in C, the first one counts if it is given twice."""
    return click.Option(
        names.split(),
        type=kind,
        metavar=metavar,
        help=about,
        multiple=True,
        default=[] if default is None else [default],
        show_default=default is not None,
        callback=lambda context, parameter, values: values[0] if values else None,
    )


def _parameters(name: str) -> list[click.Parameter]:
    """What all commands of C accept; the help shows the options that this one uses."""
    options = [
        _value("-file data", "F", "Text to train on.", FILE, DEFAULT_FILE),
        _value("-seed", "S", "Text to start from.  [default: two newlines]"),
        _value("-len length", "N", "Bytes to write, or tokens.", int, 1000),
        _value("-temp", "T", "Temperature: below 1 is more careful, above 1 bolder.", float, 0.7),
        _value("-srand", "N", "Random seed.  [default: the time]", SEED),
        click.Option(["-clear"], is_flag=True, help="Count symbols trained on from 0."),
        click.Option(["-tokenized"], is_flag=True, help="The text consists of integers."),
        _value("-tokens", "F", "Names of symbols, one per line.", FILE),
    ]
    for option in options:
        option.hidden = option.opts[0] not in USED[name]
    weights = click.Argument(
        ["weights"], required=False, type=FILE, callback=lambda *called: called[2] or None
    )
    return [click.Argument(["cfg"], type=CFG), weights, *options]


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A subcommand with the arguments and options that all of them accept, as in C."""

    def decorate(function: Callable[..., None]) -> click.Command:
        example = f"darknet-py rnn {name} {EXAMPLES[name]}"
        others = "The C program's other options are accepted too."
        about = f"{function.__doc__}\n\n{others}\n\n\b\nExample:\n  {example}"
        make = command.command(name, cls=Command, params=_parameters(name), help=about)
        return make(graphics_options(function))

    return decorate


def _seed(srand: int | None) -> int:
    """What `srand` gets: an unsigned int, by default from the clock."""
    return (int(time.time()) if srand is None else srand) % 2**32


def _one_stream(cfg: str, weights: str | None, seed: int) -> Network:
    """The network at one stream and step, its random numbers where C's are after building it.

    seed: that of `srand`.
    """
    single = override(find_cfg(cfg).as_darknet_draws(), ONE_STREAM)
    if weights is None:
        log.info("no weights file is given: the parameters of the network are random")
    return network_as_in_c(single, weights, seed)


def _prompt(net: Network, seed: str | None) -> bytes:
    """The bytes of `-seed`, from which AlexeyAB's program deletes all blanks but spaces.

    The default, which that program does not touch, stays as it is even if it is given.
    """
    prompt = DEFAULT_PROMPT if seed is None else os.fsencode(seed)
    if net.dialect == ALEXEYAB and prompt != DEFAULT_PROMPT:
        prompt = prompt.translate(None, b"\t\n\r")
    _warn_of_unknown(prompt, net, "-seed")
    return prompt


def _warn_of_unknown(symbols: bytes, net: Network, name: str) -> bool:
    """Whether there are symbols that C feeds as an input of zeros; a DarknetWarning of the first.

    name: of what they come from.
    """
    offset = unknown_symbol(np.frombuffer(symbols, np.uint8), net.inputs)
    if offset is not None:
        message = (
            f"{name}: symbol {symbols[offset]} at offset {offset} is not one of the network's "
            f"{net.inputs}; such symbols are fed as zeros, as in C"
        )
        warnings.warn(message, DarknetWarning, stacklevel=2)
    return offset is not None


@_command("train")
@click.option(
    "--gradient",
    type=click.Choice(["darknet-cpu", "exact"]),
    default="darknet-cpu",
    show_default=True,
    help="darknet-cpu computes as the C program does, exact as `darknet-py train`.",
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
    seed = _seed(srand)
    if data == DEFAULT_FILE and not os.path.exists(data):
        raise CorpusError(
            f"give a text to train on: -file mybook.txt (by default, as in C, it is {data}, which "
            f"is not there)"
        )
    if gradient == "exact":
        from darknet_py.cli.train import run_training

        given = {"weights": weights, "clear": clear, "seed": seed, "tokenized": tokenized}
        run_training(cfg, data, val=0.0, **given)
        return
    with warnings.catch_warnings():
        # In C's arithmetic a [cost] after a [softmax] counts.
        warnings.simplefilter("ignore", CostWarning)
        net = network_for_training(find_cfg(cfg).as_darknet_draws(), weights, Rand(seed))
    if clear:
        net.seen = 0
    text = read_text(data, tokenized or net.options.tokenized, nul="end")
    check_known(text, net.inputs, data)
    c_net = CNetwork(net)
    c_net.check_trainable()
    say(
        "training C-exactly, the C program's mistakes included; `darknet-py train` trains "
        "correctly and faster"
    )
    base = BACKUP / base_name(cfg)
    if net.options.max_batches:
        log.info(
            f"files: {base}.backup every {SAVE_EVERY} batches, {base}_N.weights every "
            f"{KEEP_EVERY:,}, {base}_final.weights at batch {net.options.max_batches:,}, the end; "
            f"Ctrl-C saves nothing"
        )
    saved: list[str] = []
    try:
        for line in c_train(c_net, text, BACKUP, saved.append):
            if not is_quiet():
                say(line)
    except KeyboardInterrupt:
        last = saved[-1] if saved else weights
        if last is None:
            say(f"stopped before anything was saved, which is every {SAVE_EVERY} batches")
        else:
            more = ["-tokenized"] if tokenized else []
            words = ["darknet-py", "rnn", "train", cfg, last, "-file", data, *more]
            say(f"stopped; to continue from {last}: {shlex.join(words)}")
        raise
    if saved and not is_quiet():
        words = ["darknet-py", "rnn", "generate", cfg, saved[-1]]
        say(f"saved {saved[-1]}; next: {shlex.join(words)}")


@_command("generate")
def generate(
    cfg: str,
    weights: str | None,
    seed: str | None,
    length: int,
    temp: float,
    srand: int | None,
    tokens: str | None,
    **_: object,
) -> None:
    """Print the prompt and generated text."""
    number = _seed(srand)
    net = _one_stream(cfg, weights, number)
    prompt = _prompt(net, seed)
    if seed is not None and seed.isdecimal() and srand is None:
        log.info("-seed %s is the text to start from, as in C; for random numbers: -srand", seed)
    symbols = c_text.generate(CNetwork(net), prompt, length, temp, net.rand)
    _print_symbols(symbols, tokens, net, number if srand is None else None)


@_command("generatetactic")
def generatetactic(
    cfg: str,
    weights: str | None,
    length: int,
    temp: float,
    srand: int | None,
    tokens: str | None,
    data: str,
    **_: object,
) -> None:
    """Continue the text on stdin, up to a full stop at a line's end."""
    number = _seed(srand)
    net = _one_stream(cfg, weights, number)
    prompt = _text_on_stdin(data)
    _warn_of_unknown(prompt, net, "stdin")
    symbols = c_text.generate_tactic(CNetwork(net), prompt, length, temp, net.rand)
    _print_symbols(symbols, tokens, net, number if srand is None else None)


def _print_symbols(
    symbols: Iterable[int], tokens: str | None, net: Network, drawn: int | None
) -> None:
    """drawn: the seed if it was taken from the clock, so that the text can be repeated."""
    names = None
    if tokens is not None:
        names = c_text.read_token_names(tokens, net.dialect)
        warn_of_count(names, tokens, net)
    if drawn is not None:
        log.info("srand %d (the time; -srand %d repeats this text)", drawn, drawn)
    if names is None:
        # C prints the low byte of a token.
        symbols = (symbol & 255 for symbol in symbols)
    # C writes every byte, even those of a character that is cut.
    with TextWriter(raw=not is_terminal(sys.stdout), names=names) as writer:
        for symbol in symbols:
            writer.write([symbol])


def _warn_of_file(data: str) -> None:
    """Warn that a text that is named, as for `train`, is not read."""
    if data != DEFAULT_FILE:
        log.warning(
            "warning: -file is only for rnn train; as in C, the text comes from stdin: < %s",
            shlex.quote(data),
        )


def _text_on_stdin(data: str) -> bytes:
    """The text to read. data: what `-file` has, which is for `train`."""
    _warn_of_file(data)
    return read_text("-", nul="keep").tobytes()


@_command("valid")
def valid(cfg: str, weights: str | None, seed: str | None, data: str, **_: object) -> None:
    """Score the text on stdin, a line per byte."""
    net = _one_stream(cfg, weights, UNSEEDED)
    text, prompt = _text_on_stdin(data), _prompt(net, seed)
    for line in c_text.valid(CNetwork(net), text, prompt, bpc=net.dialect == UPSTREAM):
        click.echo(line)


@_command("validtactic")
def validtactic(cfg: str, weights: str | None, seed: str | None, data: str, **_: object) -> None:
    """Score the parts of stdin from >> to a full stop at a line's end."""
    net = _one_stream(cfg, weights, UNSEEDED)
    text, prompt = _text_on_stdin(data), _prompt(net, seed)
    for line in c_text.valid_tactic(CNetwork(net), text, prompt):
        click.echo(line)


@_command("vec")
def vec(cfg: str, weights: str | None, seed: str | None, data: str, **_: object) -> None:
    """Print layer 0's outputs after each line of stdin."""
    net = _one_stream(cfg, weights, UNSEEDED)
    _warn_of_file(data)
    prompt = _prompt(net, seed)
    for line in c_text.vec(CNetwork(net), _lines(net), prompt):
        write_line(line)


def _lines(net: Network) -> Iterator[bytes]:
    """The lines of stdin, with a warning of the first symbol that the network does not know."""
    warned = False
    for number, line in enumerate(read_lines("-", as_in_c=True), 1):
        warned = warned or _warn_of_unknown(line, net, f"stdin: line {number}")
        yield line
