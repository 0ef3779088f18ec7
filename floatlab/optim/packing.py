"""What is a state made of? Arrays by name, and JSON that says where each belongs and what it means.

JSON has no arrays, so each is put aside under a name, and an object with one key that starts with "$" stands in its
place::

    {"$array": NAME}                       an array of bool, integers, float16, float32 or float64
    {"$array": NAME, "dtype": "bfloat16"}  one of ml_dtypes' types; its codes are kept as unsigned integers
    {"$array": NAME, "dtype": "npy"}       one of any other type; the bytes of its .npy file are kept
    {"$scalar": ...}                       a NumPy scalar: what stands for the array of it
    {"$tensor": ..., "format": SPEC}       a Tensor: what stands for its values, and its `FloatFormat.spec`
    {"$tuple": [...]}                      a tuple

A key of a dictionary that starts with "$" itself gets another one in front. The names of arrays are the keys on the
way to them, joined by "/"; whatever could be mistaken in a key is written as in a URL, so that no two arrays have one
name, whatever the keys are. Loading does not look into the names.

Nothing is pickled: an array of Python objects cannot be saved, and none is ever loaded.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import Tensor
from floatlab.context import DEFAULT, using
from floatlab.errors import DataError

__all__ = ["pack", "plain", "unpack", "unpack_first_version"]

Array = NDArray[Any]

# What both kinds of files hold as it is.
_PLAIN = {
    np.dtype(name)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64",
    )
}  # fmt: skip

_LONGEST_NAME = 1000


def plain(dtype: np.dtype[Any]) -> bool:
    """Whether an array of this type is kept as it is.

    >>> plain(np.dtype(np.float32)), plain(np.dtype(">f4")), plain(np.dtype(np.complex64))
    (True, False, False)
    """
    return dtype in _PLAIN and dtype.isnative


def pack(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """Turn `value` into JSON; put the arrays in it into `arrays`, and their names into the JSON.

    Parameters
    ----------
    value : object
        Arrays, Tensors, numbers, strings, None, and lists, tuples and dictionaries of them.
    place : str
        The key that leads to `value`.
    arrays : dict
        Gets one entry for each array.

    Raises
    ------
    DataError
        If there is something else in `value`.

    Examples
    --------
    >>> arrays = {}
    >>> pack({"a/b": np.ones(2), "c": (1, 2)}, "x", arrays)
    {'a/b': {'$array': 'x/a%2Fb'}, 'c': {'$tuple': [1, 2]}}
    >>> list(arrays)
    ['x/a%2Fb']
    """
    name = _escaped(place)
    # safetensors keeps a name for itself that begins so.
    return _pack(value, name.replace("_", "%5F", 1) if name.startswith("_") else name, arrays)


def _escaped(key: str) -> str:
    return quote(key, safe="", errors="surrogatepass")


def _pack(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    if isinstance(value, Tensor):
        return {"$tensor": _pack_array(np.asarray(value.array), place, arrays), "format": value.format.spec}
    if isinstance(value, np.ndarray):
        return _pack_array(value, place, arrays)
    if isinstance(value, np.generic):
        return {"$scalar": _pack_array(np.asarray(value), place, arrays)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise DataError(
                f"A dictionary that is saved has names as keys. Got others in {place!r}. Use strings."
            )
        return {
            ("$" + key if key.startswith("$") else str(key)): _pack(item, f"{place}/{_escaped(key)}", arrays)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{place}/{i}", arrays) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DataError(
        "A training state holds arrays, numbers, strings, lists and dictionaries. Got "
        f"{type(value).__name__} at {place!r}. Give it a state_dict()."
    )


def _pack_array(array: Array, place: str, arrays: dict[str, Array]) -> Any:
    if isinstance(array, np.ma.MaskedArray):
        raise DataError(
            f"A masked array has two arrays in it. Got one at {place!r}. Save its .data and its .mask."
        )
    # Not ascontiguousarray, which has no arrays of zero dimensions.
    array = np.array(array, order="C", copy=None, subok=False)
    name = _short(place)
    if plain(array.dtype):
        arrays[name] = array
        return {"$array": name}
    if array.dtype.isbuiltin == 2:  # registered with NumPy by ml_dtypes
        arrays[name] = array.view(f"u{array.dtype.itemsize}")
        return {"$array": name, "dtype": array.dtype.name}
    arrays[name] = _npy(array, place)
    return {"$array": name, "dtype": "npy"}


def _short(place: str) -> str:
    """Return `place`, or where it is longer than a zip file's names may be, its beginning and its hash."""
    if len(place) <= _LONGEST_NAME:
        return place
    return f"{place[:_LONGEST_NAME]}*{hashlib.sha256(place.encode()).hexdigest()}"  # no key has a bare "*"


