"""Who else rounds to small formats, and how is each of them asked? One function for each peer and each kind of work.

A function returns a `Contender`, or None where the peer is not installed or has no such thing. A contender is a call
that takes the time, and a second one that makes an array of what the first returned: by it the results are compared
before anything is timed. What a peer reads is prepared in its own type, as whoever works with it would have it.
"""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.random_integers import DEFAULT_RANDOM_BITS

Array = np.ndarray[Any, Any]
Call = Callable[[], Any]

#: Set before the libraries are loaded, so that each of them has one thread.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "APYTYPES_THREAD_COUNT": "1",
    "JAX_PLATFORMS": "cpu",
    # and without leave to forget that a number was bfloat16 for a while
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false --xla_allow_excess_precision=false",
}

#: Three take so long that of a large array they are given a 64th, and the time is multiplied.
PART, LARGE = 64, 1 << 18


@dataclass
class Contender:
    """One who does the work of a case.

    Attributes
    ----------
    call : callable
        What takes the time.
    result : callable
        Makes an array of floats, or of codes, of what `call` returned.
    part : int
        The call does one part in so many of the work.
    """

    call: Call
    result: Callable[[Any], Array] = np.asarray
    part: int = 1


@dataclass
class Peer:
    """A library, and what of it is installed."""

    name: str
    package: str
    module: str

    @property
    def found(self) -> str:
        """The version, or why there is none."""
        try:
            return version(self.package) if loaded(self.module) is not None else _failures[self.module]
        except PackageNotFoundError:
            return "not installed"


PEERS = [
    Peer("NumPy", "numpy", "numpy"),
    Peer("ml_dtypes", "ml_dtypes", "ml_dtypes"),
    Peer("PyTorch", "torch", "torch"),
    Peer("JAX", "jax", "jax"),
    Peer("gfloat", "gfloat", "gfloat.formats"),
    Peer("pychop", "pychop", "pychop"),
    Peer("QPyTorch", "qtorch", "qtorch.quant"),
    Peer("apytypes", "apytypes", "apytypes"),
]
_failures: dict[str, str] = {}
_skipped: set[str] = set()


def skip(names: Iterator[str] | list[str]) -> None:
    """Leave peers out, by the names of their modules, as if they were not installed."""
    _skipped.update(names)
    loaded.cache_clear()


@lru_cache(maxsize=32)
def loaded(name: str) -> Any:
    """Return a peer's module with one thread; None, and the reason kept, where it is missing or does not load."""
    if name.split(".")[0] in _skipped or find_spec(name.split(".")[0]) is None:
        _failures[name] = "not installed"
        return None
    try:
        with _one_processor() if name == "jax" else _quiet():
            module = import_module(name)
            if name == "torch":
                module.set_num_threads(1)
            elif name == "jax":
                module.devices()
            elif name == "pychop":
                module.backend("numpy")
    except Exception as error:
        # QPyTorch compiles its kernels when it is imported: whatever goes wrong there is the answer
        _failures[name] = f"does not load ({type(error).__name__})"
        return None
    return module


