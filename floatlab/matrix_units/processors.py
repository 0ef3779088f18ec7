"""How do processors multiply matrices of bfloat16? With fused multiply-adds, or with sums of pairs.

Their fp32 has no subnormals: operands below 2^-126 count as zeros of their sign, and so does what becomes as small.

Sources: Intel, "Intel 64 and IA-32 architectures software developer's manual", volume 2 (VDPBF16PS, TDPBF16PS); Arm,
"Arm architecture reference manual for A-profile architecture" (BFDOT, BFMMLA; FPCR.EBF).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floatlab.backend import Array
from floatlab.formats import get_format
from floatlab.matrix_units.instruction import FLOAT32, Formats, Instruction, product
from floatlab.rounding.quantize import quantize
from floatlab.sums.exact import add_to_odd

__all__ = ["FusedPairs", "OddPairs", "OncePairs", "TwoChains"]

_BITS24 = get_format(
    "e11m23"
)  # fp32's precision in float64's range: rounded first, compared with 2^-126 then
_TINY, _HUGE = 2.0**-126, 2.0**128


@dataclass(frozen=True)
class FusedPairs(Instruction):
    """VDPBF16PS: of two products the odd one is added first; each step is a fused multiply-add to nearest even."""

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        d = _flushed(c)
        for k in range(self.block - 1, -1, -1):
            d = _fused(_flushed(a), _flushed(b), k, d)
        return d


@dataclass(frozen=True)
class TwoChains(Instruction):
    """TDPBF16PS: fused multiply-adds from 0 over the even products, and over the odd ones; then c + (even + odd)."""

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        a, b = _flushed(a), _flushed(b)
        chains = [np.zeros(c.shape), np.zeros(c.shape)]
        for k in range(self.block):
            chains[k % 2] = _fused(a, b, k, chains[k % 2])
        with np.errstate(invalid="ignore"):
            pair = _nearest(add_to_odd(*chains))
            return _nearest(add_to_odd(_flushed(c), pair))


@dataclass(frozen=True)
class OddPairs(Instruction):
    """BFDOT and BFMMLA: products, the sum of two, and the accumulation are each rounded to odd, and flushed."""

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        a, b = _flushed(a), _flushed(b)
        with np.errstate(invalid="ignore"):
            terms = [_to_odd(product(a, b, k)) for k in range(self.block)]
            pair = _to_odd(add_to_odd(*terms))
            return _to_odd(add_to_odd(_flushed(c), pair))


@dataclass(frozen=True)
class OncePairs(Instruction):
    """The same with FPCR.EBF: the sum of two exact products is rounded once to nearest even, and then added so."""

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return d of one block."""
        with np.errstate(invalid="ignore"):
            pair = quantize(add_to_odd(product(a, b, 0), product(a, b, 1)), FLOAT32)
            total = quantize(add_to_odd(c, pair), FLOAT32)
        return np.where(np.isnan(total), np.nan, total)


def _flushed(x: Array) -> Array:
    return np.where(np.abs(x) < _TINY, np.copysign(0.0, x), x)


def _fused(a: Array, b: Array, k: int, c: Array) -> Array:
    """Return c plus the product number k, rounded once to nearest even."""
    with np.errstate(invalid="ignore"):
        return _nearest(add_to_odd(product(a, b, k), c))


def _nearest(x: Array) -> Array:
    """Round numbers that were rounded to odd to 24 bits; what is tiny after that is a zero of its sign."""
    return _in_range(quantize(x, _BITS24))


def _to_odd(x: Array) -> Array:
    return _in_range(quantize(x, _BITS24, rounding="to_odd"))


def _in_range(x: Array) -> Array:
    """Return numbers of 24 bits as an fp32 without subnormals holds them."""
    x = np.where(np.abs(x) < _TINY, np.copysign(0.0, x), x)
    x = np.where(np.abs(x) >= _HUGE, np.copysign(np.inf, x), x)
    return np.where(np.isnan(x), np.nan, x)
