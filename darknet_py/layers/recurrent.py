"""What `[rnn]`, `[gru]` and `[lstm]` share: connected layers around a state."""

from __future__ import annotations

from darknet_py.cfg import Section
from darknet_py.layers.base import Layer, Parameter, RollingStatistics, Setting
from darknet_py.layers.connected import Connected
from darknet_py.options import NetOptions
from darknet_py.rand import Rand


class RecurrentLayer(Layer):
    """A layer with a state: arrays (streams, features), `features` of each in `state_sizes`."""

    takes_symbols = True

    def __init__(
        self, setting: Setting, outputs: int, batch_normalize: bool, **state_sizes: int
    ) -> None:
        super().__init__(setting.index, setting.inputs, outputs)
        self.batch_normalize = batch_normalize
        self.state_sizes = state_sizes
        self.scratch = setting.scratch

    def bricks(self) -> list[Connected]:
        """The connected layers that it computes with, the one that sees the input first."""
        raise NotImplementedError

    def parameters(self) -> list[Parameter]:
        return [parameter for brick in self.bricks() for parameter in brick.parameters()]

    def initialize(self, rand: Rand) -> None:
        for brick in self.bricks():
            brick.initialize(rand)

    def statistics(self) -> list[RollingStatistics]:
        return [own for brick in self.bricks() for own in brick.statistics()]

    def check_trainable(self, section: Section, options: NetOptions) -> None:
        """Raise CfgError where batch norm, which is over the streams of a step, would see one."""
        if self.batch_normalize and options.streams == 1:
            raise section.error(
                "batch_normalize=1 needs at least two streams to train, and batch / subdivisions "
                "is 1; give a larger batch, like --set batch=16 --set time_steps=64"
            )

    def operations(self) -> int:
        return sum(brick.operations() for brick in self.bricks())

    def kept_floats(self, time_steps: int, streams: int) -> int:
        connected = sum(brick.kept_floats(time_steps, streams) for brick in self.bricks())
        return super().kept_floats(time_steps, streams) + connected
