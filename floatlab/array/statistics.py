"""What are the spread and the middle of a FloatArray? ``var std median quantile average``, and those that skip NaN.

With the accumulators "wide" and "exact" each result is the exact one, rounded once, for every format: the variance of
n numbers is a rational number ::

    sum of (x - mean)^2 / (n - ddof)  =  (n * sum of x^2  -  (sum of x)^2) / (n * (n - ddof))

whose numerator is an integer times a power of two; the standard deviation is the correctly rounded root of that. With
an accumulator that has an order, `var`, `std` and `average` are composed of rounded operations: the mean as
`floatlab.mean` has it, each difference and each square rounded, their sum with the accumulator, and the quotient and
the root rounded. `median` and `quantile` add up nothing, and are always exact and rounded once.

Infinities: the variance of a row with an infinity or a NaN is NaN. Dividing by n - ddof <= 0 gives infinity, or NaN for
a row without spread, as in NumPy; so does no row at all.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Unpack

import numpy as np

from floatlab.array.calls import Call, reduction, resolve
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.ratios import Pair, as_pair, has_room, ratio, root, round_once
from floatlab.array.reductions import cumprod, cumsum, mean, prod, sum
from floatlab.array.stand_ins import into
from floatlab.backend import Array, asnumpy
from floatlab.errors import DtypeError, OptionError, ShapeError, check_option
from floatlab.formats import get_format
from floatlab.operations.operate import operate
from floatlab.rounding.flags import Flags, is_tracking
from floatlab.rounding.inputs import as_source
from floatlab.rounding.modes import cancelled, draws
from floatlab.rounding.quantize import quantize
from floatlab.sums import matmul as accumulate
from floatlab.sums.exact import add_to_odd
from floatlab.sums.names import has_flags
from floatlab.sums.operands import as_rows, axes_of
from floatlab.sums.signatures import ReductionOptions, of_axes, of_spread

__all__ = [
    "average",
    "median",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "quantile",
    "std",
    "var",
]

_FLOAT64 = get_format("float64")
_SHORT = 26  # bits of a number whose square, cut in two, float64 adds up without error
_LONGEST = 1 << 26  # so many terms of 26 bits stay below 2^53
_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


# -- rows ------------------------------------------------------------------------------------------------------


class _Rows(NamedTuple):
    """The elements of each result in a row; the shape of the results, and that of the array that is returned."""

    values: np.ndarray[Any, Any]
    shape: tuple[int, ...]


def _rows(x: Any, axis: Any, keepdims: bool) -> _Rows:
    values = asnumpy(as_source(x, _FLOAT64)).astype(np.float64, copy=False)
    return _Rows(*as_rows(values, axis, keepdims))


def _is_exact(call: Call) -> bool:
    """Return whether the accumulator rounds once. One that does not has no flags to return."""
    if has_flags(call.options["accumulator"]):
        return True
    if call.return_flags:
        raise OptionError(
            f'Flags of {call.name} are known for the accumulators "wide" and "exact". '
            f"Got {call.options['accumulator']!r}. Leave return_flags out."
        )
    return False


def _of_operation(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k != "accumulator"}


# -- exact sums ------------------------------------------------------------------------------------------------


def integer_sums(rows: Array) -> tuple[Array, Array, int]:
    """Return the sums of each row and of its squares as Python integers, in units of 2^e and 2^2e, and e.

    >>> integer_sums(np.array([[0.5, 1.5, -3.0]]))
    (array([-4], dtype=object), array([184], dtype=object), -2)
    """
    digits, shifts, exponent, bits = _digits(rows)
    span = int(np.max(shifts, initial=0)) + 1
    if bits <= _SHORT and span <= rows.shape[1] <= _LONGEST:
        totals, squares = _sums_by_exponent(digits, shifts, span)
    else:
        integers = np.left_shift(digits.astype(object), shifts.astype(object))
        zero = np.zeros(len(rows), object)
        totals, squares = (x.sum(axis=1) if x.size else zero for x in (integers, integers * integers))
    return totals, squares, exponent


def _sums_by_exponent(digits: Array, shifts: Array, span: int) -> tuple[Array, Array]:
    """Add up the digits of equal exponent, without error, in float64; and then a few Python integers for each row."""
    n = len(digits)
    places = (np.arange(n)[:, None] * span + shifts).ravel()
    squares = digits * digits

    def add_up(numbers: Array) -> Array:
        sums = np.bincount(places, numbers.ravel(), n * span)
        return sums.astype(np.int64).astype(object).reshape(n, span)

    by_one = np.arange(span).astype(object)
    high, low = squares >> _SHORT, squares & (1 << _SHORT) - 1
    both = np.left_shift(add_up(high), _SHORT) + add_up(low)
    return (
        np.left_shift(add_up(digits), by_one).sum(axis=1),
        np.left_shift(both, 2 * by_one).sum(axis=1),
    )


class _Moments(NamedTuple):
    """The exact sums of each row; `special` is NaN or an infinity where the plain sum is, and 0 elsewhere."""

    counts: list[int]
    totals: Array
    squares: Array
    exponent: int
    special: Array
    has_nan: Array


def _moments(rows: Array, skip_nan: bool, needed: Array) -> _Moments:
    """Return the sums of the rows that are `needed`; those of the others are 0."""
    finite = np.isfinite(rows)
    nan = np.isnan(rows)
    counts = np.sum(~nan, axis=1) if skip_nan else np.full(len(rows), rows.shape[1])
    special, has_nan = np.zeros(len(rows)), np.zeros(len(rows), bool)
    if not finite.all():
        with np.errstate(all="ignore"):
            special = np.sum(np.where(finite | (nan & skip_nan), 0.0, rows), axis=1)
        has_nan = nan.any(axis=1) & (not skip_nan)
        rows = np.where(finite, rows, 0.0)
    totals, squares = np.zeros(len(rows), object), np.zeros(len(rows), object)
    totals[needed], squares[needed], exponent = integer_sums(rows[needed])
    return _Moments(counts.tolist(), totals, squares, exponent, special, has_nan)


# -- certified estimates -----------------------------------------------------------------------------------------

# A Python integer for each of many rows takes long. Float64 is near enough to most exact results to tell what they
# round to: where both ends of an interval that holds the exact one round alike, nobody needs to know more. With
# u = 2^-53, a sum of n terms in any order is off by less than 1.01 n u times the sum of their magnitudes (Higham 2002,
# "Accuracy and Stability of Numerical Algorithms", section 4.2).

_UNIT = 2.0**-53
_SAFETY = 1.01
_MANY_ROWS = 32
_ESTIMATED_PRECISION = 40  # above, most intervals would hold a mark
_TAME = (2.0**-200, 2.0**200)  # squares and products stay far from the ends of float64

Interval = tuple[Array, Array]


def _settled(
    interval: Callable[[], Interval], numbers: Sequence[Array], whole: Array, call: Call
) -> Interval:
    """Return which of the `whole` rows an estimate tells what they round to, and numbers that round so."""
    count = len(numbers[0])
    none = np.zeros(count, bool), np.zeros(count)
    if count < _MANY_ROWS or call.wanted or call.fmt.precision > _ESTIMATED_PRECISION:
        return none
    if draws(call.options["rounding"]) or not call.fmt.has_zero:
        return none
    sizes = [np.abs(x[x != 0]) for x in numbers]
    if not all(((x >= _TAME[0]) & (x <= _TAME[1])).all() for x in sizes):
        return none
    with np.errstate(all="ignore"):
        low, high = interval()
    kept = _of_operation(call.options)
    inside = (low > 0) == (high > 0)
    inside &= np.isfinite(low) & np.isfinite(high) & (low != 0) & (high != 0)
    low, high = np.where(inside, low, 0.0), np.where(inside, high, 0.0)
    below, above = quantize(low, call.fmt, **kept), quantize(high, call.fmt, **kept)
    return whole & inside & ((below == above) | (np.isnan(below) & np.isnan(above))), low


def _interval(middle: Array, error: Array) -> Interval:
    error = error + 4 * _UNIT * np.abs(middle)
    return middle - error, middle + error


def _unit_bound(n: int) -> float:
    """Return a bound of the relative error of a sum of n rounded products of one sign."""
    return _SAFETY * (n + 2) * _UNIT


def _estimated_mean(rows: Array, counts: Array) -> tuple[Array, Array]:
    """Return the mean of each row, whose missing elements are zeros, and a bound of its error."""
    n = rows.shape[1]
    return rows.sum(axis=1) / counts, _SAFETY * (n + 3) * _UNIT * np.abs(rows).sum(axis=1) / counts


def _estimated_spread(rows: Array, present: Array, counts: Array, scale: Array, is_root: bool) -> Interval:
    """Return an interval that holds the variance (the standard deviation) of each row.

    The sum of squares about a mean that is off by e is too large by n e^2, and every term by a few units.
    """
    middle, off = _estimated_mean(rows, counts)
    squares = np.where(present, rows - middle[:, None], 0.0) ** 2
    total = squares.sum(axis=1)
    error = _SAFETY * ((rows.shape[1] + 5) * _UNIT * total + counts * off**2)
    low, high = _interval(total / scale, error / scale)
    return _interval_of_roots(low, high) if is_root else (low, high)


def _interval_of_roots(low: Array, high: Array) -> Interval:
    return np.sqrt(np.maximum(low, 0.0)) * (1 - 4 * _UNIT), np.sqrt(high) * (1 + 4 * _UNIT)


def _estimated_average(x: Array, w: Array) -> Interval:
    n = x.shape[1]
    products = x * w
    total, scale = products.sum(axis=1), w.sum(axis=1)
    off = _SAFETY * (n + 3) * _UNIT * np.abs(products).sum(axis=1)
    off_scale = _SAFETY * (n + 3) * _UNIT * np.abs(w).sum(axis=1)
    quotient = total / scale
    error = (off + np.abs(quotient) * off_scale) / np.maximum(np.abs(scale) - off_scale, 0.0)
    return _interval(quotient, _SAFETY * error)


# -- spread ----------------------------------------------------------------------------------------------------


@of_spread
def var(
    x: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    **options: Unpack[ReductionOptions],
) -> Any:
    """Return the variance: with the accumulators "wide" and "exact" the exact one, rounded once.

    Parameters
    ----------
    x : FloatArray or array_like
        A FloatArray gives a FloatArray; plain numbers need `fmt` and give plain values.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; by default that of `x`.
    axis, keepdims
        As in `numpy.var`.
    ddof : int or float
        What is taken off the number of elements before dividing by it.
    **options
        Those of `floatlab.sum`, return_flags among them. With an accumulator that has an order, every operation on
        the way is rounded.

    Examples
    --------
    >>> import floatlab as fl
    >>> x = fl.array([1.0, 2.0, 4.0], "e4m3")
    >>> fl.var(x), fl.var(x, ddof=1)  # 14/9 and 7/3
    (FloatArray(1.5, format=float8_e4m3fn), FloatArray(2.25, format=float8_e4m3fn))
    >>> fl.var(x, "fp32")
    FloatArray(1.5555556, format=float32)
    """
    return _spread("var", x, fmt, axis, ddof, keepdims, options)


@of_spread
def std(
    x: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    **options: Unpack[ReductionOptions],
) -> Any:
    """Return the standard deviation: the root of the exact variance, rounded once. Parameters as in `var`.

    >>> import floatlab as fl
    >>> fl.std(fl.array([1.0, 2.0, 4.0], "fp16"))
    FloatArray(1.2470703, format=float16)
    """
    return _spread("std", x, fmt, axis, ddof, keepdims, options)


@of_spread
def nanvar(
    x: Any, fmt: Any = None, *, axis: Any = None, ddof: float = 0, keepdims: bool = False, **options: Any
) -> Any:
    """Return the variance of what is not NaN; parameters as in `var`."""
    return _spread("nanvar", x, fmt, axis, ddof, keepdims, options)


@of_spread
def nanstd(
    x: Any, fmt: Any = None, *, axis: Any = None, ddof: float = 0, keepdims: bool = False, **options: Any
) -> Any:
    """Return the standard deviation of what is not NaN; parameters as in `var`."""
    return _spread("nanstd", x, fmt, axis, ddof, keepdims, options)


def _spread(name: str, x: Any, fmt: Any, axis: Any, ddof: float, keepdims: bool, options: Any) -> Any:
    call = reduction(name, (x,), fmt, options, "ddof")
    rows = _rows(call.values[0], axis, keepdims)
    taken = _fraction("ddof", ddof)
    if not _is_exact(call):
        return call.finish(_composed_spread(rows, taken, call))
    settled, estimate = _settled_spread(rows.values, taken, call)
    sums = _moments(rows.values, name.startswith("nan"), ~settled)
    total, by_zero = np.where(sums.special == 0, 0.0, np.nan), np.zeros(len(rows.values), bool)
    exceptions: dict[int, Pair] = {}
    for i in np.flatnonzero((sums.special == 0) & ~settled).tolist():
        n = sums.counts[i]
        scale = n * taken.denominator - taken.numerator  # (n - ddof), as a whole number of its parts
        spread = n * int(sums.squares[i]) - int(sums.totals[i]) ** 2
        if n == 0 or scale <= 0:
            total[i], by_zero[i] = (np.inf, True) if spread else (np.nan, False)
        elif spread:
            take = root if name.endswith("std") else ratio
            exceptions[i] = take(spread * taken.denominator, n * scale, 2 * sums.exponent)
    total = np.where(settled, estimate, total)
    return _deliver(call, total, exceptions, rows, sums.has_nan, by_zero)


def _settled_spread(rows: Array, ddof: Fraction, call: Call) -> Interval:
    present = ~np.isnan(rows) if call.name.startswith("nan") else np.ones(rows.shape, bool)
    whole = np.isfinite(rows) | ~present
    numbers = np.where(np.isfinite(rows), rows, 0.0)
    counts = present.sum(axis=1)
    scale = np.maximum(counts - float(ddof), 0.0)

    def interval() -> Interval:
        return _estimated_spread(numbers, present, counts, scale, call.name.endswith("std"))

    return _settled(interval, [numbers], whole.all(axis=1), call)


def _deliver(
    call: Call,
    total: Array,
    exceptions: dict[int, Pair],
    rows: _Rows,
    has_nan: Array,
    by_zero: Array | None = None,
) -> Any:
    """Round the results of the rows, and tell which of them are invalid."""
    total = np.where(np.isnan(total), np.nan, total).reshape(rows.shape)  # every NaN is the positive one
    values, flags = round_once(total, call.fmt, call.options, call.wanted, exceptions)
    if flags is not None:
        zero = np.zeros(total.shape, bool) if by_zero is None else by_zero.reshape(total.shape)
        invalid = (flags.invalid | (np.isnan(total) & ~has_nan.reshape(total.shape))) & ~zero
        flags = Flags(invalid, flags.divide_by_zero | zero, flags.overflow, flags.underflow, flags.inexact)
    return call.finish(values, flags)


def _fraction(what: str, x: Any) -> Fraction:
    try:
        return Fraction(x.item() if hasattr(x, "item") else x)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"{what} is a finite number. Got {x!r}. Use 0 or 1.") from None


def _composed_spread(rows: _Rows, ddof: Fraction, call: Call) -> Array:
    """Return the spread as a program in the format computes it: each operation rounded."""
    x, fmt, given, kept = rows.values, call.fmt, call.options, _of_operation(call.options)
    counts: Any = x.shape[1]
    nan = np.isnan(x)
    if call.name.startswith("nan"):
        counts = np.sum(~nan, axis=1)[:, None]
        total = accumulate.sum(np.where(nan, 0.0, x), fmt, axis=1, keepdims=True, **given)
        middle = operate("divide", (total, np.float64(counts)), fmt, **kept)
    else:
        middle = mean(x, fmt, axis=1, keepdims=True, **given)
    off = operate("subtract", (x, middle), fmt, **kept)
    squares = operate("multiply", (off, off), fmt, **kept)
    if call.name.startswith("nan"):
        squares = np.where(nan, 0.0, squares)
    total = accumulate.sum(squares, fmt, axis=1, keepdims=True, **given)
    scale = np.maximum(np.float64(counts) - float(ddof), 0.0)
    result = operate("divide", (total, scale), fmt, **kept)
    if call.name.endswith("std"):
        result = operate("sqrt", (result,), fmt, **kept)
    spread: Array = result.reshape(rows.shape)
    return spread


def _composed_root(rows: Array, call: Call) -> Array:
    """Return the root of the sum of squares of each row, as a program in the format computes it."""
    kept = _of_operation(call.options)
    squares = operate("multiply", (rows, rows), call.fmt, **kept)
    total = accumulate.sum(squares, call.fmt, axis=1, **call.options)
    found: Array = operate("sqrt", (total,), call.fmt, **kept)
    return found


# -- means -----------------------------------------------------------------------------------------------------


@of_axes
def nansum(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the sum of what is not NaN; parameters as in `floatlab.sum`.

    >>> import floatlab as fl
    >>> fl.nansum(fl.array([1.0, np.nan, 2.5], "e4m3"))
    FloatArray(3.5, format=float8_e4m3fn)
    """
    return _without_nan("sum", sum, 0.0, x, fmt, options)


