"""How is a kernel run on any array? Block by block, on flat float64 arrays; and how are bits looked at?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from floatlab.backend import blocks, is_gpu_array
from floatlab.functions.float64.device import run_on_device

__all__ = ["MAGIC", "Floats", "Ints", "bits_of", "nearest_place", "run"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 8192  # elements worked on at a time, so that the temporaries stay in the second-level cache
MAGIC = 1.5 * 2.0**52  # t = v + MAGIC rounds v to an integer and leaves it in the low bits of t


def run(name: str, kernel: Callable[[Floats, Floats], None], x: ArrayLike, out: Floats | None) -> Floats:
    """Call kernel(x, out) block by block on flat float64 arrays; out may be x. On a GPU, the kernel of that name."""
    if is_gpu_array(x):
        result: Floats = run_on_device(name, x, out)
        return result
    x = np.asarray(x, dtype=np.float64)
    result = np.empty(x.shape) if out is None else out
    flat = result.reshape(-1) if result.flags.c_contiguous else np.empty(x.size)
    source = x.reshape(-1)
    with np.errstate(all="ignore"):
        for block in blocks(flat.size, _BLOCK):
            kernel(source[block], flat[block])
    if not result.flags.c_contiguous:
        result[...] = flat.reshape(result.shape)
    return result


def bits_of(x: Floats) -> Ints:
    """Return the bits of numbers, a view."""
    return x.view(np.int64)


def nearest_place(r: Floats, steps: int, end: int) -> Ints:
    """Find the table's point c next to each r, -end <= r <= end, take it away from r, and return its place."""
    shifted = np.multiply(r, steps)
    shifted += MAGIC + end * steps  # the first point, -end, has place 0
    place = np.bitwise_and(bits_of(shifted), (1 << (2 * end * steps).bit_length()) - 1)
    shifted -= MAGIC + end * steps
    shifted *= 1 / steps
    r -= shifted  # exact
    return place
