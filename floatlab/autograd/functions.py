"""What are a tensor's methods as functions? ``softmax(x, 1)``, and `floatlab.exp`, `sum` ... of tensors.

The functions of `floatlab` compute with FloatArrays and plain numbers. Given a tensor, they hand over to
`on_tensors`: the same operation with PyTorch's arguments, and a place in the graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import numpy as np

from floatlab.autograd.discrete import DiscreteArray
from floatlab.autograd.ops.table import TABLE
from floatlab.autograd.tensor import Tensor, apply
from floatlab.autograd.value import Value
from floatlab.context import Arithmetic, arithmetic
from floatlab.errors import DtypeError, FormatError, ShapeError, check_option

__all__ = [
    "abs",
    "allclose",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "argsort",
    "bmm",
    "chunk",
    "clamp",
    "clip",
    "clone",
    "equal",
    "flatten",
    "flip",
    "gather",
    "index_select",
    "isfinite",
    "isinf",
    "isnan",
    "log_softmax",
    "masked_fill",
    "max",
    "min",
    "mm",
    "neg",
    "on_tensors",
    "permute",
    "pow",
    "relu",
    "reshape",
    "softmax",
    "sort",
    "split",
    "squeeze",
    "topk",
    "transpose",
    "tril",
    "triu",
    "unbind",
    "unsqueeze",
]

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
#: Which functions only choose among values, so that an array without a format serves: ``fl.max(output.data, 1)``.
_CHOOSING = ("amax", "amin", "argmax", "argmin", "argsort", "max", "min", "sort", "topk")
_ARITHMETIC = {field.name for field in fields(Arithmetic)}


def _as_function(name: str) -> Callable[..., Any]:
    """Return a method of tensors as a function of a tensor."""
    method = getattr(Tensor, name)

    @wraps(method)
    def function(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(x, Value):
            if isinstance(x, DiscreteArray) and hasattr(x, name):
                return getattr(x, name)(*args, **kwargs)
            if (
                name not in _CHOOSING
                or not isinstance(x, np.ndarray)
                or str(x.dtype) not in ("float32", "float64")
            ):
                raise DtypeError(f"{name} takes a tensor. Got {type(x).__name__}. Use Tensor(...).")
            x = Tensor(x, format=str(x.dtype))  # the data of a tensor, of which some are only chosen
        return method(x, *args, **kwargs)

    function.__module__, function.__name__, function.__qualname__ = (
        __name__,
        name,
        name,
    )  # where pickle finds it
    return function


abs = _as_function("abs")
amax = _as_function("amax")
amin = _as_function("amin")
argmax = _as_function("argmax")
argmin = _as_function("argmin")
argsort = _as_function("argsort")
bmm = _as_function("bmm")
chunk = _as_function("chunk")
clamp = _as_function("clamp")
clip = _as_function("clip")
clone = _as_function("clone")
flatten = _as_function("flatten")
flip = _as_function("flip")
gather = _as_function("gather")
index_select = _as_function("index_select")
isfinite = _as_function("isfinite")
isinf = _as_function("isinf")
isnan = _as_function("isnan")
log_softmax = _as_function("log_softmax")
masked_fill = _as_function("masked_fill")
max = _as_function("max")
min = _as_function("min")
mm = _as_function("mm")
neg = _as_function("neg")
permute = _as_function("permute")
pow = _as_function("pow")
relu = _as_function("relu")
reshape = _as_function("reshape")
softmax = _as_function("softmax")
sort = _as_function("sort")
split = _as_function("split")
squeeze = _as_function("squeeze")
topk = _as_function("topk")
transpose = _as_function("transpose")
tril = _as_function("tril")
triu = _as_function("triu")
unbind = _as_function("unbind")
unsqueeze = _as_function("unsqueeze")


def equal(a: Any, b: Any) -> bool:
    """Return whether two tensors, or arrays of whole numbers, have one shape and the same values; a NaN equals none.

    >>> equal(Tensor([1.0]), Tensor([1.0], format="bf16")), equal(Tensor([1.0]), Tensor([[1.0]]))
    (True, False)
    """
    return bool(np.array_equal(_values_of("equal", a), _values_of("equal", b)))


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Return whether ``|a - b| <= atol + rtol * |b|`` holds for all values, broadcast to each other.

    >>> allclose(Tensor([1.0]), Tensor([1.000001])), allclose(Tensor([1.0]), Tensor([1.001]))
    (True, False)
    """
    first, second = _values_of("allclose", a), _values_of("allclose", b)
    try:
        return bool(np.allclose(first, second, rtol, atol, equal_nan))
    except ValueError:
        raise ShapeError(
            f"allclose compares shapes that fit together. Got {first.shape} and {second.shape}. Check them."
        ) from None


def _values_of(name: str, x: Any) -> Any:
    if not isinstance(x, Value | np.ndarray):
        raise DtypeError(f"{name} takes two tensors. Got {type(x).__name__}. Use Tensor(...).")
    return np.asarray(x).astype(np.float64) if isinstance(x, Value) else np.asarray(x)


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
