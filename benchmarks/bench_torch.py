"""The same networks in PyTorch, in a separate environment: `bench.py` starts this program.

Reads a job a line from stdin, JSON, and answers with a line each: {"make": {...}} builds a network
and answers what it is, {"run": N} answers the seconds of one update, the mean of N.

Written as PyTorch's users write it for speed: an embedding for the first product, products over all
time steps at once, fused modules if there is one. Its GRU resets after the recurrent product and
not before; the work is the same.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SYMBOLS = 256


class BatchNorm(nn.Module):  # type: ignore[misc]
    """Batch norm of each time step over its streams: x (time_steps, streams, features)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.zeros(features))

    def step(self, x: Tensor) -> Tensor:
        rolling = (self.mean, self.variance)
        return functional.batch_norm(x, *rolling, self.scale, self.bias, True, 0.01, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        # A fused call for each step was faster here than var_mean over all of them.
        return torch.stack([self.step(step) for step in x.unbind(0)])


class Rnn(nn.Module):  # type: ignore[misc]
    """darknet's [rnn] with batch norm and leaky activations."""

    def __init__(self, width: int, is_first: bool) -> None:
        super().__init__()
        self.width = width
        self.input: nn.Module = nn.Linear(width, width, bias=False)
        if is_first:
            self.input = nn.Embedding(SYMBOLS, width)
        self.self_layer = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.input_norm, self.self_norm, self.output_norm = (BatchNorm(width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        a = functional.leaky_relu(self.input_norm(self.input(x)), 0.1)
        state = torch.zeros(a.shape[1], self.width)
        states = []
        for step in a.unbind(0):
            state = step + functional.leaky_relu(self.self_norm.step(self.self_layer(state)), 0.1)
            states.append(state)
        return functional.leaky_relu(self.output_norm(self.output(torch.stack(states))), 0.1)


class Fused(nn.Module):  # type: ignore[misc]
    """torch.nn.RNN with the output layer that darknet's [rnn] has, or a stack of GRU or LSTM."""

    def __init__(self, kind: str, layers: int, width: int) -> None:
        super().__init__()
        module = {"plain": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.embed = nn.Embedding(SYMBOLS, width)
        if kind == "plain":
            self.layers = nn.ModuleList([module(width, width) for _ in range(layers)])
            self.outputs = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
        else:
            self.layers = nn.ModuleList([module(width, width, layers)])
            self.outputs = nn.ModuleList([nn.Identity()])

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer, output in zip(self.layers, self.outputs, strict=True):
            x = layer(x)[0]
            if not isinstance(output, nn.Identity):
                x = torch.tanh(output(x))
        return x


def make(job: dict[str, Any]) -> Callable[[], None]:
    """One update of the network that `job` describes."""
    torch.set_num_threads(job["threads"])
    kind, layers, width = job["kind"], job["layers"], job["width"]
    body: nn.Module = (
        Fused(kind, layers, width)
        if kind != "rnn"
        else nn.Sequential(*(Rnn(width, index == 0) for index in range(layers)))
    )
    model: Any = nn.Sequential(body, nn.Linear(width, SYMBOLS))
    if job["compile"]:
        model = torch.compile(model)
    adam = job["adam"]
    optimizer = torch.optim.Adam if adam else torch.optim.SGD
    options = {} if adam else {"momentum": 0.9}
    update = optimizer(model.parameters(), lr=0.001, **options)
    symbols = torch.randint(0, 96, (job["steps"] + 1, job["streams"]))
    targets = symbols[1:].reshape(-1)

    def run() -> None:
        update.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=job["autocast"]):
            logits = model(symbols[:-1]).reshape(-1, SYMBOLS)
            loss = functional.cross_entropy(logits, targets)
        loss.backward()
        update.step()

    run()
    return run


def main() -> None:
    run: Callable[[], None] = lambda: None  # noqa: E731
    for line in sys.stdin:
        job = json.loads(line)
        if "make" in job:
            try:
                run = make(job["make"])
                answer: Any = f"torch {torch.__version__}"
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        else:
            begun = time.perf_counter()
            for _ in range(job["run"]):
                run()
            answer = (time.perf_counter() - begun) / job["run"]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
