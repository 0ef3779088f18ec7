"""What is done to a model's gradients and parameters as a whole? PyTorch's torch.nn.utils."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import ShapeError
from floatlab.optim.clipping import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the values of all parameters, one behind the other, in the format of the first.

    >>> parameters_to_vector([Tensor([[1.0, 2.0]]), Tensor([3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    tensors = list(parameters)
    if not tensors:
        raise ShapeError("A vector is made of parameters. Got none. Give model.parameters().")
    return Tensor(np.concatenate([p.array.ravel() for p in tensors]), format=tensors[0].format)


def vector_to_parameters(vector: Tensor, parameters: Iterable[Tensor]) -> None:
    """Put the values of a vector into parameters, in place; the counterpart of `parameters_to_vector`."""
    tensors = list(parameters)
    if vector.ndim != 1 or vector.size != sum(p.size for p in tensors):
        raise ShapeError(
            f"The vector has a value for each of {sum(p.size for p in tensors)} weights. Got shape {vector.shape}. "
            "Give the same model."
        )
    start = 0
    for p in tensors:
        p.data = vector.array[start : start + p.size].reshape(p.shape)
        start += p.size