def _without_nan(
    name: str, function: Callable[..., Any], neutral: float, x: Any, fmt: Any, options: dict[str, Any]
) -> Any:
    """Compute with a neutral number in the place of NaN, which need not be a value of the format."""
    target, (values,), _, wrap = resolve(f"nan{name}", (x,), fmt)
    values = as_source(values, _FLOAT64).astype(np.float64)
    axes_of(options.get("axis"), values.shape)  # refuses what is none
    result = function(np.where(np.isnan(values), neutral, values), target, **options)
    if isinstance(result, tuple):
        return (FloatArray._wrap(result[0], target) if wrap else result[0], result[1])
    return FloatArray._wrap(result, target) if wrap else result


@of_axes
def nanmean(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[ReductionOptions]
) -> Any:
    """Return the mean of what is not NaN, the exact one rounded once; of nothing, NaN. Parameters as in `floatlab.sum`.

    >>> import floatlab as fl
    >>> fl.nanmean(fl.array([1.0, np.nan, 2.5], "e4m3"))
    FloatArray(1.75, format=float8_e4m3fn)
    """
    call = reduction("nanmean", (x,), fmt, options)
    rows = _rows(call.values[0], axis, keepdims)
    if not _is_exact(call):
        nan = np.isnan(rows.values)
        total = accumulate.sum(np.where(nan, 0.0, rows.values), call.fmt, axis=1, **call.options)
        counts = np.sum(~nan, axis=1, dtype=np.float64)
        result = operate("divide", (total, counts), call.fmt, **_of_operation(call.options))
        return call.finish(result.reshape(rows.shape))
    present = ~np.isnan(rows.values)
    numbers, counts = np.where(np.isfinite(rows.values), rows.values, 0.0), present.sum(axis=1)
    whole = np.all(np.isfinite(rows.values) | ~present, axis=1)

    def interval() -> Interval:
        return _interval(*_estimated_mean(numbers, counts))

    settled, estimate = _settled(interval, [numbers], whole, call)
    sums = _moments(rows.values, True, ~settled)
    total = np.where(sums.special == 0, _zero_of_sums(rows.values, call.options["rounding"]), sums.special)
    total = np.where(settled, estimate, total)
    exceptions: dict[int, Pair] = {}
    for i in np.flatnonzero((sums.special == 0) & ~settled).tolist():
        if sums.counts[i] == 0:
            total[i] = np.nan
        elif sums.totals[i]:
            exceptions[i] = ratio(int(sums.totals[i]), sums.counts[i], sums.exponent)
    return _deliver(call, total, exceptions, rows, sums.has_nan)


