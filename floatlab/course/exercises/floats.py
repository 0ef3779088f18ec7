"""Exercises of notebook 01: what a float is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.codes.decode import decode
from floatlab.codes.neighbours import next_up
from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain.codes import explain_code

__all__ = ["EXERCISES"]


def _fields(code: int) -> tuple[int, int, int]:
    return code >> 15, code >> 10 & 0x1F, code & 0x3FF


def _value(code: int, *, hidden: bool = False, bias: int = 7, ieee: bool = False) -> float:
    """Return what a code of E4M3 would mean with one thing wrong."""
    sign, field, mantissa = code >> 7, code >> 3 & 15, code & 7
    if ieee and field == 15:
        size = math.nan if mantissa else math.inf
    elif field == 15 and mantissa == 7:
        size = math.nan
    elif field or hidden:
        size = (1 + mantissa / 8) * 2.0 ** (field - bias)
    else:
        size = mantissa / 8 * 2.0 ** (1 - bias)
    return -size if sign else size


def _values_of_fp16() -> list[Case]:
    """Return the positive values of fp16 but the largest."""
    return [(x,) for x in decode(range(1, 0x7BFF), "fp16").tolist()]


def _story(code: int, fmt: str) -> Any:
    return explain_code(code, fmt)


EXERCISES = (
    Exercise(
        "01.1",
        "Take a code of fp16 apart: return the sign bit, the exponent field and the mantissa field, as integers.",
        ("code",),
        lambda: [(code,) for code in range(1 << 16)],
        lambda codes: [_fields(code) for code in codes],
        "fp16 has 1 sign bit, 5 exponent bits and 10 mantissa bits, in this order. `code >> n` drops the n last bits.",
        (
            Mistake(
                "the fields of bfloat16",
                lambda code: (code >> 15, code >> 7 & 0xFF, code & 0x7F),
                "These are the fields of bfloat16, which has 8 exponent bits. How many has fp16?",
            ),
            Mistake(
                "the bias taken off",
                lambda code: (code >> 15, (code >> 10 & 0x1F) - 15, code & 0x3FF),
                "The field is asked for, as it stands in the code, without the bias.",
            ),
            Mistake(
                "fields not masked",
                lambda code: (code >> 15, code >> 10, code & 0x3FF),
                "The sign bit is still in your exponent field. What does `& 0b11111` keep?",
            ),
        ),
        lambda code: _story(code, "fp16"),
    ),
    Exercise(
        "01.2",
        "Return the value of a code of E4M3, for every one of the 256 codes.",
        ("code",),
        lambda: [(code,) for code in range(256)],
        lambda codes: decode(codes, "e4m3").tolist(),
        "Look at the counterexample's exponent field: 0 and 15 have rules of their own.",
        (
            Mistake(
                "no subnormals",
                lambda code: _value(code, hidden=True),
                "Where the exponent field is 0 there is no hidden 1, and the exponent is that of field 1.",
            ),
            Mistake(
                "infinities",
                lambda code: _value(code, ieee=True),
                "E4M3 has no infinities: of the codes with exponent field 15 only the last one is NaN.",
            ),
            Mistake(
                "a wrong bias",
                lambda code: _value(code, bias=8),
                "Your numbers are all half as large. What is the exponent field of 1.0?",
            ),
        ),
        lambda code: _story(code, "e4m3"),
    ),
    Exercise(
        "01.3",
        "Return the distance from a positive value of fp16 to the next larger one.",
        ("x",),
        _values_of_fp16,
        lambda xs: (np.asarray(next_up(xs, "fp16"), np.float64) - np.asarray(xs)).tolist(),
        "Within a binade, from 2^e up to 2^(e+1), the distance is the same. `math.frexp(x)` finds e.",
        (
            Mistake(
                "a distance relative to x",
                lambda x: x * 2.0**-10,
                "The distance grows in steps, with the binade, and not with x itself.",
            ),
            Mistake(
                "no floor under the distance",
                lambda x: 2.0 ** (math.frexp(x)[1] - 1 - 10),
                "Below the smallest normal value, 2^-14, the distance no longer shrinks.",
            ),
        ),
    ),
)
