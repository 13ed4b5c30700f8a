"""How the engine is compiled, and what of the processor and the system it must know.

The one file that uses what numba does not document: `numba.core`, and how functions are kept on
disk. pyproject.toml has the versions that it was tested with.

All of the engine is numba's nopython code over raw memory: an address is an integer, and an array
is made of it where one is needed.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import logging
import platform
import sys
from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints

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


def instructions(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """A function of these numba types, of LLVM's instructions, written where it is called.

    What is decorated writes them: it takes the builder and the values of the arguments, and returns
    the value of the result, where there is one.
    """

    def decorate(write: Callable[..., Any]) -> Any:
        @wraps(write)
        def typed(context: Any, *_: Any) -> Any:
            def build(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
                value = write(builder, *values)
                return context.get_dummy_value() if value is None else value

            return result(*arguments), build

        return extending.intrinsic(typed)

    return decorate


def numba_type(hint: Any) -> Any:
    """That of an argument: a whole number, or a NamedTuple of them."""
    if hint is int:
        return types.intp
    return types.NamedUniTuple(types.intp, len(hint._fields), hint)


class Exported:
    """A function of whole numbers, and NamedTuples of them, that is compiled by itself.

    Others call it through its symbol, as they would call C, so that its code is compiled once and
    not again in each that calls it. It is compiled by `link`, and kept on disk.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        self.symbol = f"{function.__module__}.{function.__name__}".replace(".", "_")
        parameters = inspect.signature(function).parameters
        hints = get_type_hints(function)
        self.signature = types.void(*(numba_type(hints[name]) for name in parameters))
        self.compiled: Any = None

        def call(builder: ir.IRBuilder, *values: ir.Value) -> None:
            signature = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            builder.call(function_of(builder, self.symbol, signature), values)

        # numba, too, must see how many arguments there are.
        builder = inspect.Parameter("builder", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        vars(call)["__signature__"] = inspect.Signature([builder, *parameters.values()])
        self.caller = instructions(types.void, *self.signature.args)(call)

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
    caller: F = made.caller
    return caller


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
def link() -> None:
    """Make all of the engine ready."""
    digest = sources()
    # If the first is not on disk, none is.
    if not next(iter(_EXPORTS.values())).is_kept(digest):
        log.info("compiling for this processor (about 20 seconds, once for this installation)")
    for function in _EXPORTS.values():
        if function.compiled is None:
            function.link(digest)


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
# Whether the processor has instructions for tiles of bf16; the system may not let them be used.
HAS_TILES = IS_X86 and all(
    binding.get_host_cpu_features().get(name) for name in ("amx-tile", "amx-bf16")
)
if not VECTOR:
    log.debug("no vector products for this processor: BLAS is used")


def function_of(builder: ir.IRBuilder, name: str, signature: ir.FunctionType) -> ir.Function:
    """A function of LLVM or of the system, to be called by its name."""
    return cgutils.get_or_insert_function(builder.module, signature, name)


# --- memory ---------------------------------------------------------------------------------------


@instructions(types.CPointer(types.float32), types.intp)
def _float_pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, FLOAT.as_pointer())


@instructions(types.CPointer(types.uint16), types.intp)
def _half_pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, ir.IntType(16).as_pointer())


@instructions(types.CPointer(types.int64), types.intp)
def _word_pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, WORD.as_pointer())


@compiled
def floats(address: int, shape: tuple[int, ...]) -> Array:
    """The float32 array of this shape, a tuple, that lies at an address."""
    array: Array = numba.carray(_float_pointer(address), shape)
    return array


@compiled
def halves(address: int, shape: tuple[int, ...]) -> Array:
    """The uint16 array of this shape, a tuple, that lies at an address."""
    array: Array = numba.carray(_half_pointer(address), shape)
    return array


@compiled
def words(address: int, shape: tuple[int, ...]) -> Array:
    """The int64 array of this shape, a tuple, that lies at an address."""
    array: Array = numba.carray(_word_pointer(address), shape)
    return array


class Rows(NamedTuple):
    """Rows of float32 numbers: the address of the first, and numbers from one to the next."""

    at: int
    apart: int


@compiled
def rows_from(rows: Rows, row: int, column: int) -> Rows:
    """Those from this row and column on."""
    return Rows(rows.at + (row * rows.apart + column) * FLOAT_BYTES, rows.apart)


@compiled
def row_of(rows: Rows, row: int, count: int) -> Array:
    """So many numbers of a row, from its first."""
    return floats(rows.at + row * rows.apart * FLOAT_BYTES, (count,))


def reader(dtype: np.dtype[Any]) -> Callable[[int], Record]:
    """A compiled function from an address to the record of this dtype that lies there."""
    pointer = types.CPointer(numba.from_dtype(dtype))

    @instructions(pointer, types.intp)
    def record_pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        return builder.inttoptr(address, ir.ArrayType(ir.IntType(8), dtype.itemsize).as_pointer())

    @compiled
    def record_at(address: int) -> Record:
        return numba.carray(record_pointer(address), (1,))[0]

    return record_at


@instructions(types.float32, types.int32)
def float_of_bits(builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
    """The float32 that these 32 bits are."""
    return builder.bitcast(bits, FLOAT)


@instructions(types.int32, types.float32)
def bits_of_float(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """The 32 bits of a float32."""
    return builder.bitcast(number, ir.IntType(32))


# --- between threads ------------------------------------------------------------------------------


@instructions(types.void, types.intp, types.intp)
def store_release(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    """Write a word that others see only after all that was written before it."""
    builder.store_atomic(value, builder.inttoptr(address, WORD.as_pointer()), "release", 8)


@instructions(types.intp, types.intp)
def load_acquire(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """Read a word, and after it all that was written before it was."""
    return builder.load_atomic(builder.inttoptr(address, WORD.as_pointer()), "acquire", 8)


@instructions(types.void)
def fence(builder: ir.IRBuilder) -> None:
    """What was written before is seen by all before anything after it is read."""
    builder.fence("seq_cst")


@instructions(types.void)
def pause(builder: ir.IRBuilder) -> None:
    """Tell the processor that this thread waits in a loop."""
    if IS_X86:
        nothing = ir.FunctionType(ir.VoidType(), [])
        builder.call(function_of(builder, "llvm.x86.sse2.pause", nothing), [])
    else:
        builder.fence("seq_cst")


# The name by which compiled code finds the system's call that lets other threads run.
_YIELD = "darknet_py_yield"
if sys.platform == "win32":
    _system_yield: Any = ctypes.WinDLL("kernel32").SwitchToThread
else:
    _system_yield = ctypes.CDLL(None).sched_yield
binding.add_symbol(_YIELD, ctypes.cast(_system_yield, ctypes.c_void_p).value)


@instructions(types.void)
def yield_processor(builder: ir.IRBuilder) -> None:
    """Let another thread of the system have the processor."""
    answers = ir.FunctionType(ir.IntType(32), [])
    builder.call(function_of(builder, _YIELD, answers), [])
