"""What is e**x, and e**x - 1? Powers of two from a table, and a short polynomial."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from floatlab.functions.float64.blocks import MAGIC, Floats, Ints, bits_of, run
from floatlab.functions.tables import exp_table

__all__ = ["exp64", "expm1_64", "scaled_exp", "times_power_of_two"]


def _exp_parts(x: Floats) -> tuple[Ints, Floats, Floats]:
    """Return (n, q, s): exp(x) = s (1 + q) with s near 2^(n/2048), for x between -708 and 709.

    Further out, to -1400 and 1400, the bits of s stand for a power of two that float64 does not have.
    """
    bits, missing, scale, c_high, c_low = exp_table()
    shifted = np.multiply(x, scale)
    shifted += MAGIC
    n = bits_of(shifted).copy()
    shifted -= MAGIC
    r, work = np.multiply(shifted, c_high), shifted
    np.subtract(x, r, out=r)
    work *= c_low
    r -= work
    np.multiply(r, 1 / 24, out=work)  # q = r + r² (1/2 + r/6 + r²/24)
    work += 1 / 6
    work *= r
    work += 1 / 2
    work *= r
    work *= r
    work += r
    j = np.bitwise_and(n, 2047)
    work += missing.take(j, out=r, mode="clip")
    power = bits.take(j, mode="clip")
    np.left_shift(n, 41, out=j)
    power += j
    return n, work, power.view(np.float64)


def _exp_kernel(x: Floats, out: Floats) -> None:
    if x.min() >= -670 and x.max() <= 709:  # below, q s would be subnormal, and lose what the next lines keep
        _, q, s = _exp_parts(x)
        q *= s
        np.add(s, q, out=out)
        return
    # Infinities, NaNs, results that overflow or are subnormal: exp(-746) rounds to 0, exp(710) to infinity.
    k, significand = scaled_exp(np.clip(x, -746, 710))
    times_power_of_two(significand, k, out)


def scaled_exp(x: Floats) -> tuple[Ints, Floats]:
    """Return (k, m) with exp(x) = m 2^k and m between 1 and 2, for x between -1400 and 1400."""
    n, q, s = _exp_parts(x)
    k = (n - bits_of(np.array(MAGIC))) >> 11
    s = (bits_of(s) - (k << 52)).view(np.float64)  # between 1 and 2; NaNs have passed into q
    return k, s + s * q


def _power_of_two(k: Ints) -> Floats:
    return ((k + 1023) << 52).view(np.float64)


def times_power_of_two(m: Floats, k: Ints, out: Floats) -> None:
    """Put m 2^k into `out`, where 2^k may be beyond float64 and the product need not be; m is near 1."""
    # The first product is exact, so only the last one rounds: a subnormal result is rounded once.
    np.multiply(m * _power_of_two(k >> 1), _power_of_two(k - (k >> 1)), out=out)


def exp64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return e**x, the same bits on every CPU, within 1 ulp.

    Parameters
    ----------
    x : array_like of float64
        Any shape. Infinities and NaN are taken as in IEEE 754, results may overflow or be subnormal.
    out : ndarray of float64, optional
        Where to put the result; may be `x` itself.

    Examples
    --------
    >>> exp64([0.0, 1.0, -np.inf])
    array([1.        , 2.71828183, 0.        ])
    """
    return run("exp64", _exp_kernel, x, out)


def _expm1_kernel(x: Floats, out: Floats) -> None:
    # (s - 1) + s q: s - 1 is exact where it could cancel, and q carries what the table's s lacks.
    plain = x.min() >= -708 and x.max() <= 709
    _, q, s = _exp_parts(x if plain else np.clip(x, -50, 709))
    q *= s
    s -= 1
    s += q
    if not plain:
        np.copyto(s, np.inf, where=x > 709.78271289338397)  # log of the largest float64
        large = (x > 709) & (x <= 709.78271289338397)
        s[large] = exp64(x[large])
    np.copysign(s, x, out=out)  # -0 stays -0


def expm1_64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return e**x - 1 without cancellation near 0, the same bits on every CPU, within 2 ulp.

    Parameters and special values as in `exp64`; -0 gives -0.

    Examples
    --------
    >>> expm1_64([1e-10, -np.inf])
    array([ 1.e-10, -1.e+00])
    """
    return run("expm1_64", _expm1_kernel, x, out)
