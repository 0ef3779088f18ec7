"""Exercises of notebook 06: gradients that vanish into zero."""

from __future__ import annotations

import math

import numpy as np

from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain

__all__ = ["EXERCISES"]

_GROWS_AFTER = 4  # good steps, in 06.3


def _extremes() -> list[Case]:
    """Return smallest and largest magnitudes of gradients: some that fit into fp16 together, and some that do not."""
    rng = np.random.default_rng(6)
    around = [(2.0**-k, 2.0**-j) for k in (14, 24, 30, 34) for j in (0, 9, 12) if j < k] + [
        (1e-8, 65504.0),
        (0.5, 0.5),
    ]
    drawn = [tuple(sorted(map(float, 2.0 ** rng.uniform(-38, 4, 2)))) for _ in range(200)]
    return [*around, *drawn]


def _scales(smallest: float, largest: float, low: float = 2.0**-14, high: float = 65504.0) -> tuple[int, int]:
    """Return the exponents of the smallest and the largest power of two that keep both within the bounds."""
    first = math.frexp(low / smallest)
    last = math.frexp(high / largest)
    return (first[1] - 1 if first[0] == 0.5 else first[1]), last[1] - 1


def _scaled_gradients() -> list[Case]:
    """Return pairs of gradients 3 and 4 times a power of two, so that every step is exact."""
    return [
        ([3.0 * 2.0**e, -4.0 * 2.0**e], 2.0**k, 5.0 * 2.0 ** (e - k + d))
        for e in (-3, 0, 6)
        for k in (0, 10, 16)
        for d in (-2, -1, 0, 3)
    ]


def _clipped(
    gradients: list[float], scale: float, limit: float, *, unscales: bool = True, always: bool = False
) -> list[float]:
    """Unscale, and clip to a norm; with one thing wrong, if that is asked for."""
    unscaled = [g / scale for g in gradients] if unscales else gradients
    factor = limit / math.hypot(*unscaled)
    return [g * (factor if always else min(1.0, factor)) for g in unscaled]


def _states() -> list[Case]:
    return [
        (2.0**k, good, finite) for k in (0, 3, 16) for good in range(_GROWS_AFTER) for finite in (True, False)
    ]


def _next_state(scale: float, good: int, finite: bool) -> tuple[float, int]:
    if not finite:
        return scale / 2, 0
    return (scale * 2, 0) if good + 1 == _GROWS_AFTER else (scale, good + 1)


EXERCISES = (
    Exercise(
        "06.1",
        "Which scales work? Given the smallest and the largest magnitude of some gradients, return two whole numbers: "
        "the exponents of the smallest and of the largest power of two by which all of them lie from 2^-14 to 65504, "
        "where fp16 is normal. If the first is the larger one, no scale works.",
        ("smallest", "largest"),
        _extremes,
        lambda lows, highs: [_scales(*pair) for pair in zip(lows, highs, strict=True)],
        "For the smallest, 2^k must be 2^-14 / smallest or more; for the largest, 65504 / largest or less.",
        (
            Mistake(
                "the wrong one up",
                lambda smallest, largest: _scales(largest, smallest),
                "The smallest gradient says which scale is large enough, the largest one which is too large.",
            ),
            Mistake(
                "subnormals taken for enough",
                lambda smallest, largest: _scales(smallest, largest, low=2.0**-24),
                "Your smallest gradient ends where fp16 has one bit left. It is to reach 2^-14.",
            ),
            Mistake(
                "65536 taken for a value",
                lambda smallest, largest: _scales(smallest, largest, high=65536.0),
                "With your scale the largest gradient may be above 65504, the largest value.",
            ),
            Mistake(
                "rounded down",
                lambda smallest, largest: (
                    math.frexp(2.0**-14 / smallest)[1] - 1,
                    _scales(smallest, largest)[1],
                ),
                "With your first scale some gradients stay just below 2^-14. Round the exponent up.",
            ),
        ),
        lambda smallest, largest: explain(smallest, "fp16"),
    ),
    Exercise(
        "06.2",
        "Clip gradients that were computed with a scaled loss: given a list of scaled gradients, the scale, and the "
        "largest norm that is allowed, return the gradients that the optimizer should see.",
        ("gradients", "scale", "limit"),
        _scaled_gradients,
        lambda lists, scales, limits: [_clipped(*case) for case in zip(lists, scales, limits, strict=True)],
        "Two steps, and their order matters. The norm is the square root of the sum of the squares, `math.hypot(*x)`.",
        (
            Mistake(
                "clipped before unscaling",
                lambda gradients, scale, limit: [
                    g / scale for g in _clipped(gradients, scale, limit, unscales=False)
                ],
                "You compare the limit with a norm that still has the scale in it: nearly everything is clipped.",
            ),
            Mistake(
                "never unscaled",
                lambda gradients, scale, limit: _clipped(gradients, scale, limit, unscales=False),
                "The optimizer would see gradients with the scale still in them.",
            ),
            Mistake(
                "made longer",
                lambda gradients, scale, limit: _clipped(gradients, scale, limit, always=True),
                "Clipping never makes a gradient longer: what is below the limit stays.",
            ),
            Mistake(
                "never clipped",
                lambda gradients, scale, limit: [g / scale for g in gradients],
                "Some of your gradients have a norm above the limit.",
            ),
        ),
    ),
    Exercise(
        "06.3",
        "Move a dynamic scale on: given the scale, the number of good steps since it last changed, and whether all "
        "gradients of this step are finite, return the new scale and the new number. After 4 good steps it doubles; "
        "after a step that is not finite it is halved.",
        ("scale", "good", "finite"),
        _states,
        lambda scales, goods, finites: [
            _next_state(*state) for state in zip(scales, goods, finites, strict=True)
        ],
        "Three things can happen: a bad step, the fourth good one, and any other good one.",
        (
            Mistake(
                "good steps not forgotten",
                lambda scale, good, finite: (
                    (scale / 2, good) if not finite else _next_state(scale, good, True)
                ),
                "After a bad step the count of good ones begins anew.",
            ),
            Mistake(
                "one step late",
                lambda scale, good, finite: (scale / 2, 0) if not finite else (scale, good + 1),
                "This step counts as well: when 3 good ones were there, it is the fourth.",
            ),
            Mistake(
                "never smaller",
                lambda scale, good, finite: _next_state(scale, good, True) if finite else (scale, 0),
                "A step that is not finite says that the scale is too large.",
            ),
            Mistake(
                "the count goes on",
                lambda scale, good, finite: (
                    (scale * 2, good + 1)
                    if finite and good == _GROWS_AFTER - 1
                    else _next_state(scale, good, finite)
                ),
                "After the scale has grown, the count begins anew.",
            ),
        ),
    ),
)
