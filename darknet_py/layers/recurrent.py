"""What `[rnn]`, `[gru]` and `[lstm]` share: connected layers around a state."""

from __future__ import annotations

from darknet_py.cfg import Section
from darknet_py.layers.base import Setting
from darknet_py.layers.connected import CompositeLayer
from darknet_py.options import NetOptions


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

    def check_trainable(self, section: Section, options: NetOptions) -> None:
        """Raise CfgError where batch norm, which is over the streams of a step, would see one."""
        if self.batch_normalize and options.streams == 1:
            raise section.error(
                "batch_normalize=1 needs at least two streams to train, and batch / subdivisions "
                "is 1; give a larger batch, like --set batch=16 --set time_steps=64"
            )

    def kept_floats(self, time_steps: int, streams: int) -> int:
        connected = sum(linear.kept_floats(time_steps, streams) for linear in self.linears())
        return super().kept_floats(time_steps, streams) + connected
