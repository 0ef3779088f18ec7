"""Exercises of notebook 02: rounding."""

from __future__ import annotations

import math
from typing import Any

from floatlab.codes.decode import decode
from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain
from floatlab.rounding.quantize import quantize

__all__ = ["EXERCISES"]


def _to_e4m3(
    x: float,
    whole: Any = round,
    *,
    floor: float = 2.0**-9,
    saturate: bool = False,
    strict: bool = False,
) -> float:
    """Round a number that is not negative to E4M3, with one thing wrong."""
    if x == 0.0:
        return 0.0
    if strict and x > 448.0:
        return math.nan
    unit = max(2.0 ** (math.frexp(x)[1] - 4), floor)
    y = whole(x / unit) * unit
    if y > 448.0:
        return 448.0 if saturate else math.nan
    return float(y)


def _half_up(x: float) -> float:
    return float(math.floor(x + 0.5))


def _flushed(x: float) -> float:
    y = _to_e4m3(x)
    return 0.0 if y < 2.0**-6 else y


def _twice(x: float) -> float:
    unit = 2.0 ** (math.frexp(x)[1] - 8) if x else 1.0
    return _to_e4m3(round(x / unit) * unit)


def _numbers() -> list[Case]:
    """Return all finite values of fp16 that are not negative."""
    return [(x,) for x in decode(range(0x7C00), "fp16").tolist()]


def _draws() -> list[Case]:
    return [(1.0 + k / 256, r) for k in range(256) for r in range(16)]


def _stochastic(xs: list[float], rs: list[int]) -> list[float]:
    return list(quantize(xs, "e4m3", rounding="stochastic", random_bits=4, random_integers=rs).tolist())


def _nearest(xs: list[float]) -> list[float]:
    return list(quantize(xs, "e4m3").tolist())


def _parts(x: float) -> tuple[int, float]:
    count = math.floor(x * 8)
    return count, x * 8 - count


EXERCISES = (
    Exercise(
        "02.1",
        "Round a number from 1 to 2 to a multiple of 1/8: to the nearest, and a tie to the even multiple.",
        ("x",),
        lambda: [(1.0 + k / 256,) for k in range(257)],
        _nearest,
        "Count eighths: x * 8 is a whole number and a fraction. What is to be decided about the fraction?",
        (
            Mistake(
                "truncation",
                lambda x: math.floor(x * 8) / 8,
                "You cut off what does not fit. Which of the two neighbours is nearer?",
            ),
            Mistake(
                "ties away from zero",
                lambda x: math.floor(x * 8 + 0.5) / 8,
                "All is right but the ties: half way between, the even multiple is chosen, above or below.",
            ),
            Mistake(
                "ties to zero",
                lambda x: math.ceil(x * 8 - 0.5) / 8,
                "All is right but the ties: half way between, the even multiple is chosen, not the smaller.",
            ),
            Mistake(
                "rounding up",
                lambda x: math.ceil(x * 8) / 8,
                "You always take the neighbour above. Which of the two is nearer?",
            ),
            Mistake(
                "ties to odd",
                lambda x: (2 * round((x * 8 + 1) / 2) - 1) / 8 if (x * 16) % 2 == 1 else round(x * 8) / 8,
                "Half way between, you choose the odd multiple.",
            ),
        ),
        lambda x: explain(x, "e4m3"),
    ),
    Exercise(
        "02.2",
        "Round a number that is not negative to E4M3, to nearest even; what is too large becomes NaN.",
        ("x",),
        _numbers,
        _nearest,
        "Find the unit in the last place first; then round x / unit to an integer, and multiply by the unit again.",
        (
            Mistake(
                "truncation",
                lambda x: _to_e4m3(x, math.floor),
                "You cut off what does not fit. Which of the two neighbours is nearer?",
            ),
            Mistake(
                "ties away from zero",
                lambda x: _to_e4m3(x, _half_up),
                "Half way between two values, the one with the even code is chosen.",
            ),
            Mistake(
                "no subnormals",
                _flushed,
                "Between 0 and 2^-6 there are seven values more, the subnormals.",
            ),
            Mistake(
                "no floor under the unit",
                lambda x: _to_e4m3(x, floor=0.0),
                "Below 2^-6 the unit no longer shrinks: it stays 2^-9.",
            ),
            Mistake(
                "saturation",
                lambda x: _to_e4m3(x, saturate=True),
                "What rounds to more than 448 is asked to become NaN.",
            ),
            Mistake(
                "overflow before rounding",
                lambda x: _to_e4m3(x, strict=True),
                "Is every number above 448 nearer to the value that would come next, 480?",
            ),
            Mistake(
                "double rounding",
                _twice,
                "You round twice. A number just above a tie is a tie after the first rounding.",
            ),
        ),
        lambda x: explain(x, "e4m3"),
    ),
    Exercise(
        "02.3",
        "Round a number from 1 to 2 to a multiple of 1/8 stochastically, with a random integer r from 0 to 15: up, if "
        "the fraction in sixteenths, rounded down, and r make 16 or more.",
        ("x", "r"),
        _draws,
        _stochastic,
        "Write x * 8 as a whole number and a fraction, and the fraction as so many sixteenths.",
        (
            Mistake(
                "nearest",
                lambda x, r: round(x * 8) / 8,
                "Your result does not depend on r.",
            ),
            Mistake(
                "more than 16",
                lambda x, r: (_parts(x)[0] + (math.floor(_parts(x)[1] * 16) + r > 16)) / 8,
                "16 is enough to go up: a fraction of 15 sixteenths goes up in 15 cases of 16.",
            ),
            Mistake(
                "the wrong way round",
                lambda x, r: (_parts(x)[0] + (_parts(x)[1] * 16 < r)) / 8,
                "The larger the fraction, the more often it goes up. With yours it is less often.",
            ),
        ),
        lambda x, r: explain(x, "e4m3", rounding="stochastic", random_bits=4, random_integers=r),
    ),
)
