"""How does a tensor change in place? The methods with an underscore, ``x += y`` and ``x[i] = v``.

Where no graph is recorded, the new values are written over the old ones, and that is all. Where one is recorded, the
tensor takes the place of the result in the graph, and what it was before stays in the graph as a tensor of its own::

    y *= 3        before ──mul──> y         operations that had used y still lead to what made `before`
    y[0] = w      y before ──put──> y       the row's gradient goes to w, the rest to what y was
                  w ─────────┘

Tensors that look at the same memory (``row = y[0]``) change with it: whichever of them is written to, the one that owns
the memory gets a new place in the graph, and its views are derived from it anew.

Every change counts up the version that all tensors of the memory share, so that backward refuses to use a value that
was kept for it and is no longer there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from floatlab.autograd.graph import apply, connect
from floatlab.autograd.operation import Array
from floatlab.autograd.ops.movement import in_two_steps, plain_index
from floatlab.autograd.ops.table import find_op
from floatlab.autograd.randomness import Rng, source, standard_normal
from floatlab.autograd.recording import is_recording, no_grad
from floatlab.autograd.value import Value
from floatlab.context import DEFAULT, Arithmetic, current
from floatlab.errors import AutogradError, ShapeError
from floatlab.rounding.inputs import as_array
from floatlab.rounding.quantize import quantize

__all__ = ["Changing"]


class Changing(Value):
    """The changes in place, each rounded once to the tensor's format."""

    __slots__ = ()

    # -- arithmetic

    def add_(self, other: Any, *, alpha: float = 1) -> Self:
        """Add ``alpha * other``, rounded once."""
        return self._change("add", other) if alpha == 1 else self._change("add_scaled", other, alpha=alpha)

    def sub_(self, other: Any, *, alpha: float = 1) -> Self:
        """Subtract ``alpha * other``, rounded once.

        >>> from floatlab.autograd import Tensor
        >>> Tensor([1.0]).sub_(Tensor([1.0]), alpha=0.1)
        Tensor([0.9], format=float32)
        """
        return self._change("sub", other) if alpha == 1 else self._change("add_scaled", other, alpha=-alpha)

    def mul_(self, other: Any) -> Self:
        """Multiply, rounded once."""
        return self._change("mul", other)

    def div_(self, other: Any) -> Self:
        """Divide, rounded once."""
        return self._change("div", other)

    def pow_(self, exponent: Any) -> Self:
        """Raise to a power."""
        return self._change("pow", exponent)

    def neg_(self) -> Self:
        """Change the signs."""
        return self._change("neg")

    def sqrt_(self) -> Self:
        """Take the square roots."""
        return self._change("sqrt")

    def exp_(self) -> Self:
        """Take e to the power of each value."""
        return self._change("exp")

    def relu_(self) -> Self:
        """Put 0 in place of negative values."""
        return self._change("relu")

    def clamp_(self, min: float | None = None, max: float | None = None) -> Self:
        """Keep the values between two bounds, which are rounded to the format."""
        return self._change("clamp", low=min, high=max)

    def masked_fill_(self, mask: Any, value: float) -> Self:
        """Put a number where the boolean mask holds; see `masked_fill`."""
        return self._change("masked_fill", mask=np.asarray(mask, bool), value=value)

    def __iadd__(self, other: Any) -> Self:
        return self._change("add", other)

    def __isub__(self, other: Any) -> Self:
        return self._change("sub", other)

    def __imul__(self, other: Any) -> Self:
        return self._change("mul", other)

    def __itruediv__(self, other: Any) -> Self:
        return self._change("div", other)

    def __ipow__(self, other: Any) -> Self:
        return self._change("pow", other)

    # -- new values

    def copy_(self, source: Any) -> Self:
        """Take the values of `source` (tensor, array or number), rounded to this tensor's format by the context."""
        if isinstance(source, Value):
            if self._is_recorded(source):
                self[...] = source
                return self
            source = source._data
        else:
            source = as_array(source, "rounded")
        return self._overwrite(source, current())

    def zero_(self) -> Self:
        """Set every value to 0."""
        return self._overwrite(np.zeros(self.shape))

    def fill_(self, value: float) -> Self:
        """Set every value to a number, rounded to the format as the context says."""
        return self._overwrite(np.full(self.shape, value, dtype=np.float64), current())

    def uniform_(self, low: float = 0.0, high: float = 1.0, *, rng: Rng = None) -> Self:
        """Draw new values evenly from [low, high); `floatlab.nn.init` has the usual bounds."""
        drawn = np.asarray(source(rng).random(self.shape) * (float(high) - float(low)))
        return self._overwrite(drawn + float(low))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, rng: Rng = None) -> Self:
        """Draw new values from a normal distribution."""
        return self._overwrite(np.asarray(standard_normal(self.shape, rng) * float(std)) + float(mean))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write to the elements that a NumPy index takes; numbers, arrays and tensors are rounded to the format.

        Where an index names an element twice, the last value stays, and it alone gets the gradient.
        """
        key = plain_index(key)
        if type(key) is tuple and (steps := in_two_steps(key)) is not None:
            apply("index", self, key=steps[0])[steps[1]] = value  # type: ignore[index]
            return
        if isinstance(value, Value):
            values: Any = value if value.format.same_as(self.format) else value.to(self.format)  # type: ignore[attr-defined]
        else:
            rounded = quantize(as_array(value, "rounded"), self.format, **current().for_operations)
            values = self._wrap(np.asarray(rounded, self.format.value_dtype), self.format, self.format)
        recorded = self._is_recorded(values)
        base = self._as_it_was() if recorded else None
        self._allow_change(recorded)
        self._write_to(key, values._data)
        if base is not None:
            self._become(connect("put", self._data, base, values, view=("index", {"key": key})))

    # -- how it is done

    def _change(self, name: str, *others: Any, **params: Any) -> Self:
        """Put the result of an operation on this tensor in its place."""
        if not self._is_recorded(*others):
            self._allow_change(False)
            with no_grad():
                made = apply(name, self, *others, **params)
            return self._overwrite(made._data)
        self._allow_change(True)
        before = self._as_it_was()
        if 0 in find_op(name).keeps:  # what the derivative reads is written over in a moment
            before._data, before._version = self._data.copy(), [0]
        made = apply(name, before, *(before if other is self else other for other in others), **params)
        if not made.format.same_as(self.format):  # autocast has computed it in another one
            made = made.to(self.format, self.gradient_format)  # type: ignore[attr-defined]
        self._write_to(..., self._fitting(made._data))
        self._become(made)
        return self

    def _overwrite(self, wide: Array, rules: Arithmetic = DEFAULT) -> Self:
        """Write values, rounded, over all there are, which is a constant to the graph."""
        recorded = self._is_recorded()
        self._allow_change(recorded)
        values = self._fitting(np.asarray(quantize(wide, self.format, **rules.for_operations)))
        if recorded:
            self[...] = self._wrap(values, self.format, self.format)
        else:
            self._write_to(..., values)
        return self

    def _is_recorded(self, *others: Any) -> bool:
        """Whether a change by these operands is an event in the graph."""
        asks = self.requires_grad or any(isinstance(x, Value) and x.requires_grad for x in others)
        return asks and is_recording()

    def _allow_change(self, recorded: bool) -> None:
        """Raise where a change is refused: of a leaf, or of memory that is not the tensor's own."""
        if not self._data.flags.writeable:
            if 0 not in self._data.strides:
                raise AutogradError(
                    "A state is a copy of a model's weights, and no change of it would reach the model. "
                    f"Got {self._describe()}. Change the parameters under no_grad(), or load a changed clone()."
                )
            raise AutogradError(
                f"An expanded tensor holds each value once for many places. Got {self._describe()}. "
                "Copy it first, with clone()."
            )
        if not recorded:
            return
        owner: Value | None = self
        while owner is not None:
            if owner.requires_grad and owner._node is None:
                raise AutogradError(
                    "A leaf that asks for a gradient is changed in place only under no_grad. "
                    f"Got {owner._describe()}. Wrap the change in no_grad(), or make a new tensor."
                )
            link = getattr(owner, "_view", None)
            if link is not None and link[2] is None:
                raise AutogradError(
                    "A view that was taken under no_grad is no part of the graph, and what it shares memory with "
                    f"would not learn of the change. Got {owner._describe()}. Take the view outside no_grad, or a "
                    "clone()."
                )
            owner = None if link is None else link[2]

    def _fitting(self, values: Array) -> Array:
        try:
            return np.broadcast_to(values, self.shape)
        except ValueError as error:
            raise ShapeError(
                f"An in-place change keeps the shape. Got {values.shape} for {self._describe()}. ({error})"
            ) from None

    def _write_to(self, key: Any, values: Array) -> None:
        try:
            self._data[key] = values
        except (ValueError, IndexError, TypeError) as error:
            raise ShapeError(
                f"Values fit the elements that they are written to. Got shape {values.shape} for the index {key!r} "
                f"of a {self._describe()}. Check both. (NumPy: {error})"
            ) from None
        self._version[0] += 1

    def _as_it_was(self) -> Value:
        """Return a tensor that stands in the graph where this one stands now."""
        before = self._wrap(self._data, self.format, self.gradient_format)
        before._node, before._version, before.name = self._node, self._version, self.name
        before.requires_grad = self.requires_grad
        return before

    def _become(self, made: Value) -> None:
        """Take the place of `made` in the graph; what shares the memory follows."""
        _take_place(self, made)
        top: Value = self
        while (link := getattr(top, "_view", None)) is not None:
            name, params, base = link
            before = Changing._as_it_was(base)
            made = connect("put", base._data, before, made, view=(name, params))
            _take_place(base, made)
            top = base
        for view in _views(top):
            name, params, base = view._view
            _take_place(view, connect(name, view._data, base, **params))


def _take_place(tensor: Value, made: Value) -> None:
    old, new = tensor._node, made._node
    if old is not None and new is not None and old.retained is not None and old.retained() is tensor:
        old.retained, new.retained = None, old.retained
    tensor._node, tensor.requires_grad = new, made.requires_grad


def _views(base: Value) -> Iterator[Any]:
    """Yield the tensors that look at a tensor's memory, and at theirs, each after what it looks at."""
    references: list[weakref.ref[Any]] = getattr(base, "_views", [])
    for reference in references:
        view = reference()
        if view is not None:
            yield view
            yield from _views(view)
