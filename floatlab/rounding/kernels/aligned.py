"""How is a format rounded that has the carrier's own exponents? By adding integers, and a mask.

The values of bfloat16 and tf32 are those of float32 with fewer mantissa bits, subnormals and all. The bits of bfloat16
are the first 16 of float32: adding to the 16 that go makes them carry into those that stay; a carry out of the mantissa
raises the exponent, and out of the largest number gives infinity ::

    0 10000011 1001100 1100110011001101      25.6, and what goes is more than half
  +                    0111111111111111      just under half
  = 0 10000011 1001101 ................      25.625
"""

from __future__ import annotations

from typing import Any

from floatlab.backend import Array
from floatlab.rounding.kernels.magic import Kernel
from floatlab.rounding.kernels.workspace import Workspace

__all__ = ["AlignedKernel", "IdentityKernel"]


class AlignedKernel(Kernel):
    """The kernel of a format that has the carrier's own exponents: rounding is integer arithmetic."""

    def _carry(self, x: Array, y: Array, addend: Any, work: Workspace) -> int:
        found = self._extent(x)
        words = self._place(y, found, work).view(self.word)
        work.xp.add(x.view(self.word), addend, out=words)
        work.xp.bitwise_and(words, self.kept, out=words)
        return found

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under half a unit, or exactly half where the last kept bit is odd."""
        xp, addend = work.xp, work.rows[0].bits
        xp.right_shift(x.view(self.word), self._word(self.drop), out=addend)
        xp.bitwise_and(addend, self.one, out=addend)
        xp.add(addend, self.dropped >> 1, out=addend)
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
        rounded = self._place(y, found, work)
        work.xp.bitwise_and(x.view(self.word), self.kept, out=rounded.view(self.word))
        return found

    def toward_positive(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under a unit to positive numbers."""
        found = self._extent(x)
        self._outward(x, self._place(y, found, work), work, negative=False)
        return found

    def toward_negative(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under a unit to the magnitude of negative numbers."""
        found = self._extent(x)
        self._outward(x, self._place(y, found, work), work, negative=True)
        return found

    def to_odd(self, x: Array, y: Array, work: Workspace) -> int:
        """Let any lost bit carry into a copy, and set the last kept bit from there."""
        xp, words, odd = work.xp, x.view(self.word), work.rows[0].bits
        xp.bitwise_and(words, self.dropped, out=odd)
        xp.add(odd, self.dropped, out=odd)
        xp.bitwise_or(odd, words, out=odd)
        found = self._extent(x)
        xp.bitwise_and(odd, self.kept, out=self._place(y, found, work).view(self.word))
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
        xp, words = work.xp, x.view(self.word)
        addend, kept = work.rows[0].bits, work.rows[2].bits
        xp.copyto(addend, integers, casting="unsafe")
        if variant == "b":  # floor(v 2^(N+1)) + (2R + 1): variant A with one more bit
            bits += 1
            xp.left_shift(addend, self.one, out=addend)
            xp.bitwise_or(addend, self.one, out=addend)
        surplus = bits - self.drop
        if surplus >= 0:
            xp.right_shift(addend, self._word(surplus), out=addend)
        else:
            xp.left_shift(addend, self._word(-surplus), out=addend)
        if variant == "c" and surplus < 0:
            # round the discarded bits to N bits, ties to even, before they are added
            unit = self._word(1 << -surplus)
            xp.bitwise_and(words, self.dropped, out=kept)
            low = xp.bitwise_and(kept, unit - self.one)
            xp.subtract(kept, low, out=kept)
            half = unit >> self.one
            up = (low > half) | ((low == half) & ((kept & unit) != 0))
            xp.add(kept, unit, out=kept, where=up)
            xp.add(addend, kept, out=addend)
            xp.bitwise_and(words, self.kept, out=kept)
            words = kept
        found = self._extent(x)
        rounded = self._place(y, found, work).view(self.word)
        xp.add(words, addend, out=rounded)
        xp.bitwise_and(rounded, self.kept, out=rounded)
        return found


class IdentityKernel(AlignedKernel):
    """The kernel of the carrier itself: every value is representable, and only the ends need care."""

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Copy."""
        found = self._extent(x)
        work.xp.copyto(self._place(y, found, work), x)
        return found

    nearest_away = nearest_zero = toward_zero = toward_positive = toward_negative = to_odd = nearest_even

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Copy: nothing is discarded."""
        return self.nearest_even(x, y, work)
