"""What holds places, labels and truth values? A NumPy array of them, with the methods that PyTorch's users call.

A tensor holds values of a float format; whole numbers and truth values are none. What compares tensors, finds places in
them, or is asked for whole numbers is a `DiscreteArray`, so that the usual line works as it stands::

    accuracy = (model(x).argmax(1) == labels).float().mean().item()
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypeAlias

import numpy as np

from floatlab.autograd.comparisons import Comparisons
from floatlab.autograd.devices import is_device
from floatlab.autograd.operation import Array
from floatlab.autograd.whole import WholeNames
from floatlab.errors import DtypeError, ShapeError

__all__ = ["DiscreteArray", "Size", "discrete", "kind_of", "refuse_gradient", "size_of"]

_KINDS = {
    **dict.fromkeys(("int64", "long", "int"), np.int64),
    **dict.fromkeys(("int32", "int16", "int8", "uint8"), None),
    **dict.fromkeys(("bool", "bool_"), np.bool_),
}


class Size(int):
    """The number of elements; called, as PyTorch's users do, the shape, or the length of one axis.

    >>> from floatlab.autograd import Tensor
    >>> x = Tensor([[1.0, 2.0, 3.0]])
    >>> x.size, x.size(), x.size(-1)
    (3, (1, 3), 3)
    """

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        """Return the shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]


def size_of(shape: tuple[int, ...], count: int) -> Size:
    """Return the number of elements of an array of this shape."""
    size = Size(count)
    size.shape = shape
    return size


Whole: TypeAlias = int  # the names of types that methods below hide
Switch: TypeAlias = bool


class DiscreteArray(WholeNames, np.ndarray[Any, Any]):  # type: ignore[misc]  # names of two meanings
    """An array of whole numbers or truth values; NumPy's functions work on it, and PyTorch's methods.

    Results that are no such numbers, of a division say, are plain arrays.

    Examples
    --------
    >>> hits = discrete(np.array([3, 1, 2])) == np.array([3, 1, 0])
    >>> hits.float().mean().item(), hits.sum().item(), hits.long().tolist()
    (0.6666666865348816, 2, [1, 1, 0])
    """

    tensor_class: ClassVar[Any]  # which tensor.py sets

    def __array_wrap__(self, array: Array, context: Any = None, return_scalar: bool = False) -> Any:
        if array.dtype.kind not in "iub":
            return array[()] if return_scalar else np.asarray(array)
        return array[()] if return_scalar else array.view(DiscreteArray)

    def __array_finalize__(self, source: Any) -> None:
        """Nothing is kept beside the values."""

    def cpu(self) -> DiscreteArray:
        """Return the array itself: there is no other device."""
        return self

    def cuda(self, device: Any = None) -> DiscreteArray:
        """Return the array itself: there is no other device."""
        return self

    def float(self) -> Any:
        """Return the numbers as a tensor in float32."""
        return self.tensor_class(self)

    def double(self) -> Any:
        """Return the numbers as a tensor in float64."""
        return self.tensor_class(self, format="float64")

    def half(self) -> Any:
        """Return the numbers as a tensor in float16."""
        return self.tensor_class(self, format="float16")

    def to(
        self,
        dtype: Any = None,
        *further: Any,
        device: Any = None,
        non_blocking: Switch = False,
        copy: Switch = False,
    ) -> Any:
        """Return the numbers of another type, or as a tensor of a format; a device means nothing here.

        >>> discrete([0, 1]).to("cpu").tolist(), discrete([0, 1]).to("bfloat16").tolist()
        ([0, 1], [0.0, 1.0])
        """
        if is_device(dtype):
            dtype = further[0] if further else None
        if dtype is None or kind_of(dtype) is not None:
            return self.astype(self.dtype if dtype is None else kind_of(dtype), copy=copy)
        return self.tensor_class(self, format=dtype)

    def type(self, dtype: Any) -> Any:
        """Return the numbers of another type, or as a tensor of a format."""
        return self.to(dtype)

    @property
    def size(self) -> Size:
        """The number of elements; called, ``y.size()`` is the shape and ``y.size(0)`` the length of an axis."""
        return size_of(self.shape, math.prod(self.shape))

    def detach(self) -> DiscreteArray:
        """Return the array itself: it has no gradient."""
        return self

    def numpy(self) -> Array:
        """Return a plain array of the same memory."""
        return self.view(np.ndarray)

    def long(self) -> Any:
        """Return 64-bit integers."""
        return self.astype(np.int64)

    def int(self) -> Any:
        """Return 32-bit integers."""
        return self.astype(np.int32)

    def bool(self) -> Any:
        """Return truth values."""
        return self.astype(np.bool_)

    def numel(self) -> Any:
        """Return the number of elements."""
        return self.size

    def dim(self) -> Any:
        """Return the number of axes."""
        return self.ndim

    def unsqueeze(self, dim: Any) -> DiscreteArray:
        """Return it with a new axis of length 1."""
        return np.expand_dims(self, dim).view(DiscreteArray)


