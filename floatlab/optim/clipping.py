"""How large may a gradient be? Clipping by the total norm, or value by value.

Clip what has been *unscaled*: under a loss scale of 65536 every gradient is 65536 times too long, and
clipping it to length 1 throws nearly all of it away. Call ``scaler.unscale_(optimizer)`` first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from floatlab import accumulate
from floatlab.autograd import Tensor
from floatlab.errors import AutogradError, OptionError
from floatlab.formats import get_format
from floatlab.rounding import quantize

__all__ = ["clip_grad_norm_", "clip_grad_value_", "grad_norm"]

_FP32 = get_format("float32")


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in tensors if p.grad is not None]


def grad_norm(parameters: Tensor | Iterable[Tensor], norm_type: float = 2.0) -> float:
    """Return the norm of all gradients taken as one vector; 0 where there are none.

    `norm_type` is 1, 2 or infinity. The squares are exact in float64 and their sum does not depend on a BLAS.
    """
    if norm_type not in (1.0, 2.0, math.inf):
        raise OptionError(f"norm_type is 1, 2 or inf. Got {norm_type!r}. Use 2, the Euclidean norm.")
    total = 0.0
    for gradient in _gradients(parameters):
        values = np.abs(gradient.data, dtype=np.float64).ravel()
        if not values.size:
            continue
        if norm_type == math.inf:
            largest = float(values.max())  # NaN if any is
            total = largest if not largest <= total else total
        else:
            terms = values if norm_type == 1.0 else values * values
            with np.errstate(over="ignore", invalid="ignore"):
                total += float(accumulate.sum(terms, "float64", accumulator="pairwise:float64"))
    return math.sqrt(total) if norm_type == 2.0 else total


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
    gradients = _gradients(parameters := [parameters] if isinstance(parameters, Tensor) else list(parameters))
    norm = grad_norm(parameters, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise AutogradError(
            f"Gradients can be clipped only while their norm is finite. Got a norm of {norm}. "
            "Let a GradScaler skip such steps."
        )
    factor = max_norm / (norm + 1e-6)
    if factor < 1.0 or math.isnan(factor):
        with np.errstate(invalid="ignore"):
            for gradient in gradients:
                # In fp32 as in PyTorch; for a narrower format in float64, and rounded once.
                scalar = np.float32 if gradient.format.same_as(_FP32) else np.float64
                _store(gradient, gradient.data * scalar(factor))
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
    if not clip_value >= 0.0:
        raise OptionError(
            f"clip_value is at least 0. Got {clip_value!r}. Give the largest allowed magnitude."
        )
    for gradient in _gradients(parameters):
        _store(gradient, np.clip(gradient.data, -clip_value, clip_value))


def _store(gradient: Tensor, values: np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float64]]) -> None:
    gradient.data[...] = quantize(values, gradient.format)
