"""What was asked for, and what is handed back? The operands, the format and the options of one call on arrays.

The functions of this folder take FloatArrays, numbers, and with a format named plain arrays as well. FloatArrays in, a
FloatArray out; plain numbers in, plain values out. Options that are not given are those of the context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import numpy as np

from floatlab.array.core import FloatArray, asarray
from floatlab.array.exactly import split
from floatlab.array.storage import common_format, has_own_type
from floatlab.backend import Array
from floatlab.context import current
from floatlab.errors import DtypeError, FormatError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.flags import Flags, is_tracking, note
from floatlab.rounding.inputs import as_source
from floatlab.rounding.options import check_names
from floatlab.rounding.quantize import quantize
from floatlab.sums.names import has_flags
from floatlab.sums.signatures import OperationOptions, ReductionOptions

__all__ = [
    "Call",
    "as_operand",
    "as_python",
    "data_of",
    "hold",
    "is_number",
    "of_format",
    "operation",
    "rearranged",
    "reduction",
    "resolve",
]

_FLOAT64 = get_format("float64")


_OF_OPERATIONS = tuple(OperationOptions.__annotations__)
_PRODUCTS = ("dot", "matmul")  # which a matrix unit may form
_OF_REDUCTIONS = ("axis", "keepdims", *ReductionOptions.__annotations__)


# -- one call --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Call:
    """What one call was asked for, checked: what its operands are, what it computes with, and what it returns."""

    name: str
    fmt: FloatFormat  # of the result
    values: list[Any]  # of the operands
    formats: list[FloatFormat | None]  # of the operands, where they have one
    wrap: bool  # whether the result is a FloatArray
    options: dict[str, Any]  # the context's, and in their stead the caller's
    return_flags: bool
    wanted: bool  # whether anybody wants flags: the caller, or a record

    def run(self, compute: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Hand back what `compute` returns with the options."""
        if self.wanted:
            return self.finish(*compute(*args, return_flags=True, **more, **self.options))
        return self.finish(compute(*args, **more, **self.options))

    def finish(self, values: Array, flags: Flags | None = None) -> Any:
        """Hand over values and flags: to those who track, and to the caller, as he asked."""
        if flags is not None:
            note(self.name, flags)
        made = FloatArray._wrap(values, self.fmt) if self.wrap else values
        return (made, flags) if self.return_flags else made


def operation(name: str, operands: tuple[Any, ...], fmt: Any, options: Any) -> Call:
    """Return what was asked of an operation on elements; the options are `OperationOptions`."""
    flags = False
    if options:
        check_names(name, options, _OF_OPERATIONS)
        flags = check_switch("return_flags", options.pop("return_flags", False))
    target, values, formats, wrap = resolve(name, operands, fmt)
    given = current().of_operation(**options)
    return Call(name, target, values, formats, wrap, given, flags, flags or is_tracking())


def reduction(name: str, operands: tuple[Any, ...], fmt: Any, options: Any, *others: str) -> Call:
    """Return what was asked of a sum, or of what is made of sums; the options are `ReductionOptions` and `others`."""
    context = current()
    if "flush_inputs" in options:  # which the context refuses, and says what to do
        context = replace(context, flush_inputs=options.pop("flush_inputs"))
    flags = False
    if options:
        check_names(name, options, (*others, *_OF_REDUCTIONS))
        flags = check_switch("return_flags", options.pop("return_flags", False))
    given = (context.of_product if name in _PRODUCTS else context.of_reduction)(**options)
    wanted = flags or (is_tracking() and has_flags(given["accumulator"]))
    return Call(name, *resolve(name, operands, fmt), given, flags, wanted)


# -- operands ----------------------------------------------------------------------------------------------


def is_number(x: Any) -> bool:
    """Return whether `x` is a real scalar, of Python or NumPy."""
    return isinstance(x, int | float | Fraction | Decimal | np.integer | np.floating | np.bool_)


