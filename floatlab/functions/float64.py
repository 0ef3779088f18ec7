"""Which float64 does a function give, on every CPU the same? ``exp64`` and its relatives.

NumPy's own `exp`, `log`, `tanh` ... run different code on different processors, and their last bits differ. The
functions here are built from additions, subtractions, multiplications, divisions, table look-ups and integer operations
on the bits alone. IEEE 754 fixes the result of each of these, so the result is the same bits everywhere. It is not
always the correctly rounded one: that is what `floatlab.functions.evaluate` is for. The largest errors measured
against MPFR, in units of the last place:

    exp64 0.51 (0.75 where subnormal)   sigmoid64 0.52 (0.75)   tanh64 0.52   log64 0.8
    expm1_64 1.4   log1p64 1.51   erf64 1.5   sin64 and cos64 1.8   softplus64 2.0   gelu64 4

Every function follows one plan: a table holds the function, to twice the precision of float64, at points c that lie
close together; the argument is c + r with r small and exact; a short Taylor polynomial in r does the rest. The last
operation adds the small part to the large one, so that its rounding is almost the only error::

    exp(x)      2^k 2^(j/2048) (1 + q)                       q = expm1(r),     |r| <= ln 2 / 4096
    log(x)      k ln 2 + log c + log1p(r)                    r = (m - c) / c,  |r| <= 2^-12
    tanh(x)     tanh c + t - p (t + tanh c) / (1 + p)        t = tanh(r), p = t tanh c, |r| <= 2^-8
    sigmoid(x)  s + s (1 - s) u / (1 + s u)                  s = sigmoid(c), u = expm1(r), |r| <= 2^-7
    sin(x)      sin c + cos c sin r + sin c (cos r - 1)      |r| <= pi / 2048
    erf(x)      erf c + a polynomial in r                    |r| <= 2^-9

See Also
--------
floatlab.functions.tables : the tables
floatlab.functions : correctly rounded functions

References
----------
P.-T. P. Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM TOMS
    15 (1989), 144-157; of the logarithm, 16 (1990), 378-400; of expm1, 18 (1992), 211-222.
W. J. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980) (the reduction of an argument in
    parts).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from floatlab.backend import array_module, asnumpy, is_gpu_array
from floatlab.functions.multiprecision import nearest
from floatlab.functions.tables import (
    ERF_END,
    ERF_STEPS,
    LN2,
    LOG_ORIGIN,
    MILLS_FIRST,
    MILLS_LAST,
    MILLS_STEPS,
    ROOT_HALF,
    SIGMOID_END,
    SIGMOID_STEPS,
    TANH_END,
    TANH_STEPS,
    TURN,
    erf_table,
    exp_table,
    log_table,
    mills_table,
    sigmoid_table,
    sin_table,
    tanh_table,
)

__all__ = [
    "cos64",
    "erf64",
    "exp64",
    "expm1_64",
    "gelu64",
    "log1p64",
    "log64",
    "sigmoid64",
    "sin64",
    "softplus64",
    "tanh64",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 8192  # elements worked on at a time, so that the temporaries stay in the second-level cache
_MAGIC = 1.5 * 2.0**52  # t = v + _MAGIC rounds v to an integer and leaves it in the low bits of t


# -- how a kernel is run ---------------------------------------------------------------------------


def _run(kernel: Callable[[Floats, Floats], None], x: ArrayLike, out: Floats | None) -> Floats:
    """Call kernel(x, out) block by block on flat float64 arrays; out may be x."""
    if is_gpu_array(x):  # the tables are on this side
        moved: Floats = array_module(x).asarray(_run(kernel, asnumpy(x), None))
        if out is not None:
            out[...] = moved
        return moved if out is None else out
    x = np.asarray(x, dtype=np.float64)
    result = np.empty(x.shape) if out is None else out
    flat = result.reshape(-1) if result.flags.c_contiguous else np.empty(x.size)
    source = x.reshape(-1)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK):
            kernel(source[start : start + _BLOCK], flat[start : start + _BLOCK])
    if not result.flags.c_contiguous:
        result[...] = flat.reshape(result.shape)
    return result


def _bits(x: Floats) -> Ints:
    return x.view(np.int64)


# -- exp, expm1 ------------------------------------------------------------------------------------


def _exp_parts(x: Floats) -> tuple[Ints, Floats, Floats]:
    """Return (n, q, s): exp(x) = s (1 + q) with s near 2^(n/2048), for x between -708 and 709.

    Further out, to -1400 and 1400, the bits of s stand for a power of two that float64 does not have.
    """
    bits, missing, scale, c_high, c_low = exp_table()
    shifted = np.multiply(x, scale)
    shifted += _MAGIC
    n = _bits(shifted).copy()
    shifted -= _MAGIC
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


def _power_of_two(k: Ints) -> Floats:
    return ((k + 1023) << 52).view(np.float64)


def _exp_kernel(x: Floats, out: Floats) -> None:
    if x.min() >= -708 and x.max() <= 709:
        _, q, s = _exp_parts(x)
        q *= s
        np.add(s, q, out=out)
        return
    # Infinities, NaNs, results that overflow or are subnormal: exp(-746) rounds to 0, exp(710) to infinity.
    k, significand = _scaled_exp(np.clip(x, -746, 710))
    _times_power_of_two(significand, k, out)


def _scaled_exp(x: Floats) -> tuple[Ints, Floats]:
    """Return (k, m) with exp(x) = m 2^k and m between 1 and 2, for x between -1400 and 1400."""
    n, q, s = _exp_parts(x)
    k = (n - _bits(np.array(_MAGIC))) >> 11
    s = (_bits(s) - (k << 52)).view(np.float64)  # between 1 and 2; NaNs have passed into q
    return k, s + s * q


def _times_power_of_two(m: Floats, k: Ints, out: Floats) -> None:
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
    return _run(_exp_kernel, x, out)


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
    return _run(_expm1_kernel, x, out)


# -- log, log1p ------------------------------------------------------------------------------------


def _log_parts(u: Floats, extra: Floats | None) -> Floats:
    """log(u + extra) for positive normal u, and extra (overwritten) of at most an ulp of u."""
    middles, high, low, c_high, c_low = log_table()
    bits = _bits(u)
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
    return _run(_log_kernel, x, out)


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
    return _run(_log1p_kernel, x, out)


# -- tanh, sigmoid ---------------------------------------------------------------------------------


def _place(r: Floats, steps: int, end: int) -> Ints:
    """Find the table's point c next to each r, -end <= r <= end, take it away from r, and return its place."""
    shifted = np.multiply(r, steps)
    shifted += _MAGIC + end * steps  # the first point, -end, has place 0
    place = np.bitwise_and(_bits(shifted), (1 << (2 * end * steps).bit_length()) - 1)
    shifted -= _MAGIC + end * steps
    shifted *= 1 / steps
    r -= shifted  # exact
    return place