def discrete(array: Any) -> Any:
    """Return whole numbers or truth values as a `DiscreteArray` of the same memory."""
    return np.asarray(array).view(DiscreteArray)


class Questions(Comparisons):
    """What a tensor answers with whole numbers or truth values: comparisons, places of extremes, conversions."""

    __slots__ = ()

    __hash__ = object.__hash__

    _data: Array
    shape: Any
    ndim: Any

    def argmax(
        self,
        dim: Whole | None = None,
        keepdim: Switch = False,
        *,
        axis: Whole | None = None,
        keepdims: Switch = False,
    ) -> Any:
        """Return where the maximum is, the first of several, as an array of integers."""
        return self._place(np.argmax, axis if dim is None else dim, keepdim or keepdims)

    def argmin(
        self,
        dim: Whole | None = None,
        keepdim: Switch = False,
        *,
        axis: Whole | None = None,
        keepdims: Switch = False,
    ) -> Any:
        """Return where the minimum is, the first of several, as an array of integers."""
        return self._place(np.argmin, axis if dim is None else dim, keepdim or keepdims)

    def _place(self, find: Any, axis: Whole | None, keepdims: bool) -> Any:
        if axis is not None and not (isinstance(axis, Whole | np.integer) and -self.ndim <= axis < self.ndim):
            raise ShapeError(
                f"axis is a number from {-self.ndim} to {self.ndim - 1} here. Got {axis!r} for shape {self.shape}. "
                "Check the tensor's shape."
            )
        if (self.shape[axis] if axis is not None else self._data.size) == 0:
            raise ShapeError(
                f"The place of an extreme of no elements is not defined. Got shape {self.shape}. "
                "Skip an empty batch."
            )
        return discrete(find(self._data, axis=axis, keepdims=keepdims))

    def long(self) -> Any:
        """Return the values as 64-bit integers, cut off toward zero, in an array."""
        return discrete(self._data.astype(np.int64))

    def int(self) -> Any:
        """Return the values as 32-bit integers, cut off toward zero, in an array."""
        return discrete(self._data.astype(np.int32))

    def bool(self) -> Any:
        """Return where the values are not 0, as an array of truth values."""
        return discrete(self._data != 0)

    def isnan(self) -> Any:
        """Return where the values are NaN, as an array of truth values."""
        return discrete(np.isnan(self._data))

    def isinf(self) -> Any:
        """Return where the values are infinite, as an array of truth values."""
        return discrete(np.isinf(self._data))

    def isfinite(self) -> Any:
        """Return where the values are neither NaN nor infinite, as an array of truth values."""
        return discrete(np.isfinite(self._data))

    def any(self, dim: Any = None, *, axis: Any = None) -> Any:
        """Return whether any value is not 0."""
        return discrete(np.any(self._data, axis if dim is None else dim))

    def all(self, dim: Any = None, *, axis: Any = None) -> Any:
        """Return whether no value is 0."""
        return discrete(np.all(self._data, axis if dim is None else dim))

    # -- comparisons give arrays of booleans

    def __lt__(self, other: Any) -> Any:
        return discrete(self._data < _values(other))

    def __le__(self, other: Any) -> Any:
        return discrete(self._data <= _values(other))

    def __gt__(self, other: Any) -> Any:
        return discrete(self._data > _values(other))

    def __ge__(self, other: Any) -> Any:
        return discrete(self._data >= _values(other))

    def __eq__(self, other: Any) -> Any:
        return discrete(self._data == _values(other))

    def __ne__(self, other: Any) -> Any:
        return discrete(self._data != _values(other))


def _values(other: Any) -> Any:
    if isinstance(other, Questions):
        return other._data
    if isinstance(other, int) and not -(2**1023) < other < 2**1023:  # beyond float64's numbers
        return math.copysign(math.inf, other > 0 or -1)
    return other


def kind_of(dtype: Any) -> Any:
    """Return NumPy's type if `dtype` asks for whole numbers or truth values, else None.

    >>> kind_of("long"), kind_of(bool), kind_of("float16"), kind_of(None)
    (dtype('int64'), dtype('bool'), None, None)
    """
    if isinstance(dtype, str) and dtype in _KINDS:
        return np.dtype(_KINDS[dtype] or dtype)
    if dtype is int or dtype is bool:  # an equal sign would take numpy.dtype("int64") for int as well
        return np.dtype(np.int64 if dtype is int else np.bool_)
    if isinstance(dtype, type) and issubclass(dtype, np.integer | np.bool_):
        return np.dtype(dtype)
    return dtype if isinstance(dtype, np.dtype) and dtype.kind in "iub" else None


def refuse_gradient(requires_grad: bool) -> None:
    """Raise if a gradient is wanted of whole numbers."""
    if requires_grad:
        raise DtypeError(
            "A gradient is one of values of a float format. Got whole numbers, or truth values. "
            'Write 1.0 instead of 1, or name a format: dtype="float32".'
        )
