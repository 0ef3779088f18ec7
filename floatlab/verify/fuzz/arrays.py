"""What moves, what has a sign, what is compared? Tries of arrays, by their codes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from random import Random
from typing import Any

from floatlab.formats import FloatFormat
from floatlab.verify.fuzz.case import Case, Check, Words, code_words, format_text, number_text, value_words
from floatlab.verify.fuzz.common import value_in
from floatlab.verify.fuzz.draw import any_code, any_format, any_number, value_of

__all__ = ["ARRAY", "COMPARISON"]


def _draw_array(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice([1, 2, 3, 5])
    codes = tuple(tuple(any_code(draw, fmt) for _ in range(size)) for _ in range(2))
    names = [name for name in _ON_CODES if fmt.signed or name not in ("negative", "absolute", "copysign")]
    return Case("array", fmt, codes, (size,), fmt.code_dtype.str[1:], what=draw.choice(names))


def _negated(code: int, fmt: FloatFormat) -> int:
    """Return a code with its sign bit turned round, where there is a value of the other sign."""
    magnitude = code & ~fmt.sign_mask
    return code if magnitude == 0 and not fmt.has_negative_zero else code ^ fmt.sign_mask


def _without_sign(code: int, fmt: FloatFormat) -> int:
    return _negated(code, fmt) if code & fmt.sign_mask else code


def _with_sign(code: int, like: int, fmt: FloatFormat) -> int:
    nan_in_place_of_zero = not fmt.has_negative_zero and like == fmt.sign_mask  # it has no sign
    minus = bool(like & fmt.sign_mask) and not nan_in_place_of_zero
    size = _without_sign(code, fmt)
    return _negated(size, fmt) if minus else size


# How it is written, with {a} and {b}; and what becomes of the codes.
_ON_CODES: dict[str, tuple[str, Callable[[list[int], list[int], FloatFormat], list[int]]]] = {
    "reverse": ("{a}[::-1]", lambda a, b, fmt: a[::-1]),
    "roll": ("np.roll({a}, 1)", lambda a, b, fmt: a[-1:] + a[:-1]),
    "join": ("np.concatenate([{a}, {b}])", lambda a, b, fmt: a + b),
    "repeat": ("np.repeat({a}, 2)", lambda a, b, fmt: [code for code in a for _ in range(2)]),
    "columns": ("{a}.reshape(-1, 1).T.copy().ravel()", lambda a, b, fmt: a),
    "where": (
        "np.where(np.arange({a}.size) % 2 == 0, {a}, {b})",
        lambda a, b, fmt: [(a, b)[i % 2][i] for i in range(len(a))],
    ),
    "take": ("np.take({a}, [-1, 0])", lambda a, b, fmt: [a[-1], a[0]]),
    "negative": ("-{a}", lambda a, b, fmt: [_negated(code, fmt) for code in a]),
    "absolute": ("abs({a})", lambda a, b, fmt: [_without_sign(code, fmt) for code in a]),
    "copysign": (
        "np.copysign({a}, {b})",
        lambda a, b, fmt: [_with_sign(x, y, fmt) for x, y in zip(a, b, strict=True)],
    ),
}


def _array_text(case: Case) -> str:
    a, b = (f"fl.from_codes({case.operand(i)}, {format_text(case.fmt)})" for i in range(2))
    return f"({_ON_CODES[case.what][0].format(a=a, b=b)}).codes"


def _expect_array(case: Case) -> Words:
    a, b = map(list, case.numbers)
    return {"codes": code_words(_ON_CODES[case.what][1](a, b, case.fmt))}


# -- comparisons ------------------------------------------------------------------------------------------


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_BOUNDS = ("maximum", "minimum")


def _draw_comparison(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice([1, 2, 3])
    values = tuple(value_of(any_code(draw, fmt), fmt) for _ in range(size))
    number = any_number(draw, fmt)
    if math.isfinite(number) and abs(number) > 2.0**54 and draw.random() < 0.5:
        number = int(number) + draw.choice([-1, 0, 1])
    what = draw.choice([*_COMPARISONS, *_BOUNDS])
    return Case("comparison", fmt, (values,), (size,), what=what, kinds=(number,))


def _comparison_text(case: Case) -> str:
    a, number = f"fl.array({case.operand()}, {format_text(case.fmt)})", number_text(case.kinds[0])
    return f"np.{case.what}({a}, {number})" if case.what in _BOUNDS else f"{a} {case.what} {number}"


def _expect_comparison(case: Case) -> Words:
    number, fmt = case.kinds[0], case.fmt
    values = [value_in(x, fmt) for x in case.numbers[0]]
    if case.what in _COMPARISONS:  # Python compares floats and integers exactly
        return {"values": [str(_COMPARISONS[case.what](x, number)) for x in values]}
    return {"values": value_words([_bounded(x, number, fmt, case.what) for x in values], False)}


def _bounded(x: float, number: Any, fmt: FloatFormat, what: str) -> float:
    """Return the larger or smaller one, by what they are; the number is rounded only if it is the one."""
    if x != x or number != number:
        return value_in(math.nan, fmt)
    if x == number == 0:
        minus = [math.copysign(1.0, zero) < 0 for zero in (x, number)]
        return value_in(-0.0 if (all if what == "maximum" else any)(minus) else 0.0, fmt)
    if x == number:
        return x
    own = (x > number) == (what == "maximum")
    return x if own else value_in(number, fmt)


ARRAY = Check(_draw_array, _array_text, _expect_array, 1)
COMPARISON = Check(_draw_comparison, _comparison_text, _expect_comparison, 1, signed_nan=False)
