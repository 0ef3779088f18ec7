"""How is a short format rounded without computing? By looking up the first 16 bits of a float32.

A format of at most 6 bits of precision changes its mind only at numbers of at most 7: its values, and the middles
between them. The first 16 bits of a float32 hold 8. Cut it off there, and set the last of the 16 bits if anything but
zeros was cut off ("rounding to odd"): what is left lies on the same side of each of those numbers, or on
it, as the number itself did, and so it rounds alike, in every mode and under every policy. ::

    x    0 01111111 0010000 0000000000000001      just above 1.125, a tie in e4m3: up
    key  0 01111111 0010001                       above it as well

There are 65,536 such keys, so one table of values and one of codes hold all that a conversion can do.

References
----------
S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd",
    IEEE Transactions on Computers 57 (2008), 462-471 (rounding to odd).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.formats import FloatFormat
from floatlab.system.environment import check_environment

__all__ = ["Lookup", "has_keys", "keys_of_values"]

_LOW = np.int32(0xFFFF)
_FIRST = 1 if sys.byteorder == "little" else 0  # which half of a word is its first


def has_keys(fmt: FloatFormat) -> bool:
    """Whether all numbers at which the format's rounding changes have 7 bits, and lie within float32."""
    return fmt.mantissa_bits <= 5 and fmt.emax <= 127 and fmt.etiny >= -130


def keys_of_values(values: Array) -> Array:
    """Return the first 16 bits of each float32, which are all of a value of at most 8 bits; a view."""
    return values.view(np.uint16)[_FIRST::2]


@dataclass(frozen=True)
class Lookup:
    """The tables of one conversion.

    Attributes
    ----------
    readable : callable
        What rounds float64 numbers, one by one: ``(x, None, 0) -> values``.
    """

    readable: Callable[[Array, None, int], Array]

    @cached_property
    def values(self) -> Array:
        """What each key rounds to."""
        check_environment()
        keys = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
        with np.errstate(all="ignore"):
            table = self.readable(keys.astype(np.float64), None, 0).astype(np.float32)
        table.flags.writeable = False
        return table

    def keys(self, x: Array, scratch: Array) -> Array:
        """Return the keys of a block of float32 numbers, in scratch memory (int32, of the block's length)."""
        words = x.view(np.int32)
        np.bitwise_and(words, _LOW, out=scratch)
        np.add(scratch, _LOW, out=scratch)  # carries into bit 16 unless all low bits are zero
        np.bitwise_or(scratch, words, out=scratch)
        return keys_of_values(scratch)

    def round(self, x: Array, y: Array, scratch: Array) -> None:
        """Round the contiguous block x into y; they may be the same memory."""
        # "clip" spares the check of every index: 16 bits cannot be out of range
        np.take(self.values, self.keys(x, scratch), out=y, mode="clip")


def ready(lookup: Lookup | None, size: int) -> Any:
    """Whether to use the tables: they are there already, or the array is large enough to make them."""
    return lookup is not None and ("values" in lookup.__dict__ or size >= 8192)
