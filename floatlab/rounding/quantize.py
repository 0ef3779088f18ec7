"""Which representable value does a number become?

Rounding a number to a format takes four steps, and `round_exactly` below is those four steps written out:

1. *Find the unit.* In the binade of the number the format's values are multiples of a unit in the last place;
   below the smallest normal value the unit stays what it is there (gradual underflow).
2. *Count units.* The number is a whole count of units and a fraction of one.
3. *Decide.* The rounding mode looks at the fraction, the sign, and whether the count is odd, and either
   keeps the count or adds one.
4. *Look at the ends.* A result beyond the largest finite value is an overflow; the policy says what it becomes.

`quantize` does the same to arrays of any kind and size: short formats by the tables of `lookup.py`, others by the block
kernel in `kernel.py` wherever there is one; the tests hold them together. Every conversion rounds once,
from the exact source value.

Source: IEEE 754-2019, sections 4.3 (rounding), 7.4 and 7.5 (overflow, underflow); IEEE P3109 for stochastic rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Unpack, overload

import numpy as np

from floatlab.backend import Array, array_module, ignore_float_errors, is_gpu_array, may_share_memory, widened
from floatlab.errors import DtypeError, OptionError, ShapeError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import exact_source
from floatlab.rounding.integers import Exact
from floatlab.rounding.kernels.lookup import Lookup, has_keys
from floatlab.rounding.kernels.magic import kernel_for
from floatlab.rounding.modes import Discarded, decides_by_code
from floatlab.rounding.options import (
    OVERFLOW_POLICIES,
    ROUNDING_MODES,
    RoundingOptions,
    Rule,
    check_names,
    make_rule,
)
from floatlab.rounding.plan import Plan, refuse_nan
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import Rounded, round_ratio
from floatlab.system.environment import check_environment

__all__ = ["OVERFLOW_POLICIES", "ROUNDING_MODES", "Flags", "Rule", "make_rule", "quantize", "round_exactly"]

# -- the four steps, readable --------------------------------------------------------------------------


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


# -- arrays of any kind --------------------------------------------------------------------------------


@overload
def quantize(
    x: Any,
    fmt: Any,
    *,
    out: Array | None = ...,
    return_flags: Literal[False] = ...,
    **options: Unpack[RoundingOptions],
) -> Array: ...
@overload
def quantize(
    x: Any,
    fmt: Any,
    *,
    out: Array | None = ...,
    return_flags: Literal[True],
    **options: Unpack[RoundingOptions],
) -> tuple[Array, Flags]: ...
@overload
def quantize(
    x: Any, fmt: Any, *, out: Array | None = ..., return_flags: bool, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]: ...
def quantize(
    x: Any,
    fmt: Any,
    *,
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    flush_inputs: bool = False,
    rng: np.random.Generator | int | None = None,
    random_bits: int | None = None,
    random_integers: Any = None,
    out: Array | None = None,
    return_flags: bool = False,
    **unknown: Any,
) -> Array | tuple[Array, Flags]:
    """Round numbers to the values of a format, once, from their exact values.

    Parameters
    ----------
    x : array_like
        Real numbers of any kind and shape: floats, long doubles, integers, ml_dtypes arrays, `fractions.Fraction`,
        `decimal.Decimal`, decimal texts ("0.1", "1e400", "inf", "nan"), arrays of texts or objects, and lists of all
        of these. Each is rounded once, from its exact value: "0.1" is a tenth, 0.1 is the float64 nearest to it.
    fmt : str, FloatFormat or dtype
        The format.
    rounding : str
        "nearest_even", "nearest_away" or "nearest_zero" (ties to the even code, away from or towards zero),
        "toward_zero", "toward_positive", "toward_negative", "to_odd" (an inexact value goes to the neighbour whose
        code is odd), or "stochastic", "stochastic_b", "stochastic_c" (P3109's variants A, B and C).
    overflow : {None, "infinity", "nan", "saturate", "propagate"}
        What a value beyond the largest finite one becomes. None: what the format defines, which is infinity where
        it has one, else NaN where it has one, else the largest value (in a finite P3109 format always that). Modes
        that round inward stop at the largest value, as IEEE 754 has it; so does "to_odd", but for the signed
        P3109 formats with infinities, where the odd code is that of infinity. "saturate" clamps infinities
        too. "propagate" (P3109's SatPropagate) clamps finite values and keeps infinities; where there are none, an
        infinity becomes what it is by default. In an unsigned P3109 format a value that rounds to below zero is
        NaN, unless it is clamped or the mode is "toward_zero" or "toward_positive", which give 0; -infinity is
        NaN unless it is clamped.
    subnormals : {"gradual", "flush"}
        Whether a subnormal result is kept, or becomes a zero of its sign.
    flush_inputs : bool
        Whether a source below the format's smallest normal value counts as zero.
    rng : numpy.random.Generator or int, optional
        Where stochastic rounding takes its random integers from; one per element, in C order. An integer is the seed
        of a new generator.
    random_bits : int, optional
        How many random bits per element stochastic rounding uses, 1 to 48. Default: 16.
    random_integers : array_like of int, optional
        The random integers themselves, from 0 to ``2**random_bits - 1``, so that a rounding can be replayed.
    out : array, optional
        Where to put the result; may be `x` itself. Its dtype must hold the format's values.
    return_flags : bool
        Whether to return the `Flags` as well.

    Returns
    -------
    array
        The values, of the shape of `x`. Its dtype is that of `x` if that is a NumPy float type that holds every value
        of the format, else float32, or float64 where float32 does not hold them.
    Flags
        Only with ``return_flags=True``.

    Raises
    ------
    DtypeError
        If `x` is not an array of real numbers.
    FloatEnvironmentError
        If the processor flushes to zero in this thread, or rounds in another direction.
    FormatError, OptionError, OverflowPolicyError
        If a name or an option is unknown; the message suggests the nearest. `OverflowPolicyError` also for a NaN in a
        format without one.

    Examples
    --------
    >>> quantize([0.1, 1000.0], "e4m3").tolist()
    [0.1015625, nan]
    >>> quantize(464.0, "e4m3", rounding="nearest_away", overflow="saturate").item()
    448.0
    """
    check_environment()
    if unknown:
        check_names("quantize", unknown, (*RoundingOptions.__annotations__, "return_flags", "out"))
    fmt = get_format(fmt)
    rule = make_rule(fmt, rounding, overflow, subnormals, flush_inputs)
    source, rest, draw = prepare(x, rule, rng, random_bits, random_integers)
    given = x.dtype if isinstance(x, np.ndarray | np.generic) or is_gpu_array(x) else None
    dtype = _result_dtype(given, source.dtype, fmt)
    if out is None:
        out = array_module(source).empty(source.shape, dtype)
    else:
        _check_out(out, source.shape, fmt)
        if source is not out and may_share_memory(source, out):
            source = source.copy()  # or elements would be overwritten before they are read
    if return_flags is not False and check_switch("return_flags", return_flags):
        values, flags = convert_with_flags(source, rule, draw)
        with ignore_float_errors(values):
            out[...] = values
        if rest:
            put_exact(out, rest, rule, draw, flags)
        return out, flags
    if source.size:
        conversion = plan(rule, source.dtype, None if draw is None else draw.bits)
        with ignore_float_errors(source):
            conversion.run(out, source, draw)
        if rest:
            put_exact(out, rest, rule, draw)
    return out


def round_floats(source: Array, rule: Rule, out: Array, draw: RandomIntegers | None = None) -> Array:
    """Round float32 or float64 numbers into `out`, which may be the source itself, and holds the format."""
    if source.size:
        plan(rule, source.dtype, None if draw is None else draw.bits).run(out, source, draw)
    return out


def prepare(
    x: Any, rule: Rule, rng: np.random.Generator | int | None, random_bits: int | None, random_integers: Any
) -> tuple[Array, dict[int, Exact], RandomIntegers | None]:
    """Return the exact source values, those of them that no float64 is, and a stochastic rounding's integers."""
    if rule.variant is None:
        return *exact_source(x, rule.fmt), None
    draw = RandomIntegers(rng, random_bits, random_integers)
    source, rest = exact_source(x, rule.fmt, draw.bits + 1)
    draw.fit(source)
    if rest:
        draw.hold(source)
    return source, rest, draw


@dataclass(frozen=True)
class Readable:
    """`round_exactly` where a kernel is expected: for the formats whose rules are their own."""

    rule: Rule

    def __call__(self, x: Array, integers: Array | None, bits: int) -> Array:
        return round_exactly(x, self.rule, integers, bits)


@lru_cache(maxsize=512)
def plan(rule: Rule, source: np.dtype[Any], bits: int | None) -> Plan:
    """Decide once for all conversions of this kind: the tables, the kernel, and the type to work in."""
    short = bits is None and source.itemsize <= 4 and has_keys(rule.fmt)
    lookup = Lookup(Readable(rule)) if short else None
    for carrier in (np.dtype(np.float32), np.dtype(np.float64)):
        if source.itemsize > carrier.itemsize:
            continue
        kernel = kernel_for(rule.fmt, carrier)
        if kernel is not None and bits is None and not hasattr(kernel, rule.rounding):
            kernel = None  # a mode that the kernels do not know is rounded by the readable steps
        if kernel is not None and (bits is None or bits <= kernel.random_bits_limit()):
            return Plan(rule, carrier, kernel, Readable(rule), lookup)
    return Plan(rule, np.dtype(np.float64), None, Readable(rule), lookup)


@lru_cache(maxsize=512)
def _result_dtype(given: np.dtype[Any] | None, source: np.dtype[Any], fmt: FloatFormat) -> np.dtype[Any]:
    """Keep the type of a float array if it holds the format; what was no float gets the format's own type."""
    if given is None or given.newbyteorder("=") != source:
        return fmt.value_dtype
    return source if _holds(source, fmt) else fmt.value_dtype


def _holds(dtype: np.dtype[Any], fmt: FloatFormat) -> bool:
    """Whether a NumPy float type holds every value of the format."""
    if dtype.itemsize == 2:
        return fmt.mantissa_bits <= 10 and fmt.emax <= 15 and fmt.etiny >= -24
    return dtype.itemsize >= fmt.value_dtype.itemsize


_OUT_DTYPES = frozenset(np.dtype(t) for t in (np.float16, np.float32, np.float64))


def _check_out(out: Array, shape: tuple[int, ...], fmt: FloatFormat) -> None:
    if not (isinstance(out, np.ndarray) or is_gpu_array(out)) or out.dtype not in _OUT_DTYPES:
        raise DtypeError(
            f"out is an array of NumPy floats. Got {getattr(out, 'dtype', type(out).__name__)}. "
            f"Use dtype {fmt.value_dtype}."
        )
    if isinstance(out, np.ma.MaskedArray):
        raise DtypeError("out has a place for every value. Got a masked array. Pass out.data.")
    if not _holds(out.dtype, fmt):
        raise DtypeError(
            f"out must hold every value of the format. Got dtype {out.dtype}. Use {fmt.value_dtype}."
        )
    if out.shape != shape:
        raise ShapeError(f"out has the shape of x. Got {out.shape} for x of shape {shape}. Allocate it anew.")
    if not getattr(out.flags, "writeable", True):
        raise OptionError("out must be writeable. Got a read-only array. Pass a copy, or leave out away.")


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
    return values, Flags(invalid, xp.zeros(x.shape, bool), overflow, underflow, inexact)


def put_exact(
    out: Array, rest: dict[int, Exact], rule: Rule, draw: RandomIntegers | None, flags: Flags | None = None
) -> None:
    """Put in the results, and the flags, of numbers n * 2^e for which no float64 can stand; in place."""
    fmt, bits = rule.fmt, 0 if draw is None else draw.bits
    smallest = Fraction(fmt.smallest_normal)
    for place, (n, e) in rest.items():
        if rule.flush_inputs and abs(n) * Fraction(2) ** e < smallest:
            zero = -rule.zero if n < 0 and fmt.has_negative_zero else rule.zero
            found = Rounded(zero, invalid=not fmt.has_zero)
        else:
            R = 0 if draw is None else int(draw.block(place, 1)[0])
            found = round_ratio(n << max(e, 0), 1 << max(-e, 0), rule, R, bits)
        with np.errstate(all="ignore"):
            out.flat[place] = found.value
        if flags is not None:
            for name in ("invalid", "overflow", "underflow", "inexact"):
                getattr(flags, name).flat[place] = getattr(found, name)


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
