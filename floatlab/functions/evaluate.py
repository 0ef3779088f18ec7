"""Which value of a format is f(x), or f(a, b)? Elementary functions, correctly rounded in every mode.

NumPy computes f(x) in float64 quickly, but its last bits depend on the processor. They matter only where the exact
result lies very near a number at which rounding changes its mind: a value of the format, or the middle between two. For
a format of precision p these have at most p + 1 bits, so the bits of NumPy's y show at once whether one is near::

    y =  1.0110 0101 01 | 1001 1101 ... 0110      far from a number of p + 1 bits: y rounds as f(x) does
    y =  1.0110 0101 01 | 0000 0000 ... 0110      too near to tell: a suspect

A suspect (all zeros and ones are, of the rest one in a million for float32) goes through three doors:

1. *A case* of `floatlab.functions.table` or `floatlab.functions.pairs` says what the result is: exp(0), log2(8),
   tanh(30).
2. *Both ends*: y (1 - d) and y (1 + d) enclose f(x). If they round alike, so does f(x).
3. *As many digits as it takes*: `floatlab.functions.multiprecision`.

So the result is the correctly rounded one, on every CPU. The bound d = 2**-44 allows a float64 function an error of
256 ulp; those used here are within 4.

An array of float32 numbers with no more than 11 bits of precision (float16, bfloat16, tf32 and all narrower values;
there are 2^19 of them) is looked up in a table, which is made once by the method above.

See Also
--------
floatlab.functions.multiprecision : the digits
floatlab.functions.float64 : the float64 functions

References
----------
A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17 (1991),
    410-423.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, Unpack, overload

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, blocks, is_gpu_array
from floatlab.errors import FormatError, ShapeError, check_option, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.functions.pairs import PAIRS
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
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import as_source
from floatlab.rounding.modes import draws
from floatlab.rounding.options import RoundingOptions, Rule, drawing, make_rule, rule_of, settings
from floatlab.rounding.quantize import quantize, round_floats
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system.environment import check_environment

__all__ = ["FUNCTIONS", "FUNCTIONS_OF_TWO", "evaluate", "evaluate_pair"]

FUNCTIONS = tuple(TABLE)
FUNCTIONS_OF_TWO = tuple(PAIRS)
_FLOAT64 = get_format("float64")
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

    def run_with_flags(self, *xs: Array, integers: Any = None) -> tuple[Array, Flags]:
        """Return f of flat arrays, rounded, and the exceptions of the function and of the rounding."""
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
        return self.values(values), flags


@lru_cache(maxsize=64)
def _task(name: str, rule: Rule, overflow: str | None) -> Task:
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


# -- the front door ------------------------------------------------------------------------------------


@overload
def evaluate(
    name: str, x: Any, fmt: Any, *, return_flags: Literal[False] = ..., **options: Unpack[RoundingOptions]
) -> Array: ...
@overload
def evaluate(
    name: str, x: Any, fmt: Any, *, return_flags: Literal[True], **options: Unpack[RoundingOptions]
) -> tuple[Array, Flags]: ...
def evaluate(
    name: str, x: Any, fmt: Any, *, return_flags: bool = False, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]:
    """Return f(x) for each element, correctly rounded to a format.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS`: exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan, sinh, cosh, tanh, sigmoid,
        softplus, erf, gelu (x times the normal distribution function), sqrt, rsqrt, reciprocal, cbrt, arcsin, arccos,
        arctan, arcsinh, arccosh, arctanh, deg2rad, rad2deg.
    x : array_like
        Real numbers of any kind and shape; they need not be values of the format.
    fmt : str, FloatFormat or dtype
        The format of the result. With more than 24 bits of precision the result is that of the float64 function of
        `floatlab.functions.float64`, where there is one: the same on every CPU, but not always correctly rounded.
        From cbrt on it is the nearest float64, which takes a tenth of a millisecond for each element.
    return_flags : bool
        Whether to return the `Flags` as well. For formats of at most 24 bits of precision.
    **options
        Those of `quantize`. The result at a pole, as of log(0), is treated as an infinity, any other as a finite
        number; with flush_inputs, an x below the format's smallest normal value counts as zero.

    Returns
    -------
    array
        The values, of the shape of `x` and of dtype ``fmt.value_dtype``. Outside the domain they are NaN: log(-1),
        sin(inf).
    Flags
        Only with ``return_flags=True``.

    Raises
    ------
    OptionError, FormatError
        If a name is unknown; if the format has more than 24 bits of precision and there is no such float64
        function, or flags are asked for.
    OverflowPolicyError
        If a result is NaN and the format has none.

    Examples
    --------
    >>> evaluate("exp", [0.0, 1.0, 12.0], "fp16").tolist()
    [1.0, 2.71875, inf]
    >>> evaluate("tanh", 30.0, "e4m3", rounding="toward_zero").item()
    0.9375
    """
    check_environment()
    check_option("function", name, FUNCTIONS)
    return _evaluate(name, fmt, (as_source(x, _FLOAT64),), return_flags, options)


@overload
def evaluate_pair(
    name: str,
    a: Any,
    b: Any,
    fmt: Any,
    *,
    return_flags: Literal[False] = ...,
    **options: Unpack[RoundingOptions],
) -> Array: ...
@overload
def evaluate_pair(
    name: str, a: Any, b: Any, fmt: Any, *, return_flags: Literal[True], **options: Unpack[RoundingOptions]
) -> tuple[Array, Flags]: ...
def evaluate_pair(
    name: str, a: Any, b: Any, fmt: Any, *, return_flags: bool = False, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]:
    """Return f(a, b) for each pair of elements, correctly rounded to a format.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS_OF_TWO`: hypot, arctan2, power, logaddexp, logaddexp2.
    a, b : array_like
        Real numbers that float64 holds exactly; their shapes broadcast. They need not be values of the format.
    fmt : str, FloatFormat or dtype
        The format of the result. With more than 24 bits of precision the result is that of float64, rounded to
        nearest, which takes a tenth of a millisecond for each pair.
    return_flags, **options
        As in `evaluate`.

    Returns
    -------
    array
        The values, of dtype ``fmt.value_dtype``. Those at zeros, infinities and NaNs are as IEEE 754-2019, 9.2.1, has
        them for hypot, atan2 and pow: a number to the power of 0 and 1 to any power are 1, even with a NaN.
    Flags
        Only with ``return_flags=True``. Zero to a negative power raises divide_by_zero, a negative number to a power
        that is no integer invalid.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    OptionError, FormatError, OverflowPolicyError
        As `evaluate`.

    Examples
    --------
    >>> evaluate_pair("power", [2.0, 4.0, 0.0, 10.0], [-3.0, 0.5, 0.0, 3.5], "fp16").tolist()
    [0.125, 2.0, 1.0, 3162.0]
    >>> evaluate_pair("hypot", 3.0, 4.0, "e4m3").item()
    5.0
    """
    check_environment()
    check_option("function", name, FUNCTIONS_OF_TWO)
    given = (as_source(a, _FLOAT64), as_source(b, _FLOAT64))
    try:
        given = tuple(array_module(given[0]).broadcast_arrays(*given))
    except ValueError:
        raise ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {given[0].shape} and {given[1].shape}. "
            "Reshape one of them."
        ) from None
    return _evaluate(name, fmt, given, return_flags, options)


def _evaluate(
    name: str, fmt: Any, given: tuple[Array, ...], return_flags: bool, options: RoundingOptions
) -> Any:
    """Return the results of a function for arrays of one shape, and its flags if they are wanted."""
    task = _task(name, rule_of(name, get_format(fmt), options), options.get("overflow"))
    return_flags = return_flags is not False and check_switch("return_flags", return_flags)
    if return_flags and task.fmt.precision > WIDEST:
        raise FormatError(
            f"Flags need a correctly rounded result, which formats of at most {WIDEST} bits have. Got {task.fmt}. "
            "Leave return_flags away."
        )
    module, shape = array_module(given[0]), given[0].shape
    flat = [asnumpy(x).reshape(-1) if is_gpu_array(x) else x.reshape(-1) for x in given]
    integers = None
    if draws(task.options["rounding"]):
        draw = RandomIntegers(*drawing(options))
        draw.fit(flat[0] if draw.supplied is None else flat[0].reshape(shape))
        integers = np.asarray(draw.block(0, flat[0].size)).astype(np.int64)
        task = replace(task, options=task.options | {"random_bits": draw.bits})
    with np.errstate(all="ignore"):
        if not return_flags:
            return module.asarray(task.run(*flat, integers=integers).reshape(shape))
        values, flags = task.run_with_flags(*flat, integers=integers)
    parts = (getattr(flags, name).reshape(shape) for name in flags.__dataclass_fields__)
    return module.asarray(values.reshape(shape)), Flags(*map(module.asarray, parts))
