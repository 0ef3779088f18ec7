"""Which tensors are in a safetensors file? Its header, checked to the last byte, and its numbers, read in parts.

The reader of the library `safetensors` for NumPy refuses the 4-, 6- and 8-bit types and bfloat16, which are what such a
file is looked into for. A file is an unsigned 64-bit length (little-endian), a header of so many bytes in JSON, and the
tensors: ::

    {"weight": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, "__metadata__": {"made by": "me"}}

The tensors fill the rest of the file, without a hole and without sharing a byte. A file that says anything else is
refused before anything is read by what it says.

Source: https://huggingface.co/docs/safetensors, "Format"; the names of the types are those of the library's version
0.8. It leaves open in which order the numbers smaller than a byte lie: here the first has the lowest bits, as in
PyTorch's ``float4_e2m1fn_x2``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from floatlab.codes.decode import decode
from floatlab.errors import DataError
from floatlab.inspection.source import Array, Source, read_range, size_of_file

__all__ = ["read_index", "read_safetensors"]

_MOST_HEADER = 100_000_000  # bytes, as the library has it
_WAY_OUT = "Use a file that is whole."

#: The floats: bits, and the format that the codes are of. NumPy has the others' codes as floats of its own.
_FLOATS = {
    "F64": (64, None), "F32": (32, None), "F16": (16, None), "BF16": (16, "bfloat16"),
    "F8_E4M3": (8, "float8_e4m3fn"), "F8_E5M2": (8, "float8_e5m2"), "F8_E8M0": (8, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": (8, "float8_e4m3fnuz"), "F8_E5M2FNUZ": (8, "float8_e5m2fnuz"),
    "F6_E2M3": (6, "float6_e2m3fn"), "F6_E3M2": (6, "float6_e3m2fn"), "F4": (4, "float4_e2m1fn"),
}  # fmt: skip
_OTHERS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64, "C64": 64,
}  # fmt: skip
_BITS = {name: bits for name, (bits, _) in _FLOATS.items()} | _OTHERS


def read_safetensors(path: Path) -> list[Source]:
    """Return the tensors of a safetensors file, in the order in which they lie there.

    Raises
    ------
    DataError
        If it cannot be read, or is not whole.
    """
    size = size_of_file(path)
    header, begin = _header(path, size)
    entries = [(name, *_entry(path, name, entry)) for name, entry in header.items() if name != "__metadata__"]
    _check_metadata(path, header.get("__metadata__", {}))
    entries.sort(key=lambda entry: entry[3:])
    place = 0
    for name, _, _, start, stop in entries:
        if start != place:
            what = "overlaps another" if start < place else "leaves a hole before it"
            raise _damaged(path, f"the tensor {name!r} {what}, at byte {start}")
        place = stop
    if begin + place != size:
        raise _damaged(path, f"its tensors end at byte {begin + place}, and the file at byte {size}")
    return [
        Source(name, dtype, shape, _reader(path, dtype, begin + start) if dtype in _FLOATS else None)
        for name, dtype, shape, start, _ in entries
    ]


def read_index(path: Path) -> list[Source]:
    """Return the tensors of a model in several files, which ``model.safetensors.index.json`` lists.

    Raises
    ------
    DataError
        If the list or a file is damaged, names a file elsewhere, or a tensor is not where it says.
    """
    index = _parsed(path, read_range(path, 0, min(size_of_file(path), _MOST_HEADER)))
    where = index.get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(file, str) for file in where.values()):
        raise _damaged(path, "it has no weight_map of names and files")
    files: dict[str, dict[str, Source]] = {}
    for file in dict.fromkeys(where.values()):
        if Path(file).name != file or "\\" in file or "\0" in file:
            raise _damaged(path, f"it names {file!r}, and the files lie beside it")
        files[file] = {source.name: source for source in read_safetensors(path.with_name(file))}
    for name, file in where.items():
        if name not in files[file]:
            raise _damaged(path, f"the tensor {name!r} is not in {file}")
    return [files[file][name] for name, file in where.items()]


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"A safetensors file is what its header says. Got {path}: {what}. {_WAY_OUT}")


def _header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    """Return the header, and the byte where the tensors begin."""
    if size < 8:
        raise _damaged(path, f"it has {size} bytes, and its first 8 are the length of the header")
    length = int.from_bytes(read_range(path, 0, 8), "little")
    if length > min(size - 8, _MOST_HEADER):
        raise _damaged(path, f"it claims a header of {length} bytes, in a file of {size}")
    return _parsed(path, read_range(path, 8, 8 + length)), 8 + length


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands there twice")
        return found

    def no_number(text: str) -> None:
        raise ValueError(f"{text} is no number of JSON")

    try:
        header = json.loads(content.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_number)
    except (ValueError, RecursionError) as problem:
        raise _damaged(path, f"its header is no JSON ({problem})") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no JSON object")
    return header


def _check_metadata(path: Path, metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _damaged(path, "its __metadata__ are not texts")


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Return the type, shape and place of a tensor, which fit each other."""
    if not isinstance(entry, dict):
        raise _damaged(path, f"the tensor {name!r} is not described")
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    place: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _damaged(path, f"the tensor {name!r} has the dtype {dtype!r}, and there are {', '.join(_BITS)}")
    if not _are_counts(shape) or not _are_counts(place) or len(place) != 2:
        raise _damaged(path, f"the tensor {name!r} has the shape {shape!r} and the data_offsets {place!r}")
    bits = math.prod(shape) * _BITS[dtype]
    start, stop = place
    if bits % 8 or bits // 8 != stop - start:
        raise _damaged(path, f"the tensor {name!r} needs {bits} bits, and has {stop - start} bytes")
    return dtype, tuple(shape), start, stop


def _are_counts(numbers: Any) -> bool:
    """Whether these are unsigned integers of 64 bits, in a list."""
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 1 << 64 for n in numbers)


def _reader(path: Path, dtype: str, begin: int) -> Callable[[int, int], Array]:
    """Return the function that reads a part of a tensor that begins at the byte `begin`."""
    bits, fmt = _FLOATS[dtype]

    def read(start: int, stop: int) -> Array:
        first = start // 4 * 4 if bits < 8 else start  # four numbers of 4 or 6 bits end with a byte
        content = read_range(path, begin + first * bits // 8, begin + -(-stop * bits // 8))
        if fmt is None:
            numbers = np.frombuffer(content, f"<f{bits // 8}")
            return numbers.astype(np.float64 if bits == 64 else np.float32, copy=False)
        if bits == 16:
            return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
        codes = np.frombuffer(content, np.uint8)
        values: Array = decode(codes if bits == 8 else _unpacked(codes, bits), fmt)
        return values[start - first : stop - first]

    return read


def _unpacked(packed: Array, bits: int) -> Array:
    """Return the codes of 4 or 6 bits that lie one after the other in bytes, the first in the lowest bits.

    >>> _unpacked(np.array([0x21, 0x43], np.uint8), 4).tolist()
    [1, 2, 3, 4]
    """
    each = np.unpackbits(packed, bitorder="little")
    rows = each[: each.size // bits * bits].reshape(-1, bits)
    return np.packbits(rows, axis=1, bitorder="little").reshape(-1)