def _tanh_kernel(x: Floats, out: Floats) -> None:
    high, low = tanh_table()
    r = np.clip(x, -TANH_END, TANH_END)
    place = _place(r, TANH_STEPS, TANH_END)
    square = np.multiply(r, r)
    rest = np.multiply(square, -17 / 315)  # t = tanh r = r + rest, rest = r³ (-1/3 + 2/15 r² - 17/315 r⁴)
    rest += 2 / 15
    rest *= square
    rest -= 1 / 3
    rest *= square
    rest *= r
    # tanh(c + r) = tanh c + t - p (t + tanh c) / (1 + p) with p = t tanh c: all but tanh c + r is far smaller
    base = high.take(place, mode="clip")
    t = np.add(r, rest)
    p = np.multiply(t, base, out=square)
    t += base
    t *= p
    p += 1
    t /= p
    rest -= t
    rest += low.take(place, mode="clip", out=p)
    total = np.add(base, r, out=t)
    base -= total
    base += r  # what the addition lost
    rest += base
    total += rest
    np.copysign(total, x, out=out)  # -0 stays -0


def tanh64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the hyperbolic tangent, the same bits on every CPU, within 1 ulp.

    Parameters as in `exp64`; -0 gives -0.

    Examples
    --------
    >>> tanh64([0.0, 1e-10, -np.inf])
    array([ 0.e+00,  1.e-10, -1.e+00])
    """
    return _run(_tanh_kernel, x, out)


def _sigmoid_kernel(x: Floats, out: Floats) -> None:
    high, low, slope = sigmoid_table()
    small = x < -SIGMOID_END if not x.min() >= -SIGMOID_END else None
    tail = exp64(x[small]) if small is not None else None
    r = np.clip(x, -SIGMOID_END, SIGMOID_END)
    place = _place(r, SIGMOID_STEPS, SIGMOID_END)
    u = np.multiply(r, 1 / 720)  # u = expm1(r) = r + r² (1/2 + r/6 + r²/24 + r³/120 + r⁴/720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2):
        u += coefficient
        u *= r
    u *= r
    u += r
    # sigmoid(c + r) = s + s (1 - s) u / (1 + s u) with s = sigmoid c
    base = high.take(place, mode="clip")
    np.multiply(base, u, out=r)
    r += 1
    u *= slope.take(place, mode="clip")
    u /= r
    u += low.take(place, mode="clip", out=r)
    np.add(base, u, out=out)
    if small is not None:
        out[small] = tail


def sigmoid64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return 1 / (1 + e**-x), the same bits on every CPU, within 1 ulp.

    Parameters and special values as in `exp64`; the left tail is accurate down to the subnormals.

    Examples
    --------
    >>> sigmoid64([0.0, -800.0, np.inf])
    array([0.5, 0. , 1. ])
    """
    return _run(_sigmoid_kernel, x, out)


# -- sin, cos --------------------------------------------------------------------------------------

_SIN_LIMIT = 2.0**17  # beyond it the reduction would need more parts of pi


