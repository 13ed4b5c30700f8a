"""What a network computes with: element-wise loops and small reductions.

plain.py    numpy's, each written once, to be read
compiled/   their twins, with the extra `fast`

A network has its own `Kernels`, chosen when it is made; its layers and its optimizer call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from darknet_py.arrays import Array
from darknet_py.errors import DarknetError
from darknet_py.kernels import plain


class Walk(Protocol):
    """A layer's forward and backward in one call each, in place of what its file does step by step.

    The arguments are those of `Layer.forward` and `RecurrentLayer.backward_through_time`.
    """

    def forward(self, x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]: ...

    def backward(
        self, delta: Array, below: Array | None, d_after: tuple[Array, ...] | None
    ) -> tuple[Array, ...] | None: ...


class Writer(Protocol):
    """A compiled `Model.stepper`, which can also draw what follows and go on with that."""

    def __call__(self, symbols: Any) -> Array: ...

    def write(self, symbols: Any, uniform: Array, temperature: float, greedy: bool) -> Array: ...


class Kernels:
    """numpy's. `CompiledKernels` has the same methods, with the same results to rounding."""

    name = "numpy"
    # Whether the threads of a team share the work, and how many of them do.
    has_team = False
    threads = 1

    def prepare(self) -> None:
        """Do what takes time once, so that it is not counted as work."""

    def timed(self) -> tuple[str, ...]:
        """The names of those that a profile times."""
        return KERNELS

    def walk(self, layer: Any, x: Array, training: bool) -> Walk | None:
        """A compiled walk of this layer for such an input; None where its own is to be taken."""
        return None

    def stepper(self, layers: Sequence[Any], state: Any, streams: int) -> Writer | None:
        """A compiled stepper through these layers; None where their own are to be taken."""
        return None

    product = staticmethod(plain.product)
    bias_activate = staticmethod(plain.bias_activate)
    activate_backward = staticmethod(plain.activate_backward)
    normalize_activate = staticmethod(plain.normalize_activate)
    normalize_activate_backward = staticmethod(plain.normalize_activate_backward)
    roll = staticmethod(plain.roll)
    affine_activate = staticmethod(plain.affine_activate)
    logistic = staticmethod(plain.logistic)
    lstm_step = staticmethod(plain.lstm_step)
    lstm_step_backward = staticmethod(plain.lstm_step_backward)
    gru_mix = staticmethod(plain.gru_mix)
    gru_mix_backward = staticmethod(plain.gru_mix_backward)
    gather = staticmethod(plain.gather)
    add_by_symbol = staticmethod(plain.add_by_symbol)
    softmax = staticmethod(plain.softmax)
    softmax_delta = staticmethod(plain.softmax_delta)
    sgd = staticmethod(plain.sgd)
    adam = staticmethod(plain.adam)


# The names of all of them.
KERNELS = tuple(name for name, own in vars(Kernels).items() if isinstance(own, staticmethod))


def choose_kernels(choice: str) -> Kernels:
    """New kernels by name: "numpy"; "compiled"; "auto", which is compiled where they can be had.

    Raises DarknetError where compiled ones are asked for and cannot be had.
    """
    if choice == "numpy":
        return Kernels()
    try:
        from darknet_py.kernels.compiled import CompiledKernels
    except ImportError as error:
        if choice == "compiled":
            raise DarknetError(
                f"--kernels compiled needs numba ({error}): pip install numba"
            ) from error
        return Kernels()
    return CompiledKernels()
