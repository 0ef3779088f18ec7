"""How large may a gradient be? Clipping by the total norm, or value by value.

Clip what has been *unscaled*: under a loss scale of 65536 every gradient is 65536 times too long, and
clipping it to length 1 throws nearly all of it away. Call ``scaler.unscale_(optimizer)`` first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import AutogradError, OptionError
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize
from floatlab.sums import matmul as accumulate

__all__ = ["clip_grad_norm_", "clip_grad_value_", "grad_norm"]

_FP32 = get_format("float32")


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in _tensors(parameters) if p.grad is not None]


def _tensors(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return the parameters as a list; raise OptionError if they are none."""
    tensors = [parameters] if isinstance(parameters, Tensor) else parameters
    tensors = list(tensors) if isinstance(tensors, Iterable) else [tensors]
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise OptionError(
                f"Gradients are those of parameters. Got {type(tensor).__name__}. Pass model.parameters()."
            )
    return tensors


def grad_norm(parameters: Tensor | Iterable[Tensor], norm_type: float = 2.0) -> float:
    """Return the norm of all gradients taken as one vector; 0 where there are none.

    `norm_type` is 1, 2 or infinity. A NaN in any gradient makes the norm NaN. The squares of float32 numbers are exact
    in float64, and their sum does not depend on a BLAS; float64 gradients are scaled first, so that no square over- or
    underflows.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = fl.Tensor([3.0, -4.0])
    >>> grad_norm(w), grad_norm(w, 1), grad_norm(w, math.inf)
    (5.0, 7.0, 4.0)
    """
    if not _is_limit(norm_type) or norm_type not in (1.0, 2.0, math.inf):
        raise OptionError(f"norm_type is 1, 2 or inf. Got {norm_type!r}. Use 2, the Euclidean norm.")
    gradients = [gradient for gradient in _gradients(parameters) if gradient.array.size]
    exponent = _exponent(gradients) if norm_type == 2.0 else 0
    total = 0.0
    for gradient in gradients:
        values = np.abs(gradient.array, dtype=np.float64).ravel()
        if norm_type == math.inf:
            total = float(np.maximum(total, values.max()))  # NaN if any is, whatever comes after it
            continue
        if exponent:
            np.ldexp(values, -exponent, out=values)
        terms = values if norm_type == 1.0 else values * values
        with np.errstate(over="ignore", invalid="ignore"):
            total += float(accumulate.sum(terms, "float64", accumulator="pairwise:float64"))
    if norm_type != 2.0:
        return total
    with np.errstate(over="ignore"):
        return float(np.ldexp(math.sqrt(total), exponent))


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _exponent(gradients: list[Tensor]) -> int:
    """Return what to divide by, as a power of two: that of the largest number, if some are in float64."""
    if all(gradient.array.dtype != np.float64 for gradient in gradients):
        return 0
    largest = np.max([np.abs(gradient.array).max() for gradient in gradients])
    return math.frexp(largest)[1] if 0 < largest < math.inf else 0


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients down, in place, so that their norm is at most `max_norm`; return the norm before.

    The factor is ``max_norm / (norm + 1e-6)``, at most 1, as in PyTorch; it is applied in each gradient's
    own format.

    Raises
    ------
    AutogradError
        With `error_if_nonfinite`, if the norm is infinite or NaN.
    OptionError
        If `max_norm` is below 0 or NaN.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = fl.Tensor([3.0, 4.0])
    >>> fl.optim.clip_grad_norm_([w], max_norm=1.0)
    5.0
    >>> w.grad.data
    array([0.5999999 , 0.79999983], dtype=float32)
    """
    if not (_is_limit(max_norm) and max_norm >= 0.0):
        raise OptionError(f"max_norm is at least 0. Got {max_norm!r}. Give the largest allowed norm.")
    gradients = _gradients(parameters := _tensors(parameters))
    norm = grad_norm(parameters, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise AutogradError(
            f"Gradients can be clipped only while their norm is finite. Got a norm of {norm}. "
            "Let a GradScaler skip such steps."
        )
    factor = float(max_norm) / (norm + 1e-6)
    if factor < 1.0 or math.isnan(factor):
        with np.errstate(invalid="ignore"):
            for gradient in gradients:
                # In fp32 as in PyTorch; for another format in float64, and then rounded.
                scalar = np.float32 if gradient.format.same_as(_FP32) else np.float64
                _store(gradient, gradient.array * scalar(factor))
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of each gradient to [-clip_value, clip_value], in place; a NaN stays.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = fl.Tensor([3.0, -0.5])
    >>> fl.optim.clip_grad_value_([w], 1.0)
    >>> w.grad.data
    array([ 1. , -0.5], dtype=float32)
    """
    if not (_is_limit(clip_value) and clip_value >= 0.0):
        raise OptionError(
            f"clip_value is at least 0. Got {clip_value!r}. Give the largest allowed magnitude."
        )
    for gradient in _gradients(parameters):
        _store(gradient, np.clip(gradient.array, -clip_value, clip_value))


def _store(gradient: Tensor, values: np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float64]]) -> None:
    gradient.array[...] = quantize(values, gradient.format)
