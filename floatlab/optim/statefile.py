"""How do JSON and arrays lie in one file? As safetensors or NumPy's .npz, with a checksum over all of it.

    kind           the JSON                            the checksum                          an array
    .safetensors   "floatlab.state" in the metadata    "floatlab.sha256" in the metadata     a tensor
    .npz           the member floatlab.json            the member floatlab.sha256            the member NAME.npy

The checksum is the SHA-256 of the JSON and of every array's name, type, shape and bytes. It is compared before anything
is used. In the first version the JSON was called "floatlab", in both kinds, and had no checksum; such files are read
too, and hold nothing but what their JSON says.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from floatlab.errors import DataError
from floatlab.optim.packing import unpack, unpack_first_version
from floatlab.system.files import as_path, read_all, write_whole

__all__ = ["read_state", "state_path", "write_state"]

Array = NDArray[Any]

_JSON, _SHA256, _FIRST_JSON = "floatlab.state", "floatlab.sha256", "floatlab"
_JSON_MEMBER, _SHA256_MEMBER, _FIRST_MEMBER = "floatlab.json", "floatlab.sha256", "floatlab.npy"

# The names of safetensors (https://huggingface.co/docs/safetensors, "Format") for the types that NumPy has.
_DTYPES = {
    "BOOL": np.dtype(bool), "U8": np.dtype("u1"), "I8": np.dtype("i1"), "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"), "U32": np.dtype("<u4"), "I32": np.dtype("<i4"), "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"), "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"),
    "C64": np.dtype("<c8"), "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn), "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}  # fmt: skip


def state_path(path: object) -> Path:
    """Return `path` as a Path whose name says which kind of file it is.

    Raises
    ------
    DataError
        If it ends neither with .safetensors nor with .npz.
    """
    path = as_path(path)
    if path.suffix not in (".safetensors", ".npz"):
        raise DataError(
            f"A training state is kept in a .safetensors or .npz file. Got {path.name!r}. Rename it."
        )
    return path


def write_state(path: Path, tree: Any, arrays: Mapping[str, Array]) -> None:
    """Write the JSON and the arrays; the file is there whole, or the old one is.

    Raises
    ------
    DataError
        If the JSON cannot be written as text, or the file cannot be written.
    """
    try:
        text = json.dumps(tree)
    except (ValueError, RecursionError) as problem:  # an integer of too many digits; nested too deeply
        raise DataError(
            f"A training state can be written as JSON. Got {problem}. Leave that out."
        ) from problem
    digest = _checksum(text, arrays)
    if path.suffix == ".npz":
        content = _npz(text, digest, arrays)
    else:
        from safetensors.numpy import save

        content = save(dict(arrays), {_JSON: text, _SHA256: digest})
    write_whole(path, content)


def read_state(path: Path) -> dict[str, Any]:
    """Return the parts in a file, each made of arrays of their own.

    Raises
    ------
    DataError
        If the file is not there, is not one of `write_state`, or is damaged.
    """
    try:
        content = read_all(path)
    except DataError as problem:
        if not isinstance(problem.__cause__, FileNotFoundError):
            raise
        raise DataError(
            f"A training state is loaded from a file. Got {str(path)!r}, which is not there. Save one."
        ) from None
    try:
        version, text, digest, arrays = _parse_npz(content) if path.suffix == ".npz" else _parse(content)
        if version > 1 and digest != _checksum(text, arrays):
            raise ValueError("its checksum is that of another content")
        make = unpack if version > 1 else unpack_first_version
        return {str(name): make(packed, arrays) for name, packed in json.loads(text).items()}
    except Exception as problem:  # each library has its own errors for a damaged file
        reason = f"{type(problem).__name__}: {problem}" if not isinstance(problem, ValueError) else problem
        raise DataError(
            f"A training state is a file that save_state wrote. Got {path.name!r}: {reason}. Use another file."
        ) from problem


def _checksum(text: str, arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        little = array.dtype.newbyteorder("<")
        digest.update(repr((name, little.str, array.shape)).encode())
        digest.update(array.astype(little, order="C", copy=False).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _npz(text: str, digest: str, arrays: Mapping[str, Array]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A ZipInfo of its own, so that the time of day is no part of the file.
        archive.writestr(zipfile.ZipInfo(_JSON_MEMBER), text)
        archive.writestr(zipfile.ZipInfo(_SHA256_MEMBER), digest)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return file.getvalue()


def _parse_npz(content: bytes) -> tuple[int, str, str, dict[str, Array]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            raise ValueError("it holds two members of one name")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its members are compressed, which save_state does not do")
        read = {name: archive.read(name) for name in names}
    arrays = {name.removesuffix(".npy"): _array(data) for name, data in read.items() if name.endswith(".npy")}
    if _JSON_MEMBER in read:
        return 2, read[_JSON_MEMBER].decode(), read[_SHA256_MEMBER].decode(), arrays
    return 1, str(arrays.pop(_FIRST_MEMBER.removesuffix(".npy"))), "", arrays


def _array(data: bytes) -> Array:
    array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _parse(content: bytes) -> tuple[int, str, str, dict[str, Array]]:
    from safetensors import deserialize

    arrays = {}
    for name, tensor in deserialize(content):
        dtype = _DTYPES[tensor["dtype"]]
        arrays[name] = np.frombuffer(bytearray(tensor["data"]), dtype).reshape(tensor["shape"])
    # The library has checked the header, but keeps the metadata for itself: eight bytes of length, then JSON.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header.get("__metadata__", {})
    if _JSON in metadata:
        return 2, metadata[_JSON], metadata[_SHA256], arrays
    return 1, metadata[_FIRST_JSON], "", arrays
