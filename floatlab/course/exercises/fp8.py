"""Exercises of notebook 04: fp8 and below."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.codes.decode import decode
from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain
from floatlab.explain.codes import explain_code
from floatlab.rounding.quantize import quantize

__all__ = ["EXERCISES"]

_LARGEST = 448.0


def _fnuz(code: int, *, bias: int = 8, hidden: bool = False, negative_zero: bool = False) -> float:
    """Return what a code of E4M3 FNUZ means, or would mean with one thing wrong."""
    if code == 0x80:
        return -0.0 if negative_zero else math.nan
    field, mantissa = code >> 3 & 15, code & 7
    size = (1 + mantissa / 8) * 2.0 ** (field - bias) if field or hidden else mantissa * 2.0 ** (-2 - bias)
    return -size if code >> 7 else size


def _halved(code: int) -> float:
    return float(decode([code], "e4m3")[0]) / 2


def _values() -> list[Case]:
    """Return every fourth value of fp16, infinities and a NaN among them: ties of E4M3 are there as well."""
    finite_or_not = [code for code in range(0, 1 << 16, 4) if code & 0x7FFF <= 0x7C00]
    return [(x,) for x in decode([*finite_or_not, 0x7E00], "fp16").tolist()]


def _rounded(x: float) -> float:
    return float(quantize(x, "e4m3"))


def _cast(x: float, largest: float = _LARGEST) -> float:
    return _rounded(min(max(x, -largest), largest)) if x == x else math.nan


def _no_sign(x: float) -> float:
    y = _rounded(x)
    return _LARGEST if y != y and x == x else y


def _without_nan(x: float) -> float:
    y = _rounded(x)
    return math.copysign(_LARGEST, x) if y != y else y


def _tensors() -> list[Case]:
    rng = np.random.default_rng(4)
    drawn = [rng.normal(size=6) * 2.0 ** rng.integers(-30, 30) for _ in range(60)]
    ends = [
        np.array([1.0, size * 2.0**k])
        for size in (-448.0, 448.0, 450.0, -460.0, 480.0, 256.0)
        for k in (0, 1, 9)
    ]
    return [(x,) for x in [*drawn, *ends, np.array([0.0, 2.0**-100]), np.zeros(3)]]


def _scale(x: np.ndarray[Any, Any]) -> float:
    """Return the largest power of two at which nothing is beyond 448 = 0.875 * 2^9; 1 for zeros."""
    largest, exponent = math.frexp(float(np.abs(x).max()))
    return math.ldexp(1.0, (9 if largest <= 0.875 else 8) - exponent) if largest else 1.0


def _by_ratio(x: np.ndarray[Any, Any], whole: Any = np.floor) -> float:
    """Return a power of two near to 448 / largest, by a logarithm."""
    largest = float(np.abs(x).max())
    return float(2.0 ** whole(np.log2(_LARGEST / largest))) if largest else 1.0


EXERCISES = (
    Exercise(
        "04.1",
        "Return what each of the 256 codes means in E4M3 FNUZ: bias 8, no infinities, and one NaN, at 0x80.",
        ("code",),
        lambda: [(code,) for code in range(256)],
        lambda codes: decode(codes, "e4m3fnuz").tolist(),
        "Take sign, exponent field and mantissa field apart. The bias is 8, and a field of 0 means subnormal.",
        (
            Mistake(
                "half of E4M3",
                _halved,
                "The codes that are special in the one format are not those that are special in the other.",
            ),
            Mistake(
                "the bias of the other E4M3",
                lambda code: _fnuz(code, bias=7),
                "Your numbers are twice as large. Which bias has this format?",
            ),
            Mistake(
                "a negative zero",
                lambda code: _fnuz(code, negative_zero=True),
                "UZ means that zero has no sign. What is the code of -0 used for?",
            ),
            Mistake(
                "no subnormals",
                lambda code: math.nan if code == 0x80 else _fnuz(code, hidden=True),
                "Where the exponent field is 0 there is no hidden 1, and the exponent is that of field 1.",
            ),
        ),
        lambda code: explain_code(code, "e4m3fnuz"),
    ),
    Exercise(
        "04.2",
        "Round a number to E4M3, to nearest even, and saturate: what is too large becomes 448 with its sign, an "
        "infinity as well; a NaN stays one. Use `fl.quantize` without `overflow`.",
        ("x",),
        _values,
        lambda xs: quantize(xs, "e4m3", overflow="saturate").tolist(),
        "A number beyond 448 may be moved to 448 before it is rounded. Does your way of moving it leave a NaN alone?",
        (
            Mistake(
                "NaN for what is too large",
                _rounded,
                "You leave what is too large to the format, and that makes NaN of it.",
            ),
            Mistake(
                "the sign lost",
                _no_sign,
                "Look at the sign of your result, where a negative number is too large.",
            ),
            Mistake(
                "NaN is taken for a large number",
                _without_nan,
                "A NaN that comes in is no number that is too large. It is asked to stay NaN.",
            ),
            Mistake(
                "infinities left to the format",
                lambda x: _rounded(x) if math.isinf(x) else _cast(x),
                "An infinity is too large as well.",
            ),
            Mistake(
                "the largest value of another E4M3",
                lambda x: _cast(x, 240.0),
                "240 is the largest value of other formats with these fields. What is that of E4M3?",
            ),
            Mistake(
                "no rounding",
                lambda x: min(max(x, -_LARGEST), _LARGEST) if x == x else x,
                "You keep the number in the range, and then it is still to be rounded.",
            ),
        ),
        lambda x: explain(x, "e4m3", overflow="saturate"),
    ),
    Exercise(
        "04.3",
        "Return the scale of a tensor for E4M3: the largest power of two s at which no element of x * s is beyond 448 "
        "in magnitude. If all are zero, return 1.",
        ("x",),
        _tensors,
        lambda xs: [_scale(x) for x in xs],
        "Find the largest magnitude. 448 divided by it is the largest factor of all: which power of two is next below?",
        (
            Mistake(
                "a factor that is no power of two",
                lambda x: _LARGEST / np.abs(x).max() if x.any() else 1.0,
                "A factor that is no power of two makes rounding errors of its own.",
            ),
            Mistake(
                "the nearest power of two",
                lambda x: _by_ratio(x, np.round),
                "The nearest power of two is often too large: multiply the largest magnitude by it.",
            ),
            Mistake(
                "the next larger power of two",
                lambda x: _by_ratio(x, np.ceil),
                "You round the exponent up. What becomes of the largest magnitude then?",
            ),
            Mistake(
                "the exponent alone",
                lambda x: math.ldexp(1.0, 9 - math.frexp(float(np.abs(x).max()))[1]) if x.any() else 1.0,
                "You bring the largest magnitude between 256 and 512. Is everything there a value of E4M3?",
            ),
            Mistake(
                "no magnitude",
                lambda x: _by_ratio(np.maximum(x, 0.0)),
                "The largest magnitude may be that of a negative element.",
            ),
            Mistake(
                "the wrong way round",
                lambda x: 1 / _scale(x),
                "By your number the tensor would have to be divided.",
            ),
            Mistake(
                "zeros forgotten",
                lambda x: _scale(x) if x.any() else math.inf,
                "What is to be returned where every element is zero?",
            ),
        ),
    ),
)
