"""Which number is rounded? Operands as fractions, the exact result of an operation, and what it is rounded to."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np

from floatlab.array import FloatArray
from floatlab.errors import FormatError, OptionError, ShapeError
from floatlab.explain.text import binary_exponent, decimal_places, power_of_two
from floatlab.formats import FloatFormat, get_format
from floatlab.functions.evaluate import FUNCTIONS
from floatlab.functions.multiprecision import expand
from floatlab.functions.suspects import sticky_values
from floatlab.functions.table import TABLE
from floatlab.operations.operate import OPERATIONS, operate
from floatlab.rounding.inputs import as_source
from floatlab.rounding.modes import draws
from floatlab.rounding.odd import integer_to_odd
from floatlab.rounding.options import Rule
from floatlab.rounding.quantize import quantize
from floatlab.rounding.ratios import round_ratio
from floatlab.rounding.texts import number_of

__all__ = ["SPOKEN", "exact_number", "exact_result", "format_of", "is_value", "own_format", "read", "rounded"]

_FLOAT64 = get_format("float64")
_FURTHEST = 3000  # powers of two: the square of such a number still fits where Python writes it in decimal
_ROOT_BITS = 200  # of an irrational number, for the story and for every rounding

_SYMBOLS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
SPOKEN = {name: symbol for symbol, name in _SYMBOLS.items()}


def read(x: Any) -> tuple[str | None, list[Any]]:
    """Return the operation and its operands; None and the number if there is none."""
    if not isinstance(x, tuple):
        return None, [x]
    if len(x) == 3 and isinstance(x[1], str) and x[1] in _SYMBOLS:
        return _SYMBOLS[x[1]], [x[0], x[2]]
    known = {"sqrt": 1, "fma": 3, **{name: 2 for name in SPOKEN}, **dict.fromkeys(FUNCTIONS, 1)}
    if x and isinstance(x[0], str) and x[0] in known and len(x) == known[x[0]] + 1:
        return x[0], list(x[1:])
    raise OptionError(
        'An operation is a tuple such as (a, "+", b), ("sqrt", a), ("fma", a, b, c) or ("exp", a). '
        f"Got {x!r}. Write it like that."
    )


def format_of(operands: list[Any], fmt: Any) -> FloatFormat:
    """Return the format to round to: the one that is named, or that of a FloatArray among the operands."""
    if fmt is None:
        fmt = next((x.format for x in operands if isinstance(x, FloatArray)), None)
    if fmt is None:
        raise OptionError('explain needs a format. Got none. Say it: explain(x, "float16").')
    return get_format(fmt)


def exact_number(x: Any) -> Fraction | float:
    """Return the exact number; infinities, NaN and -0, which are no fractions, as floats."""
    number: Fraction | float
    if isinstance(x, int | np.integer | np.bool_):
        number = Fraction(int(x))
    elif isinstance(x, Rational):
        number = Fraction(int(x.numerator), int(x.denominator))
    elif isinstance(x, str | Decimal):
        number = number_of(str(x).replace("_", ""))
    else:
        source = x.values if isinstance(x, FloatArray) else as_source(x, _FLOAT64)
        if source.size != 1:
            raise ShapeError(
                f"explain takes one number at a time. Got shape {source.shape}. Choose an element."
            )
        number = float(source.reshape(-1)[0])
    if isinstance(number, float):
        special = not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0)
        return number if special else Fraction(number)
    if number and abs(binary_exponent(abs(number))) > _FURTHEST:
        raise OptionError(
            f"explain writes numbers within 2^±{_FURTHEST} down. Got one near 2^{binary_exponent(abs(number))}. "
            "Ask quantize, which rounds any number."
        )
    return number


def is_value(number: Fraction | float, fmt: FloatFormat) -> bool:
    """Return whether a number is one of a format's values; infinities, NaN and -0 are not asked for."""
    if isinstance(number, float) or number == 0:
        return True
    unit = max(binary_exponent(abs(number)), fmt.emin) - fmt.mantissa_bits
    whole = (number / power_of_two(unit)).denominator == 1
    return whole and fmt.smallest_subnormal <= abs(number) <= fmt.max and (fmt.signed or number > 0)


def exact_result(
    name: str | None, numbers: list[Fraction | float], fmt: FloatFormat, rounding: str
) -> tuple[Fraction | float, bool, str]:
    """Return the exact result, whether its digits never end, and the flag that the operation itself raises."""
    if name is None:
        number = numbers[0]
        return number, isinstance(number, Fraction) and decimal_places(number) is None, ""
    if name not in OPERATIONS:
        return _function(name, numbers[0], fmt)
    zeros = [Fraction(0) if x == 0 else x for x in numbers]  # -0 counts only where the result is a zero
    finite = [x for x in zeros if isinstance(x, Fraction)]
    if len(finite) < len(zeros) or (name == "divide" and zeros[1] == 0):
        return _special(name, numbers, rounding)
    match name, finite:
        case "add", (a, b):
            exact = a + b
        case "subtract", (a, b):
            exact = a - b
        case "multiply", (a, b):
            exact = a * b
        case "divide", (a, b):
            exact = a / b
        case "fma", (a, b, c):
            exact = a * b + c
        case _, (a, *_):
            if a != 0:
                return _root(a)
            exact = a
    if exact == 0:
        return _zero(name, numbers, rounding), False, ""
    return exact, decimal_places(exact) is None, ""


def _sign_only(x: Fraction | float) -> float:
    """Return a float64 of the same kind: zero, finite, infinite or NaN, and of the same sign."""
    return x if isinstance(x, float) else float((x > 0) - (x < 0))


