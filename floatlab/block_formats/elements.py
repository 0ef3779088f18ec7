"""What is an element of a block? A value of a float format, or an integer that counts steps of one size.

Integers of one sign and equal steps are a float format too: one whose exponent field is a single bit, so that its
subnormal numbers and its only binade have the same step. 127/64 = 1.111111 in binary is the largest value of e1m6, and
of OCP's INT8 element, whose codes are two's complement. So both kinds of element are rounded by the same kernels.

Source: OCP Microscaling Formats (MX) Specification 1.0, section 5.3 (element formats; INT8 has an implied scale of
2^-6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.integer_format import IntFormat
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode_values
from floatlab.errors import FormatError
from floatlab.formats import FloatFormat

__all__ = ["Element", "element_of"]

_MOST_BITS = 32


@dataclass(frozen=True)
class Element:
    """How an element is rounded, and which bits it is.

    Attributes
    ----------
    format : FloatFormat or IntFormat
        What was asked for.
    grid : FloatFormat
        A float format of the same values, but for -0, which no integer is, and for the lowest integer.
    lowest : float or None
        The lowest integer, where it has no positive counterpart: -128 of int8 in steps; None if there is none such.
    """

    format: FloatFormat | IntFormat
    grid: FloatFormat
    lowest: float | None = None

    @cached_property
    def bits(self) -> int:
        """The bits of a code."""
        return self.format.bits

    @cached_property
    def max(self) -> float:
        """The largest value; of integers, that which both signs have."""
        if isinstance(self.format, FloatFormat):
            return self.format.max
        return (2 ** (self.bits - 1) - 1) * self.step

    @cached_property
    def emax(self) -> int:
        """The exponent of the largest value."""
        return int(np.frexp(self.max)[1]) - 1

    @cached_property
    def mantissa_bits(self) -> int:
        """How many bits the largest value has after its first."""
        return self.grid.mantissa_bits

    @property
    def is_integer(self) -> bool:
        """Whether codes are integers in two's complement."""
        return isinstance(self.format, IntFormat)

    @cached_property
    def step(self) -> float:
        """The distance of two integers."""
        return 2.0 ** -_fraction_bits(self.format)

    def settle(self, values: Array) -> None:
        """Make rounded numbers of the grid into values of the element; in place."""
        if self.is_integer:
            values += 0.0  # -0 + 0 = +0
        if self.lowest is not None:
            np.clip(values, self.lowest, self.max, out=values)

    def encode(self, values: Array) -> Array:
        """Return the codes of values of the element."""
        if isinstance(self.format, FloatFormat):
            return encode_values(values, self.format)
        counts = np.asarray(values / self.step).astype(np.int64)
        return (counts & (1 << self.bits) - 1).astype(self.code_dtype)

    def decode(self, codes: Array) -> Array:
        """Return the values of codes."""
        if isinstance(self.format, FloatFormat):
            return decode(codes, self.format)
        sign = 1 << self.bits - 1
        counts = (codes.astype(np.int64) ^ sign) - sign
        return (counts * self.step).astype(self.value_dtype)

    @cached_property
    def code_dtype(self) -> np.dtype[Any]:
        """The type of codes."""
        return self.grid.code_dtype

    @cached_property
    def value_dtype(self) -> np.dtype[Any]:
        """The type that holds the values."""
        return self.grid.value_dtype

    def __str__(self) -> str:
        return str(self.format)


@lru_cache(maxsize=64)
def element_of(fmt: FloatFormat | IntFormat) -> Element:
    """Return what `quantize` needs to know of an element format.

    Raises
    ------
    FormatError
        If a block cannot be scaled to it: the format has one sign, no zero, or no largest value.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> element_of(get_format("e2m1")).max, element_of(IntFormat(8, frac_bits=6, narrow=True)).max
    (6.0, 1.984375)
    """
    if not fmt.signed or (isinstance(fmt, FloatFormat) and not fmt.has_zero):
        raise FormatError(
            f"An element of a block has a sign and a zero. Got {fmt}. Use a format such as e4m3, e2m1 or int8."
        )
    if fmt.bits > _MOST_BITS:
        raise FormatError(
            f"An element of a block has at most {_MOST_BITS} bits. Got {fmt} of {fmt.bits}. Use e4m3, for example."
        )
    if isinstance(fmt, FloatFormat):
        return Element(fmt, fmt)
    bits, fraction = fmt.bits, _fraction_bits(fmt)
    if bits < 3:
        raise FormatError(f"An integer in a block has at least 3 bits. Got {fmt}. Use int4 or int8.")
    if fmt.narrow:
        return Element(fmt, FloatFormat(f"int{bits}_grid", 1, bits - 2, fraction - bits + 3, "finite"))
    # Room for one binade more, of which only the lowest number is kept.
    wide = FloatFormat(f"int{bits}_grid", 2, bits - 2, fraction - bits + 3, "finite")
    return Element(fmt, wide, -(2.0 ** (bits - 1 - fraction)))


def _fraction_bits(fmt: Any) -> int:
    return fmt.frac_bits or 0
