"""Which value of a format is f(x)? Elementary functions, correctly rounded in every mode.

NumPy computes f(x) in float64 quickly, but its last bits depend on the processor. They matter only where the exact
result lies very near a number at which rounding changes its mind: a value of the format, or the middle between two. For
a format of precision p these have at most p + 1 bits, so the bits of NumPy's y show at once whether one is near::

    y =  1.0110 0101 01 | 1001 1101 ... 0110      far from a number of p + 1 bits: y rounds as f(x) does
    y =  1.0110 0101 01 | 0000 0000 ... 0110      too near to tell: a suspect

A suspect (all zeros and ones are, of the rest one in a million for float32) goes through three doors:

1. *A case* of `floatlab.elementary` says what the result is: exp(0), log2(8), tanh(30).
2. *Both ends*: y (1 - d) and y (1 + d) enclose f(x). If they round alike, so does f(x).
3. *As many digits as it takes*: `floatlab.precise`.

So the result is the correctly rounded one, on every CPU. The bound d = 2**-44 allows a float64 function an error of
256 ulp; those used here are within 4.

An array of float32 numbers with no more than 11 bits of precision (float16, bfloat16, tf32 and all narrower values;
there are 2^19 of them) is looked up in a table, which is made once by the method above.

Source: A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17
(1991).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from floatlab.backend import Array, array_module, asnumpy, is_gpu_array
from floatlab.draws import RandomIntegers
from floatlab.elementary import TABLE, Function
from floatlab.environment import check_environment
from floatlab.errors import FormatError, check_option, check_switch
from floatlab.flags import Flags
from floatlab.formats import FloatFormat, get_format
from floatlab.precise import sticky
from floatlab.rounding import quantize
from floatlab.rules import make_rule
from floatlab.sources import as_source
from floatlab.wide import (
    cos64,
    erf64,
    exp64,
    expm1_64,
    gelu64,
    log1p64,
    log64,
    sigmoid64,
    sin64,
    softplus64,
    tanh64,
)

__all__ = [
    "FUNCTIONS",
    "cos64",
    "erf64",
    "evaluate",
    "exp64",
    "expm1_64",
    "gelu64",
    "log1p64",
    "log64",
    "sigmoid64",
    "sin64",
    "softplus64",
    "sticky_values",
    "tanh64",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

FUNCTIONS = tuple(TABLE)

_FLOAT64 = get_format("float64")
_WIDEST = 24  # bits of precision that the method serves
_ERROR = 2.0**-44  # the relative error that a float64 function may have
_NEAR = 1 << 9  # the same, in units of the last place of float64 (a significand has up to 2^53 of them)
_TINY = 2.0**-960  # below it, float64 results may be subnormal and have no relative accuracy
_SMALLEST = 2.0**-1074
_BLOCK = 1 << 14  # elements worked on at a time, so that the temporaries stay in the second-level cache


# -- suspects --------------------------------------------------------------------------------------


def _suspects(y: Floats, bits: int, fmt: FloatFormat) -> Places:
    """Return where y is too near a number of `bits` bits. Zeros, infinities and NaNs are among them."""
    dropped = 53 - bits
    if dropped < 12:  # every number is near one
        return np.arange(y.size)
    words = np.add(y.view(np.int64), _NEAR)
    words &= (1 << dropped) - 1
    near = words <= 2 * _NEAR
    if fmt.smallest_subnormal < 4 * _TINY:
        near |= np.abs(y) < _TINY
    return np.flatnonzero(near)


def _kernel(name: str, x: Floats) -> Floats:
    """Return f(x) in float64; a NaN has the sign of x where x is NaN, else none (NumPy's depends on the processor)."""
    y = TABLE[name].kernel(x)
    if y.size and np.isnan(y.max()):
        nan = np.isnan(y)
        y[nan] = np.where(np.isnan(x[nan]), np.copysign(np.nan, x[nan]), np.nan)
    return y


def _settle(name: str, x: Floats, y: Floats, where: Places, task: Task | None, integers: Any = None) -> None:
    """Replace suspects in y by what rounds as f(x) does under the task.

    Without a task: by what rounds as f(x) does under any, and is exact where f(x) is.
    """
    xs, ys = x[where], y[where]
    nan = np.isnan(ys)
    ys[nan] = np.where(np.isnan(xs), xs, np.nan)[
        nan
    ]  # the sign of a NaN that NumPy makes depends on the processor
    settled = ~np.isfinite(xs) | nan
    for case in TABLE[name].cases:
        here = ~settled & case.where(xs)
        if here.any():
            ys[here] = case.value(xs[here]) if callable(case.value) else case.value
            settled |= here
    rest = np.flatnonzero(~settled)
    if rest.size and task is not None:
        middle = ys[rest]
        tiny = np.abs(middle) < _TINY
        low = np.where(tiny, np.copysign(_SMALLEST, middle), middle * (1 - _ERROR))
        high = np.where(tiny, np.copysign(2 * _TINY, middle), middle * (1 + _ERROR))
        drawn = {} if integers is None else {"random_integers": integers[where[rest]]}
        a, b = (quantize(end, task.fmt, **task.options, **drawn) for end in (low, high))
        alike = ((a == b) | (np.isnan(a) & np.isnan(b))) & np.isfinite(middle)
        ys[rest[alike]] = np.where(tiny, low, middle)[alike]  # a tiny result may have been computed as 0
        rest = rest[~alike]
    if rest.size:
        numbers, places = np.unique(xs[rest], return_inverse=True)
        ys[rest] = np.array([sticky(name, number) for number in numbers.tolist()])[places]
    y[where] = ys


def sticky_values(name: str, x: Floats, precision: int = _WIDEST) -> Floats:
    """Return f(x) as float64 numbers that every mode rounds as it would round f(x).

    They are exact where f(x) is a float64, so that flags come out right as well: `evaluate` is this and one rounding.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS`.
    x : array of float64
        Any shape.
    precision : int
        The bits of precision of the formats to round to, at most 24.

    Examples
    --------
    >>> sticky_values("tanh", np.array([0.0, 30.0])).tolist()
    [0.0, 0.9999999999999999]
    """
    flat = np.ascontiguousarray(x, np.float64).reshape(-1)
    with np.errstate(all="ignore"):
        y = _kernel(name, flat)
        where = _suspects(y, precision + 1, _ANY_EXPONENT)
        if where.size:
            _settle(name, flat, y, where, None)
    return y.reshape(np.shape(x))


_ANY_EXPONENT = get_format("float64")


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
    def is_float32(self) -> bool:
        """Whether a cast to NumPy's float32 is the rounding that was asked for."""
        usual = {"rounding": "nearest_even", "overflow": None, "subnormals": "gradual"}
        return self.fmt.same_as(get_format("float32")) and self.options == usual and not self.flush_inputs

    @cached_property
    def table(self) -> Array:
        """The result for each float32 of 11 bits of precision, in the order of their bits."""
        check_environment()
        x = (np.arange(1 << 19, dtype=np.uint32) << 13).view(np.float32)
        result = np.concatenate([self.compute(x[block]) for block in _blocks(x.size)])
        result.flags.writeable = False
        return result

    def has_table(self, size: int) -> bool:
        """Whether a table is worth looking into: it is there already, or the array is large enough to make it."""
        return "table" in self.__dict__ or (size >= 4096 and self.fmt.has_nan)

    def wide(self, x: Array) -> Floats:
        """Return x in float64, with what is to be flushed flushed."""
        wide: Floats = x.astype(np.float64)
        if self.flush_inputs:
            wide[np.abs(wide) < self.fmt.smallest_normal] *= 0.0  # keeps the sign
        return wide

    def run(self, x: Array, integers: Any = None) -> Array:
        """Return f(x) for a flat array, rounded: from the table, or block by block."""
        values = np.empty(x.size, self.fmt.value_dtype)
        if integers is None and x.dtype != np.float64 and self.has_table(x.size):
            words = x.astype(np.float32, copy=False).view(np.int32)
            if not np.bitwise_or.reduce(words) & 0x1FFF:  # 11 bits of precision: 23 - 10 = 13 zeros
                for block in _blocks(x.size):
                    self.table.take(words[block].view(np.uint32) >> 13, out=values[block], mode="clip")
                return values
        for block in _blocks(x.size):
            values[block] = self.compute(x[block], None if integers is None else integers[block])
        return values

    def compute(self, x: Array, integers: Any = None) -> Array:
        """Return f(x) for a block of numbers, rounded."""
        wide = self.wide(x)
        if self.fmt.precision > _WIDEST:
            assert self.function.primitive is not None
            y = self.function.primitive(wide)
        else:
            y = _kernel(self.name, wide)
            if self.is_float32:
                low, high = (y * (1 - _ERROR)).astype(np.float32), (y * (1 + _ERROR)).astype(np.float32)
                if low.tobytes() == high.tobytes():
                    return low
            # Stochastic rounding compares with a random integer, and so looks at that many more bits.
            random_bits = self.options.get("random_bits", -1)
            where = _suspects(y, self.fmt.precision + 2 + random_bits, self.fmt)
            if where.size:
                _settle(self.name, wide, y, where, self, integers)
        drawn = {} if integers is None else {"random_integers": integers}
        return self.values(quantize(y, self.fmt, **self.options, **drawn))

    def values(self, rounded: Floats) -> Array:
        """Return rounded float64 numbers in the format's own type, with one NaN."""
        values = rounded.astype(self.fmt.value_dtype, copy=False)
        if not self.fmt.has_infinity:  # where an overflow may have become a NaN with any bits
            nan = np.isnan(values)
            values[nan] = np.copysign(np.nan, values[nan]) if self.fmt.nan_has_sign else np.nan
        return values

    def run_with_flags(self, x: Array, integers: Any) -> tuple[Array, Flags]:
        """Return f(x) for a flat array, rounded, and the exceptions of the function and of the rounding."""
        wide = self.wide(x)
        y = sticky_values(self.name, wide)
        drawn = {} if integers is None else {"random_integers": integers}
        values, flags = quantize(y, self.fmt, **self.options, **drawn, return_flags=True)
        domain = np.isnan(y) & ~np.isnan(wide)
        pole = np.isinf(y) & np.isfinite(wide)
        exact = domain | pole
        return self.values(values), Flags(
            flags.invalid | domain,
            flags.divide_by_zero | pole,
            flags.overflow & ~exact,
            flags.underflow & ~exact,
            flags.inexact & ~exact,
        )


def _find_task(*options: Any) -> Task:
    try:
        return _task(*options)
    except TypeError:  # a list, for instance, which no cache can look up, and which is no option either
        return _task.__wrapped__(*options)


@lru_cache(maxsize=64)
def _task(
    name: str, fmt: Any, rounding: str, overflow: str | None, subnormals: str, flush_inputs: bool
) -> Task:
    check_option("function", name, FUNCTIONS)
    fmt = get_format(fmt)
    rule = make_rule(fmt, rounding, overflow, subnormals, flush_inputs)  # refuses what cannot be
    if fmt.precision > _WIDEST and TABLE[name].primitive is None:
        have = ", ".join(n for n, f in TABLE.items() if f.primitive is not None)
        raise FormatError(
            f"Formats of more than {_WIDEST} bits of precision have these functions: {have}. "
            f"Got {name!r} for {fmt}. Use one of them, or a format of at most {_WIDEST} bits."
        )
    if fmt.precision <= _WIDEST and fmt.smallest_subnormal < 4 * _SMALLEST:
        raise FormatError(
            f"A function is rounded from a float64, which must have two bits to spare below the smallest value. "
            f"Got {fmt}, with {fmt.smallest_subnormal!r}. Use a format with a smaller bias."
        )
    options = {"rounding": rounding, "overflow": overflow, "subnormals": subnormals}
    return Task(name, TABLE[name], fmt, options, rule.flush_inputs)


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, size, _BLOCK))


