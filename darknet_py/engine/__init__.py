"""The engine: layers and optimizers in compiled code, shared among threads. See docs/engine.md.

layers.py, optimizers.py    override what the layers and optimizers of numpy do
walks.py                    a layer's forward and backward as two jobs of the team
generation.py               writes many symbols in a call
compiled/                   what numba compiles; nothing imports it unasked
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from darknet_py.errors import DarknetError
from darknet_py.model import Model, NetworkState
from darknet_py.tier import NUMPY, Tier

if TYPE_CHECKING:
    from darknet_py.engine.generation import Writer


def choose(choice: str) -> Tier:
    """The tier "numpy"; "compiled"; or "auto", which is compiled if that is possible here.

    Raises DarknetError if the compiled one is asked for and is not possible.
    """
    if choice == "numpy":
        return NUMPY
    try:
        from darknet_py.engine.compiled.jit import VECTOR
        from darknet_py.engine.layers import COMPILED
    except ImportError as error:
        if choice == "auto":
            return NUMPY
        raise DarknetError(f"--engine compiled needs numba ({error}): pip install numba") from error
    if VECTOR:
        return COMPILED
    if choice == "auto":
        return NUMPY
    raise DarknetError("--engine compiled does not know this processor; use --engine numpy")


def writer(model: Model, state: NetworkState, streams: int) -> Writer | None:
    """`model.stepper(state, streams)` in compiled code, whatever the model's own tier is.

    None if that is not possible here, or not with one of the layers.
    """
    if choose("auto") is NUMPY:
        return None
    from darknet_py.engine.generation import make_writer

    return make_writer(model, state, streams)
