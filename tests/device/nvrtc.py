"""From a kernel to the PTX that a chip would get, and from NumPy arrays through it, with no chip at hand.

CuPy itself writes the source around a kernel's statements, puts its headers and options to it (`-ftz=true` among
them, after the kernel's own) and calls NVRTC: `compiled` goes CuPy's own road, which needs no driver, and catches
the text where CuPy would load it. Only the architecture, which CuPy asks the device for, is given.
`call` then lays arrays out as CuPy launches them and runs the text in the machine of `ptx`.

Both CuPy and NVRTC must be installed (`pip install "cupy-cuda13x[ctk]"` brings both); a test that calls `compiled`
is skipped, with the reason, where they are not.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from floatlab.backend import Elementwise

from .ptx import Memory, Program
from .ptx_instructions import Instruction
from .real_cupy import real_cupy

Array = np.ndarray[Any, np.dtype[Any]]

ARCHITECTURES = (
    75,
    80,
    86,
    89,
    90,
    100,
    120,
)  # Turing, Ampere (A100, RTX 30), Ada, Hopper, Blackwell (B200, RTX 50)


@functools.cache
def absence() -> str:
    """Return why no PTX can be made here, or nothing."""
    try:
        with real_cupy():
            from cupy_backends.cuda.libs import nvrtc

            try:
                nvrtc.getVersion()
            except (
                Exception
            ) as error:  # what CuPy raises for a library that it cannot load has no class of its own
                return f"NVRTC is not installed: {error}"
    except ImportError as error:
        return f"CuPy, whose source is what would be compiled, is not installed: {error}"
    return ""


@functools.lru_cache(maxsize=512)
def compiled(
    kernel: Elementwise, arguments: tuple[Any, ...], scalars: tuple[bool, ...] = (), architecture: int = 90
) -> str:
    """Return the PTX that CuPy's call makes of a kernel.

    `arguments` are the types of inputs and outputs, `scalars` which of them are given as one number; () is none.
    """
    if reason := absence():
        pytest.skip(reason)
    dtypes = [np.dtype(dtype) for dtype in arguments]
    with real_cupy() as cupy:
        text = _source(cupy, kernel, dtypes, scalars or [False] * len(dtypes))
        return _compiled(text, kernel.options, architecture)


def _source(
    cupy: Any, kernel: Elementwise, arguments: Sequence[np.dtype[Any]], scalars: Sequence[bool]
) -> str:
    """Return what CuPy writes around a kernel for contiguous arrays, or scalars, of these types."""
    from cupy._core import _carray, _kernel, _scalar

    made = cupy.ElementwiseKernel(
        kernel.inputs,
        kernel.outputs,
        kernel.operation,
        kernel.name,
        preamble=kernel.preamble,
        options=kernel.options,
    )
    _, _, names = _kernel._decide_params_type(
        made.in_params, made.out_params, tuple(arguments[: made.nin]), tuple(arguments[made.nin :])
    )
    array, indexer, scalar = 1, 2, 3  # CuPy's kinds of arguments
    infos = [
        _kernel._ArgInfo(scalar, _scalar.CScalar, dtype, 0, True, True)
        if alone
        else _kernel._ArgInfo(array, cupy.ndarray, dtype, 1, True, True)
        for dtype, alone in zip(arguments, scalars, strict=True)
    ]
    infos.append(_kernel._ArgInfo(indexer, _carray.Indexer, None, 1, True, True))
    code = _kernel._get_elementwise_kernel_code(
        tuple(infos), names, made.params, made.operation, made.name, made.preamble
    )
    return str(code)


def _compiled(text: str, options: tuple[str, ...], architecture: int) -> str:
    """Return what CuPy would load for a source. It appends its own options, and calls NVRTC."""
    from cupy._core import core
    from cupy.cuda import compiler, function

    caught: list[bytes] = []

    class Module(function.Module):
        def load(self, code: bytes) -> None:
            caught.append(code)

    def chosen(_: object = None) -> tuple[str, str]:  # PTX, which by default would be assembled at once
        return f"-arch=sm_{architecture}", "ptx"

    with (
        mock.patch.dict(os.environ, CUPY_CACHE_IN_MEMORY="1"),
        mock.patch.object(compiler, "function", SimpleNamespace(Module=Module)),
        mock.patch.object(compiler, "_get_arch_for_options_for_nvrtc", chosen),
    ):
        core.compile_with_cache(text, options, arch=str(architecture))
    return caught[0].decode()


def call(
    kernel: Elementwise, *inputs: Any, outputs: Sequence[Any], size: int | None = None, architecture: int = 90
) -> tuple[Array, ...]:
    """Return a kernel's outputs for NumPy inputs: one-dimensional arrays, or NumPy scalars.

    An output is given by its type, or, as it must be where it is raw, by an array to write to. `size` says how often
    a kernel runs all of whose arrays are raw.
    """
    every = (*inputs, *outputs)
    types = tuple(x.dtype if isinstance(x, np.ndarray | np.generic) else np.dtype(x) for x in every)
    scalars = tuple(isinstance(x, np.generic) for x in every)
    return launched(compiled(kernel, types, scalars, architecture), inputs, outputs, size)


def launched(
    text: str, inputs: Sequence[Any], outputs: Sequence[Any], size: int | None = None
) -> tuple[Array, ...]:
    """Return what the PTX of an elementwise kernel computes, as `call`; by default once for each of the first array."""
    size = size or next(x.size for x in inputs if isinstance(x, np.ndarray))
    results = tuple(x if isinstance(x, np.ndarray) else np.zeros(size, x) for x in outputs)
    memory = Memory()
    arguments = [
        _carray(x, memory) if isinstance(x, np.ndarray) else x.tobytes() for x in (*inputs, *results)
    ]
    arguments.append(struct.pack("3q", size, size, 0))  # the indexer: size, shape, index
    Program(text).launch(arguments, memory, size)
    return results


def _carray(x: Array, memory: Memory) -> bytes:
    """Return a one-dimensional contiguous array as CuPy hands it over: address, size, shape, strides."""
    return struct.pack("4q", memory.place(x), x.size, x.size, x.itemsize)


# -- what the text may not have --------------------------------------------------------------------

FLOATS = {"f16", "f16x2", "bf16", "bf16x2", "tf32", "f32", "f64"}
MOVES = {"ld", "st", "mov", "selp"}  # bits go through them as they are
INEXACT = {"approx", "full", "ftz", "sat"}


def faults(text: str, *, float64: bool = False, conversions: bool = False) -> list[str]:
    """Return the instructions of a kernel that it may not have, each with what is wrong.

    No kernel may flush, fuse, or approximate, nor have a float operation that doesn't name its rounding, which the
    assembler might fuse. By default none may have a float operation at all; `float64` allows those of float64,
    `conversions` those between float32 and float64.
    """
    found = []
    for op in Program(text).instructions:
        parts = op.text.split()[op.guard is not None].split(".")
        floats = FLOATS.intersection(parts)
        if not floats or op.name in MOVES:
            continue
        if bad := INEXACT.intersection(parts):
            found.append(f"{op.text}: .{min(bad)}")
        elif op.name in ("fma", "mad"):
            found.append(f"{op.text}: fused")
        elif op.name in ("add", "sub", "mul", "div", "sqrt", "rcp") and "rn" not in parts:
            found.append(f"{op.text}: rounds as the assembler likes")
        elif not _allowed(op, floats, float64, conversions):
            found.append(f"{op.text}: floats")
    return found


def _allowed(op: Instruction, floats: set[str], float64: bool, conversions: bool) -> bool:
    """Return whether a float operation is of those that a kernel may have."""
    if op.name == "cvt" and floats == {"f32", "f64"}:
        return conversions
    return float64 and floats == {"f64"}
