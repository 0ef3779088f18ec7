"""Which array library holds this array? NumPy or CuPy.

This is the only file that knows that CuPy exists. The kernels ask it for the module that made an array
and call that module's functions, so that the same lines run on a GPU. CuPy is never imported here unless
an array of its own has been passed in, which means that the caller has imported it already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from floatlab.errors import DtypeError

__all__ = [
    "WIDE",
    "Elementwise",
    "array_module",
    "asnumpy",
    "beside",
    "block_length",
    "blocks",
    "ignore_float_errors",
    "is_gpu_array",
    "may_share_memory",
    "refuse_device",
    "together",
    "widened",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # or a cupy.ndarray, which has the same methods

# A block and its scratch arrays stay in the second-level cache (2**16 float32 are 256 KiB).
BLOCK_BYTES = 1 << 18


def is_gpu_array(x: object) -> bool:
    """Return whether `x` is a CuPy array.

    >>> is_gpu_array(np.ones(3))
    False
    """
    if type(x) is np.ndarray:  # by far the most
        return False
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(x, cupy.ndarray)


def refuse_device(what: str, x: Array) -> None:
    """Raise if `x` lies on a GPU, where `what` cannot be yet."""
    if is_gpu_array(x):
        raise DtypeError(
            f"{what} lies in the memory of this machine. Got an array of a GPU. Use x.get(), or round and operate "
            "on it as it is: floatlab.quantize, add, exp, sum, matmul and their like take arrays of a GPU."
        )


def array_module(x: object) -> ModuleType:
    """Return the module whose functions work on `x`: cupy for its own arrays, numpy for all else.

    >>> array_module([1.0, 2.0]).__name__
    'numpy'
    """
    if type(x) is np.ndarray:  # by far the most
        return np
    return sys.modules["cupy"] if is_gpu_array(x) else np


def asnumpy(x: Any) -> np.ndarray[Any, Any]:
    """Return `x` as a NumPy array, copied from the GPU if it lives there.

    >>> asnumpy([1, 2])
    array([1, 2])
    """
    return np.asarray(x.get() if is_gpu_array(x) else x)


def block_length(itemsize: int) -> int:
    """Return how many elements of `itemsize` bytes a kernel should take at a time, to stay in the cache.

    >>> block_length(4)
    65536
    """
    return BLOCK_BYTES // itemsize


def blocks(size: int, length: int) -> Iterator[slice]:
    """Yield the slices of `size` elements, `length` at a time, so that what lies between two steps stays in the cache.

    >>> [(block.start, block.stop) for block in blocks(10, 4)]
    [(0, 4), (4, 8), (8, 10)]
    """
    return (slice(start, min(start + length, size)) for start in range(0, size, length))


def ignore_float_errors(x: Array) -> AbstractContextManager[object]:
    """Return a context in which infinities and NaNs arise without a warning; CuPy never warns."""
    return nullcontext() if is_gpu_array(x) else np.errstate(all="ignore")


def may_share_memory(x: Array, y: Array) -> bool:
    """Return whether writing to one array might change the other; True where that is not known.

    >>> a = np.zeros(4)
    >>> may_share_memory(a[:3], a[1:]), may_share_memory(a, a.copy())
    (True, False)
    """
    if is_gpu_array(x) or is_gpu_array(y):
        return bool(sys.modules["cupy"].may_share_memory(x, y))
    return bool(np.may_share_memory(x, y))


def widened(x: Array) -> Array:
    """Return an array of floats as float64: itself if it is one, else a copy, without a word on signaling NaNs.

    >>> widened(np.float32([1.5])).dtype
    dtype('float64')
    """
    if x.dtype == np.float64:
        return x
    if x.dtype == np.float32 and is_gpu_array(x):
        return _WIDEN(x)
    with ignore_float_errors(x):
        return x.astype(np.float64)


def beside(x: Any, like: Array) -> Array:
    """Return an array or a number as an array of the library, and of the device, that `like` is of.

    >>> beside(2.0, np.zeros(3))
    array(2.)
    """
    if type(like) is np.ndarray:
        return np.asarray(x)
    return array_module(like).asarray(x)


@dataclass(frozen=True)
class Elementwise:
    """A function of device arrays, element by element, written in C++ and compiled where it is first called.

    It is text, so that the same lines can be compiled for a processor and tried without a device.

    Attributes
    ----------
    inputs, outputs : str
        Their types and names, as CuPy's ElementwiseKernel takes them: "float32 x, uint32 r".
    operation : str
        The C++ statements for one element.
    name : str
        What a profiler shows.
    preamble : str
        The C++ functions that the statements call.
    """

    inputs: str
    outputs: str
    operation: str
    name: str
    preamble: str = ""

    # CuPy adds -ftz=true to them, after ours: no float32 instruction may meet a value that matters. Without
    # --fmad=false a product and a sum would be one instruction, which rounds once.
    options = ("--fmad=false", "--std=c++17")

    def __call__(self, *arrays: Any, size: int | None = None) -> Any:
        """Return the outputs for these inputs, which broadcast; arrays for the outputs may follow the inputs.

        Where all arrays are "raw", which a kernel indexes itself, `size` says how often it runs.
        """
        return _compiled(self)(*arrays) if size is None else _compiled(self)(*arrays, size=size)


def together(what: str, given: Sequence[Any], arrays: list[Array]) -> list[Array]:
    """Return arrays that are used together on the device that one of them is on; `given` is what they were made of.

    Numbers and lists follow the arrays of a device. An array of NumPy does not: it was forgotten there.

    >>> together("Operands", ([1.0], 2.0), [np.ones(1), np.array(2.0)])
    [array([1.]), array(2.)]
    """
    like = next((x for x in arrays if is_gpu_array(x)), None)
    if like is None:
        return arrays
    for one in given:
        if isinstance(one, np.ndarray) and one.ndim:
            raise DtypeError(
                f"{what} are arrays of one device. Got a NumPy array of shape {one.shape} beside one of a GPU. "
                "Send it there with cupy.asarray(x)."
            )
    return [beside(x, like) for x in arrays]


# From float32 to float64 and nothing else: in inline assembly, which -ftz=true does not change. What sign and payload a
# device gives a NaN is nowhere promised, so they are put in as a processor has them.
WIDE = """
__device__ inline double wide(double x) { return x; }
__device__ inline double wide(float x) {
    double y;
#ifdef __CUDACC__
    asm("cvt.f64.f32 %0, %1;" : "=d"(y) : "f"(x));
#else
    y = x;
#endif
    if (y == y) return y;
    const unsigned long long word = __float_as_uint(x);
    return __longlong_as_double((word >> 31) << 63 | 0x7ff8000000000000ull | (word & 0x7fffff) << 29);
}
"""
_WIDEN = Elementwise("float32 x", "float64 y", "y = wide(x)", "floatlab_widen", WIDE)


@lru_cache(maxsize=1024)
def _compiled(kernel: Elementwise) -> Any:
    return sys.modules["cupy"].ElementwiseKernel(
        kernel.inputs,
        kernel.outputs,
        kernel.operation,
        kernel.name,
        preamble=kernel.preamble,
        options=kernel.options,
    )
