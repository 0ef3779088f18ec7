"""CuPy's ufuncs: out, dtype and casting, and nothing else; and the operators made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import argument, held, ndarray, operand
from .flushing import cast, checked, flush, names, other_last_bits, quiet
from .ledger import LEDGER, place
from .sums import matmul

__all__ = ["ufunc"]

# These look at bits, and at nothing else.
_BITS = names(
    "isnan isinf isfinite signbit copysign bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_invert "
    "invert bitwise_count left_shift right_shift bitwise_left_shift bitwise_right_shift"
)
_SCATTERS = ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor")


class ufunc:  # noqa: N801
    """What a ``cupy.ufunc`` is."""

    def __init__(self, name: str) -> None:
        self.numpy: np.ufunc = getattr(np, name)
        self.__name__, self.name = name, f"cupy_{name}"
        self.nin, self.nout, self.nargs = self.numpy.nin, self.numpy.nout, self.numpy.nargs

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(
        self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind", **kwargs: Any
    ) -> Any:
        """Return the results, in `out` if it is given."""
        if kwargs:
            raise TypeError(f"Wrong arguments: {', '.join(kwargs)}")
        inputs, outs = args[: self.nin], args[self.nin :]
        if len(inputs) < self.nin or len(args) > self.nargs:
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        if out is not None:
            outs = out if isinstance(out, tuple) else (out,)
        if not all(one is None or isinstance(one, ndarray) for one in outs):
            raise TypeError("Output arguments type must be cupy.ndarray")
        xs = [operand(x) for x in inputs]
        options: dict[str, Any] = {"casting": casting} | ({} if dtype is None else {"dtype": checked(dtype)})
        LEDGER.launch(self.__name__)
        results = self._computed(xs, options)
        outs = (*outs, *[None] * (self.nout - len(outs)))
        stored = tuple(_into(one, result, casting) for one, result in zip(outs, results, strict=True))
        return stored[0] if self.nout == 1 else stored

    def _computed(self, xs: list[Any], options: dict[str, Any]) -> list[np.ndarray]:
        exact = self.__name__ in _BITS and len({x.dtype for x in xs if isinstance(x, np.ndarray)}) <= 1
        with quiet():
            results = self.numpy(*(xs if exact else map(flush, xs)), **options)
        found = [np.asarray(y) for y in (results if self.nout > 1 else (results,))]
        if exact:
            return found
        return [np.asarray(other_last_bits(self.__name__, np.asarray(flush(y)))) for y in found]

    def reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        """Return the sum or the product along axes."""
        if self.__name__ == "add":
            return array.sum(axis, dtype, out, keepdims)
        if self.__name__ == "multiply":
            return array.prod(axis, dtype, out, keepdims)
        raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Return the running sums or products along an axis."""
        if self.__name__ == "add":
            return array.cumsum(axis, dtype, out)
        if self.__name__ == "multiply":
            return array.cumprod(axis, dtype, out)
        raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")

    def reduceat(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: CuPy has it for add alone, by a way of its own."""
        raise NotImplementedError(f"`{self.name}.reduceat` is not supported yet")

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """Scatter by atomic operations, in any order; here the last goes first."""
        if self.__name__ not in _SCATTERS:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        x, key, value = operand(a), argument(indices), operand(b)
        if x.dtype.kind == "f" and self.__name__ in ("add", "subtract"):
            LEDGER.scatters[place()] += 1
        LEDGER.launch(f"{self.__name__}.at")
        where = np.arange(x.size).reshape(x.shape)[key]
        flat = np.unravel_index(where.reshape(-1)[::-1], x.shape)
        with quiet():
            self.numpy.at(x, flat, flush(np.broadcast_to(value, where.shape).reshape(-1)[::-1]))

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        """Return the function of all pairs."""
        shape = (*A.shape, *[1] * B.ndim)
        return self(A.reshape(shape), B, **kwargs)


def _into(out: ndarray | None, result: np.ndarray, casting: str) -> ndarray:
    if out is None:
        return ndarray._of(result)
    if not np.can_cast(result.dtype, out.dtype, casting):
        raise TypeError(
            f"output cannot be cast from {result.dtype!r} to {out.dtype!r} with the casting rule {casting!r}"
        )
    if np.broadcast_shapes(result.shape, out.shape) != out.shape:
        raise ValueError("Out shape is mismatched")
    held(out)[...] = cast(result, out.dtype)
    return out


# -- operators ---------------------------------------------------------------------------------------

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}


def _foreign(x: Any) -> bool:
    """Return whether an operand answers for itself, as an array of another library does."""
    return not isinstance(x, ndarray | np.ndarray | np.generic) and hasattr(type(x), "__array_ufunc__")


def _binary(
    function: ufunc, reflected: bool = False, in_place: bool = False
) -> Callable[[ndarray, Any], Any]:
    def method(self: ndarray, other: Any) -> Any:
        if _foreign(other) or other is None or isinstance(other, str | list | tuple):
            return NotImplemented
        if in_place:
            return function(self, other, self)
        return function(other, self) if reflected else function(self, other)

    return method


def _compared(function: ufunc) -> Callable[[ndarray, Any], Any]:
    plain = _binary(function)

    def method(self: ndarray, other: Any) -> Any:
        zero_dimensional = isinstance(other, np.ndarray) and other.ndim == 0
        return plain(self, other[()] if zero_dimensional else other)

    return method


def _give_operators() -> None:
    for name, of in _OPERATORS.items():
        setattr(ndarray, f"__{name}__", _binary(ufunc(of)))
        setattr(ndarray, f"__r{name}__", _binary(ufunc(of), reflected=True))
        setattr(ndarray, f"__i{name}__", _binary(ufunc(of), in_place=True))
    for name, of in _COMPARISONS.items():
        setattr(ndarray, f"__{name}__", _compared(ufunc(of)))
    for name in ("negative", "absolute", "invert", "positive"):
        function = ufunc(name)
        short = {"negative": "neg", "absolute": "abs", "positive": "pos"}.get(name, name)
        setattr(ndarray, f"__{short}__", lambda self, function=function: function(self))
    ndarray.__matmul__ = lambda self, other: NotImplemented if _foreign(other) else matmul(self, other)  # type: ignore[attr-defined]
    ndarray.__divmod__ = lambda self, other: ufunc("divmod")(self, other)  # type: ignore[attr-defined]


_give_operators()
