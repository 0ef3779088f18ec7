"""How is one rounding told? Its four steps as data, and each as a line of text."""

from __future__ import annotations

import html
import math
import textwrap
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.codes.encode import encode_values
from floatlab.explain.numbers import SPOKEN, own_format
from floatlab.explain.text import (
    beside,
    binary_exponent,
    code_text,
    decimal,
    grouped,
    kind_of,
    operand_text,
    power_of_two,
    short,
    value_text,
)
from floatlab.formats import FloatFormat
from floatlab.functions.evaluate import FUNCTIONS
from floatlab.rounding.modes import decides_by_code
from floatlab.rounding.options import Rule

__all__ = ["Explanation", "Neighbour", "Story"]

_WIDTH = 80  # columns of a terminal


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
        The values around the source, towards zero and away from it.
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

    def __str__(self) -> str:
        lines = [*textwrap.wrap(self.title, _WIDTH), ""]
        for label, text in self.rows:
            parts = [part for line in text.split("\n") for part in textwrap.wrap(line, _WIDTH - 12)]
            lines += [f"  {label:<9} {parts[0]}", *(f"{'':12}{part}" for part in parts[1:])]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        cells = "".join(
            f'<tr><th style="text-align:left">{html.escape(label)}</th>'
            f'<td style="text-align:left"><code>{html.escape(text).replace(chr(10), "<br>")}</code></td></tr>'
            for label, text in self.rows
        )
        return f"<table><caption>{html.escape(self.title)}</caption>{cells}</table>"


