"""What a network computes with: element-wise loops and small reductions.

plain.py    numpy's, each written once, to be read
compiled/   their twins, with the extra `fast`

A network has its own `Kernels`, chosen when it is made; its layers and its optimizer call them.
"""

from __future__ import annotations

from darknet_py.errors import DarknetError
from darknet_py.kernels import plain


class Kernels:
    """numpy's. `CompiledKernels` has the same methods, with the same results to rounding."""

    name = "numpy"

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
                f"compiled kernels: {error}: expected the extra `fast`: "
                f"pip install 'darknet-py[fast]'"
            ) from error
        return Kernels()
    return CompiledKernels()
