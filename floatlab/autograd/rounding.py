"""How does a kernel's wide result become values of a format? Rounded once, in one place.

What may be chosen about it stands in `floatlab.context`.

When is float32 wide enough? A sum, product, quotient or root of values of precision p, rounded to nearest
first to q bits and then to p, is the exact result rounded once if q >= 2p + 2 (Figueroa 1995; with
underflow, Roux 2014). float32 has q = 24, so p <= 11 will do, as long as float32 itself does not underflow:
bfloat16's products reach 2^-266. All else is computed in float64: q = 53, p <= 25; `combine` takes care of
wider operands, and of the other rounding modes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd.operation import Node
from floatlab.context import DEFAULT, Arithmetic
from floatlab.errors import OverflowPolicyError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.error_free import with_error
from floatlab.operations.operate import operate
from floatlab.rounding.modes import MODES
from floatlab.rounding.odd import nudge
from floatlab.rounding.quantize import quantize
from floatlab.sums import matmul as accumulate

__all__ = ["as_constant", "is_subset", "round_to", "sum_to"]

Array = NDArray[Any]

FLOAT32 = get_format("float32")
FLOAT64 = get_format("float64")


# -- facts about formats, looked up a hundred times a training step ----------------------------------


@cache
def is_narrow(fmt: FloatFormat) -> bool:
    """Whether `+ - * / sqrt` in float32, then one rounding, are exact for values of `fmt`."""
    return fmt.precision <= 11 and 2 * (fmt.etiny) >= -149 and fmt.emax <= 60


@cache
def is_subset(a: FloatFormat, b: FloatFormat) -> bool:
    """Whether every value of `a` (its infinities, NaN and -0 included) is a value of `b`."""
    return a.same_as(b) or (
        a.precision <= b.precision
        and a.max <= b.max
        and a.smallest_subnormal >= b.smallest_subnormal
        and a.has_infinity <= b.has_infinity
        and a.has_nan <= b.has_nan
        and a.has_negative_zero <= b.has_negative_zero
        and a.has_zero <= b.has_zero
        and a.signed <= b.signed
        and (b.has_subnormals or a.smallest_subnormal >= b.smallest_normal)
    )


# -- exact arithmetic --------------------------------------------------------------------------------


def combine(node: Node, ufunc: np.ufunc, a: Array, b: Array, work: Any = None) -> Array:
    """Return a + - * / b in the type `work`, such that rounding it to the node's target rounds the exact result once.

    Where an operand is a float64 (a number such as 0.1, or a value of a wide format), or the rounding is none to
    nearest, float64's own rounding could show, so the result is rounded to odd: its last bit says that something was
    lost, and the next rounding takes it into account. A format with no bit less than float64 is rounded to here.
    """
    work, fmt, rules = work or node.work, node.target, node.arithmetic
    if not rules.is_native and fmt.precision > 51:
        return np.asarray(operate(ufunc.__name__, (a, b), fmt, **rules.for_results))
    if work is np.float32 or fmt.precision > 51 or (a.dtype == b.dtype == np.float32 and rules.is_native):
        return np.asarray(ufunc(a, b, dtype=work))
    wide = [np.asarray(x, np.float64) for x in (a, b)]
    nearest, error = (np.asarray(x) for x in with_error(ufunc.__name__, wide))
    return np.asarray(nudge(nearest, error))


def zero_where(mask: Array, x: Array) -> Array:
    """Return x with +0 where the mask holds: `np.where(mask, 0.0, x)`, without its branch for every element.

    A number's bits times 1 are its bits, times 0 they are +0.

    Examples
    --------
    >>> x = np.array([1.0, np.nan, np.inf, -0.0])
    >>> zero_where(np.array([False, True, True, False]), x)
    array([ 1.,  0.,  0., -0.])
    """
    words = np.int32 if x.dtype == np.float32 else np.int64
    kept: Array = np.multiply(x.view(words), np.logical_not(mask))
    return np.asarray(kept).view(x.dtype)


# -- rounding ----------------------------------------------------------------------------------------


def round_to(wide: Any, fmt: FloatFormat, rules: Arithmetic = DEFAULT) -> Array:
    """Round a fresh wide array to values of `fmt`, once; the array may be overwritten.

    A float32 result that is to be a float32 value is its own rounding, and so is a float64 result.
    """
    if type(wide) is not np.ndarray:  # an operation on arrays without axes returns a NumPy number
        wide = np.asarray(wide)
    if rules.is_native:
        if wide.dtype == fmt.value_dtype and (fmt is FLOAT32 or fmt is FLOAT64):
            return np.asarray(wide)
        if fmt is FLOAT32:
            return np.asarray(wide.astype(np.float32))  # NumPy's conversion rounds to nearest even, once
        values = quantize(wide, fmt, out=wide if wide.dtype.itemsize >= fmt.value_dtype.itemsize else None)
    else:
        values = quantize(wide, fmt, **rules.for_results)
    return np.asarray(values, dtype=fmt.value_dtype)


def fill(value: float, node: Node, finite_too: bool = False) -> Array:
    """Return a number that an operation fills in as a value of its format: rounded to nearest, in every context.

    It is the rule for numbers beside a FloatArray, too: only the overflow policy of the context holds for them.
    """
    return as_constant(float(value), node.target, node.arithmetic.overflow, finite_too)


def as_constant(value: float, fmt: FloatFormat, overflow: str | None, finite_too: bool = False) -> Array:
    """Return a number as a value of a format. An infinity that the format cannot hold is refused.

    A finite number beyond the ends becomes what the overflow policy says, as beside a FloatArray; where that is NaN and
    `finite_too`, it is refused as well.
    """
    values = np.asarray(quantize(value, fmt, overflow=overflow), dtype=fmt.value_dtype)
    if np.isnan(values) and value == value and (finite_too or math.isinf(value)):
        raise OverflowPolicyError(
            f"A number that is selected has to be a value of the format, and {fmt.spec} would make it NaN. "
            f"Got {value}. Use {fmt.lowest} or {fmt.max}, which are its ends, or a wider format."
        )
    return values


def sum_over(
    x: Array, axes: tuple[int, ...], source: FloatFormat | None, fmt: FloatFormat, rules: Arithmetic = DEFAULT
) -> Array:
    """Sum over axes with the chosen accumulator; `source` is the format of the terms, if they have one.

    The wide and the exact accumulator return the exact sum, rounded once. Where the terms lie close enough
    together for float64 to add them without error, in whatever order, NumPy's sum is that one.
    """
    positive_zero = not MODES[rules.rounding].cancels_to_minus
    if source is not None and positive_zero and rules.adds_exactly and x.dtype == np.float32:
        count = math.prod(x.shape[a] for a in axes)
        if x.size and _span(x, source) + count.bit_length() <= 53:
            return round_to(np.add.reduce(x, axis=axes, dtype=np.float64), fmt, rules)
    total: Array = accumulate.sum(x, fmt, axis=axes, **rules.for_rounded_sums)
    return total


def running_sums(
    x: Array, axis: int, source: FloatFormat, fmt: FloatFormat, rules: Arithmetic = DEFAULT
) -> Array:
    """Return the sums up to each place along an axis, each as `sum_over` gives it.

    Where float64 adds the terms without error one sweep is enough; otherwise each place is a sum of its own.
    """
    native = x.dtype == np.float32 and rules.adds_exactly and not MODES[rules.rounding].cancels_to_minus
    if native and (not x.size or _span(x, source) + x.shape[axis].bit_length() <= 53):
        return round_to(np.cumsum(x, axis, dtype=np.float64), fmt, rules)
    terms = np.moveaxis(x, axis, 0)
    sums = [sum_over(terms[: i + 1], (0,), source, fmt, rules) for i in range(len(terms))]
    return np.moveaxis(np.stack(sums) if sums else terms, 0, axis)


def _span(x: Array, fmt: FloatFormat) -> int:
    """Return how many bits there are from the lowest bit of any of these values of `fmt` to the highest."""
    all_of_it = fmt.emax + 1 - (fmt.etiny)
    if all_of_it <= 40:  # float16: multiples of 2^-24 below 2^16
        return all_of_it
    magnitudes = x.view(np.int32) & 0x7FFFFFFF
    top = int(magnitudes.max()) >> 23  # float32's exponent fields
    low = int((magnitudes - 1).view(np.uint32).min()) + 1 >> 23  # a zero becomes the largest number
    if low == 0:  # below float32's normal range every value is a multiple of 2^-149
        return top + 23
    return max(top - low, 0) + fmt.precision


def sum_to(
    x: Array,
    shape: tuple[int, ...],
    source: FloatFormat | None,
    fmt: FloatFormat,
    rules: Arithmetic = DEFAULT,
) -> Array:
    """Undo a broadcast: sum over the axes along which `shape` was stretched, and round once."""
    lead = x.ndim - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1))
    total: Array = sum_over(x, axes, source, fmt, rules).reshape(shape)
    return total


def tree_sum(wide: Array, axis: int | Sequence[int], keepdims: bool = True) -> Array:
    """Sum a float64 array by halves: elementwise additions only, so every machine gives the same bits.

        x0 x1 x2 x3 x4   ->   x0+x2  x1+x3  x4   ->   ...

    The error is at most log2(n) rounding errors of float64.
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(sorted(i % wide.ndim for i in axes))
    rest = tuple(i for i in range(wide.ndim) if i not in axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(wide.shape))
    count = math.prod(wide.shape[i] for i in axes)
    x = wide.transpose(axes + rest).reshape(count, *(wide.shape[i] for i in rest))
    if len(x) == 0:
        x = np.zeros((1, *x.shape[1:]))
    while len(x) > 1:
        half = len(x) // 2
        pairs = x[:half] + x[half : 2 * half]
        if len(x) % 2:
            pairs[0] += x[-1]
        x = pairs
    total: Array = x[0]
    return total.reshape(kept if keepdims else tuple(wide.shape[i] for i in rest))
