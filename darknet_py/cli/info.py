"""darknet-py info"""

from __future__ import annotations

import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import click

from darknet_py.cfg import bundled_name, find_cfg
from darknet_py.cli.commands import Command
from darknet_py.cli.console import print_json
from darknet_py.cli.options import cfg_option, show_cfg_warnings
from darknet_py.cli.values import CFG
from darknet_py.errors import CfgError, CfgWarning, DarknetError, counted
from darknet_py.loading.building import dialect_of_new, network_of_weights, settle_hidden
from darknet_py.loading.finding import (
    ONE_STREAM,
    find_cfg_of,
    find_weights,
    holds_weights,
    say_newer,
)
from darknet_py.machine import memory, program_memory, trainable_memory
from darknet_py.network import Network
from darknet_py.options import override
from darknet_py.sizes import check_fits, row_bytes, training_bytes
from darknet_py.terminal.messages import USUAL, columns, is_terminal, visible
from darknet_py.text.symbols import unit_of
from darknet_py.training.validation import validation_rows
from darknet_py.weights import read_header


@click.command("info", cls=Command, short_help="Show the layers and size of a network.")
@click.argument("source", metavar="CFG|WEIGHTS", type=CFG)
@cfg_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: str, cfg: str | None, as_json: bool) -> None:
    """Show a network: its layers, memory to train, weights file, and whether it can be trained.

    A folder stands for the weights in it. If the weights cannot be loaded, the error comes after
    what can be shown.

    \b
    Examples:
      darknet-py info tiny
      darknet-py info backup/tiny_best.weights --json
    """
    show_cfg_warnings()
    facts, fault = _facts(source, cfg)
    if as_json:
        print_json(facts)
    else:
        _show(facts)
    if fault is not None:
        raise fault


