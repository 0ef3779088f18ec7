"""What is erf x, and x times the normal distribution function? Polynomials about points of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from floatlab.functions.float64.blocks import MAGIC, Floats, bits_of, run
from floatlab.functions.float64.exponential import scaled_exp, times_power_of_two
from floatlab.functions.tables import (
    ERF_END,
    ERF_STEPS,
    MILLS_FIRST,
    MILLS_LAST,
    MILLS_STEPS,
    ROOT_HALF,
    erf_table,
    mills_table,
)

__all__ = ["erf64", "gelu64"]


def _erf_kernel(x: Floats, out: Floats) -> None:
    high, low, coefficients = erf_table()
    r = np.abs(x)
    np.minimum(r, ERF_END, out=r)
    shifted = np.multiply(r, ERF_STEPS)
    shifted += MAGIC
    place = np.bitwise_and(bits_of(shifted), 2047)
    shifted -= MAGIC
    shifted *= 1 / ERF_STEPS
    r -= shifted  # exact
    work = coefficients[-1].take(place, mode="clip")
    for column in coefficients[-2::-1]:
        work *= r
        work += column.take(place, mode="clip", out=shifted)
    work *= r
    work += low.take(place, mode="clip", out=shifted)
    work += high.take(place, mode="clip", out=shifted)
    np.copysign(work, x, out=out)


def erf64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the error function, the same bits on every CPU, within 2 ulp.

    Parameters as in `exp64`; -0 gives -0.

    Examples
    --------
    >>> erf64([0.0, 0.5, -np.inf])
    array([ 0.        ,  0.52049988, -1.        ])
    """
    return run("erf64", _erf_kernel, x, out)


def _gelu_kernel(x: Floats, out: Floats) -> None:
    result = np.multiply(x, ROOT_HALF)
    erf64(result, result)
    result += 1
    result *= 0.5
    result *= x
    left = np.flatnonzero(x < -1)
    if left.size:  # 1 + erf cancels: P(X < x) = exp(-x²/2) R(-x)
        t = np.minimum(-x[left], MILLS_LAST)
        r = t.copy()
        shifted = r * MILLS_STEPS + MAGIC
        place = (bits_of(shifted) & 1023) - MILLS_FIRST * MILLS_STEPS
        r -= (shifted - MAGIC) / MILLS_STEPS
        coefficients = mills_table()
        tail = coefficients[-1].take(place, mode="clip")
        for column in coefficients[-2::-1]:
            tail *= r
            tail += column.take(place, mode="clip")
        # t² in two parts: the square of the upper half of t's bits is exact, and the rest, e, is below 2^-14
        upper = (bits_of(t) & -(1 << 27)).view(np.float64)
        e = (t - upper) * (t + upper) * -0.5
        # From -37.6 on the exponential is subnormal, before the result is: its power of two comes last.
        k, density = scaled_exp(upper * upper * -0.5)
        tail *= density
        tail += tail * (e + e * e * (0.5 + e / 6))
        tail *= -t
        times_power_of_two(tail, k, tail)
        result[left] = tail
    np.copysign(result, x, out=out)


def gelu64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return x times the normal distribution function of x, the same bits on every CPU, within 4 ulp.

    Parameters as in `exp64`; -0 and -inf give -0.

    Examples
    --------
    >>> gelu64([-np.inf, 0.0, 1.0])
    array([-0.        ,  0.        ,  0.84134475])
    """
    return run("gelu64", _gelu_kernel, x, out)
