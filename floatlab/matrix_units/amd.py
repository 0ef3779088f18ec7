"""How do AMD's matrix cores add? Three generations, three ways: exactly, in pairs with flushes, aligned in two stages.

Sources: P. Xie and others, "MMA-Sim: bit-accurate reference model of tensor cores and matrix cores", arXiv:2511.10909;
AMD, "CDNA 3 instruction set architecture" (the formats).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatlab.backend import Array
from floatlab.formats import FloatFormat
from floatlab.matrix_units.aligned import exponents, nonfinite_total
from floatlab.matrix_units.instruction import FLOAT32, Formats, Instruction, product
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import matmul

__all__ = ["ExactBlock", "FlushedPairs", "TwoStages"]


@dataclass(frozen=True)
class ExactBlock(Instruction):
    """CDNA 1 (MI100): the exact sum of the products and the accumulator, rounded once, to nearest even."""

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        made: Array = matmul(
            a, b, self.register, bias=c, accumulator="wide", formats=(*formats, self.register)
        )
        return made.astype(np.float64)


@dataclass(frozen=True)
class FlushedPairs(Instruction):
    """CDNA 2 (MI250): products and sums of pairs in fp32, to nearest even, and nothing below 2^-126.

    Operands below their format's smallest normal number count as +0; a product or a sum that is so small becomes a
    zero of its sign. Of four products it is (p0 + p1) + (p2 + p3), of two p0 + p1; then c + that.
    """

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        with np.errstate(all="ignore"):
            x, y, d = (
                np.where(np.abs(v) < fmt.smallest_normal, 0.0, v).astype(np.float32)
                for v, fmt in zip((a, b, c), (*formats, FLOAT32), strict=True)
            )
            sums = [_flushed(product(x, y, k)) for k in range(self.block)]
            while len(sums) > 1:
                sums = [_flushed(p + q) for p, q in zip(sums[::2], sums[1::2], strict=True)]
            return _flushed(d + sums[0]).astype(np.float64)


def _flushed(x: Array) -> Array:
    """Return float32 numbers; those that are not normal as zeros of their sign."""
    return np.where(np.abs(x) < np.float32(FLOAT32.smallest_normal), np.copysign(np.float32(0), x), x)


_PRODUCTS, _SUM = (
    24,
    31,
)  # bits that are kept below the largest exponent of products; below a sum's own leading bit


@dataclass(frozen=True)
class TwoStages(Instruction):
    """CDNA 3 (MI300): products are aligned among themselves and cut; their sum and c are aligned again, and floored.

    Products are cut toward zero 24 bits below the largest of them. With E the larger exponent of theirs and c's (a
    zero's is -126), their sum is floored at 2^(E - 32), c at 2^(E - 24), and the total 31 bits below its own leading
    bit; then it is rounded to nearest even. Of fp8 (`parts` = 2) even and odd products are cut apart, and each sum is
    floored once more 24 bits below the larger exponent; a c whose exponent is below E - 25 counts as 0.
    """

    parts: int = 1

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        special = self._special(a, b, c)
        if special is not None:
            a, b, c = (np.where(np.isfinite(x), x, 0.0) for x in (a, b, c))
        stages = [
            _cut_products(a[..., i :: self.parts], b[..., i :: self.parts, :], formats)
            for i in range(self.parts)
        ]
        largest = np.maximum.reduce([e for _, e in stages])
        if self.parts == 1:
            total = stages[0][0]
        else:
            total = sum(np.floor(np.ldexp(s, e - largest)) for s, e in stages)
        e_c = exponents(c, FLOAT32)
        top = np.maximum(largest, e_c)
        total = np.floor(np.ldexp(total, largest - top + (_SUM + 1 - _PRODUCTS)))  # in units of 2^(top - 32)
        carried = np.floor(np.ldexp(c, _PRODUCTS - top))
        if self.parts > 1:
            carried = np.where(e_c < top - _PRODUCTS - 1, 0.0, carried)
        total = np.ldexp(total + np.ldexp(carried, _SUM + 1 - _PRODUCTS), top - (_SUM + 1))
        own = exponents(total, FLOAT32)
        total = np.ldexp(np.floor(np.ldexp(total, _SUM - own)), own - _SUM)
        result = quantize(total, FLOAT32) + 0.0
        return result if special is None else np.where(special == 0, result, special)

    def _special(self, a: Array, b: Array, c: Array) -> Array | None:
        """Return what infinities and NaNs add up to; a product beyond fp32 is an infinity."""
        special = nonfinite_total(a, b, c)
        if np.abs(a).max(initial=0.0) * np.abs(b).max(initial=0.0) < 2.0**128:
            return special
        with np.errstate(invalid="ignore"):
            total = np.where(np.isfinite(c), 0.0, c)
            for k in range(self.block):
                term = product(a, b, k)
                total += np.where(np.abs(term) < 2.0**128, 0.0, np.sign(term) * np.inf)
        return np.where(np.isnan(total), np.nan, total)


def _cut_products(a: Array, b: Array, formats: tuple[FloatFormat, FloatFormat]) -> tuple[Array, Array]:
    """Return the sum of products, cut 24 bits below the largest exponent e, in units of 2^(e - 24); and e."""
    lowest = -999  # the exponent of a product that is zero
    e_a = np.where(a == 0, lowest, exponents(a, formats[0]))
    e_b = np.where(b == 0, lowest, exponents(b, formats[1]))
    count = a.shape[-1]
    largest = np.full((*a.shape[:-1], b.shape[-1]), lowest)
    for k in range(count):
        np.maximum(largest, e_a[..., :, k, None] + e_b[..., k, None, :], out=largest)
    total = np.zeros(largest.shape)
    for k in range(count):
        total += np.trunc(np.ldexp(product(a, b, k), _PRODUCTS - largest))
    return total, largest
