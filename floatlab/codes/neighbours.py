"""Which value is next to that one, and how far away? Magnitudes are in order, and so are their codes.

The code of a positive value is the number of positive values below it, so the neighbour of a value is the code plus or
minus one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, ignore_float_errors, widened
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.device.rounding import as_type
from floatlab.rounding.inputs import as_source
from floatlab.rounding.quantize import quantize
from floatlab.system.environment import check_environment

__all__ = ["classify", "next_down", "next_up", "spacing", "ulp"]


def ulp(x: Any, fmt: Any) -> Array:
    """Return the unit in the last place of each number: the distance between the values around it.

    It is ``2**(e - mantissa_bits)`` for a number in ``[2**e, 2**(e+1))``, that of the subnormals below the smallest
    normal value and at zero, and NaN for infinities and NaNs (Goldberg's definition, for all real numbers). The
    result is float64 where the numbers or the format's values are, else float32: 1e300 has a unit beyond float32.

    >>> ulp([1.0, 0.0, 100.0], "fp16").tolist()
    [0.0009765625, 5.960464477539063e-08, 0.0625]
    """
    check_environment()
    fmt = get_format(fmt)
    source = as_source(x, fmt)
    xp, dtype = array_module(source), np.result_type(source.dtype, fmt.value_dtype)
    source = widened(source)
    finite = xp.isfinite(source)
    exponent = xp.frexp(xp.where(finite, source, 1.0))[1] - 1
    exponent = xp.where(source == 0, fmt.emin, xp.maximum(exponent, fmt.emin))
    unit = xp.ldexp(xp.ones(source.shape), exponent - fmt.mantissa_bits)
    return as_type(xp.where(finite, unit, np.nan), dtype)


def spacing(x: Any, fmt: Any) -> Array:
    """Return the distance from each value to the next larger in magnitude, with the sign of the value.

    As `numpy.spacing` of float32 and float64: of the largest value it is infinite (NaN in a format without infinity,
    zero in one without NaN, which has nothing beyond), of infinities and NaNs it is NaN.

    >>> spacing([1.0, -1.0], "e4m3").tolist()
    [0.125, -0.125]
    """
    values = quantize(x, fmt)
    xp, wide = array_module(values), widened(values)
    with ignore_float_errors(values):
        away = xp.where(wide < 0, widened(next_down(values, fmt)), widened(next_up(values, fmt)))
        return as_type(away - wide, values.dtype)


def next_up(x: Any, fmt: Any) -> Array:
    """Return the least value of the format that is greater than x.

    As IEEE 754's nextUp: of the largest value it is infinity (where the format has none, NaN, and where it has no NaN
    either, the largest value itself), of -0 and 0 the smallest subnormal, of a NaN a NaN. `x` need not be a value
    of the format.

    >>> next_up([1.0, 448.0, 0.3], "e4m3").tolist()
    [1.125, nan, 0.3125]
    """
    return _neighbour(x, get_format(fmt), up=True)


def next_down(x: Any, fmt: Any) -> Array:
    """Return the greatest value of the format that is less than x; the mirror image of `next_up`.

    >>> next_down([1.0, 0.0], "e4m3").tolist()
    [0.9375, -0.001953125]
    """
    return _neighbour(x, get_format(fmt), up=False)


def _neighbour(x: Any, fmt: FloatFormat, up: bool) -> Array:
    source = widened(as_source(x, fmt))
    xp = array_module(source)
    # The last value on the near side of x; from there it is one step along the codes, which are in order.
    nan = xp.isnan(source)
    inside = xp.where(nan, fmt.max, source)
    inward = "toward_negative" if up else "toward_positive"
    codes = encode(inside, fmt, rounding=inward, overflow="saturate").astype(np.uint64)
    size = (codes & np.uint64((1 << fmt.magnitude_bits) - 1)).astype(np.int64)
    place = xp.where(codes & np.uint64(fmt.sign_mask), -size, size) + (1 if up else -1)
    stepped = xp.abs(place).astype(np.uint64)
    negative = (place < 0) | (
        (place == 0) & up & fmt.has_negative_zero
    )  # up from the smallest negative is -0
    exists = (stepped <= fmt.max_code) & ((place >= 0) | fmt.signed)
    stepped = xp.where(exists, stepped, 0) | negative.astype(np.uint64) * np.uint64(fmt.sign_mask)
    result = widened(decode(stepped.astype(fmt.code_dtype), fmt))
    mark = (1.0 if up else -1.0) * np.inf if fmt.has_infinity and (up or fmt.signed) else np.nan
    if not fmt.has_nan:
        mark = fmt.max if up else fmt.lowest
    near_end, far_end = (fmt.max, fmt.lowest) if up else (fmt.lowest, fmt.max)
    past = (source >= near_end) if up else (source <= near_end)
    short = (source < far_end) if up else (source > far_end)
    result = xp.where(past, mark, xp.where(short, far_end, result))
    return as_type(xp.where(nan, np.nan, result), fmt.value_dtype)


def classify(x: Any, fmt: Any) -> np.ndarray[Any, Any]:
    """Say of each number which kind of value of the format it becomes.

    Returns
    -------
    array of str
        "zero", "subnormal", "normal", "infinity" or "nan", with a leading "-" for a negative number or zero.
        After rounding to nearest: 1e-9 is "zero" in float16.

    Examples
    --------
    >>> classify([1.0, -1e-6, 1e-9, 1e9], "fp16").tolist()
    ['normal', '-subnormal', 'zero', 'infinity']
    """
    fmt = get_format(fmt)
    values = np.asarray(asnumpy(quantize(x, fmt)))  # no device holds texts
    size = np.abs(values)
    kind = np.select(
        [np.isnan(values), np.isinf(values), size == 0, size < fmt.smallest_normal],
        ["nan", "infinity", "zero", "subnormal"],
        "normal",
    )
    negative = np.signbit(values) & ~np.isnan(values)
    signed: np.ndarray[Any, Any] = np.where(negative, np.char.add("-", kind), kind)
    return signed
