"""What does a processor make of a product of integers? A sum in int32, zero points taken out, scaled once.

    sum (a - za) (b - zb) = sum a b - za sum b - zb sum a + K za zb

The products are summed as codes, and what the zero points add is taken off by the sums of rows and columns, as
processors do it. Then the integer is multiplied by both scales, and rounded once. How it is summed is the accumulator:

- "int32": exact, modulo 2^32. What AVX-512 VNNI's VPDPBUSD and VPDPWSSD, Arm's SDOT and NVIDIA's IMMA leave.
- "int32_saturate": after every four products (two of int16) the sum stops at an end of int32: VPDPBUSDS, VPDPWSSDS.
- "maddubs": unsigned by signed bytes, whose products are added in pairs that stop at an end of int16, and the pairs
  in int32: VPMADDUBSW, VPMADDWD and VPADDD, the way of processors without VNNI. Two products may reach 64770, so
  weights are kept to 7 bits there.
- "exact": without an end.

Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (the instructions); B. Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference" (2018), section 2.3
(zero points).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol, Unpack

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.groups import Groups
from floatlab.block_formats.integer_format import IntFormat
from floatlab.errors import DtypeError, OptionError, ShapeError, check_option
from floatlab.matrix_units import MatrixUnit, get_unit, units
from floatlab.operations.operate import operate
from floatlab.rounding.options import RoundingOptions, check_names
from floatlab.rounding.quantize import quantize

__all__ = ["ACCUMULATORS", "integer_sums", "matmul"]

ACCUMULATORS = ("int32", "int32_saturate", "maddubs", "exact")
_FLOAT64_EXACT = 2**53
_INT16, _INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


class Quantized(Protocol):
    """What an operand of a product is: an IntArray."""

    fmt: IntFormat
    codes: Array
    scale: Array
    zero_point: Array
    groups: Groups


def matmul(
    x: Quantized,
    y: Quantized,
    fmt: Any = "float32",
    *,
    accumulator: Any = None,
    unit: Any = None,
    **options: Unpack[RoundingOptions],
) -> Array:
    """Return the product of two arrays of integers as the numbers that it stands for.

    `floatlab.matmul` calls it for two of `floatlab.quantize_int`'s arrays.

    Parameters
    ----------
    x, y : IntArray
        Shapes as for `numpy.matmul`. Of up to 16 bits, each with scales that are the same along the axis that is
        summed.
    fmt : str or FloatFormat
        The format of the result.
    accumulator : {None, "int32", "int32_saturate", "maddubs", "exact"}
        How the integers are summed; the file says what each of them is. "int32" is exact as long as the sum is an
        int32, which 8-bit integers are sure of up to K = 32768 products, and 16-bit ones of none; beyond, it wraps, as
        the processor does. Default: exact.
    unit : str or MatrixUnit, optional
        "avx512_vnni", which is "int32", "avx512_vnni:saturate" or "maddubs"; it may be named as the accumulator as
        well.
    **options
        Those of `floatlab.quantize`: how the result is rounded.

    Returns
    -------
    array of ``fmt.value_dtype``

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the scales of an operand differ along the axis that is summed.
    DtypeError, OptionError
        If the integers are too long, or an option is none.

    Examples
    --------
    >>> from floatlab.block_formats.integers import quantize_int
    >>> a, b = quantize_int([[1.0, 2.0]], scale=0.5), quantize_int([[3.0], [4.0]], scale=0.25)
    >>> matmul(a, b)
    array([[11.]], dtype=float32)
    """
    check_names("matmul", options, (*RoundingOptions.__annotations__, "fmt", "accumulator", "unit"))
    accumulator = _sums_of(accumulator, unit)
    rows, columns = _as_matrix(x, left=True), _as_matrix(y, left=False)
    (a, a_scale, a_zero), (b, b_scale, b_zero) = rows, columns
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"The last axis of the first operand is as long as the last but one of the second. Got shapes "
            f"{x.codes.shape} and {y.codes.shape}. Transpose one of them."
        )
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"The leading dimensions of a product broadcast. Got shapes {x.codes.shape} and {y.codes.shape}. "
            "Quantize one of them in another shape."
        ) from None
    total = integer_sums(a, b, accumulator, name=f"{x.fmt} and {y.fmt}").astype(np.int64)
    if a_zero.any() or b_zero.any():
        total -= a_zero * b.sum(-2, dtype=np.int64, keepdims=True)
        total -= b_zero * a.sum(-1, dtype=np.int64, keepdims=True)
        total += a.shape[-1] * a_zero * b_zero
        total = _ended(total, accumulator)
    result = _scaled(total, a_scale, b_scale, fmt, options)
    gone = tuple(axis for axis, one in ((-2, x.codes.ndim == 1), (-1, y.codes.ndim == 1)) if one)
    return result.squeeze(gone)


def _sums_of(accumulator: Any, unit: Any) -> str:
    """Return one of `ACCUMULATORS`: the one that is named, or that of a matrix unit."""
    if unit is not None and accumulator is not None:
        raise OptionError(
            f"Integers are summed in one way. Got accumulator={accumulator!r} and unit={str(unit)!r}. Use one of them."
        )
    if unit is None and accumulator not in ACCUMULATORS and isinstance(accumulator, str | MatrixUnit):
        named = str(accumulator).partition(":")[0].strip().lower()
        unit = accumulator if isinstance(accumulator, MatrixUnit) or named in units() else None
    if unit is not None:
        return get_unit(unit).integer_sums()
    check_option("accumulator", "exact" if accumulator is None else accumulator, ACCUMULATORS)
    return accumulator or "exact"


def _as_matrix(x: Quantized, left: bool) -> tuple[Array, Array, Array]:
    """Return codes, scales and zero points of an operand with at least two dimensions."""
    if x.codes.ndim == 0:
        raise ShapeError(
            "A product of matrices is one of arrays with dimensions. Got a single integer. "
            "Use x.decode() and floatlab.multiply."
        )
    if x.fmt.bits > 16:
        raise DtypeError(
            f"A product takes integers of up to 16 bits, as processors do. Got {x.fmt}. "
            "Use x.decode(), and floatlab.matmul of that."
        )
    summed = -1 if left or x.codes.ndim == 1 else -2
    if x.scale.ndim and x.scale.shape[summed] != 1:
        raise ShapeError(
            "The scales of an operand are the same along the axis that is summed. "
            f"Got {x.scale.shape[summed]} of them for shape {x.codes.shape}. Quantize it along another axis, or "
            "multiply what decode() gives."
        )
    at = 0 if left else -1
    parts = [x.codes, x.groups.spread(x.scale), x.groups.spread(x.zero_point)]
    if x.codes.ndim == 1:
        parts = [np.expand_dims(part, at) if part.ndim else part for part in parts]
    if x.scale.ndim and x.groups.block is not None:  # one block, which `spread` has repeated along the axis
        parts[1:] = [part[..., :1] if left else part[..., :1, :] for part in parts[1:]]
    return parts[0], parts[1], parts[2].astype(np.int64)


def _scaled(total: Array, a_scale: Array, b_scale: Array, fmt: Any, options: Any) -> Array:
    """Return the integers times both scales, rounded once."""
    if a_scale.dtype == b_scale.dtype == np.float32:  # whose product is a float64 number
        scale = a_scale.astype(np.float64) * b_scale
        return operate("multiply", (total.astype(np.float64), scale), fmt, **options)
    whole, of_a, of_b = np.broadcast_arrays(total, a_scale, b_scale)
    exact = np.empty(whole.shape, object)
    for i in np.ndindex(whole.shape):
        exact[i] = int(whole[i]) * Fraction(float(of_a[i])) * Fraction(float(of_b[i]))
    return quantize(exact, fmt, **options)


# -- sums of products of integers --------------------------------------------------------------------------------


def integer_sums(
    a: Array, b: Array, accumulator: str = "int32", addend: Array | int = 0, *, name: str = ""
) -> Array:
    """Return the product of two matrices of integers as an accumulator leaves it, begun with an addend.

    Parameters
    ----------
    a, b : array of int
        Of up to 16 bits; shapes (..., M, K) and (..., K, N).
    accumulator : str
        One of `ACCUMULATORS`.
    addend : array of int32
        What the accumulator holds at first.
    name : str
        What the operands are, for the error message.

    Returns
    -------
    array of int32, or of int64 for "exact"

    Examples
    --------
    >>> a, b = np.full((1, 2), 255, np.uint8), np.full((2, 1), 127, np.int8)
    >>> [integer_sums(a, b, how).item() for how in ("int32", "maddubs")]
    [64770, 32767]
    """
    bound = 1
    for part in (a, b):
        low, high = (int(part.min()), int(part.max())) if part.size else (0, 0)
        bound *= max(-low, high, 0)
    match accumulator:
        case "maddubs":
            _check_bytes(a, b, name)
            if 2 * bound > _INT16.max:
                return _ended(_in_groups(a, b, addend, 2, _INT16, None), accumulator)
        case "int32_saturate":
            group = 4 if a.dtype.itemsize == b.dtype.itemsize == 1 else 2
            if a.shape[-1] * bound + int(np.max(np.abs(addend), initial=0)) > _INT32.max:
                return _ended(_in_groups(a, b, addend, group, None, _INT32), accumulator)
    if a.shape[-1] * bound <= _FLOAT64_EXACT:  # no sum of a float64 product is rounded, in whatever order
        total = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64)
    else:
        total = np.matmul(a.astype(np.int64), b.astype(np.int64))
    return _ended(total + addend, accumulator)


def _ended(total: Array, accumulator: str) -> Array:
    """Return exact sums as the accumulator's type holds them."""
    if accumulator == "exact":
        return total
    if accumulator == "int32_saturate":
        total = np.clip(total, _INT32.min, _INT32.max)
    return total.astype(np.int64).astype(np.int32)  # the low 32 bits


def _in_groups(a: Array, b: Array, addend: Array | int, length: int, each: Any, whole: Any) -> Array:
    """Add products in groups along the axis that is summed, which stop at an end, or the sum does after each."""
    total: Array = np.asarray(addend, np.int64)
    for part in _slices(a.shape[-1], length):
        group = np.matmul(a[..., part].astype(np.int64), b[..., part, :].astype(np.int64))
        if each is not None:
            group = np.clip(group, each.min, each.max)
        total = total + group
        if whole is not None:
            total = np.clip(total, whole.min, whole.max)
    return total


def _slices(size: int, length: int) -> Iterator[slice]:
    return (slice(start, start + length) for start in range(0, size, length))


def _check_bytes(a: Array, b: Array, name: str) -> None:
    """Raise if an operand is not of bytes, or both have the same sign."""
    kinds = {a.dtype, b.dtype}
    if kinds != {np.dtype(np.uint8), np.dtype(np.int8)}:
        raise OptionError(
            'The accumulator "maddubs" multiplies unsigned by signed bytes. '
            f"Got {name or f'{a.dtype} and {b.dtype}'}. Quantize one operand to uint8 and the other to int8, or use "
            '"int32".'
        )
