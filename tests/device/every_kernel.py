"""Every kernel that floatlab gives a device, by the function that makes it, with what its PTX may have.

A function that makes an `Elementwise` and has no row here fails a test. A row's kernels are examples of every kind
that its function makes; each comes with the types of its arguments, and which of them are single numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab import backend
from floatlab.backend import Elementwise
from floatlab.codes.device import decoding_kernel, encoding_kernel
from floatlab.formats import get_format
from floatlab.functions import on_device
from floatlab.functions.float64 import device as functions
from floatlab.operations.device import operation_kernel
from floatlab.rounding import odd
from floatlab.rounding.device import random_words, rounding
from floatlab.rounding.options import make_rule
from floatlab.sums import device as certified

Array = np.ndarray[Any, np.dtype[Any]]

U16, U32, U64 = np.dtype("u2"), np.dtype("u4"), np.dtype("u8")
F32, F64 = np.dtype("f4"), np.dtype("f8")


@dataclass(frozen=True)
class Example:
    """A kernel, the types of its inputs and outputs, and which of them are single numbers."""

    kernel: Elementwise
    types: tuple[Any, ...]
    scalars: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Row:
    """What a function makes, and whether it may compute in float64, and convert between it and float32."""

    examples: Callable[[], Iterator[Example]]
    float64: bool = False
    conversions: bool = False


def rounding_example(
    fmt: str,
    given: np.dtype[Any],
    rounding_mode: str,
    bits: int = 0,
    encode: bool = False,
    result: np.dtype[Any] | None = None,
    **options: Any,
) -> Example:
    """Return the kernel of a conversion; by default the values are of the type that it computes in."""
    kind = get_format(fmt)
    options = {"overflow": None, "subnormals": "gradual", "flush_inputs": False} | options
    rule = make_rule(kind, rounding_mode, **options)
    result = result or (kind.code_dtype if encode else rounding.carrier_of(kind, given))
    drawn = (drawn_type(bits),) if bits else ()
    kernel = rounding.rounding_kernel(rule, given, result, bits, *(drawn or (None,)), encode)
    return Example(kernel, (word_of(given), *drawn, word_of(result)))


def word_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the unsigned type of the same width, which a kernel takes in a float's place."""
    return np.dtype(f"u{dtype.itemsize}")


def drawn_type(bits: int) -> np.dtype[Any]:
    """Return the type that random integers of so many bits are drawn in."""
    return U16 if bits <= 16 else U32 if bits <= 32 else U64


def _roundings() -> Iterator[Example]:
    yield rounding_example("bf16", F32, "nearest_even")
    yield rounding_example("e4m3", np.dtype("f2"), "toward_negative", overflow="saturate", subnormals="flush")
    yield rounding_example("fp32", F64, "to_odd", flush_inputs=True)
    yield rounding_example("e5m2", F32, "stochastic", 16)
    yield rounding_example("fp16", F64, "stochastic_c", 48)
    yield rounding_example("e8m0", F32, "nearest_even", encode=True)
    yield rounding_example("e4m3", F64, "stochastic_b", 32, encode=True)


def _in_fours() -> Iterator[Example]:
    cases = (
        ("bf16", F32, "nearest_even", 0),
        ("fp16", F64, "stochastic_c", 48),
        ("fp4", F32, "stochastic", 16),
    )
    for fmt, given, mode, bits in cases:
        kind = get_format(fmt)
        rule = make_rule(kind, mode, None, "gradual", False)
        drawn = (drawn_type(bits),) if bits else ()
        result = rounding.carrier_of(kind, given)
        kernel = rounding.kernel_in_fours(rule, given, result, bits, *drawn)
        nan = () if kind.has_nan else (U32,)  # where it says that there was one
        types = (word_of(given), *drawn, np.dtype("i8"), word_of(result), *nan)
        yield Example(kernel, types, tuple(kind == np.dtype("i8") for kind in types))


