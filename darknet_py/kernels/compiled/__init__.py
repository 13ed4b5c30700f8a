"""The compiled twins of `kernels/plain.py`, with the extra `fast`; nothing imports them unasked."""

from __future__ import annotations

from darknet_py.kernels import Kernels
from darknet_py.kernels.compiled import passes


class CompiledKernels(Kernels):
    """Loops that numba compiles; what is not here is numpy's."""

    name = "compiled"

    bias_activate = staticmethod(passes.bias_activate)
    affine_activate = staticmethod(passes.affine_activate)
    activate_backward = staticmethod(passes.activate_backward)
    normalize_activate = staticmethod(passes.normalize_activate)
    normalize_activate_backward = staticmethod(passes.normalize_activate_backward)
    add_by_symbol = staticmethod(passes.add_by_symbol)
    lstm_step_backward = staticmethod(passes.lstm_step_backward)
    gru_mix = staticmethod(passes.gru_mix)
    gru_mix_backward = staticmethod(passes.gru_mix_backward)
    sgd = staticmethod(passes.sgd)
    adam = staticmethod(passes.adam)
