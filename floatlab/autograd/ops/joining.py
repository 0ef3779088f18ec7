"""Which functions take several tensors? Choosing and joining, by PyTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from floatlab.autograd.tensor import Tensor, apply

__all__ = ["cat", "maximum", "minimum", "stack", "where"]


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """Return `a` where the condition holds and `b` elsewhere; one of them may be a number.

    >>> x = Tensor([1.0, -2.0])
    >>> where(x > 0, x, 0.0)
    Tensor([1., 0.], format=float32)
    """
    return apply("where", a, b, condition=np.asarray(condition, bool))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return tensors joined along an axis.

    >>> cat([Tensor([1.0]), Tensor([2.0, 3.0])])
    Tensor([1., 2., 3.], format=float32)
    """
    return apply("cat", *tensors, axis=dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return tensors of one shape joined along a new axis.

    >>> stack([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])], dim=1)
    Tensor([[1., 3.],
            [2., 4.]], format=float32)
    """
    return apply("stack", *tensors, axis=dim)


def maximum(a: Any, b: Any) -> Tensor:
    """Return the larger of the two, element by element; equal elements share the gradient."""
    return apply("maximum", a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """Return the smaller of the two, element by element; equal elements share the gradient."""
    return apply("minimum", a, b)
