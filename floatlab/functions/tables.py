"""Which numbers stand in the tables of the float64 kernels? Functions at points close together, to twice the digits.

They are computed on first use, in a few milliseconds each, in integers with 200 bits after the point: from Taylor
series, continued fractions and the addition theorems. The division of two Python integers, which makes a float64 of
such a number, is correctly rounded, so every machine makes the same tables. A table is a few arrays, indexed alike:
what float64 holds of the function, what it misses, and what else the formula in `floatlab.functions.float64` needs at
that point.

See Also
--------
floatlab.functions.float64 : the functions that read them

References
----------
P.-T. P. Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM TOMS
    15 (1989), 144-157; of the logarithm, 16 (1990), 378-400; of expm1, 18 (1992), 211-222.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from floatlab.functions.digits import machin
from floatlab.system.environment import check_environment

__all__ = [
    "ERF_END",
    "ERF_STEPS",
    "LN2",
    "LOG_ORIGIN",
    "MILLS_FIRST",
    "MILLS_LAST",
    "MILLS_STEPS",
    "ROOT_HALF",
    "SIGMOID_END",
    "SIGMOID_STEPS",
    "TANH_END",
    "TANH_STEPS",
    "TURN",
    "erf_table",
    "exp_table",
    "log_table",
    "mills_table",
    "sigmoid_table",
    "sin_table",
    "tanh_table",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_POINT = 200  # bits after the point
_ONE = 1 << _POINT


# -- integer arithmetic ------------------------------------------------------------------------------


def _times(a: int, b: int) -> int:
    return a * b >> _POINT


def _series(first: int, ratio: Callable[[int, int], int]) -> int:
    """Sum the terms t, ratio(t, 1), ratio(., 2) ... until they vanish."""
    total, term, n = 0, first, 0
    while term:
        total, n = total + term, n + 1
        term = ratio(term, n)
    return total


def _exp(x: int) -> int:
    return _series(_ONE, lambda t, n: _times(t, x) // n)


def _log_of_ratio(a: int, b: int) -> int:
    """log(a / b) of two integers, as 2 artanh((a - b) / (a + b))."""
    if a < b:
        return -_log_of_ratio(b, a)
    power, total, n = ((a - b) << _POINT) // (a + b), 0, 1
    square = _times(power, power)
    while power:
        total, power, n = total + power // n, _times(power, square), n + 2
    return 2 * total


_LN2 = _log_of_ratio(2, 1)
_PI = machin(_ONE)


def _near(x: int) -> float:
    return x / _ONE  # the division of two Python integers is correctly rounded


def _parts(x: int, *widths: int) -> list[float]:
    """Split into floats of at most these numbers of bits, and a last one with all that is left."""
    parts = []
    for width in widths:
        drop = max(abs(x).bit_length() - width, 0)
        head = (abs(x) >> drop << drop) * (1 if x >= 0 else -1)
        parts.append(_near(head))
        x -= head
    return [*parts, _near(x)]


LN2 = _near(_LN2)
ROOT_HALF = _near(math.isqrt(_ONE * _ONE // 2))


def _table(values: list[float]) -> Floats:
    check_environment()
    array = np.array(values)
    array.flags.writeable = False
    return array


def _high_low(values: list[int]) -> tuple[Floats, Floats]:
    """Split each number into a float64 and the float64 next to what is missing."""
    pairs = [_parts(value, 53) for value in values]
    return _table([high for high, _ in pairs]), _table([low for _, low in pairs])


# -- the tables --------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def exp_table() -> tuple[Ints, Floats, float, float, float]:
    """Return 2^(j/2048) for j from 0 to 2047: its bits, and what float64 misses of it, relatively.

    Then 2048 / ln 2, and ln 2 / 2048 in two parts.
    """
    root = _exp(_LN2 // 2048)
    powers = [_ONE]
    for _ in range(2047):
        powers.append(_times(powers[-1], root))
    high = [_near(p) for p in powers]
    missing = [
        _near((p - int(h * 2**52) * (_ONE >> 52)) * _ONE // p) for p, h in zip(powers, high, strict=True)
    ]
    # The bits of 2^(j/2048) less j << 41, so that adding n << 41 for n = 2048 k + j puts k into the exponent:
    #   n << 41 = (k << 52) + (j << 41)
    bits = np.array(high).view(np.int64) - (np.arange(2048) << 41)
    c_high, c_low = _parts(_LN2 // 2048, 30)  # n has at most 22 bits, so n c_high is exact
    return bits, _table(missing), 2048 / _near(_LN2), c_high, c_low


# An interval of the table is 2^41 units of the bits, 2048 to a binade. The first one begins near 0.7, half an
# interval before a multiple, so that 1 is the middle of its interval: there log c = 0, and the logarithm keeps its
# relative accuracy.
LOG_ORIGIN = 0x3FE6A << 44
LOG_ORIGIN -= LOG_ORIGIN % (1 << 41) + (1 << 40)


@lru_cache(maxsize=1)
def log_table() -> tuple[Floats, Floats, Floats, float, float]:
    """Return the points c around 1, log c in two parts, the first a multiple of 2^-42, and log 2 likewise."""
    origin = LOG_ORIGIN + (1 << 40)
    middles = (origin + (np.arange(2048) << 41)).view(np.float64)
    scaled = [int(c * 4096) for c in middles]  # middles below 1 are multiples of 2^-12, the others of 2^-11
    logs = [_log_of_ratio(scaled[0], 4096)]
    for before, after in itertools.pairwise(scaled):
        logs.append(logs[-1] + _log_of_ratio(after, before))
    logs[scaled.index(4096)] = 0
    # The first parts are multiples of 2^-42, and k has at most 11 bits, so k log 2 + log c is exact in them.
    grid = 1 << _POINT - 42
    heads = [number // grid * grid for number in (*logs, _LN2)]
    tails = [number - head for number, head in zip((*logs, _LN2), heads, strict=True)]
    *high, c_high = map(_near, heads)
    *low, c_low = map(_near, tails)
    return _table(list(middles)), _table(high), _table(low), c_high, c_low


TANH_STEPS, TANH_END = 128, 20  # points to the unit; tanh(20) rounds to 1


@lru_cache(maxsize=1)
def tanh_table() -> tuple[Floats, Floats]:
    """Return tanh c in two parts for c from -20 to 20."""
    growth = _exp(2 * _ONE // TANH_STEPS)
    values, power = [], _ONE
    for _ in range(TANH_END * TANH_STEPS + 1):
        values.append((power - _ONE) * _ONE // (power + _ONE))
        power = _times(power, growth)
    return _high_low([-v for v in values[:0:-1]] + values)


SIGMOID_STEPS, SIGMOID_END = 64, 40  # below -40 the sigmoid rounds to exp(x), above 40 to 1


@lru_cache(maxsize=1)
def sigmoid_table() -> tuple[Floats, Floats, Floats]:
    """Return s = sigmoid c in two parts, and s (1 - s), for c from -40 to 40."""
    growth = _exp(_ONE // SIGMOID_STEPS)
    right, left, slopes, power = [], [], [], _ONE
    for _ in range(SIGMOID_END * SIGMOID_STEPS + 1):
        right.append(power * _ONE // (power + _ONE))
        left.append(_ONE * _ONE // (power + _ONE))
        slopes.append(_near(_times(right[-1], left[-1])))
        power = _times(power, growth)
    return *_high_low(left[:0:-1] + right), _table(slopes[:0:-1] + slopes)


TURN = 2048  # points to the full circle


@lru_cache(maxsize=1)
def sin_table() -> tuple[Floats, Floats, Floats, list[float]]:
    """Return sin c in two parts and cos c for c once around the circle, and the angle between two c in four parts."""
    angle = 2 * _PI // TURN
    square = _times(angle, angle)
    sine = _series(angle, lambda t, n: -(_times(t, square) // (2 * n * (2 * n + 1))))
    cosine = _series(_ONE, lambda t, n: -(_times(t, square) // (2 * n * (2 * n - 1))))
    s, c, quarter = 0, _ONE, []
    for _ in range(TURN // 4 + 1):
        quarter.append(s)
        s, c = _times(s, cosine) + _times(c, sine), _times(c, cosine) - _times(s, sine)
    quarter[-1] = _ONE
    half = quarter[:-1] + quarter[:0:-1]
    circle = half + [-v for v in half]
    cosines = circle[TURN // 4 :] + circle[: TURN // 4]
    # n has at most 26 bits for |x| <= 2^17, so n times each of the first three parts is exact.
    return *_high_low(circle), _table([_near(v) for v in cosines]), _parts(angle, 27, 27, 27)


ERF_STEPS = 256  # points to the unit
ERF_END = 6  # erf(6) rounds to 1
_ERF_DEGREE = 5


@lru_cache(maxsize=1)
def erf_table() -> tuple[Floats, Floats, list[Floats]]:
    """Return erf c in two parts, and the Taylor coefficients of degree 1 to 5 at c, for c from 0 to 6."""
    step = _ONE // ERF_STEPS
    root_pi = math.isqrt(_PI << _POINT)
    values, rows, value = [], [], 0
    for j in range(ERF_END * ERF_STEPS + 1):
        c = j * step
        density = _times(2 * _ONE * _ONE // root_pi, _ONE * _ONE // _exp(_times(c, c)))
        # erf(c + r) = erf(c) + density sum g_n r^(n+1) / (n+1), where sum g_n r^n = exp(-2cr - r²), so that
        # (n + 1) g_(n+1) = -2c g_n - 2 g_(n-1)
        g, before, row, reach = _ONE, 0, [], step
        move, n = 0, 0
        while n < _ERF_DEGREE or reach > 0:
            coefficient = _times(density, g) // (n + 1)
            row.append(_near(coefficient))
            move += _times(coefficient, reach)
            n, reach = n + 1, reach // ERF_STEPS
            g, before = -2 * (_times(c, g) + before) // n, g
        values.append(value)
        rows.append(row[:_ERF_DEGREE])
        value += move
    columns = [_table([row[n] for row in rows]) for n in range(_ERF_DEGREE)]
    return *_high_low(values), columns


MILLS_STEPS, MILLS_FIRST, MILLS_LAST, _MILLS_DEGREE = 16, 1, 40, 9


@lru_cache(maxsize=1)
def mills_table() -> list[Floats]:
    """Return the Taylor coefficients of R(t) = exp(t²/2) P(X > t), X normal, at the points from 1 to 40.

    R' = t R - 1/sqrt(2 pi), so with R = sum a_n r^n: (n + 1) a_(n+1) = c a_n + a_(n-1). A step towards 0 shrinks
    the error.
    """
    top = MILLS_LAST * _ONE
    fraction = top
    for n in range(400, 0, -1):  # R(t) = 1/sqrt(2 pi) / (t + 1/(t + 2/(t + 3/(t + ...))))
        fraction = top + n * _ONE * _ONE // fraction
    density = _ONE * _ONE // math.isqrt(2 * _PI << _POINT)
    value = density * _ONE // fraction
    rows = []
    for j in range(MILLS_LAST * MILLS_STEPS, MILLS_FIRST * MILLS_STEPS - 1, -1):
        c = j * _ONE // MILLS_STEPS
        a = [value, _times(c, value) - density]
        while len(a) < 40:
            a.append((_times(c, a[-1]) + a[-2]) // len(a))
        rows.append([_near(term) for term in a[: _MILLS_DEGREE + 1]])
        value = 0
        for term in reversed(a):  # at c - 1 / steps
            value = term - value // MILLS_STEPS
    return [_table([row[n] for row in reversed(rows)]) for n in range(_MILLS_DEGREE + 1)]
