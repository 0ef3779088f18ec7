"""The same as `floatlab.matrix_units.aligned`, fast: tiles of results that stay in the cache, and few passes over them.

For operands whose exponents are ordinary, which is nearly always. Three ideas:

- *The largest exponent of a block comes from one product of matrices.* The sum of 2^(8 (e_a + e_b)) over the products
  of a block lies between 2^(8 E) and L 2^(8 E), and L is below 2^8. So its exponent, divided by 8 and rounded down, is
  E: in a float64 that is a piece of its upper word. Zeros stand there as 0.
- *The cut is a conversion.* A product of two short numbers is exact in float32; times 2^(F - E), a power of two, it is
  the aligned term, and its conversion to int32 drops what lies below. So a term costs three passes: outer product,
  times the scale, converted and added (NumPy's `add.reduce` does both at once).
- *The last rounding is a mask.* The sum is exact in float64, and cut to 24 bits by clearing the others.

What is not ordinary, an accumulator near underflow for one, takes the readable way: the whole product, or one block of
a tile.
"""

from __future__ import annotations

import sys

import numpy as np

from floatlab.backend import Array
from floatlab.formats import FloatFormat
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.instruction import FLOAT32, Formats, Instruction, pieces

__all__ = ["chain", "chain_in_tiles"]

_TILE = 1 << 14  # results: some arrays of them, and of products, stay in the second-level cache
# Up to so many multiply-adds of a product OpenBLAS calls no other threads, which would spin for longer than it takes.
_ONE_THREAD = 1 << 18
_TERMS = 8  # products that are held at a time for each result
# Exponents of products that are exact in float32, and leave it room for their sums.
_LOWEST, _HIGHEST = -126, 90
_LARGE = 2.0**100  # sums below are far from overflow
_BIAS, _MANTISSA, _FIELD = 127, 23, 255 << 23  # of float32
_SUM_BITS = 31  # of an int32, without its sign
_STEP = 8  # by so many does the exponent of a power grow with that of its operand; blocks are below 2^8
_UPPER = slice(1, None, 2) if sys.byteorder == "little" else slice(0, None, 2)  # the upper words of float64s


def chain(how: Instruction, a: Array, b: Array, c: Array, formats: Formats) -> Array:
    """Return what `Instruction.chain` returns, in tiles where that is possible."""
    if c.ndim == 2 and isinstance(how, Aligned) and type(how).add is Aligned.add:
        made = chain_in_tiles(how, a, b, c, formats)
        if made is not None:
            return made
    return how.chain(a, b, c, formats)


