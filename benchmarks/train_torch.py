# mypy: ignore-errors
"""PyTorch beside a recipe: the same text, the same time, the same score.

`python benchmarks/train_torch.py gru TEXT --seconds 240`, in an environment that has PyTorch. A
network of two layers of 256 as its users write it: embedding, recurrent layers, a linear layer,
Adam, a bound on the gradient's norm, 32 streams of 64 bytes whose state carries on. Scored at
the end, and at three quarters of the time, on the last tenth of TEXT as one stream from a zero
state; the best counts. Time spent scoring is not counted.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch


class Net(torch.nn.Module):
    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        layer = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}[kind]
        self.embedding = torch.nn.Embedding(256, width)
        self.recurrent = layer(width, width, 2)
        self.output = torch.nn.Linear(width, 256)

    def forward(self, symbols, state):
        y, state = self.recurrent(self.embedding(symbols), state)
        return self.output(y), state


def loss_of(logits, targets):
    return torch.nn.functional.cross_entropy(logits.reshape(-1, 256), targets.reshape(-1))


def detached(state):
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def score(net: Net, text: torch.Tensor) -> float:
    """Nats per byte of one stream from a zero state."""
    nats, state = 0.0, None
    with torch.no_grad():
        for first in range(0, len(text) - 1, 4096):
            piece = text[first : first + 4097, None]
            logits, state = net(piece[:-1], state)
            nats += float(loss_of(logits, piece[1:])) * (len(piece) - 1)
    return nats / (len(text) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["gru", "lstm", "rnn"])
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(options.seed)
    steps, streams = 64, 32
    text = torch.frombuffer(bytearray(options.text.read_bytes()), dtype=torch.uint8).long()
    first = len(text) - int(len(text) * 0.1)
    held_out = text[first:]
    columns = text[: first // streams * streams].reshape(streams, -1).T.contiguous()
    net = Net(options.kind, 256)
    optimizer = torch.optim.Adam(net.parameters(), lr=options.rate)
    state, place, batches, spent, best = None, 0, 0, 0.0, math.inf
    next_score = 0.75 * options.seconds
    while spent < options.seconds:
        begun = time.perf_counter()
        if place + steps + 1 > len(columns):
            place, state = 0, None
        piece = columns[place : place + steps + 1]
        logits, state = net(piece[:-1], state)
        state = detached(state)
        loss = loss_of(logits, piece[1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        place += steps
        batches += 1
        spent += time.perf_counter() - begun
        if spent >= next_score:
            best = min(best, score(net, held_out))
            next_score = math.inf
    best = min(best, score(net, held_out))
    print(f"{options.kind}: {best:.4f} nats per byte, {batches} batches in {spent:.0f} s")


if __name__ == "__main__":
    main()
