"""Scoring a network on held-out text while it trains, and remembering the best one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from darknet_py.evaluation import estimate_loss
from darknet_py.layers.base import Array
from darknet_py.network import Network

log = logging.getLogger(__name__)

SHARE = 0.04  # of the time goes to validation where no interval is given
ESTIMATE = 1 << 15  # characters scored while training; the whole text is scored at the end
_FACTS = ("loss", "best_loss", "best_batch", "number", "stale")
FIRST = 10  # batches before the first validation, whose cost then decides the interval


class Validation:
    """The held-out text, how often it is scored, and the best network so far.

    every: batches between validations; None until the first one has shown what it costs.
    loss, best_loss: nats per character, the last and the lowest; None before the first.
    number: of validations so far; stale: of those since the best one.
    """

    def __init__(self, text: Array, every: int | None) -> None:
        self.text = text
        self.every = every
        self.loss: float | None = None
        self.best_loss: float | None = None
        self.best_batch = 0
        self.best_parameters: Array | None = None
        self.number = self.stale = 0

    def facts(self) -> dict[str, Any]:
        """What `restore` needs beside the best parameters, as JSON has it."""
        return {name: getattr(self, name) for name in _FACTS}

    def restore(self, facts: dict[str, Any], best_parameters: Array | None) -> None:
        """Go on from these. Raises KeyError where one is missing."""
        for name in _FACTS:
            setattr(self, name, facts[name])
        self.best_parameters = best_parameters

    def is_due(self, batch: int, done: int) -> bool:
        """After batch number `batch`, with `done` batches behind this run."""
        if not len(self.text):
            return False
        return done == FIRST if self.every is None else batch % self.every == 0

    def estimate(self, net: Network, seconds_per_batch: float) -> float:
        """Score `net` on a part of the text, and keep it if it is the best so far.

        Returns the loss in nats per character.
        """
        begun = time.perf_counter()
        self.loss = estimate_loss(net, self.text, ESTIMATE, ranks=net.ranks)
        if self.every is None:
            cost = time.perf_counter() - begun
            every = max(FIRST, math.ceil(cost / (SHARE * seconds_per_batch)))
            self.every = net.ranks.decide(every)
            log.debug("validation every %d batches", self.every)
        self.number += 1
        self.stale += 1
        if self.loss < (math.inf if self.best_loss is None else self.best_loss):
            self._keep(net)
        return self.loss

    def conclude(self, net: Network, stop: Callable[[], bool] = lambda: False) -> bool:
        """Score `net` and the best one so far on the whole text.

        Returns whether `net`, the last one, is the best. Raises InterruptedError once `stop` says
        so; then the losses are still those before, and so are the parameters of `net`.
        """
        if not len(self.text):
            return False
        loss = estimate_loss(net, self.text, len(self.text), stop=stop, ranks=net.ranks)
        if self.best_parameters is not None and self.best_batch != net.batch_number:
            last = net.parameters.copy()
            np.copyto(net.parameters, self.best_parameters)
            try:
                best = estimate_loss(net, self.text, len(self.text), stop=stop, ranks=net.ranks)
            finally:
                np.copyto(net.parameters, last)
            self.loss, self.best_loss = loss, best
            if best < loss:
                return False
        self.loss = loss
        self._keep(net)
        return True

    def _keep(self, net: Network) -> None:
        self.best_loss = self.loss
        self.best_batch = net.batch_number
        self.best_parameters = net.parameters.copy()
        self.stale = 0
