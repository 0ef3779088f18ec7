"""Which number is that? A fraction, or one of the five values that no fraction can be; and what the codes mean.

Fraction(3, 2)   Fraction(0)   Special.NEGATIVE_ZERO   Special.INFINITY   Special.NAN   ...
"""

from __future__ import annotations

import math
import operator
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from floatlab.errors import OptionError
from floatlab.formats import FloatFormat

__all__ = [
    "INFINITIES",
    "MINUS",
    "NANS",
    "ZERO",
    "Layout",
    "Number",
    "Special",
    "decode",
    "exact",
    "is_minus",
    "is_zero",
    "layout_of",
    "nan_of",
    "negate",
    "to_float",
    "with_sign",
]


class Special(Enum):
    """A value that no fraction can be."""

    NEGATIVE_ZERO = "-0"
    INFINITY = "+inf"
    NEGATIVE_INFINITY = "-inf"
    NAN = "nan"
    NEGATIVE_NAN = "-nan"


Number = Fraction | Special

NANS = (Special.NAN, Special.NEGATIVE_NAN)
INFINITIES = (Special.INFINITY, Special.NEGATIVE_INFINITY)
MINUS = (Special.NEGATIVE_ZERO, Special.NEGATIVE_INFINITY, Special.NEGATIVE_NAN)
ZERO = Fraction(0)


def exact(x: Any) -> Number:
    """Return the number that a Python or NumPy scalar is, exactly.

    >>> exact(0.1) - Fraction(1, 10)
    Fraction(1, 180143985094819840)
    >>> exact(-0.0)
    <Special.NEGATIVE_ZERO: '-0'>
    """
    if isinstance(x, Fraction | Special):
        return x
    if hasattr(x, "__index__"):
        return Fraction(operator.index(x))
    x = float(x)
    minus = math.copysign(1.0, x) < 0
    if math.isnan(x):
        return Special.NEGATIVE_NAN if minus else Special.NAN
    if math.isinf(x):
        return Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    return Special.NEGATIVE_ZERO if x == 0 and minus else Fraction(x)


def to_float(x: Number) -> float:
    """Return a number as a Python float; every value of a format is one.

    >>> to_float(Fraction(7, 2)), to_float(Special.NEGATIVE_ZERO)
    (3.5, -0.0)
    """
    return float(x) if isinstance(x, Fraction) else float(x.value)


def nan_of(*operands: Number) -> Number | None:
    """Return the first operand that is NaN, or None."""
    return next((x for x in operands if x in NANS), None)


def is_minus(x: Number) -> bool:
    """Say whether a number has a minus sign."""
    return x in MINUS if isinstance(x, Special) else x < 0


def is_zero(x: Number) -> bool:
    """Say whether a number is a zero of either sign."""
    return x is Special.NEGATIVE_ZERO or x == 0


def negate(x: Number) -> Number:
    """Return -x; of a zero or a NaN, the other one."""
    if isinstance(x, Fraction):
        return -x if x else Special.NEGATIVE_ZERO
    pairs = {Special.INFINITY: Special.NEGATIVE_INFINITY, Special.NAN: Special.NEGATIVE_NAN}
    pairs |= {value: key for key, value in pairs.items()}
    return pairs.get(x, ZERO)


def with_sign(x: Number, minus: bool) -> Number:
    """Return a number of x's magnitude and the given sign."""
    return x if is_minus(x) == minus else negate(x)


# -- what the codes of a format mean -------------------------------------------------------------------


class Layout(NamedTuple):
    """Where a format's codes lie, and which of them are no numbers."""

    m: int  # mantissa bits
    bias: int
    sign: int  # the sign bit as a mask, 0 in an unsigned format
    largest: int  # the code of the largest finite value
    infinity: int | None
    nan: int | None
    signed_nan: bool  # the sign bit may be set in a NaN
    negative_zero: bool
    zero: bool  # an exponent field of 0 means 0.mantissa, not 1.mantissa
    ieee_nans: bool  # every code above infinity is a NaN


@lru_cache(maxsize=1024)
def layout_of(fmt: FloatFormat) -> Layout:
    """Return the layout of a format, from its description alone."""
    m, width, kind = fmt.mantissa_bits, fmt.exponent_bits + fmt.mantissa_bits, fmt.specials
    assert fmt.bias is not None
    last = 2**width - 1  # every bit of the magnitude set
    sign = 2**width if fmt.signed else 0
    infinity: int | None = None
    nan: int | None = None
    if kind == "ieee":
        infinity = (2**fmt.exponent_bits - 1) * 2**m  # exponent all ones, mantissa 0
        largest, nan = infinity - 1, infinity + 2**m // 2
    elif kind in ("fn", "scale"):
        largest, nan = last - 1, last
    elif kind == "finite":
        largest = last
    elif fmt.signed:  # fnuz and P3109: NaN is where -0 would be
        nan = sign
        largest, infinity = (last - 1, last) if kind == "p3109_extended" else (last, None)
    else:
        nan = last
        largest, infinity = (last - 2, last - 1) if kind == "p3109_extended" else (last - 1, None)
    usual = kind in ("ieee", "fn", "finite")  # the sign bit is free to mean a sign, whatever follows it
    return Layout(
        m=m,
        bias=fmt.bias,
        sign=sign,
        largest=largest,
        infinity=infinity,
        nan=nan,
        signed_nan=fmt.signed and usual and nan is not None,
        negative_zero=fmt.signed and usual,
        zero=kind != "scale",
        ieee_nans=kind == "ieee",
    )


def decode(code: int, fmt: FloatFormat) -> Number:
    """Return the number that a code means.

    >>> from floatlab.formats import get_format
    >>> decode(0b1_01111_1000000000, get_format("float16"))
    Fraction(-3, 2)
    """
    form = layout_of(fmt)
    if not 0 <= code < 2 ** (fmt.exponent_bits + form.m + (form.sign > 0)):
        raise OptionError(f"A code of {fmt.name} has {fmt.bits} bits. Got {code}. Mask it first.")
    minus = bool(code & form.sign)
    magnitude = code - form.sign if minus else code
    if code == form.nan or (form.signed_nan and magnitude == form.nan):
        return Special.NEGATIVE_NAN if minus and form.signed_nan else Special.NAN
    if magnitude == form.infinity:
        return Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    if form.ieee_nans and magnitude > form.largest:
        return Special.NEGATIVE_NAN if minus else Special.NAN
    field, mantissa = divmod(magnitude, 2**form.m)
    if form.zero and field == 0:
        if mantissa == 0 and minus:
            return Special.NEGATIVE_ZERO
        significand, exponent = mantissa, 1 - form.bias - form.m  # 0.mantissa * 2**(1 - bias)
    else:
        significand, exponent = 2**form.m + mantissa, field - form.bias - form.m  # 1.mantissa
    significand = -significand if minus else significand
    return Fraction(significand << exponent) if exponent >= 0 else Fraction(significand, 1 << -exponent)
