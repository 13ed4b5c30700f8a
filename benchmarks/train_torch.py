# mypy: ignore-errors
"""PyTorch versus a recipe: the same text, the same time, the same score.

`python benchmarks/train_torch.py gru TEXT --seconds 240`, in an environment that has PyTorch. A
network as its users write it: an embedding, two recurrent layers and a linear one, 32 streams of 64
bytes whose state carries on; or `transformer`, of 4 layers of 128 with 4 heads, whose context is 64
bytes, 32 of them at a time. Adam, a bound on the gradient's norm, a rate that rises over the first
100 updates and falls to 0 over the last seven tenths of the time. Scored at the end on the last
tenth of TEXT: a recurrent network as one stream from a zero state, a transformer with 48 bytes of
context at least. Time spent scoring is not counted.

With --search the rate is doubled and halved until the loss rises on both sides of the best one.
With --results each network is a line of JSON in a file, and what is there already is not trained
again: benchmarks/recipes/peers.*.jsonl, of which benchmarks/search_recipes.py makes tables.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

STEPS, STREAMS = 64, 32
LAYERS, HEADS = 4, 4
FRESH = 16  # bytes that a transformer predicts at a time when it is scored
WARM_UP, COOLDOWN = 100, 0.7
RECURRENT = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}


class Recurrent(torch.nn.Module):
    def __init__(self, kind, width):
        super().__init__()
        self.embedding = torch.nn.Embedding(256, width)
        self.recurrent = RECURRENT[kind](width, width, 2)
        self.output = torch.nn.Linear(width, 256)

    def forward(self, symbols, state):
        y, state = self.recurrent(self.embedding(symbols), state)
        return self.output(y), state

    def score(self, text):
        """Nats per byte."""
        nats, state = 0.0, None
        for first in range(0, len(text) - 1, 4096):
            piece = text[first : first + 4097, None]
            logits, state = self(piece[:-1], state)
            nats += float(loss_of(logits, piece[1:])) * (len(piece) - 1)
        return nats / (len(text) - 1)


class Transformer(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embedding = torch.nn.Embedding(256, width)
        self.places = torch.nn.Parameter(0.02 * torch.randn(STEPS, 1, width))
        layer = torch.nn.TransformerEncoderLayer(
            width, HEADS, 4 * width, 0.0, "gelu", norm_first=True
        )
        self.layers = torch.nn.TransformerEncoder(
            layer, LAYERS, torch.nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.output = torch.nn.Linear(width, 256)
        self.mask = torch.nn.Transformer.generate_square_subsequent_mask(STEPS)

    def forward(self, symbols, state):
        steps = len(symbols)
        y = self.embedding(symbols) + self.places[:steps]
        y = self.layers(y, mask=self.mask[:steps, :steps], is_causal=True)
        return self.output(y), None

    def score(self, text):
        """Nats per byte, each predicted from STEPS - FRESH bytes at least."""
        first = STEPS - FRESH
        begins = torch.arange(0, len(text) - STEPS, FRESH)
        pieces = text[begins[None, :] + torch.arange(STEPS + 1)[:, None]]
        nats = 0.0
        for part in pieces.split(256, dim=1):
            logits, _ = self(part[:-1], None)
            nats += float(loss_of(logits[first:], part[1 + first :])) * part.shape[1]
        return nats / pieces.shape[1]


def loss_of(logits, targets):
    return torch.nn.functional.cross_entropy(logits.reshape(-1, 256), targets.reshape(-1))


def detached(state):
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def rate_factor(batches, share):
    """Of the rate, after `batches` and this share of the time."""
    return min(1.0, (batches + 1) / WARM_UP) * min(1.0, (1 - share) / COOLDOWN)


def trained(kind, width, rate, text, seconds, seed):
    """What is known of one network in the end."""
    torch.manual_seed(seed)
    first = len(text) - int(len(text) * 0.1)
    held_out = text[first:]
    columns = text[: first // STREAMS * STREAMS].reshape(STREAMS, -1).T.contiguous()
    net = Transformer(width) if kind == "transformer" else Recurrent(kind, width)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    state, place, batches, spent = None, 0, 0, 0.0
    while spent < seconds:
        begun = time.perf_counter()
        if kind == "transformer":
            begins = torch.randint(first - STEPS, (STREAMS,))
            piece = text[begins[None, :] + torch.arange(STEPS + 1)[:, None]]
        else:
            if place + STEPS + 1 > len(columns):
                place, state = 0, None
            piece = columns[place : place + STEPS + 1]
            place += STEPS
        logits, state = net(piece[:-1], state)
        if state is not None:
            state = detached(state)
        loss = loss_of(logits, piece[1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_factor(batches, spent / seconds)
        optimizer.step()
        batches += 1
        spent += time.perf_counter() - begun
    net.eval()
    with torch.no_grad():
        loss = net.score(held_out)
    return {
        "kind": kind,
        "width": width,
        "rate": rate,
        "seed": seed,
        "seconds": seconds,
        "loss": loss,
        "bytes": batches * STEPS * STREAMS,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
    }


def next_rate(losses, first, searching):
    """What is tried next after the losses of some rates; None at the end."""
    rates = [first]
    if searching and losses:
        best = min(losses, key=losses.get)
        rates = [best * 2, best / 2]
    return next((rate for rate in rates if rate not in losses), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", help="with commas between them: gru, lstm, rnn, transformer")
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--widths", type=int, nargs="+", help="[default: 256, or 128]")
    parser.add_argument("--rate", type=float, default=0.002)
    parser.add_argument("--search", action="store_true", help="begin with --rate, find the best")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = torch.frombuffer(bytearray(options.text.read_bytes()), dtype=torch.uint8).long()
    rows = []
    if options.results and options.results.exists():
        rows = [json.loads(line) for line in options.results.read_text().splitlines()]
    for kind in options.kinds.split(","):
        for width in options.widths or [128 if kind == "transformer" else 256]:
            losses = {
                row["rate"]: row["loss"]
                for row in rows
                if (row["kind"], row["width"], row["seed"]) == (kind, width, options.seed)
            }
            while rate := next_rate(losses, options.rate, options.search):
                row = trained(kind, width, rate, text, options.seconds, options.seed)
                rows.append(row)
                losses[rate] = row["loss"]
                print(json.dumps(row), flush=True)
                if options.results:
                    with options.results.open("a") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
