"""Exercises of "find the mistake": formulas that are wrong, or that fp16 makes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.explain import explain
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import sum as add_up

__all__ = ["EXERCISES"]

Numbers = np.ndarray[Any, Any]


def _half(x: float) -> float:
    return float(quantize(x, "fp16"))


def _outputs() -> list[Case]:
    """Return targets and outputs of a sigmoid for which every product is exact, and no slope is 0."""
    return [(y, k / 64) for y in (1.0, 0.0, 0.5, 0.25) for k in (32, *range(1, 64)) if k / 64 != y]


def _slope(y: float, a: float, *, sign: float = 1.0, factor: float = 1.0, inner: bool = True) -> float:
    """Return dJ/dz; with one thing wrong or more, if that is asked for."""
    return sign * factor * (a - y) * (a * (1.0 - a) if inner else 1.0)


def _gradients() -> list[Case]:
    """Return gradients of both signs, from where fp16 has nothing to where it is at its best."""
    rng = np.random.default_rng(3)
    drawn = np.exp2(rng.uniform(-34, 0, 250)) * np.where(rng.random(250) < 0.5, -1.0, 1.0)
    return [(float(g),) for g in (*quantize(drawn[:50], "fp16"), *drawn[50:]) if g]


def _scaled(g: float, scale: float) -> float:
    return _half(g * scale) / scale


def _scores() -> list[Case]:
    """Return scores of three classes, and a label: ordinary ones, some far apart, and some that are large together."""
    rng = np.random.default_rng(7)
    cases: list[Case] = [(np.array([20.0, 0.0, 0.0]), 1)]
    for centre, width in ((0.0, 2.0), (0.0, 8.0), (5.0, 30.0), (800.0, 2.0), (-800.0, 8.0)):
        for _ in range(12):
            scores = np.round((centre + width * rng.normal(size=3)) * 8) / 8
            # Beside a probability of nearly 1 the loss is nearly 0, and the order of the steps could be seen in it.
            cases += [(scores, label) for label in range(3) if _loss(scores, label) > 2.0**-10]
    return cases


def _loss(scores: Numbers, label: int) -> float:
    """Return -log(softmax(scores))[label], in float64."""
    above = scores - scores.max()
    return float(np.log(np.exp(above).sum()) - above[label])


def _by_hand(
    scores: Numbers, label: int, *, largest_off: bool = False, rounded: Callable[[Any], Any] | None = None
) -> float:
    """Return the loss by way of the probability, each step rounded if that is asked for."""
    rounded = rounded or (lambda x: x)
    e = rounded(np.exp(scores - scores.max() if largest_off else scores))
    return _half(-np.log(rounded(e / e.sum()))[label])


def _activations() -> list[Case]:
    """Return activations that are values of fp16, few and many, small and large."""
    rng = np.random.default_rng(8)
    sizes = [(n, width) for n in (2, 16, 256, 3000) for width in (2, 40, 200, 600)]
    return [(rng.integers(1, width, n) * rng.choice([-1.0, 1.0], n),) for n, width in sizes]


def _rms(x: Numbers, *, squares: bool = False, total: bool = False) -> float:
    """Return the root of the mean square, with the squares or their sum in fp16 if that is asked for."""
    squared = quantize(x * x, "fp16") if squares else x * x
    added = float(add_up(squared, "fp16", accumulator="fp16") if total else squared.sum())
    return _half(math.sqrt(added / len(x)))


EXERCISES = (
    Exercise(
        "F.1",
        "An output is a = sigmoid(z), and its error J = (y - a)² / 2. Return dJ/dz, given y and a.",
        ("y", "a"),
        _outputs,
        lambda ys, outputs: [_slope(*case) for case in zip(ys, outputs, strict=True)],
        "Two factors, by the chain rule: dJ/da, and da/dz = a (1 - a).",
        (
            Mistake(
                "as it was given",
                lambda y, a: 2 * (y - a),
                "Three things are wrong. Try y = 1 and a = 0.5: must a grow, and does J grow with it? And where is the "
                "sigmoid?",
            ),
            Mistake(
                "only the sign mended",
                lambda y, a: 2 * (a - y),
                "The sign is right now. The square gives a 2: what becomes of it, with the 1/2 of J? And where is the "
                "sigmoid?",
            ),
            Mistake(
                "the slope of the sigmoid forgotten",
                lambda y, a: a - y,
                "That is dJ/da. J changes with z only as fast as a does.",
            ),
            Mistake(
                "the factor forgotten",
                lambda y, a: _slope(y, a, factor=2.0),
                "Twice too large: J has a 1/2 before its square.",
            ),
            Mistake(
                "the sign forgotten",
                lambda y, a: _slope(y, a, sign=-1.0),
                "If a is too small, J falls when z grows: its slope is negative.",
            ),
            Mistake(
                "sign and factor forgotten",
                lambda y, a: _slope(y, a, sign=-1.0, factor=2.0),
                "The sigmoid is there. If a is too small, is the slope of J positive? J has a 1/2 before its square.",
            ),
        ),
    ),
    Exercise(
        "F.2",
        "A gradient, as it is after loss scaling in fp16. Choose the scale next to 1000 that costs no digit.",
        ("g",),
        _gradients,
        lambda gradients: [_scaled(g, 1024.0) for g in gradients],
        "Multiply, round to fp16, divide by the same number. Which numbers multiply without a rounding?",
        (
            Mistake(
                "as it was given",
                lambda g: _scaled(g, 1000.0),
                "1000 is 125 times 8, and 125 takes seven bits, so the product needs more bits than the gradient, and "
                "is rounded. Which numbers take a single bit?",
            ),
            Mistake(
                "a smaller power of two",
                lambda g: _scaled(g, 512.0),
                "A power of two, and no digit is lost. But it saves fewer gradients than 1000 did: another is nearer.",
            ),
            Mistake(
                "no scale",
                lambda g: _scaled(g, 1.0),
                "Without a scale the small gradients become 0.",
            ),
            Mistake(
                "unscaled by another number",
                lambda g: _half(g * 1024.0) / 1000.0,
                "What is multiplied and what is divided are not the same number.",
            ),
            Mistake(
                "rounded twice",
                lambda g: _half(_scaled(g, 1024.0)),
                "The quotient stays in fp32: rounded to fp16 it would lose what the scale has saved.",
            ),
        ),
        lambda g: explain(g * 1000.0, "fp16"),
    ),
    Exercise(
        "F.3",
        "The loss of a classifier, -log(softmax(scores))[label], rounded to fp16: for any scores, near or far.",
        ("scores", "label"),
        _scores,
        lambda scores, labels: [_half(_loss(*case)) for case in zip(scores, labels, strict=True)],
        "log(a / b) is log(a) - log(b). And softmax stays the same if one number is taken off all the scores.",
        (
            Mistake(
                "as it was given",
                lambda scores, label: _by_hand(scores, label, rounded=lambda x: quantize(x, "fp16")),
                "A probability below 2^-25 is 0 in fp16, and exp(12) is infinite. Round nothing before the end.",
            ),
            Mistake(
                "exponentials too large",
                lambda scores, label: _half(np.log(np.exp(scores).sum()) - scores[label]),
                "exp(800) is infinite in float64 as well, and exp(-800) is 0. Take the largest score off all of them "
                "first.",
            ),
            Mistake(
                "by way of the probability",
                _by_hand,
                "Nothing is rounded too early now. But exp(800) is infinite in float64 as well, and exp(-800) is 0.",
            ),
            Mistake(
                "probabilities still rounded",
                lambda scores, label: _by_hand(
                    scores, label, largest_off=True, rounded=lambda x: quantize(x, "fp16")
                ),
                "The exponentials are fine now. But a probability below 2^-25 is still 0 in fp16, before its "
                "logarithm is taken.",
            ),
        ),
    ),
    Exercise(
        "F.4",
        "The root of the mean square of activations that are values of fp16, rounded to fp16: what a normalization "
        "divides by.",
        ("x",),
        _activations,
        lambda xs: [_rms(x) for x in xs],
        "The result fits into fp16. What is on the way need not be in fp16.",
        (
            Mistake(
                "as it was given",
                lambda x: _rms(x, squares=True, total=True),
                "The square of 256 is beyond 65504, and no scale of the loss mends an infinity in the forward pass. "
                "Square and add in a wider format.",
            ),
            Mistake(
                "only the sum wider",
                lambda x: _rms(x, squares=True),
                "The sum is fine now. But the squares are rounded to fp16 before, and 256 squared is infinite there.",
            ),
        ),
    ),
)
