"""What can be computed of a tensor, by PyTorch's names? Functions, reductions, norms and products, each a line or two.

`Made` is what an operation makes: a `Tensor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np

from floatlab.autograd.discrete import discrete
from floatlab.autograd.graph import apply as apply_to_values
from floatlab.autograd.in_place import Changing
from floatlab.autograd.ops.statistics import check_order
from floatlab.autograd.value import Value
from floatlab.errors import ShapeError

__all__ = ["Axis", "Extreme", "Mathematics", "Number"]

Made = TypeVar("Made", bound=Value)
Axis = int | tuple[int, ...] | None
Number = int | float
apply = cast("Callable[..., Any]", apply_to_values)


class Extreme(NamedTuple):
    """The largest (or smallest) values along an axis, and where the first of them are."""

    values: Any
    indices: Any


def _function(name: str, what: str) -> Callable[[Any], Any]:
    """Return a method that applies an elementary function, correctly rounded."""

    def method(self: Any) -> Any:
        return apply(name, self)

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"Return {what}."
    return method


class Mathematics(Changing, Generic[Made]):
    """The methods that compute."""

    __slots__ = ()

    # -- functions of single elements

    exp = _function("exp", "e to the power of each value")
    log = _function("log", "the natural logarithms")
    sqrt = _function("sqrt", "the square roots")
    abs = _function("abs", "the magnitudes")
    neg = _function("neg", "the values with the other sign")
    tanh = _function("tanh", "the hyperbolic tangents")
    floor = _function("floor", "the largest whole numbers that are not larger; their slope is 0")
    ceil = _function("ceil", "the smallest whole numbers that are not smaller; their slope is 0")
    round = _function("round", "the nearest whole numbers, the even ones of two; their slope is 0")
    trunc = _function("trunc", "the whole numbers without their fractions; their slope is 0")
    sign = _function("sign", "1, 0 or -1, and 0 for NaN as in PyTorch; their slope is 0")
    sigmoid = _function("sigmoid", "1 / (1 + e ** -x)")
    relu = _function("relu", "the values, and 0 in place of negative ones")
    exp2 = _function("exp2", "2 to the power of each value")
    expm1 = _function("expm1", "e ** x - 1")
    log2 = _function("log2", "the logarithms to base 2")
    log10 = _function("log10", "the logarithms to base 10")
    log1p = _function("log1p", "log(1 + x)")
    sin = _function("sin", "the sines")
    cos = _function("cos", "the cosines")
    tan = _function("tan", "the tangents")
    sinh = _function("sinh", "the hyperbolic sines")
    cosh = _function("cosh", "the hyperbolic cosines")
    arcsin = asin = _function("arcsin", "the angles whose sines the values are")
    arccos = acos = _function("arccos", "the angles whose cosines the values are")
    arctan = atan = _function("arctan", "the angles whose tangents the values are")
    arcsinh = asinh = _function("arcsinh", "the numbers whose hyperbolic sines the values are")
    arccosh = acosh = _function("arccosh", "the numbers whose hyperbolic cosines the values are")
    arctanh = atanh = _function("arctanh", "the numbers whose hyperbolic tangents the values are")
    erf = _function("erf", "the error function")
    rsqrt = _function("rsqrt", "1 / sqrt(x)")
    cbrt = _function("cbrt", "the cube roots")
    deg2rad = _function("deg2rad", "degrees in radians")
    rad2deg = _function("rad2deg", "radians in degrees")

    def square(self) -> Made:
        """Return x * x."""
        return apply("mul", self, self)

    def reciprocal(self) -> Made:
        """Return 1 / x."""
        return apply("div", 1.0, self)

    def softmax(self, dim: int | None = None, *, axis: int = -1) -> Made:
        """Return shares that add up to 1 along an axis."""
        return apply("softmax", self, axis=axis if dim is None else dim)

    def log_softmax(self, dim: int | None = None, *, axis: int = -1) -> Made:
        """Return the logarithms of softmax."""
        return apply("log_softmax", self, axis=axis if dim is None else dim)

    def clamp(self, min: Number | None = None, max: Number | None = None) -> Made:
        """Return the values, kept between two bounds, which are rounded to the format.

        The slope is 1 between them, and 0 beyond and at them, as in PyTorch from 2.14 (1 at them until 2.13).
        """
        return apply("clamp", self, low=min, high=max)

    clip = clamp

    # -- of two tensors

    def add(self, other: Any, *, alpha: float = 1) -> Made:
        """Return ``self + alpha * other``, rounded once."""
        return apply("add", self, other) if alpha == 1 else apply("add_scaled", self, other, alpha=alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Made:
        """Return ``self - alpha * other``, rounded once."""
        return apply("sub", self, other) if alpha == 1 else apply("add_scaled", self, other, alpha=-alpha)

    def mul(self, other: Any) -> Made:
        """Return ``self * other``."""
        return apply("mul", self, other)

    def div(self, other: Any) -> Made:
        """Return ``self / other``."""
        return apply("div", self, other)

    subtract, multiply, divide = sub, mul, div

    def pow(self, exponent: Any) -> Made:
        """Return the values to a power."""
        return apply("pow", self, exponent)

    def maximum(self, other: Any) -> Made:
        """Return the larger of the two, element by element."""
        return apply("maximum", self, other)

    def minimum(self, other: Any) -> Made:
        """Return the smaller of the two, element by element."""
        return apply("minimum", self, other)

    def matmul(self, other: Any) -> Made:
        """Return the matrix product, with the chosen accumulator."""
        return apply("matmul", self, other)

    def mm(self, other: Any) -> Made:
        """Return the product of two matrices."""
        return apply("matmul", *_of_axes("mm", 2, self, other))

    def bmm(self, other: Any) -> Made:
        """Return the products of two batches of matrices, (n, a, b) and (n, b, c)."""
        return apply("matmul", *_of_axes("bmm", 3, self, other))

    def dot(self, other: Any) -> Made:
        """Return the dot product of two vectors."""
        return apply("matmul", *_of_axes("dot", 1, self, other))

    # -- reductions; `dim` and `keepdim` are PyTorch's names, `axis` and `keepdims` NumPy's

    def sum(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Made:
        """Return the sum over axes (default: all), with the chosen accumulator."""
        return apply("sum", self, **_axes(dim, keepdim, axis, keepdims))

    def mean(
        self, dim: Axis = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Made:
        """Return the mean over axes (default: all)."""
        return apply("mean", self, **_axes(dim, keepdim, axis, keepdims))

    def var(
        self,
        dim: Axis = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        axis: Axis = None,
        keepdims: bool = False,
        correction: int = 1,
    ) -> Made:
        """Return the variance over axes, divided by n - correction; ``unbiased=False`` is ``correction=0``."""
        return apply("var", self, **_spread_over(dim, unbiased, keepdim, axis, keepdims, correction))

    def std(
        self,
        dim: Axis = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        axis: Axis = None,
        keepdims: bool = False,
        correction: int = 1,
    ) -> Made:
        """Return the standard deviation over axes, rounded once; see `var`. Where it is 0 it has no slope."""
        return apply("std", self, **_spread_over(dim, unbiased, keepdim, axis, keepdims, correction))

    def norm(
        self,
        p: Any = 2,
        dim: Axis = None,
        keepdim: bool = False,
        *,
        axis: Axis = None,
        keepdims: bool = False,
    ) -> Made:
        """Return the norm over axes (default: all) of order p: the sum of abs(x)**p to the power of 1/p, rounded once.

        ``p=float("inf")`` is the largest magnitude, ``p=0`` the number of values that are not 0.
        """
        return apply("norm", self, p=check_order(p), **_axes(dim, keepdim, axis, keepdims))

    def max(
        self, dim: Any = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Any:
        """Return the maximum; along an axis the values and where the first of them are, as PyTorch does.

        - ``x.max()``: the largest of all; equal ones share its gradient.
        - ``x.max(1)``: ``(values, indices)``; the first of equal ones has the gradient.
        - ``x.max(other)``: `maximum`.
        - ``x.max(axis=1)``, ``x.amax(1)``: the values alone, also over several axes; equal ones share the gradient.
        """
        return self._extreme("max", dim, keepdim, axis, keepdims)

    def min(
        self, dim: Any = None, keepdim: bool = False, *, axis: Axis = None, keepdims: bool = False
    ) -> Any:
        """Return the minimum; see `max`."""
        return self._extreme("min", dim, keepdim, axis, keepdims)

    def amax(self, dim: Axis = (), keepdim: bool = False) -> Made:
        """Return the maximum over axes (default: all); equal elements share its gradient."""
        return apply("max", self, **_axes(dim, keepdim, None, False))

    def amin(self, dim: Axis = (), keepdim: bool = False) -> Made:
        """Return the minimum over axes (default: all); equal elements share its gradient."""
        return apply("min", self, **_axes(dim, keepdim, None, False))

    def _extreme(self, name: str, dim: Any, keepdim: bool, axis: Axis, keepdims: bool) -> Any:
        if isinstance(dim, Value):
            return apply(f"{name}imum", self, dim)
        if isinstance(dim, tuple | list):
            raise ShapeError(
                f"{name} over an axis returns values and places, which several axes do not have. Got dim={dim!r}. "
                f"Use a{name}({dim!r})."
            )
        if dim is None or not self.ndim:
            made = apply(name, self, **_axes(None, keepdim, axis, keepdims))
            return made if dim is None else Extreme(made, discrete(0))
        places = self._place(np.argmax if name == "max" else np.argmin, dim, True)
        values = apply("gather", self, indices=places, axis=dim)
        if keepdim or keepdims:
            return Extreme(values, places)
        shape = self.shape[: dim % self.ndim] + self.shape[dim % self.ndim + 1 :]
        return Extreme(apply("reshape", values, shape=shape), places.reshape(shape))

    def logsumexp(self, dim: Axis = None, keepdim: bool = False) -> Made:
        """Return log(sum(exp(x))) over axes (default: all), in float64 without overflow, rounded once."""
        return apply("logsumexp", self, **_axes(dim, keepdim, None, False))

    def prod(self, dim: int | None = None, keepdim: bool = False) -> Made:
        """Return the product over an axis (default: all), taken in float64 and rounded once."""
        return apply("prod", self, **_axes(dim, keepdim, None, False))

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the median, the lower one of two, and along an axis where it is; a NaN is the median of all."""
        if dim is None:
            flat = apply("reshape", self, shape=(-1,))
            middle = flat.median(0).values._data
            if np.isnan(middle):
                return flat.median(0).values
            return apply(
                "max", apply("index", flat, key=flat._data == middle)
            )  # equal ones share its gradient
        values, places = self.sort(dim)
        length = self.shape[dim]
        if not length:
            raise ShapeError(f"The median of no values is none. Got shape {self.shape}. Check it.")
        along = dim % self.ndim
        middle = np.full((*self.shape[:along], 1, *self.shape[along + 1 :]), (length - 1) // 2)
        last = np.isnan(np.take(values._data, [-1], along))
        chosen = np.where(last, length - 1, middle)
        found = apply("gather", values, indices=chosen, axis=along)
        where = discrete(np.take_along_axis(np.asarray(places), chosen, along))
        if keepdim:
            return Extreme(found, where)
        shape = self.shape[:along] + self.shape[along + 1 :]
        return Extreme(apply("reshape", found, shape=shape), where.reshape(shape))

    def cumsum(self, dim: int | None = None, *, axis: int | None = None) -> Made:
        """Return the sums up to each place along an axis, each with the chosen accumulator and rounded once."""
        along = axis if dim is None else dim
        if along is None:
            raise ShapeError("cumsum goes along an axis. Got none. Use cumsum(0), or flatten first.")
        return apply("cumsum", self, axis=along)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extreme:
        """Return the k largest (or smallest) values along an axis, in order, and where they are."""
        values, places = self.sort(dim, descending=largest)
        if not isinstance(k, int | np.integer) or not 0 <= k <= self.shape[dim]:
            raise ShapeError(
                f"topk takes as many values as there are, at most. Got k={k!r} along axis {dim} of shape "
                f"{self.shape}. Use a smaller k."
            )
        cut = (slice(None),) * (dim % self.ndim) + (slice(int(k)),)
        return Extreme(apply("index", values, key=cut), places[cut])

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Extreme:
        """Return the values in order along an axis, NaN as the largest, equal ones as they came; and their places."""
        places = self.argsort(dim, descending)
        return Extreme(apply("gather", self, indices=places, axis=dim), places)

    def argsort(self, dim: int = -1, descending: bool = False) -> Any:
        """Return where the values are that come first, second ... along an axis, as an array of integers."""
        if not isinstance(dim, int | np.integer) or not -self.ndim <= dim < self.ndim:
            raise ShapeError(
                f"A tensor is sorted along one axis. Got dim={dim!r} for shape {self.shape}. Use another."
            )
        if not descending:
            return discrete(np.argsort(self._data, axis=dim, kind="stable"))
        backwards = np.argsort(
            np.flip(self._data, dim), axis=dim, kind="stable"
        )  # so that equal ones stay in order
        return discrete(self.shape[dim] - 1 - np.flip(backwards, dim))


def _of_axes(name: str, axes: int, *operands: Any) -> tuple[Any, ...]:
    """Return the operands of a product, which have so many axes each."""
    for x in operands:
        if isinstance(x, Value) and x.ndim != axes:
            shapes = " and ".join(str(np.shape(x)) for x in operands)
            raise ShapeError(
                f"{name} takes tensors of {axes} axes. Got shapes {shapes}. Use matmul, which broadcasts."
            )
    return operands


def _axes(dim: Axis, keepdim: bool, axis: Axis, keepdims: bool) -> dict[str, Any]:
    if dim is None:
        return {"axis": axis, "keepdims": keepdim or keepdims}
    return {
        "axis": None if dim in ((), []) else dim,
        "keepdims": keepdim or keepdims,
    }  # PyTorch's dim=() is all


def _spread_over(
    dim: Axis, unbiased: bool | None, keepdim: bool, axis: Axis, keepdims: bool, correction: int
) -> dict[str, Any]:
    if isinstance(dim, bool):  # PyTorch's x.var(False)
        dim, unbiased = None, dim
    return {
        **_axes(dim, keepdim, axis, keepdims),
        "correction": correction if unbiased is None else int(unbiased),
    }