# -- the front door ------------------------------------------------------------------------------------


@overload
def evaluate(
    name: str,
    x: Any,
    fmt: Any,
    *,
    rounding: str = ...,
    overflow: str | None = ...,
    subnormals: str = ...,
    flush_inputs: bool = ...,
    rng: np.random.Generator | None = ...,
    random_bits: int | None = ...,
    random_integers: Any = ...,
    return_flags: Literal[False] = ...,
) -> Array: ...
@overload
def evaluate(
    name: str,
    x: Any,
    fmt: Any,
    *,
    rounding: str = ...,
    overflow: str | None = ...,
    subnormals: str = ...,
    flush_inputs: bool = ...,
    rng: np.random.Generator | None = ...,
    random_bits: int | None = ...,
    random_integers: Any = ...,
    return_flags: Literal[True],
) -> tuple[Array, Flags]: ...
def evaluate(
    name: str,
    x: Any,
    fmt: Any,
    *,
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    flush_inputs: bool = False,
    rng: np.random.Generator | None = None,
    random_bits: int | None = None,
    random_integers: Any = None,
    return_flags: bool = False,
) -> Array | tuple[Array, Flags]:
    """Return f(x) for each element, correctly rounded to a format.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS`: exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan, sinh, cosh, tanh, sigmoid,
        softplus, erf, gelu (x times the normal distribution function), sqrt, rsqrt, reciprocal.
    x : array_like
        Real numbers of any kind and shape; they need not be values of the format.
    fmt : str, FloatFormat or dtype
        The format of the result. With more than 24 bits of precision the result is that of the float64 function of
        `floatlab.wide`, where there is one: the same on every CPU, but not always correctly rounded.
    rounding, overflow, subnormals, rng, random_bits, random_integers
        As in `quantize`. The result at a pole, as of log(0), is treated as an infinity, any other as a finite number.
    flush_inputs : bool
        Whether an x below the format's smallest normal value counts as zero.
    return_flags : bool
        Whether to return the `Flags` as well. For formats of at most 24 bits of precision.

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
    task = _find_task(name, fmt, rounding, overflow, subnormals, flush_inputs)
    return_flags = return_flags is not False and check_switch("return_flags", return_flags)
    given = as_source(x, _FLOAT64)
    source = asnumpy(given) if is_gpu_array(given) else given
    flat, integers = source.reshape(-1), None
    if rounding.startswith("stochastic"):
        draw = RandomIntegers(rng, random_bits, random_integers)
        draw.fit(flat if draw.supplied is None else source)
        integers = np.asarray(draw.block(0, flat.size)).astype(np.int64)
        task = replace(task, options=task.options | {"random_bits": draw.bits})
    if return_flags and task.fmt.precision > _WIDEST:
        raise FormatError(
            f"Flags need a correctly rounded result, which formats of at most {_WIDEST} bits have. Got {task.fmt}. "
            "Leave return_flags away."
        )
    module = array_module(given)
    with np.errstate(all="ignore"):
        if not return_flags:
            return module.asarray(task.run(flat, integers).reshape(source.shape))
        values, flags = task.run_with_flags(flat, integers)
    parts = (getattr(flags, name).reshape(source.shape) for name in flags.__dataclass_fields__)
    return module.asarray(values.reshape(source.shape)), Flags(*map(module.asarray, parts))
