"""Which integers are there? A width, a sign, and for fixed point the place of the binary point.

Names are ``int8``, ``uint4`` and so on, and ``q8.8`` for fixed point. What Qm.n means, two schools tell differently.
Here m + n is the width of the word, so the sign bit is one of the m: the notation of ARM, in which ``q8.8`` is an int16
and ``q1.15`` covers [-1, 1). Texas Instruments, who invented it, do not count the sign bit: their Q7.8 is our ``q8.8``,
and their Q0.15 (or Q15) our ``q1.15``. Of unsigned numbers, ``uq8.8``, both say the same.

Sources: Texas Instruments, "TMS320C64x DSP Library Programmer's Reference", A.2 (a Qm.n number takes m + n + 1 bits);
ARM, "AXD and armsd Debuggers Guide" (DUI 0066D), 4.7.9, Q-format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.errors import FormatError, check_switch, nearest_name
from floatlab.system.html import number, table

__all__ = ["IntFormat", "get_int_format"]

_NAME = re.compile(
    r"(?P<unsigned>u?)(?:int(?P<bits>\d{1,3})|q(?P<whole>\d{1,3})\.(?P<frac>\d{1,3}))(?P<narrow>_narrow)?"
)
_USUAL = (
    "int8",
    "uint8",
    "int4",
    "uint4",
    "int16",
    "uint16",
    "int32",
    "q8.8",
    "q1.15",
    "q16.16",
    "int8_narrow",
)


@dataclass(frozen=True)
class IntFormat:
    """A type of integers in two's complement, or of fixed-point numbers: integers over a power of two.

    Parameters
    ----------
    bits : int
        The width, 2 to 32; unsigned from 1.
    signed : bool
        Whether half of the codes are negative.
    narrow : bool
        Whether the lowest code is left out, so that the range is symmetric: int8 from -127. Of signed formats only.
    frac_bits : int, optional
        For fixed point, how many of the bits stand behind the binary point, 0 to `bits`. None: integers, which get
        their scale from the numbers that they stand for.

    Raises
    ------
    FormatError
        If there is no such format.

    Examples
    --------
    >>> IntFormat(8), IntFormat(8).min, IntFormat(8).max
    (IntFormat('int8'), -128, 127)
    >>> q = IntFormat(16, frac_bits=8)
    >>> q, q.step, q.lowest, q.largest
    (IntFormat('q8.8'), 0.00390625, -128.0, 127.99609375)
    """

    bits: int = 8
    signed: bool = True
    narrow: bool = False
    frac_bits: int | None = None

    def __post_init__(self) -> None:
        for field in ("signed", "narrow"):
            object.__setattr__(self, field, check_switch(field, getattr(self, field)))
        least = 2 if self.signed else 1
        object.__setattr__(self, "bits", _integer("bits", self.bits, least, 32, "8 is usual"))
        if self.frac_bits is not None:
            of = _integer("frac_bits", self.frac_bits, 0, self.bits, "leave it out for integers")
            object.__setattr__(self, "frac_bits", of)
        if self.narrow and not self.signed:
            raise FormatError(
                "A narrow format leaves out the lowest of the signed codes. "
                "Got narrow=True of an unsigned format. Leave it out."
            )

    @property
    def name(self) -> str:
        """What it is called: ``int8``, ``uint4``, ``q8.8``, ``int8_narrow``."""
        word = (
            f"int{self.bits}" if self.frac_bits is None else f"q{self.bits - self.frac_bits}.{self.frac_bits}"
        )
        return ("" if self.signed else "u") + word + ("_narrow" if self.narrow else "")

    @property
    def min(self) -> int:
        """The lowest code."""
        return -(1 << self.bits - 1) + self.narrow if self.signed else 0

    @property
    def max(self) -> int:
        """The largest code."""
        return (1 << self.bits - self.signed) - 1

    @property
    def step(self) -> float:
        """The distance of two neighbours: 1, or a power of two for fixed point."""
        return 2.0 ** -(self.frac_bits or 0)

    @property
    def lowest(self) -> float:
        """The lowest value, before any scale."""
        return self.min * self.step

    @property
    def largest(self) -> float:
        """The largest value, before any scale."""
        return self.max * self.step

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type that holds a code: the shortest."""
        size = 1 if self.bits <= 8 else 2 if self.bits <= 16 else 4
        return np.dtype(f"{'i' if self.signed else 'u'}{size}")

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"IntFormat({self.name!r})"

    def _repr_html_(self) -> str:
        """Show the format as a table in a notebook."""
        rows = [
            ("codes", f"{number(self.min)} … {number(self.max)}"),
            ("step", number(self.step) if self.frac_bits is not None else "1, times a scale"),
            ("bits", str(self.bits)),
            ("NumPy type of a code", str(self.dtype)),
        ]
        if self.frac_bits is not None:
            rows.insert(1, ("values", f"{number(self.lowest)} … {number(self.largest)}"))
        return table(self.name, rows)


def _integer(name: str, value: Any, least: int, most: int, hint: str) -> int:
    """Return a whole number between two others."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise FormatError(
            f"{name} is an integer from {least} to {most}. Got {value!r}. Use one of these; {hint}."
        )
    return int(value)


def get_int_format(fmt: Any) -> IntFormat:
    """Return an integer format by its name, or by a NumPy type; an `IntFormat` is returned as it is.

    Raises
    ------
    FormatError
        If there is none; the message suggests the nearest.

    Examples
    --------
    >>> get_int_format("uint4").max, get_int_format("q8.8").step, get_int_format(np.int16).min
    (15, 0.00390625, -32768)
    """
    if isinstance(fmt, IntFormat):
        return fmt
    if isinstance(fmt, np.dtype) or (isinstance(fmt, type) and issubclass(fmt, np.integer)):
        fmt = np.dtype(fmt).name
    found = _NAME.fullmatch(fmt.strip().lower()) if isinstance(fmt, str) else None
    if found is None:
        guess = nearest_name(fmt, _USUAL) if isinstance(fmt, str) else None
        way_out = f'"{guess}"' if guess else "one of these names, or an IntFormat"
        raise FormatError(
            f"An integer format is one of {', '.join(_USUAL[:5])} and their like, or fixed point as q8.8. Got {fmt!r}. "
            f"Use {way_out}."
        )
    part, signed = found.groupdict(), not found["unsigned"]
    frac = None if part["frac"] is None else int(part["frac"])
    bits = int(part["bits"]) if frac is None else int(part["whole"]) + frac
    return IntFormat(bits, signed, found["narrow"] is not None, frac)
