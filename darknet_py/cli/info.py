"""darknet-py info"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from darknet_py.cfg import find_cfg
from darknet_py.cli.console import print_json, visible
from darknet_py.cli.options import CONTEXT, cfg_option, verbosity_options
from darknet_py.errors import CfgError, WeightsError
from darknet_py.finding import find_cfg_of, find_weights
from darknet_py.machine import memory, process_choice, product_rate, program_memory
from darknet_py.network import Network
from darknet_py.weights import read_header


@click.command("info", context_settings=CONTEXT)
@click.argument("source", metavar="CFG|WEIGHTS")
@cfg_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@verbosity_options
def command(source: str, cfg: str | None, as_json: bool) -> None:
    """Show a network: its layers, memory to train, weights file.

    \b
    Examples:
      darknet-py info tiny
      darknet-py info backup/tiny_best.weights --json
    """
    facts = _facts(source, cfg)
    if as_json:
        print_json(facts)
        return
    click.echo(f"cfg         {visible(facts['cfg'], keep='')}")
    if header := facts["weights"]:
        click.echo(f"weights     {visible(header['file'], keep='')}")
        click.echo(
            f"header      {header['version']} ({header['header_bytes']} bytes, {header['dialect']}"
            f"{', transposed' if header['transposed'] else ''}), seen {header['seen']:,}"
        )
        click.echo(f"numbers     {header['floats']:,}, {header['fit']}")
    click.echo(
        f"batch       {facts['streams']} streams x {facts['time_steps']} time steps"
        f" x {facts['subdivisions']} subdivisions = {facts['symbols']:,} characters"
    )
    click.echo(
        f"to train    {facts['memory'] / 1e6:,.1f} MB, with the program about "
        f"{facts['peak_memory'] / 1e6:,.0f} MB in {facts['processes']} "
        f"process{'es' if facts['processes'] > 1 else ''}, and the text"
    )
    speed = facts["characters_per_second"]
    click.echo(
        f"speed       at most {speed['train']:,.0f} characters a second to train and "
        f"{speed['generate']:,.0f} to generate (the products alone, on one core)"
    )
    click.echo()
    click.echo(
        "layer  kind          inputs  outputs   parameters  share  operations/char  activations"
    )
    for row in facts["layers"]:
        share = row["parameters"] / max(1, facts["parameters"])
        click.echo(
            f"{row['index']:>5}  {row['kind']:<12}{row['inputs']:>8}{row['outputs']:>9}"
            f"{row['parameters']:>13,}{share:>7.1%}{row['operations']:>17,}"
            f"{row['memory'] / 1e6:>10,.1f} MB"
        )
    click.echo(f"total{facts['parameters']:>42,}{'':>7}{facts['operations']:>17,}")


def _speed(net: Network, operations: int) -> dict[str, float]:
    """Characters a second if there were nothing but this network's products, measured here.

    Training takes three products for each of generation's: forward, and two backward.
    """
    largest = max(
        (t.shape for t in net.tensors() if len(t.shape) == 2), default=(1, 1), key=math.prod
    )
    rows = max(1, min(4096, net.net.time_steps * net.streams))
    per_character = max(1, operations)
    return {
        "train": product_rate(rows, *largest) / (3 * per_character),
        "generate": product_rate(1, *largest) / per_character,
    }


def _is_weights(source: str) -> bool:
    """Whether `source` is a folder or file of weights, rather than a cfg: by name, then content."""
    path = Path(source)
    if path.is_dir() or path.suffix in (".weights", ".backup"):
        return True
    if path.suffix == ".cfg" or not path.exists():
        return False
    try:
        read_header(path)
    except WeightsError:
        return False
    return True


def _facts(source: str, cfg: str | None) -> dict[str, Any]:
    weights = None
    if not _is_weights(source):
        found = find_cfg(source)
    else:
        path = find_weights(source)
        header = read_header(path)
        found = find_cfg_of(path, cfg)
        weights = {
            "file": str(path),
            "version": f"{header.major}.{header.minor}.{header.revision}",
            "header_bytes": header.length,
            "seen": header.seen,
            "floats": header.floats,
            "transposed": header.transposed,
            "dialect": "alexeyab" if header.revision == 5 else "upstream",
        }
    net = Network(found)
    count = len(net.parameters)
    if weights is not None:
        expected = net.loaded_count
        fit = f"as many as the cfg expects (of {count:,} parameters)"
        weights["fit"] = fit if net.fits(header.floats) else f"the cfg has {expected:,}"
    options = net.net
    with suppress(CfgError):  # A network too large to train here is shown whole.
        net.limit_memory(memory() // 2)
    processes = process_choice(net, memory() // 2)
    needed = net.training_bytes(processes=processes)
    layers = [
        {
            "index": layer.index,
            "kind": layer.kind,
            "inputs": layer.inputs,
            "outputs": layer.outputs,
            "parameters": sum(parameter.size for parameter in layer.parameters()),
            "operations": layer.operations(),
            "memory": 4 * layer.training_floats(net.segment_steps, options.streams),
        }
        for layer in net.layers
    ]
    operations = sum(layer.operations() for layer in net.layers)
    return {
        "cfg": found.path,
        "weights": weights,
        "streams": options.streams,
        "time_steps": options.time_steps,
        "subdivisions": options.subdivisions,
        "symbols": options.symbols,
        "parameters": count,
        "operations": operations,
        "characters_per_second": _speed(net, operations),
        "memory": needed,
        "processes": processes,
        "peak_memory": needed + processes * program_memory(),
        "layers": layers,
    }
