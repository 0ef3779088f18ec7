"""Which bits are that value? Encoding counts units, as rounding does.

A code is sign, exponent field, mantissa field, and magnitudes are in order; so the code of a positive value is the
number of positive values below it: the units in its binade and the binades passed on the way. Where the first 16 bits
of a float32 are enough, the code is looked up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple, Unpack, overload

import numpy as np

from floatlab.backend import Array, array_module, block_length, blocks, ignore_float_errors
from floatlab.codes.decode import is_leading_part, value_table
from floatlab.codes.device import codes_on_device, encode_on_device
from floatlab.errors import DtypeError, OverflowPolicyError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.definition import refuse_nan
from floatlab.rounding.flagged import round_with_flags
from floatlab.rounding.flags import Flags
from floatlab.rounding.kernels.lookup import Lookup, has_keys, keys_of_values
from floatlab.rounding.kernels.workspace import scratch, workspace
from floatlab.rounding.options import RoundingOptions, Rule, check_names, drawing, make_rule, settings
from floatlab.rounding.plan import Plan, lookup_of, plan
from floatlab.rounding.pool import in_pieces, threads_for
from floatlab.rounding.quantize import prepare, put_exact
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system.environment import check_environment

__all__ = ["encode", "encode_by_lookup", "encode_values"]


@overload
def encode(
    x: Any,
    fmt: Any,
    *,
    threads: int | None = ...,
    return_flags: Literal[False] = ...,
    **options: Unpack[RoundingOptions],
) -> Array: ...
@overload
def encode(
    x: Any,
    fmt: Any,
    *,
    threads: int | None = ...,
    return_flags: Literal[True],
    **options: Unpack[RoundingOptions],
) -> tuple[Array, Flags]: ...
@overload
def encode(
    x: Any,
    fmt: Any,
    *,
    threads: int | None = ...,
    return_flags: bool,
    **options: Unpack[RoundingOptions],
) -> Array | tuple[Array, Flags]: ...
def encode(
    x: Any,
    fmt: Any,
    *,
    return_flags: bool = False,
    out: None = None,
    threads: int | None = None,
    **options: Unpack[RoundingOptions],
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
    threads : int, optional
        As in `quantize`.
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
        check_names("encode", options, (*RoundingOptions.__annotations__, "return_flags", "threads"))
    check_environment()
    fmt = get_format(fmt)
    rule = make_rule(fmt, *settings(options))
    source, rest, draw = prepare(x, rule, *drawing(options))
    count = threads_for(source.size, threads)
    if return_flags is not False and check_switch("return_flags", return_flags):
        values, flags = round_with_flags(source, rule, draw)
        if rest:
            put_exact(values, rest, rule, draw, flags)
        return encode_values(values, fmt), flags
    conversion = plan(rule, source.dtype, None if draw is None else draw.bits)
    if rest:
        values = array_module(source).empty(source.shape, fmt.value_dtype)
        with ignore_float_errors(source):
            conversion.run(values, source, draw)
        put_exact(values, rest, rule, draw)
        return encode_values(values, fmt)
    xp = array_module(source)
    codes: Array = xp.empty(source.shape, fmt.code_dtype)
    if xp is not np:
        return encode_on_device(codes, source, rule, draw)
    flat_source, flat_codes = source.reshape(-1), codes.reshape(-1)
    looked_up = draw is None and source.size >= 8192 and source.itemsize <= 4 and has_keys(fmt)

    def work(piece: slice, integers: RandomIntegers | None) -> None:
        if looked_up:
            encode_by_lookup(flat_source[piece], flat_codes[piece], rule)
        else:
            _encode_in_blocks(flat_source[piece], flat_codes[piece], conversion, integers, piece.start)

    if count > 1:
        in_pieces(work, source.size, draw, count)
    else:
        work(slice(0, source.size), draw)
    return codes


def _encode_in_blocks(
    source: Array, codes: Array, conversion: Plan, draw: RandomIntegers | None, start: int
) -> None:
    """Encode numbers, the first of which is number `start`, a block at a time.

    So the values between the two steps never leave the cache.
    """
    fmt = conversion.rule.fmt
    length = max(min(block_length(2 * source.dtype.itemsize), source.size), 1)
    values = np.empty(length, fmt.value_dtype)
    with np.errstate(all="ignore"):
        for block in blocks(source.size, length):
            part = values[: block.stop - block.start]
            conversion.run(part, source[block], draw, start + block.start)
            _encode_block(part, codes[block], fmt)


def encode_by_lookup(source: Array, codes: Array, rule: Rule) -> None:
    """Look the codes of flat arrays up by the first 16 bits of each number.

    For numbers of float32 and formats that `has_keys` says; see `floatlab.rounding.kernels.lookup`.
    """
    lookup, table = _code_table(rule)
    words = scratch(1 << 15)
    for block in blocks(source.size, words.size):
        x = np.ascontiguousarray(source[block], np.float32)
        if not rule.fmt.has_nan and x.max() != x.max():
            refuse_nan(x, rule)
        keys = lookup.keys(x, words[: x.size])
        np.take(table, keys, out=codes[block], mode="clip")


@lru_cache(maxsize=128)
def _code_table(rule: Rule) -> tuple[Lookup, Array]:
    """Return the tables of a conversion, and the code of each of their values."""
    check_environment()
    lookup = lookup_of(rule)
    assert lookup is not None
    values = lookup.values if rule.fmt.has_nan else np.nan_to_num(lookup.values, nan=rule.fmt.max)
    return lookup, encode_values(values, rule.fmt)


def encode_values(values: Array, fmt: FloatFormat) -> Array:
    """Return the codes of values that are the format's already; `encode` rounds first.

    >>> encode_values(np.float32([1.0, -0.0]), get_format("fp16")).tolist()
    [15360, 32768]
    """
    if array_module(values) is not np:
        return codes_on_device(values, fmt)
    values = np.asarray(values).astype(fmt.value_dtype, copy=False)
    codes: Array = np.empty(values.shape, fmt.code_dtype)
    flat_values, flat_codes = values.reshape(-1), codes.reshape(-1)
    length = max(min(block_length(8), values.size), 1)
    with np.errstate(all="ignore"):
        for start in range(0, values.size, length):
            block = slice(start, start + length)
            _encode_block(np.ascontiguousarray(flat_values[block]), flat_codes[block], fmt)
    return codes


def _encode_block(values: Array, codes: Array, fmt: FloatFormat) -> None:
    """Write the codes of a block of the format's values, contiguous, of its type, and none too many for scratch."""
    how = _way(fmt)
    if how.by_key and (fmt.bits <= 8 or values.size >= 8192) and (fmt.has_infinity or _all_below(values)):
        np.take(_code_of_key(fmt), keys_of_values(values), out=codes, mode="clip")
        return
    if how.is_leading_part:  # the code is the first bits of the carrier: bfloat16, tf32, float32, float64
        special = not _all_below(values) and bool(np.isnan(values).any())
        bits = values.view(f"u{values.itemsize}")
        np.copyto(codes, keys_of_values(values) if how.drop == 16 else bits >> bits.dtype.type(how.drop))
    elif how.counts_in_place:
        special = _count_in_place(values, codes, how.drop, fmt)
    else:
        special = not bool((np.abs(values) <= fmt.max).all())
        word = np.dtype(f"i{values.itemsize}")
        bits = values.view(word)
        code = _magnitude_code(values, bits, fmt)  # of infinities and NaNs, too, which are put in below
        if fmt.signed:
            code = code | (bits < 0).astype(word) << word.type(fmt.magnitude_bits)
        np.copyto(codes, code, casting="unsafe")
    if not fmt.has_negative_zero:
        np.copyto(codes, 0, where=codes == fmt.sign_mask)
    if special:
        infinite = np.isinf(values)
        if fmt.inf_code is not None:
            codes[infinite] = _signed_code(np.signbit(values[infinite]), fmt.sign_mask, fmt.inf_code, fmt)
        elif infinite.any():
            raise OverflowPolicyError(f"{fmt} has no infinity. Got one. Use encode, which takes a policy.")
        _put_nan(codes, np.isnan(values), np.signbit(values), fmt)