def _npy(array: Array, place: str) -> Array:
    """Return the bytes of an array's .npy file, if all of its type can be read from one."""
    whole = not array.dtype.hasobject
    if whole:
        with warnings.catch_warnings(action="ignore"):  # what NumPy could not write is seen below
            described = np.lib.format.dtype_to_descr(array.dtype)
            whole = np.lib.format.descr_to_dtype(described) == array.dtype
    if not whole:
        raise DataError(
            f"An array that is saved is made of numbers or text. Got {array.dtype} at {place!r}. "
            "Turn it into such an array; nothing is pickled."
        )
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return np.frombuffer(file.getvalue(), np.uint8)


def unpack(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what `pack` was given.

    Raises
    ------
    KeyError, TypeError, ValueError
        If this is not what `pack` returned.

    Examples
    --------
    >>> arrays = {}
    >>> unpack(pack({"$x": (np.float16(0.1), [True])}, "p", arrays), arrays)
    {'$x': (np.float16(0.1), [True])}
    """
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    for key, make in _MAKERS.items():
        if key in value:
            return make(value, arrays)
    return {key.removeprefix("$"): unpack(item, arrays) for key, item in value.items()}


def _array(value: dict[str, Any], arrays: Mapping[str, Array]) -> Array:
    array, dtype = arrays[value["$array"]], value.get("dtype")
    if dtype is None:
        return array
    if dtype == "npy":
        content = array.tobytes()
        read: Array = np.lib.format.read_array(
            io.BytesIO(content), allow_pickle=False, max_header_size=len(content)
        )
        return read
    kind = np.dtype(getattr(ml_dtypes, dtype))
    if kind.isbuiltin != 2 or kind.itemsize != array.dtype.itemsize:
        raise ValueError(f"{dtype} is not a type of {array.dtype.itemsize} bytes")
    return array.view(kind)


def _scalar(value: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    return _array(value["$scalar"], arrays)[()]


def _tensor(value: dict[str, Any], arrays: Mapping[str, Array]) -> Tensor:
    with using(DEFAULT):  # what was saved is what is loaded, in any context
        return Tensor(_array(value["$tensor"], arrays), format=value["format"])


def _tuple(value: dict[str, Any], arrays: Mapping[str, Array]) -> tuple[Any, ...]:
    return tuple(unpack(item, arrays) for item in value["$tuple"])


_MAKERS: dict[str, Callable[[dict[str, Any], Mapping[str, Array]], Any]] = {
    "$array": _array,
    "$scalar": _scalar,
    "$tensor": _tensor,
    "$tuple": _tuple,
}


def unpack_first_version(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what was saved before there were scalars, tuples and types in the JSON.

    >>> unpack_first_version({"a": [{"$array": "a/0"}]}, {"a/0": np.arange(2)})
    {'a': [array([0, 1])]}
    """
    if isinstance(value, list):
        return [unpack_first_version(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        with using(DEFAULT):
            return Tensor(arrays[value["$tensor"]], format=value["format"])
    if "$array" in value:
        return arrays[value["$array"]]
    return {key: unpack_first_version(item, arrays) for key, item in value.items()}