def _zero_of_sums(rows: Array, rounding: str) -> Array:
    """Return the zero that each row adds up to if it adds up to zero: that of all its terms, or the mode's."""
    minus, nan = np.signbit(rows), np.isnan(rows)
    all_plus, all_minus = np.all(~minus | nan, axis=1), np.all(minus | nan, axis=1)
    zeros: Array = np.where(all_plus, 0.0, np.where(all_minus, -0.0, cancelled(rounding)))
    return zeros


def average(
    x: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    weights: Any = None,
    keepdims: bool = False,
    returned: bool = False,
    **options: Unpack[ReductionOptions],
) -> Any:
    """Return the weighted mean: the exact quotient of the exact sums, rounded once.

    Parameters
    ----------
    x, fmt, axis, keepdims, **options
        As in `var`.
    weights : FloatArray or array_like, optional
        Of the shape of `x`, or of its length along one axis; taken exactly. Without, this is `floatlab.mean`.
    returned : bool
        Whether to return the sum of the weights as well, rounded to the format.

    Raises
    ------
    ShapeError
        If the weights do not fit.
    OptionError
        If they add up to zero.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.average(fl.array([1.0, 2.0, 4.0], "e4m3"), weights=[3, 2, 1])  # 11 / 6
    FloatArray(1.875, format=float8_e4m3fn)
    """
    asked: Any = dict(options)
    call = reduction("average", (x,), fmt, options, "weights", "returned")
    values = as_source(call.values[0], _FLOAT64)
    shape = tuple(values.shape)
    numbers = np.ones(shape) if weights is None else _weights(weights, shape, axis)
    rows, factors = _rows(values, axis, keepdims), _rows(numbers, axis, keepdims)
    exact = weights is None or _is_exact(call)
    scale = (
        accumulate.sum(factors.values, call.fmt, axis=1, **call.options) if returned or not exact else None
    )
    if weights is None:
        made = mean(x, fmt, axis=axis, keepdims=keepdims, **asked)
    elif exact:
        made = _exact_average(rows, factors, call)
    else:
        kept = _of_operation(call.options)
        products = operate("multiply", (rows.values, factors.values), call.fmt, **kept)
        total = accumulate.sum(products, call.fmt, axis=1, **call.options)
        made = call.finish(operate("divide", (total, scale), call.fmt, **kept).reshape(rows.shape))
    if scale is None or not returned:
        return made
    scale = scale.reshape(rows.shape)
    return made, (FloatArray._wrap(scale, call.fmt) if call.wrap else scale)


