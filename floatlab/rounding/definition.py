"""Which representable value does a number become? The definition, in four steps that can be read.

Rounding a number to a format takes four steps, and `round_exactly` below is those steps written out:

1. *Find the unit.* In the binade of the number the format's values are multiples of a unit in the last place;
   below the smallest normal value the unit stays what it is there (gradual underflow).
2. *Count units.* The number is a whole count of units and a fraction of one.
3. *Decide.* The rounding mode looks at the fraction, the sign, and whether the count is odd, and either
   keeps the count or adds one.
4. *Look at the ends.* A result beyond the largest finite value is an overflow; the policy says what it becomes.

They are done to whole arrays, but without haste. The kernels are quick, know some of the formats and modes, and are
tested against them.

Source: IEEE 754-2019, sections 4.3 (rounding), 7.4 and 7.5 (overflow, underflow).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from floatlab.backend import Array, array_module, ignore_float_errors, widened
from floatlab.errors import OverflowPolicyError
from floatlab.formats import FloatFormat
from floatlab.rounding.flags import Flags
from floatlab.rounding.modes import Discarded, decides_by_code
from floatlab.rounding.options import Rule
from floatlab.rounding.random_integers import RandomIntegers

__all__ = ["convert_with_flags", "refuse_nan", "round_exactly"]


def round_exactly(x: Array, rule: Rule, integers: Array | None = None, bits: int = 0) -> Array:
    """Round float64 values by `rule`: the readable version, which knows every format and every mode.

    Parameters
    ----------
    x : array of float64
        The exact source values.
    rule : Rule
        The format and the options.
    integers, bits
        The random integers, of `bits` bits, for stochastic rounding; of the shape of `x`.

    Returns
    -------
    array of float64
        The values of the format.
    """
    xp, fmt = array_module(x), rule.fmt
    size, negative = xp.abs(x), xp.signbit(x)
    finite = xp.isfinite(x)
    if rule.flush_inputs:
        size = xp.where(size < fmt.smallest_normal, 0.0, size)

    # 1. The unit in the last place is 2**unit.
    exponent = xp.frexp(xp.where(finite, size, 1.0))[1] - 1  # 2**exponent <= size < 2**(exponent + 1)
    unit = xp.maximum(exponent, fmt.emin) - fmt.mantissa_bits

    # 2. Count units: size = (count + fraction) * 2**unit. Scaling by a power of two is exact, except that a tiny
    #    number may vanish; the smallest float64 stands for it, which is as good: a fraction above 0.
    units = xp.ldexp(xp.where(finite, size, 0.0), -unit)
    units = xp.where((units == 0) & (size > 0), np.finfo(np.float64).smallest_subnormal, units)
    count = xp.floor(units)
    fraction = units - count

    # 3. Decide.
    up = _goes_up(count, fraction, exponent, negative, rule, integers, bits)
    result = xp.ldexp(count + up, unit)

    # 4. Look at the ends.
    if rule.subnormals == "flush":
        result = xp.where(result < fmt.smallest_normal, 0.0, result)
    if not fmt.has_zero:
        result = xp.maximum(result, fmt.lowest)  # there is nothing else near
    result = xp.where(negative, -result, result)
    result = xp.where(size == 0, xp.copysign(rule.zero, x) if fmt.signed else rule.zero, result)
    if not fmt.has_negative_zero:
        result = xp.where(result == 0, 0.0, result)
    # P3109 looks at the rounded value, others let no negative number into an unsigned format.
    rounded = fmt.signed or fmt.is_p3109
    beyond = (result < fmt.lowest) if rounded else negative & (size > 0)
    result = xp.where(finite & (result > fmt.max), rule.over[0], result)
    result = xp.where(finite & beyond, rule.over[1], result)
    result = xp.where(x == np.inf, rule.infinite[0], result)
    result = xp.where(x == -np.inf, rule.infinite[1], result)
    nan = xp.isnan(x) | xp.isnan(result)
    return xp.where(nan, xp.copysign(np.nan, x) if fmt.nan_has_sign else np.nan, result)


def _goes_up(
    count: Array,
    fraction: Array,
    exponent: Array,
    negative: Array,
    rule: Rule,
    integers: Array | None,
    bits: int,
) -> Array:
    """Say for each element whether its count of units goes up by one."""
    xp, fmt, mode = array_module(count), rule.fmt, rule.mode
    if mode.goes_up is None:
        assert mode.carries is not None and integers is not None
        return mode.carries(_Share(fraction, xp), integers.astype(np.float64), bits)
    odd = xp.fmod(count, 2) == 1
    if decides_by_code(mode, fmt):
        odd = (count > 0) & ((exponent + fmt.bias) % 2 == 1)
    return mode.goes_up(Discarded(fraction - 0.5, fraction > 0, odd, negative))


class _Share(NamedTuple):
    """The fraction of a unit that goes, in an array; scaling by a power of two is exact."""

    fraction: Array
    xp: Any

    def floor(self, n: int) -> Array:
        return self.xp.floor(self.fraction * 2.0**n)

    def even(self, n: int) -> Array:
        return self.xp.rint(self.fraction * 2.0**n)


def refuse_nan(result: Array, rule: Rule) -> None:
    """Raise if the result holds a NaN and the format has none: it came from a NaN, and nothing can stand for it."""
    if rule.fmt.has_nan:
        return
    nan = array_module(result).isnan(result)
    if nan.any():
        raise OverflowPolicyError(
            f"{rule.fmt} has no code for NaN; infinities saturate, but a NaN is not a number. "
            f"Got {int(nan.sum())} NaN. Replace them first, with numpy.nan_to_num, or use a format with NaN."
        )


# -- flags, by comparison -----------------------------------------------------------------------------


def convert_with_flags(source: Array, rule: Rule, draw: RandomIntegers | None) -> tuple[Array, Flags]:
    """Round, and compare the result with the source and with what an exponent without ends would give."""
    xp, fmt = array_module(source), rule.fmt
    x = widened(source)
    integers, bits = None, 0
    if draw is not None:
        integers, bits = draw.block(0, x.size).reshape(x.shape), draw.bits
    with ignore_float_errors(x):
        values = round_exactly(x, rule, integers, bits)
        refuse_nan(values, rule)
        if rule.flush_inputs:  # a source that counts as zero raises no flag
            x = xp.where(xp.abs(x) < fmt.smallest_normal, xp.copysign(0.0, x), x)
        unbounded = xp.abs(_round_unbounded(x, rule, integers, bits))
        invalid = xp.isinf(x) & (rule.infinite[0] != np.inf)
        if not fmt.signed or fmt.emax < fmt.emin:
            endless = round_exactly(x, replace(rule, over=(np.inf, -np.inf)), integers, bits)
        if not fmt.signed:
            invalid |= (x == -np.inf) | (xp.isfinite(x) & (endless == -np.inf))
        if not fmt.has_zero:
            invalid |= x == 0
        plain = xp.isfinite(x) & ~invalid
        overflow = plain & (unbounded > fmt.max)
        if (
            fmt.emax < fmt.emin
        ):  # below the largest value the last place no longer shrinks: no end above, but below
            overflow = plain & xp.isinf(endless)
        inexact = (plain & (values != x)) | overflow
        underflow = inexact & (unbounded < fmt.smallest_normal) & ~overflow
        if rule.subnormals == "flush":
            underflow |= plain & (x != 0) & (values == 0)
    # arrays even without dimensions, so that whoever knows better can write to them
    raised = map(xp.asarray, (invalid, xp.zeros(x.shape, bool), overflow, underflow, inexact))
    return values, Flags(*raised)


@lru_cache(maxsize=64)
def _unbounded(fmt: FloatFormat) -> FloatFormat:
    """Return a format of the same precision whose exponents do not end near 1."""
    if fmt.mantissa_bits:
        return FloatFormat("unbounded", 11, fmt.mantissa_bits)
    specials = "p3109_finite" if fmt.is_p3109 else "finite"
    assert fmt.bias is not None
    return FloatFormat("unbounded", 5, 0, 16 + fmt.bias % 2, specials)  # codes as even as its own


def _round_unbounded(x: Array, rule: Rule, integers: Array | None, bits: int) -> Array:
    """Round to the precision of the format with an exponent that has no end on either side."""
    xp = array_module(x)
    # Bring every number near 1 and back, by an even power: at precision 1, evenness is the exponent's.
    shift = (xp.frexp(xp.where(xp.isfinite(x), x, 1.0))[1] - 1) // 2 * 2
    near_one = xp.ldexp(xp.where(xp.isfinite(x), x, 1.0), -shift)
    free = Rule(
        _unbounded(rule.fmt), rule.rounding, "gradual", False, (np.inf, -np.inf), (np.inf, -np.inf), 0.0
    )
    return xp.ldexp(round_exactly(near_one, free, integers, bits), shift)
