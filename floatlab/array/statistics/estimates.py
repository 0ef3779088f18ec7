"""Which results does float64 settle? Where both ends of an interval that holds the exact one round alike.

A Python integer for each of many rows takes long. Float64 is near enough to most exact results to tell what they
round to. With u = 2^-53, a sum of n terms in any order is off by less than 1.01 n u times the sum of their magnitudes.

References
----------
N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition (2002), section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from floatlab.array.calls import Call
from floatlab.array.statistics.rows import of_operation
from floatlab.backend import Array
from floatlab.rounding.modes import draws
from floatlab.rounding.quantize import quantize

__all__ = [
    "Interval",
    "estimated_average",
    "estimated_mean",
    "estimated_spread",
    "interval_around",
    "interval_of_roots",
    "is_tame",
    "settle",
    "unit_bound",
]

_UNIT = 2.0**-53
_SAFETY = 1.01
_MANY_ROWS = 32
_ESTIMATED_PRECISION = 40  # above, most intervals would hold a mark
_TAME = (2.0**-200, 2.0**200)

Interval = tuple[Array, Array]


def settle(interval: Callable[[], Interval], numbers: Sequence[Array], whole: Array, call: Call) -> Interval:
    """Return which of the `whole` rows an estimate tells what they round to, and numbers that round so."""
    count = len(numbers[0])
    none = np.zeros(count, bool), np.zeros(count)
    if count < _MANY_ROWS or call.wanted or call.fmt.precision > _ESTIMATED_PRECISION:
        return none
    if draws(call.options["rounding"]) or not call.fmt.has_zero:
        return none
    if not all(map(is_tame, numbers)):
        return none
    with np.errstate(all="ignore"):
        low, high = interval()
    kept = of_operation(call.options)
    inside = (low > 0) == (high > 0)
    inside &= np.isfinite(low) & np.isfinite(high) & (low != 0) & (high != 0)
    low, high = np.where(inside, low, 0.0), np.where(inside, high, 0.0)
    below, above = quantize(low, call.fmt, **kept), quantize(high, call.fmt, **kept)
    return whole & inside & ((below == above) | (np.isnan(below) & np.isnan(above))), low


def is_tame(x: Array) -> bool:
    """Return whether the squares and products of all finite numbers stay far from the ends of float64."""
    size = np.abs(x[np.isfinite(x) & (x != 0)])
    return bool(((size >= _TAME[0]) & (size <= _TAME[1])).all())


def interval_around(middle: Array, error: Array) -> Interval:
    """Return the interval of what is no farther from `middle` than `error`, whose own roundings are allowed for."""
    error = error + 4 * _UNIT * np.abs(middle)
    return middle - error, middle + error


def unit_bound(n: int) -> float:
    """Return a bound of the relative error of a sum of n rounded products of one sign."""
    return _SAFETY * (n + 2) * _UNIT


def estimated_mean(rows: Array, counts: Array) -> tuple[Array, Array]:
    """Return the mean of each row, whose missing elements are zeros, and a bound of its error."""
    n = rows.shape[1]
    return rows.sum(axis=1) / counts, _SAFETY * (n + 3) * _UNIT * np.abs(rows).sum(axis=1) / counts


def estimated_spread(rows: Array, present: Array, counts: Array, scale: Array, is_root: bool) -> Interval:
    """Return an interval that holds the variance (the standard deviation) of each row.

    The sum of squares about a mean that is off by e is too large by n e^2, and every term by a few units.
    """
    middle, off = estimated_mean(rows, counts)
    squares = np.where(present, rows - middle[:, None], 0.0) ** 2
    total = squares.sum(axis=1)
    error = _SAFETY * ((rows.shape[1] + 5) * _UNIT * total + counts * off**2)
    low, high = interval_around(total / scale, error / scale)
    return interval_of_roots(low, high) if is_root else (low, high)


def interval_of_roots(low: Array, high: Array) -> Interval:
    """Return an interval that holds the roots of all numbers of an interval."""
    return np.sqrt(np.maximum(low, 0.0)) * (1 - 4 * _UNIT), np.sqrt(high) * (1 + 4 * _UNIT)


def estimated_average(x: Array, w: Array) -> Interval:
    """Return an interval that holds the mean of each row of x with the weights w."""
    n = x.shape[1]
    products = x * w
    total, scale = products.sum(axis=1), w.sum(axis=1)
    off = _SAFETY * (n + 3) * _UNIT * np.abs(products).sum(axis=1)
    off_scale = _SAFETY * (n + 3) * _UNIT * np.abs(w).sum(axis=1)
    quotient = total / scale
    error = (off + np.abs(quotient) * off_scale) / np.maximum(np.abs(scale) - off_scale, 0.0)
    return interval_around(quotient, _SAFETY * error)
