"""The engine: layers and optimizers in compiled code, shared among threads. See docs/engine.md.

layers.py, vectors.py       override what the layers and optimizers of numpy do
walks.py                    a layer's forward and backward as two jobs of the team
generation.py               writes many symbols in a call
compiled/                   what numba compiles; nothing imports it unless it is asked for
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from darknet_py.errors import DarknetError
from darknet_py.model import Model, NetworkState
from darknet_py.tier import NUMPY, Tier

if TYPE_CHECKING:
    from darknet_py.engine.generation import Writer


def choose(choice: str, precision: str = "f32") -> Tier:
    """The tier "numpy", "compiled" or "auto", which is compiled if that is possible here.

    precision: "f32", "bf16" or "auto", which is bf16 if this processor has tiles for it.
    Raises DarknetError for what is asked for and is not possible.
    """
    tier = _tier(choice)
    if tier is not NUMPY:
        from darknet_py.engine.compiled.bf16 import has_tiles

        if precision == "auto":
            precision = "bf16" if has_tiles() else "f32"
        return replace(tier, precision=precision)
    if precision == "bf16":
        needs = "--engine compiled" if choice == "numpy" else "numba: pip install numba"
        raise DarknetError(f"--precision bf16 needs {needs}; or use --precision f32")
    return tier


def bf16_way() -> str:
    """How the engine multiplies bf16 here: "tiles", "pairs" or "loop", which is not faster than
    float32; "" without the engine.
    """
    if choose("auto") is NUMPY:
        return ""
    from darknet_py.engine.compiled import bf16

    return bf16.WAYS[bf16.way()]


def _tier(choice: str) -> Tier:
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