def _weights(weights: Any, shape: tuple[int, ...], axis: Any) -> Array:
    numbers = weights.values if isinstance(weights, FloatArray) else weights
    numbers = asnumpy(as_source(numbers, _FLOAT64)).astype(np.float64)
    if numbers.shape == shape:
        return numbers
    along = axes_of(axis, shape)
    if axis is None or numbers.shape != tuple(shape[i] for i in along):
        raise ShapeError(
            f"Weights have the shape of x, or its lengths along axis. Got {numbers.shape} for {shape} and axis={axis}. "
            "Reshape them, or name the axis."
        )
    spread = numbers.reshape([shape[i] if i in along else 1 for i in range(len(shape))])
    return np.broadcast_to(spread, shape)


def _exact_average(rows: _Rows, factors: _Rows, call: Call) -> Any:
    x, w = rows.values, factors.values
    finite = np.isfinite(x) & np.isfinite(w)
    with np.errstate(all="ignore"):
        special = np.sum(np.where(finite, 0.0, x * w + np.where(np.isinf(w), np.nan, 0.0)), axis=1)
    x, w = np.where(finite, x, 0.0), np.where(np.isfinite(w), w, 0.0)
    settled, total = _settled(lambda: _estimated_average(x, w), [x, w], finite.all(axis=1), call)
    open_ = np.flatnonzero(~settled)
    products, e = _dot_products(x[open_], w[open_])
    scales, _, f = integer_sums(w[open_])
    exceptions: dict[int, Pair] = {}
    for k, i in enumerate(open_.tolist()):
        n, d = int(products[k]), int(scales[k])
        if np.isnan(special[i]) or x.shape[1] == 0:
            total[i] = np.nan
        elif d == 0:
            raise OptionError("The weights of average add up to another number than 0. Got 0. Change them.")
        elif special[i]:
            total[i] = np.copysign(special[i], special[i] * d)
        elif n:
            exceptions[i] = ratio(n if d > 0 else -n, abs(d), e - f)
        else:
            signed = np.copysign(1.0, x[i : i + 1]) * w[i : i + 1]
            total[i] = _zero_of_sums(signed, call.options["rounding"])[0]
    has_nan = (np.isnan(rows.values) | np.isnan(factors.values)).any(axis=1)
    return _deliver(call, total, exceptions, rows, has_nan)


