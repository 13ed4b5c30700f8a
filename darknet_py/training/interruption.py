"""Ctrl-C during a run: the batch is finished and everything saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from darknet_py.inference.generation import Progress
from darknet_py.terminal.messages import clear_line, say

BATCH = "stopping after this batch, then saving; press Ctrl-C again to quit now without saving"
SCORE = "ending the score of the held-out text; the run is saved; press Ctrl-C again to quit now"


class Interruption:
    """Ctrl-C or another signal to stop: the first waits for the end of the batch, the second acts.

    Before there is a batch to finish the first acts too.
    only_keys: leave all but Ctrl-C to the program around it, and that too if the program has a
    handler of its own or calls from a thread, which can have none. message: said at the first,
    if there is one. number: of the signal that came last.
    """

    number: int = signal.SIGINT

    def __init__(self, only_keys: bool = False, message: str = BATCH) -> None:
        self._only_keys = only_keys
        self._message = message
        self._asked = self._is_training = False
        self._before: dict[int, Any] = {}

    def asked(self) -> bool:
        """Whether to stop; the run asks even before its first batch."""
        self._is_training = True
        return self._asked

    @property
    def is_asked(self) -> bool:
        """Whether there was one."""
        return self._asked

    @property
    def is_scoring(self) -> bool:
        """Whether the run is complete, and its best network being scored."""
        return self._message == SCORE

    def scoring(self, show: Progress) -> Progress:
        """`show`, which is called while the run is saved and a network scored."""

        def shown(done: int, total: int) -> None:
            if not self._asked:
                self._message = SCORE
            show(done, total)

        return shown

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if self._asked or not self._is_training:
            raise KeyboardInterrupt(number)
        self._asked = True
        if self._message:
            clear_line()
            say(self._message)

    def __enter__(self) -> Interruption:
        # A terminal that goes away is no reason to lose anything; nohup has it ignored.
        hangup = getattr(signal, "SIGHUP", signal.SIGTERM)
        numbers = {signal.SIGINT, signal.SIGTERM, hangup}
        if self._only_keys:
            is_main = threading.current_thread() is threading.main_thread()
            is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            numbers = {signal.SIGINT} if is_main and is_usual else set()
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN or number != hangup:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
