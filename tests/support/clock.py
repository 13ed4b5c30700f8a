"""A clock for runs that no machine moves."""

from __future__ import annotations

import time
from typing import Any

import pytest

from darknet_py.inference.scoring import PiecesScore
from darknet_py.trainer.trainer import Trainer, Update
from darknet_py.training.validation import Validation


class Clock:
    """A clock that the work itself moves: a batch and a validation take what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.batch = self.validation = 1.0
        self.spent = 0.0
        update, score = Trainer.update, Validation._score

        def timed_batch(trainer: Trainer, *args: Any) -> Update:
            self.now += self.batch
            return update(trainer, *args)

        def timed_score(own: Validation, *args: Any, **more: Any) -> PiecesScore:
            self.now += self.validation
            self.spent += self.validation
            return score(own, *args, **more)

        monkeypatch.setattr(Trainer, "update", timed_batch)
        monkeypatch.setattr(Validation, "_score", timed_score)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