def _dot_products(x: Array, w: Array) -> tuple[Array, int]:
    """Return the exact dot products of rows, as integers and an exponent."""
    (a, e), (b, f) = _integers(x), _integers(w)
    totals = (a * b).sum(axis=1) if a.size else np.zeros(len(a), object)
    return totals, e + f


def _integers(x: Array) -> tuple[Array, int]:
    """Return Python integers and one exponent: x = integers * 2^exponent."""
    digits, shifts, exponent, _ = _digits(x)
    return np.left_shift(digits.astype(object), shifts.astype(object)), exponent


def _digits(x: Array) -> tuple[Array, Array, int, int]:
    """Return x as digits * 2^(shifts + exponent), shifts >= 0, and how many bits the longest of the digits has."""
    mantissa, exponents = np.frexp(x)
    digits = (mantissa * 2.0**53).astype(np.int64)
    bits = int(np.bitwise_or.reduce(digits, axis=None)) if digits.size else 0
    spare = (bits & -bits).bit_length() - 1 if bits else 0  # float32 numbers leave 29 of 53 bits empty
    digits >>= spare
    lowest = int(np.min(exponents, initial=2000, where=digits != 0))
    shifts = np.where(digits != 0, exponents - lowest, 0)
    return digits, shifts, lowest - 53 + spare, 53 - spare


