"""Which value is n / d? Any fraction rounded once, on Python integers.

Float64 holds 53 bits and ends at both sides. An exact sum, or a mean, may have thousands of bits and lie beyond
either end. Where such a number cannot be rounded by way of float64, it is rounded here, one at a time: it is cut
at the format's last place, and the mode decides from what was cut off, which is known exactly ::

    n / d = 101101 | 10011011...      n / d = (whole + rest / gap) * 2^unit
            whole    rest

Sources: IEEE 754-2019, sections 4.3 (rounding), 7.4 and 7.5 (overflow, underflow); IEEE P3109 interim report
(stochastic rounding A, B, C; parity at precision 1).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from floatlab.rounding.modes import Ratio, decides_by_code, goes_up
from floatlab.rounding.options import Rule

__all__ = ["Rounded", "round_ratio"]


class Rounded(NamedTuple):
    """A value of the format, and the flags that its rounding raises."""

    value: float
    invalid: bool = False
    overflow: bool = False
    underflow: bool = False
    inexact: bool = False


class _Place(NamedTuple):
    """A number as (whole + rest / gap) * 2^unit; `exponent` is the binary logarithm, rounded down."""

    whole: int
    rest: int
    gap: int
    unit: int
    exponent: int


def round_ratio(n: int, d: int, rule: Rule, random_integer: int = 0, random_bits: int = 0) -> Rounded:
    """Round n / d by a rule.

    Parameters
    ----------
    n, d : int
        Not zero; `d` is positive.
    rule : Rule
        The format and the options. Inputs are not flushed.
    random_integer, random_bits : int
        R and N of the stochastic modes, with ``0 <= R < 2**N``.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> from floatlab.rounding.options import make_rule
    >>> round_ratio(1, 3, make_rule(get_format("bf16"), "toward_positive", None, "gradual", False)).value
    0.333984375
    """
    fmt, minus, size = rule.fmt, n < 0, abs(n)
    p3109 = fmt.is_p3109
    if minus and not fmt.signed and not p3109:
        return Rounded(_mark(rule, minus), invalid=True)
    exponent = size.bit_length() - d.bit_length()
    if (size << -exponent if exponent < 0 else size) < (d << exponent if exponent > 0 else d):
        exponent -= 1
    spot = _place(size, d, max(exponent, fmt.emin) - fmt.mantissa_bits, exponent)
    value = _value(spot.whole + _goes_up(spot, minus, rule, random_integer, random_bits), spot.unit)
    inexact = spot.rest > 0
    if not fmt.has_zero and value < fmt.lowest:
        value, inexact = fmt.lowest, True  # there is nothing else near
    flushed = rule.subnormals == "flush" and fmt.has_zero and value < fmt.smallest_normal
    if minus and not fmt.signed and value and not flushed:  # P3109 asks after rounding what is below zero
        return Rounded(_mark(rule, minus), invalid=True)
    if value > fmt.max:
        return Rounded(_mark(rule, minus), overflow=True, inexact=True)
    underflow = False
    if exponent < fmt.emin:  # tiny before rounding; also after rounding with an exponent that has no end?
        free = _place(size, d, exponent - fmt.mantissa_bits, exponent)
        count = free.whole + _goes_up(free, minus, rule, random_integer, random_bits)
        underflow = inexact and count.bit_length() + free.unit <= fmt.emin
    if flushed:
        value, underflow, inexact = 0.0, True, True
    if minus and (value or fmt.has_negative_zero):
        value = -value
    return Rounded(value, underflow=underflow, inexact=inexact)


def _mark(rule: Rule, minus: bool) -> float:
    """Return what stands for a number beyond the ends; a NaN has its sign, where the format's NaN has one."""
    mark = rule.over[minus]
    return math.copysign(mark, -1.0 if minus and rule.fmt.nan_has_sign else 1.0) if math.isnan(mark) else mark


def _place(size: int, d: int, unit: int, exponent: int) -> _Place:
    gap = d << unit if unit > 0 else d
    return _Place(*divmod(size << -unit if unit < 0 else size, gap), gap, unit, exponent)


def _value(count: int, unit: int) -> float:
    """Return count * 2^unit, which is a float64 number or beyond all of them."""
    return math.inf if count.bit_length() + unit > 1024 else math.ldexp(count, unit)


def _goes_up(spot: _Place, minus: bool, rule: Rule, random_integer: int, random_bits: int) -> bool:
    """Say whether the count goes up by one."""
    odd = spot.whole & 1 == 1
    if spot.whole and decides_by_code(rule.mode, rule.fmt):
        assert rule.fmt.bias is not None
        odd = (spot.exponent + rule.fmt.bias) % 2 == 1
    return goes_up(Ratio(spot.rest, spot.gap), odd, minus, rule.mode, random_integer, random_bits)
