"""How is a block rounded in seven passes? By counting units, as the definition does.

`floatlab.rounding.definition` says what rounding is: find the unit in the last place, count units, make the count
whole. This file does the same to a block that stays in the cache, each step one NumPy call without a temporary ::

    x       =  0 10000011 10011001100110011001101     25.6: exponent 4
    unit    =  2^(4 - 3)                              e4m3: 3 mantissa bits
    count   =  x / unit  =  12.8
    whole   =  13                                     to nearest
    result  =  13 unit   =  26.0

The unit is made of the number's own exponent field: the mantissa masked off, and 3 less in the exponent. If the
exponent is first raised to the format's `emin`, it is the unit of the subnormals, which so need no case of their own.
Dividing by a power of two is exact, and so is the way back. Signed zeros, infinities and NaNs pass through by
themselves: -0.1 is -0.0 units.

What is beyond the ends is looked for once per block, by the largest unit, and handled only where it is found
(`ends.py`). The same code serves float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.rounding.kernels.constants import Constants
from floatlab.rounding.kernels.workspace import LARGE, ORDINARY, SPECIAL, Row, Workspace, bound

__all__ = ["Kernel"]


class Kernel(Constants):
    """A method for each mode that rounds a block to a format, in its carrier type.

    A method reads the block `x` and writes the rounded block `y`, both contiguous, of the carrier type and of the
    length of the workspace; they may be the same block. It rounds as if the exponent had no upper end and returns
    ORDINARY, LARGE or SPECIAL. After the last two the rounded block is still in scratch: `Ends` applies the overflow
    policy and writes y.
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

    def _units(self, x: Array, unit: Row, places: Any) -> int:
        """Write the unit of each element, `places` below its exponent; return what `Ends` has to look for."""
        np.bitwise_and(x.view(self.word), self.infinity, out=unit.bits)
        top = np.maximum.reduce(unit.value)
        bound(np.maximum, unit.value, self.smallest_normal, out=unit.value)
        np.subtract(unit.bits, places, out=unit.bits)
        return ORDINARY if top < self.top else LARGE if top < np.inf else SPECIAL

    def _place(self, y: Array, found: int, work: Workspace) -> Array:
        """Return where the rounded block goes: to y, or to scratch if `Ends` has still to move it on to y.

        A pass over y costs more than one over scratch, which is in the cache and aligned; so y is written once.
        """
        return y if found == ORDINARY else work.rows[1].value

    def _count(self, x: Array, y: Array, work: Workspace, whole: Any) -> int:
        """Count units, make the count whole, and go back."""
        unit, count, _ = work.rows
        found = self._units(x, unit, self.places)
        np.divide(x, unit.value, out=count.value)
        whole(count.value, out=count.value)
        np.multiply(count.value, unit.value, out=self._place(y, found, work))
        return found

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties to even."""
        return self._count(x, y, work, np.rint)

    def toward_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the fraction."""
        return self._count(x, y, work, np.trunc)

    def toward_positive(self, x: Array, y: Array, work: Workspace) -> int:
        """Round towards plus infinity."""
        return self._count(x, y, work, np.ceil)

    def toward_negative(self, x: Array, y: Array, work: Workspace) -> int:
        """Round towards minus infinity."""
        return self._count(x, y, work, np.floor)

    def _nearest(self, x: Array, y: Array, work: Workspace, factor: Any) -> int:
        """Cut off the fraction, and add a unit where it reaches 1 when multiplied by `factor`."""
        unit, count, fraction = work.rows
        found = self._units(x, unit, self.places)
        np.divide(x, unit.value, out=fraction.value)
        np.trunc(fraction.value, out=count.value)
        # exact, and of the other sign: adding it would make 0 of -0, subtracting leaves -0 - 0 = -0
        np.subtract(count.value, fraction.value, out=fraction.value)
        np.multiply(fraction.value, factor, out=fraction.value)
        np.trunc(fraction.value, out=fraction.value)
        np.subtract(count.value, fraction.value, out=count.value)
        np.multiply(count.value, unit.value, out=self._place(y, found, work))
        return found

    def nearest_away(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties away from zero: half a unit is enough."""
        return self._nearest(x, y, work, self.two)

    def nearest_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties towards zero: half a unit is not enough, and the next fraction above it is."""
        return self._nearest(x, y, work, np.nextafter(self.two, self.dtype.type(0)))

    def to_odd(self, x: Array, y: Array, work: Workspace) -> int:
        """Count pairs of units, and add the counts below and above: n pairs are 2n units, and between lies 2n + 1."""
        unit, count, pairs = work.rows
        found = self._units(x, unit, self.places - self.binade)
        np.divide(x, unit.value, out=pairs.value)
        np.floor(pairs.value, out=count.value)
        np.ceil(pairs.value, out=pairs.value)
        np.add(count.value, pairs.value, out=count.value)
        np.subtract(unit.bits, self.binade, out=unit.bits)
        np.multiply(count.value, unit.value, out=self._place(y, found, work))
        return found

    def random_bits_limit(self) -> int:
        """The most random bits that `stochastic` can take: its counts must fit a word, its units be normal numbers.

        Variant B needs one more.
        """
        m = self.fmt.mantissa_bits
        return min(8 * self.dtype.itemsize - 4 - m, self.bias - 2 + self.fmt.emin - m)

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Count parts of a unit, 2^bits to each, add the random integer, and cut off to whole units.

        With N random bits R and the discarded fraction v of a unit (IEEE P3109, stochastic rounding): A adds
        a unit if floor(v 2^N) + R >= 2^N; B if floor(v 2^(N+1)) + 2R + 1 >= 2^(N+1); C if
        round_to_even(v 2^N) + R >= 2^N.
        """
        part, size, count = work.rows
        bits += variant == "b"
        found = self._units(x, part, self._word(self.fmt.mantissa_bits + bits << self.carrier_bits))
        np.bitwise_and(x.view(self.word), self.sign, out=size.bits)
        np.bitwise_or(part.bits, size.bits, out=part.bits)  # with the sign of x, the count has none
        np.divide(x, part.value, out=size.value)
        if variant == "c":
            np.rint(size.value, out=size.value)
        # To integers, which cuts off. What is not finite becomes any of them: `Ends` puts it in again.
        np.copyto(count.bits, size.value, casting="unsafe")
        np.add(count.bits, integers, out=count.bits)
        if variant == "b":
            np.add(count.bits, integers, out=count.bits)
            np.add(count.bits, self.one, out=count.bits)
        np.bitwise_and(count.bits, self._word(-1 << bits), out=count.bits)
        np.copyto(size.value, count.bits, casting="unsafe")  # exact: the bits that a unit has are zeros
        np.multiply(size.value, part.value, out=self._place(y, found, work))
        return found
