"""darknet-py train"""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from types import FrameType, TracebackType
from typing import Any

import click

from darknet_py.cli.console import is_terminal, one_line, say
from darknet_py.cli.options import (
    CONTEXT,
    is_quiet,
    show_cfg_warnings,
    verbosity_options,
)
from darknet_py.cli.outcome import explain_outcome
from darknet_py.cli.run_options import run_options
from darknet_py.layers.softmax import SoftmaxLayer
from darknet_py.ranks.mpi import find_ranks
from darknet_py.training import Result, Row, train

INTERRUPTED = 130


@click.command("train", context_settings=CONTEXT)
@click.argument("cfg", required=False)
@click.argument("data", required=False)
@run_options
@verbosity_options
def command(
    cfg: str | None,
    data: str | None,
    **options: Any,
) -> None:
    """Train the network of CFG on the text DATA.

    CFG is a cfg file or the name of a bundled one; DATA a text file, a folder of them (without its
    subfolders), or - for stdin. Checkpoints, the best and the last weights, the cfg in use and a
    table of losses go to --out. Ctrl-C saves and says how to go on: with --resume, where CFG and
    DATA need not be given again, the run ends with the same weights as one that was never stopped.

    \b
    Examples:
      darknet-py train tiny mybook.txt --time 2m
      darknet-py train cfg/tiny.cfg mybook.txt --batches 5000 --set learning_rate=.002
      darknet-py train --resume --batches 10000
      darknet-py train tiny letters.txt --weights backup --weights-layers 0-1 --out letters
    """
    if not options["resume"] and (cfg is None or data is None):
        missing = "CFG" if cfg is None else "DATA"
        raise click.UsageError(f"Missing argument '{missing}' (only --resume goes without).")
    run_training(cfg, data, **options)


