"""Which methods and operators does a tensor have? PyTorch's names, each one line onto the table.

The mixin knows nothing of graphs: every method hands its work to ``apply``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from floatlab.context import Arithmetic, current
from floatlab.errors import AutogradError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.options import check_names

if TYPE_CHECKING:
    from floatlab.autograd.tensor import Tensor

__all__ = ["TensorMethods"]

Array = NDArray[Any]
Axis = int | tuple[int, ...] | None


def _apply(name: str, *inputs: Any, **params: Any) -> Tensor:
    from floatlab.autograd.graph import apply

    return apply(name, *inputs, **params)


class TensorMethods:
    """The operators and methods of a tensor."""

    __slots__ = ()

    if TYPE_CHECKING:  # what tensor.py adds
        _data: Array
        format: FloatFormat
        gradient_format: FloatFormat
        requires_grad: bool

        def _write(self, wide: Array, rules: Arithmetic = ...) -> Tensor: ...

    # -- shape and values

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    def numel(self) -> int:
        """Return the number of elements."""
        return self._data.size

    def dim(self) -> int:
        """Return the number of axes."""
        return self._data.ndim

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The axes in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("A single number has no length. Got a tensor of shape (). Use item().")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def item(self) -> float:
        """Return the one value as a Python float."""
        if self.size != 1:
            raise ShapeError(f"item() is the value of a single number. Got shape {self.shape}. Use numpy().")
        return float(self._data.reshape(()))

    def numpy(self) -> Array:
        """Return a copy of the values."""
        return self._data.copy()

    def tolist(self) -> Any:
        """Return the values as nested lists of Python floats."""
        return self._data.tolist()

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"The truth of several values is ambiguous. Got shape {self.shape}. "
                "Use .data with any() or all()."
            )
        return bool(self._data.reshape(()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad and copy is False:
            raise AutogradError("A tensor in a graph is copied to an array. Got copy=False. Use .data.")
        return np.array(self._data, dtype=dtype)

    # -- formats

    def to(
        self,
        format: str | FloatFormat,
        gradient_format: str | FloatFormat | None = None,
        **options: Any,
    ) -> Tensor:
        """Return the values in another format, rounded once; the gradient is cast back.

        Parameters
        ----------
        format : str or FloatFormat
            The format of the result.
        gradient_format : str or FloatFormat, optional
            The format of its gradient; by default `format`.
        **options
            Those of `floatlab.quantize`: rounding, overflow, subnormals, rng ... What is not given is taken from the
            context (`floatlab.arithmetic`).

        Examples
        --------
        >>> from floatlab.autograd import Tensor
        >>> Tensor([0.1, 500.0]).to("e4m3", gradient_format="e5m2", overflow="saturate")
        Tensor([1.015625e-01, 4.480000e+02], format=float8_e4m3fn, gradient_format=float8_e5m2)
        """
        check_names("to", options)
        fmt = get_format(format)
        back = fmt if gradient_format is None else get_format(gradient_format)
        same = fmt.same_as(self.format) and back.same_as(self.gradient_format)
        if same and not options and current().is_native:
            return self  # type: ignore[return-value]
        return _apply("cast", self, format=fmt, gradient_format=back, **options)

    def float(self) -> Tensor:
        """Return the values in float32."""
        return self.to("float32")

    def half(self) -> Tensor:
        """Return the values in float16."""
        return self.to("float16")

    def bfloat16(self) -> Tensor:
        """Return the values in bfloat16."""
        return self.to("bfloat16")

    def double(self) -> Tensor:
        """Return the values in float64."""
        return self.to("float64")

    # -- arithmetic

    def __add__(self, other: Any) -> Tensor:
        return _apply("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _apply("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _apply("sub", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _apply("sub", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _apply("mul", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _apply("mul", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _apply("div", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _apply("pow", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _apply("pow", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _apply("matmul", self, other)

    def __neg__(self) -> Tensor:
        return _apply("neg", self)

    def __abs__(self) -> Tensor:
        return _apply("abs", self)

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product, with the chosen accumulator."""
        return _apply("matmul", self, other)

    def pow(self, exponent: Any) -> Tensor:
        """Return the values to a power."""
        return _apply("pow", self, exponent)

    # -- comparisons give arrays of booleans

    def __lt__(self, other: Any) -> Any:
        return self._data < _values(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= _values(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > _values(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= _values(other)

    def __eq__(self, other: Any) -> Any:
        return self._data == _values(other)

    def __ne__(self, other: Any) -> Any:
        return self._data != _values(other)

    # -- functions

    def exp(self) -> Tensor:
        """Return e to the power of each value."""
        return _apply("exp", self)

    def log(self) -> Tensor:
        """Return the natural logarithms."""
        return _apply("log", self)

    def sqrt(self) -> Tensor:
        """Return the square roots."""
        return _apply("sqrt", self)

    def abs(self) -> Tensor:
        """Return the magnitudes."""
        return _apply("abs", self)

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangents."""
        return _apply("tanh", self)

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + e ** -x)."""
        return _apply("sigmoid", self)

    def relu(self) -> Tensor:
        """Return the values, and 0 in place of negative ones."""
        return _apply("relu", self)

    def softmax(self, dim: int | None = None, *, axis: int = -1) -> Tensor:
        """Return shares that add up to 1 along an axis."""
        return _apply("softmax", self, axis=axis if dim is None else dim)

    def log_softmax(self, dim: int | None = None, *, axis: int = -1) -> Tensor:
        """Return the logarithms of softmax."""
        return _apply("log_softmax", self, axis=axis if dim is None else dim)

    def clamp(self, min: Number | None = None, max: Number | None = None) -> Tensor:
        """Return the values, kept between two bounds, which are rounded to the format."""
        return _apply("clamp", self, low=min, high=max)

    def masked_fill(self, mask: Any, value: Number) -> Tensor:
        """Return the values, and `value` where the boolean mask holds."""
        return _apply("masked_fill", self, mask=np.asarray(mask, bool), value=value)

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of the two, element by element."""
        return _apply("maximum", self, other)

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of the two, element by element."""
        return _apply("minimum", self, other)

    # -- reductions; `dim` and `keepdim` are PyTorch's names, `axis` and `keepdims` NumPy's

    def sum(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the sum over axes (default: all), with the chosen accumulator."""
        return _apply("sum", self, **_axes(dim, keepdim, axis, keepdims))

    def mean(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the mean over axes (default: all)."""
        return _apply("mean", self, **_axes(dim, keepdim, axis, keepdims))

    def var(
        self,
        dim: Axis = None,
        keepdim: bool = False,
        *,
        axis: Axis = None,
        keepdims: bool = False,
        correction: int = 1,
    ) -> Tensor:
        """Return the variance over axes, divided by n - correction."""
        return _apply("var", self, **_axes(dim, keepdim, axis, keepdims), correction=correction)

    def max(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the maximum over axes; equal elements share its gradient."""
        return _apply("max", self, **_axes(dim, keepdim, axis, keepdims))

    def min(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the minimum over axes; equal elements share its gradient."""
        return _apply("min", self, **_axes(dim, keepdim, axis, keepdims))

    def argmax(self, dim: int | None = None, *, axis: int | None = None) -> Any:
        """Return where the maximum is, as an array of integers."""
        return self._data.argmax(axis if dim is None else dim)

    # -- shapes

    def reshape(self, *shape: Any) -> Tensor:
        """Return the same values in another shape."""
        return _apply("reshape", self, shape=_several(shape))

    def view(self, *shape: Any) -> Tensor:
        """Return the same values in another shape, as `reshape` does."""
        return self.reshape(*shape)

    def flatten(self, start: int = 0) -> Tensor:
        """Return the values with all axes from `start` on in one."""
        return self.reshape(*self.shape[:start], -1 if self.size else int(np.prod(self.shape[start:])))

    def permute(self, *axes: Any) -> Tensor:
        """Return the axes in another order."""
        axes = _several(axes)
        if sorted(a % max(self.ndim, 1) for a in axes) != list(range(self.ndim)):
            raise ShapeError(
                f"permute names every axis once. Got {axes} for shape {self.shape}. "
                f"Use each of 0 to {self.ndim - 1}."
            )
        return _apply("permute", self, axes=axes)

    def transpose(self, first: int, second: int) -> Tensor:
        """Return two axes exchanged."""
        axes = list(range(self.ndim))
        try:
            axes[first], axes[second] = axes[second], axes[first]
        except (IndexError, TypeError):
            raise ShapeError(
                f"transpose exchanges two axes. Got {first} and {second} for shape {self.shape}. "
                "Check the shape."
            ) from None
        return self.permute(*axes)

    def squeeze(self, axis: int | None = None) -> Tensor:
        """Return the values without the axes (or the one axis) of length 1."""
        if axis is None:
            return self.reshape(tuple(n for n in self.shape if n != 1))
        if not isinstance(axis, int | np.integer) or not -self.ndim <= axis < self.ndim:
            raise ShapeError(
                f"squeeze takes away one axis. Got {axis} for shape {self.shape}. Check the shape."
            )
        axis %= self.ndim
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i != axis or n != 1))

    def unsqueeze(self, axis: int) -> Tensor:
        """Return the values with a new axis of length 1."""
        axis += self.ndim + 1 if axis < 0 else 0
        return self.reshape((*self.shape[:axis], 1, *self.shape[axis:]))

    def expand(self, *shape: Any) -> Tensor:
        """Return the values broadcast to a shape; -1 keeps an axis as it is."""
        shape = _several(shape)
        lead = len(shape) - self.ndim
        shape = tuple(self.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape))
        return _apply("expand", self, shape=shape)

    def __getitem__(self, key: Any) -> Tensor:
        return _apply("index", self, key=key)

    # -- in place

    def add_(self, other: Any) -> Tensor:
        """Add in place, rounded once."""
        return self._in_place("add", other)

    def sub_(self, other: Any) -> Tensor:
        """Subtract in place, rounded once."""
        return self._in_place("sub", other)

    def mul_(self, other: Any) -> Tensor:
        """Multiply in place, rounded once."""
        return self._in_place("mul", other)

    def div_(self, other: Any) -> Tensor:
        """Divide in place, rounded once."""
        return self._in_place("div", other)

    def zero_(self) -> Tensor:
        """Set every value to 0."""
        return self._write(np.zeros(self.shape))

    def fill_(self, value: Number) -> Tensor:
        """Set every value to a number, rounded to the format as the context says."""
        return self._write(np.full(self.shape, value, dtype=np.float64), current())

    def _in_place(self, name: str, other: Any) -> Tensor:
        from floatlab.autograd.tensor import no_grad

        with no_grad():
            result = _apply(name, self, other)
        return self._write(result._data)


Number = int | float


def _values(other: Any) -> Any:
    return other._data if isinstance(other, TensorMethods) else other


def _axes(dim: Axis, keepdim: bool, axis: Axis, keepdims: bool) -> dict[str, Any]:
    return {"axis": axis if dim is None else dim, "keepdims": keepdim or keepdims}


def _several(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Return a shape or axes given one by one, or as one tuple."""
    if len(given) == 1 and isinstance(given[0], tuple | list):
        given = tuple(given[0])
    for n in given:
        if not isinstance(n, int | np.integer):
            raise ShapeError(f"Shapes and axes are whole numbers. Got {n!r}. Use an int.")
    return tuple(int(n) for n in given)
