"""What becomes of a number beyond the ends of a format? What the policy says, put into a rounded block at once.

A kernel rounds as if the exponent had no upper end. `Ends` then moves the rounded block from the workspace to its
place, with what stands for overflow and for infinities. How it does so depends on the format and the policy:

- *scaling*: an IEEE format's largest value has all mantissa bits set. Scaled up to where the carrier's largest value
  is, exactly what is beyond it overflows, and stays infinite when it is scaled down again.
- *clamping*: the magnitude is cut to the largest value.
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
from floatlab.rounding.kernels.workspace import SPECIAL, Pair, Workspace

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
        self.stop: tuple[str, Any] | None = None
        if np.isfinite(over[0]) != np.isfinite(over[1]):
            # One side stops at its largest value. Clamped to that before all else, it is as usual.
            side = 0 if np.isfinite(over[0]) else 1
            self.stop = ("minimum", "maximum")[side], number(over[side])
            mark = abs(over[1 - side])
            over = mark, -mark
        self.end = number(over[0]).view(constants.word)  # its bits
        self.nans = number(np.nan), number(-np.nan)
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
        xp = work.xp
        if found == SPECIAL:  # looked at before y is written
            nan, above, below, signs = xp.isnan(x), x == np.inf, x == -np.inf, xp.signbit(x)
        if self.stop is not None:
            name, end = self.stop
            work.clamp(getattr(xp, name), work.rows[1].value, end)
        self._put(x, y, work)
        if found == SPECIAL:
            xp.copyto(y, self.infinite[0], where=above)
            xp.copyto(y, self.infinite[1], where=below)
            nan |= xp.isnan(y)
            xp.copyto(y, self.nans[0], where=nan)
            xp.copyto(y, self.nans[1], where=nan & signs)
        if not self.constants.fmt.nan_has_sign and (found == SPECIAL or self.makes_nan):
            xp.absolute(y, out=y, where=xp.isnan(y))

    def _scale(self, x: Array, y: Array, work: Workspace) -> None:
        """Make infinities of what lies beyond the largest value, by multiplying up and down."""
        assert self.constants.scales is not None
        (up, down), rounded = self.constants.scales, work.rows[1].value
        work.xp.multiply(rounded, up, out=rounded)
        work.xp.multiply(rounded, down, out=y)

    def _clamp(self, x: Array, y: Array, work: Workspace) -> None:
        """Cut the magnitudes to the largest value."""
        xp, (size, rounded, spare) = work.xp, work.rows
        xp.bitwise_and(rounded.bits, self.constants.magnitude, out=size.bits)
        work.clamp(xp.minimum, size.bits, self.end)
        self.constants.put_sign(x, size, spare, y, xp)

    def _mark(self, x: Array, y: Array, work: Workspace) -> None:
        """Put infinities, or NaNs, of the value's sign in the place of magnitudes beyond the largest value."""
        xp, k, (size, rounded, beyond) = work.xp, self.constants, work.rows
        xp.bitwise_and(rounded.bits, k.magnitude, out=size.bits)
        xp.subtract(k.max_bits, size.bits, out=beyond.bits)
        xp.right_shift(beyond.bits, k.last_bit, out=beyond.bits)  # -1 where beyond the maximum, else 0
        xp.bitwise_and(beyond.bits, self.end, out=beyond.bits)
        if self.makes_nan:
            xp.bitwise_or(rounded.bits, beyond.bits, out=y.view(k.word))
        else:
            xp.maximum(size.bits, beyond.bits, out=size.bits)
            k.put_sign(x, size, beyond, y, xp)

    def flush(self, x: Array, y: Array, work: Workspace) -> None:
        """Copy x to y with every magnitude below the smallest normal replaced by a zero of its sign."""
        xp, k, size = work.xp, self.constants, work.rows[0].bits
        xp.bitwise_and(x.view(k.word), k.magnitude, out=size)
        small = xp.less(size, k.floor)
        if y is not x:
            xp.copyto(y, x)
        words = y.view(k.word)
        xp.bitwise_and(words, k.sign, out=words, where=small)
