"""The name that was probably meant by one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

NEAR = 0.8  # how like a name another must be to be taken for it, from 0 to 1
LONGEST = 60  # characters of a name for which another is looked for

# What other trainers call an option or a key: its names here, of which a command or a cfg has some.
OTHER_TRAINERS = {
    "batch_size": "batch",
    "block_size": "time_steps",
    "checkpoint_dir": "out",
    "dropout": "probability",
    "epochs": "time batches max_time max_batches",
    "grad_clip": "clip_norm",
    "hidden_dim": "output",
    "hidden_size": "output",
    "init_from": "weights",
    "iterations": "batches max_batches",
    "lr": "learning_rate",
    "max_iters": "batches max_batches",
    "max_new_tokens": "length",
    "n_embd": "output",
    "num_samples": "samples",
    "output_dir": "out",
    "primetext": "prompt",
    "rnn_size": "output",
    "sample": "greedy samples",
    "save": "out",
    "seq_len": "time_steps",
    "seq_length": "time_steps",
    "srand": "seed",
    "vocab_size": "inputs",
    "warmup_steps": "burn_in",
}


def suggest(name: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that were probably meant by `name`: what other trainers call so; if there is
    nothing, the one that begins so; if there is none or several, the nearest one.

    Capitals, the dashes of an option, and `-` for `_` make no difference.
    """
    by_plain: dict[str, str] = {}
    for each in known:
        by_plain.setdefault(_plain(each), each)
    word = _plain(name)
    meant = [other for other in OTHER_TRAINERS.get(word, "").split() if other in by_plain]
    if not meant and 1 < len(word) <= LONGEST:
        begun = [word] if word in by_plain else [each for each in by_plain if each.startswith(word)]
        swapped = [each for each in by_plain if sorted(each) == sorted(word)]
        near = swapped[:1] or difflib.get_close_matches(word, by_plain, n=1, cutoff=NEAR)
        meant = begun if len(begun) == 1 else near
    return [by_plain[each] for each in meant]


def did_you_mean(meant: list[str]) -> str:
    """The end of a message about a name that does not exist, if there is any that was meant."""
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def hint(name: str, known: Collection[str], kind: str) -> str:
    """The end of a message about a name that does not exist: what was meant, or all there are."""
    return did_you_mean(suggest(name, known)) or f"; the {kind} are {', '.join(known)}"


def _plain(name: str) -> str:
    return name.lstrip("-").lower().replace("-", "_")
