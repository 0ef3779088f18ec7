"""Exercises of "find the mistake": training loops that run, and learn something else or nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd.tensor import Tensor
from floatlab.course.exercise import Case, Exercise, Mistake
from floatlab.nn import Parameter
from floatlab.optim import SGD
from floatlab.rounding.quantize import quantize

__all__ = ["EXERCISES"]

Numbers = np.ndarray[Any, Any]


def _half(x: float) -> float:
    return float(quantize(x, "fp16"))


def _batches() -> list[Case]:
    """Return data and a learning rate: four batches of two, of numbers for which few steps round."""
    rng = np.random.default_rng(5)
    return [
        (rng.integers(1, 9, (4, 2)) / 4, rng.integers(-8, 9, (4, 2)) / 4, rate)
        for rate in (2.0**-3, 2.0**-5)
        for _ in range(8)
    ]


def _train(x: Numbers, t: Numbers, lr: float, *, clears: bool = True, steps: bool = True) -> float:
    """Take a step for each batch; without clearing the gradient, or without the steps, if that is asked for."""
    w = Parameter([1.0])
    optimizer = SGD([w], lr=lr)
    for inputs, targets in zip(x, t, strict=True):
        if clears:
            optimizer.zero_grad()
        _error(w, inputs, targets).backward()
        if steps:
            optimizer.step()
    if not steps:
        optimizer.step()
    return float(w.item())


def _error(w: Tensor, inputs: Numbers, targets: Numbers) -> Tensor:
    return ((w * Tensor(inputs) - Tensor(targets)) ** 2).mean()


def _accumulate(x: Numbers, t: Numbers, lr: float, *, divides: bool = True) -> float:
    """Take one step with the gradient of all micro-batches."""
    w = Parameter([1.0])
    optimizer = SGD([w], lr=lr)
    optimizer.zero_grad()
    for inputs, targets in zip(x, t, strict=True):
        loss = _error(w, inputs, targets)
        (loss / len(x) if divides else loss).backward()
    optimizer.step()
    return float(w.item())


def _histories() -> list[Case]:
    """Return gradients, a scale and an interval: scales that are too large from the beginning, and that become so."""
    rng = np.random.default_rng(9)
    return [
        ([float(g) for g in rng.choice([-1.0, 0.5, 2.0, 3.0], 12)], 2.0**k, interval)
        for k in (4, 14, 18)
        for interval in (2, 3, 4)
        for _ in range(3)
    ]


def _scaled_steps(
    gradients: list[float],
    scale: float,
    interval: int,
    *,
    skips: bool = True,
    halves: bool = True,
    forgets: bool = True,
) -> tuple[float, float]:
    """Take a step for each gradient with a dynamic scale; with one thing wrong or more, if that is asked for."""
    weight, good = 0.0, 0
    for g in gradients:
        seen = _half(g * scale) / scale
        finite = math.isfinite(seen)
        if finite or not skips:
            weight -= seen
        if not finite and halves:
            scale /= 2
        good = 0 if not finite and forgets else good + 1
        if good and good % interval == 0:
            scale *= 2
    return weight, scale


def _updates() -> list[Case]:
    """Return a weight, gradients and a learning rate: some updates that fp16 sees, and many that it does not."""
    rng = np.random.default_rng(4)
    return [
        (w, [float(g) for g in rng.integers(1, 9, n) / 8], rate)
        for w in (1.0, 0.75, 8.0)
        for n in (3, 40)
        for rate in (2.0**-6, 2.0**-11, 2.0**-13)
    ]


def _fp16_weights(w: float, gradients: list[float], lr: float, fmt: str = "fp16") -> float:
    for g in gradients:
        w = float(quantize(w - lr * g, fmt))
    return _half(w)


def _master_weights(w: float, gradients: list[float], lr: float) -> float:
    for g in gradients:
        w = float(np.float32(w - lr * g))
    return w


EXERCISES = (
    Exercise(
        "F.5",
        "Train a weight: a step for each batch, against the gradient of that batch's mean squared error.",
        ("x", "t", "lr"),
        _batches,
        lambda *lists: [_train(*case) for case in zip(*lists, strict=True)],
        "Four lines belong to each batch, and one of them is missing. `backward` adds to the gradient that is there.",
        (
            Mistake(
                "as it was given",
                lambda x, t, lr: _train(x, t, lr, clears=False),
                "Your first step is right, and the later ones are not: `backward` adds to what the batches before have "
                "left in `w.grad`.",
            ),
            Mistake(
                "one step at the end",
                lambda x, t, lr: _train(x, t, lr, steps=False),
                "A single step is taken, with the gradient of the last batch. There is one for each.",
            ),
            Mistake(
                "all batches together",
                lambda x, t, lr: _train(x, t, lr, clears=False, steps=False),
                "A single step is taken, with the gradients of all batches added. There is one for each.",
            ),
        ),
    ),
    Exercise(
        "F.6",
        "Take one step with the gradient of four micro-batches, as if they were one batch.",
        ("x", "t", "lr"),
        _batches,
        lambda *lists: [_accumulate(*case) for case in zip(*lists, strict=True)],
        "The gradients of all four are to be added up, and the mean of all is a quarter of the sum of their means.",
        (
            Mistake(
                "as it was given",
                lambda x, t, lr: _train(x, t, lr, steps=False),
                "Only the last micro-batch is left when the step comes. What clears the others away?",
            ),
            Mistake(
                "not divided",
                lambda x, t, lr: _accumulate(x, t, lr, divides=False),
                "All four are there now, and the step is four times too long: each loss is a mean of its own.",
            ),
            Mistake(
                "a step for each",
                _train,
                "You take a step after each micro-batch, and the later ones see another weight.",
            ),
            Mistake(
                "a quarter of the last",
                lambda x, t, lr: _train(x, t, lr / len(x), steps=False),
                "Divided it is now. But only the last micro-batch is left when the step comes.",
            ),
        ),
    ),
    Exercise(
        "F.7",
        "Steps with a dynamic loss scale: after `interval` good steps in a row it doubles; where a gradient is not "
        "finite, the step is left out, and it halves. Return the weight and the scale.",
        ("gradients", "scale", "interval"),
        _histories,
        lambda *lists: [_scaled_steps(*case) for case in zip(*lists, strict=True)],
        "What must not happen in a step that is not finite, and what must? And which steps are counted?",
        (
            Mistake(
                "as it was given",
                lambda gradients, scale, interval: _scaled_steps(
                    gradients, scale, interval, skips=False, halves=False, forgets=False
                ),
                "Too large a scale makes the gradient infinite, and one such step spoils the weight for ever. What "
                "should happen then, to the weight and to the scale?",
            ),
            Mistake(
                "all steps counted",
                lambda gradients, scale, interval: _scaled_steps(gradients, scale, interval, forgets=False),
                "The bad step is left out, and the scale halves. But a bad step is no good one, and ends the row.",
            ),
            Mistake(
                "never smaller",
                lambda gradients, scale, interval: _scaled_steps(gradients, scale, interval, halves=False),
                "The bad step is left out. But with the same scale the next one is as bad.",
            ),
            Mistake(
                "left out and counted",
                lambda gradients, scale, interval: _scaled_steps(
                    gradients, scale, interval, halves=False, forgets=False
                ),
                "The bad step is left out. But the scale should halve, and a bad step is not counted as a good one.",
            ),
            Mistake(
                "the step is taken",
                lambda gradients, scale, interval: _scaled_steps(gradients, scale, interval, skips=False),
                "The scale moves as it should. But the infinite gradient still reaches the weight.",
            ),
        ),
    ),
    Exercise(
        "F.8",
        "Train with weights for fp16, so that small updates count. Return the weight that the next forward pass sees, "
        "in fp16.",
        ("w", "gradients", "lr"),
        _updates,
        lambda *lists: [_half(_master_weights(*case)) for case in zip(*lists, strict=True)],
        "Where is the update added, and in which format? Only the forward pass needs fp16.",
        (
            Mistake(
                "as it was given",
                _fp16_weights,
                "An update of less than half a unit of the weight is lost, each time. Add the updates up in fp32.",
            ),
            Mistake(
                "never rounded",
                _master_weights,
                "That is the weight in fp32, the master copy. The forward pass sees it rounded to fp16.",
            ),
            Mistake(
                "in bf16",
                lambda w, gradients, lr: _fp16_weights(w, gradients, lr, "bf16"),
                "bf16 keeps fewer bits than fp16, so even larger updates are lost.",
            ),
        ),
    ),
)
