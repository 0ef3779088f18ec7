"""What is log x, log(1 + x), and log(1 + e**x)? Logarithms of points close together, and a short polynomial."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from floatlab.functions.float64.blocks import Floats, bits_of, run
from floatlab.functions.float64.exponential import exp64
from floatlab.functions.tables import LN2, LOG_ORIGIN, log_table

__all__ = ["log1p64", "log64", "softplus64"]


def _log_parts(u: Floats, extra: Floats | None) -> Floats:
    """log(u + extra) for positive normal u, and extra (overwritten) of at most an ulp of u."""
    middles, high, low, c_high, c_low = log_table()
    bits = bits_of(u)
    place = np.subtract(bits, LOG_ORIGIN)
    k = np.right_shift(place, 52)
    exponent = k.astype(np.float64)
    np.left_shift(k, 52, out=k)
    m = np.subtract(bits, k, out=k).view(np.float64)  # u / 2^k, between 0.7 and 1.4
    np.right_shift(place, 41, out=place)
    np.bitwise_and(place, 2047, out=place)
    c = middles.take(place, mode="clip")
    r = np.subtract(m, c, out=m)  # exact
    r /= c
    if extra is not None:
        extra /= u
        r += extra
    work = np.multiply(r, 1 / 5, out=c)  # log1p(r) = r + r² (-1/2 + r/3 - r²/4 + r³/5)
    work -= 1 / 4
    work *= r
    work += 1 / 3
    work *= r
    work -= 1 / 2
    work *= r
    work *= r
    large = high.take(place, mode="clip")
    work += low.take(place, mode="clip")
    temporary = np.multiply(exponent, c_low)
    work += temporary
    exponent *= c_high
    large += exponent  # exact
    # large is 0 or far above r: add r to it in two parts, so that no bit of r is lost.
    total = np.add(large, r, out=exponent)
    np.subtract(total, large, out=temporary)
    r -= temporary
    work += r
    total += work
    return total


def _log_kernel(x: Floats, out: Floats) -> None:
    if x.min() >= 2.0**-1022 and x.max() < np.inf:
        out[...] = _log_parts(x, None)
        return
    usual = (x > 0) & (x < np.inf)
    special = np.where(x == 0, -np.inf, np.where(x < 0, np.nan, x))
    inside = np.where(usual, x, 1.0)
    subnormal = inside < 2.0**-1022
    inside[subnormal] *= 2.0**54
    result = _log_parts(inside, None)
    result[subnormal] = _log_parts(inside[subnormal], None) - 54 * LN2
    out[...] = np.where(usual, result, special)


def log64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the natural logarithm, the same bits on every CPU, within 1.5 ulp.

    Parameters as in `exp64`. Zero of either sign gives -inf and a negative number NaN, without a warning.

    Examples
    --------
    >>> log64([1.0, 0.0, -1.0])
    array([  0., -inf,  nan])
    """
    return run("log64", _log_kernel, x, out)


def _log1p_kernel(x: Floats, out: Floats) -> None:
    usual, given = None, x
    if not (x.min() > -1 and x.max() < 2.0**1000):
        usual = (x > -1) & (x < 2.0**1000)
        x = np.where(usual, x, 0.0)
    u = np.add(x, 1.0)
    extra = np.subtract(u, x)  # Knuth's TwoSum: u + extra = 1 + x exactly, with
    lost = np.subtract(u, extra)  # extra = (1 - (u - x)) + (x - (u - (u - x)))
    np.subtract(1.0, extra, out=extra)
    np.subtract(x, lost, out=lost)
    extra += lost
    result = _log_parts(u, extra)
    if usual is not None:
        result = np.where(usual, result, log64(np.where(given == -1, 0.0, given)))
    np.copysign(result, given, out=out)  # -0 stays -0


def log1p64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return log(1 + x) without cancellation near 0, the same bits on every CPU, within 2 ulp.

    Parameters as in `exp64`; -1 gives -inf, what is below it NaN, and -0 gives -0.

    Examples
    --------
    >>> log1p64([1e-10, -1.0])
    array([1.e-10,   -inf])
    """
    return run("log1p64", _log1p_kernel, x, out)


def softplus64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return log(1 + e**x), the same bits on every CPU, within 2.5 ulp.

    Parameters as in `exp64`.

    Examples
    --------
    >>> softplus64([-np.inf, 0.0, 100.0])
    array([  0.        ,   0.69314718, 100.        ])
    """

    def kernel(x: Floats, out: Floats) -> None:
        tail = np.abs(x)
        np.negative(tail, out=tail)
        log1p64(exp64(tail, tail), tail)
        np.add(np.fmax(x, 0.0), tail, out=out)  # fmax: of two NaNs a CPU may return either

    return run("softplus64", kernel, x, out)
