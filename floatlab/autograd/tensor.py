"""What is a tensor? Values of one float format, and a memory of how they were computed.

The values are an ordinary NumPy array. What operations do to it stands in graph.py (forward) and backward.py;
its operators and methods are spelled out in methods.py.
"""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node
from floatlab.autograd.operators import TensorMethods
from floatlab.context import DEFAULT, Arithmetic, current
from floatlab.errors import AutogradError, FormatError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.inputs import as_array
from floatlab.rounding.quantize import quantize

__all__ = ["Tensor", "is_recording", "no_grad"]

recording: ContextVar[bool] = ContextVar("floatlab_recording", default=True)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Compute without building a graph inside the block.

    Examples
    --------
    >>> x = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     print((2 * x).requires_grad)
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


def is_recording() -> bool:
    """Return whether operations build a graph: not inside `no_grad`."""
    return recording.get()


def _known(fmt: FloatFormat) -> FloatFormat:
    """Return the catalogue's own object for a format of the catalogue that was copied or loaded."""
    try:
        known = get_format(fmt.name)
    except FormatError:
        return fmt
    return known if known == fmt else fmt


class Tensor(TensorMethods):
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

    __slots__ = (
        "__weakref__",
        "_data",
        "_node",
        "_version",
        "format",
        "grad",
        "gradient_format",
        "name",
        "requires_grad",
    )

    __array_ufunc__ = None  # NumPy leaves `array * tensor` to the tensor
    __hash__ = object.__hash__

    _data: Array
    _node: Node | None
    _version: list[int]  # shared by tensors that share memory
    format: FloatFormat
    gradient_format: FloatFormat
    grad: Tensor | None
    name: str
    requires_grad: bool

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        format: str | FloatFormat = "fp32",
        *,
        gradient_format: str | FloatFormat | None = None,
        name: str = "",
    ) -> None:
        if isinstance(data, Tensor):
            data = data._data
        self.format = get_format(format)
        self.gradient_format = self.format if gradient_format is None else get_format(gradient_format)
        values = quantize(data, self.format, **current().for_operations)
        self._data = values.astype(self.format.value_dtype, copy=False)
        self._node = None
        self._version = [0]
        self.grad = None
        self.name = name
        self.requires_grad = requires_grad

    @staticmethod
    def _wrap(data: Array, fmt: FloatFormat, gradient_format: FloatFormat) -> Tensor:
        """Return a tensor around an array of values of `fmt`, without copying or rounding."""
        self = Tensor.__new__(Tensor)
        self._data = data
        self._node = None
        self._version = [0]
        self.format = fmt
        self.gradient_format = gradient_format
        self.grad = None
        self.name = ""
        self.requires_grad = False
        return self

    # -- what it holds

    @property
    def data(self) -> Array:
        """The values, in an array of ``format.value_dtype``; new ones are rounded to nearest, in any context."""
        return self._data

    @data.setter
    def data(self, values: Any) -> None:
        if isinstance(values, Tensor):
            values = values._data
        array = as_array(values, "rounded")
        if array.shape != self._data.shape:
            raise ShapeError(
                f"New data have the shape of the old. Got {array.shape} for {self._describe()}. "
                "Make a new tensor."
            )
        self._data = np.asarray(quantize(array, self.format), dtype=self.format.value_dtype)
        self._version[0] += 1

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self._node is None

    def mark_changed(self) -> None:
        """Note that the array was written to directly, so that a graph that needs its old values says so."""
        self._version[0] += 1

    def detach(self) -> Tensor:
        """Return a tensor that shares the values and is no part of the graph."""
        out = Tensor._wrap(self._data, self.format, self.gradient_format)
        out._version = self._version
        out.name = self.name
        return out

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether a gradient is wanted, in place."""
        if self._node is not None and not requires_grad:
            raise AutogradError(
                f"Only a leaf can stop asking for a gradient. Got {self._describe()}. Use detach()."
            )
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is no leaf in its ``.grad`` after backward."""
        if self._node is not None:
            self._node.retained = weakref.ref(self)

    def _describe(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"tensor{name} of shape {self.shape} and format {self.format.spec}"

    def __repr__(self) -> str:
        values = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=50, precision=6)
        parts = [values, f"format={self.format}"]
        if self.gradient_format is not self.format:
            parts.append(f"gradient_format={self.gradient_format}")
        if self._node is not None:
            parts.append(f"made by {self._node.op.name}")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(parts)})"

    # -- copies

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        out = type(self).__new__(type(self))
        memo[id(self)] = out
        out.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return out

    def __getstate__(self) -> dict[str, Any]:
        if self._node is not None:
            raise AutogradError(f"A leaf can be copied or saved. Got {self._describe()}. Use detach() first.")
        slots = ("_data", "format", "gradient_format", "grad", "name", "requires_grad")
        return {**getattr(self, "__dict__", {}), **{slot: getattr(self, slot) for slot in slots}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._node, self._version = None, [0]
        for name, value in state.items():
            setattr(self, name, _known(value) if isinstance(value, FloatFormat) else value)

    # -- in-place changes, noted in the version

    def copy_(self, source: Any) -> Tensor:
        """Take the values of `source` (tensor, array or number), rounded to this tensor's format by the context."""
        values = source._data if isinstance(source, Tensor) else as_array(source, "rounded")
        return self._write(values, current())

    def _write(self, wide: Array, rules: Arithmetic = DEFAULT) -> Tensor:
        if self.requires_grad and is_recording():
            raise AutogradError(
                "A tensor that asks for a gradient is changed in place only under no_grad. "
                f"Got {self._describe()}. Wrap the change in no_grad(), or make a new tensor."
            )
        if not self._data.flags.writeable:
            raise AutogradError(
                f"An expanded tensor holds each value once for many places. Got {self._describe()}. "
                "Copy it first, with Tensor(x, format=x.format)."
            )
        values = quantize(wide, self.format, **rules.for_operations)
        try:
            self._data[...] = values
        except ValueError as error:
            raise ShapeError(
                f"An in-place change keeps the shape. Got {wide.shape} for {self._describe()}. ({error})"
            ) from None
        self._version[0] += 1
        return self

    # -- backward

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
        if not self.requires_grad:
            raise AutogradError(
                "backward starts from a tensor that depends on one with requires_grad=True. "
                f"Got {self._describe()}. Set requires_grad on a leaf, and compute outside no_grad()."
            )
        if gradient is None:
            if self.size != 1:
                origin = f", made by {self._node.describe()}" if self._node is not None else ""
                raise AutogradError(
                    f"backward without a gradient starts from a single number. Got {self._describe()}{origin}. "
                    "Reduce it with sum() or mean(), or pass a gradient of its shape."
                )
            gradient = np.ones(self.shape)
        from floatlab.autograd.backward import start_backward

        given = gradient._data if isinstance(gradient, Tensor) else as_array(gradient, "rounded")
        start = np.asarray(quantize(given, self.gradient_format), dtype=self.gradient_format.value_dtype)
        if start.shape != self.shape:
            raise ShapeError(
                f"A gradient has the shape of its tensor. Got {start.shape} for {self._describe()}. "
                "Reshape it."
            )
        start_backward(self, start, retain_graph)
