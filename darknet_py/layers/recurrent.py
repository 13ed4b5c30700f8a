"""What `[rnn]`, `[gru]` and `[lstm]` share: connected layers around a state."""

from __future__ import annotations

from darknet_py.cfg import Section
from darknet_py.layers.base import Setting
from darknet_py.layers.connected import CompositeLayer


class RecurrentLayer(CompositeLayer):
    """A layer with a state: arrays (streams, features), `features` of each in `state_sizes`."""

    takes_symbols = True

    def __init__(
        self, section: Section, setting: Setting, outputs: int, **state_sizes: int
    ) -> None:
        super().__init__(section, setting, outputs)
        self.batch_normalize = section.flag("batch_normalize")
        self.state_sizes = state_sizes
        self.scratch = setting.scratch

    def rows(self, time_steps: int, streams: int) -> tuple[int, int]:
        return time_steps, streams
