"""`rnn train`: the C program's loop over datums, its log lines and its files.

Formulas and formats: `train_char_rnn` in darknet's `examples/rnn.c`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from darknet_py.arrays import Array
from darknet_py.c_exact.network import CNetwork
from darknet_py.c_exact.text import printed, running_average
from darknet_py.errors import TrainingError
from darknet_py.files import base_name, check_run_place, sync
from darknet_py.text.corpus import Streams

KEEP_EVERY = 10_000
SAVE_EVERY = 100


def train(
    c_net: CNetwork, text: Array, backup: Path, saved: Callable[[str], object] = str
) -> Iterator[str]:
    """Train on `text` until max_batches; yields the line that C prints for each datum.

    saved: called with the name of each file that has been written.

    Writes BASE.backup, BASE_N.weights and BASE_final.weights into the folder `backup`, BASE being
    the cfg's name up to its first dot. `i` counts datums, not updates.
    Raises CfgError, TrainingError and OSError.
    """
    c_net.check_trainable()
    net, options = c_net.net, c_net.net.options
    if not options.max_batches:
        raise TrainingError(
            f"{net.cfg.path} has no max_batches in [net], without which the C program does not "
            f"train; add it, like max_batches=1000, or use `darknet-py train`"
        )
    if net.batch_number >= options.max_batches:
        raise TrainingError(
            f"{net.cfg.path}: the weights are already at batch {net.batch_number}, and training "
            f"ends at max_batches={options.max_batches}; give a larger one, or -clear"
        )

    def save(name: str) -> None:
        net.save_weights(name, follow=False)
        saved(name)

    base = backup / base_name(net.cfg.path)
    backup.mkdir(parents=True, exist_ok=True)
    sync(backup.parent)
    check_run_place(base)
    streams = Streams(text, net.streams, net.rand)
    size = net.streams * options.time_steps
    datum = net.seen // size
    average: float | None = None
    while net.batch_number < options.max_batches:
        datum += 1
        begun = time.perf_counter()
        loss = c_net.train_datum(*streams.next_datum(options.time_steps))
        average = running_average(average, loss)
        seconds = time.perf_counter() - begun
        epochs = float(np.float32(net.batch_number * size) / np.float32(len(text)))
        values = (loss, average, c_net.printed_rate, seconds, epochs)
        numbers = [printed(value, "f") for value in values]
        yield "{}: {}, {} avg, {} rate, {} seconds, {} epochs".format(datum, *numbers)
        streams.jump()
        if datum % KEEP_EVERY == 0:
            save(f"{base}_{datum}.weights")
        if datum % SAVE_EVERY == 0:
            save(f"{base}.backup")
    save(f"{base}_final.weights")
