"""How is a scale taken off a gradient, and is all of it finite?"""

from __future__ import annotations

import math

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import ScalerError
from floatlab.formats import FloatFormat, get_format
from floatlab.optim import Optimizer
from floatlab.rounding.quantize import quantize

__all__ = ["check_unscalable", "is_finite", "is_wide", "unscale"]

_FP32 = get_format("float32")
_FLOAT64 = get_format("float64")


def check_unscalable(p: Tensor, optimizer: Optimizer) -> None:
    """Raise an error if the gradient of `p` has too narrow a format to be unscaled in."""
    assert p.grad is not None
    fmt = p.grad.format
    # bf16 and tf32 have fp32's exponents, so unscaling in them loses nothing to underflow.
    if fmt.emin > _FP32.emin and not optimizer.master_weights:
        raise ScalerError(
            "Gradients are unscaled in a format with the range of fp32, or what scaling saved is lost "
            f"again. Got a gradient in {fmt.name} for {p.name or 'a parameter'!r} of shape {p.shape}. "
            "Keep the weights in fp32 and use autocast, or give the optimizer master_weights=True."
        )


def is_finite(p: Tensor) -> bool:
    """Return whether all of a gradient is finite."""
    assert p.grad is not None
    values = p.grad.array
    # An infinity shows in the minimum or the maximum, a NaN in both: no array of flags is needed.
    return not values.size or (math.isfinite(float(values.min())) and math.isfinite(float(values.max())))


def unscale(p: Tensor, inverse: float) -> bool:
    """Multiply one gradient by `inverse`; return whether all of it was finite."""
    finite = is_finite(p)
    gradient = p.grad
    assert gradient is not None
    values = gradient.array
    fmt = gradient.format
    if fmt.emin > _FP32.emin:  # a low-precision weight with a master copy: the gradient goes on in fp32
        p.grad = Tensor._wrap(values.astype(np.float32) * np.float32(inverse), _FP32, _FP32)
    elif inverse != 1.0:
        np.multiply(values, inverse, out=values)
        if not is_wide(fmt):
            values[...] = quantize(values, fmt)
    return finite


def is_wide(fmt: FloatFormat) -> bool:
    """Return whether a format is one that gradients are scaled in: float32 or float64."""
    return fmt.same_as(_FP32) or fmt.same_as(_FLOAT64)
