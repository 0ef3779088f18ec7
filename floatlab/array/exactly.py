"""Is a value less than a number? Comparisons of any real numbers, which round nothing.

A number that is no float64 (a long integer, a fraction, a decimal) is split into the float64 next to it and the *sign*
of what is left. Rounding to nearest keeps the order of numbers, so a value, which is a float64 without a rest, is
compared with the pair as with the number itself: first the float64, and where these are equal, the rest ::

    2**53 + 1  ->  2**53, +1         2**53 < 2**53 + 1, since nothing is less than something
    1/10       ->  0.1000000..., -1   and the float64 0.1 is greater than one tenth
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.array.core import FloatArray
from floatlab.backend import Array
from floatlab.errors import DtypeError
from floatlab.formats import get_format
from floatlab.sources import as_source

__all__ = ["COMPARISONS", "compare", "first_place", "nearest", "split"]

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")

_FLOAT64 = get_format("float64")
_EXACT_INTEGERS = 2**53
_LARGEST, _SMALLEST = float(np.finfo(np.float64).max), 5e-324

Pair = tuple[Array, Array | None]  # the nearest float64, and the sign of the rest; None where there is none


def split(x: Any, strangers: bool = False) -> Pair:
    """Return the float64 nearest to each number, and the sign of what is missing, or None where nothing is.

    Parameters
    ----------
    x : FloatArray, number or array_like
        Any real numbers: also Fractions, Decimals, and integers of any length.
    strangers : bool
        Whether what is no real number counts as a NaN, which equals nothing, instead of being refused.

    Raises
    ------
    DtypeError
        If something is no real number, and strangers are not asked for; for a masked array always.

    Examples
    --------
    >>> nearest, rest = split(2**53 + 1)
    >>> int(nearest) - 2**53, int(rest)
    (0, 1)
    """
    if isinstance(x, float):
        return np.asarray(x, np.float64), None
    if isinstance(x, FloatArray):
        return _widened(x.values), None
    array = x if isinstance(x, np.ndarray) else _as_array(x)
    if isinstance(array, np.ma.MaskedArray):
        as_source(array, _FLOAT64)  # refuses it, and says why
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "iu" and size == 8:
        return _split_integers(array)
    if kind == "O":
        return _split_objects(array, strangers)
    if kind == "f" and size > 8:
        return _split_long_doubles(array)
    if strangers and kind == "c":
        real, rest = split(array.real)
        return np.where(array.imag == 0, real, np.nan), rest
    if strangers and kind not in "biufV":
        return np.full(array.shape, np.nan), None
    return _widened(as_source(array, _FLOAT64)), None


def _as_array(x: Any) -> Array:
    """Return a list or a number as an array that holds it exactly: the integers of a list stay integers."""
    try:
        return np.array(x, object) if _holds_objects(x) else np.asarray(x)
    except ValueError:
        return as_source(x, _FLOAT64)  # refuses it, and says why


def _holds_objects(x: Any) -> bool:
    """Whether a nested list has elements that NumPy might round to float64 on the way into an array."""
    if not isinstance(x, list | tuple):
        return False
    return any(_holds_objects(item) or not isinstance(item, float | np.floating | list | tuple) for item in x)


def _widened(x: Array) -> Array:
    """Return floats as float64; a signaling NaN makes no noise."""
    if x.dtype == np.float64:
        return x
    with np.errstate(invalid="ignore"):
        return x.astype(np.float64)


def _split_integers(n: Array) -> Pair:
    near = n.astype(np.float64)
    if not n.size or (int(n.max()) <= _EXACT_INTEGERS and int(n.min()) >= -_EXACT_INTEGERS):
        return near, None
    limit = float(np.iinfo(n.dtype).max)  # 2**63 or 2**64: one more than there is
    above = near >= limit
    back = np.where(above, 0.0, near).astype(n.dtype)
    rest = (n > back).astype(np.int8) - (n < back).astype(np.int8)
    return near, np.where(above, np.int8(-1), rest)


def _split_long_doubles(x: Array) -> Pair:
    with np.errstate(all="ignore"):
        near = x.astype(np.float64)
        near = np.where(np.isinf(near) & np.isfinite(x), np.copysign(_LARGEST, near), near)
        near = np.where((near == 0) & (x != 0), np.copysign(_SMALLEST, x).astype(np.float64), near)
        rest = (x > near).astype(np.int8) - (x < near).astype(np.int8)
    return near, rest if rest.any() else None


def _split_objects(items: Array, strangers: bool) -> Pair:
    pairs = [_split_one(item, strangers) for item in items.flat]
    near = np.array([pair[0] for pair in pairs], np.float64).reshape(items.shape)
    rest = np.array([pair[1] for pair in pairs], np.int8).reshape(items.shape)
    return near, rest if rest.any() else None


def _split_one(item: Any, strangers: bool) -> tuple[float, int]:
    if isinstance(item, np.generic | FloatArray) and getattr(item, "ndim", 1) == 0:
        near, rest = split(item, strangers)
        return float(near), 0 if rest is None else int(rest)
    if isinstance(item, Decimal) and not item.is_finite():
        return (math.nan if item.is_nan() else math.copysign(math.inf, item)), 0
    if strangers and isinstance(item, complex):
        item = item.real if item.imag == 0 else math.nan
    if isinstance(item, float):
        return item, 0
    if isinstance(item, int | Fraction | Decimal):
        return _nearest_float(item, Fraction(item))
    if strangers:
        return math.nan, 0
    raise DtypeError(
        f"A FloatArray is compared with real numbers. Got {item!r}, of type {type(item).__name__}. "
        "Convert it to a number first; == and != take everything."
    )


def _nearest_float(item: Any, exact: Fraction) -> tuple[float, int]:
    sign = -1.0 if exact < 0 else 1.0
    try:
        near = float(exact)
    except OverflowError:
        near = sign * _LARGEST
    if near == 0:
        near = sign * _SMALLEST if exact else float(item)  # Decimal("-0") has a sign
    if math.isinf(near):
        near = sign * _LARGEST
    return near, (exact > Fraction(near)) - (exact < Fraction(near))


def nearest(x: Any) -> Array:
    """Return numbers as float64, of the same sign, and zero only where they are zero."""
    return split(x)[0]


def compare(name: str, a: Any, b: Any) -> Array:
    """Return whether a is ``equal``, ``less``, ``greater_equal`` ... to b, element by element, exactly.

    One of the two is a FloatArray, or an array of float64 numbers; the other one is of any kind.

    >>> compare("less", np.array([2.0**53]), 2**53 + 1).tolist()
    [True]
    """
    if isinstance(a, FloatArray) and isinstance(b, FloatArray):
        with np.errstate(invalid="ignore"):  # signaling NaNs
            return getattr(np, name)(a.values, b.values)
    strangers = name in ("equal", "not_equal")
    (x, x_rest), (y, y_rest) = split(a, strangers), split(b, strangers)
    with np.errstate(invalid="ignore"):
        if x_rest is None and y_rest is None:
            return getattr(np, name)(x, y)
        u, v = (np.int8(0) if rest is None else rest for rest in (x_rest, y_rest))
        if strangers:
            same = (x == y) & np.equal(u, v)
            return same if name == "equal" else ~same
        apart = np.less(x, y) if name.startswith("less") else np.greater(x, y)
        return apart | ((x == y) & getattr(np, name)(u, v))


def first_place(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """Return where numbers would stand among sorted values, as `numpy.searchsorted`, exactly.

    >>> first_place(np.array([2.0**53, 2.0**53 + 2]), 2**53 + 1).item()
    1
    """
    values, missing = split(a)
    numbers, rest = split(v)
    if missing is not None:
        raise DtypeError(
            "The sorted numbers of searchsorted are float64 values. Got some that are not. "
            "Search among a FloatArray, or among floats."
        )
    places = np.searchsorted(values, numbers, side=side, sorter=sorter)
    if rest is None:
        return places
    before = np.searchsorted(values, numbers, side="left", sorter=sorter)
    behind = np.searchsorted(values, numbers, side="right", sorter=sorter)
    return np.where(rest > 0, behind, np.where(rest < 0, before, places))
