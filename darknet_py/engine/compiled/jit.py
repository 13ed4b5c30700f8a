"""How the engine is compiled, and what of the processor and the system it must know.

The one file that uses what numba does not document: `numba.core`, and how functions are kept on
disk. pyproject.toml has the versions that it was tested with.

All of the engine is numba's nopython code over raw memory: an address is an integer, and an array
is made of it if one is needed.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import logging
import os
import pickle
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints

import numba
import numpy as np
from llvmlite import binding, ir
from numba import extending
from numba.core import cgutils, config, types
from numba.core.caching import NullCache
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from darknet_py.arrays import Array

# A function that is compiled, or called from others as if it were C.
F = TypeVar("F", bound=Callable[..., Any])
# What lies in memory as a dtype says; its fields have that dtype's names.
Record: TypeAlias = Any
log = logging.getLogger("darknet_py")
WORD = ir.IntType(64)
FLOAT = ir.FloatType()
FLOAT_BYTES = 4
STOPPING = {getattr(signal, name, signal.SIGINT) for name in ("SIGINT", "SIGTERM", "SIGHUP")}
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


# A product and a sum may be rounded as one; no sum is reordered.
_HOW = {"fastmath": {"contract"}, "error_model": "numpy"}
# Written out where it is called: if several object files held a copy, that of the file loaded first
# would serve them all, and if all were just compiled yet another one. Sums may differ by copy.
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
    the value of the result, if there is one.
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


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals act after this: within it numba would lose them, or be of no use after them."""
    noted: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append((number, frame))
        log.warning("stopping as soon as this function is compiled")

    is_main = threading.current_thread() is threading.main_thread()
    before = {n: h for n in STOPPING if is_main and callable(h := signal.getsignal(n))}
    try:
        for number in before:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, frame in noted[:1]:
            before[number](number, frame)


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

    @_signals_wait()
    def link(self) -> None:
        """Compile it, or read it from disk, and let others find it."""
        compiled = CFunc(self.function, (self.signature.args, types.void), {}, dict(_HOW))
        compiled._cache = _Kept(self.function)
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


def link(enter: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """Make all of the engine ready, and `enter`, which Python calls; returns that, compiled."""
    for function in _EXPORTS.values():
        if function.compiled is None:
            function.link()
    made: Any = numba.njit(enter, nogil=True)
    made._cache = _Kept(enter)
    with _signals_wait():
        made.compile(signature)
    return made


class _Kept(NullCache):  # type: ignore[misc]
    """A function's compiled code in a file, after the digests of the sources and of the code.

    Whatever is wrong with the file, the function is compiled. numba's own cache ends with an error
    then, and looks at the source of the function, not at that of what it calls.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        target = cpu_target.target_context.codegen().magic_tuple()
        needs = sys.version, numba.__version__, target, function.__code__.co_filename
        digest = hashlib.sha256(repr(needs).encode()).hexdigest()
        self._name = f"{function.__module__}.{function.__name__}-{digest[:16]}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """It, or None."""
        target_context.refresh()
        for folder in _folders():
            if (found := self._read(folder, target_context)) is not None:
                return found
        _chosen_folder()
        return None

    def _read(self, folder: Path, target_context: Any) -> Any:
        with suppress(OSError):
            data = (folder / self._name).read_bytes()
            try:
                kept, _, rest = data.partition(b"\n")
                digest, _, code = rest.partition(b"\n")
                if digest.decode() != hashlib.sha256(code).hexdigest():
                    raise ValueError("its digest differs")
                if kept.decode() == sources():
                    return CompileResult._rebuild(target_context, *pickle.loads(code))
            except Exception as error:
                _warn(f"{folder}: damaged compiled code is replaced ({error})")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it if that is possible."""
        folder = _chosen_folder()
        part = folder / f"{self._name}.{os.getpid()}"
        try:
            code = dumps(data._reduce())
            folder.mkdir(parents=True, exist_ok=True)
            digests = f"{sources()}\n{hashlib.sha256(code).hexdigest()}\n"
            part.write_bytes(digests.encode() + code)
            os.replace(part, folder / self._name)
        except Exception as error:
            _warn(
                f"{folder} cannot keep compiled code ({getattr(error, 'strerror', error)}): each "
                "run compiles; set NUMBA_CACHE_DIR to a folder that can be written"
            )
            with suppress(OSError):
                part.unlink()


def _folders() -> list[Path]:
    """Where compiled code may be."""
    if config.CACHE_DIR:
        return [Path(config.CACHE_DIR)]
    folders = [Path(__file__).parent / "__pycache__"]
    folders.append(Path(AppDirs("darknet-py", appauthor=False).user_cache_dir))
    # Without a home, that of the user is relative.
    return [folder for folder in folders if folder.is_absolute()]


@lru_cache(maxsize=1)
def _chosen_folder() -> Path:
    """The first folder that can be written, for what is about to be compiled."""
    log.info("compiling for this processor (up to 20 seconds)")
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            break
    return folder


@lru_cache(maxsize=64)
def _warn(message: str) -> None:
    """Log it, once."""
    log.warning("warning: %s", message)


@lru_cache(maxsize=1)
def sources() -> str:
    """A digest of the sources of this folder."""
    paths = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _vector_width() -> int:
    """Floats in a vector of this processor; 0 if it is not known."""
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
# Whether it adds products of pairs of bf16 to a vector of float32.
HAS_PAIRS = VECTOR == 16 and bool(binding.get_host_cpu_features().get("avx512bf16"))
if HAS_PAIRS:
    binding.initialize_native_asmparser()  # The instruction is written by its name.
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
    """The first `count` numbers of a row."""
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
    """Let the processor know that this thread waits in a loop."""
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


# --- time -----------------------------------------------------------------------------------------

_CLOCK = "darknet_py_clock"
if sys.platform == "win32":
    _system_clock: Any = ctypes.WinDLL("kernel32").QueryPerformanceCounter
else:
    _system_clock = ctypes.CDLL(None).clock_gettime
binding.add_symbol(_CLOCK, ctypes.cast(_system_clock, ctypes.c_void_p).value)


@instructions(types.int64)
def nanoseconds(builder: ir.IRBuilder) -> ir.Value:
    """The time since some moment."""
    pair = ir.ArrayType(WORD, 2)
    room = cgutils.alloca_once(builder, pair)
    if sys.platform == "win32":
        signature = ir.FunctionType(ir.IntType(32), [pair.as_pointer()])
        builder.call(function_of(builder, _CLOCK, signature), [room])
        tick = round(1e9 * time.get_clock_info("perf_counter").resolution)
        return builder.mul(builder.extract_value(builder.load(room), 0), WORD(tick))
    kind = ir.IntType(32)
    signature = ir.FunctionType(kind, [kind, pair.as_pointer()])
    builder.call(function_of(builder, _CLOCK, signature), [kind(time.CLOCK_MONOTONIC), room])
    now = builder.load(room)
    seconds, rest = builder.extract_value(now, 0), builder.extract_value(now, 1)
    return builder.add(builder.mul(seconds, WORD(10**9)), rest)
