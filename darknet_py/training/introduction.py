"""What a run says of itself before its first batch."""

from __future__ import annotations

from darknet_py.arrays import Array
from darknet_py.corpus import BLOCKS
from darknet_py.sizes import training_bytes
from darknet_py.speed import training_speed
from darknet_py.symbols import utf8_characters
from darknet_py.training.run import Run


def introduction(run: Run) -> list[str]:
    """Lines about its text, network, batches and files."""
    net, options = run.net, run.net.options
    unit = "bytes" if net.writes_bytes else "tokens"
    processes = max(run.ranks.size, run.plan.processes)
    size = training_bytes(net, net.step.segment_steps, run.plan.processes)
    held_out = _held_out(run, unit) if len(run.validation.text) else ""
    shared = f" shared by {processes} processes" if processes > 1 else ""
    speed = training_speed(net)
    return [
        f"text: {run.plan.data}, {amount(run.streams.text, unit)} to train on{held_out}",
        f"network: {net.layers_in_words()}; {len(net.parameters):,} parameters",
        f"batch: {options.batch} streams of {options.time_steps} {unit}{shared}, "
        f"{options.symbols:,} {unit} per update",
        f"memory: about {max(1.0, size / 1e6):,.0f} MB; speed: at most {_rounded(speed):,} {unit} "
        f"per second on one core",
        f"files: {run.folder.file('')}.*",
    ]


def _held_out(run: Run, unit: str) -> str:
    held_out = amount(run.validation.text, unit)
    if isinstance(run.plan.val, str):
        return f"; held out: {run.plan.val}, {held_out}"
    where = "the last" if run.plan.val_from == "end" else f"{BLOCKS} blocks, together"
    return f"; held out: {where} {held_out}"


def amount(text: Array, unit: str) -> str:
    """How long a text is: in bytes, and in characters of UTF-8 where those are fewer."""
    words = f"{len(text):,} {unit}"
    if unit == "bytes" and (characters := utf8_characters(text)) < len(text):
        words += f" ({characters:,} characters)"
    return words


def _rounded(number: float) -> int:
    """To two digits."""
    return int(float(f"{number:.1e}"))
