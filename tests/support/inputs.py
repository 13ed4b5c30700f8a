"""What the commands of the tests read: the cfg of a small network, and a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.networks import cfg_text


def words(count: int, seed: int = 1) -> str:
    """A text of `count` words, of a few letters, that a small network can learn a little of."""
    known = ["the", "fox", "jumps", "over", "a", "lazy", "dog", "and", "sleeps.\n", "quick"]
    return " ".join(known[i] for i in np.random.default_rng(seed).integers(0, len(known), count))


NET = "[net] inputs=256 batch=4 time_steps=8 learning_rate=.01 adam=1 decay=0"
RNN = "[rnn] output=8 activation=tanh"
CONNECTED = "[connected] output=256 activation=linear"
SOFTMAX = "[softmax]"
SYMBOLS = 32  # per batch of NET
PARAMETERS = 256 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 256 + 256  # of these sections


def write_cfg(path: Path, *sections: str) -> Path:
    """A cfg file of these sections; by default of a small network of bytes."""
    path.write_text(cfg_text(*(sections or (NET, RNN, CONNECTED, SOFTMAX))))
    return path


def write_run_inputs(folder: Path, count: int = 600) -> None:
    """`net.cfg` and `text.txt`, to train a small network with."""
    write_cfg(folder / "net.cfg")
    (folder / "text.txt").write_bytes(words(count).encode())
