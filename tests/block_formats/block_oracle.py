"""Block formats by their definitions: fractions, lists of values, and no code of floatlab's.

An element format is the list of its values, made from exponent bits, mantissa bits and bias; a number is rounded by
looking for the nearest of them. Scales are searched for, exponent by exponent. `blocks_in_float64` is a second oracle,
for many blocks, by frexp and ldexp; the first one checks it.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import lru_cache

import numpy as np

# exponent bits, mantissa bits, bias, the number of codes at the top that are no numbers
FLOATS = {
    "e4m3": (4, 3, 7, 1),
    "e5m2": (5, 2, 15, 4),
    "e2m3": (2, 3, 1, 0),
    "e3m2": (3, 2, 3, 0),
    "e2m1": (2, 1, 1, 0),
}
NAMES = {
    "e4m3": "mxfp8_e4m3",
    "e5m2": "mxfp8_e5m2",
    "e2m3": "mxfp6_e2m3",
    "e3m2": "mxfp6_e3m2",
    "e2m1": "mxfp4",
    "int8": "mxint8",
}
RULES = ("floor", "ceil", "even", "rceil", "nearest")


@lru_cache
def magnitudes(element: str) -> tuple[Fraction, ...]:
    """Return the values from 0 on, in the order of their codes."""
    if element.startswith("int"):
        bits = int(element[3:])
        step = Fraction(1, 64) if bits == 8 else Fraction(1)
        return tuple(k * step for k in range(2 ** (bits - 1)))
    e, m, bias, special = FLOATS[element]
    values = []
    for code in range((1 << e + m) - special):
        exponent, mantissa = code >> m, code & (1 << m) - 1
        if exponent == 0:
            values.append(Fraction(mantissa, 1 << m) * Fraction(2) ** (1 - bias))
        else:
            values.append((1 + Fraction(mantissa, 1 << m)) * Fraction(2) ** (exponent - bias))
    return tuple(values)


def floor_log2(x: Fraction) -> int:
    e = x.numerator.bit_length() - x.denominator.bit_length()
    while Fraction(2) ** e > x:
        e -= 1
    while Fraction(2) ** (e + 1) <= x:
        e += 1
    return e


def ceil_log2(x: Fraction) -> int:
    e = floor_log2(x)
    return e if Fraction(2) ** e == x else e + 1


def round_element(
    x: Fraction, element: str, rounding: str = "nearest_even", R: int = 0, bits: int = 0
) -> Fraction:
    """Return the magnitude that a magnitude becomes; it saturates."""
    values = magnitudes(element)
    if x >= values[-1]:
        return values[-1]
    i = bisect_left(values, x)
    if values[i] == x:
        return x
    low, high = values[i - 1], values[i]
    share = (x - low) / (high - low)
    match rounding:
        case "nearest_even":
            up = share > Fraction(1, 2) or (share == Fraction(1, 2) and i % 2 == 0)
        case "nearest_away":
            up = share >= Fraction(1, 2)
        case "toward_zero":
            up = False
        case "away":
            up = True
        case "to_odd":
            up = i % 2 == 1
        case "stochastic":
            up = int(share * 2**bits) + R >= 2**bits
    return high if up else low


def exponent(amax: Fraction, element: str, rule: str) -> int:
    """Return the exponent of the scale of a block whose largest magnitude is amax > 0, before it is clamped."""
    largest = magnitudes(element)[-1]
    emax = floor_log2(largest)
    match rule:
        case "floor":
            return floor_log2(amax) - emax
        case "ceil":
            return ceil_log2(amax) - emax
        case "even":
            m = 6 if element == "int8" else FLOATS[element][1]
            unit = Fraction(2) ** (floor_log2(amax) - m)
            whole, half = amax / unit, Fraction(1, 2)
            count = int(whole) + (
                whole - int(whole) > half or (whole - int(whole) == half and int(whole) % 2 == 1)
            )
            return floor_log2(count * unit) - emax
        case "rceil":
            e = floor_log2(amax) - emax - 3
            while amax > largest * Fraction(2) ** e:
                e += 1
            return e
        case "nearest":
            quotient = amax / largest
            e = floor_log2(quotient)
            below, above = Fraction(2) ** e, Fraction(2) ** (e + 1)
            return e + 1 if above - quotient <= quotient - below else e
    raise KeyError(rule)


def mx_block(block, element: str, rule: str, rounding: str = "nearest_even", integers=None, bits: int = 0):
    """Return the code of the scale and the values of one block of finite numbers, as fractions with a sign."""
    numbers = [Fraction(float(x)) if not isinstance(x, int | Fraction) else Fraction(x) for x in block]
    signs = [-1 if (x < 0 or (isinstance(x, float | np.floating) and np.signbit(x))) else 1 for x in block]
    amax = max(map(abs, numbers))
    e = -127 if amax == 0 else min(max(exponent(amax, element, rule), -127), 127)
    scale = Fraction(2) ** e
    values = []
    for i, (x, sign) in enumerate(zip(numbers, signs, strict=True)):
        mode = {"toward_positive": "away" if sign > 0 else "toward_zero",
                "toward_negative": "away" if sign < 0 else "toward_zero"}.get(rounding, rounding)  # fmt: skip
        R = 0 if integers is None else int(integers[i])
        values.append(sign * round_element(abs(x) / scale, element, mode, R, bits) * scale)
    return e + 127, values


# -- many blocks, in float64 -----------------------------------------------------------------------------------

_CONSTANTS = {"e4m3": (3, 448.0, -6), "e5m2": (2, 57344.0, -14), "e2m3": (3, 7.5, 0), "e3m2": (2, 28.0, -2),
              "e2m1": (1, 6.0, 0), "int8": (6, 127 / 64, 0)}  # fmt: skip


def blocks_in_float64(x, element: str, rule: str):
    """Return the codes of the scales and the values of finite float32 blocks (n, 32), rounded to nearest even."""
    m, largest, emin = _CONSTANTS[element]
    x = x.astype(np.float64)
    amax = np.abs(x).max(axis=1)
    zero = amax == 0
    a = np.where(zero, 1.0, amax)
    log = np.frexp(a)[1] - 1
    emax = int(np.floor(np.log2(largest)))
    if rule == "floor":
        e = log - emax
    elif rule == "ceil":
        e = log + (a != np.ldexp(1.0, log)) - emax
    elif rule == "even":
        e = np.frexp(np.ldexp(np.rint(np.ldexp(a, m - log)), log - m))[1] - 1 - emax
    elif rule == "rceil":
        e = log - emax - 1
        for _ in range(3):
            e = e + (a > np.ldexp(largest, e))
    else:
        e = log - emax - 2
        for _ in range(5):
            e = e + (a >= np.ldexp(1.5 * largest, e))
    e = np.where(zero, -127, np.clip(e, -127, 127))
    y = np.ldexp(x, -e[:, None])
    places = np.maximum(np.frexp(y)[1] - 1, emin) - m
    q = np.clip(np.ldexp(np.rint(np.ldexp(y, -places)), places), -largest, largest)
    values = np.ldexp(q, e[:, None])
    return (e + 127).astype(np.uint8), values + 0.0 if element == "int8" else values
