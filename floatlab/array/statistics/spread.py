"""What are the variance and the standard deviation, of all elements or of those that are not NaN?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import Call, reduction
from floatlab.array.ratios import Pair, ratio, root
from floatlab.array.reductions import mean
from floatlab.array.statistics.estimates import Interval, estimated_spread, settle
from floatlab.array.statistics.exact_sums import moments
from floatlab.array.statistics.rows import Rows, as_fraction, deliver, is_exact, of_operation, rows_of
from floatlab.backend import Array
from floatlab.operations.operate import operate
from floatlab.sums import matmul as accumulate
from floatlab.sums.signatures import ReductionOptions, of_spread

__all__ = ["nanstd", "nanvar", "std", "var"]


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
    rows = rows_of(call.values[0], axis, keepdims)
    taken = as_fraction("ddof", ddof)
    if not is_exact(call):
        return call.finish(_composed_spread(rows, taken, call))
    settled, estimate = _settled_spread(rows.values, taken, call)
    sums = moments(rows.values, name.startswith("nan"), ~settled)
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
    return deliver(call, total, exceptions, rows, sums.has_nan, by_zero)


def _settled_spread(rows: Array, ddof: Fraction, call: Call) -> Interval:
    present = ~np.isnan(rows) if call.name.startswith("nan") else np.ones(rows.shape, bool)
    whole: Array = np.isfinite(rows) | ~present
    numbers = np.where(np.isfinite(rows), rows, 0.0)
    counts = present.sum(axis=1)
    scale = np.maximum(counts - float(ddof), 0.0)

    def interval() -> Interval:
        return estimated_spread(numbers, present, counts, scale, call.name.endswith("std"))

    return settle(interval, [numbers], np.asarray(whole.all(axis=1)), call)


def _composed_spread(rows: Rows, ddof: Fraction, call: Call) -> Array:
    """Return the spread as a program in the format computes it: each operation rounded."""
    x, fmt, given, kept = rows.values, call.fmt, call.options, of_operation(call.options)
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
