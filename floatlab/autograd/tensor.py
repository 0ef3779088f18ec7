"""What can be done with a tensor? PyTorch's operators and methods, each one line onto the table of operations.

What a tensor holds stands in value.py, how an operation is run in graph.py, how a gradient flows in backward.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from floatlab.autograd.backward import Handle, start_backward
from floatlab.autograd.data_array import as_values
from floatlab.autograd.devices import is_device
from floatlab.autograd.discrete import DiscreteArray, discrete, kind_of
from floatlab.autograd.graph import apply as apply_to_values
from floatlab.autograd.mathematics import Mathematics
from floatlab.autograd.operation import Array
from floatlab.autograd.shapes import Shapes
from floatlab.autograd.value import Value
from floatlab.backend import refuse_device
from floatlab.context import current
from floatlab.errors import AutogradError, DtypeError, ShapeError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.options import check_names
from floatlab.rounding.quantize import quantize

__all__ = ["Tensor", "apply"]

#: `graph.apply` makes what the class of its inputs makes: here a tensor.
apply = cast("Callable[..., Tensor]", apply_to_values)


class Tensor(Mathematics["Tensor"], Shapes["Tensor"]):
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
        if type(values) is not np.ndarray:
            refuse_device("A tensor", values)
        self._data = values.astype(self.format.value_dtype, copy=False)
        self._node = None
        self._version = [0]
        self._grad = None
        self.name = name
        self.requires_grad = (
            requires_grad if requires_grad is False else check_switch("requires_grad", requires_grad)
        )

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

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Let a function see this tensor's gradient in every backward pass, and change it if it returns another.

        A leaf's hook is told the whole gradient of the pass, before it is added to ``.grad``.

        Examples
        --------
        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: gradient.clamp(max=3.0))
        >>> (x * x).sum().backward()
        >>> x.grad.tolist()
        [2.0, 3.0]
        >>> handle.remove()
        """
        if not self.requires_grad:
            raise AutogradError(
                f"A hook sees the gradient of a tensor that asks for one. Got {self._describe()}. "
                "Set requires_grad on it first."
            )
        if self._node is None:
            hooks = getattr(self, "_hooks", None)
            if hooks is None:
                hooks = self._hooks = []
        else:
            hooks = self._node.hooks
            if hooks is None:
                hooks = self._node.hooks = []
        hooks.append(hook)
        return Handle(hooks, hook)

    # -- formats

    def to(
        self,
        format: Any = None,
        gradient_format: Any = None,
        *,
        dtype: Any = None,
        device: Any = None,
        copy: bool = False,
        non_blocking: bool = False,
        **options: Any,
    ) -> Tensor:
        """Return the values in another format, rounded once; the gradient is cast back.

        Parameters
        ----------
        format : str, FloatFormat or Tensor
            The format of the result, or a tensor that has it. A device ("cpu", "cuda:0") means nothing here, and the
            format may follow it, as in ``x.to("cuda", "float16")``.
        gradient_format : str or FloatFormat, optional
            The format of its gradient; by default `format`.
        dtype : str or FloatFormat, optional
            PyTorch's name of `format`. Integers and truth values ("long", bool) give an array of them.
        device, non_blocking
            Accepted, and without a meaning: there is one device.
        copy : bool
            Whether to copy a tensor that has the format already.
        **options
            Those of `floatlab.quantize`: rounding, overflow, subnormals, rng ... What is not given is taken from the
            context (`floatlab.arithmetic`).

        Examples
        --------
        >>> Tensor([0.1, 500.0]).to("e4m3", gradient_format="e5m2", overflow="saturate")
        Tensor([1.015625e-01, 4.480000e+02], format=float8_e4m3fn, gradient_format=float8_e5m2)
        """
        check_names("to", options)
        if is_device(format):
            format, gradient_format = gradient_format, None
        format = dtype if format is None else format
        if isinstance(format, Value):
            format = format.format
        if kind_of(format) is not None:
            return cast("Tensor", discrete(self._data.astype(kind_of(format))))
        fmt = self.format if format is None else get_format(format)
        if gradient_format is None:
            back = self.gradient_format if format is None else fmt
        else:
            back = get_format(gradient_format)
        same = fmt.same_as(self.format) and back.same_as(self.gradient_format)
        if same and not options and (format is None or current().is_native):
            return self.clone() if copy else self
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
        if made.shape != out.shape:
            raise ShapeError(
                f"An in-place change keeps the shape. Got {made.shape} for an array of shape {out.shape}. Reshape one."
            )
        out[...] = made.array
        return out


DiscreteArray.tensor_class = Tensor

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
