"""What is a op b in a format? ``+ - * /``, square root and fused multiply-add, rounded once, in every mode.

The operands are exact numbers, values of any format; the exact result is rounded to the format of the result and
to nothing in between. Four routes lead there, and `floatlab.operations.double_rounding` picks the first that is right
for the format, the mode and the operands:

1. *direct*. One float32 or float64 operation, then one rounding. Right where the operation is exact (any two
   float8_e4m3fn values have a float32 sum), and where its rounding cannot be seen: a p-bit quotient cannot lie so
   near to a number of p + 1 bits that rounding it to 2p + 2 bits hides the difference.
2. *to odd*. A float64 operation and its error. Where the error is not zero, the last bit of the result is
   made 1 by a step towards the exact result; two bits more than the format has are enough for
   every mode to round this as it would round the exact result. ::

       exact     1.0110 0110 1000 0000 ... 0000 | 0001       just above a tie
       float64   1.0110 0110 1000 0000 ... 0000              a tie: one error too many
       to odd    1.0110 0110 1000 0000 ... 0001

3. *steps*. The result is float64 itself: directed modes step from the nearest float64 to its neighbour as the
   error says.
4. *integers*. What is beyond the ends of float64, or as long as float64: `floatlab.operations.integers`, one element at
   a time.

Source: IEEE 754-2019, sections 5.4.1 (operations), 6 (infinity, NaN, the sign of zero) and 7 (flags). Why the routes
are right: `floatlab.operations.error_free` and `floatlab.operations.double_rounding`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

import numpy as np

from floatlab.backend import (
    Array,
    array_module,
    block_length,
    blocks,
    ignore_float_errors,
    is_gpu_array,
    together,
    widened,
)
from floatlab.errors import ShapeError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.double_rounding import Route, choose
from floatlab.operations.error_free import NATIVE, two_sum, with_error
from floatlab.operations.full_width import beyond_float64, full_width, odd_integer
from floatlab.operations.on_device import exact_on_device, full_width_on_device
from floatlab.operations.special_values import (
    flags_of_operation,
    negative_zeros,
    sign_nans,
)
from floatlab.rounding.device.rounding import as_type
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import as_source
from floatlab.rounding.odd import nudge
from floatlab.rounding.options import RoundingOptions, Rule, drawing, make_rule, rule_of
from floatlab.rounding.quantize import quantize, round_floats
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system.environment import check_environment

__all__ = ["OPERATIONS", "flushed", "operate"]

OPERATIONS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}  # and their operands

_FLOAT64 = get_format("float64")
_OF_SIZE = {2: get_format("float16"), 4: get_format("float32"), 8: _FLOAT64}
_ON_HOST = {np.ndarray}
_SMALLEST_FLOAT32 = np.float32(2.0**-126)


class _Options(RoundingOptions, total=False):
    formats: Sequence[FloatFormat | None]


@overload
def operate(
    name: str,
    operands: Sequence[Any],
    fmt: Any,
    *,
    return_flags: Literal[False] = ...,
    **options: Unpack[_Options],
) -> Array: ...
@overload
def operate(
    name: str, operands: Sequence[Any], fmt: Any, *, return_flags: Literal[True], **options: Unpack[_Options]
) -> tuple[Array, Flags]: ...
def operate(
    name: str,
    operands: Sequence[Any],
    fmt: Any,
    *,
    return_flags: bool = False,
    formats: Sequence[FloatFormat | None] = (),
    **options: Unpack[RoundingOptions],
) -> Array | tuple[Array, Flags]:
    """Return the result of one of `OPERATIONS` in a format, rounded once from the exact result.

    Parameters
    ----------
    name : str
        "add", "subtract", "multiply", "divide", "sqrt" or "fma".
    operands : sequence of array_like
        Real numbers that float64 holds exactly; their shapes broadcast. They need not be values of `fmt`.
    fmt : str, FloatFormat or dtype
        The format of the result.
    return_flags : bool
        Whether to return the `Flags` as well.
    formats : sequence of FloatFormat or None
        The formats that the operands are known to be values of, one each. It changes no result, but makes a faster
        route possible.
    **options
        Those of `quantize`; flush_inputs says whether an operand below the format's smallest normal value counts as a
        zero of its sign.

    Returns
    -------
    array of ``fmt.value_dtype``
        The values. A NaN operand gives a NaN of its sign (the first one's, if there are several), an invalid
        operation the positive NaN.
    Flags
        Only with ``return_flags=True``.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DtypeError, FormatError, OptionError
        As `quantize`. OverflowPolicyError also for an invalid operation in a format without NaN.

    Examples
    --------
    >>> operate("add", (448.0, 20.0), "e4m3", overflow="saturate").item()
    448.0
    >>> operate("fma", (0.1015625, 10.0, -1.0), "e4m3").item()  # the product alone would be rounded to 1
    0.015625
    """
    fmt = get_format(fmt)
    check_environment()
    rule, overflow = rule_of(name, fmt, options), options.get("overflow")
    return_flags = return_flags is not False and check_switch("return_flags", return_flags)
    xs = [as_source(x, _FLOAT64) for x in operands]
    on_device = {type(x) for x in xs} != _ON_HOST
    if on_device:
        xs = together(f"The operands of {name}", operands, xs)
    if len({x.shape for x in xs}) > 1:
        xs = _broadcast(name, xs)
    sizes = tuple(x.dtype.itemsize for x in xs)
    if rule.flush_inputs:
        xs = [flushed(x, fmt) for x in xs]
    draw = None
    if rule.variant is not None:
        draw = RandomIntegers(*drawing(options))
        draw.fit(xs[0])
    known = tuple(formats) if formats else (None,) * len(xs)
    if on_device:  # where every operation is one of float64
        known = tuple(_OF_SIZE[size] if of is None else of for of, size in zip(known, sizes, strict=True))
        sizes = (8,) * len(xs)
    route = choose(
        name,
        fmt,
        known,
        sizes,
        rule.rounding,
        rule.over == rule.infinite,
        return_flags,
        draw.bits if draw is not None else 0,
    )
    with ignore_float_errors(xs[0]):
        if route.name == "integers" or route.name == "steps":
            by_hand = full_width_on_device if on_device else full_width
            return _shaped(by_hand(name, xs, rule, route.name, draw, overflow, return_flags), xs[0].shape)
        if on_device:
            result = exact_on_device(name, xs, route, rule)
            xs = [widened(x) for x in xs] if return_flags else xs
        else:
            result = _exact(name, xs, route, rule)
        if not return_flags:
            if rule.flush_inputs:  # of which the result is none
                rule = make_rule(fmt, rule.rounding, overflow, rule.subnormals, False)
            short = result.dtype.itemsize < fmt.value_dtype.itemsize  # operands, and a format of wide range
            values = np.empty_like(result, fmt.value_dtype) if short or on_device else result
            return round_floats(result, rule, values, draw).astype(fmt.value_dtype, copy=False)
        kept: dict[str, Any] = {
            "rounding": rule.rounding,
            "overflow": overflow,
            "subnormals": rule.subnormals,
        }
        if draw is not None:
            supplied = None if draw.supplied is None else draw.supplied.reshape(result.shape)
            kept |= {"random_bits": draw.bits, "rng": draw.rng, "random_integers": supplied}
        values, flags = quantize(result, fmt, **kept, return_flags=True)
        return as_type(values, fmt.value_dtype), flags_of_operation(name, xs, result, flags)


def _exact(name: str, xs: list[Array], route: Route, rule: Rule) -> Array:
    """Return results that the format's rounding takes for the exact ones, with the signs of zeros and NaNs."""
    result = NATIVE[name](*xs, dtype=route.carrier) if route.name == "direct" else _to_odd(name, xs, route)
    result = np.asarray(result, order="C")  # a scalar, or transposed
    if route.watched and not _mend_small(name, xs, result):
        result = np.asarray(NATIVE[name](*xs, dtype=np.float64), order="C")
    if rule.mode.cancels_to_minus and name in ("add", "subtract", "fma"):
        negative_zeros(name, xs, result)
    if result.size and math.isnan(np.maximum.reduce(result, axis=None)):
        sign_nans(xs, result, rule.fmt)
    return result


def _mend_small(name: str, xs: list[Array], result: Array) -> bool:
    """Put in what is rounded to odd for float32 results up to the smallest normal number; in place.

    Above, a product or a quotient of short numbers is exact, or its rounding cannot be seen. Below, float32 has fewer
    bits, and would round twice. False where they are so many that float64 is faster.
    """
    if (
        result.size <= 1024
        and np.minimum.reduce(np.absolute(result), axis=None, initial=1.0) > _SMALLEST_FLOAT32
    ):
        return True
    flat, operands = result.reshape(-1), xs if name == "multiply" else xs[:1]
    size = np.empty(min(flat.size, block_length(4)), np.float32)
    for block in blocks(flat.size, block_length(4)):
        part = np.absolute(flat[block], out=size[: block.stop - block.start])
        if np.minimum.reduce(part) > _SMALLEST_FLOAT32:  # false where there is a NaN
            continue
        small = part <= _SMALLEST_FLOAT32
        for x in operands:  # of a zero the result is exact
            small &= _at(x, block) != 0
        places = np.flatnonzero(small) + block.start
        if places.size > part.size // 16:
            return False
        if places.size:
            exact = NATIVE[name](*(_at(x, places) for x in xs), dtype=np.float64)
            flat[places] = quantize(exact, "float32", rounding="to_odd")
    return True


def _at(x: Array, places: Any) -> Array:
    """Return elements by their number in C order, without a copy of all that an array broadcasts to."""
    return x.reshape(-1)[places] if x.flags.c_contiguous else x.flat[places]


def _to_odd(name: str, xs: list[Array], route: Route) -> Array:
    """Return the exact results, rounded to odd in float64."""
    xp, shape = array_module(xs[0]), xs[0].shape
    flat = [x.reshape(-1) for x in xs]
    result = xp.empty(flat[0].size, np.float64)
    length = max(block_length(32), 1)  # the dozen temporaries stay in the cache
    for block in blocks(result.size, length):
        operands = [x[block].astype(np.float64) for x in flat]
        if route.exact_product:
            nearest, error = two_sum(operands[0] * operands[1], operands[2])
        else:
            nearest, error = with_error(name, operands)
        nearest = nudge(nearest, error)
        if not route.narrow:
            for i in beyond_float64(name, operands):
                nearest[i] = odd_integer(name, [float(x[i]) for x in operands])
        result[block] = nearest
    return result.reshape(shape)


# -- operands ---------------------------------------------------------------------------------------------


def flushed(x: Array, fmt: FloatFormat) -> Array:
    """Return operands with those below the smallest normal value replaced by zeros of their sign."""
    if is_gpu_array(x):
        x = widened(x)
    xp = array_module(x)
    smallest = np.float64(fmt.smallest_normal)  # which float32 may not hold
    return xp.where(xp.abs(x) < smallest, xp.copysign(x.dtype.type(0), x), x)


def _shaped(result: Any, shape: tuple[int, ...]) -> Any:
    """Give flat values, or values and flags, the shape of the operands."""
    if not isinstance(result, tuple):
        return result.reshape(shape)
    values, flags = result
    return values.reshape(shape), Flags(
        *(getattr(flags, n).reshape(shape) for n in flags.__dataclass_fields__)
    )


def _broadcast(name: str, xs: list[Array]) -> list[Array]:
    try:
        return list(array_module(xs[0]).broadcast_arrays(*xs))
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in xs)
        raise ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {shapes}. Reshape one of them."
        ) from None
