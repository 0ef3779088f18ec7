"""Is a gradient right? Compared with central differences, in float64.

    df/dx_i  is about  (f(x + h e_i) - f(x - h e_i)) / 2h

The error is of the order of h**2 from the curvature and of 2**-53 / h from the rounding, so that h = 1e-6
leaves about nine digits. A function with a kink (relu at 0) has to be checked away from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from floatlab.autograd.operation import Array
from floatlab.autograd.recording import no_grad
from floatlab.autograd.rounding import FLOAT64
from floatlab.autograd.tensor import Tensor
from floatlab.errors import AutogradError

__all__ = ["Disagreement", "gradcheck", "numerical_gradient"]


@dataclass(frozen=True)
class Disagreement:
    """The element of an input at which the two gradients are furthest apart."""

    input: int
    index: tuple[int, ...]
    computed: float
    numerical: float
    error: float  # |computed - numerical| / max(1, |numerical|)

    def __str__(self) -> str:
        return (
            f"input {self.input} at {self.index}: computed {self.computed:.9g}, numerical "
            f"{self.numerical:.9g}, error {self.error:.2g}"
        )


def numerical_gradient(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], index: int, weight: Array, eps: float = 1e-6
) -> Array:
    """Return the gradient of ``sum(weight * function(*inputs))`` by one input, by central differences."""
    values = inputs[index].array
    gradient = np.zeros(values.shape)
    with no_grad():
        for place in np.ndindex(values.shape):
            there = values[place]
            sides = []
            for step in (eps, -eps):
                values[place] = there + step
                sides.append(np.sum(weight * np.asarray(function(*inputs).array, np.float64)))
            values[place] = there
            gradient[place] = (sides[0] - sides[1]) / (2 * eps)
    return gradient


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    *,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Disagreement | None:
    """Compare the gradients of a function of tensors with central differences.

    Parameters
    ----------
    function : callable
        Takes the inputs, returns one tensor of any shape.
    inputs : sequence of Tensor
        In the format float64; those with ``requires_grad`` are checked.
    eps : float
        The step of the differences.
    tolerance : float
        The largest allowed error, absolute below 1 and relative above.
    seed : int
        Chooses the weights with which the elements of the output are added up.

    Returns
    -------
    Disagreement or None
        The worst element, all within `tolerance`; None if no input has an element.

    Raises
    ------
    AutogradError
        If a gradient is missing, is not finite, or is further off than `tolerance`; the message shows the
        worst element of each input. Also if an input is not in float64.

    Examples
    --------
    >>> x = Tensor([0.5, 2.0], requires_grad=True, format="fp64")
    >>> gradcheck(lambda x: x * x, [x]).error < 1e-6
    True
    """
    for i, x in enumerate(inputs):
        if not (x.format.same_as(FLOAT64) and x.gradient_format.same_as(FLOAT64)):
            raise AutogradError(
                f'gradcheck works in float64. Got input {i} in {x.format}. Make it with format="fp64".'
            )
        x.grad = None
    output = function(*inputs)
    weight = np.random.default_rng(seed).uniform(0.5, 1.5, output.shape)
    output.backward(weight)
    worst = []
    for i, x in enumerate(inputs):
        if not x.requires_grad or not x.size:
            continue
        numerical = numerical_gradient(function, inputs, i, weight, eps)
        computed = np.zeros(x.shape) if x.grad is None else x.grad.array
        error = np.abs(computed - numerical) / np.maximum(1.0, np.abs(numerical))
        error = np.where(np.isfinite(error), error, np.inf)
        place = np.unravel_index(error.argmax(), error.shape)
        found = tuple(int(n) for n in place)
        worst.append(
            Disagreement(i, found, float(computed[place]), float(numerical[place]), float(error[place]))
        )
    wrong = [w for w in worst if w.error > tolerance]
    if wrong:
        raise AutogradError(
            f"Gradients agree with central differences to {tolerance:g}. Got {'; '.join(map(str, wrong))}. "
            "Check the derivative, or move the inputs away from a kink."
        )
    return max(worst, key=lambda w: w.error, default=None)
