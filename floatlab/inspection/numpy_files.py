"""Which arrays are in an .npy or .npz file? Their headers, checked, and their numbers, read in parts.

Nothing is unpickled: an array of Python objects is refused. What a header claims is compared with the size of the file
before anything is read by it.

Source: the NumPy documentation, `numpy.lib.format`.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from floatlab.errors import DataError
from floatlab.inspection.source import Array, Source, as_floats, of_array, read_range, size_of_file
from floatlab.system.files import cannot_read

__all__ = ["read_header", "read_npy", "read_npz"]

#: What zipfile and zlib say of a damaged archive.
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)
_READERS: dict[Any, Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(path: Path) -> list[Source]:
    """Return the one array of an .npy file.

    Raises
    ------
    DataError
        If it is damaged, or holds Python objects.
    """
    size = size_of_file(path)
    try:
        with path.open("rb") as file:
            shape, fortran, dtype, begin = read_header(path, file, size)
    except OSError as problem:
        raise DataError(cannot_read(path, problem)) from problem
    if fortran and 0 not in shape:
        return [of_array("", np.memmap(path, dtype, "r", begin, shape, "F"))]
    return [_in_parts("", shape, dtype, lambda start, stop: read_range(path, begin + start, begin + stop))]


def read_npz(path: Path) -> list[Source]:
    """Return the arrays of an .npz file, in their order there.

    Raises
    ------
    DataError
        If it is damaged, two arrays have one name, or one holds Python objects, or is both compressed and in Fortran's
        order, and so cannot be read in parts.
    """
    size_of_file(path)
    try:
        archive = zipfile.ZipFile(path)
        members = archive.infolist()
        if len({member.filename for member in members}) < len(members):
            raise _damaged(path, "two of its arrays have one name")
        return [_member(path, archive, member) for member in members]
    except DataError:
        raise
    except _DAMAGE as problem:
        raise _damaged(path, str(problem)) from None


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Source:
    name = member.filename.removesuffix(".npy")
    if name == member.filename:
        raise _damaged(path, f"it holds {name!r}, which is no array")
    with archive.open(member) as file:
        shape, fortran, dtype, begin = read_header(path, file, member.file_size)
    if not fortran or 0 in shape:
        return _in_parts(name, shape, dtype, _forward(path, archive, member, begin))
    if member.compress_type != zipfile.ZIP_STORED:
        what = f"the array {name!r} is compressed, and in Fortran's order"
        raise _damaged(path, what, "Save it in C order, or alone as .npy.")
    numbers = np.frombuffer(archive.read(member), dtype, offset=begin)
    return of_array(name, numbers.reshape(shape, order="F"))


def _damaged(
    path: Path, what: str, way_out: str = "Use a file that numpy.save or numpy.savez has written."
) -> DataError:
    return DataError(f"A file of NumPy holds arrays of numbers. Got {path}: {what}. {way_out}")


def read_header(path: Path, file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return the shape, whether it is in Fortran's order, the type, and the byte where the numbers begin.

    Raises
    ------
    DataError
        If it cannot be read, does not go with the `size` of the file, or is that of Python objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = _READERS[version](file)
    except OSError:
        raise
    except Exception as problem:  # NumPy reads the header as a literal of Python, which fails in many ways
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise _damaged(path, f"its header cannot be read ({reason})") from None
    if dtype.hasobject:
        raise _damaged(path, "it holds pickled Python objects, and nothing is unpickled")
    begin = file.tell()
    needed = begin + math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or needed != size:
        raise _damaged(
            path, f"it claims the shape {shape} of {dtype}, which makes {needed} bytes, and has {size}"
        )
    return shape, fortran, dtype, begin


def _forward(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, begin: int
) -> Callable[[int, int], bytes]:
    """Return the function that reads a part of a member, which costs little where the parts follow each other."""
    stream: list[IO[bytes]] = []

    def read(start: int, stop: int) -> bytes:
        try:
            if not stream:
                stream.append(archive.open(member))
            stream[0].seek(begin + start)
            content = stream[0].read(stop - start)
        except _DAMAGE as problem:
            raise _damaged(path, f"{member.filename} cannot be read ({problem})") from None
        if len(content) < stop - start:
            raise _damaged(path, f"{member.filename} ends early")
        return content

    return read


def _in_parts(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], fetch: Callable[[int, int], bytes]
) -> Source:
    """Return an array in C order, of whose bytes `fetch` reads some."""

    def read(start: int, stop: int) -> Array:
        content = fetch(start * dtype.itemsize, stop * dtype.itemsize)
        floats = as_floats(np.frombuffer(content, dtype))
        assert floats is not None
        return floats

    is_float = as_floats(np.empty(0, dtype)) is not None
    return Source(name, dtype.name, shape, read if is_float else None)