def _all_below(values: Array) -> bool:
    """Whether none is an infinity or a NaN."""
    return bool(np.maximum.reduce(values) < np.inf) and bool(np.minimum.reduce(values) > -np.inf)


class _Way(NamedTuple):
    """How the codes of a format are found."""

    by_key: bool
    is_leading_part: bool
    counts_in_place: bool
    drop: int  # how many mantissa bits of the carrier the format lacks


@lru_cache(maxsize=256)
def _way(fmt: FloatFormat) -> _Way:
    drop = (23 if fmt.value_dtype.itemsize == 4 else 52) - fmt.mantissa_bits
    return _Way(_has_code_of_key(fmt), is_leading_part(fmt), _counts_in_place(fmt), drop)


def _has_code_of_key(fmt: FloatFormat) -> bool:
    """Whether the first 16 bits of a float32 are all of each value."""
    return fmt.bits <= 16 and fmt.mantissa_bits <= 7 and fmt.emax <= 127 and fmt.etiny >= -133


@lru_cache(maxsize=64)
def _code_of_key(fmt: FloatFormat) -> Array:
    """Return the code of each value, by its first 16 bits as a float32; those of other numbers mean nothing."""
    check_environment()
    values, codes = value_table(fmt), np.arange(1 << fmt.bits)
    numbers = ~np.isnan(values)
    table = np.zeros(1 << 16, fmt.code_dtype)
    table[keys_of_values(values)[numbers]] = codes[numbers]
    if fmt.nan_code is not None:
        table[0x7F81:0x8000] = fmt.nan_code
        table[0xFF81:] = fmt.nan_code | (fmt.sign_mask if fmt.nan_has_sign else 0)
    return table


