"""What are a tensor's methods as functions? ``softmax(x, 1)``, and `floatlab.exp`, `sum` ... of tensors.

The functions of `floatlab` compute with FloatArrays and plain numbers. Given a tensor, they hand over to
`on_tensors`: the same operation with PyTorch's arguments, and a place in the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from floatlab.autograd.ops.table import TABLE
from floatlab.autograd.tensor import Tensor, apply
from floatlab.autograd.value import Value
from floatlab.context import Arithmetic, arithmetic
from floatlab.errors import DtypeError, FormatError, check_option

__all__ = ["METHODS", "as_function", "on_tensors"]

#: Tensor methods that are functions as well.
METHODS = (
    *(
        "argmax",
        "argmin",
        "argsort",
        "bmm",
        "chunk",
        "clamp",
        "clone",
        "flatten",
        "flip",
        "gather",
        "isfinite",
        "isinf",
    ),
    *(
        "isnan",
        "log_softmax",
        "masked_fill",
        "max",
        "min",
        "mm",
        "neg",
        "permute",
        "relu",
        "reshape",
        "softmax",
        "sort",
    ),
    *(
        "split",
        "squeeze",
        "topk",
        "transpose",
        "tril",
        "triu",
        "unbind",
        "unsqueeze",
        "amax",
        "amin",
        "index_select",
    ),
)

#: What the functions of arrays are called in the table of operations, where the name is another.
_OPERATIONS = {"subtract": "sub", "multiply": "mul", "divide": "div", "power": "pow", "dot": "matmul"}
_OF_TWO = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "hypot",
    "arctan2",
    "logaddexp",
    "logaddexp2",
    "matmul",
    "dot",
)
_ARITHMETIC = {field.name for field in fields(Arithmetic)}


def as_function(name: str) -> Callable[..., Any]:
    """Return a method of tensors as a function of a tensor."""
    method = getattr(Tensor, name)

    def function(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(x, Value):
            raise DtypeError(f"{name} takes a tensor. Got {type(x).__name__}. Use Tensor(...).")
        return method(x, *args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = method.__doc__
    return function


def on_tensors(name: str, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Compute a function of `floatlab` on tensors; options of the arithmetic hold for it alone."""
    rules = {key: options.pop(key) for key in _ARITHMETIC & options.keys()}
    if rules:
        with arithmetic(**rules):
            return on_tensors(name, operands, options)
    fmt = options.pop("fmt", None)
    fmt = next((x for x in operands[1:] if isinstance(x, str)), fmt)
    if fmt is not None:
        raise FormatError(
            f"The result of {name} of tensors has their format, so that gradients know theirs. Got fmt={fmt!r}. "
            "Convert an operand, or the result, with x.to(format)."
        )
    if name in _OF_TWO:
        named = [options.pop(key) for key in ("a", "b", "y", "x") if key in options]
        for option in options:
            check_option(f"an option of {name}", option, sorted(_ARITHMETIC))
        return apply(_OPERATIONS.get(name, name), *operands, *(named if name != "power" else named[::-1]))
    if not operands and "x" in options:
        operands = (options.pop("x"),)
    if "ddof" in options:
        options["correction"] = options.pop("ddof")
    x, *rest = operands
    method = getattr(Tensor, name, None)
    if isinstance(x, Value) and (name in TABLE or method is not None):
        known = [*inspect.signature(method).parameters][1:] if method is not None else []
        for option in options:
            check_option(f"an option of {name}", option, (*known, *sorted(_ARITHMETIC)))
        return apply(name, x) if method is None else method(x, *rest, **options)
    raise DtypeError(
        f"{name} computes with FloatArrays and numbers. Got a tensor. "
        "Use one of its methods, or fl.array(x.data, x.format), which has no gradient."
    )
