"""Exercises of notebook 06: gradients that vanish into zero."""

from __future__ import annotations

import math

import numpy as np

from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain
from floatlab.rounding.quantize import quantize

__all__ = ["EXERCISES"]

_GROWS_AFTER = 4  # good steps, in 06.3


def _gradients() -> list[Case]:
    """Return gradients of many sizes, and those next to where fp16 loses them."""
    around = [2.0**-k * c for k in range(10, 40) for c in (1.0, 1 - 2.0**-20, 1 + 2.0**-20, 1.5)]
    return [(0.0,), *((g,) for g in around), *((-g,) for g in around)]


def _scale(g: float, target: float = 2.0**-14) -> float:
    return max(1.0, 2.0 ** math.ceil(math.log2(target / g)))


def _sizes() -> list[Case]:
    rng = np.random.default_rng(6)
    return [(float(2.0**-k),) for k in range(2, 40)] + [(float(g),) for g in 2.0 ** rng.uniform(-39, -2, 100)]


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
        "Say whether a gradient becomes zero in fp16, to nearest even: True or False.",
        ("g",),
        _gradients,
        lambda gs: (quantize(gs, "fp16") == 0).tolist(),
        "The smallest value above 0 is 2^-24. Which numbers are nearer to 0 than to it?",
        (
            Mistake(
                "below the smallest value",
                lambda g: abs(g) < 2.0**-24,
                "What lies above the middle between 0 and the smallest value is rounded up to it.",
            ),
            Mistake(
                "below the smallest normal value",
                lambda g: abs(g) < 2.0**-14,
                "Below 2^-14 there are the subnormals: few bits, but not zero.",
            ),
            Mistake(
                "the tie forgotten",
                lambda g: abs(g) < 2.0**-25,
                "Exactly half way the even code wins, and 0 is even.",
            ),
            Mistake("the sign forgotten", lambda g: g <= 2.0**-25, "A gradient may be negative."),
        ),
        lambda g: explain(g, "fp16"),
    ),
    Exercise(
        "06.2",
        "Return the smallest power of two, at least 1, that makes a positive gradient at least 2^-14, the smallest "
        "normal value of fp16, when it is multiplied by it.",
        ("g",),
        _sizes,
        lambda gs: [_scale(g) for g in gs],
        "2^-14 / g is the factor that is needed. Which power of two is not below it? `math.log2` and `math.ceil` help.",
        (
            Mistake(
                "the factor itself",
                lambda g: max(1.0, 2.0**-14 / g),
                "A power of two is asked for: multiplying by any other number rounds.",
            ),
            Mistake(
                "the power below",
                lambda g: max(1.0, 2.0 ** math.floor(math.log2(2.0**-14 / g))),
                "With your scale some gradients stay just below 2^-14. Round the exponent up.",
            ),
            Mistake(
                "the smallest value as the aim",
                lambda g: _scale(g, 2.0**-24),
                "Your gradient is lifted to 2^-24, where fp16 has one bit left. The smallest normal value is 2^-14.",
            ),
            Mistake(
                "scales below 1",
                lambda g: 2.0 ** math.ceil(math.log2(2.0**-14 / g)),
                "A gradient that is large enough needs no scale: 1.",
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
