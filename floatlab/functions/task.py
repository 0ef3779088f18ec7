"""How is one function evaluated for one format? What was asked for, and the way to rounded results: `Task`.

`floatlab.functions.evaluate` describes the method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, beside, blocks, is_gpu_array, widened
from floatlab.errors import FormatError
from floatlab.formats import FloatFormat, get_format
from floatlab.functions import float64
from floatlab.functions.on_device import settled_at, wide_on_device
from floatlab.functions.suspects import (
    ALL,
    ERROR,
    WIDEST,
    Floats,
    Operands,
    settle,
    sign_nans,
    sticky_values,
    suspects,
    wide_values,
)
from floatlab.functions.table import SMALLEST, TABLE, Function
from floatlab.rounding.device.rounding import as_type
from floatlab.rounding.flags import Flags
from floatlab.rounding.options import Rule, make_rule, settings
from floatlab.rounding.quantize import quantize, round_floats
from floatlab.system.environment import check_environment

__all__ = ["Task", "task_of"]

_FLOAT64 = get_format("float64")
_SAME_BITS = [*(getattr(float64, name) for name in float64.__all__), np.sqrt, np.reciprocal]
# What a GPU computes by operations that have the bits of a CPU; the rest of the primitives take digits.
_OF_DEVICE = frozenset(name for name, of in TABLE.items() if of.primitive in _SAME_BITS)
_BLOCK = 1 << 14  # elements worked on at a time, so that the temporaries stay in the second-level cache

# -- what was asked for, checked once -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Task:
    """A function, a format and the options of the rounding."""

    name: str
    function: Function
    fmt: FloatFormat
    options: dict[str, Any]
    flush_inputs: bool

    @cached_property
    def rule(self) -> Rule:
        """The rounding of the results, which are never flushed as inputs are."""
        return make_rule(self.fmt, *settings(self.options))

    @cached_property
    def is_float32(self) -> bool:
        """Whether a cast to NumPy's float32 is the rounding that was asked for."""
        usual = {"rounding": "nearest_even", "overflow": None, "subnormals": "gradual"}
        return self.fmt.same_as(get_format("float32")) and self.options == usual and not self.flush_inputs

    @cached_property
    def table(self) -> Array:
        """The result for each float32 of 11 bits of precision, in the order of their bits."""
        check_environment()
        x = (np.arange(1 << 19, dtype=np.uint32) << 13).view(np.float32)
        result = np.concatenate([self.compute(x[block]) for block in blocks(x.size, _BLOCK)])
        result.flags.writeable = False
        return result

    def has_table(self, size: int) -> bool:
        """Whether a table is worth looking into: it is there already, or the array is large enough to make it."""
        return "table" in self.__dict__ or (size >= 4096 and self.fmt.has_nan)

    def wide(self, xs: tuple[Array, ...]) -> Operands:
        """Return the arguments in float64, with what is to be flushed flushed."""
        wide: Operands = tuple([x.astype(np.float64) for x in xs])
        if self.flush_inputs:
            for x in wide:
                x[np.abs(x) < self.fmt.smallest_normal] *= 0.0  # keeps the sign
        return wide

    def run(self, *xs: Array, integers: Any = None) -> Array:
        """Return f of flat arrays, rounded: from the table, or block by block."""
        x = xs[0]
        if 0 < x.size < 64 and "table" not in self.__dict__:  # not worth being cut into blocks
            return self.compute(*xs, integers=integers)
        values = np.empty(x.size, self.fmt.value_dtype)
        if len(xs) == 1 and integers is None and x.dtype != np.float64 and self.has_table(x.size):
            words = x.astype(np.float32, copy=False).view(np.int32)
            if not np.bitwise_or.reduce(words) & 0x1FFF:  # 11 bits of precision: 23 - 10 = 13 zeros
                for block in blocks(x.size, _BLOCK):
                    self.table.take(words[block].view(np.uint32) >> 13, out=values[block], mode="clip")
                return values
        for block in blocks(x.size, _BLOCK):
            drawn = None if integers is None else integers[block]
            values[block] = self.compute(*[x[block] for x in xs], integers=drawn)
        return values

    def compute(self, *xs: Array, integers: Any = None) -> Array:
        """Return f of a block of numbers, rounded."""
        wide = self.wide(xs)
        if self.fmt.precision > WIDEST:
            assert self.function.primitive is not None
            y = self.function.primitive(*wide)
            if len(wide) > 1:
                sign_nans(wide, y)
            return self._ended(wide, y, integers)
        y = wide_values(self.name, wide)
        untrusted = None if self.function.untrusted is None else self.function.untrusted(*wide, y)
        if self.is_float32 and (untrusted is None or not untrusted.any()):
            low, high = (y * (1 - ERROR)).astype(np.float32), (y * (1 + ERROR)).astype(np.float32)
            if low.tobytes() == high.tobytes():
                return low
        # Stochastic rounding compares with a random integer, and so looks at that many more bits.
        random_bits = self.options.get("random_bits", -1)
        where = suspects(y, self.fmt.precision + 2 + random_bits, self.fmt, untrusted)
        if where.size:
            settle(self.name, wide, y, where, (self.fmt, self.options), untrusted, integers)
        return self._rounded(y, integers)

    def _rounded(self, y: Floats, integers: Any) -> Array:
        if integers is None:
            return self.values(round_floats(y, self.rule, np.empty(y.shape, self.fmt.value_dtype)))
        return self.values(quantize(y, self.fmt, **self.options, random_integers=integers))

    def _ended(self, wide: Operands, y: Floats, integers: Any) -> Array:
        """Round results of float64: what lies beyond it is a finite number, which no policy takes for an infinity."""
        infinite = np.isinf(y)
        for x in wide:
            infinite &= np.isfinite(x)
        where = np.flatnonzero(infinite)
        values = self._rounded(y, integers)
        if where.size:
            settled = y.copy()
            settle(self.name, wide, settled, where, None)  # a pole stays an infinity
            beyond = where[np.isfinite(settled[where])]
            values[beyond] = np.where(y[beyond] > 0, *self.rule.over)
        return values

    def values(self, rounded: Floats) -> Array:
        """Return rounded float64 numbers in the format's own type, with one NaN."""
        values = rounded.astype(self.fmt.value_dtype, copy=False)
        if not self.fmt.has_infinity:  # where an overflow may have become a NaN with any bits
            nan = np.isnan(values)
            values[nan] = np.copysign(np.nan, values[nan]) if self.fmt.nan_has_sign else np.nan
        return values

    def run_on_device(self, *xs: Array, integers: Any = None) -> Array:
        """Return f of flat arrays of a GPU, rounded."""
        wide = self.wide_of_device(xs)
        if self.fmt.precision > WIDEST:
            return self._ended_on_device(wide, integers)
        bits = self.fmt.precision + 2 + self.options.get("random_bits", -1)
        y = wide_on_device(self.name, wide, bits, self.fmt, (self.fmt, self.options), integers)
        return self._rounded_on_device(y, integers)

    def _rounded_on_device(self, y: Array, integers: Any) -> Array:
        values: Array = array_module(y).empty(y.shape, self.fmt.value_dtype)
        if integers is None:
            return round_floats(y, self.rule, values)
        return quantize(y, self.fmt, **self.options, random_integers=integers, out=values)

    def _ended_on_device(self, wide: Operands, integers: Any) -> Array:
        """Return what `_ended` does; functions that are computed digit by digit are computed on the host."""
        primitive, xp = self.function.primitive, array_module(wide[0])
        assert primitive is not None
        if self.name not in _OF_DEVICE:
            here = tuple(asnumpy(x) for x in wide)
            return beside(
                self.compute(*here, integers=None if integers is None else asnumpy(integers)), wide[0]
            )
        y = primitive(*wide)
        values = self._rounded_on_device(y, integers)
        where = xp.flatnonzero(xp.isinf(y) & xp.isfinite(wide[0]))
        if where.size:
            ends = settled_at(self.name, wide, where, None)
            beyond = np.isfinite(ends)
            values[where[beside(beyond, y)]] = beside(np.where(ends > 0, *self.rule.over)[beyond], y)
        return values

    def wide_of_device(self, xs: tuple[Array, ...]) -> Operands:
        """Return what `wide` does, of arrays of a GPU."""
        wide: Operands = tuple([widened(x) for x in xs])
        if not self.flush_inputs:
            return wide
        xp, smallest = array_module(xs[0]), self.fmt.smallest_normal
        return tuple([xp.where(xp.abs(x) < smallest, xp.copysign(0.0, x), x) for x in wide])

    def run_with_flags(self, *xs: Array, integers: Any = None) -> tuple[Array, Flags]:
        """Return f of flat arrays, rounded, and the exceptions of the function and of the rounding."""
        if is_gpu_array(xs[0]):
            wide = self.wide_of_device(xs)
            y = wide_on_device(self.name, wide, WIDEST + 1, _FLOAT64, None)
        else:
            wide = self.wide(xs)
            y = sticky_values(self.name, wide)
        drawn = {} if integers is None else {"random_integers": integers}
        values, flags = quantize(y, self.fmt, **self.options, **drawn, return_flags=True)
        domain, pole = np.isnan(y), np.isinf(y)
        for x in wide:
            domain &= ~np.isnan(x)
            pole &= np.isfinite(x)
        # An infinity or a NaN raises neither overflow nor underflow in a rounding, nor is it inexact.
        flags = replace(flags, invalid=flags.invalid | domain, divide_by_zero=flags.divide_by_zero | pole)
        return (as_type(values, self.fmt.value_dtype) if is_gpu_array(values) else self.values(values)), flags


@lru_cache(maxsize=64)
def task_of(name: str, rule: Rule, overflow: str | None) -> Task:
    """Return what is asked for, checked once for each function, rule and policy."""
    fmt, function = rule.fmt, ALL[name]
    if fmt.precision > WIDEST and function.primitive is None:
        have = ", ".join(n for n, f in TABLE.items() if f.primitive is not None)
        raise FormatError(
            f"Formats of more than {WIDEST} bits of precision have these functions: {have}. "
            f"Got {name!r} for {fmt}. Use one of them, or a format of at most {WIDEST} bits."
        )
    if fmt.precision <= WIDEST and fmt.smallest_subnormal < 4 * SMALLEST:
        raise FormatError(
            f"A function is rounded from a float64, which must have two bits to spare below the smallest value. "
            f"Got {fmt}, with {fmt.smallest_subnormal!r}. Use a format with a smaller bias."
        )
    options = {"rounding": rule.rounding, "overflow": overflow, "subnormals": rule.subnormals}
    return Task(name, function, fmt, options, rule.flush_inputs)
