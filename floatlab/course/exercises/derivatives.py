"""Exercises of notebook 05: a derivative from nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from floatlab.course.exercise import Case, Exercise, Mistake

__all__ = ["EXERCISES"]

Step = tuple[str, str, tuple[str, ...]]  # an operation, the name of its result, and those of its inputs
Numbers = dict[str, float]
Derivative = Callable[..., tuple[float, ...]]


def _of_product(g: float, a: float, b: float) -> tuple[float, float]:
    return g * b, g * a


def _numbers() -> list[Case]:
    rng = np.random.default_rng(5)
    return [tuple(map(float, rng.integers(-8, 9, 3) / 4)) for _ in range(200)]


_DERIVATIVES: dict[str, Derivative] = {
    "add": lambda g, a, b: (g, g),
    "multiply": _of_product,
    "square": lambda g, a: (g * 2 * a,),
}
_OPERATIONS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "square": lambda a: a * a,
}


def _tapes() -> list[Case]:
    """Return computations of growing length: tapes, and all numbers on them."""
    rng = np.random.default_rng(55)
    cases: list[Case] = []
    for length in (1, 1, 2, 2, 3, 3, 4, 5, 6, 8):
        # No number is 0: whether a gradient is 0 or -0 would depend on how its shares are added up.
        values: Numbers = {
            "x": float(rng.choice([-2.25, -1.25, 0.75, 1.25])),
            "w": float(rng.integers(1, 5)) / 2,
        }
        names, tape = ["x", "w"], []
        for number in range(length):
            op = str(rng.choice(["add", "multiply", "square"]))
            count = 1 if op == "square" else 2
            # the newest number is always used, so that nothing on the tape is idle
            inputs = (names[-1], *(str(rng.choice(names)) for _ in range(count - 1)))
            out = f"t{number}"
            values[out] = _OPERATIONS[op](*(values[name] for name in inputs))
            tape.append((op, out, inputs))
            names.append(out)
        cases.append((tape, values))
    return cases


def _backward(
    tape: list[Step], values: Numbers, *, adds: bool = True, backward: bool = True
) -> tuple[float, float]:
    """Walk a tape; with one thing wrong, if that is asked for."""
    gradients = dict.fromkeys(values, 0.0)
    gradients[tape[-1][1]] = 1.0
    for op, out, inputs in reversed(tape) if backward else tape:
        shares = _DERIVATIVES[op](gradients[out], *(values[name] for name in inputs))
        for name, share in zip(inputs, shares, strict=True):
            gradients[name] = gradients[name] + share if adds else share
    return gradients["x"], gradients["w"]


def _slopes() -> list[Case]:
    return [(float(g), float(y)) for g in (-2.0, -0.5, 0.0, 1.0, 3.0) for y in np.arange(1, 64) / 64]


EXERCISES = (
    Exercise(
        "05.1",
        "The derivative of a product: given the gradient g of a * b, return the gradients of a and of b.",
        ("g", "a", "b"),
        _numbers,
        lambda gs, as_, bs: [_of_product(g, a, b) for g, a, b in zip(gs, as_, bs, strict=True)],
        "By how much does a * b change when a grows by a little? Times g, that is what a little more of a does.",
        (
            Mistake(
                "the gradient from above forgotten",
                lambda g, a, b: (b, a),
                "These are the derivatives of the product alone. What comes from above is still to be multiplied in.",
            ),
            Mistake(
                "the factors swapped", lambda g, a, b: (g * a, g * b), "When a grows, the product grows by b."
            ),
            Mistake(
                "a sum's derivative",
                lambda g, a, b: (g, g),
                "That is the derivative of a sum. This is a product.",
            ),
        ),
    ),
    Exercise(
        "05.2",
        "Walk a tape backward: return the gradients of x and of w. The tape is a list of (operation, result, inputs) "
        'in the order of the computation, with the operations "add", "multiply" and "square"; `values` holds all '
        "numbers by name.",
        ("tape", "values"),
        _tapes,
        lambda tapes, values: [_backward(tape, known) for tape, known in zip(tapes, values, strict=True)],
        "Begin with a gradient of 1 for the last result and 0 for all others. Each entry, from the last to the first, "
        "hands shares to its inputs.",
        (
            Mistake(
                "overwritten",
                lambda tape, values: _backward(tape, values, adds=False),
                "A number that is used twice gets a share from each use. Add them up.",
            ),
            Mistake(
                "walked forward",
                lambda tape, values: _backward(tape, values, backward=False),
                "You walk in the order of the computation. Whose gradient is known first?",
            ),
        ),
    ),
    Exercise(
        "05.3",
        "The derivative of the sigmoid y = 1 / (1 + exp(-x)): given the gradient g of y, and y itself, return the "
        "gradient of x.",
        ("g", "y"),
        _slopes,
        lambda gs, ys: [g * (y * (1.0 - y)) for g, y in zip(gs, ys, strict=True)],
        "Write the slope with y alone: no exponential is left.",
        (
            Mistake(
                "y taken for x",
                lambda g, y: g * (1 / (1 + math.exp(-y))) * (1 - 1 / (1 + math.exp(-y))),
                "You are given y, the result, and apply the sigmoid to it once more.",
            ),
            Mistake(
                "the gradient from above forgotten",
                lambda g, y: y * (1.0 - y),
                "That is the slope. What comes from above is still to be multiplied in.",
            ),
            Mistake("the slope of tanh", lambda g, y: g * (1.0 - y * y), "That is the slope of tanh."),
        ),
    ),
)
