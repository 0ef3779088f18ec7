"""What does the sum of a row round to, and its mean? From bins where these are faster; else as a product of matrices.

The result is the same on both ways: the exact sum, rounded once. (`floatlab.sums.evaluate` has the other way, and all
accumulators with an order.)
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.backend import Array, ignore_float_errors
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.modes import cancelled, draws
from floatlab.rounding.odd import integer_to_odd
from floatlab.sums.accumulators import Accumulator, Exact, Wide, float_adder
from floatlab.sums.bins import LOWEST, is_mark, nudged, row_as_integer, row_to_odd
from floatlab.sums.evaluate import (
    CERTIFIED_PRECISION,
    Sums,
    evaluate,
    exact_sums,
    is_float64_loop,
    looked_at,
    round_sums,
    rounded,
)
from floatlab.sums.operands import MatrixProduct, Rows
from floatlab.sums.partial_sums import ODD_BITS, PLAIN, Rounder

__all__ = ["evaluate_mean", "evaluate_product", "evaluate_sum"]

_FLOAT64 = get_format("float64")
_FEW_ROWS = 4  # so many rows are taken one by one, whatever their length;
_SOME_ROWS, _FEW_NUMBERS = 16, 1 << 10  # so many, if they have no more numbers in all;
_LONG = 1 << 8  # any number, if they are long enough for bins to beat a product of slices,
_LONGEST = 1 << 16  # or one whose error is bounded
_TINY = 2.0**-1000  # above, float64 has all of its bits


def evaluate_sum(
    rows: Rows, fmt: FloatFormat, how: Accumulator, rounder: Rounder, *, return_flags: bool = False
) -> Any:
    """Return the sum of each row in the format, shape (n, 1), and the flags if they are asked for."""
    if isinstance(how, Wide | Exact) and not is_float64_loop(how, rows.plain, fmt, rounder):
        bounded = fmt.precision <= CERTIFIED_PRECISION and not (return_flags or draws(rounder.rounding))
        if _is_for_bins(rows, _LONGEST if isinstance(how, Wide) and bounded else _LONG):
            with ignore_float_errors(rows.numbers):
                if len(rows.numbers) == 1 and rounder is PLAIN and not return_flags:
                    one = _one(rows.numbers[0], fmt, 1)
                    if one is not None:
                        return one
                sums = _sums(rows.numbers, fmt, rounder, 1, return_flags)
                if sums is not None:
                    if return_flags or sums.integers is not None:
                        return round_sums(sums, fmt, rounder, 1, return_flags)
                    return rounded(sums.odd, fmt, rounder, one_nan=True)
    return evaluate(rows.as_product(), fmt, how, rounder, None, return_flags=return_flags)


def evaluate_product(
    product: MatrixProduct,
    fmt: FloatFormat,
    how: Accumulator,
    rounder: Rounder,
    product_format: str | FloatFormat | None,
    *,
    return_flags: bool = False,
) -> Any:
    """Return what `evaluate` does. One dot product of float32 numbers is the sum of a row: its terms are float64."""
    alone = (
        product.shape == (1, 1)
        and product.narrow
        and product.addend is None
        and type(product.a) is np.ndarray
    )
    if not alone or not isinstance(how, Wide | Exact) or return_flags or product_format is not None:
        return evaluate(product, fmt, how, rounder, product_format, return_flags=return_flags)
    with ignore_float_errors(product.a):
        terms = product.a * product.b.T
    return evaluate_sum(Rows(terms, terms.shape[1], False), fmt, how, rounder)


def evaluate_mean(rows: Rows, fmt: FloatFormat, rounder: Rounder, *, return_flags: bool = False) -> Any:
    """Return the exact mean of each row, rounded once, shape (n, 1), and the flags if they are asked for."""
    sums = None
    with ignore_float_errors(rows.numbers):
        if _is_for_bins(rows, _LONG):
            if len(rows.numbers) == 1 and rounder is PLAIN and not return_flags:
                one = _one(rows.numbers[0], fmt, rows.count)
                if one is not None:
                    return one
            sums = _sums(rows.numbers, fmt, rounder, rows.count, return_flags)
        if sums is None:
            sums = exact_sums(rows.as_product(), fmt, rounder, rows.count)
        return round_sums(sums, fmt, rounder, rows.count, return_flags)


def _is_for_bins(rows: Rows, long: int) -> bool:
    numbers = rows.numbers
    if type(numbers) is not np.ndarray or not numbers.size:
        return False
    count, length = numbers.shape
    return count <= _FEW_ROWS or length >= long or (count <= _SOME_ROWS and numbers.size <= _FEW_NUMBERS)


def _one(row: Array, fmt: FloatFormat, divisor: int) -> Array | None:
    """Return the mean of one row as most are: neither zero nor beyond the format, and rounded as a Python float.

    The sum may be another number than the exact one, but no mark times the divisor lies between the two, nor on one.
    """
    add, bits = float_adder(fmt, exact=True), fmt.precision + 1
    if add is None or bits + divisor.bit_length() > ODD_BITS:
        return None
    total = row_to_odd(row, bits + divisor.bit_length())
    mean = total / divisor
    if not abs(mean) > _TINY:  # or a NaN; and the sign of a zero is that of its terms
        return None
    if divisor > 1 and is_mark(mean, bits):
        mean = nudged(mean, float(Fraction(total) - Fraction(mean) * divisor))
    try:
        return np.array([[add(mean, -0.0)]], fmt.value_dtype)
    except OverflowError:
        return None


def _sums(
    numbers: np.ndarray, fmt: FloatFormat, rounder: Rounder, divisor: int, return_flags: bool
) -> Sums | None:
    """Return the exact sums of rows as `floatlab.sums.evaluate.exact_sums` does; None if some row is not for bins."""
    grid_bits = looked_at(fmt, rounder, divisor) + 1  # midpoints have one bit more
    nearest = fmt is _FLOAT64 and rounder is PLAIN and divisor == 1 and not return_flags
    integers: Array | None = None
    if nearest or grid_bits <= ODD_BITS + 1:
        totals = [row_to_odd(row, 0 if nearest else grid_bits) for row in numbers]
    else:
        found = [row_as_integer(row) for row in numbers]
        integers = np.array([n or 0 for n in found], object).reshape(-1, 1)
        totals = [math.nan if n is None else integer_to_odd(n, LOWEST) for n in found]
    invalid = np.zeros((len(totals), 1), bool)
    for i, total in enumerate(totals):
        if total == 0.0:
            totals[i] = _zero(numbers[i], rounder.rounding)
        elif total != total:
            special = numbers[i][~np.isfinite(numbers[i])].astype(np.float64)
            if not special.size:  # too near to float64's end
                return None
            totals[i] = float(special.sum())
            if math.isnan(totals[i]):
                totals[i], invalid[i] = math.nan, not np.isnan(special).any()
    return Sums(np.array(totals).reshape(-1, 1), invalid, integers, LOWEST)


def _zero(row: Array, rounding: str) -> float:
    """Return the zero that a row adds up to: that of all its terms, or what terms that cancel leave."""
    minus = np.signbit(row)
    if row.any() or minus.any() != minus.all():
        return cancelled(rounding)
    return -0.0 if minus[0] else 0.0
