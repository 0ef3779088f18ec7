"""Which elements does a key name? As CuPy answers: integers in arrays wrap, and masks make the host wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .ledger import LEDGER

__all__ = ["numpy_key", "stored"]


def numpy_key(x: np.ndarray, key: Any, held: Callable[[Any], np.ndarray]) -> tuple[tuple[Any, ...], bool]:
    """Return the key as NumPy takes it, and whether it names elements by arrays, so that the result is a copy."""
    parts = [_part(part, held) for part in (key if isinstance(key, tuple) else (key,))]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    for part in arrays:
        if part.dtype.kind not in "iub":
            raise IndexError(
                f"arrays used as indices must be of integer or boolean type. (actual: {part.dtype.type})"
            )
        if part.dtype.kind == "b":
            LEDGER.reading("mask")  # how many elements it has is known on the device
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    used = sum(_width(part) for part in parts)
    axis = 0
    for i, part in enumerate(parts):
        if part is Ellipsis:
            axis += x.ndim - used
        elif isinstance(part, np.ndarray) and part.dtype.kind in "iu" and x.shape[axis]:
            parts[i] = part.astype(np.int64) % x.shape[axis]
        axis += _width(part)
    return tuple(parts), bool(arrays)


def _part(part: Any, held: Callable[[Any], np.ndarray]) -> Any:
    if (
        part is None
        or part is Ellipsis
        or (isinstance(part, int | np.integer) and not isinstance(part, bool))
    ):
        return part
    if isinstance(part, slice):  # whose ends are read, if they are device arrays
        return part
    if isinstance(part, np.ndarray | list | tuple | bool | np.bool_):
        LEDGER.sending()
        array = np.asarray(part)
        return array.astype(np.int32) if isinstance(part, list | tuple) and not array.size else array
    return held(part)


def _width(part: Any) -> int:
    """Return how many axes a part of a key takes."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


def stored(x: np.ndarray, key: tuple[Any, ...], advanced: bool, value: Any) -> None:
    """Store a value; where an index occurs twice, the first element stays, since any of them may on a device."""
    if not advanced or not isinstance(value, np.ndarray) or not value.ndim:
        x[key] = value
        return
    places = np.arange(x.size).reshape(x.shape)[key]
    if value.shape != places.shape:  # leading axes of length one may be missing or superfluous
        value = np.broadcast_to(value.reshape(value.shape[max(0, value.ndim - places.ndim) :]), places.shape)
    flat = np.unravel_index(places.reshape(-1)[::-1], x.shape)
    x[flat] = value.reshape(-1)[::-1]
