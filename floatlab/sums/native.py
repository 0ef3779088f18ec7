"""Which sums does the processor form as they are asked for? Loops in float32 and float64, term after term.

A sequential accumulator rounds the exact sum of a partial sum and a product once. To nearest, in float32, this is what
the processor does with two float32 numbers; so it is enough that every product is one. It is where operands have 24
bits together, as those of fp16, bf16 and fp8 have, and where no product leaves float32's range. With p and q bits, l
and m the smallest magnitudes above zero, h and g the largest:

- a product has at most p + q bits, and p if the other number is a power of two;
- its lowest bit is at least l 2^(1-p) m 2^(1-q), which must not be below 2^-149;
- its magnitude is at most h g, which must be below 2^128.

Where products are rounded to float32 first, they need not be exact: the processor rounds them as well.

Longer operands are multiplied and added in float64, and every sum is converted to float32: rounded twice. This is
rounding once, unless the float64 is a midpoint of float32 and not the exact sum, for no other number has a midpoint
between it and the exact one. A midpoint ends in 1000..., 29 bits, if the sum is not subnormal; and a subnormal one is
exact, if all terms are multiples of 2^-179, 53 bits below the normal range. So the few sums that end so are looked at.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from floatlab.backend import Array, blocks, is_gpu_array
from floatlab.formats import FloatFormat, get_format
from floatlab.sums.exact import add_to_odd
from floatlab.sums.partial_sums import Rounder
from floatlab.sums.terms import Terms

__all__ = ["add_in_order", "sequential_float32"]

_FLOAT32 = get_format("float32")
_LOWEST, _BEYOND = 2.0**-149, 2.0**128  # float32's last place, and the first power of two beyond its range
_FINEST = 2.0**-179  # 53 bits below the smallest normal value
_MANTISSA = (1 << 52) - 1
_BEHIND, _MIDPOINT = (1 << 29) - 1, 1 << 28  # bits that float64 has more; a midpoint

_FEW_SUMS = 32  # so many are added term by term faster in one call than in one for each term
_TERMS = 1 << 15  # of each, that are held at a time
_BLOCK = 1 << 15  # sums that stay in the cache, with a term of each


def sequential_float32(terms: Terms, fmt: FloatFormat, rounder: Rounder) -> Array | None:
    """Return the sums of a sequential accumulator as float32 arrays; None where the processor may have others."""
    usual = rounder.rounding == "nearest_even" and rounder.subnormals == "gradual"
    if not usual or rounder.overflow not in (None, "infinity") or not fmt.same_as(_FLOAT32):
        return None
    if terms.as_fractions or is_gpu_array(terms.a) or not (terms.size and len(terms.a)):
        return None
    a, b, addend = terms.a, terms.b, terms.addend
    left, right = _extent(a), _extent(b)
    if terms.product_format is None:
        both = left.bits + right.bits - (left.bits == 1 or right.bits == 1)
        products = _Extent(both, left.lowest * right.lowest, left.largest * right.largest)
    else:
        products = left
        if not terms.product_format.same_as(_FLOAT32):
            return None
    if left.is_float32() and right.is_float32() and products.is_float32():
        addend = None if addend is None else addend.astype(np.float32)
        return add_in_order(a.astype(np.float32), b.astype(np.float32), addend)
    if terms.product_format is None and terms.size > _FEW_SUMS and left.lowest * right.lowest >= _FINEST:
        return _add_twice_rounded(a, b, addend)
    return None


class _Extent(NamedTuple):
    """Bounds of some numbers: how many bits they have, a power of two of which all are multiples, the largest."""

    bits: int
    lowest: float
    largest: float

    def is_float32(self) -> bool:
        """Return whether all of them are float32 numbers, infinities and NaNs aside."""
        return self.bits <= _FLOAT32.precision and self.lowest >= _LOWEST and self.largest < _BEYOND


def _extent(x: Array) -> _Extent:
    """Return the bounds of the finite numbers of an array, which need not be sharp.

    >>> _extent(np.array([1.0, 0.0, -1.75, np.inf])), _extent(np.zeros(1))
    (_Extent(bits=3, lowest=0.25, largest=1.75), _Extent(bits=1, lowest=inf, largest=0.0))
    """
    used = int(np.bitwise_or.reduce(x.view(np.int64), axis=None)) & _MANTISSA
    bits = 53 - ((used & -used).bit_length() - 1) if used else 1
    size = abs(x).reshape(-1)
    largest = float(size.max())
    if not largest < np.inf:
        size = size[np.isfinite(size)]
        largest = float(size.max(initial=0.0))
    size[size == 0] = np.inf
    return _Extent(bits, math.ldexp(float(size.min(initial=np.inf)), 1 - bits), largest)


def add_in_order(a: Array, b: Array, addend: Array | None) -> Array:
    """Return the sums of products in the type of the operands, every product and every partial sum rounded to it.

    Parameters
    ----------
    a, b : array of float32 or float64, shapes (K, ..., M, 1) and (K, ..., 1, N)
    addend : array of the same type, shape (..., M, N), or None
        The first term. There is at least one term.

    Examples
    --------
    >>> ones = np.ones((5, 1, 1), np.float32)
    >>> add_in_order(ones, ones, np.float32([[2.0**24]])).item()  # in other orders it would be 16777220
    16777216.0
    """
    shape = np.broadcast_shapes(a.shape[1:], b.shape[1:])
    total = np.empty(shape, a.dtype)
    size, start = math.prod(shape), 0
    if addend is None:
        np.multiply(a[0], b[0], out=total)  # not 0 + term, which would lose a -0
        start = 1
    else:
        total[...] = addend
    if size <= _FEW_SUMS:
        return _accumulate(total, a[start:], b[start:])
    step = max(1, _BLOCK * shape[-2] // size)
    for rows in blocks(shape[-2], step):
        part = total[..., rows, :]
        term = np.empty(part.shape, a.dtype)
        for x, y in zip(a[start:, ..., rows, :], b[start:], strict=True):
            np.multiply(x, y, out=term)
            np.add(part, term, out=part)
    return total


def _accumulate(total: Array, a: Array, b: Array) -> Array:
    """Add products to few sums: `np.add.accumulate` has all partial sums, and so no order but that of the index."""
    for part in blocks(len(a), _TERMS):
        terms = a[part] * b[part]
        terms[0] += total
        total = np.add.accumulate(terms, axis=0)[-1]
    return total


def _add_twice_rounded(a: Array, b: Array, addend: Array | None) -> Array:
    """Return float32 sums of float64 products, shapes as in `add_in_order`, every partial sum rounded once."""
    shape = np.broadcast_shapes(a.shape[1:], b.shape[1:])
    total = np.empty(shape, np.float32)
    size, start = math.prod(shape), 0
    if addend is None:
        np.multiply(a[0], b[0], out=total, casting="same_kind")
        start = 1
    else:
        total[...] = addend
    step = max(1, _BLOCK * shape[-2] // (2 * size))
    for rows in blocks(shape[-2], step):
        narrow = total[..., rows, :]
        wide = narrow.astype(np.float64)
        term, new, words, ties = (np.empty(wide.shape, t) for t in (np.float64, np.float64, np.int64, bool))
        for x, y in zip(a[start:, ..., rows, :], b[start:], strict=True):
            np.multiply(x, y, out=term)
            np.add(wide, term, out=new)
            np.bitwise_and(new.view(np.int64), _BEHIND, out=words)
            if np.equal(words, _MIDPOINT, out=ties).any():
                new[ties] = add_to_odd(wide[ties], term[ties])
            narrow[...] = new
            wide[...] = narrow
    return total