@lru_cache(maxsize=512)
def _number(x: int | float | Fraction, negative: bool, fmt: FloatFormat, overflow: str | None) -> Array:
    """Round a number; `negative` tells -0 from 0 and NaNs from each other, which are the same key of a cache."""
    rounded = quantize(x, fmt, overflow=overflow).astype(fmt.value_dtype)
    rounded.flags.writeable = False
    return rounded


def as_python(x: Any) -> Any:
    """Return a scalar as a number of Python, under which it can be remembered.

    NumPy's scalars are no keys: np.float32(0.1) == 0.1 and np.float32(2**24) == 2**24 + 1 are true.
    """
    if isinstance(x, np.generic):
        return x.item() if x.dtype.itemsize <= 8 else float(as_source(x, _FLOAT64))
    if isinstance(x, Decimal):
        near, rest = split(x)
        return float(near) if rest is None else Fraction(x)
    return x


def of_format(operation: str, x: Any, fmt: FloatFormat) -> Array:
    """Return the values of an operand: a FloatArray's, or a number's, which is rounded to the format (to nearest).

    An array of the format's own NumPy or ml_dtypes type is as good as a FloatArray.

    Raises
    ------
    DtypeError
        If it is another plain array, of which nobody said how it is to be rounded.
    """
    if isinstance(x, FloatArray):
        return x.values
    if is_number(x):
        number = as_python(x)
        negative = isinstance(number, float) and math.copysign(1.0, number) < 0
        return _number(number, negative, fmt, current().overflow)
    if has_own_type(x, fmt):
        return asarray(x, fmt).values
    kind = (
        f"an array of dtype {x.dtype}" if isinstance(x, np.ndarray | np.generic) else f"a {type(x).__name__}"
    )
    raise DtypeError(
        f"The operands of {operation} are FloatArrays and numbers. Got {kind} beside {fmt}. "
        f'Round it first, with fl.array(x, "{fmt.spec}").'
    )


def as_operand(name: str, x: Any, fmt: FloatFormat) -> FloatArray:
    """Return an operand with its codes, where it has any."""
    if isinstance(x, FloatArray):
        return x
    return asarray(x, fmt) if has_own_type(x, fmt) else FloatArray._wrap(of_format(name, x, fmt), fmt)


def hold(
    name: str, operands: Sequence[Any], fmt: FloatFormat | None = None
) -> tuple[list[Array], Callable[[Array], FloatArray]]:
    """Return what operands hold, all of them their codes or all their values; and what makes a FloatArray of such.

    Codes, if any has them: those of NaNs would not outlive the way through values.
    """
    fmt = common_format(name, tuple(operands)) if fmt is None else fmt
    arrays = [as_operand(name, x, fmt) for x in operands]
    coded = any([x._coded for x in arrays])
    return [x._held_as(coded) for x in arrays], partial(FloatArray._wrap, fmt=fmt, coded=coded)


def data_of(x: Any) -> Array:
    """Return what a FloatArray holds, or plain numbers as an array of exactly these."""
    return x._data if isinstance(x, FloatArray) else as_source(x, _FLOAT64)


def rearranged(x: Any, change: Callable[[Array], Array]) -> Any:
    """Return what `change`, which only moves elements, makes of an operand: of a FloatArray a FloatArray."""
    return x._like(change(x._data)) if isinstance(x, FloatArray) else change(data_of(x))


def resolve(
    operation: str, operands: tuple[Any, ...], fmt: Any
) -> tuple[FloatFormat, list[Any], list[Any], bool]:
    """Return the format of the result, the operands' values and formats (or None), and whether to wrap the result."""
    wrap = any(isinstance(x, FloatArray) for x in operands)
    if fmt is None:
        if not wrap:
            raise FormatError(
                f"{operation} of plain numbers needs the format of the result. Got none. "
                f'Say it, fl.{operation}(..., "float16"), or use FloatArrays.'
            )
        fmt = common_format(operation, operands)
        return fmt, [of_format(operation, x, fmt) for x in operands], [fmt] * len(operands), True
    values = [x.values if isinstance(x, FloatArray) else x for x in operands]
    formats = [x.format if isinstance(x, FloatArray) else None for x in operands]
    return get_format(fmt), values, formats, wrap
