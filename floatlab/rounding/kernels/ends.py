"""What becomes of a number beyond the ends of a format? What the policy says, put into a rounded block at once.

A kernel rounds as if the exponent had no upper end. `Ends` then moves the rounded block from the workspace to its
place, with what stands for overflow and for infinities. How it does so depends on the format and the policy:

- *scaling*: an IEEE format's largest value has all mantissa bits set. Scaled up to where the carrier's largest value
  is, exactly what is beyond it overflows, and stays infinite when it is scaled down again.
- *clamping*: the number is cut off at the largest and the lowest value.
- *marking*: the largest value less the magnitude, as integers, is negative where there is overflow: its sign is a mask.

None has a branch per element, which costs more than a pass where overflow is neither rare nor usual.

Source: IEEE 754-2019, 7.4 (overflow).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.rounding.kernels.constants import Constants
from floatlab.rounding.kernels.workspace import SPECIAL, Pair, Workspace, bound

__all__ = ["Ends"]


class Ends:
    """How one conversion treats what is beyond the ends.

    Parameters
    ----------
    constants : Constants
        Those of the format and of the carrier.
    over, infinite : pair of float
        What stands for a finite value beyond the maximum, and for an infinity, on the positive and the negative side.
        Of the first, either both are alike but for the sign, or one is the end of the format.
    """

    def __init__(self, constants: Constants, over: Pair, infinite: Pair) -> None:
        number = constants.dtype.type
        self.constants = constants
        self.infinite = number(infinite[0]), number(infinite[1])
        self.stop: tuple[Any, Any] | None = None
        if np.isfinite(over[0]) != np.isfinite(over[1]):
            # One side stops at its largest value. Clamped to that before all else, it is as usual.
            side = 0 if np.isfinite(over[0]) else 1
            self.stop = (np.minimum, np.maximum)[side], number(over[side])
            mark = abs(over[1 - side])
            over = mark, -mark
        self.over = number(over[0]), number(over[1])
        self.nans = number(np.nan), number(-np.nan)
        self._end = self.over[0].view(constants.word)  # its bits
        self.makes_nan = bool(np.isnan(over[0]))
        self._put = self._strategy(over, infinite)

    def _strategy(self, over: Pair, infinite: Pair) -> Callable[[Array, Array, Workspace], None]:
        if np.isfinite(over[0]):
            return self._clamp
        if over == infinite == (np.inf, -np.inf) and self.constants.scales is not None:
            return self._scale
        return self._mark

    def limit(self, x: Array, y: Array, work: Workspace, found: int) -> None:
        """Write the block of x, which is rounded in the workspace, to y; a NaN becomes a quiet NaN of its sign.

        `found` is LARGE or SPECIAL. y may be x.
        """
        if found == SPECIAL:  # looked at before y is written
            nan, above, below, signs = np.isnan(x), x == np.inf, x == -np.inf, np.signbit(x)
        if self.stop is not None:
            rounded = work.rows[1].value
            bound(self.stop[0], rounded, self.stop[1], out=rounded)
        self._put(x, y, work)
        if found == SPECIAL:
            np.copyto(y, self.infinite[0], where=above)
            np.copyto(y, self.infinite[1], where=below)
            nan |= np.isnan(y)
            np.copyto(y, self.nans[0], where=nan)
            np.copyto(y, self.nans[1], where=nan & signs)
        if not self.constants.fmt.nan_has_sign and (found == SPECIAL or self.makes_nan):
            np.absolute(y, out=y, where=np.isnan(y))

    def _scale(self, x: Array, y: Array, work: Workspace) -> None:
        """Make infinities of what lies beyond the largest value, by multiplying up and down."""
        assert self.constants.scales is not None
        (up, down), rounded = self.constants.scales, work.rows[1].value
        np.multiply(rounded, up, out=rounded)
        np.multiply(rounded, down, out=y)

    def _clamp(self, x: Array, y: Array, work: Workspace) -> None:
        """Cut off at the largest and the lowest value."""
        rounded = work.rows[1].value
        bound(np.minimum, rounded, self.over[0], out=rounded)
        bound(np.maximum, rounded, self.over[1], out=y)

    def _mark(self, x: Array, y: Array, work: Workspace) -> None:
        """Put infinities, or NaNs, of the value's sign in the place of magnitudes beyond the largest value."""
        k, (size, rounded, beyond) = self.constants, work.rows
        if rounded.value.max() <= k.fmt.max and rounded.value.min() >= -k.fmt.max:
            np.copyto(y, rounded.value)
            return
        np.bitwise_and(rounded.bits, k.magnitude, out=size.bits)
        np.subtract(k.max_bits, size.bits, out=beyond.bits)
        np.right_shift(beyond.bits, k.last_bit, out=beyond.bits)  # -1 where beyond the maximum, else 0
        np.bitwise_and(beyond.bits, self._end, out=beyond.bits)
        if self.makes_nan:
            np.bitwise_or(rounded.bits, beyond.bits, out=y.view(k.word))
        else:
            np.maximum(size.bits, beyond.bits, out=size.bits)
            k.put_sign(x, size, beyond, y)

    def flush(self, x: Array, y: Array, work: Workspace) -> None:
        """Copy x to y with every magnitude below the smallest normal replaced by a zero of its sign."""
        k, size = self.constants, work.rows[0]
        np.absolute(x, out=size.value)
        small = np.less(size.value, k.smallest_normal)
        if y is not x:
            np.copyto(y, x)
        words = y.view(k.word)
        np.bitwise_and(words, k.sign, out=words, where=small)