def _circle_kernel(x: Floats, out: Floats, quarter_turns: int) -> None:
    """sin(x + quarter_turns pi / 2)."""
    high, low, cosine, (c1, c2, c3, c4) = sin_table()
    shifted = np.multiply(x, TURN / (2 * np.pi))
    shifted += _MAGIC
    place = np.add(_bits(shifted), quarter_turns * (TURN // 4))
    place &= TURN - 1
    shifted -= _MAGIC
    r, work = np.multiply(shifted, c1), np.multiply(shifted, c2)
    np.subtract(x, r, out=r)  # exact; the next two are exact wherever the one after them cancels
    r -= work
    r -= np.multiply(shifted, c3, out=work)
    shifted *= c4
    r -= shifted
    square = np.multiply(r, r, out=work)
    rest = np.multiply(square, 1 / 120, out=shifted)  # sin r = r + rest, rest = r³ (-1/6 + r²/120)
    rest -= 1 / 6
    rest *= square
    rest *= r
    bend = np.multiply(square, 1 / 24)  # cos r - 1 = r² (-1/2 + r²/24)
    bend -= 1 / 2
    bend *= square
    # sin(c + r) = sin c + r cos c + (rest cos c + bend sin c): the bracket is far smaller
    base, slope = high.take(place, mode="clip"), cosine.take(place, mode="clip", out=square)
    bend *= base
    rest *= slope
    rest += bend
    rest += low.take(place, mode="clip", out=bend)
    r *= slope
    total = np.add(base, r, out=slope)
    base -= total
    base += r  # what the addition lost
    rest += base
    np.add(total, rest, out=out)


def _sin_kernel(x: Floats, out: Floats) -> None:
    result = np.empty_like(x)
    _far_or_near("sin", 0, x, result)
    np.copyto(result, x, where=x == 0)  # -0 stays -0
    out[...] = result


def _cos_kernel(x: Floats, out: Floats) -> None:
    _far_or_near("cos", 1, x, out)


def _far_or_near(name: str, quarter_turns: int, x: Floats, out: Floats) -> None:
    if x.min() >= -_SIN_LIMIT and x.max() <= _SIN_LIMIT:
        _circle_kernel(x, out, quarter_turns)
        return
    far = ~(np.abs(x) <= _SIN_LIMIT)  # one at a time, in as many digits as it takes
    values = [nearest(name, v) if np.isfinite(v) else np.nan for v in x[far].tolist()]
    _circle_kernel(np.where(far, 0.0, x), out, quarter_turns)
    out[far] = values


def sin64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the sine of x radians, the same bits on every CPU, within 2 ulp, also near multiples of pi.

    Parameters as in `exp64`; infinities give NaN, -0 gives -0. Beyond 2**17 an element costs tens of microseconds.

    Examples
    --------
    >>> sin64([0.0, np.pi, np.inf])
    array([0.0000000e+00, 1.2246468e-16,           nan])
    """
    return _run(_sin_kernel, x, out)


def cos64(x: ArrayLike, out: Floats | None = None) -> Floats:
    """Return the cosine of x radians, the same bits on every CPU, within 2 ulp, also near its zeros.

    Parameters and special values as in `sin64`.

    Examples
    --------
    >>> cos64([0.0, np.inf])
    array([ 1., nan])
    """
    return _run(_cos_kernel, x, out)


# -- erf -------------------------------------------------------------------------------------------


def _erf_kernel(x: Floats, out: Floats) -> None:
    high, low, coefficients = erf_table()
    r = np.abs(x)
    np.minimum(r, ERF_END, out=r)
    shifted = np.multiply(r, ERF_STEPS)
    shifted += _MAGIC
    place = np.bitwise_and(_bits(shifted), 2047)
    shifted -= _MAGIC
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
    return _run(_erf_kernel, x, out)


# -- softplus, gelu ----------------------------------------------------------------------------------


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

    return _run(kernel, x, out)


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
        shifted = r * MILLS_STEPS + _MAGIC
        place = (_bits(shifted) & 1023) - MILLS_FIRST * MILLS_STEPS
        r -= (shifted - _MAGIC) / MILLS_STEPS
        coefficients = mills_table()
        tail = coefficients[-1].take(place, mode="clip")
        for column in coefficients[-2::-1]:
            tail *= r
            tail += column.take(place, mode="clip")
        # t² in two parts: the square of the upper half of t's bits is exact, and the rest, e, is below 2^-14
        upper = (_bits(t) & -(1 << 27)).view(np.float64)
        e = (t - upper) * (t + upper) * -0.5
        # From -37.6 on the exponential is subnormal, before the result is: its power of two comes last.
        k, density = _scaled_exp(upper * upper * -0.5)
        tail *= density
        tail += tail * (e + e * e * (0.5 + e / 6))
        tail *= -t
        _times_power_of_two(tail, k, tail)
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
    return _run(_gelu_kernel, x, out)
