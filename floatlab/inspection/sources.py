"""Where do tensors come from? Arrays, dictionaries of them, models, and files of four kinds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from floatlab.errors import DataError, DtypeError
from floatlab.formats import FloatFormat
from floatlab.inspection.numpy_files import read_npy, read_npz
from floatlab.inspection.pytorch import is_torch_tensor, of_torch, read_torch
from floatlab.inspection.safetensors import read_index, read_safetensors
from floatlab.inspection.source import Source, of_array
from floatlab.rounding.inputs import as_array
from floatlab.system.files import as_path

__all__ = ["sources_of"]

_READERS: dict[str, Callable[[Path], list[Source]]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".pt": read_torch,
    ".pth": read_torch,
}
_INDEX = ".safetensors.index.json"


def sources_of(x: Any) -> list[Source]:
    """Return the tensors of whatever holds some: nothing is read yet but headers.

    Parameters
    ----------
    x : array_like, mapping, module, or path
        An array, a `FloatArray` or a tensor; a mapping of names to such, or to mappings; anything with a
        ``state_dict()``; the path of a file (.npy, .npz, .safetensors, .safetensors.index.json, .pt, .pth).

    Raises
    ------
    DataError
        If a file is missing, damaged or of another kind.
    DtypeError
        If something is no array of real numbers.

    Examples
    --------
    >>> [source.name for source in sources_of({"layer": {"weight": np.ones(3), "bias": np.zeros(1)}})]
    ['layer.weight', 'layer.bias']
    """
    if isinstance(x, str | os.PathLike):
        return _of_file(as_path(x))
    return _of_object("", x)


def _of_file(path: Path) -> list[Source]:
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if _is_known(file))
        hint = f"Name a file in it, such as {inside[0]}." if inside else "Name a file."
        raise DataError(f"Tensors are read from a file, not a folder. Got the folder {path}. {hint}")
    if path.name.endswith(_INDEX):
        return read_index(path)
    if path.suffix == ".gguf":
        raise DataError(
            f"GGUF files hold blocks of integers that share a scale, and are not read here. Got {path}. "
            "Use the .safetensors file that it was made from."
        )
    if not _is_known(path):
        kinds = ", ".join([*_READERS, _INDEX])
        raise DataError(f"Tensors are read from one of: {kinds}. Got {path}. Save them as one of these.")
    return _READERS[path.suffix](path)


def _is_known(path: Path) -> bool:
    return path.suffix in _READERS or path.name.endswith(_INDEX)


def _of_object(name: str, x: Any) -> list[Source]:
    if callable(getattr(x, "state_dict", None)):
        x = x.state_dict()
    if isinstance(x, Mapping):
        found = []
        for key, value in x.items():
            found += _of_object(f"{name}.{key}" if name else str(key), value)
        return found
    if is_torch_tensor(x):
        return [of_torch(name, x)]
    fmt = getattr(x, "format", None)
    if isinstance(fmt, FloatFormat):  # a FloatArray has values, a tensor data
        return [of_array(name, np.asarray(getattr(x, "values", getattr(x, "data", x))), fmt.spec)]
    try:
        array = x if type(x) is np.ndarray else as_array(x, "inspected")
    except DtypeError as problem:
        raise DtypeError(
            f"Tensors are arrays of numbers, or a mapping of names to them. Got {name or type(x).__name__}: "
            f"{problem} Pass arrays, a state_dict, or the path of a file."
        ) from None
    if array.dtype.kind in "OUSMm":
        raise DtypeError(
            f"Tensors are arrays of numbers, or a mapping of names to them. Got {name or 'an array'} of dtype "
            f"{array.dtype}. Use numpy.asarray(x, float) if these are numbers."
        )
    return [of_array(name, array)]
