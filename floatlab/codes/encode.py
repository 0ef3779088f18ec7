"""Which bits are that value? Between values and codes, and from one value to the next.

A code is sign, exponent field, mantissa field, and magnitudes are in order; so the code of a positive value is
the number of positive values below it, and the neighbour of a value is the code plus or minus one. Short
formats (16 bits and fewer) are decoded by a table with an entry for every code; encoding counts units, as
rounding does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, Unpack, overload

import numpy as np

from floatlab.backend import Array, array_module, block_length, ignore_float_errors, is_gpu_array, widened
from floatlab.errors import DtypeError, OverflowPolicyError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.definition import convert_with_flags, refuse_nan
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import as_array, as_source, leaf_types
from floatlab.rounding.kernels.lookup import Lookup, has_keys, keys_of_values
from floatlab.rounding.kernels.workspace import scratch
from floatlab.rounding.options import RoundingOptions, Rule, check_names, drawing, make_rule, settings
from floatlab.rounding.plan import plan
from floatlab.rounding.quantize import prepare, put_exact, quantize
from floatlab.system.environment import check_environment

__all__ = ["classify", "decode", "encode", "next_down", "next_up", "spacing", "ulp"]


@overload
def encode(
    x: Any, fmt: Any, *, return_flags: Literal[False] = ..., **options: Unpack[RoundingOptions]
) -> Array: ...
@overload
def encode(
    x: Any, fmt: Any, *, return_flags: Literal[True], **options: Unpack[RoundingOptions]
) -> tuple[Array, Flags]: ...
@overload
def encode(
    x: Any, fmt: Any, *, return_flags: bool, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]: ...
def encode(
    x: Any, fmt: Any, *, return_flags: bool = False, out: None = None, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]:
    """Round numbers to a format and return the codes.

    Parameters
    ----------
    x : array_like
        Real numbers of any kind and shape.
    fmt : str, FloatFormat or dtype
        The format.
    return_flags : bool
        Whether to return the `Flags` as well.
    out : None
        For the sake of `quantize`; the codes are a new array.
    **options
        Those of `quantize`; with the same random integers the codes are those of the same values.

    Returns
    -------
    array of uint8, uint16, uint32 or uint64
        The codes, in the low bits, of the shape of `x`. NaNs become the canonical quiet NaN, with their sign where
        the format's NaN has one; a payload is lost.
    Flags
        Only with ``return_flags=True``.

    Raises
    ------
    DtypeError, FormatError, OptionError, OverflowPolicyError
        As in `quantize`.

    Examples
    --------
    >>> encode([0.1, -448.0, float("nan")], "e4m3").tolist()
    [29, 254, 127]
    """
    if out is not None:
        raise DtypeError("encode returns a new array of codes. Got out. Use codes[...] = encode(x, fmt).")
    if options:
        check_names("encode", options, (*RoundingOptions.__annotations__, "return_flags"))
    check_environment()
    fmt = get_format(fmt)
    rule = make_rule(fmt, *settings(options))
    source, rest, draw = prepare(x, rule, *drawing(options))
    if return_flags is not False and check_switch("return_flags", return_flags):
        values, flags = convert_with_flags(source, rule, draw)
        if rest:
            put_exact(values, rest, rule, draw, flags)
        return encode_values(values, fmt), flags
    conversion = plan(rule, source.dtype, None if draw is None else draw.bits)
    if rest:
        values = np.empty(source.shape, fmt.value_dtype)
        with ignore_float_errors(source):
            conversion.run(values, source, draw)
        put_exact(values, rest, rule, draw)
        return encode_values(values, fmt)
    xp = array_module(source)
    codes = xp.empty(source.shape, fmt.code_dtype)
    if draw is None and xp is np and source.size >= 8192 and source.itemsize <= 4 and has_keys(fmt):
        return _encode_by_lookup(source, codes, rule)
    flat_source, flat_codes = source.reshape(-1), codes.reshape(-1)
    # A block at a time, so that the values between the two steps never leave the cache.
    length = max(block_length(source, 2 * source.dtype.itemsize), 1)
    for start in range(0, source.size, length):
        block = flat_source[start : start + length]
        values = xp.empty(block.size, fmt.value_dtype)
        with ignore_float_errors(block):
            conversion.run(values, block, draw, start)
        flat_codes[start : start + length] = encode_values(values, fmt)
    return codes


def _encode_by_lookup(source: Array, codes: Array, rule: Rule) -> Array:
    """Look the codes up by the first 16 bits of each number; see `floatlab.rounding.kernels.lookup`."""
    lookup, table = _code_table(rule)
    flat_source, flat_codes = source.reshape(-1), codes.reshape(-1)
    words = scratch(1 << 15)
    for start in range(0, source.size, words.size):
        x = np.ascontiguousarray(flat_source[start : start + words.size], np.float32)
        if not rule.fmt.has_nan and x.max() != x.max():
            refuse_nan(x, rule)
        keys = lookup.keys(x, words[: x.size])
        np.take(table, keys, out=flat_codes[start : start + words.size], mode="clip")
    return codes


@lru_cache(maxsize=128)
def _code_table(rule: Rule) -> tuple[Lookup, Array]:
    """Return the tables of a conversion, and the code of each of their values."""
    check_environment()
    lookup = plan(rule, np.dtype(np.float32), None).lookup
    assert lookup is not None
    values = lookup.values if rule.fmt.has_nan else np.nan_to_num(lookup.values, nan=rule.fmt.max)
    return lookup, encode_values(values, rule.fmt)


def encode_values(values: Array, fmt: FloatFormat) -> Array:
    """Return the codes of values that are the format's already; `encode` rounds first.

    >>> encode_values(np.float32([1.0, -0.0]), get_format("fp16")).tolist()
    [15360, 32768]
    """
    xp = array_module(values)
    values = xp.asarray(values).astype(fmt.value_dtype, copy=False)
    looked_up = xp is np and values.size >= 8192 and _has_code_of_key(fmt)
    if looked_up and (fmt.has_infinity or not np.isinf(values).any()):
        keys = keys_of_values(np.ascontiguousarray(values).reshape(-1))
        return np.take(_code_of_key(fmt), keys, mode="clip").reshape(values.shape)
    word = np.dtype(f"i{values.dtype.itemsize}")
    bits = values.view(word)
    drop = (23 if word.itemsize == 4 else 52) - fmt.mantissa_bits
    if _is_leading_part(fmt):  # the code is the first bits of the carrier: bfloat16, tf32, float32, float64
        unsigned = np.dtype(f"u{word.itemsize}")
        code: Array = bits.view(unsigned) >> unsigned.type(drop)
        special = ~xp.isfinite(values)
    elif _counts_in_place(fmt):
        magnitude = xp.asarray(bits & word.type(np.iinfo(word).max))  # an array even without dimensions
        largest, top = _bits(fmt.max), int(magnitude.max()) if magnitude.size else 0
        if top > largest and fmt.has_infinity:  # its code is that of the next value, if there were one
            xp.minimum(magnitude, np.int32(largest + (1 << drop)), out=magnitude)
        code = _count_in_place(bits, magnitude, fmt, xp)
        special = xp.isnan(values) if fmt.has_infinity and top > largest else np.bool_(top > largest)
    else:
        special = ~(xp.abs(values) <= fmt.max)
        with ignore_float_errors(values):  # of infinities and NaNs, which are put in below
            code = _magnitude_code(values, bits, fmt, xp)
        if fmt.signed:
            code = code | (bits < 0).astype(word) << word.type(fmt.magnitude_bits)
    if not fmt.has_negative_zero:
        code = xp.where(code == fmt.sign_mask, 0, code)
    codes = xp.asarray(code).astype(fmt.code_dtype)
    if special.any():
        infinite = xp.isinf(values)
        if fmt.inf_code is not None:
            codes[infinite] = _signed_code(xp.signbit(values[infinite]), fmt.sign_mask, fmt.inf_code, fmt)
        elif infinite.any():
            raise OverflowPolicyError(f"{fmt} has no infinity. Got one. Use encode, which takes a policy.")
        codes = _with_nan(codes, xp.isnan(values), xp.signbit(values), fmt)
    return codes


def _has_code_of_key(fmt: FloatFormat) -> bool:
    """Whether the first 16 bits of a float32 are all of each value."""
    return fmt.bits <= 16 and fmt.mantissa_bits <= 7 and fmt.emax <= 127 and fmt.etiny >= -133


@lru_cache(maxsize=64)
def _code_of_key(fmt: FloatFormat) -> Array:
    """Return the code of each value, by its first 16 bits as a float32; those of other numbers mean nothing."""
    check_environment()
    values, codes = _table(fmt), np.arange(1 << fmt.bits)
    numbers = ~np.isnan(values)
    table = np.zeros(1 << 16, fmt.code_dtype)
    table[keys_of_values(values)[numbers]] = codes[numbers]
    if fmt.nan_code is not None:
        table[0x7F81:0x8000] = fmt.nan_code
        table[0xFF81:] = fmt.nan_code | (fmt.sign_mask if fmt.nan_has_sign else 0)
    return table


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.int32))


def _counts_in_place(fmt: FloatFormat) -> bool:
    """Whether no sum of `_count_in_place` leaves float32 (or its bits int32), and the largest value is normal."""
    return _counts_units(fmt) and fmt.emin <= fmt.emax < 127


def _counts_units(fmt: FloatFormat) -> bool:
    """Whether float32 holds the values, one over the smallest of them, and the smallest normal one."""
    return fmt.value_dtype.itemsize == 4 and fmt.has_zero and fmt.etiny >= -125 and fmt.emin < 127


def _count_in_place(bits: Array, magnitude: Array, fmt: FloatFormat, xp: Any) -> Array:
    """Return the codes of finite values, with their signs, in a few passes; `magnitude` is overwritten.

    A normal value's bits, shifted down, are its code but for the bias. A subnormal value y becomes so by adding the
    smallest normal value s: the bits of s + y, less those of s, count units of the last place. Of the two
    numbers the larger one is right, for the sum is the larger one below s only: ::

        y < s:    bits(s + y)           > bits(y) + 1 binade
        y >= s:   bits(y) + 1 binade   >= bits(s + y)
    """
    smallest = np.float32(fmt.smallest_normal)
    total = xp.asarray(magnitude.view(np.float32) + smallest)
    xp.add(magnitude, np.int32(1 << 23), out=magnitude)
    xp.maximum(magnitude, total.view(np.int32), out=magnitude)
    xp.subtract(magnitude, smallest.view(np.int32), out=magnitude)
    xp.right_shift(magnitude, np.int32(23 - fmt.mantissa_bits), out=magnitude)
    if fmt.signed:
        signs = total.view(np.int32)
        xp.right_shift(bits, np.int32(31 - fmt.magnitude_bits), out=signs)
        xp.bitwise_and(signs, np.int32(fmt.sign_mask), out=signs)
        xp.bitwise_or(magnitude, signs, out=magnitude)
    return magnitude


def _is_leading_part(fmt: FloatFormat) -> bool:
    carrier = (8, 127) if fmt.value_dtype.itemsize == 4 else (11, 1023)
    return fmt.specials == "ieee" and fmt.signed and (fmt.exponent_bits, fmt.bias) == carrier


def _magnitude_code(values: Array, bits: Array, fmt: FloatFormat, xp: Any) -> Array:
    """Return the code without sign: units in the last place, plus the binades passed on the way.

    In the binade e of exponent field f the significand counts 2^m to 2^(m+1) - 1 units, and the code is
    (f - 1) * 2^m more; below the smallest normal value f counts as 1. So the code is one sum for all.
    """
    word = bits.dtype
    if _counts_units(fmt):
        # Normal values: shift the carrier's bits down to the format's mantissa, less the difference of the biases.
        # Subnormal values: count them in units of the smallest.
        magnitude = bits & word.type(np.iinfo(word).max)
        hidden = word.type(127 + fmt.emin << 23)  # the smallest normal value
        code = (magnitude - hidden >> word.type(23 - fmt.mantissa_bits)) + word.type(1 << fmt.mantissa_bits)
        subnormal = magnitude < hidden
        if subnormal.any():
            units = xp.abs(values) * fmt.value_dtype.type(1.0 / fmt.smallest_subnormal)
            code = xp.where(subnormal, units.astype(word), code)
        return code
    size = xp.abs(xp.where(xp.isfinite(values), values, 0))
    exponent = xp.where(size == 0, fmt.emin, xp.maximum(xp.frexp(size)[1] - 1, fmt.emin))
    count = xp.ldexp(size, fmt.mantissa_bits - exponent).astype(np.int64)
    code = ((exponent - fmt.emin).astype(np.int64) << np.int64(fmt.mantissa_bits)) + count
    if not fmt.has_zero:  # exponent field 0 has a hidden bit too
        code = code - (1 << fmt.mantissa_bits)
    return code.astype(word)


def _with_nan(codes: Array, nan: Array, negative: Array, fmt: FloatFormat) -> Array:
    if nan.any():
        if fmt.nan_code is None:
            raise OverflowPolicyError(f"{fmt} has no code for NaN. Got one. Replace it first.")
        codes[nan] = _signed_code(negative[nan], fmt.sign_mask if fmt.nan_has_sign else 0, fmt.nan_code, fmt)
    return codes


def _signed_code(negative: Array, sign: int, code: int, fmt: FloatFormat) -> Array:
    return (negative.astype(np.uint64) * np.uint64(sign) + np.uint64(code)).astype(fmt.code_dtype)


def decode(codes: Any, fmt: Any) -> Array:
    """Return the values that codes mean.

    Parameters
    ----------
    codes : array_like of unsigned integers
        The codes, in the low bits; or an array of the format's own NumPy or ml_dtypes type.
    fmt : str, FloatFormat or dtype
        The format.

    Returns
    -------
    array of float32, or float64 where the format is wider
        The values, exactly. The code of a NaN becomes a quiet NaN with the sign of the code; its payload is kept in
        float32 and float64 alone, whose codes are the values' own bits.

    Raises
    ------
    DtypeError
        If the codes are not integers, or have more bits than the format.

    Examples
    --------
    >>> decode([0x7E, 0x01, 0x80], "e4m3").tolist()
    [448.0, 0.001953125, -0.0]
    """
    fmt = get_format(fmt)
    codes = as_codes(codes, fmt)
    xp = array_module(codes)
    if fmt.bits > 16:
        return _decode_long(codes, fmt, xp)
    values = _table(fmt)
    if xp is not np:
        return xp.asarray(values)[codes]
    result = np.empty(codes.shape, fmt.value_dtype)
    flat_codes, flat_result = codes.reshape(-1), result.reshape(-1)
    for start in range(0, codes.size, 1 << 15):
        piece = slice(start, start + (1 << 15))
        # "clip" spares the check of every index: the codes are known to be in range
        np.take(values, flat_codes[piece], out=flat_result[piece], mode="clip")
    return result


def as_codes(codes: Any, fmt: FloatFormat) -> Array:
    """Return codes as an array of ``fmt.code_dtype``, without a copy where they are one; `decode` says what it takes.

    >>> as_codes([126, 1], get_format("e4m3"))
    array([126,   1], dtype=uint8)
    """
    array = codes if type(codes) is np.ndarray or is_gpu_array(codes) else as_array(codes, "decoded")
    given = getattr(codes, "dtype", None)
    if isinstance(given, np.dtype) and fmt.dtype is not None and given == fmt.dtype != array.dtype:
        array = np.asarray(codes, given)  # a FloatArray, whose values come unless its type is asked for
    listed = isinstance(codes, list | tuple)
    own = fmt.dtype is not None and array.dtype == fmt.dtype
    if own and (hasattr(codes, "dtype") or (listed and leaf_types(codes) == {array.dtype.type})):
        return array.view(fmt.code_dtype)
    if array.size == 0 and not hasattr(codes, "dtype"):
        return array.astype(fmt.code_dtype)
    if listed and array.dtype.kind == "f":  # NumPy makes floats of integers below and above 2^63
        array = np.asarray(codes, dtype=object)
    if array.dtype.kind not in "iu" and not (array.dtype == object and all(map(_is_integer, array.flat))):
        raise DtypeError(
            f"Codes are unsigned integers. Got dtype {array.dtype}. "
            f"Use encode(x, {fmt.spec!r}) to make codes of values."
        )
    if (array.size and array.dtype != fmt.code_dtype) or fmt.bits != 8 * fmt.code_dtype.itemsize:
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        if low < 0 or high >> fmt.bits:
            raise DtypeError(
                f"Codes of {fmt} have {fmt.bits} bits, 0 to {(1 << fmt.bits) - 1}. Got {low} to {high}. "
                "Mask the bits that are not part of the code."
            )
    fitting: Array = array.astype(fmt.code_dtype, copy=False)
    return fitting


def _is_integer(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


@lru_cache(maxsize=64)
def _table(fmt: FloatFormat) -> np.ndarray[Any, Any]:
    """The value of every code; 65,536 entries at most."""
    table: np.ndarray[Any, Any] = _decode_long(np.arange(1 << fmt.bits, dtype=np.uint64), fmt, np)
    table.flags.writeable = False
    return table


def _decode_long(codes: Array, fmt: FloatFormat, xp: Any) -> Array:
    """Decode by the definition: (-1)^sign * significand * 2^exponent."""
    check_environment()
    if _is_leading_part(fmt) and fmt.bits == 8 * fmt.value_dtype.itemsize:  # float32 and float64 themselves
        return codes.astype(fmt.code_dtype).view(fmt.value_dtype)
    codes = codes.astype(np.int64)
    size = codes & ((1 << fmt.magnitude_bits) - 1)
    negative = (codes & fmt.sign_mask) != 0
    field, fraction = size >> fmt.mantissa_bits, size & ((1 << fmt.mantissa_bits) - 1)
    subnormal = (field == 0) & fmt.has_zero
    significand = xp.where(subnormal, fraction, fraction | 1 << fmt.mantissa_bits).astype(np.float64)
    exponent = xp.maximum(field, 1 if fmt.has_zero else 0) - fmt.bias - fmt.mantissa_bits
    with ignore_float_errors(codes):
        values = xp.ldexp(significand, xp.minimum(exponent, 2000).astype(np.int32))
    values = xp.where(size > fmt.max_code, np.nan, values)
    if fmt.inf_code is not None:
        values = xp.where(size == fmt.inf_code, np.inf, values)
    values = xp.where(negative, -values, values)
    if not fmt.has_negative_zero and fmt.signed:  # NaN stands in its place
        values = xp.where(codes == fmt.sign_mask, np.nan, values)
    return values.astype(fmt.value_dtype)


# -- neighbours and spacing ----------------------------------------------------------------------------


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
    unit = xp.ldexp(1.0, exponent - fmt.mantissa_bits)
    return xp.where(finite, unit, np.nan).astype(dtype)


def spacing(x: Any, fmt: Any) -> Array:
    """Return the distance from each value to the next larger in magnitude, with the sign of the value.

    As `numpy.spacing` of float32 and float64: of the largest value it is infinite (NaN in a format without infinity,
    zero in one without NaN, which has nothing beyond), of infinities and NaNs it is NaN.

    >>> spacing([1.0, -1.0], "e4m3").tolist()
    [0.125, -0.125]
    """
    values = quantize(x, fmt)
    with ignore_float_errors(values):
        away = np.where(values < 0, next_down(values, fmt), next_up(values, fmt))
        return away - values


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
    result = decode(stepped.astype(fmt.code_dtype), fmt).astype(np.float64)
    mark = (1.0 if up else -1.0) * np.inf if fmt.has_infinity and (up or fmt.signed) else np.nan
    if not fmt.has_nan:
        mark = fmt.max if up else fmt.lowest
    near_end, far_end = (fmt.max, fmt.lowest) if up else (fmt.lowest, fmt.max)
    past = (source >= near_end) if up else (source <= near_end)
    short = (source < far_end) if up else (source > far_end)
    result = xp.where(past, mark, xp.where(short, far_end, result))
    return xp.where(nan, np.nan, result).astype(fmt.value_dtype)


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
    values = np.asarray(quantize(x, fmt))
    size = np.abs(values)
    kind = np.select(
        [np.isnan(values), np.isinf(values), size == 0, size < fmt.smallest_normal],
        ["nan", "infinity", "zero", "subnormal"],
        "normal",
    )
    negative = np.signbit(values) & ~np.isnan(values)
    signed: np.ndarray[Any, Any] = np.where(negative, np.char.add("-", kind), kind)
    return signed
