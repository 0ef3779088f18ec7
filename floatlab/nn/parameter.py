"""What does a layer learn? Parameters: leaves that require a gradient."""

from __future__ import annotations

from typing import Any

from floatlab.autograd import Tensor
from floatlab.formats import FloatFormat

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that a module owns and an optimizer changes: a leaf that requires a gradient.

    Examples
    --------
    >>> Parameter([1.0, 2.0]).requires_grad
    True
    """

    def __init__(self, data: Any, requires_grad: bool = True, format: str | FloatFormat = "fp32") -> None:
        super().__init__(data, requires_grad=requires_grad, format=format)
