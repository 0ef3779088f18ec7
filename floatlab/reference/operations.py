"""What is a op b, exactly? A fraction; then it is rounded, once.

`options` are those of `round`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from floatlab.formats import FloatFormat
from floatlab.reference.numbers import (
    INFINITIES,
    NANS,
    ZERO,
    Number,
    Special,
    exact,
    is_minus,
    is_zero,
    layout_of,
    nan_of,
    negate,
    with_sign,
)
from floatlab.reference.rounding import DIVIDE_BY_ZERO, INVALID, Flags, Result, round

__all__ = [
    "add",
    "divide",
    "dot",
    "exact_product",
    "exact_sum",
    "fma",
    "invalid",
    "multiply",
    "sqrt",
    "subtract",
    "sum",
]


def invalid(fmt: FloatFormat, **options: Any) -> Result:
    """Return what an operation without a result delivers: the positive NaN."""
    return round(Special.NAN, fmt, **options)._replace(flags=INVALID)


def exact_sum(terms: Sequence[Number], rounding: str) -> Number | None:
    """Return the exact sum, or None where it is invalid (infinities of both signs)."""
    nan = nan_of(*terms)
    if nan is not None:
        return nan
    infinities = {x for x in terms if x in INFINITIES}
    if infinities:
        return infinities.pop() if len(infinities) == 1 else None
    total = ZERO
    for x in terms:
        if isinstance(x, Fraction):
            total += x
    if total:
        return total
    # A zero sum of zeros of one sign has that sign; any other is +0, but -0 in toward_negative (6.3).
    signs = {is_minus(x) if is_zero(x) else None for x in terms}
    if signs in ({True}, {False}):
        return Special.NEGATIVE_ZERO if signs == {True} else ZERO
    return Special.NEGATIVE_ZERO if rounding == "toward_negative" and terms else ZERO


def exact_product(a: Number, b: Number) -> Number | None:
    """Return the exact product, or None where it is invalid (zero times infinity)."""
    nan = nan_of(a, b)
    if nan is not None:
        return nan
    minus = is_minus(a) != is_minus(b)
    if a in INFINITIES or b in INFINITIES:
        return None if is_zero(a) or is_zero(b) else with_sign(Special.INFINITY, minus)
    if isinstance(a, Fraction) and isinstance(b, Fraction) and a and b:
        return a * b
    return with_sign(ZERO, minus)


def _finish(result: Number | None, fmt: FloatFormat, **options: Any) -> Result:
    return invalid(fmt, **options) if result is None else round(result, fmt, **options)


def add(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a + b, rounded once.

    >>> from floatlab.formats import get_format
    >>> add(448, 32, get_format("e4m3"), overflow="saturate").value
    Fraction(448, 1)
    """
    terms = (exact(a), exact(b))
    return _finish(exact_sum(terms, options.get("rounding", "nearest_even")), fmt, **options)


def subtract(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a - b, rounded once."""
    b = exact(b)
    return add(a, b if b in NANS else negate(b), fmt, **options)


def multiply(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a * b, rounded once."""
    return _finish(exact_product(exact(a), exact(b)), fmt, **options)


def divide(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a / b, rounded once. A finite number over zero is an infinity and raises divide_by_zero."""
    a, b = exact(a), exact(b)
    nan = nan_of(a, b)
    if nan is not None:
        return round(nan, fmt, **options)
    minus = is_minus(a) != is_minus(b)
    if (a in INFINITIES and b in INFINITIES) or (is_zero(a) and is_zero(b)):
        return invalid(fmt, **options)
    if a in INFINITIES:
        return round(with_sign(Special.INFINITY, minus), fmt, **options)
    if is_zero(b):
        return round(with_sign(Special.INFINITY, minus), fmt, **options)._replace(flags=DIVIDE_BY_ZERO)
    if is_zero(a) or b in INFINITIES:
        return round(with_sign(ZERO, minus), fmt, **options)
    return round(Fraction(a, b), fmt, **options)


def fma(a: Any, b: Any, c: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a * b + c, rounded once."""
    a, b, c = exact(a), exact(b), exact(c)
    nan = nan_of(a, b, c)
    if nan is not None:
        return round(nan, fmt, **options)
    product = exact_product(a, b)
    if product is None:
        return invalid(fmt, **options)
    return add(product, c, fmt, **options)


def sqrt(x: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return the square root of x, rounded once. That of -0 is -0; of less, an invalid operation.

    >>> from floatlab.formats import get_format
    >>> from floatlab.reference import to_float
    >>> to_float(sqrt(2, get_format("bfloat16")).value)
    1.4140625
    """
    x = exact(x)
    if x in NANS or is_zero(x) or x is Special.INFINITY:
        return round(x, fmt, **options)
    if is_minus(x):
        return invalid(fmt, **options)
    # On a grid of 2**-k the root lies on a point or strictly between two. The grid is so fine that all marks,
    # midpoints and stochastic thresholds lie on it, so the middle of the cell rounds as the root does.
    n, d = x.numerator, x.denominator
    form = layout_of(fmt)
    smallest_place = max(0, form.m + form.bias, (d.bit_length() - n.bit_length()) // 2 + 1 + form.m)
    k = smallest_place + options.get("random_bits", 0) + 4
    cell = math.isqrt((n << 2 * k) // d)
    on_grid = cell * cell * d == n << 2 * k
    return round(Fraction(2 * cell + (not on_grid), 2 << k), fmt, **options)


def sum(terms: Iterable[Any], fmt: FloatFormat, *, sequential: bool = False, **options: Any) -> Result:
    """Return the sum of the terms: exact and rounded once, or with every partial sum rounded.

    The sequential sum starts from the first term, rounded to `fmt`. An empty sum is +0.

    >>> from floatlab.formats import get_format
    >>> from floatlab.reference import to_float
    >>> e4m3 = get_format("e4m3")
    >>> to_float(sum([1] * 64, e4m3).value), to_float(sum([1] * 64, e4m3, sequential=True).value)
    (64.0, 16.0)
    """
    numbers = [exact(x) for x in terms]
    if not sequential or not numbers:
        return _finish(exact_sum(numbers, options.get("rounding", "nearest_even")), fmt, **options)
    total = round(numbers[0], fmt, **options)
    for x in numbers[1:]:
        total = _with_flags(add(total.value, x, fmt, **options), total.flags)
    return total


def dot(
    a: Iterable[Any], b: Iterable[Any], fmt: FloatFormat, *, sequential: bool = False, **options: Any
) -> Result:
    """Return the sum of products: exact and rounded once, or with every partial sum rounded.

    Products are exact in both cases; the sequential form is a chain of fma that starts with a product.
    """
    pairs = [(exact(x), exact(y)) for x, y in zip(a, b, strict=True)]
    if not sequential or not pairs:
        products = [exact_product(x, y) for x, y in pairs]
        if None in products and not any(nan_of(*pair) for pair in pairs):
            return invalid(fmt, **options)
        return sum([x for x in products if x is not None], fmt, **options)
    total = multiply(*pairs[0], fmt, **options)
    for x, y in pairs[1:]:
        total = _with_flags(fma(x, y, total.value, fmt, **options), total.flags)
    return total


def _with_flags(result: Result, earlier: Flags) -> Result:
    return result._replace(flags=result.flags | earlier)
