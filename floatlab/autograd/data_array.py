"""What is `x.data`? The array behind a tensor itself, which answers to the tensor's methods as well.

``p.data.mul_(0.5)``, ``p.data.clamp_(-c, c)`` and ``p.data.copy_(q.data)`` stand in many programs, and each changes the
tensor. So the array takes every method that NumPy's arrays do not have from a tensor over the same memory, which
rounds to the tensor's format and counts its changes. What is computed from it with NumPy is a plain array again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array
from floatlab.errors import FormatMismatchError
from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize

__all__ = ["DataArray", "as_values"]


class DataArray(np.ndarray[Any, Any]):
    """The values of a tensor as an array; made by ``Value.data`` alone.

    >>> from floatlab import Tensor
    >>> p = Tensor([1.0, 3.0], format="e4m3", requires_grad=True)
    >>> _ = p.data.mul_(0.3)
    >>> p.data
    array([0.3125, 0.875 ], dtype=float32)
    """

    #: The tensor whose memory this is; parts of the array (``p.data[0]``) know it, too.
    _of: Any = None

    def __array_finalize__(self, origin: Any) -> None:
        self._of = getattr(origin, "_of", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return what NumPy has computed: written into this array it is this array, else a plain one."""
        if array is self:
            return self
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def is_all_of(self, array: np.ndarray[Any, Any]) -> bool:
        """Whether it is the same memory as another array, seen in the same way."""
        same = self.shape == array.shape and self.strides == array.strides and self.dtype == array.dtype
        return same and self.ctypes.data == array.ctypes.data

    @property
    def is_of_tensor(self) -> bool:
        """Whether it holds values of a tensor's format."""
        return self._of is not None and self.dtype == self._of.format.value_dtype

    def as_tensor(self) -> Any:
        """Return a tensor of these values, over the same memory, that asks for no gradient."""
        of = self._of
        if not self.is_of_tensor:
            raise AttributeError("values that are of no tensor's format are an array, and nothing more")
        made = of._wrap(self.view(np.ndarray), of.format, of.gradient_format)
        made._version = of._version
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(type(self._of), name):
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )
        found = getattr(self.as_tensor(), name)
        return self._changing(found) if name.endswith("_") and name != "copy_" else found

    def _changing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that changes in place, and takes arrays of values of the format for tensors."""
        of = self._of

        def changed(*given: Any, **options: Any) -> Any:
            tensors = [
                of._wrap(as_values(np.asarray(x), of.format), of.format, of.format)
                if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim
                else x
                for x in given
            ]
            return method(*tensors, **options)

        return changed

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


def as_values(array: Array, fmt: FloatFormat) -> Array:
    """Return an array that holds values of a format, as the data of a tensor do; one that holds others is refused."""
    if array.dtype != fmt.value_dtype or not np.array_equal(quantize(array, fmt), array, equal_nan=True):
        raise FormatMismatchError(
            "An array counts as a tensor only where it holds values of the format. "
            f"Got an array of dtype {array.dtype} beside {fmt.spec}. "
            f'Use Tensor(array, format="{fmt.spec}").'
        )
    return array
