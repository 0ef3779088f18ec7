"""How does anything become an array of values of a format? What is asked, checked; what is given, rounded once.

`quantize` takes numbers of any kind, and arrays of any type and size. Short formats go by the tables of
`kernels/lookup.py`, others by the block kernels wherever there is one, and what is left by the steps of
`definition.py`; the tests hold them together. Every conversion rounds once, from the exact source value.

Source: IEEE 754-2019, section 4.3; IEEE P3109 for stochastic rounding.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, Unpack, overload

import numpy as np

from floatlab.backend import Array, array_module, ignore_float_errors, is_gpu_array, may_share_memory
from floatlab.errors import DtypeError, OptionError, ShapeError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.device.rounding import put
from floatlab.rounding.flagged import round_with_flags
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import exact_source
from floatlab.rounding.odd import Exact
from floatlab.rounding.options import RoundingOptions, Rule, check_names, make_rule
from floatlab.rounding.plan import Plan, plan
from floatlab.rounding.pool import in_pieces, threads_for
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import Rounded, round_ratio
from floatlab.system.environment import check_environment

__all__ = ["prepare", "put_exact", "quantize", "round_floats"]


@overload
def quantize(
    x: Any,
    fmt: Any,
    *,
    out: Array | None = ...,
    threads: int | None = ...,
    return_flags: Literal[False] = ...,
    **options: Unpack[RoundingOptions],
) -> Array: ...
@overload
def quantize(
    x: Any,
    fmt: Any,
    *,
    out: Array | None = ...,
    threads: int | None = ...,
    return_flags: Literal[True],
    **options: Unpack[RoundingOptions],
) -> tuple[Array, Flags]: ...
@overload
def quantize(
    x: Any,
    fmt: Any,
    *,
    out: Array | None = ...,
    threads: int | None = ...,
    return_flags: bool,
    **options: Unpack[RoundingOptions],
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
    threads: int | None = None,
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
    threads : int, optional
        How many threads convert a large array, to the same bits; flags are taken in one. Default: what the context
        says, `floatlab.threads`, which is 1.
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
        check_names("quantize", unknown, (*RoundingOptions.__annotations__, "return_flags", "out", "threads"))
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
    count = threads_for(source.size, threads)
    if return_flags is not False and check_switch("return_flags", return_flags):
        values, flags = round_with_flags(source, rule, draw)
        put(out, values)
        if rest:
            put_exact(out, rest, rule, draw, flags)
        return out, flags
    if source.size:
        conversion = plan(rule, source.dtype, None if draw is None else draw.bits)
        if count == 1 or not _in_threads(conversion, out, source, draw, count):
            with ignore_float_errors(source):
                conversion.run(out, source, draw)
        if rest:
            put_exact(out, rest, rule, draw)
    return out


def _in_threads(conversion: Plan, out: Array, source: Array, draw: RandomIntegers | None, count: int) -> bool:
    """Round pieces of the memory, or rows along the first axis, in threads; return False where there are too few."""
    if is_gpu_array(source):
        return False
    if source.flags.c_contiguous and out.flags.c_contiguous:
        x, y = source.reshape(-1), out.reshape(-1)
    else:
        x, y = source, out
    if len(x) < count:
        return False

    def work(piece: slice, integers: RandomIntegers | None) -> None:
        part = x[piece]
        conversion.run(part if source is out else y[piece], part, integers, piece.start * row)

    row = x.size // len(x)
    in_pieces(work, len(x), draw, count, row)
    return True


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
        draw.hold(source.size)
    return source, rest, draw


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
        where = np.unravel_index(place, out.shape)
        with np.errstate(all="ignore"):
            out[where] = found.value
        if flags is not None:
            for name in ("invalid", "overflow", "underflow", "inexact"):
                getattr(flags, name)[where] = getattr(found, name)
