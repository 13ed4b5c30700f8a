"""`train auto`: a network for the size of a text, the time to train and the machine's speed."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from pathlib import Path

import numpy as np

from darknet_py.cfg import Cfg, find_cfg
from darknet_py.engine import choose
from darknet_py.errors import TrainingError
from darknet_py.model import Model
from darknet_py.network import Network
from darknet_py.options import NetOptions, override
from darknet_py.parallel import Communicator
from darknet_py.rand import Rand
from darknet_py.training.settings import Settings
from darknet_py.training.threads import Threads

NAME = "auto"
WIDTHS = (64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768)
# Bytes that a network should read for each of its parameters: what the bundled networks do in the
# time that each was chosen for. And parameters for each byte of the text, at most.
READ, PARAMETERS = 6, 4
# Up to how many times a text is read: what keeps the network from memorizing it.
AGAINST_MEMORIZING: tuple[tuple[float, dict[str, object]], ...] = (
    (6, {"dropout.probability": 0, "weight_decay": 0.1}),
    (12, {"dropout.probability": 0.1, "weight_decay": 0.2}),
    (25, {"dropout.probability": 0.2, "weight_decay": 0.3}),
    (np.inf, {"dropout.probability": 0.3, "weight_decay": 0.3, "dropconnect": 0.2}),
)
TRIAL = 256  # width of the network that is timed
WARM, SECONDS = 2, 1.5  # updates before the clock runs, and how long it runs

log = logging.getLogger(__name__)


def choose_network(data: str | bytes, asked: Settings, comm: Communicator) -> Cfg:
    """The cfg of a network for this text and these settings. Reports which, and why.

    Raises TrainingError for a text whose size is not known or that is not of bytes.
    """
    if asked.tokenized:
        raise TrainingError("auto chooses networks of bytes; give a cfg for tokens")
    size = comm.broadcast(_size(data) if comm.is_root else 0)
    seconds = asked.seconds or NetOptions.of(_cfg(TRIAL).net).max_time
    speed = comm.broadcast(_speed(asked)) * comm.size
    fits = [width for width in WIDTHS if _fits(_cfg(width), size, speed * seconds)]
    width = max(fits, default=WIDTHS[0])
    model = Model(_cfg(width))
    read = speed * seconds / _cost(model)
    if asked.batches is not None:
        read = asked.batches * model.options.symbols
    changes = next(keys for times, keys in AGAINST_MEMORIZING if read / size <= times)
    log.info(
        "auto: two [gru] of %d with dropout %g: in %.0f s this machine reads about %.1f MB with "
        "them, %.1f times the text",
        *(width, changes["dropout.probability"], seconds, read / 1e6, read / size),
    )
    return override(_cfg(width), changes, NAME)


def _cfg(width: int) -> Cfg:
    """`shakespeare` with other widths, and what goes with those."""
    keys: dict[str, object] = {
        "gru.output": width,
        # Between those of the bundled networks.
        "learning_rate": f"{min(0.012, 0.01 * (160 / width) ** 1.3):.2g}",
        "time_steps": 50 if width <= 160 else 64 if width <= 320 else 100,
    }
    cfg = override(find_cfg("shakespeare"), keys, NAME)
    return dataclasses.replace(cfg, path=NAME)


def _fits(cfg: Cfg, size: int, operations: float) -> bool:
    """Whether a network can be trained with this many operations, on a text of `size` bytes."""
    model = Model(cfg)
    count = len(model.parameters)
    return operations / _cost(model) >= READ * count and count <= PARAMETERS * size


def _cost(model: Model) -> int:
    """Operations for a byte on its way forward."""
    return sum(layer.operations() for layer in model.layers)


def _size(data: str | bytes) -> int:
    """The bytes of a text, or of all files of a folder."""
    if isinstance(data, bytes):
        return max(1, len(data))
    path = Path(data)
    files = [each for each in path.iterdir() if each.is_file()] if path.is_dir() else [path]
    if data == "-" or not all(file.is_file() for file in files):
        raise TrainingError(f"{data}: auto needs a text file, whose size it can know; give a cfg")
    return max(1, sum(os.path.getsize(file) for file in files))


def _speed(asked: Settings) -> float:
    """Operations per second that training does here, counted by those of the way forward."""
    tier = choose(asked.engine or "auto", asked.precision or "auto")
    net = Network(_cfg(TRIAL), tier=tier)
    net.initialize(Rand(1))
    shape = net.options.time_steps, net.streams
    symbols = np.random.default_rng(1).integers(0, net.inputs, shape)
    updates = 0
    with Threads(net, asked.threads):
        for _ in range(WARM):
            net.train_batch(symbols, symbols)
        begun = time.perf_counter()
        while (spent := time.perf_counter() - begun) < SECONDS:
            net.train_batch(symbols, symbols)
            updates += 1
    return updates * net.options.symbols * _cost(net) / spent
