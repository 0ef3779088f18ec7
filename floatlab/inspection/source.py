"""What is a tensor that is looked at? A name, a type, a shape, and a way to read a part of its numbers.

No more than a part is ever in memory, so a tensor may be larger than it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import DataError
from floatlab.system.files import cannot_read

__all__ = ["BLOCK", "Array", "Source", "as_floats", "of_array", "read_range", "sampled", "size_of_file"]

Array = NDArray[Any]

#: How many numbers are looked at together, so that what lies between two steps stays in the cache.
BLOCK = 1 << 16


@dataclass(frozen=True)
class Source:
    """One tensor, of which parts are read when they are asked for.

    Attributes
    ----------
    name : str
        What it is called in its file or dictionary; "" for an array on its own.
    dtype : str
        Its type, by the name that its file gives it.
    shape : tuple of int
        Its shape.
    read : callable or None
        ``read(start, stop)`` returns these of its numbers, in C order, exactly, as float32 or float64. None for a
        tensor that holds no floats.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[int, int], Array] | None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def row(self) -> int:
        """How many numbers stand under one index of the first axis: one channel's."""
        return math.prod(self.shape[1:])

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield all numbers, some at a time, and where they begin: whole rows, or parts of one row.

        Such a part is some whole lines of the last axis, or a part of one that begins at a multiple of `BLOCK`.
        """
        if self.read is None or not self.size:
            return
        if self.row <= BLOCK:
            whole = BLOCK // self.row * self.row
            for start in range(0, self.size, whole):
                yield start, self.read(start, min(start + whole, self.size))
            return
        lines = self.shape[-1] if self.shape[-1] <= BLOCK else 0
        step, part = (BLOCK // lines * lines, self.row) if lines else (BLOCK, self.shape[-1])
        for first in range(0, self.size, part):
            for start in range(first, first + part, step):
                yield start, self.read(start, min(start + step, first + part))


def as_floats(array: Array) -> Array | None:
    """Return floats of NumPy's or ml_dtypes' types as float32 or float64, exactly; None where they are none.

    >>> as_floats(np.array([0.5], np.float16)).dtype, as_floats(np.array([1])) is None
    (dtype('float32'), True)
    """
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size in (2, 4, 8):
        return array.astype(np.float64 if size == 8 else np.float32, copy=False)
    if kind == "V" and array.dtype.names is None and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)  # one of ml_dtypes' small types
    return None


def of_array(name: str, array: Array, dtype: str | None = None) -> Source:
    """Return an array as a source; its memory may lie in any order, and is not copied.

    >>> source = of_array("w", np.arange(6.0).reshape(2, 3).T)
    >>> source.shape, source.read(0, 3).tolist()
    ((3, 2), [0.0, 3.0, 1.0])
    """
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat

    def read(start: int, stop: int) -> Array:
        floats = as_floats(np.asarray(flat[start:stop]))
        assert floats is not None
        return floats

    is_float = as_floats(np.empty(0, array.dtype)) is not None
    return Source(name, dtype or array.dtype.name, array.shape, read if is_float else None)


def sampled(source: Source, count: int) -> Source:
    """Return about `count` of a tensor's numbers, evenly spaced rows of them, as a tensor in memory.

    Rows that are too long, and a tensor with one axis, are cut into runs of numbers side by side.

    >>> sampled(of_array("w", np.arange(20.0)), 4).shape
    (4,)
    """
    if source.read is None or source.size <= count:
        return source
    run = source.row if 1 < source.row <= count // 8 else max(1, min(256, count // 8))
    places = source.size // run
    chosen = np.linspace(0, places - 1, max(1, min(places, count // run))).astype(np.int64)
    numbers = np.concatenate([source.read(int(i) * run, int(i) * run + run) for i in chosen])
    shape = (len(chosen), run) if len(source.shape) > 1 else (numbers.size,)
    return of_array(source.name, numbers.reshape(shape), source.dtype)


# -- files -----------------------------------------------------------------------------------------------


def size_of_file(path: Path) -> int:
    """Return how many bytes a file has.

    Raises
    ------
    DataError
        If it is not there, or is a folder.
    """
    try:
        if not path.is_file() and path.exists():
            raise DataError(f"Tensors are read from a file. Got {path}, which is none. Name a file.")
        return path.stat().st_size
    except OSError as problem:
        raise DataError(cannot_read(path, problem)) from problem


def read_range(path: Path, start: int, stop: int) -> bytes:
    """Return the bytes of a file from `start` up to `stop`.

    Raises
    ------
    DataError
        If they cannot be read, or the file has become shorter meanwhile.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(stop - start)
    except OSError as problem:
        raise DataError(cannot_read(path, problem)) from problem
    if len(content) < stop - start:
        raise DataError(
            f"A file keeps its size while it is read. Got {path}, which became shorter. Read it again."
        )
    return content