def run_training(cfg: str | None, data: str | None, **options: Any) -> None:
    """Train as a person at a terminal expects: progress, Ctrl-C, a word on what is next."""
    show_cfg_warnings()
    ranks = find_ranks()
    if not ranks.is_first:
        # The first rank warns for all.
        logging.getLogger("darknet_py").setLevel(logging.ERROR)
    quiet = is_quiet()
    seconds = options.get("seconds")
    try:
        with Interruption() as interruption, Progress(seconds, quiet) as progress:
            result = train(
                cfg,
                data,
                callback=progress,
                stop=interruption.asked,
                scoring=progress.scoring,
                **options,
            )
    except BaseException as error:
        if ranks.size == 1:
            raise
        # The others would wait for this one for ever.
        say(f"Error: rank {ranks.rank}: {one_line(error)}")
        ranks.abort(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
    if not quiet:
        _say_result(result, options.get("out", "backup"), _explanation(result, progress, options))
    if result.interrupted:
        click.get_current_context().exit(INTERRUPTED)


def _explanation(result: Result, progress: Progress, options: dict[str, Any]) -> str | None:
    """What is to be told where the best network is worse than guessing."""
    if result.best_val is None:
        return None
    net = result.net
    # In the C program's arithmetic the loss is the mean of all costs.
    has_cost = any(section.name == "cost" for section in net.cfg.layers)
    is_nats = isinstance(net.layers[-1], SoftmaxLayer) and not has_cost
    resumed = options.get("resume")
    batches = net.batch_number if resumed else result.characters // net.options.symbols
    first = progress.first_loss if is_nats else None
    avg = result.avg if is_nats else None
    return explain_outcome(batches, progress.top_rate, first, avg, result.best_val, net.inputs)


def _say_result(result: Result, out: str, explanation: str | None) -> None:
    rate = result.characters / max(result.seconds, 1e-9)
    say(
        f"batch {result.batches} ({result.ended}): {result.characters:,} characters in "
        f"{result.seconds:.1f} s, {rate:,.0f} a second; saved {result.weights}"
    )
    if result.best_val is not None:
        part = "all" if result.scored == 1 else f"{max(result.scored, 0.001):.1%}"
        say(
            f"best: {result.best}, {result.best_val:.4f} nats per character on {part} of the "
            f"held-out text"
        )
        if explanation is not None:
            say(explanation)
    if result.interrupted:
        base = result.weights.name.removesuffix(".backup")
        where = [] if out == "backup" else ["--out", out]
        several = [base] if len(list(result.weights.parent.glob("*.state"))) > 1 else []
        say(f"to go on: {shlex.join(['darknet-py', 'train', '--resume', *where, *several])}")
    else:
        say(f"next: darknet-py generate {shlex.quote(str(result.best or result.weights))}")


class Interruption:
    """Ctrl-C or SIGTERM: the first is remembered for the end of the batch, the second acts now.

    Before there is a batch to finish the first acts too.
    """

    def __init__(self) -> None:
        self._asked = self._is_training = False
        self._before: dict[int, Any] = {}

    def asked(self) -> bool:
        """Whether to stop; the run asks before its first batch too."""
        self._is_training = True
        return self._asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked or not self._is_training:
            raise KeyboardInterrupt
        self._asked = True
        say("stopping: finishing this batch, then saving; Ctrl-C again leaves at once")

    def __enter__(self) -> Interruption:
        # A terminal that goes away is no reason to lose anything; nohup has it ignored.
        hangup = getattr(signal, "SIGHUP", signal.SIGTERM)
        for number in {signal.SIGINT, signal.SIGTERM, hangup}:
            if signal.getsignal(number) is not signal.SIG_IGN or number != hangup:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Progress:
    """Called with every batch: a bar on a terminal, else darknet's line, both on stderr."""

    def __init__(self, seconds: float | None, quiet: bool) -> None:
        self.seconds = seconds
        self.quiet = quiet
        self.bar: Any = None
        self.first: Row | None = None
        self.val: float | None = None
        self.is_scoring = False
        self.first_loss: float | None = None
        self.top_rate = 0.0

    def __call__(self, row: Row) -> None:
        if self.first_loss is None:
            self.first_loss = row.loss
        self.top_rate = max(self.top_rate, row.rate)
        if self.quiet:
            return
        if not is_terminal(sys.stderr):
            say(row.line())
            if row.val is not None:
                say(f"{row.batch}: {row.val:f} validation")
            return
        self._draw(row)

    def _draw(self, row: Row) -> None:
        if self.first is None:
            self.first = row
            self.bar = self._make_bar(row)
        if row.val is not None:
            self.val = row.val
        self.bar.n = row.elapsed if self.seconds is not None else row.batch
        if self.seconds is not None:
            self.bar.n = min(self.bar.n, self.seconds)
        trained = row.seen - self.first.seen
        rate = trained / max(row.elapsed - self.first.elapsed, 1e-9)
        val = "" if self.val is None else f" val {self.val:.3f}"
        self.bar.set_description_str(
            f"batch {row.batch} loss {row.avg:.3f}{val} {rate / 1000:.0f}k chars/s", refresh=False
        )
        self.bar.update(0)

    def scoring(self, done: int, total: int) -> None:
        """Show how far the score of the best network at the end is."""
        if self.quiet or self.bar is None:
            return
        if not self.is_scoring:
            self.is_scoring = True
            self.bar.set_description_str("scoring the held-out text", refresh=False)
            self.bar.bar_format = "{percentage:3.0f}%|{bar:20}| {desc} [{elapsed}<{remaining}]"
            self.bar.reset(total=total)
        self.bar.n = done
        self.bar.update(0)

    def _make_bar(self, row: Row) -> Any:
        from tqdm import tqdm

        total = self.seconds if self.seconds is not None else row.limit or None
        known = "{percentage:3.0f}%|{bar:20}| {desc} [{elapsed}<{remaining}]"
        return tqdm(
            total=total,
            initial=row.elapsed - row.seconds if self.seconds is not None else row.batch - 1,
            bar_format=known if total else "{desc} [{elapsed}]",
            file=sys.stderr,
            leave=True,
            mininterval=0.1,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.refresh()
            self.bar.close()
