"""What do all statistics of an array have in common? Rows of elements, exact results, and what is handed back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from floatlab.array.calls import Call
from floatlab.array.ratios import Pair, round_once
from floatlab.backend import Array, asnumpy
from floatlab.errors import OptionError
from floatlab.formats import get_format
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import as_source
from floatlab.sums.names import has_flags
from floatlab.sums.operands import as_rows

__all__ = ["Rows", "as_fraction", "deliver", "is_exact", "of_operation", "rows_of"]

FLOAT64 = get_format("float64")


class Rows(NamedTuple):
    """The elements of each result in a row; the shape of the results, and that of the array that is returned."""

    values: np.ndarray[Any, Any]
    shape: tuple[int, ...]


def rows_of(x: Any, axis: Any, keepdims: bool) -> Rows:
    """Return the elements of each result in a row, in float64."""
    values = asnumpy(as_source(x, FLOAT64)).astype(np.float64, copy=False)
    return Rows(*as_rows(values, axis, keepdims))


def is_exact(call: Call) -> bool:
    """Return whether the accumulator rounds once. One that does not has no flags to return."""
    if has_flags(call.options["accumulator"]):
        return True
    if call.return_flags:
        raise OptionError(
            f'Flags of {call.name} are known for the accumulators "wide" and "exact". '
            f"Got {call.options['accumulator']!r}. Leave return_flags out."
        )
    return False


def of_operation(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a reduction that an operation on elements has as well."""
    return {k: v for k, v in options.items() if k != "accumulator"}


def as_fraction(what: str, x: Any) -> Fraction:
    """Return a number that was given, exactly."""
    try:
        return Fraction(x.item() if hasattr(x, "item") else x)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"{what} is a finite number. Got {x!r}. Use 0 or 1.") from None


def deliver(
    call: Call,
    total: Array,
    exceptions: dict[int, Pair],
    rows: Rows,
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