def chain_in_tiles(how: Aligned, a: Array, b: Array, c: Array, formats: Formats) -> Array | None:
    """Return what `Aligned.chain` returns for matrices (M, K), (K, N) and (M, N), or None where it is not for that."""
    assert how.kept is not None
    if not (_is_usual(how, formats) and a.size and b.size):
        return None
    length = -(-a.shape[1] // how.block) * how.block
    x, y = _longer(a.T, length), _longer(b, length)
    fields = _fields(x, formats[0]), _fields(y, formats[1])
    if not _are_ordinary(fields, formats) or not float(np.abs(c).max()) < _LARGE:
        return None
    # The field of a product is the sum of both, less 1023: with 7 more, 8 times the field of 2^(e_a + e_b) in float32.
    powers = _powers(fields[0], 0), _powers(fields[1], 1023 - _STEP * _BIAS)
    out = c.astype(np.float32)
    for rows, columns in pieces(c.shape, min(_TILE, _ONE_THREAD // how.block)):
        tile = _Tile(how, (x[:, rows], y[:, columns]), (powers[0][:, rows], powers[1][:, columns]), formats)
        d = out[rows, columns].copy()
        for start in range(0, length, how.block):
            d = tile.add(start, d)
        out[rows, columns] = d
    return out.astype(np.float64)


def _is_usual(how: Aligned, formats: Formats) -> bool:
    """Return whether an instruction is computed in tiles, of operands whose exponents are ordinary."""
    assert how.kept is not None and how.zero_exponent is not None
    cuts = how.rounding == "toward_zero" and how.register.same_as(FLOAT32) and how.block < 1 << _STEP
    # A mask is all of the rounding where the format that is kept has the range of float32.
    wide = (how.kept.emin, how.kept.emax) == (FLOAT32.emin, FLOAT32.emax)
    low = how.zero_exponent + _BIAS <= how.fraction_bits + 1  # a zero is never above what a tile takes
    exact = formats[0].precision + formats[1].precision <= FLOAT32.precision
    normal = all(fmt.emin >= FLOAT32.emin for fmt in formats)  # or float32 would not have their exponents
    return cuts and wide and low and exact and normal and _fitting(how) >= 2


def _fitting(how: Aligned) -> int:
    """Return how many terms an int32 holds: each is below 2^(F + 2)."""
    return (1 << max(0, _SUM_BITS - how.fraction_bits - 2)) - 1


def _longer(x: Array, length: int) -> Array:
    """Return the rows of a matrix as float32, which holds them, and zeros below."""
    out = np.zeros((length, x.shape[1]), np.float32)
    out[: len(x)] = x
    return out


# -- the largest exponents -----------------------------------------------------------------------------------------


def _fields(x: Array, fmt: FloatFormat) -> Array:
    """Return the exponents of float32 numbers, at least their format's smallest, and 127; 0 for zeros."""
    bits = x.view(np.uint32) & 0x7FFFFFFF
    found = bits >> _MANTISSA
    np.maximum(found, fmt.emin + _BIAS, out=found)
    found *= bits != 0
    return found


def _are_ordinary(fields: tuple[Array, Array], formats: Formats) -> bool:
    """Return whether all numbers are finite and no product, but zero, is beyond the ordinary exponents."""
    tops = [int(field.max()) for field in fields]
    if max(tops) > 254:  # an infinity or a NaN
        return False
    low, high = sum(fmt.emin for fmt in formats), sum(tops) - 2 * _BIAS
    if low < _LOWEST:  # of formats with a wide range the numbers at hand decide
        low = sum(int(np.where(field, field, 255).min()) for field in fields) - 2 * _BIAS
    return low >= _LOWEST and high <= _HIGHEST


def _powers(fields: Array, rest: int) -> Array:
    """Return float64 numbers whose exponent fields are 8 times the given ones, and the rest; 0 where those are 0."""
    wide = fields.astype(np.int64)
    powers = wide * _STEP
    if rest:
        powers += rest * (wide != 0)
    return (powers << 52).view(np.float64)


# -- one tile ------------------------------------------------------------------------------------------------------


class _Tile:
    """Some rows and columns of the result, and the arrays that its blocks share."""

    def __init__(
        self, how: Aligned, operands: tuple[Array, Array], powers: tuple[Array, Array], formats: Formats
    ) -> None:
        assert how.kept is not None
        self.how, self.formats = how, formats
        (self.x, self.y), (self.p, self.q) = operands, powers
        shape = self.x.shape[1], self.y.shape[1]
        self.exponents = np.empty(shape, np.uint32)  # those of E, in the place where float32 has them
        self.own = np.empty(shape, np.uint32)  # those of the accumulators
        self.scale = np.empty(shape, np.float32)
        self.sums = np.empty(shape, np.int32)
        self.total = np.empty(shape)
        self.together = min(how.block, _TERMS, _fitting(how) - 1)
        self.terms = np.empty((self.together + 1, *shape), np.float32)  # the first is the accumulator
        self.kept = np.int64(-(1 << (53 - how.kept.precision)))  # the bits of a float64 that stay

    def add(self, start: int, c: Array) -> Array:
        """Return the accumulators, float32, after the block of products that begins there."""
        block, e, bits = slice(start, start + self.how.block), self.exponents, self.how.fraction_bits
        sums_of_powers = self.p[block].T @ self.q[block]
        np.bitwise_and(sums_of_powers.view(np.uint32)[:, _UPPER], _FIELD, out=e)
        np.bitwise_and(c.view(np.uint32), _FIELD, out=self.own)
        np.maximum(e, self.own, out=e)
        lowest = bits + 1 << _MANTISSA  # below, the scale would leave float32
        if int(e.min()) < lowest:
            if ((e < lowest) & ((c != 0) | (sums_of_powers != 0))).any():
                return self._readable(block, c)
            np.maximum(e, lowest, out=e)  # all terms are zero
        np.subtract(bits + 2 * _BIAS << _MANTISSA, e, out=self.scale.view(np.uint32))  # 2^(F - E)
        total = self._aligned_sum(block, c)
        np.bitwise_and(total.view(np.int64), self.kept, out=total.view(np.int64))
        d = total.astype(np.float32)
        np.subtract(e, bits << _MANTISSA, out=self.scale.view(np.uint32))  # 2^(E - F)
        return np.multiply(d, self.scale, out=d)

    def _aligned_sum(self, block: slice, c: Array) -> Array:
        """Return the sum of the accumulator and the products, each cut, in units of 2^(E - F); exact."""
        np.multiply(c, self.scale, out=self.terms[0])
        for start in range(block.start, block.stop, self.together):
            part = slice(start, min(start + self.together, block.stop))
            products = self.terms[1 : part.stop - start + 1]
            np.einsum("km,kn->kmn", self.x[part], self.y[part], out=products)
            np.multiply(products, self.scale, out=products)
            if start == block.start:
                terms = self.terms[: len(products) + 1]
                np.add.reduce(terms, axis=0, dtype=np.int32, out=self.sums)  # which cuts each of them first
                np.copyto(self.total, self.sums)
            else:
                np.add.reduce(products, axis=0, dtype=np.int32, out=self.sums)
                np.add(self.total, self.sums, out=self.total)
        return self.total

    def _readable(self, block: slice, c: Array) -> Array:
        a, b = self.x[block].T.astype(np.float64), self.y[block].astype(np.float64)
        return self.how.add(a, b, c.astype(np.float64), self.formats).astype(np.float32)
