"""Which elements are in the middle, and what lies between two? Medians and quantiles, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import reduction
from floatlab.array.core import FloatArray
from floatlab.array.ratios import Pair, as_pair, has_room, ratio
from floatlab.array.statistics.estimates import is_tame
from floatlab.array.statistics.rows import FLOAT64, Rows, as_fraction, deliver, rows_of
from floatlab.backend import Array, asnumpy
from floatlab.errors import OptionError, check_option
from floatlab.rounding.flags import is_tracking
from floatlab.rounding.inputs import as_source
from floatlab.rounding.modes import cancelled
from floatlab.sums.exact import add_to_odd
from floatlab.sums.signatures import ReductionOptions, of_axes

__all__ = ["median", "nanmedian", "nanquantile", "quantile", "quantiles_of"]

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


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
    return quantiles_of("quantile", x, q, 1, fmt, axis, keepdims, method, options)


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
    return quantiles_of("nanquantile", x, q, 1, fmt, axis, keepdims, method, options)


def quantiles_of(
    name: str, x: Any, q: Any, whole: int, fmt: Any, axis: Any, keepdims: bool, method: str, options: Any
) -> Any:
    """Return the quantiles of parts out of a `whole`: 1, or 100 for percentiles."""
    check_option("method", method, _METHODS)
    points = asnumpy(as_source(q.values if isinstance(q, FloatArray) else q, FLOAT64))
    parts = [as_fraction("A quantile", point) / whole for point in points.ravel().tolist()]
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
    rows, rounding = rows_of(call.values[0], axis, keepdims), call.options["rounding"]
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
            half_way = weight == Fraction(1, 2) and has_room(call.fmt, call.options)
            if half_way and is_tame(low) and is_tame(high):
                total[k, where] = _halfway(low, high, rounding)
            elif 0 < weight < 1:
                start = k * len(ordered)
                _interpolate(low, high, weight, total[k], where, start, exceptions, rounding)
    placed = Rows(rows.values, (*shape, *rows.shape))
    has_nan = np.broadcast_to(has_nan, total.shape)
    return deliver(call, total, exceptions, placed, has_nan)


def _place(part: Fraction, n: int, method: str) -> tuple[int, Fraction]:
    """Return the element below the quantile among n in order, and how far it is on the way to the next one."""
    place = part * (n - 1)
    lower = math.floor(place)
    weight = place - lower
    if weight and method != "linear":
        nearest = Fraction(round(place) - lower)  # ties to the even place
        half = Fraction(1, 2)
        weight = {"lower": Fraction(0), "higher": Fraction(1), "midpoint": half, "nearest": nearest}[method]
    return lower, weight


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
