"""Automatic differentiation in any float format: tensors, the graph, and the table of operations."""

from floatlab.autograd.backward import grad
from floatlab.autograd.check import gradcheck
from floatlab.autograd.function import Function
from floatlab.autograd.graph import BlockCast, Event, Observer, cast_policy, observers, scope
from floatlab.autograd.ops.joining import cat, maximum, minimum, stack, where
from floatlab.autograd.randomness import manual_seed
from floatlab.autograd.recomputation import checkpoint
from floatlab.autograd.recording import enable_grad, inference_mode, is_recording, no_grad, set_grad_enabled
from floatlab.autograd.tensor import Tensor, apply
from floatlab.context import Arithmetic, accumulator, arithmetic

is_grad_enabled = is_recording  # PyTorch's name

__all__ = [
    "Arithmetic",
    "BlockCast",
    "Event",
    "Function",
    "Observer",
    "Tensor",
    "accumulator",
    "apply",
    "arithmetic",
    "cast_policy",
    "cat",
    "checkpoint",
    "enable_grad",
    "grad",
    "gradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_recording",
    "manual_seed",
    "maximum",
    "minimum",
    "no_grad",
    "observers",
    "scope",
    "set_grad_enabled",
    "stack",
    "where",
]