def _show(facts: dict[str, Any]) -> None:
    """Print the facts, and the layers as a table."""
    width = columns(sys.stdout) if is_terminal(sys.stdout) else USUAL
    for name, text in _rows(facts):
        indent = f"{name:<12}"
        line = f"{indent}{visible(text, keep='')}"
        if is_terminal(sys.stdout) or name == "obstacle":
            line = textwrap.fill(
                line,
                min(width - 1, USUAL),
                subsequent_indent=" " * len(indent),
                break_long_words=False,
                break_on_hyphens=False,
            )
        click.echo(line)
    if facts["cfg"] is None:
        return
    click.echo()
    for line in _table(facts, is_narrow=width < USUAL):
        click.echo(line)


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what is not about single layers."""
    if facts["cfg"] is None:
        return _header_rows(facts["weights"], "symbol")
    name = bundled_name(facts["cfg"])
    rows = [("cfg", facts["cfg"] if name is None else f"{name}, which comes with darknet-py")]
    unit = facts["unit"]
    if facts["weights"]:
        rows += _header_rows(facts["weights"], unit)
    if facts["obstacle"]:
        rows.append(("obstacle", f"not trainable as it is: {facts['obstacle']}"))
    streams = counted(facts["streams"] * facts["subdivisions"], "stream")
    steps = counted(facts["time_steps"], "time step")
    parts = f" (in {facts['subdivisions']} parts)" if facts["subdivisions"] > 1 else ""
    return [
        *rows,
        (
            "batch",
            f"{streams} x {steps} = {counted(facts['symbols_per_update'], unit)} per update{parts}",
        ),
        ("memory", f"about {facts['peak_memory'] / 1e6:,.0f} MB to train, and the text"),
        (
            "validation",
            f"{facts['validation_memory'] / 1e6:,.1f} MB to score the held-out text (partly shared "
            f"with training)",
        ),
    ]


def _header_rows(header: dict[str, Any], unit: str) -> list[tuple[str, str]]:
    """Names and values of what a weights file tells by itself. unit: what one symbol is called."""
    transposed = ", transposed" if header["transposed"] else ""
    fit = [] if header["fit"] is None else [header["fit"]]
    return [
        ("weights", header["file"]),
        (
            "header",
            f"version {header['version']} ({header['header_bytes']} bytes, "
            f"{header['dialect']}{transposed})",
        ),
        ("trained on", f"{counted(header['seen'], unit)} (`seen`)"),
        ("parameters", ", ".join([f"{header['parameters']:,}", *fit])),
    ]


def _table(facts: dict[str, Any], is_narrow: bool) -> list[str]:
    """The layers; on a narrow terminal without what follows from the rest."""
    total, unit = facts["parameters"], facts["unit"]
    if is_narrow:
        return [
            "layer  kind     outputs  parameters",
            *(
                f"{row['index']:>5}  {row['kind']:<9}{row['outputs']:>7}{row['parameters']:>12,}"
                for row in facts["layers"]
            ),
            f"total{total:>30,}",
        ]
    return [
        f"layer  kind       inputs  outputs   parameters  share{f'ops/{unit}':>12}  activations",
        *(
            f"{row['index']:>5}  {row['kind']:<10}{row['inputs']:>7}{row['outputs']:>9}"
            f"{row['parameters']:>13,}{row['parameters'] / max(1, total):>7.1%}"
            f"{row['operations']:>12,}{row['memory'] / 1e6:>10,.1f} MB"
            for row in facts["layers"]
        ),
        f"total{total:>41,}{'':>7}{facts['operations']:>12,}",
    ]


def _facts(source: str, cfg: str | None) -> tuple[dict[str, Any], DarknetError | None]:
    """What is shown, and the error of weights that cannot be loaded. Raises DarknetError."""
    weights: dict[str, Any] | None = None
    fault: DarknetError | None = None
    if not holds_weights(source):
        found = find_cfg(source)
        net = Network(found, dialect_of_new(found))
    else:
        path = find_weights(source)
        if path != Path(source):
            say_newer(path)
        header = read_header(path)
        weights = {
            "file": str(path),
            "version": f"{header.major}.{header.minor}.{header.revision}",
            "header_bytes": header.length,
            "seen": header.seen,
            "parameters": header.floats,
            "transposed": header.transposed,
            "dialect": header.dialect.name,
            "fit": None,
        }
        try:
            found = find_cfg_of(path, cfg)
            net = Network(settle_hidden(found, path, header.dialect), header.dialect)
        except DarknetError as error:
            return {"cfg": None, "weights": weights}, error
        weights["fit"] = f"the cfg has {net.loaded_count:,}"
        if net.fits(header.floats):
            weights["fit"] = "matching the cfg"
        try:  # As `generate` would load it.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CfgWarning)
                network_of_weights(override(found, ONE_STREAM, "one stream"), path)
        except DarknetError as error:
            fault = error
    obstacle = None
    try:
        check_fits(net, trainable_memory())
        net.check_trainable()
    except CfgError as error:
        obstacle = str(error)
    options, count, needed = net.options, len(net.parameters), training_bytes(net)
    layers = [
        {
            "index": layer.index,
            "kind": layer.kind,
            "inputs": layer.inputs,
            "outputs": layer.outputs,
            "parameters": sum(parameter.size for parameter in layer.parameters()),
            "operations": layer.operations(),
            "memory": 4 * layer.kept_floats(options.time_steps, options.streams),
        }
        for layer in net.layers
    ]
    facts = {
        "cfg": found.path,
        "weights": weights,
        "trainable": obstacle is None,
        "obstacle": obstacle,
        "streams": options.streams,
        "time_steps": options.time_steps,
        "subdivisions": options.subdivisions,
        "symbols_per_update": options.symbols,
        "unit": unit_of(net),
        "parameters": count,
        "operations": sum(layer.operations() for layer in net.layers),
        "memory": needed,
        "validation_memory": 4 * count + validation_rows(net, memory() // 2) * row_bytes(net),
        "peak_memory": needed + program_memory(),
        "layers": layers,
    }
    return facts, fault
