"""What becomes of some blocks? Their scales first, then each number over its scale, rounded once.

Everything here is (blocks, numbers of a block), a piece small enough for the cache. Dividing by a power of two is
exact, so that rounding a float32 needs no more than float32. Where the scale has a mantissa, the quotient of two
float32 numbers is rounded to 53 bits on the way, which cannot be seen: it lies further from every midpoint of the
element than that, unless it is one. With x of 24 bits, a scale of at most 28 and midpoints of at most 9, a quotient
that is no midpoint is off by 2^-37 of itself; float64 by 2^-53. A float64 source takes `floatlab.operations`, which
rounds to odd on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.magnitudes import largest_words
from floatlab.block_formats.scale_rules import ScaleRule
from floatlab.block_formats.scales import TensorScale, block_scales, candidates, marked
from floatlab.block_formats.units import round_by_units
from floatlab.codes.encode import encode_by_lookup
from floatlab.operations.operate import operate
from floatlab.rounding.kernels.lookup import has_keys
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import Rule
from floatlab.rounding.plan import plan
from floatlab.rounding.random_integers import RandomIntegers

__all__ = ["Conversion"]

_F = np.float32
_UNSEEN_BITS = 16  # so many random bits leave the quotient in float64 far enough from what they decide
_TINY = 2.0**-1000
_MANY = 1 << 13  # numbers, from which on a table of codes is worth being made
_NEAR = 4  # units of a float32 beside which a quotient is taken again: twice what it may be off by


@dataclass(frozen=True)
class Conversion:
    """How blocks are converted: everything that was asked for, checked.

    Attributes
    ----------
    format : BlockFormat
    rule : ScaleRule
    arithmetic : str
        Which library's steps, or "exact".
    rounding : Rule
        How an element is rounded to its grid.
    random_bits : int or None
        Of stochastic rounding.
    nonfinite : {"nan", "saturate"}
    tensor : TensorScale
    """

    format: BlockFormat
    rule: ScaleRule
    arithmetic: str
    rounding: Rule
    random_bits: int | None
    nonfinite: str
    tensor: TensorScale

    @property
    def is_sharp(self) -> bool:
        """Whether the smallest remainder decides, so that none may be lost on the way: directed modes, and to odd."""
        mode = MODES[self.rounding.rounding]
        return not mode.nearest and mode.variant is None

    def elements(
        self,
        blocks: Array,
        integers: Array | None,
        columns: int,
        words: Array | None = None,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        """Return the element values of blocks, and their scales.

        Parameters
        ----------
        blocks : array of float32 or float64
            (blocks, numbers), contiguous.
        integers : array, optional
            A random integer for each.
        columns : int
            How many numbers of a block stand in a row of it.
        words : array of integers, optional
            Of that shape, to work in.
        out : array, optional
            Of that shape and of the type of the quotients, for the elements; there is no other use of it.

        Returns
        -------
        array
            Values of the element, in float32 or float64; 0 in a block that is lost.
        array of float64
            The scales, NaN of such a block, without the tensor's.
        """
        if self.rule.name == "nvfp4_4over6":
            amax = largest_words(blocks, words).view(blocks.dtype)
            return self._four_over_six(blocks, amax, integers, columns)
        _, scales = self.scales(blocks, words)
        return self.divided(blocks, scales, integers, words, out), scales

    def codes(
        self, blocks: Array, integers: Array | None, columns: int, words: Array, out: Array
    ) -> tuple[Array, Array]:
        """Return the codes of the elements of blocks, and the scales; parameters as of `elements`.

        Quotients by powers of two are exact, so that their codes can be looked up.
        """
        if not (self._by_powers and blocks.size >= _MANY and self._has_codes_of_quotients(blocks.dtype)):
            elements, scales = self.elements(blocks, integers, columns, words, out)
            return self.format.parts.encode(elements), scales
        _, scales = self.scales(blocks, words)
        with np.errstate(all="ignore"):
            quotients = self._shifted(*_without_lost(blocks, scales)[:2], out)
        codes = np.empty(blocks.shape, self.format.parts.code_dtype)
        encode_by_lookup(quotients.reshape(-1), codes.reshape(-1), self.rounding)
        return codes, scales

    def _has_codes_of_quotients(self, source: np.dtype[Any]) -> bool:
        parts = self.format.parts
        plain = self.arithmetic == "exact" and self.random_bits is None and not parts.is_integer
        return plain and self.quotient_dtype(source) == _F and has_keys(parts.grid)

    @property
    def rounds_by_units(self) -> bool:
        """Whether a float32 quotient may be rounded by `floatlab.block_formats.units`."""
        rounding, parts = self.rounding, self.format.parts
        usual = rounding.rounding == "nearest_even" and rounding.subnormals == "gradual"
        return usual and self._is_short and not parts.is_integer and parts.grid.mantissa_bits >= 1

    def rounds_in_place(self, source: np.dtype[Any]) -> bool:
        """Whether float32 numbers may be rounded where they are (`floatlab.block_formats.values`)."""
        return self.rounds_by_units and self._by_powers and self.arithmetic == "exact" and source == _F

    def scales(self, blocks: Array, words: Array | None = None) -> tuple[Array, Array]:
        """Return the largest magnitudes of blocks, and their scales by a rule that needs no more."""
        amax = largest_words(blocks, words).view(blocks.dtype)
        return amax, block_scales(amax, self.format, self.rule, self.arithmetic, self.tensor, self.nonfinite)

    def divided(
        self,
        blocks: Array,
        scales: Array,
        integers: Array | None,
        words: Array | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return each number over the scale of its block, rounded to the element."""
        blocks, scales, lost = _without_lost(blocks, scales)
        with np.errstate(all="ignore"):
            if self.arithmetic != "exact":
                quotients = self._as_others(blocks, scales.astype(_F))
                quotients[lost] = 0
            elif self._by_powers:
                quotients = self._shifted(blocks, scales, out)
            elif blocks.dtype == _F and self._is_short and (self.random_bits or 0) <= _UNSEEN_BITS:
                return self._watched(blocks, scales * self.tensor.value, integers, words, out)
            else:
                return self._divided_exactly(blocks, scales * self.tensor.value, integers)
            return self._rounded(quotients, integers)

    def quotient_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:
        """The type in which numbers are divided by their scales."""
        if source != _F or self.arithmetic != "exact":
            return source
        short = self._is_short and not (self._by_powers and self.is_sharp)
        return np.dtype(_F if short else np.float64)

    @property
    def _is_short(self) -> bool:
        """Whether float32 quotients are enough: it has many more bits, also far below the smallest element."""
        return self.rounding.fmt.precision <= 12 and self.rounding.fmt.etiny > -100

    @property
    def _by_powers(self) -> bool:
        return self.rule.power or self.rule.name == "amax_pow2"

    def _shifted(self, blocks: Array, scales: Array, out: Array | None) -> Array:
        """Return numbers over powers of two, exactly, or so that no rounding sees what is lost far below an element."""
        dtype = self.quotient_dtype(blocks.dtype)
        found: Array = np.multiply(blocks, (1.0 / scales).astype(dtype)[:, None], out=out)
        if blocks.dtype == np.float64 and self.is_sharp:
            gone = (found == 0) & (blocks != 0)
            found[gone] = np.copysign(_TINY, blocks[gone])
        return found

    def _rounded(self, quotients: Array, integers: Array | None) -> Array:
        """Round to the element, in place."""
        draw = None
        if integers is not None:
            draw = RandomIntegers(None, self.random_bits, integers)
            draw.fit(quotients)
        plan(self.rounding, quotients.dtype, self.random_bits).run(quotients, quotients, draw)
        self.format.parts.settle(quotients)
        return quotients

    def _watched(
        self, blocks: Array, scales: Array, integers: Array | None, words: Array | None, out: Array | None
    ) -> Array:
        """Return float32 numbers over scales with a mantissa, rounded: by float32 products where these are enough.

        A product with the reciprocal is off by two units of a float32. That matters only next to a number of one bit
        more than the element has: where the lower bits of its word are all but zero. Those are divided in float64.
        """
        mode, sizes = MODES[self.rounding.rounding], scales[scales != 0]
        usual = sizes.size == 0 or (sizes.min() > 2.0**-100 and sizes.max() < 2.0**100)
        if not (mode.nearest and usual):
            return self._rounded(_over(blocks, scales), integers)
        zero = scales == 0
        factors = (1.0 / np.where(zero, 1.0, scales)).astype(_F)
        if zero.any():
            factors[zero] = 0.0
        found: Array = np.multiply(blocks, factors[:, None], out=out)
        words = np.add(found.view(np.int32), np.int32(_NEAR), out=words)
        np.bitwise_and(words, np.int32((1 << 23 - self.rounding.fmt.precision) - 1), out=words)
        near = np.flatnonzero(words.reshape(-1) < 2 * _NEAR)
        if near.size > found.size // 16:
            return self._rounded(_over(blocks, scales), integers)
        exact = _over(blocks.reshape(-1)[near, None], scales[near // found.shape[1]])
        if self.rounds_by_units:
            parts = self.format.parts
            round_by_units(found, _F(parts.grid.smallest_normal), parts.grid.mantissa_bits, words, found)
            np.clip(found, -parts.max, parts.max, out=found)
        else:
            self._rounded(found, integers)
        if near.size:
            found.reshape(-1)[near] = self._rounded(exact, None)[:, 0]
        return found

    def _divided_exactly(self, blocks: Array, scales: Array, integers: Array | None) -> Array:
        options: dict[str, Any] = {"rounding": self.rounding.rounding, "subnormals": self.rounding.subnormals}
        if integers is not None:
            options |= {"random_integers": integers, "random_bits": self.random_bits}
        zero = scales == 0
        by = np.where(zero, 1.0, scales)[:, None]
        found = operate("divide", (blocks, by), self.rounding.fmt, overflow="saturate", **options)
        found = np.ascontiguousarray(found, np.float64)
        found[zero] = np.copysign(0.0, blocks[zero])
        self.format.parts.settle(found)
        return found

    def _as_others(self, blocks: Array, scales: Array) -> Array:
        """Return quotients as a library has them in float32."""
        tensor = _F(self.tensor.value)
        match self.rule.name, self.arithmetic:
            case "nvfp4" | "nvfp4_4over6", "te":
                factor = np.minimum(_F(1) / (scales * tensor), np.finfo(_F).max)
            case "nvfp4", _:
                factor = _F(1) / tensor / scales
            case "amax", "deepseek":
                return blocks / scales[:, None]
            case _:  # DeepGEMM, and a power of two
                factor = _F(1) / scales
        return blocks * factor.astype(_F)[:, None]

    # -- four over six ---------------------------------------------------------------------------------------

    def _four_over_six(
        self, blocks: Array, amax: Array, integers: Array | None, columns: int
    ) -> tuple[Array, Array]:
        """Return the elements and the scales of the candidate with the smaller mean absolute error; ties to six."""
        finite = np.isfinite(amax)
        sizes = np.where(finite, amax, amax.dtype.type(0))
        with np.errstate(all="ignore"):
            six, four = candidates(sizes, self.format, self.arithmetic, self.tensor)
        six, four = (marked(s, amax, self.format, self.nonfinite) for s in (six, four))
        elements = [self.divided(blocks, s, integers) for s in (six, four)]
        if self.arithmetic == "te":
            take = self._errors_in_float32(blocks, elements, (six, four), columns) & finite
        else:
            take = self._errors(blocks, elements, (six, four)) & finite
        return np.where(take[:, None], elements[1], elements[0]), np.where(take, four, six)

    def _errors(self, blocks: Array, elements: list[Array], scales: tuple[Array, Array]) -> Array:
        """Return where the second candidate is strictly better, by exact sums."""
        with np.errstate(all="ignore"):
            six, four = (
                np.abs(blocks - q * (s * self.tensor.value)[:, None]).sum(axis=1, dtype=np.float64)
                for q, s in zip(elements, scales, strict=True)
            )
        better = four < six
        # Float64 sums of up to 256 terms are off by less than 2^-44 of themselves; what is closer is summed exactly.
        for k in np.flatnonzero((np.abs(four - six) <= 2.0**-40 * (four + six)) & (four + six > 0)):
            exact = [
                sum(abs(Fraction(float(x)) - Fraction(float(y)) * Fraction(float(s[k])) * Fraction(self.tensor.value))
                    for x, y in zip(blocks[k], q[k], strict=True))
                for q, s in zip(elements, scales, strict=True)
            ]  # fmt: skip
            better[k] = exact[1] < exact[0]
        return better

    def _errors_in_float32(
        self, blocks: Array, elements: list[Array], scales: tuple[Array, Array], columns: int
    ) -> Array:
        """Return the same as Transformer Engine sums the errors: a row of 16 in order, 16 rows as a tree.

        What is missing at the end of an axis counts as zeros, which have no error.
        """
        amax, bound = _F(self.tensor.amax), _F(6 * 256)
        sums = []
        with np.errstate(all="ignore"):
            for q, s in zip(elements, scales, strict=True):
                value = q.astype(_F) * s.astype(_F)[:, None] * amax / bound
                errors = np.abs(value - blocks).reshape(len(blocks), -1, columns)
                rows = np.zeros((len(blocks), 1 if blocks.shape[1] == columns else 16), _F)
                for k in range(columns):
                    rows[:, : errors.shape[1]] += errors[:, :, k]
                while rows.shape[1] > 1:
                    half = rows.shape[1] // 2
                    rows = rows[:, :half] + rows[:, half:]
                sums.append(rows[:, 0])
        return sums[1] < sums[0]


def _without_lost(blocks: Array, scales: Array) -> tuple[Array, Array, Array]:
    """Return numbers and scales with zeros and 1 in blocks that are lost, and which these are."""
    lost = np.isnan(scales)
    if lost.any():
        blocks = np.where(lost[:, None], blocks.dtype.type(0), blocks)
        scales = np.where(lost, 1.0, scales)
    return blocks, scales, lost


def _over(blocks: Array, scales: Array) -> Array:
    """Return float32 numbers over scales in float64; 0 of its sign where the scale is 0."""
    zero = scales == 0
    found: Array = blocks / np.where(zero, 1.0, scales)[:, None]
    if zero.any():
        found[zero] = np.copysign(0.0, blocks[zero])
    return found
