"""Which numbers are in an .npy file, from one place to another? Read into memory a block at a time, and no more.

The blocks are read, not mapped: what is mapped stays in the memory of the process until somebody else needs it.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from floatlab.backend import Array, blocks
from floatlab.errors import DataError, DtypeError
from floatlab.inspection.numpy_files import read_header
from floatlab.inspection.source import size_of_file
from floatlab.system.files import cannot_read

__all__ = ["NumpyFile"]


@dataclass(frozen=True)
class NumpyFile:
    """An .npy file as it was found.

    Attributes
    ----------
    path : Path
        Where it is.
    shape : tuple of int
        The shape of its array.
    fortran : bool
        Whether its numbers lie in Fortran's order, and not in C order as well.
    dtype : numpy.dtype
        Their type.
    begin : int
        The byte where they begin.
    header : str
        The SHA-256 of what stands before.
    bytes, changed : int
        How long the file is, and when it was changed, in nanoseconds.
    """

    path: Path
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    begin: int
    header: str
    bytes: int
    changed: int

    @classmethod
    def open(cls, path: Path) -> NumpyFile:
        """Read the header of a file.

        Raises
        ------
        DataError
            If it is no .npy file, is damaged, or holds Python objects.
        DtypeError
            If it holds no real numbers.
        """
        size = size_of_file(path)
        try:
            with path.open("rb") as file:
                shape, fortran, dtype, begin = read_header(path, file, size)
                file.seek(0)
                header = hashlib.sha256(file.read(begin)).hexdigest()
                changed = os.fstat(file.fileno()).st_mtime_ns
        except OSError as problem:
            raise DataError(cannot_read(path, problem)) from problem
        if dtype.kind not in "biuf":
            raise DtypeError(
                f"A file of real numbers is converted. Got {path}, of dtype {dtype}. Save it as numbers: numpy.save "
                "keeps no types of ml_dtypes, for example, and x.astype(numpy.float32) holds their values."
            )
        both = sum(n > 1 for n in shape) <= 1 or 0 in shape
        return cls(path, shape, fortran and not both, dtype, begin, header, size, changed)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    def identity(self) -> dict[str, Any]:
        """Return what tells this file from another one, or from itself after a change."""
        path = os.path.realpath(self.path)
        return {"input": path, "bytes": self.bytes, "changed": self.changed, "header": self.header}

    def blocks(self, start: int, length: int) -> Iterator[tuple[slice, Array]]:
        """Yield the numbers from number `start` on, in the order in which they lie, and where each block lies.

        All blocks are in the same memory: a block is overwritten by the next.
        """
        memory = np.empty(min(length, self.size), self.dtype)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.begin + start * self.dtype.itemsize)
                for part in blocks(self.size - start, length):
                    x = memory[: part.stop - part.start]
                    self._read(file, x.view(np.uint8).data)
                    yield slice(start + part.start, start + part.stop), x
        except OSError as problem:
            raise DataError(cannot_read(self.path, problem)) from problem

    def _read(self, file: Any, place: memoryview) -> None:
        """Fill memory from a file, which may give it in pieces."""
        while place:
            n = file.readinto(place)
            if not n:
                raise self._changes()
            place = place[n:]

    def refuse_changes(self) -> None:
        """Raise if the file is not what it was when it was opened."""
        try:
            now = self.path.stat()
        except OSError as problem:
            raise DataError(cannot_read(self.path, problem)) from problem
        if (now.st_size, now.st_mtime_ns) != (self.bytes, self.changed):
            raise self._changes()

    def _changes(self) -> DataError:
        return DataError(
            f"A file stays as it is while it is read. Got {self.path}, which has changed. Convert it again."
        )
