"""How is one rounding told? Its four steps, each as a line of text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np

from floatlab.codes.encode import encode_values
from floatlab.explain.facts import Explanation, Neighbour
from floatlab.explain.numbers import SPOKEN, is_value, own_format
from floatlab.explain.text import (
    beside,
    binary_exponent,
    code_text,
    decimal,
    grouped,
    is_binary,
    kind_of,
    odd_part,
    operand_text,
    power_of_two,
    short,
    value_text,
)
from floatlab.formats import FloatFormat
from floatlab.functions.evaluate import FUNCTIONS
from floatlab.rounding.modes import decides_by_code
from floatlab.rounding.options import Rule

__all__ = ["Story"]


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
    full: bool

    @property
    def _digits(self) -> int:
        """How many characters of the exact result to show: of elementary functions 16 digits are known."""
        return 19 if self.name in FUNCTIONS and self.name != "sqrt" else 56

    def tell(self) -> Explanation:
        """Take the steps, and write each down."""
        fmt, source = self.fmt, self.source
        code = int(encode_values(np.array([self.value], fmt.value_dtype), fmt)[0])
        rows = [*self._operation(), *self._source()]
        if self.flushed:
            rows.append(
                ("inputs", f"below the smallest normal value {short(fmt.smallest_normal)}: taken as 0")
            )
        exponent = unit = count = fraction = inner = outer = error = None
        if isinstance(source, Fraction) and source != 0:
            exponent = binary_exponent(abs(source))
            unit = max(exponent, fmt.emin) - fmt.mantissa_bits
            units = abs(source) / power_of_two(unit)
            count = units.numerator // units.denominator
            fraction = units - count
            inner, outer = self._neighbour(count, unit), self._neighbour(count + 1, unit)
            rows += self._steps(exponent, unit, units, inner, outer)
        decision = self._decision(fraction, inner, outer)
        rows.append(("decision", decision))
        kind = f" ({kind_of(self.value, fmt)})" if math.isfinite(self.value) and self.value else ""
        rows.append(("result", beside(value_text(self.value) + kind, code_text(code, fmt))))
        if isinstance(source, Fraction) and math.isfinite(self.value):
            error = Fraction(self.value) - source
            rows.append(("error", self._error(error, unit)))
        rows.append(("flags", ", ".join(self.flags) or "none"))
        below, above = (outer, inner) if self._negative else (inner, outer)
        return Explanation(
            self._title(), fmt, source, exponent, unit, count, fraction, below, above,
            decision, self.value, code, error, self.flags, tuple(rows), self.full,
        )  # fmt: skip

    @property
    def _negative(self) -> bool:
        return bool(self.source < 0)

    def _side(self, outward: bool) -> str:
        """Say on which side of the source the neighbour that lies farther from zero is, or the nearer one."""
        return "above" if outward != self._negative else "below"

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

    def _operation(self) -> list[tuple[str, str]]:
        """Say what the operation does to the digits of its operands, and whether these are values of the format."""
        rows = []
        strangers = [
            operand_text(x)
            for x, n in zip(self.operands, self.numbers, strict=True)
            if not is_value(n, self.fmt)
        ]
        if self.name and strangers:
            what = "is no value" if len(strangers) == 1 else "are no values"
            rows.append(
                (
                    "operands",
                    f"{' and '.join(strangers)} {what} of {self.fmt}: taken exactly, not rounded first",
                )
            )
        finite = [n for n in self.numbers if isinstance(n, Fraction) and n != 0]
        if len(finite) != 2 or not isinstance(self.source, Fraction):
            return rows
        exponents = [binary_exponent(abs(n)) for n in finite]
        if self.name in ("add", "subtract"):
            apart = abs(exponents[0] - exponents[1])
            places = "the same place" if apart == 0 else f"{apart} place{'s' if apart > 1 else ''} apart"
            rows.append(("align", f"the operands begin at 2^{exponents[0]} and 2^{exponents[1]}: {places}"))
            lost = max(exponents) - binary_exponent(abs(self.source)) if self.source else 0
            if lost > 0:
                rows.append(
                    ("cancels", f"the first {lost} digit{'s' if lost > 1 else ''} of the larger operand")
                )
        elif self.name == "multiply" and all(is_binary(n) for n in finite):
            widths = [odd_part(n).bit_length() for n in (*finite, self.source)]
            rows.append(("width", f"{widths[0]} bits times {widths[1]} bits: {widths[2]} bits"))
        return rows

    def _source(self) -> list[tuple[str, str]]:
        if isinstance(self.source, float):
            return [("source", "-0" if self.source == 0 else value_text(self.source))]
        rows = [("source", decimal(self.source, self._digits, self.endless))]
        if self.name is None and not isinstance(self.operands[0], str | Decimal | Rational):
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
            return Neighbour(-value if self._negative else value, None, count)
        code = int(encode_values(np.array([float(value)], fmt.value_dtype), fmt)[0])
        if self._negative:
            if not fmt.signed:  # P3109 rounds before it asks what is below zero
                return Neighbour(-value, 0 if value == 0 and fmt.is_p3109 else None, count)
            code |= fmt.sign_mask if value or fmt.has_negative_zero else 0
        return Neighbour(-value if self._negative else value, code, count)

    def _steps(
        self, exponent: int, unit: int, units: Fraction, inner: Neighbour, outer: Neighbour
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
        if self.rule.variant is not None:
            bits, integer = self.options["random_bits"], int(self.options["random_integers"])
            share = decimal(units - inner.count, 24, self.endless)
            rows.append(
                ("random", f"v = {share} of a unit goes; R = {integer}, drawn from 0 to 2^{bits} - 1")
            )
        around = (outer, inner) if self._negative else (inner, outer)
        texts = [f"{n.count} unit{'s' if n.count != 1 else ''} = {short(n.value)}" for n in around]
        width = max(map(len, texts))
        for label, neighbour, text in zip(("below", "above"), around, texts, strict=True):
            code = "no code for it" if neighbour.code is None else code_text(neighbour.code, fmt)
            rows.append((label, beside(f"{text:<{width}}", code)))
        return rows

    def _decision(self, fraction: Fraction | None, inner: Neighbour | None, outer: Neighbour | None) -> str:
        fmt, value, source = self.fmt, self.value, self.source
        if isinstance(source, float) or source == 0:
            return self._special_decision()
        assert fraction is not None and inner is not None and outer is not None
        if source < 0 and not fmt.signed:
            if "invalid" in self.flags:
                return f"{fmt} has no negative values: {self._policy()}"
            if self.unflushed != 0:
                return "what it rounds to would be subnormal: it is flushed to zero"
        if "overflow" in self.flags:
            beyond = f"beyond the largest value {short(fmt.max)}: "
            stops = self.rule.mode.stops(negative=source < 0)
            return beyond + (f"{self.rule.rounding} stops there" if stops else self._policy())
        if inner.code is None and fmt.smallest_subnormal == abs(value):
            smallest = short(fmt.smallest_subnormal)
            return f"nothing lies nearer to zero than {smallest} in {fmt}, not even zero: {self._side(True)}"
        if value != self.unflushed:
            return f"{value_text(self.unflushed)} would be subnormal: it is flushed to zero"
        if fraction == 0:
            return "exact: nothing is discarded"
        return self._why(fraction, Fraction(abs(value)) > abs(inner.value), inner)

    def _why(self, v: Fraction, outward: bool, inner: Neighbour) -> str:
        mode, chosen = self.rule.mode, self._side(outward)
        if mode.nearest and v != Fraction(1, 2):
            return f"{'less' if v < Fraction(1, 2) else 'more'} than half a unit: the nearer one is {chosen}"
        if mode.nearest:
            parity_is_missing = self.fmt.mantissa_bits == 0 and not decides_by_code(mode, self.fmt)
            if mode.name == "nearest_even" and parity_is_missing and inner.value:
                return f"a tie, exactly half a unit: with one digit every value is odd, so away from zero, {chosen}"
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
        return f"{left}\n{'at least' if outward else 'less than'} {right}: {chosen}"

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
        ulps = Fraction(0) if unit is None else error / power_of_two(unit)
        parts = [f"{f'{float(ulps):.4g}' if float(ulps) else decimal(ulps, 14, True)} ulp"] if ulps else []
        if self.source != 0:
            share = abs(error / self.source)
            parts += [f"{float(share) * 100:.3g} %"] if share < 10 else []
        return f"{text} = {', '.join(parts)}" if parts else text
