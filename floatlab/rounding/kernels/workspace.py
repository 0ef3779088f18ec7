"""Where does a kernel keep what it is computing? In three rows of scratch memory, which stay in the cache.

A row is one piece of memory seen in two ways: as floats, and as the integers that are the same bits. Whoever writes
``row.value`` has changed ``row.bits`` as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from floatlab.backend import BLOCK_BYTES, Array

__all__ = ["LARGE", "ORDINARY", "SPECIAL", "Pair", "Row", "Workspace", "scratch", "workspace"]

# What a kernel found in a block: nothing that could overflow; something that may; an infinity or a NaN.
ORDINARY, LARGE, SPECIAL = 0, 1, 2

Pair = tuple[float, float]

ROW = 4096  # elements in a row of bounds; see Workspace.clamp


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


_scratch = _Scratch()


def scratch(length: int) -> Array:
    """Return int32 scratch memory of this thread, at most a block of it."""
    return _scratch.rows[4][0].bits[:length]


_new = tuple.__new__  # a call of Row would be one of Python's, and a small array has few others


class Workspace:
    """Three rows for blocks of `length` elements, reused from block to block.

    The second one is also where a rounded block waits for `Ends`.
    """

    def __init__(self, rows: Iterable[Row], length: int, xp: Any) -> None:
        self.xp, self.length = xp, length
        self.rows = [_new(Row, (bits[:length], value[:length])) for bits, value in rows]

    def first(self, length: int) -> Workspace:
        """Return the same memory for a shorter block."""
        return Workspace(self.rows, length, self.xp)

    def clamp(self, ufunc: Any, words: Array, bound: Any) -> None:
        """Apply `maximum` or `minimum` with one bound in place.

        NumPy 2 takes three times as long for a scalar bound as for an array. A row of bounds, broadcast
        over the block, stays in the first-level cache.
        """
        if words.size % ROW or self.xp is not np or not isinstance(bound, np.generic):
            ufunc(words, bound, out=words)
            return
        table = words.reshape(-1, ROW)
        ufunc(table, _row(bound, bound.dtype), out=table)


@lru_cache(maxsize=256)
def _row(bound: Any, dtype: np.dtype[Any]) -> Array:
    return np.full(ROW, bound, dtype)  # by dtype too, because np.int32(1) == np.float32(1)


def workspace(dtype: np.dtype[Any], length: int) -> Workspace:
    """Return rows of a carrier type for blocks of at most `length` elements: those of this thread."""
    return Workspace(_scratch.rows[dtype.itemsize], length, np)
