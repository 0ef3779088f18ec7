"""What is rounded, encoded, decoded, and next to it? Tries of quantize, encode, decode and of neighbours."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from floatlab import reference
from floatlab.formats import FloatFormat
from floatlab.verify.fuzz.case import Case, Check, Words, code_words, format_text, number_text, value_words
from floatlab.verify.fuzz.common import (
    SIZES,
    integers_of,
    options_of,
    random_of,
    shape_of,
    value_in,
    words_of,
)
from floatlab.verify.fuzz.draw import (
    DTYPES,
    any_code,
    any_format,
    any_layout,
    any_number,
    any_options,
    narrowed,
    value_of,
)

__all__ = ["DECODE", "ENCODE", "NEIGHBOUR", "QUANTIZE", "SOURCE"]


def _draw_conversion(draw: Random, check: str) -> Case:
    fmt = any_format(draw)
    size, dtype, options = draw.choice(SIZES), draw.choice(DTYPES), any_options(draw, fmt)
    length = draw.choice([8192, 8191, 66_003]) + draw.randint(0, 2) if draw.random() < 0.04 else 0
    layout = any_layout(draw)
    if layout == "list":
        dtype, length = "f8", 0
    return Case(
        check, fmt, (tuple(narrowed([any_number(draw, fmt) for _ in range(size)], dtype)),), shape_of(draw, size),
        dtype, layout, options, integers_of(draw, options, size),
        "flags" if check == "quantize" and not length and draw.random() < 0.4 else "", length=length,
    )  # fmt: skip


def _conversion_text(case: Case) -> str:
    flags = {"return_flags": True} if case.what == "flags" else {}
    return f"fl.{case.check}({case.operand()}, {format_text(case.fmt)}{case.arguments(**flags)})"


def _rounded(case: Case) -> list[reference.Result]:
    return [
        reference.round(x, case.fmt, **options_of(case), **random_of(case, i))
        for i, x in enumerate(case.numbers[0])
    ]


def _expect_quantize(case: Case) -> Words:
    return words_of(_rounded(case), case, case.what == "flags")


def _expect_encode(case: Case) -> Words:
    return {"codes": code_words(result.code for result in _rounded(case))}


def _draw_decode(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice(SIZES)
    codes = tuple(any_code(draw, fmt) for _ in range(size))
    return Case("decode", fmt, (codes,), shape_of(draw, size), fmt.code_dtype.str[1:], any_layout(draw))


def _expect_decode(case: Case) -> Words:
    values = [value_of(code, case.fmt) for code in case.numbers[0]]
    return {"values": value_words(values, case.fmt.nan_has_sign)}


# -- numbers of other kinds -------------------------------------------------------------------------------


def _draw_source(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice([1, 2, 3, 5])
    numbers = tuple(_any_real(draw, fmt) for _ in range(size))
    return Case("source", fmt, (numbers,), (size,), options=any_options(draw, fmt, stochastic=False))


def _any_real(draw: Random, fmt: FloatFormat) -> Any:
    """Return an integer, a fraction, a decimal, its text, or a float: near where roundings turn, if it can be."""
    near = any_number(draw, fmt)
    kind = draw.choice(["float", "integer", "fraction", "decimal", "text"])
    if kind == "float" or not math.isfinite(near):
        return near
    if kind == "integer":
        return int(near) + draw.choice([0, 1, -1]) if abs(near) > 2.0**60 else draw.getrandbits(90) - 2**89
    if kind == "fraction":
        return Fraction(near) + draw.choice([0, 1, -1]) * Fraction(1, 3) * Fraction(2) ** draw.randint(
            -1200, -60
        )
    decimal = Decimal(near) if draw.random() < 0.3 and abs(near) > 1e-60 else Decimal(repr(near))
    return str(decimal) if kind == "text" else decimal


def _expect_source(case: Case) -> Words:
    return words_of(
        [reference.round(_exactly(x), case.fmt, **options_of(case)) for x in case.numbers[0]], case, False
    )


def _exactly(x: Any) -> Any:
    """Return a number that `floatlab.reference` takes: a fraction, but for floats, and zeros with a sign."""
    if isinstance(x, float | int):
        return x
    return float(x) if Fraction(x) == 0 else Fraction(x)


# -- neighbours -------------------------------------------------------------------------------------------


def _draw_neighbour(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice(SIZES)
    what = draw.choice(["next_up", "next_down", "ulp", "spacing", "classify"])
    if what in ("next_up", "next_down"):
        numbers = [any_number(draw, fmt) for _ in range(size)]
    else:
        numbers = [value_of(any_code(draw, fmt), fmt) for _ in range(size)]
    return Case("neighbour", fmt, (tuple(numbers),), shape_of(draw, size), what=what)


def _next(x: float, fmt: FloatFormat, up: bool) -> float:
    """Return the neighbour of a number, by one step along the codes."""
    if math.isnan(x):
        return math.nan
    end, other = (fmt.max, fmt.lowest) if up else (fmt.lowest, fmt.max)
    if (x >= end) if up else (x <= end):
        if fmt.has_infinity and (up or fmt.signed):
            return math.inf if up else -math.inf
        return math.nan if fmt.has_nan else end
    if (x < other) if up else (x > other):
        return other
    inward = "toward_negative" if up else "toward_positive"
    code = reference.round(x, fmt, inward, overflow="saturate").code
    size, sign = code & (1 << fmt.magnitude_bits) - 1, code & fmt.sign_mask
    if fmt.has_zero and size == 0:
        return value_of(1 if up else fmt.sign_mask | 1, fmt)
    if bool(sign) != up:  # away from zero
        return value_of(code + 1, fmt)
    return 0.0 if size == 1 and not fmt.has_negative_zero and fmt.has_zero else value_of(code - 1, fmt)


def _expect_neighbour(case: Case) -> Words:
    fmt = case.fmt
    if case.what in ("next_up", "next_down"):
        values = [_next(x, fmt, case.what == "next_up") for x in case.numbers[0]]
        return {"values": value_words(values, False)}
    if case.what == "classify":
        return {"values": [_class(value_in(x, fmt), fmt) for x in case.numbers[0]]}
    return {"values": value_words([_unit(value_in(x, fmt), fmt, case.what) for x in case.numbers[0]], False)}


def _unit(x: float, fmt: FloatFormat, what: str) -> float:
    if not math.isfinite(x):
        return math.nan
    if what == "ulp":
        return math.ldexp(1.0, (max(math.frexp(x)[1] - 1, fmt.emin) if x else fmt.emin) - fmt.mantissa_bits)
    return _next(x, fmt, x >= 0) - x


def _class(x: float, fmt: FloatFormat) -> str:
    sign = "-" if math.copysign(1.0, x) < 0 else ""
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return sign + "infinity"
    return sign + ("zero" if x == 0 else "subnormal" if abs(x) < fmt.smallest_normal else "normal")


SOURCE = Check(
    _draw_source,
    lambda case: (
        f"fl.quantize([{', '.join(map(number_text, case.numbers[0]))}], {format_text(case.fmt)}{case.arguments()})"
    ),
    _expect_source,
    1,
)
QUANTIZE = Check(lambda draw: _draw_conversion(draw, "quantize"), _conversion_text, _expect_quantize, 4)
ENCODE = Check(lambda draw: _draw_conversion(draw, "encode"), _conversion_text, _expect_encode, 2)
DECODE = Check(
    _draw_decode, lambda case: f"fl.decode({case.operand()}, {format_text(case.fmt)})", _expect_decode, 1
)
NEIGHBOUR = Check(
    _draw_neighbour,
    lambda case: f"fl.{case.what}({case.operand()}, {format_text(case.fmt)})",
    _expect_neighbour,
    1,
    signed_nan=False,
)
