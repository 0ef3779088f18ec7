"""How is a block rounded without looking at its exponents? By adding a number and subtracting it again.

`floatlab.rounding.definition` says what rounding is; this file does the same with a dozen passes over a block that
stays in the cache, each pass one NumPy call without a temporary. Three ideas carry it.

*The magic number.* A float32 has 24 bits of precision. Add 2^k to a smaller number, and the sum keeps only
bits down to 2^(k-23): the hardware rounds the number to a multiple of 2^(k-23), to nearest and ties to
even; subtract 2^k again, and what is left is the rounded number. With k = exponent + 23 - mantissa_bits
the unit 2^(k-23) is the last place of the target format. If the exponent is first raised to the format's
`emin`, the unit is that of the subnormals, which so need no case of their own.

    x       = 0 10000011 10011001100110011001101     25.6, exponent 4
    magic   = 2^(4+23-3), last place 2^1             e4m3fn: 3 mantissa bits
    x+magic - magic = 26.0

*Units as integers.* Between magic and 2*magic the bit pattern, read as an integer, counts units. One more
or one fewer unit is an integer addition, whatever the exponent.

*Nested grids.* The values of one sign at full precision are a finer grid than the multiples of the smallest
subnormal, wherever the two differ. Rounding towards zero or an infinity may go through the finer grid first:
a bit mask, then `trunc`, `floor` or `ceil`. Rounding to nearest may not: it would round twice.

Infinities, NaNs and overflow are looked for once per block, by a maximum, and handled only where found
(`ends.py`). The same code serves float64 with the constants of float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.rounding.kernels.constants import Constants
from floatlab.rounding.kernels.workspace import LARGE, ORDINARY, SPECIAL, Row, Workspace

__all__ = ["Kernel"]


class Kernel(Constants):
    """A method for each mode that rounds a block to a format, in its carrier type.

    A method reads the block `x` and writes the rounded block `y`, both contiguous, of the carrier type and of the
    length of the workspace, and not overlapping. It rounds as if the exponent had no upper end and returns ORDINARY,
    LARGE or SPECIAL. After the last two the rounded block is still in scratch: `Ends` applies the overflow policy and
    writes y.
    """

    #: What a method of that name rounds by. The readable steps round by every mode.
    modes = frozenset(
        (
            "nearest_even",
            "nearest_away",
            "nearest_zero",
            "toward_zero",
            "toward_positive",
            "toward_negative",
            "to_odd",
        )
    )

    def _magic(self, x: Array, magic: Row, lift: Any, work: Workspace) -> int:
        """Write the magic number of each element; return what `Ends` has to look for."""
        xp, exponents = work.xp, magic.bits
        xp.bitwise_and(x.view(self.word), self.infinity, out=exponents)
        top = int(exponents.max())
        if top > self.highest:  # keep the magic number itself finite
            work.clamp(xp.minimum, exponents, self.ceiling)
        work.clamp(xp.maximum, exponents, self.floor)
        xp.add(exponents, lift, out=exponents)
        return SPECIAL if top == self.infinity else LARGE if top >= self.top else ORDINARY

    def _extent(self, x: Array) -> int:
        """Return what `Ends` has to look for, from the extremes of x."""
        high, low = float(x.max()), float(x.min())  # either is NaN if any element is
        if high < self.fmt.max and low > -self.fmt.max:
            return ORDINARY
        return LARGE if high - low < np.inf else SPECIAL

    def _place(self, y: Array, found: int, work: Workspace) -> Array:
        """Return where the rounded block goes: to y, or to scratch if `Ends` has still to move it on to y.

        A pass over y costs more than one over scratch, which is in the cache and aligned; so y is written once.
        """
        return y if found == ORDINARY else work.rows[1].value

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties to even."""
        magic, rounded, _ = work.rows
        found = self._magic(x, magic, self.signed_lift, work)
        work.xp.add(x, magic.value, out=rounded.value)
        work.xp.subtract(rounded.value, magic.value, out=rounded.value)
        self.put_sign(x, rounded, magic, self._place(y, found, work), work.xp)
        return found

    def _nearest_both(self, x: Array, y: Array, work: Workspace, choose: Any) -> int:
        """Round the magnitude with ties to even and with ties to odd, and choose between the two.

        The magic number plus one unit is odd, so a tie that makes the sum even makes the rounded number odd.
        The two results differ only at a tie: there one is above, the other below.
        """
        xp = work.xp
        magic, even, odd = work.rows
        found = self._magic(x, magic, self.lift, work)
        xp.bitwise_and(x.view(self.word), self.magnitude, out=odd.bits)
        xp.add(odd.value, magic.value, out=even.value)
        xp.subtract(even.value, magic.value, out=even.value)
        xp.add(magic.bits, self.one, out=magic.bits)
        xp.add(odd.value, magic.value, out=odd.value)
        xp.subtract(odd.value, magic.value, out=odd.value)
        choose(even.value, odd.value, out=odd.value)
        self.put_sign(x, odd, magic, self._place(y, found, work), xp)
        return found

    def nearest_away(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties away from zero."""
        return self._nearest_both(x, y, work, work.xp.maximum)

    def nearest_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties towards zero."""
        return self._nearest_both(x, y, work, work.xp.minimum)

    def _to_quantum(self, y: Array, whole: Any, xp: Any) -> None:
        """Round y to multiples of the smallest subnormal by `whole`: trunc, floor or ceil."""
        xp.multiply(y, self.per_quantum, out=y)
        whole(y, out=y)
        xp.multiply(y, self.quantum, out=y)

    def toward_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the magnitude: first to full precision, then to a multiple of the smallest subnormal."""
        found = self._extent(x)
        self._cut(x, self._place(y, found, work), work.xp)
        return found

    def _cut(self, x: Array, y: Array, xp: Any) -> None:
        xp.bitwise_and(x.view(self.word), self.kept, out=y.view(self.word))
        self._to_quantum(y, xp.trunc, xp)

    def _outward(self, x: Array, y: Array, work: Workspace, negative: bool) -> None:
        """Round the magnitudes of one sign up and of the other down, at full precision."""
        xp, addend, words = work.xp, work.rows[0].bits, y.view(self.word)
        xp.right_shift(x.view(self.word), self.last_bit, out=addend)  # -1 where negative, else 0
        xp.bitwise_and(addend, self.dropped, out=addend)
        if not negative:
            xp.subtract(self.dropped, addend, out=addend)
        # It carries into the next magnitude, unless x is on the grid.
        xp.add(x.view(self.word), addend, out=words)
        xp.bitwise_and(words, self.kept, out=words)

    def toward_positive(self, x: Array, y: Array, work: Workspace) -> int:
        """Round towards plus infinity."""
        found = self._extent(x)
        rounded = self._place(y, found, work)
        self._outward(x, rounded, work, negative=False)
        self._to_quantum(rounded, work.xp.ceil, work.xp)
        return found

    def toward_negative(self, x: Array, y: Array, work: Workspace) -> int:
        """Round towards minus infinity."""
        found = self._extent(x)
        rounded = self._place(y, found, work)
        self._outward(x, rounded, work, negative=True)
        self._to_quantum(rounded, work.xp.floor, work.xp)
        return found

    def to_odd(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the magnitude, and set its last bit if anything was lost."""
        xp = work.xp
        magic, _, size = work.rows
        found = self._magic(x, magic, self.lift, work)
        self._cut(x, y, xp)
        lost = xp.not_equal(x, y)
        xp.bitwise_and(y.view(self.word), self.magnitude, out=size.bits)
        if found != ORDINARY:
            # Infinity with its last bit set would be a NaN; and as the size, so its magic number.
            work.clamp(xp.minimum, size.bits, self.ceiling)
            work.clamp(xp.minimum, magic.bits, self.ceiling + self.lift)
        xp.add(size.value, magic.value, out=size.value)  # exact: the last bit is now that of the last place
        xp.bitwise_or(size.bits, lost, out=size.bits)
        xp.subtract(size.value, magic.value, out=size.value)
        self.put_sign(x, size, magic, self._place(y, found, work), xp)
        return found

    def random_bits_limit(self) -> int:
        """The most random bits that `stochastic` can take: its integers and its power of two must fit."""
        room = self.bias - self.carrier_bits + self.fmt.emin + self.drop
        return min(8 * self.dtype.itemsize - 4, room - 1)

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Cut off the magnitude, and add a unit if the discarded fraction and a random integer carry over.

        With N random bits R and the discarded fraction v of a unit (IEEE P3109, stochastic rounding): A adds
        a unit if floor(v 2^N) + R >= 2^N; B if floor(v 2^(N+1)) + 2R + 1 >= 2^(N+1); C if
        round_to_even(v 2^N) + R >= 2^N.
        """
        xp = work.xp
        magic, count, size = work.rows
        fraction = size.value
        found = self._magic(x, magic, self.lift, work)
        if found != ORDINARY:  # the sizes below are cut to `ceiling`, so the magic numbers must be as well
            work.clamp(xp.minimum, magic.bits, self.ceiling + self.lift)
        self._cut(x, y, xp)
        xp.subtract(x, y, out=fraction)  # exact, and of the sign of x
        bits += variant == "b"
        # A unit is magic * 2^-carrier_bits, so 2^bits / unit is a power of two, and subtraction finds its exponent.
        lift = self._wrapped((bits + self.carrier_bits + 2 * self.bias) << self.carrier_bits)
        xp.subtract(lift, magic.bits, out=count.bits)
        xp.multiply(fraction, count.value, out=fraction)
        xp.absolute(fraction, out=fraction)
        (xp.rint if variant == "c" else xp.trunc)(fraction, out=fraction)
        if found != ORDINARY:  # far beyond the maximum the fraction may be larger than the integers
            xp.minimum(fraction, self.dtype.type(2**bits), out=fraction)
        xp.copyto(count.bits, fraction, casting="unsafe")
        xp.add(count.bits, integers, out=count.bits)
        if variant == "b":
            xp.add(count.bits, integers, out=count.bits)
            xp.add(count.bits, self.one, out=count.bits)
        xp.right_shift(count.bits, self._word(bits), out=count.bits)  # 1 if it carried over, else 0
        xp.bitwise_and(y.view(self.word), self.magnitude, out=size.bits)  # the fraction is done with
        if found != ORDINARY:  # one unit more than infinity would be a NaN
            work.clamp(xp.minimum, size.bits, self.ceiling)
        xp.add(size.value, magic.value, out=size.value)
        xp.add(size.bits, count.bits, out=size.bits)
        xp.subtract(size.value, magic.value, out=size.value)
        self.put_sign(x, size, magic, self._place(y, found, work), xp)
        return found
