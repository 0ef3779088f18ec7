"""What are the values of some blocks? Elements times scales; or the numbers themselves, rounded where they are.

Where scales are powers of two, x / scale rounded and multiplied again is x rounded to a grid that the scale has moved.
So nothing needs to be divided and multiplied: an element's unit is 2^-m of its own power of two, but no less than that
of the block's smallest normal number, ::

    scale 2^4, e2m1    |x|       16 .. 32    32 .. 64    64 .. 96
                       unit      8           16          32          and below 16: 8

A number that is then beyond the largest value is that. The other way, to which this one is held, is
`Conversion.elements`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.conversion import Conversion
from floatlab.block_formats.units import round_by_units
from floatlab.errors import DtypeError
from floatlab.formats import FloatFormat

__all__ = ["values_of"]

_F = np.float32
_LOW, _HIGH = 2.0**-80, 2.0**100  # so small, and so large, scales may be that every unit is a normal float32


def values_of(
    conversion: Conversion,
    blocks: Array,
    integers: Array | None,
    columns: int,
    room: tuple[Array, Array],
    dtype: np.dtype[Any],
    out: Array | None,
) -> Array:
    """Return the values of blocks, in `out` if it is given.

    Parameters
    ----------
    conversion : Conversion
    blocks, integers, columns
        As of `Conversion.elements`.
    room : tuple of arrays
        Its `words` and `out`.
    dtype : numpy.dtype
        Of the result: float32 or float64.
    """
    words, quotients = room
    if not (dtype == _F and conversion.rounds_in_place(blocks.dtype)):
        elements, scales = conversion.elements(blocks, integers, columns, words, quotients)
        return _product(elements, scales * conversion.tensor.value, dtype, out)
    amax, scales = conversion.scales(blocks, words)
    if _are_usual(amax, scales):
        return _in_place(blocks, amax, scales, conversion.rounding.fmt, words, out)
    return _product(conversion.divided(blocks, scales, integers, words, quotients), scales, dtype, out)


def _are_usual(amax: Array, scales: Array) -> bool:
    """Whether no block is lost, or far from 1 in size; one of zeros may be anywhere."""
    return bool((((scales >= _LOW) & (scales <= _HIGH)) | (amax == 0)).all())


def _in_place(
    blocks: Array, amax: Array, scales: Array, element: FloatFormat, words: Array, out: Array | None
) -> Array:
    """Round float32 numbers to the grids of their blocks, to nearest even."""
    scales = np.maximum(scales, _LOW).astype(_F)  # of zeros any will do
    smallest = scales * _F(element.smallest_normal)
    found = round_by_units(blocks, smallest[:, None], element.mantissa_bits, words, out)
    largest = scales * _F(element.max)
    beyond = np.flatnonzero(amax > largest)
    if beyond.size:
        ends = largest[beyond, None]
        found[beyond] = np.clip(found[beyond], -ends, ends)
    return found


def _product(elements: Array, scales: Array, dtype: np.dtype[Any], out: Array | None) -> Array:
    """Return element times scale, exactly."""
    if dtype == np.float64:
        found: Array = np.multiply(elements, scales[:, None], out=out, dtype=np.float64)
        return found
    with np.errstate(all="ignore"):
        found = np.multiply(elements, scales.astype(np.float32)[:, None], out=out, casting="same_kind")
    # Only a scale this large takes an element beyond float32.
    if scales.size and np.fmax.reduce(scales, axis=None) > 2.0**100 and np.isinf(found).any():
        place = np.unravel_index(int(np.argmax(np.isinf(found))), found.shape)
        value = float(elements[place]) * float(scales[place[0]])
        raise DtypeError(
            f"A float32 array is rounded to float32 values. Got a number that becomes {value!r}, beyond its range. "
            "Pass x as float64."
        )
    return found
