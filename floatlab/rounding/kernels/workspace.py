"""Where does a kernel keep what it is computing? In three rows of scratch memory, which stay in the cache.

A row is one piece of memory seen in two ways: as floats, and as the integers that are the same bits. Whoever writes
``row.value`` has changed ``row.bits`` as well.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from floatlab.backend import BLOCK_BYTES, Array

__all__ = [
    "LARGE",
    "ORDINARY",
    "SPECIAL",
    "Pair",
    "Row",
    "Workspace",
    "bound",
    "scratch",
    "workspace",
]

# What a kernel found in a block: nothing that could overflow; something that may; an infinity or a NaN.
ORDINARY, LARGE, SPECIAL = 0, 1, 2

Pair = tuple[float, float]


class Row(NamedTuple):
    """Two views of the same memory."""

    bits: Array  # signed integers
    value: Array  # floats


class _Scratch(threading.local):
    """Three blocks of memory for each thread, for the CPU's workspaces to share, so that none is allocated anew.

    They start at multiples of 64 bytes (a cache line): NumPy's loops are up to twice as fast there.
    """

    def __init__(self) -> None:
        self.blocks = []
        for _ in range(3):
            raw = np.empty(BLOCK_BYTES + 64, np.uint8)
            start = -raw.ctypes.data % 64
            self.blocks.append(raw[start : start + BLOCK_BYTES])
        self.rows = {
            size: [Row(b.view(f"i{size}"), b.view(f"f{size}")) for b in self.blocks] for size in (4, 8)
        }
        self.workspaces: dict[tuple[int, int], Workspace] = {}


_scratch = _Scratch()
_LENGTHS = 256  # of so many lengths the workspaces are kept


def scratch(length: int) -> Array:
    """Return int32 scratch memory of this thread, at most a block of it."""
    return _scratch.rows[4][0].bits[:length]


class Workspace:
    """Three rows for blocks of `length` elements, reused from block to block: ``rows``.

    The second one is also where a rounded block waits for `Ends`.
    """

    def __init__(self, itemsize: int, length: int) -> None:
        self.rows = [Row(bits[:length], value[:length]) for bits, value in _scratch.rows[itemsize]]


def workspace(itemsize: int, length: int) -> Workspace:
    """Return rows of a carrier of 4 or 8 bytes for blocks of `length` elements: those of this thread.

    Six slices cost as much as rounding ten numbers does, and programs have arrays of a few sizes; so they are kept.
    """
    kept = _scratch.workspaces
    found = kept.get((itemsize, length))
    if found is None:
        if len(kept) >= _LENGTHS:
            kept.clear()
        found = kept[itemsize, length] = Workspace(itemsize, length)
    return found


ROW = 1 << 14  # elements in a row of bounds: half of the first-level cache
_SHORT = 1 << 12  # so many are bounded by one number in the time in which a row is made


def bound(ufunc: Any, values: Array, limit: Any, out: Array) -> None:
    """Apply `maximum` or `minimum` with one bound, of the type of the values, to a block.

    NumPy takes longer for one number than for an array of it. A row of them, broadcast over a long block, stays in the
    cache.
    """
    size = values.size
    if size <= _SHORT:
        ufunc(values, limit, out=out)
        return
    bounds = np.full(ROW, limit, values.dtype)
    whole = size - size % ROW
    ufunc(values[:whole].reshape(-1, ROW), bounds, out=out[:whole].reshape(-1, ROW))
    if whole < size:
        ufunc(values[whole:], bounds[: size - whole], out=out[whole:])
