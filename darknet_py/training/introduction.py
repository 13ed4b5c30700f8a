"""What a run says of itself before its first batch."""

from __future__ import annotations

from darknet_py.arrays import Array
from darknet_py.engine import bf16_way
from darknet_py.errors import counted
from darknet_py.machine import program_memory
from darknet_py.sizes import training_bytes
from darknet_py.text.corpus import BLOCKS
from darknet_py.text.symbols import unit_of, utf8_characters
from darknet_py.training.run import Run


def introduction(run: Run) -> list[str]:
    """Lines about its text, network, batches, end and files."""
    net, options = run.net, run.net.options
    unit = f"{unit_of(net)}s"
    texts = run.streams.text.nbytes + run.validation.text.nbytes
    size = training_bytes(net) + program_memory() + texts
    shared = f", shared by {run.comm.size} processes" if run.comm.size > 1 else ""
    return [
        f"text: {run.plan.data}, {amount(run.streams.text, unit)} to train on",
        *_held_out(run, unit),
        f"network: {net.layers_in_words()}; {len(net.parameters):,} parameters",
        f"batch: {counted(options.batch, 'stream')} x "
        f"{counted(options.time_steps, unit_of(net))} = "
        f"{counted(options.symbols, unit_of(net))} per update{shared}",
        *_precision(run),
        f"memory: about {size / 1e6:,.0f} MB, including the text",
        *_end(run),
        f"files: {run.folder.file('')}*",
    ]


def _precision(run: Run) -> list[str]:
    """What the engine's products multiply; nothing if there is no choice."""
    if run.net.tier.team is None:
        return []
    way = bf16_way()
    if run.plan.precision == "f32":
        return ["precision: f32" + " (--precision bf16 is faster here)" * (way == "pairs")]
    if way == "loop":
        return ["precision: bf16 products by a loop, which is slow (--precision f32 is fast here)"]
    return [f"precision: bf16 products in {way}, sums in f32 (--precision f32 is slower)"]


def _held_out(run: Run, unit: str) -> list[str]:
    if not len(run.validation.text):
        return []
    held_out = amount(run.validation.text, unit)
    if isinstance(run.plan.val, str):
        return [f"held out: {run.plan.val}, {held_out}"]
    where = "the last" if run.plan.val_from == "end" else f"{BLOCKS} blocks, together"
    return [f"held out: {where} {held_out}"]


def _end(run: Run) -> list[str]:
    """When the run ends by itself, if it does."""
    ends = [f"at batch {run.limit:,}"] if run.limit else []
    if run.time_limit is not None:
        unit = "second" if run.time_limit == 1 else "seconds"
        ends.append(f"after {run.time_limit:,.10g} {unit} of training")
    if len(ends) == 2:
        ends = [f"{ends[0]} or {ends[1]}, whichever comes first"]
    if run.time_limit is not None and run.plan.seconds is None:
        ends[0] += " (max_time in the cfg; --time 10m or --batches 5000 sets another end)"
    return [f"end: {ends[0]}"] if ends else []


def amount(text: Array, unit: str) -> str:
    """How long a text is: in bytes, and in characters of UTF-8 where those are fewer."""
    words = f"{len(text):,} {unit}"
    if unit == "bytes" and (characters := utf8_characters(text)) < len(text):
        words += f" ({characters:,} characters)"
    return words
