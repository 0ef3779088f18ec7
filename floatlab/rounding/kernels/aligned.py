"""How is a format rounded that has the carrier's own exponents? By adding integers, and a mask.

The values of bfloat16 and tf32 are those of float32 with fewer mantissa bits, subnormals and all. The bits of bfloat16
are the first 16 of float32: adding to the 16 that go makes them carry into those that stay; a carry out of the mantissa
raises the exponent, and out of the largest number gives infinity ::

    0 10000011 1001100 1100110011001101      25.6, and what goes is more than half
  +                    0111111111111111      just under half
  = 0 10000011 1001101 ................      25.625
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.rounding.kernels.counting import Kernel
from floatlab.rounding.kernels.workspace import LARGE, ORDINARY, SPECIAL, Workspace

__all__ = ["AlignedKernel", "IdentityKernel"]


@dataclass(frozen=True)
class AlignedKernel(Kernel):
    """The kernel of a format that has the carrier's own exponents: rounding is integer arithmetic.

    Attributes
    ----------
    natural : bool
        Whether what the integers make of too large numbers and of infinities is what is asked for. Only a NaN, whose
        bits may carry as well, then needs a look.
    """

    natural: bool = False

    def _extent(self, x: Array) -> int:
        """Return what `Ends` has to look for, from the extremes of x."""
        high = np.maximum.reduce(x)  # NaN if any element is
        if self.natural:
            return ORDINARY if high == high else SPECIAL
        low = np.minimum.reduce(x)
        if high < self.fmt.max and low > -self.fmt.max:
            return ORDINARY
        return LARGE if high < np.inf and low > -np.inf else SPECIAL

    def _carry(self, x: Array, y: Array, addend: Any, work: Workspace) -> int:
        """Add, and cut off the bits that go."""
        words, found = work.rows[0].bits, self._extent(x)
        np.add(x.view(self.word), addend, out=words)  # into scratch, which is in the cache as y is not
        np.bitwise_and(words, self.kept, out=self._place(y, found, work).view(self.word))
        return found

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under half a unit, or exactly half where the last kept bit is odd."""
        addend = work.rows[0].bits
        np.right_shift(x.view(self.word), self._word(self.drop), out=addend)
        np.bitwise_and(addend, self.one, out=addend)
        np.add(addend, self.dropped >> 1, out=addend)
        return self._carry(x, y, addend, work)

    def nearest_away(self, x: Array, y: Array, work: Workspace) -> int:
        """Add half a unit."""
        return self._carry(x, y, (self.dropped >> 1) + 1, work)

    def nearest_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under half a unit."""
        return self._carry(x, y, self.dropped >> 1, work)

    def toward_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the bits that go."""
        found = self._extent(x)
        np.bitwise_and(x.view(self.word), self.kept, out=self._place(y, found, work).view(self.word))
        return found

    def toward_positive(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under a unit to positive numbers."""
        addend = work.rows[0].bits
        np.right_shift(x.view(self.word), self.last_bit, out=addend)  # -1 where negative, else 0
        np.bitwise_and(addend, self.dropped, out=addend)
        np.subtract(self.dropped, addend, out=addend)
        return self._carry(x, y, addend, work)

    def toward_negative(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under a unit to the magnitude of negative numbers."""
        addend = work.rows[0].bits
        np.right_shift(x.view(self.word), self.last_bit, out=addend)
        np.bitwise_and(addend, self.dropped, out=addend)
        return self._carry(x, y, addend, work)

    def to_odd(self, x: Array, y: Array, work: Workspace) -> int:
        """Let any lost bit carry into a copy, and set the last kept bit from there."""
        found, words, odd = self._extent(x), x.view(self.word), work.rows[0].bits
        np.bitwise_and(words, self.dropped, out=odd)
        np.add(odd, self.dropped, out=odd)
        np.bitwise_or(odd, words, out=odd)
        np.bitwise_and(odd, self.kept, out=self._place(y, found, work).view(self.word))
        return found

    def random_bits_limit(self) -> int:
        """The most random bits that `stochastic` can take."""
        return 8 * self.dtype.itemsize - 2

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Add the random integer, scaled to the bits that go.

        floor(v 2^N) + R >= 2^N holds exactly where the discarded bits and R, shifted to their width, carry.
        """
        words, addend, kept = x.view(self.word), work.rows[0].bits, work.rows[2].bits
        np.copyto(addend, integers, casting="unsafe")
        if variant == "b":  # floor(v 2^(N+1)) + (2R + 1): variant A with one more bit
            bits += 1
            np.left_shift(addend, self.one, out=addend)
            np.bitwise_or(addend, self.one, out=addend)
        surplus = bits - self.drop
        if surplus > 0:
            np.right_shift(addend, self._word(surplus), out=addend)
        elif surplus < 0:
            np.left_shift(addend, self._word(-surplus), out=addend)
        if variant == "c" and surplus < 0:
            # round the discarded bits to N bits, ties to even, before they are added
            unit = self._word(1 << -surplus)
            np.bitwise_and(words, self.dropped, out=kept)
            low = np.bitwise_and(kept, unit - self.one)
            np.subtract(kept, low, out=kept)
            half = unit >> self.one
            up = (low > half) | ((low == half) & ((kept & unit) != 0))
            np.add(kept, unit, out=kept, where=up)
            np.add(addend, kept, out=addend)
            np.bitwise_and(words, self.kept, out=kept)
            words = kept
        found = self._extent(x)
        np.add(words, addend, out=addend)
        np.bitwise_and(addend, self.kept, out=self._place(y, found, work).view(self.word))
        return found


class IdentityKernel(AlignedKernel):
    """The kernel of the carrier itself: every value is representable, and only the ends need care."""

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Copy."""
        found = self._extent(x)
        np.copyto(self._place(y, found, work), x)
        return found

    nearest_away = nearest_zero = toward_zero = toward_positive = toward_negative = to_odd = nearest_even

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Copy: nothing is discarded."""
        return self.nearest_even(x, y, work)
