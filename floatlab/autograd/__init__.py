"""Automatic differentiation in any float format: tensors, the graph, and the table of operations."""

from floatlab.autograd.check import gradcheck
from floatlab.autograd.function import Function
from floatlab.autograd.graph import Event, Observer, cast_policy, observers, scope
from floatlab.autograd.ops.joining import cat, maximum, minimum, stack, where
from floatlab.autograd.tensor import Tensor, apply
from floatlab.autograd.value import is_recording, no_grad
from floatlab.context import Arithmetic, accumulator, arithmetic

__all__ = [
    "Arithmetic",
    "Event",
    "Function",
    "Observer",
    "Tensor",
    "accumulator",
    "apply",
    "arithmetic",
    "cast_policy",
    "cat",
    "gradcheck",
    "is_recording",
    "maximum",
    "minimum",
    "no_grad",
    "observers",
    "scope",
    "stack",
    "where",
]