# -- the middle ------------------------------------------------------------------------------------------------


@of_axes
def median(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[ReductionOptions]
) -> Any:
    """Return the median: the element in the middle, or the exact mean of the two there, rounded once.

    A NaN makes it NaN. Parameters as in `var`; no accumulator changes it.

    >>> import floatlab as fl
    >>> fl.median(fl.array([3.0, 1.0, 448.0, 3.25], "e4m3"))  # 3.125 is a tie
    FloatArray(3., format=float8_e4m3fn)
    """
    return _quantiles("median", x, fmt, [Fraction(1, 2)], (), axis, keepdims, "linear", options)


@of_axes
def nanmedian(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[ReductionOptions]
) -> Any:
    """Return the median of what is not NaN; see `median`."""
    return _quantiles("nanmedian", x, fmt, [Fraction(1, 2)], (), axis, keepdims, "linear", options)


def quantile(
    x: Any,
    q: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    method: str = "linear",
    keepdims: bool = False,
    **options: Any,
) -> Any:
    """Return quantiles: the exact interpolation between two elements, rounded once.

    Parameters
    ----------
    x, fmt, axis, keepdims, **options
        As in `var`.
    q : float or array_like
        From 0 to 1, taken exactly. The dimensions of `q` come first in the result.
    method : {"linear", "lower", "higher", "midpoint", "nearest"}
        What is taken between two elements, as in `numpy.quantile`.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.quantile(fl.array([1.0, 2.0, 4.0], "e4m3"), [0.25, 0.75])
    FloatArray([1.5, 3. ], format=float8_e4m3fn)
    """
    return _quantiles_of("quantile", x, q, 1, fmt, axis, keepdims, method, options)


