"""What was probably meant by a name that is none: a typing error, or for a key of a cfg one of
another program, or of another section.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

# How like a key a word must be, from 0 to 1, to be taken for a typing error: one that was typed for
# this run, and one of a file, where other programs have keys of their own.
NEAR, NEAR_IN_FILES = 0.6, 0.8
EXAMPLE = "darknet-py cfg tiny my.cfg writes a cfg to edit"
END = "a run ends by --time 10m, --batches 5000 or max_batches=5000"

# What other programs call a key, in small letters with `_`.
OTHER_NAMES: dict[str, str] = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "eta": "learning_rate",
    "base_lr": "learning_rate",
    "max_lr": "learning_rate",
    "bs": "batch",
    "batch_size": "batch",
    "batchsize": "batch",
    "mini_batch": "batch",
    "minibatch": "batch",
    "train_batch_size": "batch",
    "accumulate": "subdivisions",
    "gradient_accumulation_steps": "subdivisions",
    "adamw": "weight_decay",
    "wd": "weight_decay",
    "l2": "decay",
    "b1": "B1",
    "beta_1": "B1",
    "beta1": "B1",
    "b2": "B2",
    "beta_2": "B2",
    "beta2": "B2",
    "epsilon": "eps",
    "adam_eps": "eps",
    "block_size": "time_steps",
    "bptt": "time_steps",
    "context": "time_steps",
    "context_length": "time_steps",
    "seq_len": "time_steps",
    "seq_length": "time_steps",
    "sequence_length": "time_steps",
    "timesteps": "time_steps",
    "window": "time_steps",
    "input_size": "inputs",
    "vocab": "inputs",
    "vocab_size": "inputs",
    "clip_grad": "clip_norm",
    "clip_grad_norm": "clip_norm",
    "grad_clip": "clip_norm",
    "gradient_clip": "clip_norm",
    "gradient_clipping": "clip_norm",
    "max_grad_norm": "clip_norm",
    "max_norm": "clip_norm",
    "clip_value": "clip",
    "lr_decay": "policy",
    "lr_policy": "policy",
    "lr_scheduler": "policy",
    "schedule": "policy",
    "scheduler": "policy",
    "warmup": "burn_in",
    "warmup_iters": "burn_in",
    "warmup_steps": "burn_in",
    "iterations": "max_batches",
    "max_iters": "max_batches",
    "max_steps": "max_batches",
    "num_steps": "max_batches",
    "updates": "max_batches",
    "stateful": "state",
    "d_model": "output",
    "hidden_dim": "output",
    "hidden_size": "output",
    "hidden_units": "output",
    "n_embd": "output",
    "n_hidden": "output",
    "num_hidden": "output",
    "outputs": "output",
    "rnn_size": "output",
    "units": "output",
    "drop": "probability",
    "dropout": "probability",
    "dropout_rate": "probability",
    "p": "probability",
    "act": "activation",
    "nonlinearity": "activation",
    "batch_norm": "batch_normalize",
    "batchnorm": "batch_normalize",
    "bn": "batch_normalize",
}
# What options for graphics cards are called; for a command, -i with a number is one too.
GRAPHICS = (
    "nogpu",
    "no_gpu",
    "gpu",
    "gpus",
    "gpu_id",
    "gpu_ids",
    "device",
    "devices",
    "cuda",
    "no_cuda",
)
# What is no key here, and what to do instead.
INSTEAD: dict[str, str] = {
    **dict.fromkeys(("epoch", "epochs", "max_epochs", "n_epochs", "num_epochs"), END),
    **dict.fromkeys(("optim", "optimizer"), "adam=1 is Adam, and adam=0 is SGD with momentum"),
    "betas": "they are B1 and B2",
    **dict.fromkeys(
        ("depth", "layers", "n_layer", "n_layers", "num_layers"),
        f"each section is a layer; {EXAMPLE}",
    ),
    **dict.fromkeys(("random_seed", "seed"), "give --seed"),
    **dict.fromkeys(GRAPHICS, "this program trains on the CPU"),
}
# Keys of darknet that only some values of other keys ask for.
KNOWN_ELSEWHERE = ("scales", "steps")


def nearest(name: str, known: Iterable[str], near: float = NEAR) -> str | None:
    """The one of `known` that was probably meant by a misspelled name, or None.

    near: how like it a name must be, from 0 to 1; one of the same letters in another order always
    is.
    """
    known = list(known)
    letters = sorted(name)
    same = [own for own in known if sorted(own) == letters]
    close = same or difflib.get_close_matches(name, known, n=1, cutoff=near)
    return close[0] if close else None


def canonical(name: str) -> str:
    """A name as it stands in the tables."""
    return name.strip("-").lower().replace("-", "_")


def likely_key(
    key: str,
    section: str,
    known: Collection[str],
    others: Sequence[tuple[str, Collection[str]]],
    near: float = NEAR,
) -> str | None:
    """What was probably meant by `key`, for the end of a message, or None.

    section: the one where it stands, which knows the keys `known`. others: the other sections of
    the cfg, [net] and the layers, and what they know. near: see NEAR.
    """
    name = canonical(key)
    meant = OTHER_NAMES.get(name, name)
    if meant in known:
        return f"did you mean {meant}?"
    if name in INSTEAD:
        return INSTEAD[name]
    for wanted in (key, meant):
        for other, its in others:
            if wanted in its and other != section:
                dotted = wanted if other == "net" else f"{other}.{wanted}"
                place = "[net]" if other == "net" else "layers"
                return f"did you mean {dotted}, a key of {place}?"
    if meant == "probability":
        return f"dropout is a layer, [dropout], which this cfg does not have; {EXAMPLE}"
    # The smallest difference of all is one of capital letters.
    of_letters: Mapping[str, str] = {own.lower(): own for own in known}
    close = nearest(name, of_letters, near)
    if close is not None and name not in KNOWN_ELSEWHERE:
        return f"did you mean {of_letters[close]}?"
    return None
