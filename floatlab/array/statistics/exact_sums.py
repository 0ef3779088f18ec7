"""What is the exact sum of a row, of its squares, of its products with weights? Python integers, and an exponent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from floatlab.backend import Array
from floatlab.rounding.modes import cancelled

__all__ = ["Moments", "dot_products", "integer_sums", "moments", "zero_of_sums"]

_SHORT = 26  # bits of a number whose square, cut in two, float64 adds up without error
_LONGEST = 1 << 26  # so many terms of 26 bits stay below 2^53


def integer_sums(rows: Array) -> tuple[Array, Array, int]:
    """Return the sums of each row and of its squares as Python integers, in units of 2^e and 2^2e, and e.

    >>> integer_sums(np.array([[0.5, 1.5, -3.0]]))
    (array([-4], dtype=object), array([184], dtype=object), -2)
    """
    digits, shifts, exponent, bits = _digits(rows)
    span = int(np.max(shifts, initial=0)) + 1
    if bits <= _SHORT and span <= rows.shape[1] <= _LONGEST:
        totals, squares = _sums_by_exponent(digits, shifts, span)
    else:
        integers = np.left_shift(digits.astype(object), shifts.astype(object))
        zero = np.zeros(len(rows), object)
        totals, squares = (x.sum(axis=1) if x.size else zero for x in (integers, integers * integers))
    return totals, squares, exponent


def _sums_by_exponent(digits: Array, shifts: Array, span: int) -> tuple[Array, Array]:
    """Add up the digits of equal exponent, without error, in float64; and then a few Python integers for each row."""
    n = len(digits)
    places = (np.arange(n)[:, None] * span + shifts).ravel()
    squares = digits * digits

    def add_up(numbers: Array) -> Array:
        sums = np.bincount(places, numbers.ravel(), n * span)
        return sums.astype(np.int64).astype(object).reshape(n, span)

    by_one = np.arange(span).astype(object)
    high, low = squares >> _SHORT, squares & (1 << _SHORT) - 1
    both = np.left_shift(add_up(high), _SHORT) + add_up(low)
    totals = np.left_shift(add_up(digits), by_one).sum(axis=1)
    return totals, np.left_shift(both, 2 * by_one).sum(axis=1)


class Moments(NamedTuple):
    """The exact sums of each row; `special` is NaN or an infinity where the plain sum is, and 0 elsewhere."""

    counts: list[int]
    totals: Array
    squares: Array
    exponent: int
    special: Array
    has_nan: Array


def moments(rows: Array, skip_nan: bool, needed: Array) -> Moments:
    """Return the sums of the rows that are `needed`; those of the others are 0."""
    finite = np.isfinite(rows)
    nan = np.isnan(rows)
    counts = np.sum(~nan, axis=1) if skip_nan else np.full(len(rows), rows.shape[1])
    special, has_nan = np.zeros(len(rows)), np.zeros(len(rows), bool)
    if not finite.all():
        with np.errstate(all="ignore"):
            special = np.sum(np.where(finite | (nan & skip_nan), 0.0, rows), axis=1)
        has_nan = np.logical_and(nan.any(axis=1), not skip_nan)
        rows = np.where(finite, rows, 0.0)
    totals, squares = np.zeros(len(rows), object), np.zeros(len(rows), object)
    totals[needed], squares[needed], exponent = integer_sums(rows[needed])
    return Moments(counts.tolist(), totals, squares, exponent, special, has_nan)


def dot_products(x: Array, w: Array) -> tuple[Array, int]:
    """Return the exact dot products of rows, as integers and an exponent."""
    (a, e), (b, f) = _integers(x), _integers(w)
    totals = (a * b).sum(axis=1) if a.size else np.zeros(len(a), object)
    return totals, e + f


def _integers(x: Array) -> tuple[Array, int]:
    """Return Python integers and one exponent: x = integers * 2^exponent."""
    digits, shifts, exponent, _ = _digits(x)
    return np.left_shift(digits.astype(object), shifts.astype(object)), exponent


def _digits(x: Array) -> tuple[Array, Array, int, int]:
    """Return x as digits * 2^(shifts + exponent), shifts >= 0, and how many bits the longest of the digits has."""
    mantissa, exponents = np.frexp(x)
    digits = (mantissa * 2.0**53).astype(np.int64)
    bits = int(np.bitwise_or.reduce(digits, axis=None)) if digits.size else 0
    spare = (bits & -bits).bit_length() - 1 if bits else 0  # float32 numbers leave 29 of 53 bits empty
    digits >>= spare
    lowest = int(np.min(exponents, initial=2000, where=digits != 0))
    shifts = np.where(digits != 0, exponents - lowest, 0)
    return digits, shifts, lowest - 53 + spare, 53 - spare


def zero_of_sums(rows: Array, rounding: str) -> Array:
    """Return the zero that each row adds up to if it adds up to zero: that of all its terms, or the mode's."""
    minus, nan = np.signbit(rows), np.isnan(rows)
    all_plus, all_minus = np.all(~minus | nan, axis=1), np.all(minus | nan, axis=1)
    zeros: Array = np.where(all_plus, 0.0, np.where(all_minus, -0.0, cancelled(rounding)))
    return zeros
