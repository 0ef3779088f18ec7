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
from numbers import Real
from typing import Any

import numpy as np

from floatlab.array.core import FloatArray
from floatlab.backend import Array, widened
from floatlab.errors import DtypeError
from floatlab.formats import get_format
from floatlab.rounding.inputs import as_array, exact_source, nearest_and_rest

__all__ = ["COMPARISONS", "compare", "first_place", "nearest", "split"]

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")

_FLOAT64 = get_format("float64")

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
    if isinstance(x, FloatArray):
        return widened(x.values), None
    return nearest_and_rest(_numbers(x, strangers))


def _numbers(x: Any, strangers: bool) -> Any:
    """Return what is compared; texts are no numbers here, and strangers are NaN."""
    if isinstance(x, float | int):
        return x
    array = x if isinstance(x, np.ndarray) else as_array(x, "compared")
    if isinstance(array, np.ma.MaskedArray):
        return array  # which is refused
    kind = array.dtype.kind
    if kind in "USTO":
        numbers = [_number(item, strangers) for item in array.astype(object).flat]
        return np.array([*numbers, None], object)[:-1].reshape(array.shape)  # None: not looked into by NumPy
    if strangers and kind == "c":
        return np.where(array.imag == 0, array.real, np.nan)
    if strangers and kind not in "biufV":
        return np.full(array.shape, np.nan)
    return array


def _number(item: Any, strangers: bool) -> Any:
    if isinstance(item, FloatArray) and item.ndim == 0:
        return item.item()
    if isinstance(item, Real | Decimal | np.generic | np.bool_) and not isinstance(item, str | bytes):
        return item
    if strangers and isinstance(item, complex):
        return item.real if item.imag == 0 else math.nan
    if strangers:
        return math.nan
    raise DtypeError(
        f"A FloatArray is compared with real numbers. Got {item!r}, of type {type(item).__name__}. "
        "Convert it to a number first; == and != take everything."
    )


def nearest(x: Any) -> Array:
    """Return numbers as float64, of the same sign, finite where they are finite, and zero only where they are zero."""
    if isinstance(x, FloatArray):
        return widened(x.values)
    return widened(exact_source(_numbers(x, strangers=False), _FLOAT64)[0])


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