def nanquantile(
    x: Any,
    q: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    method: str = "linear",
    keepdims: bool = False,
    **options: Any,
) -> Any:
    """Return quantiles of what is not NaN; see `quantile`."""
    return _quantiles_of("nanquantile", x, q, 1, fmt, axis, keepdims, method, options)


def _quantiles_of(
    name: str, x: Any, q: Any, whole: int, fmt: Any, axis: Any, keepdims: bool, method: str, options: Any
) -> Any:
    check_option("method", method, _METHODS)
    points = asnumpy(as_source(q.values if isinstance(q, FloatArray) else q, _FLOAT64))
    parts = [_fraction("A quantile", point) / whole for point in points.ravel().tolist()]
    for part in parts:
        if not 0 <= part <= 1:
            raise OptionError(f"Quantiles lie from 0 to {whole}. Got {float(part * whole)}. Use such a one.")
    return _quantiles(name, x, fmt, parts, points.shape, axis, keepdims, method, options)


def _quantiles(
    name: str,
    x: Any,
    fmt: Any,
    parts: list[Fraction],
    shape: tuple[int, ...],
    axis: Any,
    keepdims: bool,
    method: str,
    options: Any,
) -> Any:
    call = reduction(name, (x,), fmt, options, "method")
    call.wanted = call.return_flags or is_tracking()  # nothing is added up, whatever the accumulator
    rows, rounding = _rows(call.values[0], axis, keepdims), call.options["rounding"]
    nan = np.isnan(rows.values)
    has_nan, counts = nan.any(axis=1), np.sum(~nan, axis=1)
    ordered = np.sort(rows.values, axis=1)  # NaNs last
    if not name.startswith("nan"):
        counts = np.where(has_nan, 0, counts)
    else:
        has_nan = has_nan & False
    total = np.full((len(parts), len(ordered)), np.nan)
    exceptions: dict[int, Pair] = {}
    for k, part in enumerate(parts):
        for n in np.unique(counts[counts > 0]).tolist():  # in one place of all rows of equal length
            where = np.flatnonzero(counts == n)
            lower, weight = _place(part, n, method)
            low, high = ordered[where, lower], ordered[where, min(lower + 1, n - 1)]
            total[k, where] = low if weight == 0 else high
            if (
                weight == Fraction(1, 2)
                and has_room(call.fmt, call.options)
                and _is_tame(low)
                and _is_tame(high)
            ):
                total[k, where] = _halfway(low, high, rounding)
            elif 0 < weight < 1:
                start = k * len(ordered)
                _interpolate(low, high, weight, total[k], where, start, exceptions, rounding)
    placed = _Rows(rows.values, (*shape, *rows.shape))
    has_nan = np.broadcast_to(has_nan, total.shape)
    return _deliver(call, total, exceptions, placed, has_nan)


def _place(part: Fraction, n: int, method: str) -> tuple[int, Fraction]:
    """Return the element below the quantile among n in order, and how far it is on the way to the next one."""
    place = part * (n - 1)
    lower = math.floor(place)
    weight = place - lower
    if weight and method != "linear":
        nearest = Fraction(round(place) - lower)  # ties to the even place
        weight = {
            "lower": Fraction(0),
            "higher": Fraction(1),
            "midpoint": Fraction(1, 2),
            "nearest": nearest,
        }[method]
    return lower, weight


