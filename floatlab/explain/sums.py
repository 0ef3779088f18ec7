"""Where does a sum stall? The partial sums of terms, one rounding after the other, beside the exact sum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.array import FloatArray, cumsum
from floatlab.errors import OptionError, ShapeError
from floatlab.explain.text import (
    as_html,
    as_lines,
    beside,
    binary_exponent,
    code_text,
    decimal,
    power_of_two,
    value_text,
)
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.options import make_rule, settings
from floatlab.rounding.quantize import quantize

__all__ = ["SumExplanation", "explain_sum"]


@dataclass(frozen=True)
class SumExplanation:
    """A sum, added up one term after the other. Print it, or read its fields.

    Attributes
    ----------
    title : str
    format : FloatFormat
    terms : ndarray of float, shape (n,)
        The terms, rounded to the format.
    partial_sums : ndarray of float, shape (n,)
        The sum after each term.
    value : float
        The last of them.
    exact : Fraction or None
        The exact sum of the rounded terms; None if one of them is infinite or NaN.
    error : Fraction or None
        Value minus exact sum.
    lost : int
        How many terms other than zero left the sum as it was.
    stalls_at : int or None
        After how many terms the sum never changes again, though terms other than zero follow; None if it does.
    rows : tuple of (str, str)
        All of it as text, line by line.
    """

    title: str
    format: FloatFormat
    terms: Any
    partial_sums: Any
    value: float
    exact: Fraction | None
    error: Fraction | None
    lost: int
    stalls_at: int | None
    rows: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict of plain values, for JSON: exact numbers as quotients, "3/8"."""
        return {
            "title": self.title,
            "format": self.format.spec,
            "terms": len(self.terms),
            "value": self.value if math.isfinite(self.value) else value_text(self.value),
            "exact": None if self.exact is None else str(self.exact),
            "error": None if self.error is None else str(self.error),
            "lost": self.lost,
            "stalls_at": self.stalls_at,
        }

    def __str__(self) -> str:
        return as_lines(self.title, self.rows)

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        return as_html(self.title, self.rows)


def explain_sum(terms: Any, fmt: Any, **options: Any) -> SumExplanation:
    """Explain the sum of terms that are added one after the other, each partial sum rounded to the format.

    Parameters
    ----------
    terms : array_like of float
        Of any shape, taken in C order, and rounded to the format first.
    fmt : str, FloatFormat or dtype
    **options
        rounding, overflow, subnormals, flush_inputs, as in `quantize`.

    Raises
    ------
    OptionError
        For a rounding that draws random numbers.
    ShapeError
        If there are no terms.

    Examples
    --------
    >>> print(explain_sum([256.0] + [1.0] * 99, "bf16"))
    sum of 100 terms in bfloat16, nearest_even
    <BLANKLINE>
      exactly   355
      sum       256   0 10000111 0000000 = 0x4380
      lost      99 of 100 terms changed nothing
      stalls    after 1 term, at 256: there one unit is 2, and the largest term that
                follows is 1
      error     -99 = -27.9 %
    """
    fmt = get_format(fmt)
    rule = make_rule(fmt, *settings(options))
    if rule.variant is not None:
        raise OptionError(
            f"A sum is explained in a mode that draws nothing. Got {rule.rounding!r}. Use floatlab.cumsum with rng."
        )
    given = terms.values if isinstance(terms, FloatArray) else terms
    values = np.asarray(quantize(given, fmt, **options), np.float64).reshape(-1)
    if values.size == 0:
        raise ShapeError(
            "A sum is explained where there is something to add. Got no terms. Pass at least one."
        )
    partial = np.asarray(cumsum(FloatArray(values, fmt), **options).values, np.float64)
    exact = sum(map(Fraction, values.tolist()), Fraction(0)) if np.isfinite(values).all() else None
    value = float(partial[-1])
    before = np.concatenate([[0.0], partial[:-1]])
    idle = (before == partial) & (values != 0) & np.isfinite(partial)
    lost, stalls = int(idle.sum()), _stall(partial, idle)
    rows = []
    if exact is not None:
        rows.append(("exactly", decimal(exact, 56, False)))
    code = int(FloatArray([value], fmt).codes[0])
    rows.append(("sum", beside(value_text(value), code_text(code, fmt))))
    rows.append(("lost", f"{lost} of {values.size} term{'s' if values.size > 1 else ''} changed nothing"))
    if stalls is not None:
        rows.append(("stalls", _why(partial, values, stalls, fmt)))
    error = None if exact is None or not math.isfinite(value) else Fraction(value) - exact
    if error is not None:
        share = f" = {float(error / abs(exact)) * 100:.3g} %" if exact else ""
        rows.append(("error", decimal(error, 30, False) + (share if error else "")))
    title = f"sum of {values.size} terms in {fmt}, {rule.rounding}"
    return SumExplanation(title, fmt, values, partial, value, exact, error, lost, stalls, tuple(rows))


def _stall(partial: Any, idle: Any) -> int | None:
    """Return after how many terms nothing changes any more; None if the sum is alive, or stays infinite or NaN."""
    if not idle[-1]:
        return None
    changed = np.flatnonzero(partial != partial[-1])
    return int(changed[-1]) + 2 if changed.size else 1


def _why(partial: Any, values: Any, stalls: int, fmt: FloatFormat) -> str:
    value, rest = float(partial[-1]), float(np.abs(values[stalls:]).max())
    size = Fraction(abs(value))
    exponent = max(binary_exponent(size), fmt.emin) if size else fmt.emin
    unit = value_text(float(power_of_two(exponent - fmt.mantissa_bits)))
    return (
        f"after {stalls} term{'s' if stalls > 1 else ''}, at {value_text(value)}: there one unit is {unit}, "
        f"and the largest term that follows is {value_text(rest)}"
    )
