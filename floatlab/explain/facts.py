"""What is known of one rounding? Its steps as data, which print themselves as lines, as a table, or for JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from floatlab.explain.text import as_html, as_lines, grouped, power_of_two, value_text
from floatlab.formats import FloatFormat

__all__ = ["Explanation", "Neighbour"]

_FIRST_LOOK = (
    "inputs",
    "operands",
    "cancels",
    "source",
    "random",
    "below",
    "above",
    "decision",
    "result",
    "error",
)


@dataclass(frozen=True)
class Neighbour:
    """A value next to the source: what it is, which code it has, and how many units it counts.

    `code` is None for the value that would come next if the format had larger ones.
    """

    value: Fraction
    code: int | None
    count: int


@dataclass(frozen=True)
class Explanation:
    """One rounding, step by step. Print it, or read its fields.

    Attributes
    ----------
    title : str
        What is rounded, to which format, how.
    format : FloatFormat
    source : Fraction or float
        The exact number that is rounded; a float only for infinities, NaN and -0. Of an irrational number the first
        200 bits, with the last one set.
    exponent, unit_exponent : int or None
        ``2**exponent <= abs(source) < 2**(exponent + 1)``, and the unit in the last place, ``2**unit_exponent``. None
        for zeros, infinities and NaN.
    count : int or None
        How many whole units the magnitude of the source has.
    fraction : Fraction or None
        The discarded part of a unit, 0 <= fraction < 1.
    below, above : Neighbour or None
        The values around the source, the next smaller and the next larger one. Of a negative number the larger one is
        nearer to zero, and has fewer units.
    decision : str
        Which of the two it became, and why.
    value : float
        The result.
    code : int
        Its code.
    error : Fraction or None
        Result minus source.
    flags : tuple of str
        The IEEE 754 exceptions.
    rows : tuple of (str, str)
        All of it as text, line by line.
    full : bool
        Whether it prints all lines, or those that a first look needs.
    """

    title: str
    format: FloatFormat
    source: Fraction | float
    exponent: int | None
    unit_exponent: int | None
    count: int | None
    fraction: Fraction | None
    below: Neighbour | None
    above: Neighbour | None
    decision: str
    value: float
    code: int
    error: Fraction | None
    flags: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    full: bool = True

    @property
    def error_in_ulps(self) -> Fraction | None:
        """The error in units in the last place of the source."""
        if self.error is None or self.unit_exponent is None:
            return None
        return self.error / power_of_two(self.unit_exponent)

    @property
    def relative_error(self) -> Fraction | None:
        """The error over the source; None for a source of zero."""
        if self.error is None or not isinstance(self.source, Fraction) or self.source == 0:
            return None
        return self.error / self.source

    @property
    def bits(self) -> str:
        """The code in binary, grouped as sign, exponent, mantissa: "0 1111 110"."""
        return grouped(self.code, self.format)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The rows that are printed: all, or those of a first look."""
        return tuple(row for row in self.rows if self.full or row[0] in _FIRST_LOOK)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict of plain values, for JSON: exact numbers as quotients, "3/8"."""

        def plain(x: Any) -> Any:
            if isinstance(x, Neighbour):
                return {"value": str(x.value), "code": x.code}
            if isinstance(x, float):
                return x if math.isfinite(x) else value_text(x)
            return str(x) if isinstance(x, Fraction) else x

        facts = {
            name: plain(getattr(self, name))
            for name in ("title", "source", "below", "above", "decision", "value", "code", "bits", "error")
        }
        return facts | {"format": self.format.spec, "flags": list(self.flags)}

    def __str__(self) -> str:
        return as_lines(self.title, self.shown)

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        return as_html(self.title, self.shown)
