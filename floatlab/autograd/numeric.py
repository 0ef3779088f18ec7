"""How does a kernel's wide result become values of a format? Rounded once, in one place.

`Arithmetic` is what a caller may choose about it (the accumulator of sums and products, the overflow
policy, flushed subnormals); `arithmetic` and `accumulator` choose it for a block of code.

When is float32 wide enough? A sum, product, quotient or root of values of precision p, rounded to nearest
first to q bits and then to p, is the exact result rounded once if q >= 2p + 2 (Figueroa 1995; with
underflow, Roux 2014). float32 has q = 24, so p <= 11 will do, as long as float32 itself does not underflow:
bfloat16's products reach 2^-266. All else is computed in float64: q = 53, p <= 25; `combine` takes care of
wider operands.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import accumulate
from floatlab.accumulators import Exact, Wide, get_accumulator
from floatlab.errors import OverflowPolicyError, check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding import OVERFLOW_POLICIES, quantize
from floatlab.rules import checks_names

__all__ = ["Arithmetic", "accumulator", "arithmetic", "current_arithmetic", "is_subset", "round_to", "sum_to"]

Array = NDArray[Any]

FLOAT32 = get_format("float32")
FLOAT64 = get_format("float64")


@checks_names
@dataclass(frozen=True)
class Arithmetic:
    """What a caller may choose about the kernels' arithmetic.

    Parameters
    ----------
    accumulator : str or floatlab.accumulate.Accumulator
        How matrix products, convolutions and sums add up: "wide", "exact", a format's name, or an object.
    overflow : str or None
        What a result beyond the largest value becomes; None is what the format itself does.
    subnormals : str
        "gradual", or "flush": subnormal results become zero.
    """

    accumulator: Any = "wide"
    overflow: str | None = None
    subnormals: str = "gradual"

    def __post_init__(self) -> None:
        if self.overflow is not None:
            check_option("overflow", self.overflow, OVERFLOW_POLICIES, OverflowPolicyError)
        check_option("subnormals", self.subnormals, ("gradual", "flush"))
        how = get_accumulator(self.accumulator)
        object.__setattr__(self, "accumulator", how)
        object.__setattr__(self, "adds_exactly", isinstance(how, Wide | Exact))
        native = self.overflow is None and self.subnormals == "gradual"
        object.__setattr__(self, "is_native", native)  # float32's own arithmetic is float32's arithmetic

    is_native = True
    adds_exactly = True  # the accumulator returns the exact sum, rounded once

    @property
    def options(self) -> dict[str, Any]:
        """The options of a rounding."""
        return {} if self.is_native else {"overflow": self.overflow, "subnormals": self.subnormals}


DEFAULT = Arithmetic()
current_arithmetic: ContextVar[Arithmetic] = ContextVar("floatlab_arithmetic", default=DEFAULT)


@contextlib.contextmanager
def arithmetic(**choices: Any) -> Iterator[Arithmetic]:
    """Compute with another accumulator, overflow policy or treatment of subnormals inside the block.

    The backward pass of an operation follows the arithmetic of its forward pass, wherever it runs.

    Examples
    --------
    >>> from floatlab.autograd import Tensor
    >>> x = Tensor([30000.0, 30000.0, 30000.0], format="fp16")
    >>> with arithmetic(overflow="saturate"):
    ...     print(x.sum().item())
    65504.0
    """
    token = current_arithmetic.set(replace(current_arithmetic.get(), **choices))
    try:
        yield current_arithmetic.get()
    finally:
        current_arithmetic.reset(token)


def accumulator(kind: Any) -> contextlib.AbstractContextManager[Arithmetic]:
    """Take sums and matrix products with this accumulator inside the block.

    Examples
    --------
    >>> from floatlab.autograd import Tensor
    >>> with accumulator("fp16"):
    ...     print(Tensor([1.0] * 3000, format="fp16").sum().item())
    2048.0
    """
    return arithmetic(accumulator=kind)


# -- facts about formats, looked up a hundred times a training step ----------------------------------

_narrow: dict[int, tuple[FloatFormat, bool]] = {}  # by id: the entry keeps its format alive
_subset: dict[tuple[int, int], tuple[FloatFormat, FloatFormat, bool]] = {}


def is_narrow(fmt: FloatFormat) -> bool:
    """Whether `+ - * / sqrt` in float32, then one rounding, are exact for values of `fmt`."""
    entry = _narrow.get(id(fmt))
    if entry is None:
        narrow = fmt.precision <= 11 and 2 * (fmt.emin - fmt.mantissa_bits) >= -149 and fmt.emax <= 60
        entry = _narrow[id(fmt)] = (fmt, narrow)
    return entry[1]


def is_subset(a: FloatFormat, b: FloatFormat) -> bool:
    """Whether every value of `a` (its infinities, NaN and -0 included) is a value of `b`."""
    if a is b:
        return True
    entry = _subset.get((id(a), id(b)))
    if entry is None:
        subset = a.same_as(b) or (
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
        entry = _subset[id(a), id(b)] = (a, b, subset)
    return entry[2]


# -- exact arithmetic --------------------------------------------------------------------------------


def combine(ufunc: np.ufunc, a: Array, b: Array, work: Any, fmt: FloatFormat) -> Array:
    """Return a + - * / b in the type `work`, such that rounding it to `fmt` rounds the exact result once.

    Where an operand is a float64 (a number such as 0.1, or a value of a wide format) float64's own rounding
    could show, so the result is rounded to odd: its last bit says that something was lost, and the next
    rounding takes it into account.
    """
    result: Array = np.asarray(ufunc(a, b, dtype=work))
    wider = a.dtype == np.float64 or b.dtype == np.float64
    if wider and work is np.float64 and fmt.precision <= 51:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        _turn_odd(result, _error(ufunc, a, b, result))
    return result


def _error(ufunc: np.ufunc, a: Array, b: Array, result: Array) -> Any:
    """Return a number of the sign of what the rounding of `result` lost (Knuth's sum, Dekker's product)."""
    if ufunc is np.add or ufunc is np.subtract:
        b = b if ufunc is np.add else -b
        back = result - a
        return (a - (result - back)) + (b - back)
    if ufunc is np.multiply:
        return _product_error(a, b, result)
    whole = result * b  # a / b = result + remainder / b
    return ((a - whole) - _product_error(result, b, whole)) * np.sign(b)


def _product_error(a: Array, b: Array, result: Array) -> Any:
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return a2 * b2 - (((result - a1 * b1) - a2 * b1) - a1 * b2)


def _halves(x: Array) -> tuple[Array, Array]:
    raised = x * (2.0**27 + 1.0)
    high = raised - (raised - x)
    return high, x - high


def _turn_odd(result: Array, error: Array) -> None:
    """Move an inexact result whose last bit is even by one bit, towards what it lost; in place."""
    bits = result.view(np.int64)
    away = np.where(np.signbit(error) == np.signbit(result), 1, -1)
    bits += np.where((np.abs(error) > 0) & (bits & 1 == 0) & np.isfinite(result), away, 0)


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
        values = quantize(wide, fmt, **rules.options)
    return np.asarray(values, dtype=fmt.value_dtype)


def sum_over(
    x: Array, axes: tuple[int, ...], source: FloatFormat | None, fmt: FloatFormat, rules: Arithmetic = DEFAULT
) -> Array:
    """Sum over axes with the chosen accumulator; `source` is the format of the terms, if they have one.

    The wide and the exact accumulator return the exact sum, rounded once. Where the terms lie close enough
    together for float64 to add them without error, in whatever order, NumPy's sum is that one.
    """
    if source is not None and rules.adds_exactly and x.dtype == np.float32:
        count = math.prod(x.shape[a] for a in axes)
        if x.size and _span(x, source) + count.bit_length() <= 53:
            return round_to(np.add.reduce(x, axis=axes, dtype=np.float64), fmt, rules)
    total: Array = accumulate.sum(x, fmt, axis=axes, accumulator=rules.accumulator, **rules.options)
    return total


def _span(x: Array, fmt: FloatFormat) -> int:
    """Return how many bits there are from the lowest bit of any of these values of `fmt` to the highest."""
    all_of_it = fmt.emax + 1 - (fmt.emin - fmt.mantissa_bits)
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
