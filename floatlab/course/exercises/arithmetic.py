"""Exercises of notebook 03: arithmetic."""

from __future__ import annotations

import math

import numpy as np

from floatlab.codes.decode import value_table
from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain
from floatlab.formats import get_format
from floatlab.operations.operate import operate
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import sum as add_up

__all__ = ["EXERCISES"]

_FORMATS = (
    "fp32",
    "tf32",
    "bf16",
    "fp16",
    "e5m2",
    "e4m3",
    "fp6_e3m2",
    "e2m1",
)  # those that reach their total


def _pairs() -> list[Case]:
    values = value_table(get_format("fp6_e2m3")).tolist()
    return [(a, b) for a in values for b in values]


def _truncated(a: float, b: float) -> float:
    return float(quantize(a + b, "fp6_e2m3", rounding="toward_zero"))


def _lists() -> list[Case]:
    rng = np.random.default_rng(3)
    lists = [
        rng.random(n) * 10.0 ** rng.integers(-2, 3) for n in (1, 2, 3, 5, 10, 30, 100, 300) for _ in range(3)
    ]
    return [(quantize(x, "fp16").tolist(),) for x in [np.ones(3000), *lists]]


def _half(x: float) -> float:
    return float(quantize(x, "fp16"))


def _kahan(terms: list[float], sign: float = 1.0) -> float:
    """Return Kahan's sum, every operation rounded to fp16; with a sign of -1 the correction goes the wrong way."""
    total = lost = 0.0
    for term in terms:
        y = _half(term - sign * lost)
        new = _half(total + y)
        lost = _half(_half(new - total) - y)
        total = new
    return total


def _plain(terms: list[float]) -> float:
    total = 0.0
    for term in terms:
        total = _half(total + term)
    return total


def _right_sums(lists: list[list[float]]) -> list[float]:
    return [float(add_up(terms, "fp16", accumulator="kahan:fp16")) for terms in lists]


def _stop(fmt: str) -> float:
    """Return the first power of two that adding 1 leaves as it is; up to there the unit is at most 1."""
    total = 1.0
    while float(quantize(total + 1.0, fmt)) != total:
        total *= 2.0
    return total


EXERCISES = (
    Exercise(
        "03.1",
        "Return a + b in FP6 E2M3: the exact sum, rounded once to nearest even; what is too large becomes the largest "
        "value. You may use `fl.quantize`.",
        ("a", "b"),
        _pairs,
        lambda a, b: operate("add", (a, b), "fp6_e2m3").tolist(),
        "Python's own sum of two such values is exact. What is left is one rounding.",
        (
            Mistake(
                "no rounding",
                lambda a, b: a + b,
                "Your sum is exact, and often no value of the format.",
            ),
            Mistake(
                "truncation",
                _truncated,
                "You round towards zero. To nearest is asked for.",
            ),
            Mistake(
                "infinities",
                lambda a, b: (
                    math.copysign(math.inf, a + b)
                    if abs(a + b) >= 7.75
                    else float(quantize(a + b, "fp6_e2m3"))
                ),
                "This format has no infinities.",
            ),
        ),
        lambda a, b: explain((a, "+", b), "fp6_e2m3"),
    ),
    Exercise(
        "03.2",
        "Add up terms in fp16 by Kahan's method, every single operation rounded to fp16.",
        ("terms",),
        _lists,
        _right_sums,
        "Keep what was lost: y = term - lost; new = total + y; lost = (new - total) - y. All four operations "
        "are rounded.",
        (
            Mistake(
                "a plain sum",
                _plain,
                "You lose what is cut off at each addition. Kahan keeps it, and gives it to the next term.",
            ),
            Mistake(
                "the correction the wrong way",
                lambda terms: _kahan(terms, -1.0),
                "You add what was lost with the wrong sign. If the sum came out too large, is `lost` positive?",
            ),
            Mistake(
                "wide arithmetic",
                lambda terms: _half(math.fsum(terms)),
                "You add in float64 and round once. Here, every operation is rounded.",
            ),
        ),
    ),
    Exercise(
        "03.3",
        "1 + 1 + 1 + ..., one after the other, in a format that is given by its name: at which total does it stop?",
        ("fmt",),
        lambda: [(name,) for name in _FORMATS],
        lambda names: [_stop(name) for name in names],
        "It stops at a power of two. Try 1.0, 2.0, 4.0 and so on: which is the first that adding 1 leaves as it is?",
        (
            Mistake(
                "one bit too few",
                lambda fmt: 2.0 ** get_format(fmt).mantissa_bits,
                "There the distance to the next value is 1, and adding 1 still reaches it.",
            ),
            Mistake(
                "the largest value",
                lambda fmt: get_format(fmt).max,
                "The sum stalls long before it overflows.",
            ),
            Mistake(
                "the first lost number",
                lambda fmt: 2.0 ** get_format(fmt).precision + 1.0,
                "You name the number that cannot be reached. At which total is it tried?",
            ),
        ),
    ),
)
