"""darknet-py vec"""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np

from darknet_py.checks import whole
from darknet_py.cli.commands import Command
from darknet_py.cli.console import write_line
from darknet_py.cli.options import (
    cfg_option,
    dialect_option,
    force_option,
    prompt_option,
    tokens_option,
)
from darknet_py.cli.values import FILE, Value
from darknet_py.files import check_targets, write_whole
from darknet_py.inference.evaluation import hidden_vectors
from darknet_py.loading.finding import find_cfg_of, find_weights, open_network
from darknet_py.text.corpus import read_lines
from darknet_py.text.symbols import Symbols


@click.command("vec", cls=Command, short_help="Print what a layer makes of each line of a text.")
@click.argument("weights", type=FILE)
@click.argument("lines", default="-", type=FILE)
@cfg_option
@dialect_option
@prompt_option
@tokens_option
@click.option("--carry", is_flag=True, help="Carry the state from line to line, as C does.")
@click.option(
    "--layer",
    type=Value(whole()),
    default=0,
    show_default=True,
    help="Layer whose outputs to print.",
)
@click.option(
    "--npy",
    type=FILE,
    help="Also save the outputs as an array (lines, outputs).",
)
@force_option
def command(
    weights: str,
    lines: str,
    cfg: str | None,
    dialect: str,
    prompt: bytes | None,
    tokens: str | None,
    carry: bool,
    layer: int,
    npy: str | None,
    force: bool,
) -> None:
    """Print the outputs of a layer after each line of LINES (a file, or - for stdin).

    The format is the C program's: the line without spaces and tabs, then the numbers. For a network
    of tokens a line holds their numbers, or with --tokens their names, and is printed with one
    space between them.

    \b
    Examples:
      darknet-py vec backup/tiny_best.weights words.txt
      darknet-py vec backup words.txt --layer 1 --npy vectors.npy
    """
    if npy is not None:
        source = find_weights(weights)
        read = (source, find_cfg_of(source, cfg).path, lines)
        check_targets([Path(npy)], read=read, force=force)
    net = open_network(weights, cfg, dialect)
    if layer >= len(net.layers):
        raise click.BadParameter(f"{layer}: the network has layers 0 to {len(net.layers) - 1}")
    symbols = Symbols.of(net, tokens)
    start = symbols.prompt(prompt)
    rows = []
    for line, vector in hidden_vectors(net, read_lines(lines), start, layer, carry, symbols):
        numbers = "".join(f",{number:g}" for number in vector.tolist())
        write_line(line + numbers.encode())
        rows.append(vector)
    if npy is not None:
        file = io.BytesIO()
        np.save(file, np.array(rows, np.float32).reshape(-1, net.layers[layer].outputs))
        write_whole(npy, [file.getvalue()])