def _counts_in_place(fmt: FloatFormat) -> bool:
    """Whether no sum of `_count_in_place` leaves float32 (or its bits int32), and the largest value is normal."""
    return _counts_units(fmt) and fmt.emin <= fmt.emax < 127


def _counts_units(fmt: FloatFormat) -> bool:
    """Whether float32 holds the values, one over the smallest of them, and the smallest normal one."""
    return fmt.value_dtype.itemsize == 4 and fmt.has_zero and fmt.etiny >= -125 and fmt.emin < 127


def _count_in_place(values: Array, codes: Array, drop: int, fmt: FloatFormat) -> bool:
    """Write the codes of a block, in a few passes; return whether it holds an infinity or a NaN.

    A normal value's bits, shifted down, are its code but for the bias. A subnormal value y becomes so by adding the
    smallest normal value s: the bits of s + y, less those of s, count units of the last place. Of the two
    numbers the larger one is right, for the sum is the larger one below s only: ::

        y < s:    bits(s + y)           > bits(y) + 1 binade
        y >= s:   bits(y) + 1 binade   >= bits(s + y)
    """
    size, total, sign = workspace(4, values.size).rows
    smallest = np.float32(fmt.smallest_normal)
    np.absolute(values, out=size.value)
    special = not np.maximum.reduce(size.value) <= fmt.max
    np.add(size.value, smallest, out=total.value)
    np.add(size.bits, np.int32(1 << 23), out=size.bits)
    np.maximum(size.bits, total.bits, out=size.bits)
    np.subtract(size.bits, smallest.view(np.int32), out=size.bits)
    np.right_shift(size.bits, np.int32(drop), out=size.bits)
    if fmt.signed:
        np.right_shift(values.view(np.int32), np.int32(31 - fmt.magnitude_bits), out=sign.bits)
        np.bitwise_and(sign.bits, np.int32(fmt.sign_mask), out=sign.bits)
        np.bitwise_or(size.bits, sign.bits, out=size.bits)
    np.copyto(codes, size.bits, casting="unsafe")
    return special


def _magnitude_code(values: Array, bits: Array, fmt: FloatFormat) -> Array:
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
            units = np.abs(values) * fmt.value_dtype.type(1.0 / fmt.smallest_subnormal)
            code = np.where(subnormal, units.astype(word), code)
        return code
    size = np.abs(np.where(np.isfinite(values), values, 0))
    exponent = np.where(size == 0, fmt.emin, np.maximum(np.frexp(size)[1] - 1, fmt.emin))
    count = np.ldexp(size, fmt.mantissa_bits - exponent).astype(np.int64)
    code = ((exponent - fmt.emin).astype(np.int64) << np.int64(fmt.mantissa_bits)) + count
    if not fmt.has_zero:  # exponent field 0 has a hidden bit too
        code = code - (1 << fmt.mantissa_bits)
    return code.astype(word)


def _put_nan(codes: Array, nan: Array, negative: Array, fmt: FloatFormat) -> None:
    if nan.any():
        if fmt.nan_code is None:
            raise OverflowPolicyError(f"{fmt} has no code for NaN. Got one. Replace it first.")
        codes[nan] = _signed_code(negative[nan], fmt.sign_mask if fmt.nan_has_sign else 0, fmt.nan_code, fmt)


def _signed_code(negative: Array, sign: int, code: int, fmt: FloatFormat) -> Array:
    return (negative.astype(np.uint64) * np.uint64(sign) + np.uint64(code)).astype(fmt.code_dtype)
