"""How the engine is compiled, and what of the processor and the system it must know.

The one file that uses what numba does not document: `numba.core`, and how functions are kept on
disk. pyproject.toml has the versions that it was tested with.

All of the engine is numba's nopython code over raw memory: an address is an integer, and an array
is made of it where one is needed.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import platform
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from llvmlite import binding, ir
from numba import extending
from numba.core import cgutils, types
from numba.core.ccallback import CFunc

from darknet_py.arrays import Array

# A function that is compiled, or called from others as if it were C.
F = TypeVar("F", bound=Callable[..., Any])
# What lies in memory as a dtype says; its fields have that dtype's names.
Record: TypeAlias = Any
log = logging.getLogger("darknet_py")
WORD = ir.IntType(64)
FLOAT = ir.FloatType()
FLOAT_BYTES = 4
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


# A product and a sum may be rounded as one; no sum is reordered.
_HOW = {"fastmath": {"contract"}, "error_model": "numpy"}
# Written out where it is called: if several object files held a copy, that of the file loaded first
# would serve them all, and where all were just compiled yet another one. Sums may differ by copy.
_PART = {"nogil": True, "error_model": "numpy", "forceinline": True}


def _njit(function: F, fastmath: set[str]) -> F:
    made: F = numba.njit(function, fastmath=fastmath, **_PART)
    return made


def compiled(function: F) -> F:
    """A function that becomes a part of those that call it."""
    return _njit(function, {"contract"})


def compiled_sums(function: F) -> F:
    """As `compiled`; sums within a row may be reordered, which vectors need."""
    return _njit(function, {"contract", "reassoc", "nsz"})


def compiled_ordered(function: F) -> F:
    """As `compiled_sums`, where NaN need not be looked for either."""
    return _njit(function, {"nnan", "reassoc", "nsz"})


class Exported:
    """A function of whole numbers, addresses among them, that is compiled by itself.

    Others call it through its symbol, as they would call C, so that its code is compiled once and
    not again in each that calls it. It is compiled by `link`, and kept on disk.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.symbol = f"{function.__module__}.{function.__name__}".replace(".", "_")
        self.signature = types.void(*[types.intp] * function.__code__.co_argcount)
        self.external = types.ExternalFunction(self.symbol, self.signature)
        self.compiled: Any = None

    def _made(self, digest: str) -> Any:
        made = CFunc(self.function, (self.signature.args, types.void), {}, dict(_HOW))
        keep_on_disk(made, digest)
        return made

    def is_kept(self, digest: str) -> bool:
        """Whether it need not be compiled."""
        made = self._made(digest)
        context = made._targetdescr.target_context
        return made._cache.load_overload(made._sig, context) is not None

    def link(self, digest: str) -> None:
        """Compile it, or read it from disk, and let others find it."""
        compiled = self._made(digest)
        compiled.compile()
        binding.add_symbol(self.symbol, compiled.address)
        self.compiled = compiled


_EXPORTS: dict[str, Exported] = {}


def exported(function: F) -> F:
    """Compile it by itself (`Exported`). What it calls must be defined before it."""
    made = Exported(function)
    _EXPORTS[made.symbol] = made
    external: F = made.external
    return external


def keep_on_disk(function: Any, digest: str) -> None:
    """Let numba keep what it compiles for as long as `digest` is the same.

    By itself numba would look at the file of the function, and not at those of what it calls.
    """
    try:
        function.enable_caching()
    except RuntimeError:
        # There is no folder to write to: compiled each time.
        return
    function._cache._cache_file._source_stamp = digest


@lru_cache(maxsize=1)
def link() -> dict[str, Any]:
    """Make all of the engine ready; its functions by symbol, to be called from Python."""
    digest = sources()
    # If the first is not on disk, none is.
    if not next(iter(_EXPORTS.values())).is_kept(digest):
        log.info("compiling for this processor (about 20 seconds, once for this installation)")
    for function in _EXPORTS.values():
        if function.compiled is None:
            function.link(digest)
    return {symbol: function.compiled.ctypes for symbol, function in _EXPORTS.items()}


