"""Which functions take several tensors? Choosing and joining, by PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from floatlab.autograd.discrete import DiscreteArray, discrete
from floatlab.autograd.tensor import Tensor, apply
from floatlab.errors import ShapeError

__all__ = ["cat", "maximum", "minimum", "stack", "where"]


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return `a` where the condition holds and `b` elsewhere; one of them may be a number.

    >>> x = Tensor([1.0, -2.0])
    >>> where(x > 0, x, 0.0)
    Tensor([1., 0.], format=float32)
    """
    if _are_whole((a, b)):
        return discrete(np.where(np.asarray(condition, bool), a, b))
    return apply("where", a, b, condition=np.asarray(condition, bool))


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Return tensors, or arrays of whole numbers, joined along an axis.

    >>> cat([Tensor([1.0]), Tensor([2.0, 3.0])])
    Tensor([1., 2., 3.], format=float32)
    """
    if _are_whole(tensors):
        return _joined(np.concatenate, tensors, dim)
    return apply("cat", *tensors, axis=dim)


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Return tensors, or arrays of whole numbers, of one shape joined along a new axis.

    >>> stack([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])], dim=1)
    Tensor([[1., 3.],
            [2., 4.]], format=float32)
    """
    if _are_whole(tensors):
        return _joined(np.stack, tensors, dim)
    return apply("stack", *tensors, axis=dim)


def maximum(a: Any, b: Any) -> Tensor:
    """Return the larger of the two, element by element; equal elements share the gradient."""
    return apply("maximum", a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """Return the smaller of the two, element by element; equal elements share the gradient."""
    return apply("minimum", a, b)


def _are_whole(parts: Sequence[Any]) -> bool:
    """Whether these are whole numbers or truth values, of which at least one is an array."""
    return any(isinstance(x, DiscreteArray) for x in parts) and all(
        isinstance(x, int | np.integer) or (isinstance(x, np.ndarray) and x.dtype.kind in "iub")
        for x in parts
    )


def _joined(join: Callable[..., Any], parts: Sequence[Any], dim: int) -> Any:
    try:
        return discrete(join([np.asarray(x) for x in parts], dim))
    except ValueError as error:
        shapes = ", ".join(str(np.shape(x)) for x in parts)
        raise ShapeError(
            f"What is joined fits together. Got shapes {shapes} for dim={dim}. ({error})"
        ) from None
