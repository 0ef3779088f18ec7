"""How is a partial sum rounded? Once, in any mode, whatever its size: `Rounder`.

A sum that float64 holds exactly, or that is rounded to odd at 53 bits, is rounded by `floatlab.quantize`. Terms beyond
float64's ends, and stochastic roundings that look farther, are added as fractions, one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.modes import MODES, cancelled, draws
from floatlab.rounding.options import Rule, make_rule
from floatlab.rounding.quantize import quantize, round_floats
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import round_ratio
from floatlab.sums.exact import add_to_odd

__all__ = ["ODD_BITS", "PLAIN", "Rounder"]

ODD_BITS = 51  # so many bits of a number rounded to odd at 53 may be looked at

_NEAR_THE_TOP = 969  # with exponents below, no float64 beside a partial sum makes an infinity


@dataclass(frozen=True)
class Rounder:
    """How every partial sum is rounded: the options of `quantize`, whichever the format."""

    rounding: str = "nearest_even"
    overflow: str | None = None
    subnormals: str = "gradual"
    rng: np.random.Generator | None = None
    random_bits: int | None = None

    @cached_property
    def options(self) -> dict[str, Any]:
        """The options of `quantize`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rule(self, fmt: FloatFormat) -> Rule:
        """Return the rule of a format, whose partial sums are never flushed."""
        return make_rule(fmt, self.rounding, self.overflow, self.subnormals, False)

    def extra_bits(self) -> int:
        """Return how many bits below a format's last place are looked at one by one."""
        if not draws(self.rounding):
            return 0
        return 1 + RandomIntegers(self.rng, self.random_bits, None).bits

    def __call__(self, x: Array, fmt: FloatFormat) -> Array:
        """Round a float64 array in place, and return it; fractions (see `Terms`) to a new one."""
        if x.dtype == object:
            return _round_fractions(x, fmt, self)
        if draws(self.rounding):
            return quantize(x, fmt, out=x, **self.options)
        return round_floats(x, self.rule(fmt), x)

    def to_values(self, x: Array, fmt: FloatFormat) -> Array:
        """Return a float64 array rounded to the format, in the type that its values have."""
        if x.dtype == object:
            return self(x, fmt)
        return quantize(x, fmt, out=array_module(x).empty(x.shape, fmt.value_dtype), **self.options)

    def add(self, x: Array, y: Array, fmt: FloatFormat, *, exact: bool, terms: bool = False) -> Array:
        """Return x + y rounded once; `exact` says that float64 holds the sum without error.

        `terms` says that both may be terms, which lie anywhere; else one is a value of the format.
        """
        if x.dtype == object or y.dtype == object or self._looks_far(fmt):
            return self(_sum_of_fractions(x, y, self.rounding), fmt)
        if exact or fmt.precision == 53:
            total = x + y
        else:
            total = add_to_odd(x, y)
        if MODES[self.rounding].cancels_to_minus:
            xp = array_module(total)
            total = xp.where((total == 0) & (xp.signbit(x) | xp.signbit(y)), -0.0, total)
        far = terms or fmt.emax >= _NEAR_THE_TOP
        if far and (fmt.precision < 53 or self.overflow not in (None, "infinity")):
            return self._below_the_top(x, y, total, fmt)
        return self(total, fmt)

    def _looks_far(self, fmt: FloatFormat) -> bool:
        """Return whether a stochastic rounding looks at bits that a sum rounded to odd does not have."""
        return draws(self.rounding) and fmt.precision + self.extra_bits() > ODD_BITS

    def _below_the_top(self, x: Array, y: Array, total: Array, fmt: FloatFormat) -> Array:
        """Round a sum which float64 may have made an infinity, though it is a finite number beyond its end."""
        xp = array_module(total)
        beyond = xp.isinf(total) & xp.isfinite(x) & xp.isfinite(y)
        if not beyond.any():
            return self(total, fmt)
        half = add_to_odd(x * 0.5, y * 0.5)
        # What lies above the largest float64 and below 2^1024 is, rounded to odd, the largest float64.
        nearest = xp.copysign(np.finfo(np.float64).max, half)
        result = self(xp.where(beyond, nearest, total), fmt)
        over = self.rule(fmt).over
        if fmt.precision < 53:
            beyond &= xp.abs(half) >= 2.0**1023
        return xp.where(beyond, xp.where(half < 0, over[1], over[0]), result)

    def check(self, fmt: FloatFormat) -> None:
        """Raise an error if the options make no sense for `fmt`, or its sums cannot be rounded once."""
        self.rule(fmt)
        if fmt.precision > 51 and not (
            fmt.same_as(get_format("float64")) and self.rounding == "nearest_even"
        ):
            raise OptionError(
                "A partial sum is rounded to at most 51 bits, or to float64 by nearest_even. "
                f'Got {fmt.name} and rounding={self.rounding!r}. Use accumulator="exact".'
            )


PLAIN = Rounder()  # the usual one, which never looks at its generator

# -- beyond float64 ---------------------------------------------------------------------------------


def _fraction(x: float) -> Fraction | float:
    """Return a finite number other than zero as a fraction; of the rest a float knows the sign."""
    return Fraction(x) if x and math.isfinite(x) else x


def _total(x: Any, y: Any, zero: float) -> Fraction | float:
    """Return x + y; `zero` is what terms that cancel become."""
    a, b = (_fraction(z) if isinstance(z, float) else z for z in (x, y))
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a + b or zero
    if isinstance(a, float) and isinstance(b, float):
        return zero if a == b == 0 and math.copysign(1.0, a) != math.copysign(1.0, b) else a + b
    special, other = (a, b) if isinstance(a, float) else (b, a)
    return other if special == 0 else special


_TOTALS: Callable[..., Array] = np.frompyfunc(_total, 3, 1)


def _sum_of_fractions(x: Array, y: Array, rounding: str) -> Array:
    return _TOTALS(x, y, cancelled(rounding))


def _round_fractions(x: Array, fmt: FloatFormat, rounder: Rounder) -> Array:
    """Round an array of fractions and floats to the format, one by one."""
    rule = rounder.rule(fmt)
    draws, bits = np.zeros(x.size, np.int64), 0
    options = rounder.options
    if rule.variant is not None:
        source = RandomIntegers(rounder.rng, rounder.random_bits, None)
        source.fit(np.zeros(0))
        draws, bits = source.block(0, x.size), source.bits
        options = options | {"rounding": "nearest_even"}  # zeros, infinities and NaNs take no chances
    result = np.zeros(x.size)
    special = np.array([isinstance(item, float) for item in x.flat], bool)
    result[special] = x.reshape(-1)[special].astype(np.float64)
    result[special] = quantize(result[special], fmt, **options)
    for i in np.flatnonzero(~special).tolist():
        item = x.flat[i]
        result[i] = round_ratio(item.numerator, item.denominator, rule, int(draws[i]), bits).value
    return result.reshape(x.shape)