@lru_cache(maxsize=1)
def sources() -> str:
    """A digest of the sources of this folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _vector_width() -> int:
    """Floats in a vector of this processor; 0 where it is not known."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 4
    features = binding.get_host_cpu_features() if IS_X86 else {}
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx2") and features.get("fma") else 0


VECTOR = _vector_width()
if not VECTOR:
    log.debug("no vector products for this processor: BLAS is used")


def function_of(builder: Any, name: str, signature: Any) -> Any:
    """A function of LLVM or of the system, to be called by its name."""
    return cgutils.get_or_insert_function(builder.module, signature, name)


def intrinsic(function: Any) -> Any:
    """A function that writes LLVM's instructions where it is called."""
    return extending.intrinsic(function)


# --- memory ---------------------------------------------------------------------------------------


@intrinsic
def _float_pointer(context: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], FLOAT.as_pointer())

    return types.CPointer(types.float32)(types.intp), build


@intrinsic
def _word_pointer(context: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], WORD.as_pointer())

    return types.CPointer(types.int64)(types.intp), build


@compiled
def floats(address: int, shape: tuple[int, ...]) -> Array:
    """The float32 array of this shape, a tuple, that lies at an address."""
    array: Array = numba.carray(_float_pointer(address), shape)
    return array


@compiled
def words(address: int, shape: tuple[int, ...]) -> Array:
    """The int64 array of this shape, a tuple, that lies at an address."""
    array: Array = numba.carray(_word_pointer(address), shape)
    return array


def reader(dtype: np.dtype[Any]) -> Callable[[int], Record]:
    """A compiled function from an address to the record of this dtype that lies there."""
    pointer = types.CPointer(numba.from_dtype(dtype))

    @intrinsic
    def record_pointer(context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.inttoptr(values[0], context.get_value_type(pointer))

        return pointer(types.intp), build

    @compiled
    def record_at(address: int) -> Record:
        return numba.carray(record_pointer(address), (1,))[0]

    return record_at


@intrinsic
def float_of_bits(context: Any, bits: Any) -> Any:
    """The float32 that these 32 bits are."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], FLOAT)

    return types.float32(types.int32), build


@intrinsic
def bits_of_float(context: Any, number: Any) -> Any:
    """The 32 bits of a float32."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.IntType(32))

    return types.int32(types.float32), build


# --- between threads ------------------------------------------------------------------------------


@intrinsic
def store_release(context: Any, address: Any, value: Any) -> Any:
    """Write a word that others see only after all that was written before it."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = builder.inttoptr(values[0], WORD.as_pointer())
        builder.store_atomic(values[1], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), build


@intrinsic
def load_acquire(context: Any, address: Any) -> Any:
    """Read a word, and after it all that was written before it was."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = builder.inttoptr(values[0], WORD.as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.intp(types.intp), build


@intrinsic
def fence(context: Any) -> Any:
    """What was written before is seen by all before anything after it is read."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def pause(context: Any) -> Any:
    """Tell the processor that this thread waits in a loop."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if IS_X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            hint = function_of(builder, "llvm.x86.sse2.pause", nothing)
            builder.call(hint, [])
        else:
            builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build


# The name by which compiled code finds the system's call that lets other threads run.
_YIELD = "darknet_py_yield"


def _add_yield() -> None:
    if sys.platform == "win32":
        function: Any = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    binding.add_symbol(_YIELD, ctypes.cast(function, ctypes.c_void_p).value)


_add_yield()


@intrinsic
def yield_processor(context: Any) -> Any:
    """Let another thread of the system have the processor."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        answers = ir.FunctionType(ir.IntType(32), [])
        builder.call(function_of(builder, _YIELD, answers), [])
        return context.get_dummy_value()

    return types.void(), build
