"""What is a tensor of PyTorch's, as an array? The same memory; bfloat16 and float8 as ml_dtypes' types of these names.

PyTorch's own ``numpy()`` shares memory, whatever the strides, but knows no type that NumPy lacks. A tensor of such a
type is seen as integers first, and these as what they mean.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, cast

import ml_dtypes
import numpy as np

from floatlab.errors import AutogradError, DtypeError, FormatError, OptionError
from floatlab.interchange.library import Array, Library, loaded, refuse_device

__all__ = ["PyTorch", "opaque", "tensor_of"]

F = TypeVar("F", bound=Callable[..., Any])

#: PyTorch's types that NumPy has not, by the name that ml_dtypes and PyTorch share, and integers of their length.
_NARROW = {
    "bfloat16": "int16",
    "float8_e4m3fn": "uint8",
    "float8_e5m2": "uint8",
    "float8_e4m3fnuz": "uint8",
    "float8_e5m2fnuz": "uint8",
    "float8_e8m0fnu": "uint8",
}

_RECIPE = (
    "Use x.detach() where no gradient is wanted; for a straight-through one, a torch.autograd.Function whose "
    "forward returns fl.quantize(x.detach(), fmt) and whose backward returns the gradient it is given"
)


def opaque(function: F) -> F:
    """Return a function that torch.compile does not look into: it would make PyTorch's operations of NumPy's.

    Where nothing was ever compiled it is the function itself.

    >>> opaque(len)([1, 2])
    2
    """
    return function if "torch._dynamo" not in sys.modules else cast(F, _disabled(function))


@lru_cache(maxsize=8)
def _disabled(function: Callable[..., Any]) -> Callable[..., Any]:
    disabled: Callable[..., Any] = sys.modules["torch"].compiler.disable(function)
    return disabled


class PyTorch(Library):
    """Tensors of PyTorch's."""

    name = "PyTorch"

    def owns(self, kind: type) -> bool:
        """Whether this is a type of tensors."""
        tensor = loaded("torch", "Tensor")
        return tensor is not None and issubclass(kind, tensor)

    def take(self, x: Any, done: str, looking: bool = False) -> Array:
        """Return the memory of a dense tensor of real numbers on the CPU."""
        torch = sys.modules["torch"]
        if not looking:
            _refuse_gradients(x, done)
        _refuse_strange(x, done)
        x = x.detach()
        name = str(x.dtype).removeprefix("torch.")
        try:
            if name not in _NARROW:
                return np.asarray(x.numpy())
            bits = x.view(getattr(torch, _NARROW[name])).numpy()
        except (
            RuntimeError,
            TypeError,
        ) as error:  # of types that NumPy has not, and inside vmap
            reason = str(error).splitlines()[0].rstrip(".")
            raise DtypeError(
                f"A tensor that can be {done} has numbers in memory. Got a {type(x).__name__} of {x.dtype} ({reason}). "
                "Use a plain tensor of floats or integers, outside of torch.func."
            ) from None
        return np.asarray(bits).view(getattr(ml_dtypes, name))

    def give(self, values: Array, like: Any) -> Any:
        """Return a tensor over the memory of an array."""
        return tensor_of(values)

    def take_out(self, out: Any) -> Array:
        """Return the memory of a tensor, if every element has a place of its own in it."""
        array = self.take(out, "written to")
        if any(step == 0 and n > 1 for step, n in zip(out.stride(), out.shape, strict=True)):
            raise OptionError(
                "Every element of out has a place of its own. Got an expanded tensor. Pass out.clone()."
            )
        return array

    def written(self, out: Any) -> None:
        """Tell PyTorch's autograd, which checks that what it saved for a backward pass has not changed."""
        sys.modules["torch"].autograd.graph.increment_version(out)


def _refuse_gradients(x: Any, done: str) -> None:
    """Refuse a tensor whose gradient would end here; under ``torch.no_grad()`` there is none to lose."""
    torch = sys.modules["torch"]
    if x.requires_grad and torch.is_grad_enabled():
        raise AutogradError(
            f"What is {done} here is no operation of PyTorch's graph. Got a tensor that requires a gradient. {_RECIPE}."
        )
    forward_ad = loaded("torch.autograd", "forward_ad")
    if forward_ad is not None and forward_ad.unpack_dual(x).tangent is not None:
        raise AutogradError(
            f"What is {done} here is no operation of PyTorch's forward mode. Got a tensor with a tangent. {_RECIPE}."
        )


def _refuse_strange(x: Any, done: str) -> None:
    """Refuse a tensor whose numbers are not simply there."""
    torch = sys.modules["torch"]
    strange = (
        (x.is_nested, "a nested tensor", "Use x.unbind(), and its tensors one by one"),
        (x.layout != torch.strided, f"one of layout {x.layout}", "Use x.to_dense()"),
        (x.device.type == "meta", "one on the meta device, which has no numbers", "Use a real device"),
        (x.is_quantized, f"a quantized one of {x.dtype}", "Use x.dequantize()"),
        (x.dtype.is_complex, f"one of {x.dtype}", "Use x.real and x.imag.clone(), one by one"),
        (x.is_conj(), "a conjugate that is not yet computed", "Use x.resolve_conj()"),
        (x.is_neg(), "a negative that is not yet computed", "Use x.resolve_neg()"),
    )
    for is_so, what, way_out in strange:
        if is_so:
            raise DtypeError(
                f"A tensor that can be {done} is a dense one of real numbers. Got {what}. {way_out}."
            )
    if x.device.type != "cpu":
        refuse_device("tensor", x.device)


def tensor_of(values: Array) -> Any:
    """Return an array as a tensor of PyTorch's, over the same memory where that may be written to.

    Raises
    ------
    FormatError
        If PyTorch has no type for it, or was not imported.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        raise FormatError(
            "Who asks for a tensor of PyTorch's has imported it. Got no torch. Write import torch."
        )
    if values.dtype.name in _NARROW:
        word = np.dtype(_NARROW[values.dtype.name])
        return tensor_of(values.view(word)).view(getattr(torch, values.dtype.name))
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if not values.flags.writeable or min(values.strides, default=0) < 0:
        values = values.copy()
    try:
        return torch.from_numpy(values)
    except TypeError:
        raise FormatError(
            f"PyTorch has no type for every format. Got {values.dtype}. Use the values, or the codes."
        ) from None