@contextmanager
def _one_processor() -> Iterator[None]:
    """Let a library that counts processors find one: it starts as many threads."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what a compiler says to itself."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def versions() -> dict[str, str]:
    """Return what is installed of each peer; of CPFloat, whether the library in C is there."""
    found = {peer.name: peer.found for peer in PEERS}
    here = ctypes.util.find_library("cpfloat") or find_spec("cpfloat") is not None
    return found | {"CPFloat": "found, but not called" if here else "not found"}


# -- names of formats and modes ------------------------------------------------------------------------------

TORCH_TYPES = {
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "float8_e4m3fn",
    "float8_e5m2": "float8_e5m2",
}
JAX_TYPES = {*TORCH_TYPES, "float4_e2m1fn"}
GFLOAT_FORMATS = {
    "float16": "binary16",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "ocp_e4m3",
    "float8_e5m2": "ocp_e5m2",
    "float6_e2m3fn": "ocp_e2m3",
    "float4_e2m1fn": "ocp_e2m1",
}
GFLOAT_MODES = {
    "nearest_even": "TiesToEven",
    "nearest_away": "TiesToAway",
    "toward_zero": "TowardZero",
    "toward_positive": "TowardPositive",
    "toward_negative": "TowardNegative",
    "stochastic": "StochasticFastest",
}
PYCHOP_MODES = {
    "nearest_even": 1,
    "toward_positive": 2,
    "toward_negative": 3,
    "toward_zero": 4,
    "stochastic": 5,
    "nearest_zero": 7,
    "nearest_away": 8,
    "to_odd": 9,
}
APYTYPES_MODES = {
    "nearest_even": "TIES_EVEN",
    "nearest_away": "TIES_AWAY",
    "nearest_zero": "TIES_ZERO",
    "toward_zero": "TO_ZERO",
    "toward_positive": "TO_POS",
    "toward_negative": "TO_NEG",
    "to_odd": "JAM",
    "stochastic": "STOCH_WEIGHTED",
}


def _errors_ignored(call: Callable[..., Any]) -> Callable[..., Any]:
    def quietly(*values: Any) -> Any:
        with np.errstate(all="ignore"):
            return call(*values)

    return quietly


def _torch_array(tensor: Any) -> Array:
    """Return a tensor's values; NumPy has no word for the types that PyTorch has."""
    return tensor.to(loaded("torch").float32).numpy()


