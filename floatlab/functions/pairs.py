"""What is known about each function of two numbers? One entry of a table each, as in `floatlab.functions.table`.

An entry has the function in float64, and the cases in which no number of digits would tell the result from a float64:
3^2, hypot(3, 4), arctan2(0, 1), 1 + 2e-40. The results for zeros, infinities and NaNs are those of IEEE 754-2019,
section 9.2.1, which are also those of C: 1 for x^0 and 1^y, whatever the other one is, even a NaN; an infinity for
hypot(inf, NaN); and four quadrants of arctan2 that tell -0 from 0.

The kernels give these themselves, since they come to light nowhere else where the rounding is a mere cast.

See Also
--------
floatlab.functions.table : functions of one number

References
----------
IEEE 754-2019, section 9.2.1 (special values).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floatlab.functions.table import (
    LARGEST,
    SMALL,
    SMALLEST,
    Case,
    Function,
    above,
    beside_one,
    exactly,
    in_digits,
    inward,
    outward,
)

__all__ = ["PAIRS"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


# -- hypot -------------------------------------------------------------------------------------------


def _hypot(a: Floats, b: Floats) -> Floats:
    y: Floats = np.hypot(a, b)
    y[np.isinf(a) | np.isinf(b)] = np.inf
    return y


def _larger(a: Floats, b: Floats) -> Floats:
    return np.maximum(np.abs(a), np.abs(b))


def _is_far_from(a: Floats, b: Floats) -> Bools:
    # L sqrt(1 + r²) = L (1 + r²/2) is nearer to L than half a last place if r < 2^-28
    far: Bools = np.minimum(np.abs(a), np.abs(b)) < _larger(a, b) * (SMALL / 2)
    return far


# -- arctan2 -----------------------------------------------------------------------------------------


def _arctan2(y: Floats, x: Floats) -> Floats:
    infinite = np.isinf(y) | np.isinf(x)
    if infinite.any():  # the angle of (inf, inf) is that of (1, 1), the angle of (5, -inf) that of (0, -1)
        finite = ~np.isnan(x) & ~np.isnan(y) & infinite
        y, x = (np.where(finite, np.copysign(np.where(np.isinf(v), 1.0, 0.0), v), v) for v in (y, x))
    angle: Floats = np.arctan2(y, x)
    return angle


def _is_short_slope(y: Floats, x: Floats) -> Bools:
    """Whether y / x > 0 is small and exact, as the product of numbers of 26 and 27 bits shows."""
    q = y / x
    bits = q.view(np.int64) & (1 << 27) - 1 | x.view(np.int64) & (1 << 26) - 1
    short: Bools = (x > 0) & (np.abs(q) < SMALL) & (np.abs(q) > 2.0**-960) & (bits == 0) & (q * x == y)
    return short


# -- power -------------------------------------------------------------------------------------------


def _is_odd(y: Floats) -> Bools:
    odd: Bools = np.abs(np.fmod(y, 2.0)) == 1  # no infinity is odd
    return odd


def _power(x: Floats, y: Floats) -> Floats:
    size = np.abs(x)
    result: Floats = np.power(size, y)
    minus = np.signbit(x)
    if minus.any():
        result = np.where(minus & _is_odd(y), -result, result)
        result[minus & (x != 0) & np.isfinite(x) & (np.rint(y) != y)] = np.nan
    infinite = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
    if infinite.size:
        result[infinite] = _power_at_infinity(x[infinite], y[infinite])
    return result


def _power_at_infinity(x: Floats, y: Floats) -> Floats:
    """x^y where one of them is infinite or a NaN."""
    grows = (np.abs(x) > 1) == (y > 0)
    size = np.where(grows, np.inf, 0.0)
    size[np.abs(x) == 1] = 1.0
    result = np.where(np.signbit(x) & _is_odd(y), -size, size)
    result[np.isnan(x) | np.isnan(y)] = np.nan
    result[(y == 0) | (x == 1)] = 1.0
    return result


def _signed(x: Floats, y: Floats, size: Floats | float) -> Floats:
    """Give the size of x^y its sign."""
    result: Floats = np.where(np.signbit(x) & _is_odd(y), np.negative(size), size)
    return result


def _exponent(x: Floats, y: Floats) -> Floats:
    """Return y log2 |x|, within a few last places; x is not 0."""
    exponent: Floats = y * np.log2(np.abs(x))
    return exponent


def _is_large(x: Floats, y: Floats) -> Bools:
    large: Bools = (x != 0) & (_exponent(x, y) > 1025)
    return large


def _is_tiny(x: Floats, y: Floats) -> Bools:
    tiny: Bools = (x != 0) & (_exponent(x, y) < -1076)  # a quarter of the smallest float64
    return tiny


def _is_beside_one(x: Floats, y: Floats) -> Bools:
    # 1 + t, t = y ln x below 2^-54; t is not 0, or x^y would be one of the cases before
    beside: Bools = np.abs(_exponent(x, y)) < 2.0**-54
    return beside


# -- logaddexp, logaddexp2 ---------------------------------------------------------------------------


def _cancels(a: Floats, b: Floats, y: Floats) -> Bools:
    # The kernel's error is below 2^-50 where max(a, b) < 0, and relative elsewhere.
    untrusted: Bools = (np.abs(y) < 2.0**-6) & (np.maximum(a, b) < 0)
    return untrusted


def _log_of_sum(name: str, kernel: np.ufunc, log: np.ufunc, far: float, end: float) -> Function:
    """Return the function log(base^a + base^b); base^-far is 2^-57, base^-end below the smallest float64."""

    def is_far(a: Floats, b: Floats) -> Bools:  # the smaller one adds less than 2^-57 of the larger one
        larger = np.maximum(a, b)
        beyond: Bools = (larger != 0) & (log(np.abs(larger)) + np.abs(a - b) > far)
        return beyond

    def is_tiny(a: Floats, b: Floats) -> Bools:
        tiny: Bools = (np.maximum(a, b) == 0) & (np.abs(a - b) > end)
        return tiny

    cases = (Case(is_far, lambda a, b: above(np.maximum(a, b))), Case(is_tiny, SMALLEST, 0.0))
    made = in_digits(name, kernel, cases)
    return Function(made.kernel, cases, made.primitive, _cancels)


# -- the table ---------------------------------------------------------------------------------------

PAIRS: dict[str, Function] = {
    "hypot": in_digits(
        "hypot",
        _hypot,
        (
            exactly(lambda a, b: (a == 0) | (b == 0), _larger),
            Case(_is_far_from, lambda a, b: outward(_larger(a, b))),
        ),
    ),
    "arctan2": in_digits(
        "arctan2",
        _arctan2,
        (
            exactly(lambda y, x: (y == 0) & ~np.signbit(x), lambda y, x: y),
            Case(_is_short_slope, lambda y, x: inward(y / x)),
        ),
    ),
    "power": in_digits(
        "power",
        _power,
        (
            exactly(lambda x, y: (y == 0) | (np.abs(x) == 1), lambda x, y: _signed(x, y, 1.0)),
            exactly(lambda x, y: y == 1, lambda x, y: x),
            exactly(lambda x, y: x == 0, lambda x, y: _signed(x, y, np.where(y > 0, 0.0, np.inf))),
            Case(_is_large, lambda x, y: _signed(x, y, LARGEST), lambda x, y: _signed(x, y, np.inf)),
            Case(_is_tiny, lambda x, y: _signed(x, y, SMALLEST), lambda x, y: _signed(x, y, 0.0)),
            Case(_is_beside_one, lambda x, y: _signed(x, y, beside_one((np.abs(x) > 1) == (y > 0)))),
        ),
    ),
    "logaddexp": _log_of_sum("logaddexp", np.logaddexp, np.log, 40.0, 746.0),
    "logaddexp2": _log_of_sum("logaddexp2", np.logaddexp2, np.log2, 57.0, 1076.0),
}
