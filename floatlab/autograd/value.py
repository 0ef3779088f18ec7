"""What is a value of the graph? Numbers of one float format, and a memory of how they were computed.

`Value` holds and tells, and computes nothing: graph.py and backward.py, which compute, know a tensor by what stands
here, and tensor.py gives it the operations.
"""

from __future__ import annotations

import copy
import weakref
from typing import Any, Self

import numpy as np

from floatlab.autograd.data_array import DataArray
from floatlab.autograd.discrete import Questions, Size, size_of
from floatlab.autograd.operation import Array, Node
from floatlab.errors import AutogradError, DtypeError, ShapeError
from floatlab.formats import FloatFormat
from floatlab.formats.values import values_in_html
from floatlab.rounding.inputs import as_array
from floatlab.rounding.quantize import quantize

__all__ = ["Value"]


class Value(Questions):
    """What a tensor holds and remembers. `floatlab.autograd.Tensor` is the one class of them."""

    __slots__ = (
        "__weakref__",
        "_data",
        "_grad",
        "_hooks",
        "_node",
        "_version",
        "_view",
        "_views",
        "format",
        "gradient_format",
        "name",
        "requires_grad",
    )

    _data: Array
    _node: Node | None
    _version: list[int]  # shared by tensors that share memory
    _grad: Value | None
    _hooks: list[Any]  # of a leaf, if it has any
    _view: tuple[
        str, dict[str, Any], Value | None
    ]  # how it was taken from which tensor, whose memory it shares
    _views: list[
        weakref.ref[Value]
    ]  # those that were taken from it; both are there only where there is something
    format: FloatFormat
    gradient_format: FloatFormat
    name: str
    requires_grad: bool

    @staticmethod
    def _wrap(data: Array, fmt: FloatFormat, gradient_format: FloatFormat) -> Value:
        """Return what an operation on such values makes: a tensor around an array, not copied and not rounded."""
        raise TypeError(
            "A Value computes nothing. Got one that was made without a class of its own. Use Tensor."
        )

    # -- what it holds

    @property
    def data(self) -> Array:
        """The values, in an array of ``format.value_dtype``; new ones are rounded to nearest, in any context.

        It is the tensor's own memory, and has the tensor's methods, too: ``p.data.clamp_(-1, 1)``. See `DataArray`.
        """
        found = self._data.view(DataArray)
        found._of = self
        return found

    @data.setter
    def data(self, values: Any) -> None:
        if isinstance(values, Value):
            values = values._data
        if isinstance(values, DataArray) and values.is_all_of(self._data):
            values = self._data
        array = as_array(values, "rounded")
        if array.shape != self._data.shape:
            raise ShapeError(
                f"New data have the shape of the old. Got {array.shape} for {self._describe()}. "
                "Make a new tensor."
            )
        rounded = np.asarray(quantize(array, self.format), dtype=self.format.value_dtype)
        if array is self._data:  # after `x.data += y`, which has written there
            array[...] = rounded
        else:
            self._data = rounded
        self._version[0] += 1

    @property
    def array(self) -> Array:
        """The values as a plain array of NumPy, the tensor's own memory."""
        return self._data

    @property
    def grad(self) -> Any:
        """The gradient that backward has left: a tensor of the same shape, or None."""
        return self._grad

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if gradient is not None:
            if not isinstance(gradient, Value):
                raise DtypeError(
                    f"A gradient is a tensor, or None. Got {type(gradient).__name__} for {self._describe()}. "
                    f'Use Tensor(values, format="{self.gradient_format.spec}").'
                )
            if gradient.shape != self.shape:
                raise ShapeError(
                    f"A gradient has the shape of its tensor. Got {gradient.shape} for {self._describe()}. "
                    "Reshape it, or sum over what was broadcast."
                )
        self._grad = gradient

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self._node is None

    def mark_changed(self) -> None:
        """Note that the array was written to directly, so that a graph that needs its old values says so."""
        self._version[0] += 1

    def requires_grad_(self, requires_grad: bool = True) -> Self:
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

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> Size:
        """The number of elements; called, ``x.size()`` is the shape and ``x.size(0)`` the length of an axis."""
        return size_of(self._data.shape, self._data.size)

    @property
    def dtype(self) -> FloatFormat:
        """The format, by PyTorch's name."""
        return self.format

    @property
    def device(self) -> str:
        """Where the values lie: "cpu", always."""
        return "cpu"

    def numel(self) -> int:
        """Return the number of elements."""
        return self._data.size

    def dim(self) -> int:
        """Return the number of axes."""
        return self._data.ndim

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("A single number has no length. Got a tensor of shape (). Use item().")
        return self.shape[0]

    def item(self) -> float:
        """Return the one value as a Python float."""
        if self._data.size != 1:
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
        if self._data.size != 1:
            raise ShapeError(
                f"The truth of several values is ambiguous. Got shape {self.shape}. "
                "Use .data with any() or all()."
            )
        return bool(self._data.reshape(()))

    def __format__(self, spec: str) -> str:
        """Return the text of a single number, as in ``f"{loss:.4f}"``; without a specification, of any tensor."""
        return format(self.item(), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad and copy is False:
            raise AutogradError("A tensor in a graph is copied to an array. Got copy=False. Use .data.")
        return np.array(self._data, dtype=dtype)

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

    def _repr_html_(self) -> str:
        made = f", made by {self._node.op.name}" if self._node is not None else ""
        leaf = ", requires_grad" if self._node is None and self.requires_grad else ""
        return values_in_html(self._data, self.format, remarks=made + leaf)

    # -- copies

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        out = type(self).__new__(type(self))
        memo[id(self)] = out
        out.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return out

    def __getstate__(self) -> dict[str, Any]:
        if self._node is not None:
            raise AutogradError(f"A leaf can be copied or saved. Got {self._describe()}. Use detach() first.")
        slots = (
            "_data",
            "format",
            "gradient_format",
            "grad",
            "name",
            "requires_grad",
        )  # the names in old files
        return {**getattr(self, "__dict__", {}), **{slot: getattr(self, slot) for slot in slots}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._node, self._version = None, [0]
        for name, value in state.items():
            setattr(self, "_grad" if name == "grad" else name, value)
