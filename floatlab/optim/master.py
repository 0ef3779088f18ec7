"""Is a master copy still that of its weight? What has changed the weight meanwhile is taken over.

A weight with a master copy is nothing but the rounded copy: whatever else is written into it (a loaded state, a
clamp, a new ``p.data``) would be overwritten by the next step. So each step looks first. Where the weight is still
what was rounded from the copy, the copy keeps the bits that the weight cannot hold; where it is not, the weight counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat
from floatlab.rounding.modes import draws
from floatlab.rounding.quantize import quantize

__all__ = ["follow_weight"]

Array = NDArray[Any]


def follow_weight(
    master: Array, weight: Array, written: Array | None, fmt: FloatFormat, rounding: str
) -> None:
    """Put into `master`, in place, those elements of `weight` that are no longer what was rounded from it.

    Parameters
    ----------
    master, weight : array
        The copy in float32, and the values of `fmt`.
    written : array or None
        What was last rounded from the copy; None if that is not known, as after a state was loaded. Then `weight` is
        held against the copy, rounded anew; where the mode draws, against both neighbours.
    fmt, rounding
        How a weight is rounded from its copy.

    Examples
    --------
    >>> master, weight = np.float32([1.001, 2.001]), np.float32([1.0, 2.0])
    >>> follow_weight(master, np.float32([1.0, 1.5]), weight, FloatFormat("bfloat16", 8, 7), "nearest_even")
    >>> master
    array([1.001, 1.5  ], dtype=float32)
    """
    if written is None and draws(rounding):
        low, high = (_rounded(master, fmt, mode) for mode in ("toward_negative", "toward_positive"))
        changed = ~((low <= weight) & (weight <= high) | np.isnan(weight) & np.isnan(low))
    else:
        expected = _rounded(master, fmt, rounding) if written is None else written
        changed = _bits(weight) != _bits(expected)  # so that a NaN is itself, and -0 is not 0
    if changed.any():
        np.copyto(master, weight, where=changed)


def _rounded(master: Array, fmt: FloatFormat, mode: str) -> Array:
    return quantize(master, fmt, rounding=mode).astype(np.float32)


def _bits(values: Array) -> Array:
    return values.view(np.int32)