def _few(x: Array) -> tuple[Array, int]:
    """Return what the slow peers are given of an array, and which part of it that is."""
    part = PART if len(x) >= LARGE else 1
    return x[: len(x) // part], part


def _own_floats(x: Array, exponent: int, mantissa: int) -> Any:
    return loaded("apytypes").APyFloatArray.from_array(x, exponent, mantissa)


# -- values to values ----------------------------------------------------------------------------------------


def rounders(
    x: Array, fmt: FloatFormat, rounding: str = "nearest_even", fresh: bool = False
) -> dict[str, Contender]:
    """Return all who round the numbers x to values of the format, in floats as wide as x.

    Who can do so writes to an array that is there already, unless `fresh` asks for a new one.
    """
    made = {
        "NumPy types": _numpy_round_trip(x, fmt, rounding, fresh),
        "PyTorch": _torch_round_trip(x, fmt, rounding, fresh),
        "JAX": _jax_round_trip(x, fmt, rounding),
        "gfloat": _gfloat(x, fmt, rounding),
        "pychop": _pychop(x, fmt, rounding),
        "QPyTorch": _qpytorch(x, fmt, rounding),
        "apytypes": _apytypes(x, fmt, rounding),
    }
    return {who: contender for who, contender in made.items() if contender is not None}


def _numpy_round_trip(x: Array, fmt: FloatFormat, rounding: str, fresh: bool) -> Contender | None:
    if fmt.dtype is None or rounding != "nearest_even":
        return None
    if fresh:
        return Contender(_errors_ignored(lambda: x.astype(fmt.dtype).astype(x.dtype)))
    short, out = np.empty(x.shape, fmt.dtype), np.empty_like(x)

    def round_trip() -> Array:
        np.copyto(short, x, casting="unsafe")
        np.copyto(out, short, casting="unsafe")
        return out

    return Contender(_errors_ignored(round_trip))


def _torch_round_trip(x: Array, fmt: FloatFormat, rounding: str, fresh: bool) -> Contender | None:
    if fmt.name not in TORCH_TYPES or rounding != "nearest_even" or (torch := loaded("torch")) is None:
        return None
    tensor, kind = torch.from_numpy(x), getattr(torch, TORCH_TYPES[fmt.name])
    if fresh:
        return Contender(lambda: tensor.to(kind).to(tensor.dtype), lambda result: result.numpy())
    short, out = torch.empty(x.shape, dtype=kind), torch.empty_like(tensor)
    return Contender(lambda: out.copy_(short.copy_(tensor)), lambda result: result.numpy())


def _jax_round_trip(x: Array, fmt: FloatFormat, rounding: str) -> Contender | None:
    if x.dtype != np.float32 or rounding != "nearest_even" or (jax := loaded("jax")) is None:
        return None
    if fmt.name in JAX_TYPES:
        kind = fmt.dtype
        compiled = jax.jit(lambda v: v.astype(kind).astype(x.dtype))
    elif fmt.name == "tf32":
        compiled = jax.jit(lambda v: jax.lax.reduce_precision(v, fmt.exponent_bits, fmt.mantissa_bits))
    else:
        return None
    there = jax.device_put(x)
    return Contender(lambda: compiled(there).block_until_ready())


def _gfloat(x: Array, fmt: FloatFormat, rounding: str) -> Contender | None:
    if fmt.name not in GFLOAT_FORMATS or rounding not in GFLOAT_MODES:
        return None
    if (formats := loaded("gfloat.formats")) is None:
        return None
    gfloat, (few, part) = loaded("gfloat"), _few(x)
    info = getattr(formats, f"format_info_{GFLOAT_FORMATS[fmt.name]}")
    mode, saturates = getattr(gfloat.RoundMode, GFLOAT_MODES[rounding]), fmt.specials == "finite"
    if rounding != "stochastic":
        return Contender(lambda: gfloat.round_ndarray(info, few, mode, saturates), part=part)
    rng = np.random.default_rng(0)

    def drawn() -> Array:
        bits = rng.integers(0, 1 << DEFAULT_RANDOM_BITS, few.shape)
        return gfloat.round_ndarray(info, few, mode, saturates, bits, DEFAULT_RANDOM_BITS)

    return Contender(drawn, part=part)


def _pychop(x: Array, fmt: FloatFormat, rounding: str) -> Contender | None:
    if rounding not in PYCHOP_MODES or (pychop := loaded("pychop")) is None:
        return None
    chop, (few, part) = pychop.Chop(fmt.exponent_bits, fmt.mantissa_bits, PYCHOP_MODES[rounding]), _few(x)
    return Contender(_errors_ignored(lambda: chop(few)), part=part)


def _qpytorch(x: Array, fmt: FloatFormat, rounding: str) -> Contender | None:
    if x.dtype != np.float32 or rounding not in ("nearest_even", "stochastic"):
        return None
    if (quant := loaded("qtorch.quant")) is None:
        return None
    tensor = loaded("torch").from_numpy(x)
    how = (fmt.exponent_bits, fmt.mantissa_bits, "stochastic" if rounding == "stochastic" else "nearest")
    return Contender(lambda: quant.float_quantize(tensor, *how), lambda result: result.numpy())


def _apytypes(x: Array, fmt: FloatFormat, rounding: str) -> Contender | None:
    if rounding not in APYTYPES_MODES or (apytypes := loaded("apytypes")) is None:
        return None
    few, part = _few(x)
    wide = _own_floats(few, *((8, 23) if x.dtype == np.float32 else (11, 52)))
    mode = getattr(apytypes.QuantizationMode, APYTYPES_MODES[rounding])
    how = (fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, mode)
    return Contender(lambda: wide.cast(*how).to_numpy(), part=part)


# -- values and codes ----------------------------------------------------------------------------------------


def encoders(x: Array, fmt: FloatFormat) -> dict[str, Contender]:
    """Return all who make codes of the format, or numbers of a type that is the codes, of float32 numbers."""
    found: dict[str, Contender] = {}
    word = fmt.code_dtype
    if fmt.dtype is not None:
        typed = _errors_ignored(x.astype)
        found["NumPy types"] = Contender(lambda: typed(fmt.dtype), lambda result: result.view(word))
    if fmt.name in TORCH_TYPES and (torch := loaded("torch")) is not None:
        tensor, kind = torch.from_numpy(x), getattr(torch, TORCH_TYPES[fmt.name])
        bits = torch.uint8 if word.itemsize == 1 else torch.uint16
        found["PyTorch"] = Contender(lambda: tensor.to(kind), lambda result: result.view(bits).numpy())
    if fmt.name in TORCH_TYPES and (jax := loaded("jax")) is not None:
        there, compiled = jax.device_put(x), jax.jit(lambda v: v.astype(fmt.dtype))
        found["JAX"] = Contender(
            lambda: compiled(there).block_until_ready(), lambda result: np.asarray(result).view(word)
        )
    few, part = _few(x)
    if fmt.name in GFLOAT_FORMATS and (formats := loaded("gfloat.formats")) is not None:
        gfloat, info = loaded("gfloat"), getattr(formats, f"format_info_{GFLOAT_FORMATS[fmt.name]}")
        mode, saturates = gfloat.RoundMode.TiesToEven, fmt.specials == "finite"

        def rounded_and_encoded() -> Array:
            return gfloat.encode_ndarray(info, gfloat.round_ndarray(info, few, mode, saturates))

        found["gfloat"] = Contender(rounded_and_encoded, lambda result: result.astype(word), part)
    if (apytypes := loaded("apytypes")) is not None:
        wide, nearest = _own_floats(few, 8, 23), apytypes.QuantizationMode.TIES_EVEN
        how = (fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, nearest)
        found["apytypes"] = Contender(lambda: wide.cast(*how).to_bits(numpy=True), np.asarray, part)
    return found


def decoders(codes: Array, fmt: FloatFormat) -> dict[str, Contender]:
    """Return all who make float32 numbers of codes, or of a type that is the codes."""
    found: dict[str, Contender] = {}
    if fmt.dtype is not None:
        typed = codes.view(fmt.dtype)
        found["NumPy types"] = Contender(_errors_ignored(lambda: typed.astype(np.float32)))
    if fmt.name in TORCH_TYPES and (torch := loaded("torch")) is not None:
        tensor = torch.from_numpy(codes).view(getattr(torch, TORCH_TYPES[fmt.name]))
        found["PyTorch"] = Contender(lambda: tensor.to(torch.float32), lambda result: result.numpy())
    if fmt.name in TORCH_TYPES and (jax := loaded("jax")) is not None:
        there, compiled = jax.device_put(codes.view(fmt.dtype)), jax.jit(lambda v: v.astype(np.float32))
        found["JAX"] = Contender(lambda: compiled(there).block_until_ready())
    few, part = _few(codes)
    if fmt.name in GFLOAT_FORMATS and (formats := loaded("gfloat.formats")) is not None:
        gfloat, info = loaded("gfloat"), getattr(formats, f"format_info_{GFLOAT_FORMATS[fmt.name]}")
        found["gfloat"] = Contender(_errors_ignored(lambda: gfloat.decode_ndarray(info, few)), part=part)
    if (apytypes := loaded("apytypes")) is not None:
        make, how = apytypes.APyFloatArray.from_bits, (fmt.exponent_bits, fmt.mantissa_bits, fmt.bias)
        found["apytypes"] = Contender(lambda: make(few, *how).to_numpy(), part=part)
    return found


# -- arithmetic ----------------------------------------------------------------------------------------------


def calculators(name: str, a: Array, b: Array, fmt: FloatFormat) -> dict[str, Contender]:
    """Return all who have the operation for numbers of the format; a and b are its values in float32."""
    found: dict[str, Contender] = {}
    plain = getattr(np, name)
    typed = [x.astype(fmt.dtype) for x in (a, b)]
    found["NumPy types"] = Contender(
        _errors_ignored(lambda: plain(*typed)), lambda result: result.astype(np.float32)
    )
    if fmt.name in TORCH_TYPES and (torch := loaded("torch")) is not None:
        tensors = [torch.from_numpy(x).to(getattr(torch, TORCH_TYPES[fmt.name])) for x in (a, b)]
        operation = getattr(torch, name)
        found["PyTorch"] = Contender(lambda: operation(*tensors), _torch_array)
    if fmt.name in TORCH_TYPES and (jax := loaded("jax")) is not None:
        there = [jax.device_put(x) for x in typed]
        compiled = jax.jit(getattr(jax.numpy, name))
        found["JAX"] = Contender(
            lambda: compiled(*there).block_until_ready(), lambda result: np.asarray(result, np.float32)
        )
    if loaded("apytypes") is not None:
        part = _few(a)[1]
        few = [_own_floats(_few(x)[0], fmt.exponent_bits, fmt.mantissa_bits) for x in (a, b)]
        sign = {"add": "__add__", "multiply": "__mul__", "divide": "__truediv__"}[name]
        method = getattr(few[0], sign)
        found["apytypes"] = Contender(lambda: method(few[1]), lambda result: result.to_numpy(), part)
    return found
