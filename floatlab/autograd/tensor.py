"""What can be done with a tensor? PyTorch's operators and methods, each one line onto the table of operations.

What a tensor holds stands in value.py, how an operation is run in graph.py, how a gradient flows in backward.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from floatlab.autograd.backward import start_backward
from floatlab.autograd.graph import apply as apply_to_values
from floatlab.autograd.in_place import Changing
from floatlab.autograd.operation import Array
from floatlab.autograd.ops.movement import exchanged, plain_index, several, squeezed
from floatlab.autograd.value import Value, as_values
from floatlab.context import current
from floatlab.errors import DtypeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.options import check_names
from floatlab.rounding.quantize import quantize

__all__ = ["Tensor", "apply"]

Axis = int | tuple[int, ...] | None
Number = int | float

#: `graph.apply` makes what the class of its inputs makes: here a tensor.
apply = cast("Callable[..., Tensor]", apply_to_values)


class Tensor(Changing):
    """An array of values of one float format, which remembers how it was computed.

    Parameters
    ----------
    data : array_like of real numbers
        Rounded once to `format`, as the context says (`floatlab.arithmetic`), and copied.
    requires_grad : bool
        Whether backward is to leave a gradient in ``.grad``.
    format : str or FloatFormat
        The format of the values. They are held in ``format.value_dtype`` (float32, or float64 if wider).
    gradient_format : str or FloatFormat, optional
        The format of the gradient; by default that of the values. float8 training keeps e4m3 values and e5m2
        gradients.
    name : str
        What errors call this tensor.

    Raises
    ------
    DtypeError
        If `data` is not made of real numbers.
    FormatError
        If the format is unknown.

    Notes
    -----
    ``x.data`` is the array itself. The methods that change a tensor in place (``add_``, ``copy_`` ...) and
    an assignment to ``x.data`` are noted, and backward refuses to use values that changed since they were
    used. A write into the array behind the tensor's back (``x.data[0] = 1``) is not seen; say
    ``x.mark_changed()`` after one.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True, format="fp16")
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4., 6.], format=float16)
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        format: str | FloatFormat = "fp32",
        *,
        gradient_format: str | FloatFormat | None = None,
        name: str = "",
    ) -> None:
        if isinstance(data, Value):
            data = data._data
        self.format = get_format(format)
        self.gradient_format = self.format if gradient_format is None else get_format(gradient_format)
        values = quantize(data, self.format, **current().for_operations)
        self._data = values.astype(self.format.value_dtype, copy=False)
        self._node = None
        self._version = [0]
        self._grad = None
        self.name = name
        self.requires_grad = requires_grad

    @staticmethod
    def _wrap(data: Array, fmt: FloatFormat, gradient_format: FloatFormat) -> Tensor:
        """Return a tensor around an array of values of `fmt`, without copying or rounding."""
        self = Tensor.__new__(Tensor)
        self._data, self.format, self.gradient_format = data, fmt, gradient_format
        self._node = None
        self._version = [0]
        self._grad = None
        self.name = ""
        self.requires_grad = False
        return self

    def detach(self) -> Tensor:
        """Return a tensor that shares the values and is no part of the graph."""
        out = Tensor._wrap(self._data, self.format, self.gradient_format)
        out._version, out.name = self._version, self.name
        return out

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add to ``.grad`` of every leaf the gradient of this tensor with respect to it.

        Parameters
        ----------
        gradient : Tensor, array or number, optional
            The gradient with respect to this tensor, of its shape. Only a single number may do without.
        retain_graph : bool
            Whether to keep the graph for another backward pass.

        Raises
        ------
        AutogradError
            If nothing here asks for a gradient, if the graph was freed, if a value that the graph needs was
            changed in place, or if an operation has no derivative.
        ShapeError
            If `gradient` has another shape.

        Examples
        --------
        >>> x = Tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad.item()
        6.0
        """
        start_backward(self, gradient, retain_graph)

    # -- formats

    def to(
        self, format: str | FloatFormat, gradient_format: str | FloatFormat | None = None, **options: Any
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
        >>> Tensor([0.1, 500.0]).to("e4m3", gradient_format="e5m2", overflow="saturate")
        Tensor([1.015625e-01, 4.480000e+02], format=float8_e4m3fn, gradient_format=float8_e5m2)
        """
        check_names("to", options)
        fmt = get_format(format)
        back = fmt if gradient_format is None else get_format(gradient_format)
        same = fmt.same_as(self.format) and back.same_as(self.gradient_format)
        if same and not options and current().is_native:
            return self
        return apply("cast", self, format=fmt, gradient_format=back, **options)

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
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return apply("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return apply("sub", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return apply("mul", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return apply("div", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return apply("pow", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return apply("pow", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return apply("matmul", self, other)

    def __neg__(self) -> Tensor:
        return apply("neg", self)

    def __abs__(self) -> Tensor:
        return apply("abs", self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return apply("matmul", other, self)

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product, with the chosen accumulator."""
        return apply("matmul", self, other)

    def pow(self, exponent: Any) -> Tensor:
        """Return the values to a power."""
        return apply("pow", self, exponent)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute ``array * tensor`` and ``np.exp(tensor)`` as the tensor does, and ``x.data += tensor`` in place."""
        out = kwargs.pop("out", (None,))[0]
        operators = _OPERATORS.get(ufunc.__name__)
        if operators is None and ufunc.nin == 1 and hasattr(Tensor, ufunc.__name__):
            operators = (ufunc.__name__,)
        if method != "__call__" or kwargs or operators is None or isinstance(out, Value):
            raise DtypeError(
                f"NumPy's functions know no format. Got numpy.{ufunc.__name__} of a tensor. "
                "Use the tensor's methods, or x.data."
            )
        first = inputs[0]
        if out is not None and first is out:  # values of the tensor that they are the data of
            first = Tensor._wrap(as_values(first, self.format), self.format, self.format)
        elif out is None and not isinstance(first, Value):
            return getattr(inputs[1], operators[1])(first)
        made = getattr(first, operators[0])(*inputs[1:])
        if out is None:
            return made
        out[...] = made.data
        return out

    # -- functions

    def exp(self) -> Tensor:
        """Return e to the power of each value."""
        return apply("exp", self)

    def log(self) -> Tensor:
        """Return the natural logarithms."""
        return apply("log", self)

    def sqrt(self) -> Tensor:
        """Return the square roots."""
        return apply("sqrt", self)

    def abs(self) -> Tensor:
        """Return the magnitudes."""
        return apply("abs", self)

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangents."""
        return apply("tanh", self)

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + e ** -x)."""
        return apply("sigmoid", self)

    def relu(self) -> Tensor:
        """Return the values, and 0 in place of negative ones."""
        return apply("relu", self)

    def softmax(self, dim: int | None = None, *, axis: int = -1) -> Tensor:
        """Return shares that add up to 1 along an axis."""
        return apply("softmax", self, axis=axis if dim is None else dim)

    def log_softmax(self, dim: int | None = None, *, axis: int = -1) -> Tensor:
        """Return the logarithms of softmax."""
        return apply("log_softmax", self, axis=axis if dim is None else dim)

    def clamp(self, min: Number | None = None, max: Number | None = None) -> Tensor:
        """Return the values, kept between two bounds, which are rounded to the format."""
        return apply("clamp", self, low=min, high=max)

    def masked_fill(self, mask: Any, value: Number) -> Tensor:
        """Return the values, and `value` where the boolean mask holds."""
        return apply("masked_fill", self, mask=np.asarray(mask, bool), value=value)

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of the two, element by element."""
        return apply("maximum", self, other)

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of the two, element by element."""
        return apply("minimum", self, other)

    # -- reductions; `dim` and `keepdim` are PyTorch's names, `axis` and `keepdims` NumPy's

    def sum(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the sum over axes (default: all), with the chosen accumulator."""
        return apply("sum", self, **_axes(dim, keepdim, axis, keepdims))

    def mean(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the mean over axes (default: all)."""
        return apply("mean", self, **_axes(dim, keepdim, axis, keepdims))

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
        return apply("var", self, **_axes(dim, keepdim, axis, keepdims), correction=correction)

    def max(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the maximum over axes; equal elements share its gradient."""
        return apply("max", self, **_axes(dim, keepdim, axis, keepdims))

    def min(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Tensor:
        """Return the minimum over axes; equal elements share its gradient."""
        return apply("min", self, **_axes(dim, keepdim, axis, keepdims))

    # -- shapes

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The axes in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any) -> Tensor:
        """Return the same values in another shape."""
        return apply("reshape", self, shape=several(shape))

    def view(self, *shape: Any) -> Tensor:
        """Return the same values in another shape, as `reshape` does."""
        return self.reshape(*shape)

    def flatten(self, start: int = 0) -> Tensor:
        """Return the values with all axes from `start` on in one."""
        return self.reshape(*self.shape[:start], -1 if self.size else int(np.prod(self.shape[start:])))

    def permute(self, *axes: Any) -> Tensor:
        """Return the axes in another order."""
        return apply("permute", self, axes=several(axes))

    def transpose(self, first: int, second: int) -> Tensor:
        """Return two axes exchanged."""
        return self.permute(*exchanged(self.shape, first, second))

    def squeeze(self, axis: int | None = None) -> Tensor:
        """Return the values without the axes (or the one axis) of length 1."""
        return self.reshape(squeezed(self.shape, axis))

    def unsqueeze(self, axis: int) -> Tensor:
        """Return the values with a new axis of length 1."""
        axis += self.ndim + 1 if axis < 0 else 0
        return self.reshape((*self.shape[:axis], 1, *self.shape[axis:]))

    def expand(self, *shape: Any) -> Tensor:
        """Return the values broadcast to a shape; -1 keeps an axis as it is."""
        return apply("expand", self, shape=several(shape))

    def __getitem__(self, key: Any) -> Tensor:
        return apply("index", self, key=plain_index(key))


def _axes(dim: Axis, keepdim: bool, axis: Axis, keepdims: bool) -> dict[str, Any]:
    return {"axis": axis if dim is None else dim, "keepdims": keepdim or keepdims}


#: What NumPy's operators are called by a tensor on their left, and by one on their right.
_OPERATORS = {
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"),
    "power": ("__pow__", "__rpow__"),
    "matmul": ("__matmul__", "__rmatmul__"),
    "less": ("__lt__", "__gt__"),
    "less_equal": ("__le__", "__ge__"),
    "greater": ("__gt__", "__lt__"),
    "greater_equal": ("__ge__", "__le__"),
    "equal": ("__eq__", "__eq__"),
    "not_equal": ("__ne__", "__ne__"),
    "negative": ("__neg__",),
    "absolute": ("__abs__",),
}