def _encodings() -> Iterator[Example]:
    for name, given in (("bf16", F32), ("e4m3", F64), ("e5m2", np.dtype("f2")), ("tf32", F32)):
        fmt = get_format(name)
        yield Example(encoding_kernel(fmt, given), (word_of(given), fmt.code_dtype))


def _decodings() -> Iterator[Example]:
    for name in ("fp16", "e4m3", "e8m0", "e2m1", "binary8p3se"):
        fmt = get_format(name)
        yield Example(decoding_kernel(fmt), (fmt.code_dtype, word_of(fmt.value_dtype)))


def _conversions() -> Iterator[Example]:
    for given, result in ((F32, F64), (F64, F32), (np.dtype("f2"), F32), (F32, np.dtype("f2"))):
        yield Example(rounding._conversion(given, result), (word_of(given), word_of(result)))


def _draws() -> Iterator[Example]:
    yield Example(
        random_words._kernel(), (np.dtype("i8"), np.dtype("i8"), *[U64] * 8, U64), (False, *[True] * 9, False)
    )


def _operations() -> Iterator[Example]:
    pairs = {"sqrt": (F32,), "add": (F32, F64), "fma": (F64, F32, F64)}
    yield operation_example("divide", "to_odd", (F64, F64))
    for name, way in itertools.product(OPERATIONS, ("direct", *WAYS)):
        yield operation_example(name, way, pairs.get(name, (F32, F32)), extremes=way == "to_odd")


def operation_example(
    name: str, way: str, types: tuple[Any, ...], to_minus: bool = True, extremes: bool = False
) -> Example:
    """Return the kernel of an operation."""
    outputs = (F64, *(np.dtype(bool),) * (2 * extremes))
    return Example(operation_kernel(name, way, types, to_minus, extremes), (*types, *outputs))


def _widening() -> Iterator[Example]:
    yield Example(backend._WIDEN, (F32, F64))


def _verdicts() -> Iterator[Example]:
    counts = [np.dtype("i8")] * 2
    types = (
        F64,
        F64,
        F64,
        *counts,
        F64,
        np.dtype(bool),
        F64,
        F64,
        F64,
        U64,
        np.dtype("i8"),
        F64,
        np.dtype("u1"),
    )
    single = (*[False] * 5, *[True] * 7, False, False)
    for has_addend, to_minus in itertools.product((False, True), repeat=2):
        yield Example(certified._kernel(has_addend, to_minus), types, single)


def _nudges() -> Iterator[Example]:
    yield Example(odd._NUDGE, (F64, F64, F64))


def _suspects() -> Iterator[Example]:
    numbers = (F64, F64, np.dtype("i8"), np.dtype(bool))
    for operands in (1, 2):
        arrays = (*[F64] * operands, F64, np.dtype(bool))
        types = (*arrays, *numbers, F64, np.dtype(bool))
        single = (*[False] * len(arrays), *[True] * 4, False, False)
        yield Example(on_device._kernel(operands), types, single)


def _functions() -> Iterator[Example]:
    for name in functions._FUNCTIONS:
        kernel, tables = functions.function_kernel(name)
        yield Example(kernel, (F64, *(functions._TABLES[table]().dtype for table in tables), F64))


OPERATIONS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}
WAYS = ("to_odd", "nearest_even", "toward_positive", "toward_negative", "toward_zero")
KERNELS = {
    "backend._WIDEN": Row(_widening, float64=True, conversions=True),
    "functions.float64.device.function_kernel": Row(_functions, float64=True),
    "functions.on_device._kernel": Row(_suspects, float64=True),
    "operations.device.operation_kernel": Row(_operations, float64=True, conversions=True),
    "sums.device._kernel": Row(_verdicts, float64=True),
    "rounding.odd._NUDGE": Row(_nudges, float64=True),
    "rounding.device.rounding.rounding_kernel": Row(_roundings),
    "rounding.device.rounding.kernel_in_fours": Row(_in_fours),
    "rounding.device.rounding._conversion": Row(_conversions),
    "rounding.device.random_words._kernel": Row(_draws),
    "codes.device.encoding_kernel": Row(_encodings),
    "codes.device.decoding_kernel": Row(_decodings),
}
