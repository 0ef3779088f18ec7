"""Exercises of notebook 00: the quickstart."""

from __future__ import annotations

import math

from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize

__all__ = ["EXERCISES"]

_FP16 = get_format("fp16")


def _magnitudes() -> list[float]:
    """Return a few numbers of every binade from 2^-40 to 2^0, its beginning and its end among them."""
    return [m * 2.0**e for e in range(-40, 1) for m in (1.0, 1.0 + 2.0**-20, 1.25, 1.5, 2.0 - 2.0**-20)]


def _gradients() -> list[Case]:
    return [(sign * x,) for x in _magnitudes() for sign in (1.0, -1.0)]


def _scaled() -> list[Case]:
    return [
        (sign * x, scale) for scale in (2.0**8, 2.0**16, 1.0) for x in _magnitudes() for sign in (1.0, -1.0)
    ]


def _half(x: float) -> float:
    return float(quantize(x, "fp16"))


def _scale_to(x: float, least: float) -> float:
    """Return the smallest power of two from 1 on that brings a positive number up to `least`."""
    scale = 1.0
    while x * scale < least:
        scale *= 2.0
    return scale


EXERCISES = (
    Exercise(
        "00.1",
        "Is a gradient lost in fp16? Return whether the number becomes 0 there.",
        ("x",),
        _gradients,
        lambda xs: (quantize(xs, "fp16") == 0).tolist(),
        "The smallest positive number of fp16 is 2^-24. Which numbers are nearer to 0 than to it?",
        (
            Mistake(
                "all that is smaller than the smallest number",
                lambda x: abs(x) < _FP16.smallest_subnormal,
                "You give up too many. A number just below 2^-24 becomes the nearest number of fp16: which one is it?",
            ),
            Mistake(
                "half way is kept",
                lambda x: abs(x) < _FP16.smallest_subnormal / 2,
                "You keep the number half way between 0 and 2^-24. The explanation shows which of the two wins.",
            ),
            Mistake(
                "all that is subnormal",
                lambda x: abs(x) < _FP16.smallest_normal,
                "Below 2^-14 fp16 has numbers still, down to 2^-24.",
            ),
            Mistake(
                "negative numbers",
                lambda x: x <= _FP16.smallest_subnormal / 2,
                "A gradient may be negative. What counts is its size, `abs(x)`.",
            ),
        ),
        lambda x: explain(x, "fp16"),
    ),
    Exercise(
        "00.2",
        "Return the smallest power of two, 1 or more, by which a positive gradient must be multiplied to be at least "
        "2^-14, where fp16 begins to keep all of its 11 bits.",
        ("x",),
        lambda: [(x,) for x in _magnitudes()],
        lambda xs: [_scale_to(x, _FP16.smallest_normal) for x in xs],
        "Begin with 1, and double it as long as x times the scale is too small.",
        (
            Mistake(
                "only not zero",
                lambda x: _scale_to(x, _FP16.smallest_subnormal),
                "With your scale it is not lost, but it has hardly a bit of its own left. It must reach 2^-14.",
            ),
            Mistake(
                "one doubling too many",
                lambda x: _scale_to(x, math.nextafter(_FP16.smallest_normal, 1.0)),
                "2^-14 itself is large enough.",
            ),
            Mistake(
                "scales below 1",
                lambda x: 2.0 ** (-14 - (math.frexp(x)[1] - 1)),
                "A gradient that is large enough already keeps the scale 1.",
            ),
            Mistake(
                "the quotient",
                lambda x: _FP16.smallest_normal / x,
                "That is the quotient itself. Which power of two is the next one, and is it ever less than 1?",
            ),
            Mistake(
                "no power of two",
                lambda x: max(1.0, _FP16.smallest_normal / x),
                "That is no power of two. To multiply by another number would round.",
            ),
        ),
        lambda x: explain(x, "fp16"),
    ),
    Exercise(
        "00.3",
        "What does a scaled step in fp16 make of a gradient? Multiply it by the scale, round it to fp16, and take the "
        "scale off again. You may use `fl.quantize`.",
        ("gradient", "scale"),
        _scaled,
        lambda gradients, scales: [_half(g * s) / s for g, s in zip(gradients, scales, strict=True)],
        'Three steps: multiply, round with `fl.quantize(..., "fp16")`, divide.',
        (
            Mistake(
                "no scale",
                lambda gradient, scale: _half(gradient),
                "Your result does not depend on the scale.",
            ),
            Mistake(
                "rounded too early",
                lambda gradient, scale: _half(_half(gradient) * scale) / scale,
                "You round before you multiply. What is 0 by then stays 0.",
            ),
            Mistake(
                "the scale left on",
                lambda gradient, scale: _half(gradient * scale),
                "Your gradient is still multiplied by the scale, and the step would be as many times too long.",
            ),
            Mistake(
                "rounded twice",
                lambda gradient, scale: _half(_half(gradient * scale) / scale),
                "You round again at the end, and lose what the scale had saved. The quotient stays as it is.",
            ),
        ),
        lambda gradient, scale: explain(gradient * scale, "fp16"),
    ),
)
