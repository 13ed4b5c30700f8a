"""What to tell about a run that ended no better than guessing, or memorizes its text."""

from __future__ import annotations

import math

YOUNG = 100  # batches before which a loss means little
CLOSE = 0.005  # nats per symbol: as good as equal
MARGIN = 0.1  # of the loss of guessing: a difference that counts
RISEN = 0.02  # of the best loss: a rise of the held-out loss that counts


def explain_outcome(
    batches: int,
    top_rate: float,
    first: float | None,
    avg: float | None,
    best_val: float,
    symbols: int,
) -> str | None:
    """Why a run is worse than guessing among `symbols`, as far as its losses show it.

    batches: of the run. top_rate: the largest learning rate it had. first: the loss before the
    first update. avg: the average training loss at the end; None if they are not known in nats
    per symbol. best_val: the best loss on the held-out text, in nats per symbol.
    Returns None if the run is no worse than guessing.
    """
    guessing = math.log(symbols)
    if best_val <= guessing:
        return None
    how = "worse" if best_val > guessing + CLOSE else "no better"
    words = f"that is {how} than guessing ({guessing:.2f})"
    if top_rate == 0:
        return f"{words}: nothing was learned, because the learning rate was 0"
    margin = MARGIN * guessing
    if avg is not None and first is not None and avg > max(first, guessing) + margin:
        return (
            f"{words}: the run diverged, the training loss rose from {first:.2f} to {avg:.2f}; try "
            f"a smaller learning_rate, or clip_norm in [net]"
        )
    if batches < YOUNG:
        number = f"{batches} batch{'' if batches == 1 else 'es'}"
        return f"{words}: the run had only {number}; train longer"
    if avg is None:
        return words
    if avg < guessing - margin:
        return (
            f"{words}, but the training loss fell to {avg:.2f}: the held-out text differs from the "
            f"training text, or the network has memorized the training text"
        )
    return (
        f"{words}, and the training loss is {avg:.2f}: train longer, or try another learning_rate; "
        f"in random or compressed data there is nothing to learn"
    )


def explain_rise(
    best_val: float, risen: float, avg: float, best_batch: int, batches: int
) -> str | None:
    """That a run has begun to memorize its text, as its losses show it.

    best_val, avg: as above. risen: of the held-out loss since the best one. best_batch: that of the
    best network. batches: of the run.
    Returns None if the held-out loss has not risen, or the training loss has risen.
    """
    if not risen > RISEN * best_val or not avg < best_val:
        return None
    return (
        f"overfitting: best at batch {best_batch:,} of {batches:,}, held-out loss up {risen:.2f} "
        f"to {best_val + risen:.2f} since, training loss down to {avg:.2f}. Use more text, not "
        f"more time"
    )