def _is_tame(x: Array) -> bool:
    size = np.abs(x[np.isfinite(x) & (x != 0)])
    return bool(((size >= _TAME[0]) & (size <= _TAME[1])).all())


def _halfway(low: Array, high: Array, rounding: str) -> Array:
    """Return (low + high) / 2, rounded to odd."""
    with np.errstate(all="ignore"):
        middle = add_to_odd(low, high) * 0.5
    either = np.signbit(low) | np.signbit(high)
    return np.where((middle == 0) & either & ~np.signbit(middle), cancelled(rounding), middle)


def _interpolate(
    low: Array,
    high: Array,
    weight: Fraction,
    total: Array,
    where: Array,
    start: int,
    exceptions: dict[int, Pair],
    rounding: str,
) -> None:
    """Put low + (high - low) * weight where it belongs: into `total` if it is no number or a zero, else as a pair."""
    with np.errstate(all="ignore"):
        special = low + high  # an infinity, or NaN for two that differ
    same = low == high
    for i in range(len(low)):
        place = int(where[i])
        if same[i]:
            total[place] = (
                low[i] if low[i] or np.signbit(low[i]) == np.signbit(high[i]) else cancelled(rounding)
            )
        elif not np.isfinite(special[i]) and not (np.isfinite(low[i]) and np.isfinite(high[i])):
            total[place] = special[i]
        else:
            n, e = _between(as_pair(float(low[i])), as_pair(float(high[i])), weight)
            if n:
                exceptions[start + place] = ratio(n, weight.denominator, e)
            else:
                total[place] = cancelled(rounding)


def _between(low: Pair, high: Pair, weight: Fraction) -> Pair:
    """Return (low + (high - low) * weight) * weight's denominator."""
    lowest = min(low[1], high[1])
    a, b = low[0] << low[1] - lowest, high[0] << high[1] - lowest
    return a * weight.denominator + (b - a) * weight.numerator, lowest


# -- NumPy's names ---------------------------------------------------------------------------------------------

_UNSET = np._NoValue
_TAKEN = ("q", "axis", "ddof", "keepdims", "method")


def _refuse(name: str, unwanted: dict[str, Any]) -> None:
    for option, value in unwanted.items():
        if value is not None and value is not _UNSET and value is not False and value is not True:
            raise DtypeError(
                f"numpy.{name} of a FloatArray takes no {option}. Got {value!r}. "
                "Use .astype for another format, and np.where or indices for a choice of elements."
            )


def _stand_in(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a function of NumPy: it has NumPy's arguments, and takes those that `_TAKEN` names."""
    signature = inspect.signature(getattr(np, name))

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        a, out = given.pop("a"), given.pop("out", None)
        if given.get("correction", _UNSET) is not _UNSET:
            given["ddof"] = given.pop("correction")
        taken = {k: given.pop(k) for k in _TAKEN if given.get(k, _UNSET) is not _UNSET}
        _refuse(name, given)
        result = function(a, **taken)
        return result if out is None else into(name, out, result)

    return stand_in


def _percents(name: str) -> Callable[..., Any]:
    def function(a: Any, q: Any, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Any:
        return _quantiles_of(name, a, q, 100, None, axis, keepdims, method, {})

    return function


def _numpy_average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _UNSET
) -> Any:
    if not isinstance(a, FloatArray):
        raise DtypeError(
            f"numpy.average of numbers with weights of {weights.format} has no format. Got a {type(a).__name__}. "
            f'Use fl.average(a, "{weights.format.spec}", weights=weights).'
        )
    keep = False if keepdims is _UNSET else keepdims
    return average(a, axis=axis, weights=weights, returned=returned, keepdims=keep)


def nanprod(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the product of what is not NaN; see `floatlab.prod`."""
    return _without_nan("prod", prod, 1.0, x, fmt, options)


def nancumsum(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the partial sums of what is not NaN; see `floatlab.cumsum`."""
    return _without_nan("cumsum", cumsum, 0.0, x, fmt, options)


def nancumprod(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the partial products of what is not NaN; see `floatlab.cumprod`."""
    return _without_nan("cumprod", cumprod, 1.0, x, fmt, options)


for _name in (*__all__, "nanprod", "nancumsum", "nancumprod"):
    if _name != "average":
        FUNCTIONS[getattr(np, _name)] = _stand_in(_name, globals()[_name])
for _name in ("percentile", "nanpercentile"):
    FUNCTIONS[getattr(np, _name)] = _stand_in(_name, _percents(_name))
FUNCTIONS[np.average] = _numpy_average
