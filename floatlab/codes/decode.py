"""Which value do these bits mean? Short formats (16 bits and fewer) have a table with an entry for every code.

The other codes are taken apart: (-1)^sign * significand * 2^exponent, which no float64 has to round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, blocks, is_gpu_array
from floatlab.codes.device import values_on_device
from floatlab.errors import DtypeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.inputs import as_array, leaf_types
from floatlab.rounding.pool import in_pieces, threads_for
from floatlab.system.environment import check_environment

__all__ = ["as_codes", "decode", "is_leading_part", "value_table"]


def decode(codes: Any, fmt: Any, *, threads: int | None = None) -> Array:
    """Return the values that codes mean.

    Parameters
    ----------
    codes : array_like of unsigned integers
        The codes, in the low bits; or an array of the format's own NumPy or ml_dtypes type.
    fmt : str, FloatFormat or dtype
        The format.
    threads : int, optional
        As in `quantize`.

    Returns
    -------
    array of float32, or float64 where the format is wider
        The values, exactly. The code of a NaN becomes a quiet NaN with the sign of the code; its payload is kept in
        float32 and float64 alone, whose codes are the values' own bits.

    Raises
    ------
    DtypeError
        If the codes are not integers, or have more bits than the format.
    OptionError
        If `threads` is no number of threads.

    Examples
    --------
    >>> decode([0x7E, 0x01, 0x80], "e4m3").tolist()
    [448.0, 0.001953125, -0.0]
    """
    fmt = get_format(fmt)
    codes = as_codes(codes, fmt)
    count = threads_for(codes.size, threads)
    if is_gpu_array(codes):
        return values_on_device(codes, fmt)
    if fmt.bits > 16 and count == 1:
        return _decode_long(codes, fmt)
    result = np.empty(codes.shape, fmt.value_dtype)
    flat_codes, flat_result = codes.reshape(-1), result.reshape(-1)

    def work(piece: slice, _: object = None) -> None:
        if fmt.bits > 16:
            flat_result[piece] = _decode_long(flat_codes[piece], fmt)
        else:
            _decode_short(flat_codes[piece], flat_result[piece], fmt)

    if count > 1:
        in_pieces(work, codes.size, None, count)
    else:
        work(slice(0, codes.size))
    return result


def _decode_short(codes: Array, result: Array, fmt: FloatFormat) -> None:
    """Write the values of codes of at most 16 bits; of many codes of 8 bits, two at a time."""
    if fmt.bits <= 8 and result.itemsize == 4 and codes.size >= _MANY:
        even, codes = codes.size & ~1, np.ascontiguousarray(codes)
        _look_up(_pair_table(fmt), codes[:even].view(np.uint16), result[:even].view(np.uint64))
        codes, result = codes[even:], result[even:]  # one, or none
    _look_up(value_table(fmt), codes, result)


_MANY = 1 << 14  # codes, for which a table of pairs is worth its 512 KiB


def _look_up(table: Array, indices: Array, result: Array) -> None:
    """Write the entries of a table, a block at a time: NumPy makes 8-byte integers of the indices first."""
    places = np.empty(min(indices.size, 1 << 15), np.intp)
    for block in blocks(indices.size, 1 << 15):
        here = places[: block.stop - block.start]
        np.copyto(here, indices[block])
        # "clip" spares the check of every index: the codes are known to be in range
        np.take(table, here, out=result[block], mode="clip")


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
def value_table(fmt: FloatFormat) -> np.ndarray[Any, Any]:
    """The value of every code; 65,536 entries at most."""
    table: np.ndarray[Any, Any] = _decode_long(np.arange(1 << fmt.bits, dtype=np.uint64), fmt)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=16)
def _pair_table(fmt: FloatFormat) -> np.ndarray[Any, Any]:
    """The values of every pair of codes of 8 bits, the first in the low half as in memory, as one 8-byte integer."""
    codes = np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    table: np.ndarray[Any, Any] = np.take(value_table(fmt), codes, mode="clip").view(np.uint64)
    return table


def _decode_long(codes: Array, fmt: FloatFormat) -> Array:
    """Decode by the definition: (-1)^sign * significand * 2^exponent."""
    check_environment()
    if is_leading_part(fmt) and fmt.bits == 8 * fmt.value_dtype.itemsize:  # float32 and float64 themselves
        return codes.astype(fmt.code_dtype).view(fmt.value_dtype)
    codes = codes.astype(np.int64)
    size = codes & ((1 << fmt.magnitude_bits) - 1)
    negative = (codes & fmt.sign_mask) != 0
    field, fraction = size >> fmt.mantissa_bits, size & ((1 << fmt.mantissa_bits) - 1)
    subnormal = (field == 0) & fmt.has_zero
    significand = np.where(subnormal, fraction, fraction | 1 << fmt.mantissa_bits).astype(np.float64)
    exponent = np.maximum(field, 1 if fmt.has_zero else 0) - fmt.bias - fmt.mantissa_bits
    with np.errstate(all="ignore"):
        values = np.ldexp(significand, np.minimum(exponent, 2000).astype(np.int32))
    values = np.where(size > fmt.max_code, np.nan, values)
    if fmt.inf_code is not None:
        values = np.where(size == fmt.inf_code, np.inf, values)
    values = np.where(negative, -values, values)
    if not fmt.has_negative_zero and fmt.signed:  # NaN stands in its place
        values = np.where(codes == fmt.sign_mask, np.nan, values)
    return values.astype(fmt.value_dtype)


def is_leading_part(fmt: FloatFormat) -> bool:
    """Whether a code is the first bits of the float32, or float64, that is its value."""
    carrier = (8, 127) if fmt.value_dtype.itemsize == 4 else (11, 1023)
    return fmt.specials == "ieee" and fmt.signed and (fmt.exponent_bits, fmt.bias) == carrier