def _special(name: str, numbers: list[Fraction | float], rounding: str) -> tuple[Fraction | float, bool, str]:
    """Return the result with an infinity, a NaN, or the divisor 0; of other operands only the signs matter."""
    exact, flags = operate(
        name, [_sign_only(x) for x in numbers], _FLOAT64, **_exactly(rounding), return_flags=True
    )
    raised = "invalid" if flags.invalid.any() else "divide_by_zero" if flags.divide_by_zero.any() else ""
    return exact_number(float(exact)), False, raised


def _zero(name: str, numbers: list[Fraction | float], rounding: str) -> Fraction | float:
    """Return the zero of the right sign."""
    signs = [_sign_only(x) for x in numbers]
    if name == "fma" and signs[0] * signs[1] != 0:  # the terms cancel
        signs = [1.0, -signs[2], signs[2]]
    elif name in ("add", "subtract") and signs[0] != 0:
        signs = [1.0, 1.0 if name == "subtract" else -1.0]
    return exact_number(float(operate(name, signs, _FLOAT64, **_exactly(rounding))))


def _exactly(rounding: str) -> dict[str, Any]:
    """Return the options of an operation that is exact: the mode decides the sign of a zero, and nothing is drawn."""
    return {"rounding": rounding} | ({"random_bits": 1, "random_integers": 0} if draws(rounding) else {})


def _root(a: Fraction) -> tuple[Any, bool, str]:
    if a < 0:
        return math.nan, False, "invalid"
    shift = max(_ROOT_BITS - a.numerator.bit_length() // 2 + a.denominator.bit_length() // 2, 0)
    square = (a.numerator << 2 * shift) // a.denominator
    root = math.isqrt(square)
    ends = root * root * a.denominator == a.numerator << 2 * shift
    return Fraction(2 * root + (not ends), 2 << shift), not ends, ""


def _function(name: str, x: Fraction | float, fmt: FloatFormat) -> tuple[Fraction | float, bool, str]:
    number = float(x)
    if isinstance(x, Fraction) and Fraction(number) != x:
        raise OptionError(
            f"The argument of {name} is a float64 number. Got {x}. Round it first: float({str(float(x))!r})."
        )
    y = float(sticky_values(name, np.array([number]))[0])
    exact = exact_number(y)
    if not math.isfinite(y):
        raised = "" if not math.isfinite(number) else "invalid" if math.isnan(y) else "divide_by_zero"
        return exact, False, "invalid" if math.isnan(y) and not math.isnan(number) else raised
    if not math.isfinite(number) or y == 0:
        return exact, False, ""
    if name == "reciprocal":
        exact = 1 / Fraction(number)
        return exact, decimal_places(exact) is None, ""
    if name == "rsqrt":
        return _root(1 / Fraction(number))
    ordinary = 2.0**-1000 < abs(y) < 2.0**1000
    settled = abs(number) < 2.0**-100 or any(case.where(np.array([number]))[0] for case in TABLE[name].cases)
    if ordinary and not settled:
        return expand(name, number, _ROOT_BITS), True, ""
    # Rounded to odd: a result that goes on has its last bit set.
    tail = isinstance(exact, Fraction) and exact.numerator & 1 == 1 and exact.numerator.bit_length() > 50
    endless = tail or not ordinary
    if endless and (fmt.precision > 51 or fmt.etiny < -1000):
        raise OptionError(
            f"{name} of such a number is explained for formats of at most 51 bits of precision and ordinary exponents. "
            f"Got {name}({number!r}) for {fmt}. Use a shorter format."
        )
    return exact, endless, ""


def rounded(
    source: Any, fmt: FloatFormat, rule: Rule, options: dict[str, Any]
) -> tuple[float, tuple[str, ...]]:
    """Round with the functions that round arrays; return the value and the flags."""
    if isinstance(source, Fraction) and source != 0:
        shift = max(_ROOT_BITS - source.numerator.bit_length() + source.denominator.bit_length(), 0)
        whole, rest = divmod(abs(source.numerator) << shift, source.denominator)
        n, e = (whole << 1 | (rest != 0)) * (1 if source > 0 else -1), -shift - 1
        if _needs_integers(source, fmt, options.get("random_bits", 0)):
            return _rounded_integer(n, e, rule, options)
        number = integer_to_odd(n, e)
    else:
        number = float(source)
    values, flags = quantize(np.array([number]), fmt, **options, return_flags=True)
    return float(values[0]), tuple(name for name, n in flags.counts.items() if n)


def _needs_integers(source: Fraction, fmt: FloatFormat, random_bits: int) -> bool:
    """Whether a float64, rounded to odd, would not have the bits that the rounding looks at, or not the range."""
    beyond = abs(source) > Fraction(_FLOAT64.max) or fmt.etiny - random_bits < -1070
    return fmt.precision > 51 or random_bits + fmt.precision > 49 or (beyond and fmt.precision > 1)


def _rounded_integer(n: int, e: int, rule: Rule, options: dict[str, Any]) -> tuple[float, tuple[str, ...]]:
    """Round n * 2^e, which no float64 stands for."""
    draws = options.get("random_integers", 0), options.get("random_bits", 0)
    found = round_ratio(n << max(e, 0), 1 << max(-e, 0), rule, *draws)
    return found.value, tuple(
        flag for flag in ("overflow", "underflow", "inexact", "invalid") if getattr(found, flag)
    )


def own_format(x: Any) -> FloatFormat:
    """Return the format that a number comes in: float64, unless its type says otherwise."""
    if isinstance(x, FloatArray):
        return x.format
    try:
        return get_format(getattr(x, "dtype", np.float64))
    except FormatError:  # integers
        return _FLOAT64
