"""Which numbers does a kernel compute with? Those of one format in one carrier type, float32 or float64.

Masks, exponents and powers of two, as 0-dimensional arrays or scalars of the right type, so that NumPy converts
nothing. The fields of a word of the carrier, and what of it a format keeps ::

    float32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm      sign, infinity (the mask of the exponents), magnitude (e and m)
    float16   s    eeeee mmmmmmmmmm.............      kept, and dropped: `drop` bits of them
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.formats import FloatFormat
from floatlab.rounding.kernels.workspace import Row

__all__ = ["Constants"]


@dataclass(frozen=True)
class Constants:
    """What is known of a format in a carrier type before any number is seen."""

    fmt: FloatFormat
    dtype: np.dtype[Any]

    @cached_property
    def word(self) -> np.dtype[Any]:
        """The signed integer type as wide as the carrier."""
        return np.dtype(f"i{self.dtype.itemsize}")

    def _word(self, value: int) -> Any:
        return self.word.type(value)

    def _bits(self, value: float) -> Any:
        return np.asarray(value, self.dtype).view(self.word)[()]

    @cached_property
    def carrier_bits(self) -> int:
        """Mantissa bits of the carrier."""
        return 23 if self.dtype.itemsize == 4 else 52

    @cached_property
    def drop(self) -> int:
        """How many mantissa bits a normal value loses."""
        return self.carrier_bits - self.fmt.mantissa_bits

    @cached_property
    def infinity(self) -> Any:
        """Infinity's bits, which are also the mask of the exponent field."""
        return self._bits(np.inf)

    @cached_property
    def magnitude(self) -> Any:
        """The mask of all bits but the sign."""
        return self._word(np.iinfo(self.word).max)

    @cached_property
    def sign(self) -> Any:
        """The mask of the sign bit."""
        return self._word(np.iinfo(self.word).min)

    @cached_property
    def smallest_normal(self) -> Any:
        """2^emin: below it the last place no longer shrinks."""
        return self.dtype.type(self.fmt.smallest_normal)

    @cached_property
    def top(self) -> Any:
        """2^emax: a block whose exponents are all below needs no look at the largest value."""
        return self.dtype.type(np.ldexp(1.0, self.fmt.emax))

    @cached_property
    def binade(self) -> Any:
        """One step of the exponent, as integers count it."""
        return self._word(1 << self.carrier_bits)

    @cached_property
    def places(self) -> Any:
        """How far the last place lies below the first, in the exponent."""
        return self._word(self.fmt.mantissa_bits << self.carrier_bits)

    @cached_property
    def dropped(self) -> Any:
        """The mask of the mantissa bits that a normal value loses."""
        return self._word((1 << self.drop) - 1)

    @cached_property
    def kept(self) -> Any:
        """The mask of the bits that a normal value keeps."""
        return self._word(-1 << self.drop)

    @cached_property
    def max_bits(self) -> Any:
        """The largest finite value's bits in the carrier."""
        return self._bits(self.fmt.max)

    @cached_property
    def scales(self) -> tuple[Any, Any] | None:
        """What takes 2^emax to the carrier's largest power of two, and what undoes it; None if that does not work.

        Where the largest value has all mantissa bits set, the first makes exactly the values beyond it overflow, and
        they stay infinite after the second. A format whose values are all below 1 would need a larger scale
        than the carrier has.
        """
        if self.fmt.specials != "ieee" or self.fmt.emax < 0:
            return None
        exponent = self.bias - self.fmt.emax
        return self.dtype.type(2.0**exponent), self.dtype.type(2.0**-exponent)

    @cached_property
    def one(self) -> Any:
        """The integer 1."""
        return self._word(1)

    @cached_property
    def two(self) -> Any:
        """The number 2."""
        return self.dtype.type(2)

    @cached_property
    def last_bit(self) -> Any:
        """How far to shift the sign to the last place."""
        return self._word(8 * self.dtype.itemsize - 1)

    @cached_property
    def bias(self) -> int:
        """The exponent field of 1.0 in the carrier."""
        return 127 if self.dtype.itemsize == 4 else 1023

    def put_sign(self, x: Array, rounded: Row, spare: Row, y: Array) -> None:
        """Write magnitudes, `rounded`, to y with the sign of x."""
        np.bitwise_and(x.view(self.word), self.sign, out=spare.bits)
        np.bitwise_or(rounded.bits, spare.bits, out=y.view(self.word))