@dataclass
class Story:
    """Everything that is known of one rounding; `tell` makes an `Explanation` of it."""

    name: str | None
    operands: list[Any]
    numbers: list[Fraction | float]
    flushed: bool
    source: Any
    endless: bool
    fmt: FloatFormat
    rule: Rule
    options: dict[str, Any]
    value: float
    unflushed: float  # what it would be if subnormal results were kept
    flags: tuple[str, ...]

    @property
    def _digits(self) -> int:
        """How many characters of the exact result to show: of elementary functions 16 digits are known."""
        return 19 if self.name in FUNCTIONS and self.name != "sqrt" else 56

    def tell(self) -> Explanation:
        """Take the steps, and write each down."""
        fmt, source = self.fmt, self.source
        code = int(encode_values(np.array([self.value], fmt.value_dtype), fmt)[0])
        rows = self._source()
        if self.flushed:
            rows.append(
                ("inputs", f"below the smallest normal value {short(fmt.smallest_normal)}: taken as 0")
            )
        exponent = unit = count = fraction = below = above = error = None
        if isinstance(source, Fraction) and source != 0:
            exponent = binary_exponent(abs(source))
            unit = max(exponent, fmt.emin) - fmt.mantissa_bits
            units = abs(source) / power_of_two(unit)
            count = units.numerator // units.denominator
            fraction = units - count
            below, above = self._neighbour(count, unit), self._neighbour(count + 1, unit)
            rows += self._steps(exponent, unit, units, below, above)
        decision = self._decision(count, fraction, below, above)
        rows.append(("decision", decision))
        kind = f" ({kind_of(self.value, fmt)})" if math.isfinite(self.value) and self.value else ""
        rows.append(("result", beside(value_text(self.value) + kind, code_text(code, fmt))))
        if isinstance(source, Fraction) and math.isfinite(self.value):
            error = Fraction(self.value) - source
            rows.append(("error", self._error(error, unit)))
        rows.append(("flags", ", ".join(self.flags) or "none"))
        return Explanation(
            self._title(), fmt, source, exponent, unit, count, fraction, below, above,
            decision, self.value, code, error, self.flags, tuple(rows),
        )  # fmt: skip

    def _title(self) -> str:
        shown = [operand_text(x) for x in self.operands]
        if self.name in SPOKEN:
            what = f"{shown[0]} {SPOKEN[self.name]} {shown[1]}"
        else:
            what = f"{self.name}({', '.join(shown)})" if self.name else shown[0]
        how = [self.rule.rounding]
        if self.options["overflow"] is not None:
            how.append(f"overflow: {self.options['overflow']}")
        if self.rule.subnormals == "flush":
            how.append("subnormals flushed")
        return f"{what} to {self.fmt}, {', '.join(how)}"

    def _source(self) -> list[tuple[str, str]]:
        if isinstance(self.source, float):
            return [("source", "-0" if self.source == 0 else value_text(self.source))]
        rows = [("source", decimal(self.source, self._digits, self.endless))]
        if self.name is None and not isinstance(self.operands[0], str | Fraction | int):
            fmt = own_format(self.operands[0])
            code = int(encode_values(np.array([float(self.source)], fmt.value_dtype), fmt)[0])
            rows.append((fmt.name if len(fmt.name) < 10 else "bits", grouped(code, fmt)))
        return rows

    def _neighbour(self, count: int, unit: int) -> Neighbour:
        value = count * power_of_two(unit)
        fmt = self.fmt
        if (
            value > Fraction(fmt.max)
            or (value == 0 and not fmt.has_zero)
            or (0 < value < fmt.smallest_subnormal)
        ):
            return Neighbour(value, None, count)
        code = int(encode_values(np.array([float(value)], fmt.value_dtype), fmt)[0])
        if self.source < 0:
            if not fmt.signed:  # P3109 rounds before it asks what is below zero
                return Neighbour(-value, 0 if value == 0 and fmt.is_p3109 else None, count)
            code |= fmt.sign_mask if value or fmt.has_negative_zero else 0
        return Neighbour(-value if self.source < 0 else value, code, count)

    def _steps(
        self, exponent: int, unit: int, units: Fraction, below: Neighbour, above: Neighbour
    ) -> list[tuple[str, str]]:
        fmt = self.fmt
        binade = f"2^{exponent} <= |x| < 2^{exponent + 1}"
        if exponent < fmt.emin:
            binade += f", below the smallest normal value 2^{fmt.emin}"
        elif exponent > fmt.emax:
            binade += f", above the last one of the format, 2^{fmt.emax}"
        unit_text = f"2^{unit} = {short(power_of_two(unit))}"
        if exponent < fmt.emin and fmt.has_subnormals:
            unit_text += ", as for all subnormal numbers"
        rows = [
            ("binade", binade),
            ("unit", unit_text),
            (
                "count",
                f"{decimal(units, min(self._digits, 50), self.endless)} unit{'s' if units != 1 else ''}",
            ),
        ]
        texts = [f"{n.count} unit{'s' if n.count != 1 else ''} = {short(n.value)}" for n in (below, above)]
        width = max(map(len, texts))
        for label, neighbour, text in zip(("below", "above"), (below, above), texts, strict=True):
            code = "no code for it" if neighbour.code is None else code_text(neighbour.code, fmt)
            rows.append((label, beside(f"{text:<{width}}", code)))
        return rows

    def _decision(
        self, count: int | None, fraction: Fraction | None, below: Neighbour | None, above: Neighbour | None
    ) -> str:
        fmt, value, source = self.fmt, self.value, self.source
        if isinstance(source, float) or source == 0:
            return self._special_decision()
        assert fraction is not None and below is not None and above is not None and count is not None
        if source < 0 and not fmt.signed:
            if "invalid" in self.flags:
                return f"{fmt} has no negative values: {self._policy()}"
            if self.unflushed != 0:
                return "what it rounds to would be subnormal: it is flushed to zero"
        if "overflow" in self.flags:
            beyond = f"beyond the largest value {short(fmt.max)}: "
            stops = self.rule.mode.stops(negative=source < 0)
            return beyond + (f"{self.rule.rounding} stops there" if stops else self._policy())
        if below.code is None and fmt.smallest_subnormal == abs(value):
            return f"there is nothing below {short(fmt.smallest_subnormal)} in {fmt}, not even zero: above"
        if value != self.unflushed:
            return f"{value_text(self.unflushed)} would be subnormal: it is flushed to zero"
        if fraction == 0:
            return "exact: nothing is discarded"
        up = Fraction(abs(value)) > abs(below.value)
        return self._why(fraction, up, below, above)

    def _why(self, v: Fraction, up: bool, below: Neighbour, above: Neighbour) -> str:
        mode, chosen = self.rule.mode, "above" if up else "below"
        if mode.nearest and v != Fraction(1, 2):
            return f"{'below' if v < Fraction(1, 2) else 'above'} half a unit: the nearer one is {chosen}"
        if mode.nearest:
            parity_is_missing = self.fmt.mantissa_bits == 0 and not decides_by_code(mode, self.fmt)
            if mode.name == "nearest_even" and parity_is_missing and below.value:
                return "a tie, exactly half a unit: with one digit every value is odd, so the larger one"
            return f"a tie, exactly half a unit: {mode.sentence.format(chosen)}"
        if mode.variant is None:
            return f"inexact: {mode.sentence.format(chosen)}"
        bits, R = self.options["random_bits"], int(self.options["random_integers"])
        variant = mode.variant
        if variant == "b":
            left = f"floor(v 2^{bits + 1}) + 2R + 1 = {math.floor(v * 2 ** (bits + 1)) + 2 * R + 1}"
            right = f"2^{bits + 1} = {2 ** (bits + 1)}"
        else:
            scaled = round(v * 2**bits) if variant == "c" else math.floor(v * 2**bits)
            left = f"{'round' if variant == 'c' else 'floor'}(v 2^{bits}) + R = {scaled + R}"
            right = f"2^{bits} = {2**bits}"
        return f"{left}\n{'at least' if up else 'less than'} {right}: {chosen}"

    def _special_decision(self) -> str:
        fmt, source, value = self.fmt, self.source, self.value
        number = float(source)
        if "divide_by_zero" in self.flags:
            return f"an exact infinity of finite numbers: {value_text(value)}"
        if math.isnan(number):
            return "an invalid operation: NaN" if "invalid" in self.flags else "NaN stays NaN"
        if math.isinf(number):
            if math.isinf(value):
                return "infinity stays infinity"
            why = (
                f"{fmt} has no such infinity"
                if not fmt.has_infinity or not fmt.signed
                else "infinities are saturated"
            )
            return f"{why}: {self._policy()}"
        if not fmt.has_zero:
            return f"{fmt} has no zero: {self._policy()}"
        if math.copysign(1.0, number) < 0 and not fmt.has_negative_zero:
            return f"{fmt} has one zero, without a sign"
        return "zero is exact"

    def _policy(self) -> str:
        value = value_text(self.value)
        return f"saturates to {value}" if math.isfinite(self.value) else f"becomes {value}"

    def _error(self, error: Fraction, unit: int | None) -> str:
        if error == 0:
            return "0"
        text = decimal(error, 20 if self._digits > 20 else 14, self.endless)
        parts = [f"{float(error / power_of_two(unit)):.4g} ulp"] if unit is not None else []
        if self.source != 0:
            share = abs(error / self.source)
            parts += [f"{float(share) * 100:.3g} %"] if share < 10 else []
        return f"{text} = {', '.join(parts)}" if parts else text
