"""The loop of a training run, and what surrounds it: profile, threads."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np

from darknet_py.arrays import Datum
from darknet_py.inference.generation import Progress, generate
from darknet_py.inference.scoring import PiecesScore
from darknet_py.text.symbols import Symbols, unit_of, utf8_characters
from darknet_py.training import curves as plotting
from darknet_py.training.profiling import DATA, VALIDATION
from darknet_py.training.run import STOPPED, Result, Row, Run, is_loss_in_nats
from darknet_py.training.threads import Threads

log = logging.getLogger(__name__)

KEEP_EVERY = 10_000  # batches between the BASE_N.weights that are kept
SAMPLE_LENGTH = 200  # symbols
SAMPLE_TEMPERATURE = 0.7
SCORING_SECONDS, SCORING_SHARE = 10.0, 0.05  # of the run: bounds of the score at its end

# Times the training loss, in the first pass over a text, once this many symbols have been read.
UNLIKE, UNLIKE_FROM = 1.3, 4096

Callback = Callable[[Row], object]


def train_loop(run: Run, threads: Threads, callback: Callback) -> tuple[Row | None, str | None]:
    """Train until the run is over, or until its `stop`, asked before each batch, is true.

    Returns the row of the last batch, if there was one, and why the run is over, None if it was
    stopped. Raises TrainingError and OSError.
    """
    net, validation, plan = run.net, run.validation, run.plan
    row, end = None, run.over()
    while not (end or run.told(STOPPED)):
        # One update: `subdivisions` data, forward and backward, then the optimizer's step.
        begun = time.perf_counter()
        update = run.trainer.update(data(run), run.share_done(), run.tell())
        loss, run.facts = update.loss, update.facts
        if not math.isfinite(loss):
            raise run.divergence(f"the loss is {loss}")
        run.avg = loss if math.isnan(run.avg) else 0.9 * run.avg + 0.1 * loss
        run.check_course()
        seconds = time.perf_counter() - begun
        batch = net.batch_number

        # Validate, and the last network too, and keep the best one.
        run.recent.append(seconds)
        is_validated = validation.is_due(batch, run.batches_done)
        val = validate(run) if is_validated else None
        end = run.over()
        if end:
            run.stop_clock()
            val = score_last(run)
        row = run.row(update, seconds, val)

        # Log, and show what the network writes by now.
        run.log(row)
        if is_validated and validation.sample_is_due(val, plan.sample_every):
            sample(run, row)

        # Save. A run that could not write what is kept continues from a checkpoint before it.
        if batch % KEEP_EVERY == 0:
            run.save(f"_{batch}.weights")
        if run.save_is_due(batch):
            run.save_checkpoint(".backup")

        threads.batch_done(seconds)
        run.comm.batch_done(seconds)
        callback(row)
    return row, end[0] if end else None


def data(run: Run) -> Iterator[Datum]:
    """Those of one update."""
    streams, options = run.streams, run.net.options
    for _ in range(options.subdivisions):
        with run.profile.kind(DATA):
            inputs, targets = streams.next_datum(options.time_steps)
        yield Datum(inputs, targets, streams.fresh)
        streams.jump()


def validate(run: Run) -> float:
    """The loss on the held-out text in nats per symbol, which may be infinite or NaN."""
    with run.profile.kind(VALIDATION), run.trainer.averaged():
        loss = run.validation.estimate(run.net, statistics.median(run.recent))
    run.recent.clear()
    _has_scored(run, loss)
    return loss


def score_last(run: Run, progress: Progress | None = None) -> float | None:
    """The loss of the last network, even if no validation is due; None without held-out text."""
    batch, loss = run.scored
    if batch == run.net.batch_number or not len(run.validation.text):
        return loss
    with run.profile.kind(VALIDATION), run.trainer.averaged():
        loss = run.validation.compare(run.net, progress)
    _has_scored(run, loss)
    return loss


def _has_scored(run: Run, loss: float) -> None:
    """Remember the loss of the network as it is, and save it if it is the best."""
    run.scored = run.net.batch_number, loss
    _note_unlike(run, loss)
    if run.validation.best_batch == run.net.batch_number:
        run.save("_best.weights")


def _note_unlike(run: Run, loss: float) -> None:
    """Report once if the held-out text differs from the text trained on: its loss is far above the
    training loss although nothing can have been memorized yet.
    """
    read = run.net.seen - run.first_seen
    first_time = UNLIKE_FROM <= read < len(run.streams.text) and not run.is_unlike
    if first_time and is_loss_in_nats(run.net) and UNLIKE * run.avg < loss < math.inf:
        run.is_unlike = True
        advice = ". Try --val-from spread"
        if not isinstance(run.plan.val, float) or run.plan.val_from != "end":
            advice = ""
        log.info(
            "held-out loss %.2f far exceeds training loss %.2f in the first pass: the held-out "
            "text differs from the rest%s",
            *(loss, run.avg, advice),
        )


def sample(run: Run, row: Row) -> None:
    """Add a short text as the network writes now to BASE.samples, and log it if samples were asked
    for. Raises OSError.
    """
    if not run.comm.is_root:
        return
    symbols = Symbols.of(run.net)
    seed, length = run.plan.seed, SAMPLE_LENGTH
    with run.trainer.averaged():
        drawn = generate(run.net, symbols.default_prompt, length, SAMPLE_TEMPERATURE, seed)
        text = symbols.text(symbols.whole(list(drawn)))
    text = text.rstrip(" ") if symbols.is_tokens else text
    run.samples.write(json.dumps({"batch": row.batch, "val": row.val, "text": text}))
    if run.plan.sample_every:
        log.info("--- batch %d, held out %.3f:\n%s\n---", row.batch, row.val, text)


# --- the end of a run


def finish(
    run: Run, row: Row | None, ended: str | None, progress: Progress | None, callback: Callback
) -> Result:
    """Save a run that was stopped, and score its network if there is an older best one; else
    save the last network, and score the best one. row, ended: of `train_loop`.

    That last score, for which everything waits but nothing depends on it, takes at most
    SCORING_SECONDS or SCORING_SHARE of the run; the run's `stop` ends it too. progress: see
    `evaluate`.
    """
    validation, score = run.validation, None
    run.stop_clock()
    if ended is None:
        weights = run.save_checkpoint(".backup")
        if validation.every is None and validation.number:
            # The best network may be that of the beginning; no one fixed when to score.
            val = score_last(run, progress)
            if row is not None and row.val is None:
                row = dataclasses.replace(row, seconds=run.elapsed, val=val)
                run.log_again(row)
                callback(row)
            run.save_state()
    else:
        run.check_finite()
        begun = time.perf_counter()
        score_last(run)
        run.save_state()
        # Last, since it marks the run as complete.
        weights = run.save("_final.weights")
        limit = begun + max(SCORING_SECONDS, SCORING_SHARE * run.elapsed)
        with run.profile.kind(VALIDATION):
            score = validation.score_best(
                run.net,
                lambda: bool(run.now(STOPPED)) or time.perf_counter() > limit,
                progress,
            )
        if score is not None and score.symbols > validation.symbols:
            _save_score(run)
    run.trainer.take_average()
    if score is None and validation.best_loss is not None:
        score = PiecesScore(validation.best_loss, validation.symbols)
    return Result(
        net=run.net,
        weights=weights,
        batches=run.net.batch_number,
        symbols=run.net.seen - run.first_seen,
        seconds=run.elapsed,
        avg=run.avg,
        val=run.scored[1],
        val_batch=run.scored[0],
        lowest_val=validation.best_loss,
        measured=validation.symbols,
        best_val=None if score is None else score.nats,
        best=None if score is None else run.folder.file("_best.weights"),
        scored=0 if score is None else score.symbols,
        held_out=max(0, len(validation.text) - 1),
        ended=ended or "interrupted",
        interrupted=ended is None,
        bytes_per_character=_bytes_per_character(run),
        best_batch=validation.best_batch,
    )


def _save_score(run: Run) -> None:
    """Let a report know the score of the best network; the run itself is saved without it."""
    try:
        run.save_state()
    except OSError as error:
        log.warning("warning: %s: %s", run.folder.file(".state"), error.strerror)


def _bytes_per_character(run: Run) -> float:
    """Of the held-out text, as far as it is predicted."""
    predicted = run.validation.text[1:]
    if not run.net.writes_bytes or not len(predicted):
        return 1.0
    return len(predicted) / max(1, utf8_characters(predicted))


# --- around the loop


def train_run(
    run: Run,
    profile: bool,
    callback: Callback | None,
    stop: Callable[[], bool] | None,
    scoring: Progress | None,
) -> Result:
    """Train with the threads of the run's plan, from here to its end.

    Raises TrainingError and OSError.
    """

    with ExitStack() as stack:
        threads = stack.enter_context(Threads(run.net, run.plan.threads))
        # If a run diverges, its message reports it.
        stack.enter_context(np.errstate(all="ignore"))
        if profile:
            stack.enter_context(run.profile.running(run.net))
        run.stop = stop
        run.start_clock()
        with run.table, run.samples:
            told = callback or (lambda row: None)
            row, ended = train_loop(run, threads, told)
            result = finish(run, row, ended, scoring, told)
    if run.plan.plot and run.comm.is_root:
        paths = run.folder.file(".csv"), run.folder.file(".png")
        plotting.write_curves(*paths, unit_of(run.net))
        log.info("curves: %s", paths[1])
    if profile:
        log.info("where the time went:\n%s", "\n".join(run.profile.lines()))
    return result
