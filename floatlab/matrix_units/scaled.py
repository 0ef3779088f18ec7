"""How does a tensor core multiply numbers that share scales? Blackwell's block-scaled instructions.

Two kinds. In the first the exponents of the scales, which are powers of two, are added to those of the products::

    product i   e_i = e_a + e_b + log2 of both scales; the rest as in `floatlab.matrix_units.aligned`

The second, for four bits, adds the products of 16 numbers exactly first. Each such sum is multiplied by the
significands of its two scales, and aligned by their exponents alone, whatever its own size is; one of zero products, or
with a scale that is zero, takes part with the exponent of a zero.

A scale that is NaN makes the result one.

Source: P. Xie and others, "MMA-Sim", arXiv:2511.10909; names of NVIDIA's PTX instructions, ``kind::mxf8f6f4``,
``kind::mxf4`` and ``kind::mxf4nvf4``. No results of a chip are known that tell more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.matrix_units.aligned import Aligned, aligned_total, closed, exponents, nonfinite_total
from floatlab.matrix_units.instruction import Formats, pieces

__all__ = ["BlockScaled", "GroupScaled", "Scales"]


@dataclass(frozen=True)
class Scales:
    """The scales of two operands: for each number the one that it shares, of the operands' shapes; their format."""

    of_a: Array
    of_b: Array
    fmt: FloatFormat
    block: int  # how many numbers along the axis that is summed share one

    def part(self, k: slice, rows: Any = slice(None), columns: Any = slice(None)) -> Scales:
        """Return those of some products, for some results."""
        return Scales(self.of_a[..., rows, k], self.of_b[..., k, columns], self.fmt, self.block)


@dataclass(frozen=True)
class BlockScaled(Aligned):
    """Products whose exponents contain those of their scales.

    Parameters
    ----------
    operands, block, register, fraction_bits, kept, rounding, zero_exponent
        As of `Aligned`.
    scale_formats : tuple of str or FloatFormat
        The formats that scales may have.
    scale_blocks : tuple of int
        How many numbers may share one.
    """

    scale_formats: tuple[Any, ...] = ("e8m0",)
    scale_blocks: tuple[int, ...] = (32,)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "scale_formats", tuple(get_format(fmt) for fmt in self.scale_formats))
        if any(self.block % size for size in self.scale_blocks):
            raise OptionError(
                f"A block has whole scales. Got scale_blocks={self.scale_blocks} in blocks of {self.block} products. "
                "Use divisors of it."
            )

    def multiplies(self, a: FloatFormat, b: FloatFormat) -> bool:
        """Return no: not without scales."""
        return False

    def scales_as(self, formats: Formats, scales: Scales) -> bool:
        """Return whether it multiplies elements of these formats that have such scales."""
        known = any(scales.fmt.same_as(fmt) for fmt in self.scale_formats)
        return known and scales.block in self.scale_blocks and super().multiplies(*formats)

    def chain_scaled(self, a: Array, b: Array, c: Array, formats: Formats, scales: Scales) -> Array:
        """Return what is left of c, (M, N), after all products of the scaled a, (M, K), and b, (K, N)."""
        count = -(-a.shape[1] // self.block) * self.block
        a, b = _filled(a, 1, count, 0.0), _filled(b, 0, count, 0.0)
        of_a, of_b = _filled(scales.of_a, 1, count, 1.0), _filled(scales.of_b, 0, count, 1.0)
        scales = Scales(of_a, of_b, scales.fmt, scales.block)
        out = np.empty(c.shape)
        for rows, columns in pieces(c.shape):
            d = c[rows, columns]
            for start in range(0, count, self.block):
                k = slice(start, start + self.block)
                d = self.add_scaled(a[rows, k], b[k, columns], d, formats, scales.part(k, rows, columns))
            out[rows, columns] = d
        return out

    def add_scaled(self, a: Array, b: Array, c: Array, formats: Formats, scales: Scales) -> Array:
        """Return d of one block."""
        special = _special(a, b, c, scales)
        if special is not None:
            a, b, c = (np.where(np.isfinite(x), x, 0.0) for x in (a, b, c))
        total, unit = self._total(a, b, c, formats, scales)
        result = closed(np.ldexp(total, -unit), self)
        return result if special is None else np.where(special == 0, result, special)

    def _total(self, a: Array, b: Array, c: Array, formats: Formats, scales: Scales) -> tuple[Array, Array]:
        """Return the sum of the aligned terms as an integer, and the exponent that makes it one."""
        e_a, e_b = (
            exponents(np.where(np.isnan(x), 1.0, x), scales.fmt)
            for x in (scales.of_a[:, 0], scales.of_b[0])  # all numbers of a block share one
        )
        return aligned_total(self, a, b, c, formats, e_a[:, None] + e_b)


@dataclass(frozen=True)
class GroupScaled(BlockScaled):
    """Sums of 16 products, exact, times the significands of their scales, aligned by the scales' exponents."""

    group: int = 16

    def _total(self, a: Array, b: Array, c: Array, formats: Formats, scales: Scales) -> tuple[Array, Array]:
        zero = self.zero_exponent
        assert zero is not None
        of_a: Array = np.where(np.isnan(scales.of_a), 1.0, np.abs(scales.of_a))
        of_b: Array = np.where(np.isnan(scales.of_b), 1.0, np.abs(scales.of_b))
        e_a, e_b = exponents(of_a, scales.fmt), exponents(of_b, scales.fmt)
        significands_a: Array = np.ldexp(of_a, -e_a)
        significands_b: Array = np.ldexp(of_b, -e_b)
        largest = np.where(c == 0, zero, np.maximum(exponents(c, self.register), zero))
        groups = []
        for start in range(0, self.block, self.group):
            k = slice(start, start + self.group)
            products = (a[:, k] != 0).astype(np.float64) @ (b[k] != 0).astype(np.float64)  # that are not zero
            significand: Array = significands_a[:, start, None] * significands_b[start]
            e: Array = np.where((products == 0) | (significand == 0), zero, e_a[:, start, None] + e_b[start])
            np.maximum(largest, e, out=largest)
            groups.append((a[:, k] @ b[k] * significand, e))  # exact: small multiples of a quarter
        unit = self.fraction_bits - largest
        total = np.trunc(np.ldexp(c, unit))
        for value, e in groups:
            total += np.trunc(np.ldexp(value, unit + e))
        return total, unit


def _filled(x: Array, axis: int, length: int, value: float) -> Array:
    """Return a matrix that is longer along an axis, filled up with a value."""
    missing = length - x.shape[axis]
    widths = [(0, missing if i == axis else 0) for i in range(2)]
    return np.pad(x, widths, constant_values=value) if missing else x


def _special(a: Array, b: Array, c: Array, scales: Scales) -> Array | None:
    """Return what infinities and NaNs add up to, and NaN where a scale is one; None if there are none."""
    special = nonfinite_total(a, b, c)
    lost = np.isnan(scales.of_a).any(axis=1, keepdims=True) | np.isnan(scales.of_b).any(axis=0, keepdims=True)
    if not lost.any():
        return special
    return np.where(lost, np.nan, np.zeros(c.shape) if special is None else special)
