"""What integers come out, by fractions: an oracle that shares no code with the package."""

import math
from fractions import Fraction

import numpy as np

MODES = (
    "nearest_even",
    "nearest_away",
    "nearest_zero",
    "toward_zero",
    "toward_positive",
    "toward_negative",
    "to_odd",
)
STOCHASTIC = ("stochastic", "stochastic_b", "stochastic_c")


def whole(value, mode, R=0, N=0):
    """Round a fraction to a whole number."""
    below = math.floor(value)
    if value == below:
        return below
    above, half = below + 1, value - below - Fraction(1, 2)
    inward, outward = (below, above) if value > 0 else (above, below)
    if mode == "toward_negative":
        return below
    if mode == "toward_positive":
        return above
    if mode == "toward_zero":
        return inward
    if mode == "to_odd":
        return below if below % 2 else above
    if mode in ("nearest_even", "nearest_away", "nearest_zero"):
        if half:
            return above if half > 0 else below
        tie = {"nearest_even": below if below % 2 == 0 else above, "nearest_away": outward}
        return tie.get(mode, inward)
    part = abs(value - inward)
    if mode == "stochastic":
        up = math.floor(part * 2**N) + R >= 2**N
    elif mode == "stochastic_b":
        up = math.floor(part * 2 ** (N + 1)) + 2 * R + 1 >= 2 ** (N + 1)
    else:
        up = round(part * 2**N) + R >= 2**N  # Python rounds a fraction's ties to even
    return outward if up else inward


def code(x, scale, zero, low, high, mode="nearest_even", wraps=False, R=0, N=0):
    """Return the code of one number."""
    if isinstance(x, float) and math.isinf(x):
        return high if x > 0 else low
    q = whole(Fraction(x) / Fraction(float(scale)), mode, R, N) + int(zero)
    if wraps:
        return (q - low) % (high - low + 1) + low
    return min(max(q, low), high)


def float32_of(value):
    """Return the float32 number nearest to a positive fraction of the normal range, ties to even."""
    e = value.numerator.bit_length() - value.denominator.bit_length() - 24
    value /= Fraction(2) ** e
    while value >= 2**24:
        value, e = value / 2, e + 1
    while value < 2**23:
        value, e = value * 2, e - 1
    return np.float32(math.ldexp(round(value), e))
