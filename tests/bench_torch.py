"""The tiny networks beside the same in PyTorch: `python tests/bench_torch.py` (needs torch).

Updates in turn, ours and PyTorch's, on the same symbols, at the same number of threads. PyTorch's
networks are written as its users write them for speed: an embedding for the first product, products
over all time steps at once, torch.nn.GRU and torch.nn.LSTM where there is one, Adam and gradient
clipping. Its GRU resets after the recurrent product and not before; the work is the same.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from darknet_py.cfg import find_cfg
from darknet_py.corpus import Streams, read_text
from darknet_py.machine import choose_threads, limit_threads
from darknet_py.network import Network
from darknet_py.rand import Rand

TEXT = Path(__file__).parent.parent / "data" / "tales.txt"
WIDTH, ROUNDS, REPEATS = 128, 7, 30


class Rnn(nn.Module):  # type: ignore[misc]
    """darknet's [rnn] with tanh: a = f(W_i x), b = f(W_s s), s = a + b, y = f(W_o s)."""

    def __init__(self, inputs: int | None) -> None:
        super().__init__()
        self.input = nn.Linear(inputs, WIDTH) if inputs else nn.Embedding(256, WIDTH)
        self.bias = nn.Parameter(torch.zeros(WIDTH))
        self.self_layer = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        steps = []
        for a in torch.tanh(self.input(x) + self.bias):
            state = a + torch.tanh(self.self_layer(state))
            steps.append(state)
        return torch.tanh(self.output(torch.stack(steps))), state


class Tiny(nn.Module):  # type: ignore[misc]
    """Two recurrent layers and a linear one; the state is carried from batch to batch."""

    def __init__(self, kind: str, streams: int) -> None:
        super().__init__()
        self.kind = kind
        self.state: Any = None
        zeros = torch.zeros(streams, WIDTH)
        if kind == "tiny":
            self.layers = nn.ModuleList([Rnn(None), Rnn(WIDTH)])
            self.state = [zeros, zeros]
        else:
            module = nn.GRU if kind == "tiny-gru" else nn.LSTM
            self.embed = nn.Embedding(256, WIDTH)
            self.layers = module(WIDTH, WIDTH, 2)
        self.last = nn.Linear(WIDTH, 256)

    def forward(self, symbols: torch.Tensor) -> torch.Tensor:
        if self.kind == "tiny":
            x = symbols
            for index, layer in enumerate(self.layers):
                x, after = layer(x, self.state[index])
                self.state[index] = after.detach()
        else:
            x, after = self.layers(self.embed(symbols), self.state)
            many = isinstance(after, tuple)
            self.state = tuple(part.detach() for part in after) if many else after.detach()
        return self.last(x)


def torch_update(
    kind: str, data: Callable[[], tuple[np.ndarray, np.ndarray]], net: Network
) -> Callable[[], None]:
    model = Tiny(kind, net.streams)
    optimizer = torch.optim.Adam(model.parameters(), lr=net.net.learning_rate)

    def update() -> None:
        inputs, targets = (torch.from_numpy(part.astype(np.int64)) for part in data())
        optimizer.zero_grad()
        logits = model(inputs)
        nn.functional.cross_entropy(logits.reshape(-1, 256), targets.reshape(-1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), net.net.clip_norm)
        optimizer.step()

    return update


def seconds(work: Callable[[], object]) -> float:
    """Mean seconds of one call of `work`."""
    begun = time.perf_counter()
    for _ in range(REPEATS):
        work()
    return (time.perf_counter() - begun) / REPEATS


def bench(kind: str) -> None:
    net = Network(find_cfg(kind))
    net.initialize(Rand(1))
    streams = Streams(read_text(TEXT), net.streams, net.rand)

    def data() -> tuple[np.ndarray, np.ndarray]:
        return streams.next_datum(net.net.time_steps)

    threads = choose_threads(net)
    torch.set_num_threads(threads)
    peer = torch_update(kind, data, net)
    ours, theirs = [], []
    with limit_threads(threads):
        for count in range(ROUNDS + 1):
            mine, other = seconds(lambda: net.train_batch(*data())), seconds(peer)
            if count:  # the first round warms up
                ours.append(net.net.symbols / mine)
                theirs.append(net.net.symbols / other)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(
        f"{kind:<10} {statistics.median(ours):>9,.0f} characters a second, PyTorch "
        f"{statistics.median(theirs):>9,.0f}; ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    print(f"torch {torch.__version__}, numpy {np.__version__}")
    for name in ("tiny", "tiny-gru", "tiny-lstm"):
        bench(name)
