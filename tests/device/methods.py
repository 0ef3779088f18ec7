"""The array's methods: those that the installed CuPy has, with its signatures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import argument, held, ndarray, operand, wrapped
from .flushing import cast, checked, flush, names, quiet
from .ledger import LEDGER
from .sums import backwards, matmul, running
from .ufuncs import ufunc

__all__ = ["give_methods"]

_VIEWS = names("reshape ravel transpose swapaxes squeeze diagonal view")
# What moves numbers, and computes nothing with them.
_MOVING = _VIEWS | names("copy flatten repeat take fill put compress choose byteswap")
_WAITS = names("nonzero compress")  # whose length only the device knows
_SUMS = names("sum mean std var prod")


def _signature(documentation: str | None) -> inspect.Signature | None:
    """Return the signature in the first line of a compiled method's documentation."""
    first = (documentation or "").partition("\n")[0]
    found = re.match(r"(?:_?ndarray(?:_base)?)\.\w+\((.*?)\)(?: ->.*)?$", first)
    if not found:
        return None
    text = re.sub(r"\b(?:_ndarray_base|int|Py_ssize_t|bint) (?=\w)", "", found[1])
    return inspect.signature(eval(f"lambda {text}: None"))


def give_methods(real: type) -> None:
    """Give our array type those methods of CuPy's that NumPy's has, too."""
    for name in dir(real):
        numpy_method = getattr(np.ndarray, name, None)
        if name.startswith("_") or not callable(numpy_method) or name in vars(ndarray):
            continue
        signature = _signature(getattr(real, name).__doc__)
        method = _OWN.get(name) or _method(name)
        setattr(ndarray, name, _checked(name, method, signature))
    ndarray.scatter_add = _scatter_add  # type: ignore[attr-defined]


def _checked(
    name: str, method: Callable[..., Any], signature: inspect.Signature | None
) -> Callable[..., Any]:
    def called(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        if signature is not None:
            signature.bind(self, *args, **kwargs)
        if name in _WAITS:
            LEDGER.reading(name)
        if name not in _VIEWS and name != "astype":  # which may have nothing to do
            LEDGER.launch(name)
        return method(self, *args, **kwargs)

    called.__name__ = name
    return called


def _method(name: str) -> Callable[..., Any]:
    """Return the method that does what NumPy's does, with numbers as a device has them."""

    def method(self: ndarray, *args: Any, out: ndarray | None = None, **kwargs: Any) -> Any:
        x = held(self)
        args, kwargs = argument(args), {key: argument(value) for key, value in kwargs.items()}
        if name not in _MOVING:
            x = np.asarray(flush(x))
        if name in _SUMS:
            x = backwards(x, args[0] if args else kwargs.get("axis"))
            if len(args) > 2:  # out, and what follows it, by position
                out, args = (None if args[2] is None else ndarray._of(args[2])), (args[0], args[1])
        with quiet():
            result = getattr(x, name)(*args, **kwargs)
        if name in _MOVING:
            return wrapped(result)
        result = result if isinstance(result, tuple) else np.asarray(flush(np.asarray(result)))
        if out is None:
            return wrapped(result)
        held(out)[...] = cast(result, out.dtype)
        return out

    return method


# -- those with something of their own ------------------------------------------------------------------


def _astype(
    self: ndarray, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
) -> ndarray:
    x = held(self)
    result = cast(x, dtype)
    if result is x and not copy:
        return self
    LEDGER.launch("astype")
    if result is x:
        return ndarray._of(x.copy(order))
    return ndarray._of(np.asarray(result, order=order))


def _view(self: ndarray, dtype: Any = None, type: Any = None) -> ndarray:
    x = held(self)
    return ndarray._of(x.view() if dtype is None else x.view(checked(dtype)))


def _reshape(self: ndarray, *shape: Any, order: str = "C", copy: Any = None) -> ndarray:
    return ndarray._of(held(self).reshape(*shape, order=order))


def _take(self: ndarray, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
    places = np.asarray(indices if isinstance(indices, list) else operand(indices)).astype(np.int64)
    result = np.asarray(np.take(held(self), places, axis=axis, mode="wrap"))
    if out is None:
        return ndarray._of(result)
    if (out.dtype, out.shape) != (result.dtype, result.shape):
        raise TypeError("Output dtype or shape mismatch")
    held(out)[...] = result
    return out


def _put(self: ndarray, indices: Any, values: Any, mode: str = "wrap") -> None:
    places = np.asarray(argument(indices)).reshape(-1)
    given = np.broadcast_to(cast(np.asarray(operand(values)), self.dtype), places.shape)
    np.put(held(self), places[::-1], given[::-1], mode=mode)


def _fill(self: ndarray, value: Any) -> None:
    held(self)[...] = operand(value)


def _sort(self: ndarray, axis: int = -1, kind: Any = None) -> None:
    x = held(self)
    order = np.argsort(flush(x), axis=axis, kind="stable")
    x[...] = np.take_along_axis(x, order, axis)


def _running(function: np.ufunc) -> Callable[..., ndarray]:
    def method(self: ndarray, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        with quiet():
            result = np.asarray(flush(running(np.asarray(flush(held(self))), axis, dtype, function)))
        if out is None:
            return ndarray._of(result)
        held(out)[...] = cast(result, out.dtype)
        return out

    return method


def _dot(self: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    assert self.ndim and b.ndim <= 2
    return matmul(self, b, out)


def _scatter_add(self: ndarray, slices: Any, value: Any) -> None:
    ufunc("add").at(self, slices, value)


def _ravel(self: ndarray, order: str = "C") -> ndarray:
    return ndarray._of(held(self).ravel(order))


_OWN: dict[str, Callable[..., Any]] = {
    "astype": _astype,
    "view": _view,
    "reshape": _reshape,
    "ravel": _ravel,
    "take": _take,
    "put": _put,
    "fill": _fill,
    "sort": _sort,
    "cumsum": _running(np.add),
    "cumprod": _running(np.multiply),
    "dot": _dot,
}
