"""darknet-py train"""

from __future__ import annotations

import contextlib
import glob
import logging
import math
import shlex
from collections import ChainMap
from pathlib import Path
from typing import Any

import click

from darknet_py.checks import CFG_KEYS, FLAG
from darknet_py.cli.commands import SIGNALED, Command, is_quiet, is_verbose, status_of
from darknet_py.cli.options import show_cfg_warnings
from darknet_py.cli.outcome import CLOSE, explain_outcome, explain_rise
from darknet_py.cli.values import CFG, FILE, Value, known_keys
from darknet_py.errors import TrainingError
from darknet_py.files import base_name
from darknet_py.parallel.mpi import find_communicator
from darknet_py.terminal.messages import one_line, say
from darknet_py.text.symbols import LONGER
from darknet_py.training import Result, train
from darknet_py.training.folder import DEFAULT_FOLDER, resume_command, run_to_resume
from darknet_py.training.interruption import Interruption
from darknet_py.training.progress import Progress
from darknet_py.training.run import is_loss_in_nats
from darknet_py.training.settings import OPTIONS, Option


class TrainCommand(Command):
    """A command with an option for every setting of a run, whose --set has keys, which other
    trainers have as options.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params[2:2] = map(_click_option, OPTIONS)  # After CFG and DATA.

    def other_names(self, typed: list[str]) -> dict[str, str]:
        # Of a key that several layers have, the first one's is meant.
        keys = reversed(known_keys(typed))
        return {key.rpartition(".")[2]: f"--set {key}=" for key in keys}


def _click_option(option: Option) -> click.Option:
    check, names = option.check, [option.flag, option.name]
    if check is FLAG:
        return click.Option(names, is_flag=True, help=option.help)
    # Not a default of click's, since a run that continues keeps what it had.
    default = "" if option.default is None else f"  [default: {option.default}]"
    kind = click.Choice(check.choices) if check.choices else Value(check)
    several: dict[str, Any] = {}
    if check is CFG_KEYS:
        several = {"multiple": True, "callback": lambda *args: dict(ChainMap(*reversed(args[2])))}
    return click.Option(names, type=kind, help=option.help + default, **several)


@click.command("train", cls=TrainCommand, short_help="Train a network on a text.")
@click.argument("cfg", required=False, type=CFG)
@click.argument("data", required=False, type=FILE)
def command(cfg: str | None, data: str | None, **options: Any) -> None:
    """Train the network of CFG on the text DATA.

    CFG is a cfg file, the name of a bundled one, or auto: a network chosen by the size of the text,
    the time to train and the speed of this machine. It may also be a trained network to train on
    another text, from its weights and from batch 1: the folder of a run, a weights file, or tales,
    which comes with darknet-py. DATA is a text file, a folder of them (without its subfolders), or
    - for stdin. Checkpoints, the best and the last weights, the cfg in use and a table of losses go
    to --out.

    Ctrl-C saves the run and stops it, as SIGTERM and SIGHUP do. --resume continues it, without CFG
    and DATA, to the same weights as if it had never been stopped. If stderr is not a terminal, a
    line shows the progress every 5 seconds; -v prints darknet's line for every batch instead.

    \b
    Examples:
      darknet-py train tiny mybook.txt --time 10m
      darknet-py train auto mybook.txt --time 4m
      darknet-py train my.cfg mybook.txt --batches 5000 --set learning_rate=.002
      darknet-py train --resume --batches 10000
      darknet-py train --resume runs/a
      darknet-py train runs/a other.txt --out runs/b
      darknet-py train tiny b.txt --weights backup --weights-layers 0-1 --out b
    """
    if data is None and not options["resume"]:
        raise click.UsageError(
            "Give a network and a text, or --resume to continue a run: "
            "darknet-py train tiny mybook.txt"
        )
    run_training(cfg, data, **options)


def run_training(cfg: str | None, data: str | None, **options: Any) -> None:
    """Train as a person at a terminal expects: progress, Ctrl-C, what to do next."""
    show_cfg_warnings()
    comm = find_communicator()
    if not comm.is_root:
        # The first rank warns for all.
        logging.getLogger("darknet_py").setLevel(logging.ERROR)
    quiet = is_quiet()
    interruption = Interruption()
    try:
        with (
            interruption,
            Progress(quiet=quiet, every_batch=is_verbose()) as progress,
        ):
            result = train(
                cfg,
                data,
                callback=progress,
                stop=interruption.asked,
                scoring=interruption.scoring(progress.scoring),
                **options,
            )
    except BaseException as error:
        if comm.size == 1:
            if isinstance(error, KeyboardInterrupt) and not quiet:
                _say_left(options, cfg, interruption.is_scoring)
            raise
        # The others would wait for this one for ever.
        say(f"Error: rank {comm.rank}: {one_line(error)}")
        comm.abort(status_of(error) if isinstance(error, KeyboardInterrupt) else 1)
    if not quiet:
        _say_result(result, _explanation(result, progress))
    if result.interrupted:
        click.get_current_context().exit(SIGNALED + interruption.number)


def _say_left(options: dict[str, Any], cfg: str | None, is_complete: bool) -> None:
    """What a run leaves that is quit without saving."""
    out = options.get("out") or DEFAULT_FOLDER
    if options.get("resume"):
        with contextlib.suppress(TrainingError):
            run, _ = run_to_resume(options.get("out"), cfg)
            out, cfg = str(run.path), run.base
    name = "*" if cfg is None else glob.escape(base_name(cfg))
    states = sorted(Path(out).glob(f"{name}.state"))
    if is_complete:
        say(f"the run is complete; next: {shlex.join(['darknet-py', 'generate', out])}")
    elif states:
        command = _to_continue(out, states[0].stem)
        say(f"the last checkpoint in {out} is whole; to continue from it: {command}")
    else:
        say("nothing was saved that a run can continue from")


def _to_continue(out: str, base: str) -> str:
    """The command that continues with a run, and names it if the folder has several."""
    return resume_command(out, base if _has_several(Path(out)) else None)


def _has_several(folder: Path) -> bool:
    """Whether there are several runs in a folder."""
    return len(list(folder.glob("*.state"))) > 1


def _explanation(result: Result, progress: Progress) -> str | None:
    """What to report if the best network is worse than guessing, or much the best."""
    if result.best_val is None:
        return None
    net = result.net
    is_nats = is_loss_in_nats(net)
    batches = result.symbols // net.options.symbols
    first = progress.first_loss if is_nats else None
    avg = result.avg if is_nats else None
    said = explain_outcome(batches, progress.top_rate, first, avg, result.best_val, net.inputs)
    val, lowest = result.val, result.lowest_val
    if said is None and avg is not None and val is not None and lowest is not None:
        said = explain_rise(lowest, val - lowest, avg, result.best_batch, result.batches)
    return said


def _part(symbols: int, held_out: int) -> str:
    """Of how many held-out symbols a figure is, in words."""
    return f"{'all' if symbols == held_out else f'{symbols:,} of the'} {held_out:,} held out"


def _say_result(result: Result, explanation: str | None) -> None:
    """The outcome of a run."""
    rate = result.symbols / max(result.seconds, 1e-9)
    unit = result.unit
    batch = "" if str(result.batches) in result.ended else f" at batch {result.batches}"
    say(
        f"{result.ended}{batch}: {result.symbols:,} {unit}s in {result.seconds:.1f} s, "
        f"{rate:,.0f} per second; saved {result.weights}"
    )
    if result.val is not None:
        lowest = "" if result.lowest_val is None else f", lowest {result.lowest_val:.4f}"
        say(
            f"validation: {result.val:.4f} after batch {result.val_batch:,}{lowest}: nats per "
            f"{unit} of {_part(result.measured, result.held_out)}"
        )
    if result.best_val is not None:
        each = f"{result.best_val:.4f} nats per {unit}"
        if result.bytes_per_character >= LONGER:
            each += f" ({result.best_val * result.bytes_per_character:.4f} per character)"
        line = f"best: {result.best}, {each} of {_part(result.scored, result.held_out)}"
        # Of worse ones, of which there may be more than a number holds, the explanation tells.
        if result.best_val <= math.log(result.net.inputs) + CLOSE:
            line += f" (perplexity {math.exp(result.best_val):,.1f})"
        say(line)
        if explanation is not None:
            say(explanation)
    if result.interrupted:
        base = result.weights.name.removesuffix(".backup")
        # The best network may be much younger than this one.
        say(f"to see what it writes now: darknet-py generate {shlex.quote(str(result.weights))}")
        say(f"to continue: {_to_continue(str(result.weights.parent), base)}")
    else:
        say(f"next: darknet-py generate {shlex.quote(str(result.best or result.weights))}")
        folder, base = result.weights.parent, result.weights.name.removesuffix("_final.weights")
        run = folder / base if _has_several(folder) else folder
        say(f"to see how it went: darknet-py report {shlex.quote(str(run))}")
