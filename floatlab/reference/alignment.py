"""Where is a term cut off? Exponents, whole multiples of a power of two, and what no finite sum can be.

A matrix unit shifts its terms until their exponents agree. The exponent of a number is that of its leading bit, but
never less than that of the smallest normal value of its format: a unit reads the exponent field, and the subnormal
values share the smallest. The exponent of a product is the sum of those of its operands, whether or not the
product of the two significands reached 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from floatlab.formats import FloatFormat
from floatlab.reference.numbers import INFINITIES, NANS, ZERO, Number, Special, exact
from floatlab.reference.operations import exact_product
from floatlab.reference.rounding import round

__all__ = [
    "Term",
    "cut",
    "exponent_of",
    "finite",
    "floored",
    "largest_exponent",
    "leading_exponent",
    "not_finite",
    "power",
    "product_exponent",
    "products_of",
    "rounded",
]

Term = tuple[Fraction, int]
"""A number, and the exponent at which it is aligned. That of a zero has no meaning."""


def power(exponent: int) -> Fraction:
    """Return 2**exponent."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def leading_exponent(x: Fraction) -> int:
    """Return floor(log2(abs(x))) of a number that is not zero.

    >>> leading_exponent(Fraction(-7)), leading_exponent(Fraction(1, 3))
    (2, -2)
    """
    n, d = abs(x.numerator), x.denominator
    e = n.bit_length() - d.bit_length()
    reached = n >= d << e if e >= 0 else n << -e >= d
    return e if reached else e - 1


def exponent_of(x: Fraction, fmt: FloatFormat) -> int:
    """Return the exponent of a value that is not zero, as the format's exponent field has it.

    >>> from floatlab.formats import get_format
    >>> exponent_of(Fraction(3), get_format("e4m3")), exponent_of(Fraction(1, 512), get_format("e4m3"))
    (1, -6)
    """
    return max(leading_exponent(x), fmt.emin)


def product_exponent(x: Number, y: Number, operands: tuple[FloatFormat, FloatFormat]) -> int:
    """Return the exponent of a finite product; 0 if the product is zero."""
    if not (isinstance(x, Fraction) and isinstance(y, Fraction) and x and y):
        return 0
    return exponent_of(x, operands[0]) + exponent_of(y, operands[1])


def largest_exponent(terms: Iterable[Term], least: int) -> int:
    """Return the largest exponent of the terms that are not zero, and no less than `least`."""
    return max([least, *(exponent for x, exponent in terms if x)])


def floored(x: Fraction, place: int) -> int:
    """Return the largest integer n for which n * 2**place is at most x.

    >>> floored(Fraction(-5, 2), 0), floored(Fraction(11), 2)
    (-3, 2)
    """
    n, d = x.numerator, x.denominator
    return (n << -place) // d if place < 0 else n // (d << place)


def cut(x: Fraction, place: int) -> int:
    """Return how many whole multiples of 2**place lie between 0 and x; what remains is dropped.

    >>> cut(Fraction(-5, 2), 0), cut(Fraction(11), 2)
    (-2, 2)
    """
    return -floored(-x, place) if x < 0 else floored(x, place)


def products_of(a: Sequence[Any], b: Sequence[Any]) -> list[Number | None]:
    """Return the exact products, and None where zero meets an infinity."""
    return [_product(exact(x), exact(y)) for x, y in zip(a, b, strict=True)]


def _product(x: Number, y: Number) -> Number | None:
    if isinstance(x, Fraction) and isinstance(y, Fraction) and x and y:
        return x * y
    return exact_product(x, y)


def not_finite(terms: Iterable[Number | None]) -> Number | None:
    """Return the sum if no finite numbers have a part in it, else None.

    A NaN, a product without a value (None) and infinities of both signs give the positive NaN; otherwise an infinity
    wins.

    >>> not_finite([Fraction(1), Special.NEGATIVE_INFINITY]), not_finite([Fraction(1), Special.NEGATIVE_ZERO])
    (<Special.NEGATIVE_INFINITY: '-inf'>, None)
    """
    found = {x for x in terms if not isinstance(x, Fraction)}
    if None in found or not found.isdisjoint(NANS):
        return Special.NAN
    infinities = [x for x in found if x in INFINITIES]
    return Special.NAN if len(infinities) == 2 else infinities[0] if infinities else None


def finite(x: Number | None) -> Fraction:
    """Return a number that is known to be finite as a fraction, which has one zero."""
    return x if isinstance(x, Fraction) else ZERO


def rounded(total: Fraction, fmt: FloatFormat, rounding: str) -> Number:
    """Return a sum as the unit delivers it: -0 becomes +0, and what reaches 2**(emax + 1) becomes an infinity.

    (By IEEE 754 a result rounded toward zero never becomes one.)

    >>> from floatlab.formats import get_format
    >>> rounded(Fraction(2) ** 128, get_format("fp32"), "toward_zero")
    <Special.INFINITY: '+inf'>
    """
    if abs(total) >= power(fmt.emax + 1):
        return Special.INFINITY if total > 0 else Special.NEGATIVE_INFINITY
    value = round(total, fmt, rounding=rounding).value
    return ZERO if value is Special.NEGATIVE_ZERO else value
