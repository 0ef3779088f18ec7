"""How is an exact number written? In decimal, all of it where there is room; and codes in groups of bits."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.array import FloatArray
from floatlab.formats import FloatFormat

__all__ = [
    "BIT_COLOURS",
    "as_html",
    "as_lines",
    "beside",
    "binary_exponent",
    "code_text",
    "decimal",
    "decimal_places",
    "grouped",
    "is_binary",
    "kind_of",
    "odd_part",
    "operand_text",
    "power_of_two",
    "short",
    "value_text",
]


_WIDTH = 80  # columns of a terminal
# Paper and ink of sign, exponent and fraction, as in the charts of floatlab.plots, on whatever a page is.
BIT_COLOURS = (("#4a4a4a", "#ffffff"), ("#e8a33d", "#000000"), ("#cfe6f7", "#000000"))
_BITS = re.compile(r"(?<![\w.])([01]) ([01]+) ([01]+)(?![\w.])")  # the three of them in a line of text

Rows = Sequence[tuple[str, str]]


def as_lines(title: str, rows: Rows) -> str:
    """Return rows of a label and a text as lines of at most 80 columns."""
    lines = [*textwrap.wrap(title, _WIDTH), ""]
    for label, text in rows:
        parts = [part for line in text.split("\n") for part in textwrap.wrap(line, _WIDTH - 12)]
        lines += [f"  {label:<9} {parts[0]}", *(f"{'':12}{part}" for part in parts[1:])]
    return "\n".join(line.rstrip() for line in lines)


def as_html(title: str, rows: Rows) -> str:
    """Return rows of a label and a text as a table that gets no wider than its page, the bits in colour."""
    spans = [
        f'<span style="background:{paper};color:{ink}">\\{k}</span>'
        for k, (paper, ink) in enumerate(BIT_COLOURS, start=1)
    ]
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding-right:1em">{html.escape(label)}</th>'
        '<td style="text-align:left"><code style="white-space:pre-wrap;overflow-wrap:anywhere">'
        f"{_BITS.sub(' '.join(spans), html.escape(text)).replace(chr(10), '<br>')}</code></td></tr>"
        for label, text in rows
    )
    caption = f'<caption style="text-align:left">{html.escape(title)}</caption>'
    return f'<table style="max-width:100%">{caption}{cells}</table>'


def power_of_two(exponent: int) -> Fraction:
    """Return 2**exponent, exactly."""
    return Fraction(2) ** exponent


def binary_exponent(size: Fraction) -> int:
    """Return floor(log2(size))."""
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    return exponent if size >= power_of_two(exponent) else exponent - 1


def is_binary(x: Fraction) -> bool:
    """Return whether a number has an end in binary."""
    return x.denominator & (x.denominator - 1) == 0


def odd_part(x: Fraction) -> int:
    """Return the digits of a number that has an end in binary, as an odd integer.

    >>> odd_part(Fraction(-12)), odd_part(Fraction(3, 8))
    (3, 3)
    """
    n = abs(x.numerator)
    return n >> ((n & -n).bit_length() - 1)


def grouped(code: int, fmt: FloatFormat) -> str:
    """Return a code in binary, grouped as sign, exponent, mantissa: "0 1111 110"."""
    bits = f"{code:0{fmt.bits}b}"
    sign, rest = (bits[:1], bits[1:]) if fmt.signed else ("", bits)
    return " ".join(part for part in (sign, rest[: fmt.exponent_bits], rest[fmt.exponent_bits :]) if part)


def code_text(code: int, fmt: FloatFormat) -> str:
    """Return a code in binary groups and in hexadecimal."""
    return f"{grouped(code, fmt)} = 0x{code:0{(fmt.bits + 3) // 4}X}"


def beside(text: str, code: str) -> str:
    """Put a code behind a number, or below it where the line would be too long."""
    if len(text) + len(code) < 66:
        return f"{text}   {code}"
    return f"{text.rstrip()}\n{code if len(code) < 68 else code.replace(' = ', chr(10))}"


def kind_of(value: float, fmt: FloatFormat) -> str:
    """Say what kind of value a result is."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity"
    if value == 0:
        return "zero"
    return "subnormal" if abs(value) < fmt.smallest_normal else "normal"


def value_text(value: float) -> str:
    """Return a value of a format as text."""
    if not math.isfinite(value):
        return {True: "NaN"}.get(math.isnan(value), "infinity" if value > 0 else "-infinity")
    return "-0" if value == 0 and math.copysign(1, value) < 0 else short(value)


def operand_text(x: Any) -> str:
    """Return an operand as its owner wrote it, as far as that is known."""
    if isinstance(x, FloatArray):
        return value_text(x.item())
    if isinstance(x, float | np.floating):
        return f"{x!s}" if not math.isfinite(x) else f"{x!s}".removesuffix(".0")
    return str(x)


def short(value: Fraction | float) -> str:
    """Return a number exactly if that takes at most 24 characters, else to 17 digits with an ellipsis."""
    return decimal(Fraction(value), 24, False)


def decimal(value: Fraction, width: int, endless: bool) -> str:
    """Return a number in decimal: exactly if it fits into `width` characters, else its first digits and "...".

    >>> decimal(Fraction(1, 8), 20, False), decimal(Fraction(1, 3), 12, True)
    ('0.125', '0.33333333...')
    """
    if value == 0:
        return "0"
    sign, size = "-" if value < 0 else "", abs(value)
    places = None if endless else decimal_places(size)
    if places is not None:
        digits = str(size.numerator * 10**places // size.denominator).rjust(places + 1, "0")
        text = sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
        if len(text) <= width:
            return text
    power = _decimal_exponent(size)
    if -5 <= power < min(17, width - 4):
        cut = max(width - len(sign) - 4 - max(power, 0), 0)
        digits = str(size.numerator * 10**cut // size.denominator).rjust(cut + 1, "0")
        return f"{sign}{digits[: len(digits) - cut]}.{digits[len(digits) - cut :]}..."
    # Powers of ten, where zeros would take all the room.
    kept = width - len(sign) - 10
    scaled = size * Fraction(10) ** (kept - power)
    digits = str(scaled.numerator // scaled.denominator)
    mantissa = f"{digits[0]}.{digits[1:]}"
    ends = scaled.denominator == 1 and not endless
    return f"{sign}{mantissa.rstrip('0').rstrip('.') if ends else mantissa + '...'}e{power:+d}"


def decimal_places(x: Fraction) -> int | None:
    """Return how many decimal places a fraction has; None if they never end, as those of 1/3.

    >>> decimal_places(Fraction(1, 8)), decimal_places(Fraction(1, 50)), decimal_places(Fraction(1, 3))
    (3, 2, None)
    """
    twos = (x.denominator & -x.denominator).bit_length() - 1
    rest, fives = x.denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _decimal_exponent(size: Fraction) -> int:
    power = len(str(size.numerator)) - len(str(size.denominator))
    return power if size >= Fraction(10) ** power else power - 1
