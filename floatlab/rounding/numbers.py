"""Which number is that? An object of Python's or NumPy's, or a text, as integers that hold it exactly.

A number that is a float stays one. Any other is a pair (n, e) that stands for n * 2^e: an integer as it is, a fraction,
or a decimal of many digits, rounded to odd at more bits than any rounding looks at ::

    "0.1"    1 / 10    n has some 130 bits, of which the last says that there are more
"""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Rational
from typing import Any

import numpy as np

from floatlab.errors import DtypeError
from floatlab.formats import formats
from floatlab.rounding.odd import Exact, from_ratio
from floatlab.rounding.texts import number_of, scaled

__all__ = ["FLOATS", "NARROW_FLOATS", "exact_number"]

FLOATS = {np.dtype(t) for t in (np.float16, np.float32, np.float64)}
NARROW_FLOATS = {f.dtype for f in formats() if f.dtype is not None} - FLOATS  # those of ml_dtypes


def exact_number(item: Any) -> float | Exact:
    """Return a number as a float, or as (n, e), which is n * 2^e; longer ones are rounded to odd at many bits.

    Raises
    ------
    DtypeError
        For what is no real number.

    Examples
    --------
    >>> from fractions import Fraction
    >>> exact_number(Fraction(3, 8)), exact_number(2**60 + 1), exact_number("-inf")
    ((3, -3), (1152921504606846977, 0), -inf)
    """
    if isinstance(item, float | np.float32 | np.float16):
        return float(item)
    if isinstance(item, int | np.integer | np.bool_):
        return int(item), 0
    if isinstance(item, Rational):
        return from_ratio(int(item.numerator), int(item.denominator))
    if isinstance(item, Decimal):
        return _from_decimal(item)
    if isinstance(item, str | bytes):
        return _from_text(item)
    if isinstance(item, np.longdouble):
        narrow = float(item)
        return narrow if narrow == item or item != item else from_ratio(*item.as_integer_ratio())
    if isinstance(item, np.generic) and item.dtype in NARROW_FLOATS:
        return float(item)
    if isinstance(item, np.ndarray) and item.ndim == 0:
        return exact_number(item[()])
    raise DtypeError(
        f"Only real numbers can be rounded. Got an object of type {type(item).__name__}, {item!r}. "
        "Convert it with numpy.asarray(x, dtype=numpy.float64) if that is exact."
    )


def _from_decimal(number: Decimal) -> float | Exact:
    if not number.is_finite():
        return math.copysign(math.nan if number.is_nan() else math.inf, -1.0 if number.is_signed() else 1.0)
    if not number:
        return -0.0 if number.is_signed() else 0.0
    return from_ratio(*scaled(number, 0).as_integer_ratio())


def _from_text(text: str | bytes) -> float | Exact:
    number = number_of(text)
    return number if isinstance(number, float) else from_ratio(*number.as_integer_ratio())
