"""`report`: a page about a run, or one that compares several."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import Any

from darknet_py.arrays import Array
from darknet_py.cfg import bundled_name
from darknet_py.checks import FILE, FLAG
from darknet_py.errors import CorpusError, DarknetError, counted
from darknet_py.exporting.html_page import Writer, writer_of
from darknet_py.files import check_targets, with_mark, write_whole
from darknet_py.inference.generation import generate
from darknet_py.loading.finding import WEIGHTS_SUFFIXES, open_network, say_newer
from darknet_py.network import Network
from darknet_py.reporting.comparison import compared
from darknet_py.reporting.page import page, read_passage, read_samples, recurrent_layer
from darknet_py.text.corpus import read_text, split
from darknet_py.text.symbols import Symbols, check_symbols
from darknet_py.training.checkpoint import read_checkpoint
from darknet_py.training.curves import Losses, passes, read_losses
from darknet_py.training.folder import DEFAULT_FOLDER, RunFolder, find_run
from darknet_py.training.plan import Plan
from darknet_py.training.runs import RunSummary, best_of, summarize
from darknet_py.training.texts import digest, is_text_place

LENGTH, TOKENS = 1200, 300  # bytes of the passage, or tokens
SAMPLE, SAMPLE_TOKENS = 400, 100  # of the last text


def report(
    *runs: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    text: str | os.PathLike[str] | None = None,
    layer: int | None = None,
    tokens: str | os.PathLike[str] | None = None,
    half: bool = False,
    force: bool = False,
) -> Path:
    """Write an HTML page about a run, or one that compares several; returns its path.

    runs: the folder of each, or DIR/NAME if a folder holds several, or one of its files; by
    default the run in backup. out: the page; by default BASE.html in the folder of the run, and
    report.html here for several.
    text: a file to read a passage from; by default the run's held-out text. layer: whose units are
    shown; by default the last recurrent one. tokens: a file with the names of tokens. half: the
    network in the page has its matrices in 16 bits. force: overwrite a file that this program did
    not write.
    Raises ValueError for a layer that does not exist, TrainingError, DarknetError and OSError.
    """
    half = FLAG.checked("half", half)
    places = [FILE.checked("folder", place) for place in runs or [DEFAULT_FOLDER]]
    found = [find_run(place, None, "darknet-py report") for place in places]
    if len(found) == 1:
        return _report(found[0], out, text, layer, tokens, half, force)
    for name, value in {"text": text, "layer": layer, "tokens": tokens, "half": half}.items():
        if not (value is None or value is False):
            raise ValueError(f"{name} is for a page about a single run; leave it out")
    target = Path("report.html" if out is None else out)
    check_targets([target], read=[file for run in found for file in run.files()], force=force)
    is_fair = len({_held_out(read_checkpoint(run.file(".state")).plan) for run in found}) == 1
    compares = [(summarize(run), _losses(run), _samples(run)) for run in found]
    _write(target, compared(compares, is_fair))
    return target


def _held_out(plan: Plan) -> tuple[object, ...]:
    """What distinguishes the held-out text of a run from others."""
    if isinstance(plan.val, str):
        return (plan.val_digest,)
    return plan.digest, plan.val, plan.val_from


def _losses(run: RunFolder) -> Losses:
    return read_losses(run.file(".csv"))


def _samples(run: RunFolder) -> list[tuple[str, str]]:
    return read_samples(run.file(".samples"))


def _write(target: Path, page: str, follow: bool = True) -> None:
    write_whole(target, [with_mark(page.encode("utf-8", "replace"))], follow=follow)


def _report(
    run: RunFolder,
    out: str | os.PathLike[str] | None,
    text: str | os.PathLike[str] | None,
    layer: int | None,
    tokens: str | os.PathLike[str] | None,
    half: bool,
    force: bool,
) -> Path:
    """The page about one run, as `report` writes it."""
    checkpoint = read_checkpoint(run.file(".state"))
    weights = _weights(run)
    say_newer(weights)
    target = Path(out) if out is not None else run.file(".html")
    check_targets([target], read=_read_files(run, weights, checkpoint.plan, text), force=force)
    net = open_network(weights, option=None)
    symbols = Symbols.of(net, tokens)
    passage = _passage(net, symbols, checkpoint.plan, text)
    index = recurrent_layer(net) if layer is None else layer
    shown = symbols.whole(passage[: TOKENS if symbols.is_tokens else LENGTH].tolist())
    reading = read_passage(net, shown, index, symbols)
    length = SAMPLE_TOKENS if symbols.is_tokens else SAMPLE
    drawn = generate(net, symbols.default_prompt, length, seed=checkpoint.plan.seed)
    last = symbols.whole(list(drawn))
    samples = [(title, _renamed(net, symbols, sample)) for title, sample in _samples(run)]
    samples.append((f"{weights.name}, temperature 0.7", symbols.text(last)))
    summary = summarize(run)
    facts = [
        ("date", (summary.date or "").replace("T", " ")[:16]),
        ("command", _command(checkpoint.plan)),
        ("network", f"{net.layers_in_words()}; {len(net.parameters):,} parameters"),
        ("trained on", _trained(summary, passes(run.file(".csv")), symbols.unit)),
        ("best held-out loss", _best_loss(checkpoint.progress["validation"], symbols.unit)),
        ("weights", weights.name),
    ]
    try:
        writer: Writer | str = writer_of(net, symbols, half=half)
    except DarknetError as error:
        writer = str(error)
    title = f"{run.base}: a report"
    _write(target, page(title, facts, _losses(run), samples, reading, writer), out is not None)
    return target


def _best_loss(validation: dict[str, Any], unit: str) -> str:
    """As the run told it at its end; before that as it was measured, on a part of the text."""
    best, symbols = best_of(validation)
    if best is None:
        return "none"
    other = f"{best / math.log(2):.4f} bits, perplexity {math.exp(min(best, 700)):,.1f}"
    return f"{best:.4f} nats per {unit} ({other}), over {counted(symbols, unit)}"


def _command(plan: Plan) -> str:
    """The command that begins such a run, without the folders of its files."""
    cfg = bundled_name(plan.cfg_path) or Path(plan.cfg_path).name
    words = ["darknet-py", "train", cfg, Path(plan.data).name]
    words += ["--seed", str(plan.seed)]
    if plan.batches is not None:
        words += ["--batches", str(plan.batches)]
    if plan.seconds is not None:
        words += ["--time", f"{plan.seconds:g}s"]
    for key, value in plan.overrides.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words)


def _trained(summary: RunSummary, times: float | None, unit: str) -> str:
    """On how much of what, and how fast."""
    seconds = summary.seconds or 0
    words = f"{counted(summary.symbols or 0, unit)} of {Path(summary.text or '').name}"
    if times:
        words += f", {times:.1f} times the text,"
    rate = (summary.symbols or 0) / max(seconds, 1e-9)
    return f"{words} in {seconds:,.0f} s: {rate:,.0f} {unit}s per second"


def _weights(run: RunFolder) -> Path:
    for suffix in WEIGHTS_SUFFIXES:
        if run.file(suffix).exists():
            return run.file(suffix)
    raise DarknetError(f"{run.path} holds no weights of {run.base} ({run.base}_best.weights)")


def _read_files(
    run: RunFolder, weights: Path, plan: Plan, text: str | os.PathLike[str] | None
) -> list[str | Path]:
    """The files of the run, its texts and `text`, none of which the page may replace."""
    files = [path for path in run.files() if path != run.file(".html")]
    texts = [plan.data, plan.cfg_path, plan.val, text]
    return [weights, *files, *(name for name in texts if isinstance(name, str))]


def _passage(
    net: Network, symbols: Symbols, plan: Plan, text: str | os.PathLike[str] | None
) -> Array:
    """From `text`, otherwise from what the run held out, otherwise from what it was trained on."""
    place, known = plan.data, plan.digest
    if isinstance(plan.val, str):
        place, known = plan.val, plan.val_digest
    if text is not None:
        place, found = os.fspath(text), symbols.read_file(text)
    elif place == "-":
        raise CorpusError("the run's text was not a file; give a passage with --text FILE")
    elif not is_text_place(place):
        raise CorpusError(f"{place}: the run's text is not there; give one with --text FILE")
    else:
        found = read_text(place, tokenized=not net.writes_bytes)
        if digest(found) != known:
            raise CorpusError(f"{place} is not the run's text; give a passage with --text FILE")
        if not isinstance(plan.val, str):
            training, held_out = split(found, plan.val, plan.val_from)
            found = held_out if len(held_out) > 1 else training
    if len(found) < 2:
        raise CorpusError(
            f"{place} has {counted(len(found), symbols.unit)}; a passage needs at least 2"
        )
    return check_symbols(net, found, place)


def _renamed(net: Network, symbols: Symbols, sample: str) -> str:
    """A sample of a run of tokens, which has their numbers, with their names instead."""
    if not symbols.path:
        return sample
    try:
        return symbols.text(Symbols.of(net).read(sample.encode("utf-8", "replace"), "sample"))
    except CorpusError:
        return sample
