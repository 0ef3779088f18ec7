"""CuPy's functions that NumPy has, too: with CuPy's signatures, on device arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import argument, held, ndarray, operand, wrapped
from .flushing import cast, checked, flush, names, other_last_bits, quiet
from .ledger import LEDGER
from .sums import einsum, matmul

__all__ = ["function"]

_VIEWS = names(
    "reshape ravel transpose permute_dims moveaxis swapaxes expand_dims squeeze broadcast_to "
    "broadcast_arrays flip fliplr flipud rollaxis diagonal atleast_1d atleast_2d atleast_3d split "
    "array_split hsplit vsplit shape ndim size rot90 may_share_memory shares_memory matrix_transpose"
)
_MOVING = _VIEWS | names(
    "concatenate concat stack vstack hstack dstack column_stack roll repeat tile take_along_axis pad copy "
    "packbits unpackbits zeros ones empty full zeros_like ones_like empty_like full_like eye identity "
    "arange delete diag tril triu extract choose put_along_axis compress resize tri fill_diagonal place "
    "putmask"
)
_WAITS = names(
    "nonzero flatnonzero argwhere unique bincount extract compress trim_zeros intersect1d union1d "
    "setdiff1d unique_values unique_counts unique_inverse array_split_at"
)
# NumPy's function calls the array's own method, which has the device's ways.
_METHODS = names(
    "sum prod mean std var cumsum cumprod max min amax amin argmax argmin all any take round around clip "
    "dot sort argsort put searchsorted trace ptp"
)
_SILENT = names(
    "array asarray asanyarray ascontiguousarray asnumpy empty empty_like"
)  # memory, and transfers
_RENAMED = {"amax": "max", "amin": "min", "around": "round"}


def function(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return the stand-in's function of a name, which takes the arguments that CuPy's takes."""
    try:
        signature: inspect.Signature | None = inspect.signature(real)
    except (TypeError, ValueError):
        signature = None
    body = _OWN.get(name) or (_by_method(name) if name in _METHODS else _by_numpy(name))

    def called(*args: Any, **kwargs: Any) -> Any:
        if signature is not None:
            signature.bind(*args, **kwargs)
        if name in _WAITS:
            LEDGER.reading(name)
        if name not in _VIEWS and name not in _METHODS and name not in _SILENT:
            LEDGER.launch(name)
        return body(*args, **kwargs)

    called.__name__ = name
    return called


def _by_method(name: str) -> Callable[..., Any]:
    def body(a: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(a, ndarray):
            raise TypeError(f"Unsupported type {type(a)}")
        if name == "sort":
            a = a.copy()
            a.sort(*args, **kwargs)
            return a
        return getattr(a, _RENAMED.get(name, name))(*args, **kwargs)

    return body


def _by_numpy(name: str) -> Callable[..., Any]:
    numpy_function = getattr(np, name)

    def body(*args: Any, out: ndarray | None = None, **kwargs: Any) -> Any:
        given, named = argument(args), {key: argument(value) for key, value in kwargs.items()}
        with quiet():
            result = numpy_function(*given, **named)
            if name not in _MOVING or _changes_type(given, result):
                flushed = _flushed(given), {key: _flushed(value) for key, value in named.items()}
                result = _flushed(numpy_function(*flushed[0], **flushed[1]))
                if isinstance(result, np.ndarray):
                    result = other_last_bits(name, result)
        if out is not None:
            held(out)[...] = cast(np.asarray(result), out.dtype)
            return out
        return wrapped(np.asarray(result) if isinstance(result, bool) and name not in _VIEWS else result)

    return body


def _changes_type(given: Any, result: Any) -> bool:
    arrays = [
        x
        for one in given
        for x in (one if isinstance(one, list | tuple) else [one])
        if isinstance(x, np.ndarray)
    ]
    return isinstance(result, np.ndarray) and any(
        x.dtype.kind == "f" != x.dtype == result.dtype for x in arrays
    )


def _flushed(x: Any) -> Any:
    if isinstance(x, tuple):
        return type(x)(*map(_flushed, x)) if hasattr(x, "_fields") else tuple(map(_flushed, x))
    return list(map(_flushed, x)) if isinstance(x, list) else flush(x)


# -- those with something of their own --------------------------------------------------------------------


def _array(
    obj: Any, dtype: Any = None, copy: Any = True, order: str | None = "K", *_: Any, ndmin: int = 0, **__: Any
) -> ndarray:
    if isinstance(obj, ndarray):
        x = held(obj)
        result = x if dtype is None else cast(x, dtype)
        if order in ("C", "F"):
            result = np.asarray(result, order=order)
        if result is x and not copy and x.ndim >= ndmin:
            return obj
        return ndarray._of(np.array(result, copy=(copy and result is x) or None, ndmin=ndmin, order=order))
    if isinstance(obj, list | tuple) and any(isinstance(x, ndarray) for x in obj):
        obj = [argument(x) for x in obj]
    else:
        LEDGER.sending()
    with quiet():
        return ndarray._of(
            np.array(obj, dtype=checked(np.asarray(obj).dtype if dtype is None else dtype), ndmin=ndmin)
        )


def _asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    return _array(a, dtype, bool(copy), order)


def _ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return _array(a, dtype, False, "C")


def _copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    if not isinstance(dst, ndarray):
        raise TypeError("dst must be cupy.ndarray")
    source = operand(src)
    kind = source.dtype if isinstance(source, np.ndarray | np.generic) else np.result_type(source, dst.dtype)
    if not np.can_cast(kind, dst.dtype, casting):
        raise TypeError(f"Cannot cast {kind} to {dst.dtype} in {casting} casting mode")
    values = cast(np.asarray(source), dst.dtype) if isinstance(source, np.ndarray | np.generic) else source
    np.copyto(held(dst), values, casting="unsafe", where=True if where is None else operand(where))


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if not isinstance(condition, ndarray):
        raise TypeError(f"Unsupported type {type(condition)}")
    if x is None and y is None:
        LEDGER.reading("where")
        return wrapped(np.nonzero(flush(held(condition))))
    xs = [operand(x), operand(y)]
    dtype = np.result_type(*xs)
    xs = [cast(one, dtype) if isinstance(one, np.ndarray | np.generic) else one for one in xs]
    return wrapped(np.asarray(np.where(held(condition), *xs)).astype(dtype, copy=False))


def _isin(element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False) -> ndarray:
    return wrapped(np.asarray(np.isin(flush(operand(element)), flush(operand(test_elements)), invert=invert)))


def _unravel_index(indices: Any, dims: Any, order: str = "C") -> Any:
    return wrapped(tuple(np.unravel_index(operand(indices), dims, order)))


def _asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a)


_OWN: dict[str, Callable[..., Any]] = {
    "array": _array,
    "asarray": _asarray,
    "asanyarray": _asarray,
    "ascontiguousarray": _ascontiguousarray,
    "asnumpy": _asnumpy,
    "copyto": _copyto,
    "where": _where,
    "isin": _isin,
    "unravel_index": _unravel_index,
    "matmul": matmul,
    "einsum": einsum,
}
