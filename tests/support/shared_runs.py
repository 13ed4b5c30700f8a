"""The runs that several processes share, with MPI or without."""

from __future__ import annotations

from pathlib import Path

from tests.support.inputs import CONNECTED, RNN, SOFTMAX, words, write_cfg

KINDS = {
    "gates, dropout, carried state": (
        "[net] inputs=256 batch=9 time_steps=8 learning_rate=.01 adam=1 decay=0 state=carry",
        RNN,
        "[dropout] probability=.2",
        "[lstm] output=6",
        "[dropout] probability=.4",
        CONNECTED,
        SOFTMAX,
    ),
    "momentum, subdivisions": (
        "[net] inputs=256 batch=16 subdivisions=2 time_steps=6 learning_rate=.1 clip_norm=1"
        " average=.3 dropconnect=.2 weight_decay=.5",
        "[gru] output=8",
        "[connected] output=300 activation=linear",
        "[gru] output=8 tanh=1",
        CONNECTED,
        SOFTMAX,
    ),
}
SYMBOLS = 72  # per batch of the first kind
# Without the compiler, which takes each process a second to load.
RUN = ("--seed", "3", "--val-every", "10", "--save-every", "7", "--engine", "numpy")


def write_inputs(folder: Path) -> None:
    """`net.cfg`, of the first kind, and `text.txt`."""
    (folder / "text.txt").write_bytes(words(1500).encode())
    write_cfg(folder / "net.cfg", *KINDS["gates, dropout, carried state"])
